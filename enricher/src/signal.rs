//! SIGTERM, SIGINT and SIGHUP: the first asks the worker to drain, the second ends it at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

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
