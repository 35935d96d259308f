//! SIGTERM, SIGINT and SIGHUP: the first asks the worker to drain, the second ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::EXIT_GRACE;

/// The two ways to ask a worker to end.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Finish what is in flight, then end.
    pub drain: CancellationToken,
    /// End now; what is in flight is read again by others.
    pub now: CancellationToken,
}

impl Stop {
    /// Passes on the process's signals until the second one. Never resolves otherwise.
    pub async fn on_signals(&self) -> std::io::Result<()> {
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        for token in [&self.drain, &self.now] {
            let name = tokio::select! {
                _ = term.recv() => "SIGTERM",
                _ = int.recv() => "SIGINT",
                _ = hangup.recv() => "SIGHUP",
            };
            tracing::info!(signal = name, at_once = self.drain.is_cancelled(), "asked to stop");
            token.cancel();
        }
        std::future::pending().await
    }
}

/// For commands that read until their input ends: the first signal sets what is returned, so that
/// they finish what they have read; the second ends the process at once.
pub fn halt() -> std::io::Result<Arc<AtomicBool>> {
    let halt = Arc::new(AtomicBool::new(false));
    let (stop, told) = (Stop::default(), Arc::clone(&halt));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let _ = runtime.block_on(async {
            tokio::select! {
                listening = stop.on_signals() => listening,
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
