//! The wall clock of the worker and the commands: the shell stamps what it reads here and passes it
//! down. The keeper of leases and the resolver, which are shells of their own, read it for
//! themselves. Durations are measured with `tokio::time`, which tests pause.

/// Milliseconds since the epoch.
#[allow(
    clippy::disallowed_methods,
    reason = "the one place of this crate that reads the wall clock"
)]
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}
