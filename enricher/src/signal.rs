//! SIGTERM, SIGINT and SIGHUP: the first asks the worker to drain, the second ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::EXIT_GRACE;

/// The two ways to ask a worker to end.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Finish what is in flight, then end.
    pub drain: CancellationToken,
    /// End now; what is in flight is read again by others.
    pub now: CancellationToken,
    /// A signal has come: whoever sent it waits for the end of the process.
    pub signalled: CancellationToken,
}

/// The signals, which from here on do not end the process by themselves.
struct Signals {
    term: Signal,
    int: Signal,
    hangup: Signal,
}

impl Signals {
    /// Begins to listen, on the runtime that is entered.
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

impl Stop {
    /// Passes on the process's signals until the second one. Never resolves otherwise.
    pub async fn on_signals(&self) -> std::io::Result<()> {
        let signals = Signals::listen()?;
        self.pass_on(signals).await
    }

    async fn pass_on(&self, mut signals: Signals) -> ! {
        for token in [&self.drain, &self.now] {
            let name = tokio::select! {
                _ = signals.term.recv() => "SIGTERM",
                _ = signals.int.recv() => "SIGINT",
                _ = signals.hangup.recv() => "SIGHUP",
            };
            tracing::info!(signal = name, at_once = self.drain.is_cancelled(), "asked to stop");
            self.signalled.cancel();
            token.cancel();
        }
        loop {
            std::future::pending::<()>().await;
        }
    }
}

/// For commands that read until their input ends: the first signal sets what is returned, so that
/// they finish what they have read; the second ends the process at once. Whoever has what is
/// returned is not ended by a signal before.
pub fn halt() -> std::io::Result<Arc<AtomicBool>> {
    let halt = Arc::new(AtomicBool::new(false));
    let (stop, told) = (Stop::default(), Arc::clone(&halt));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let signals = {
        let _entered = runtime.enter();
        Signals::listen()?
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                never = stop.pass_on(signals) => never,
                () = async {
                    stop.drain.cancelled().await;
                    told.store(true, Ordering::Relaxed);
                    stop.now.cancelled().await;
                } => std::process::exit(i32::from(EXIT_GRACE)),
            }
        });
    })?;
    Ok(halt)
}
