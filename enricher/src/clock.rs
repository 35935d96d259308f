//! The wall clock and the environment's randomness, read here and nowhere else: the shell stamps
//! what it reads and passes it down. Durations are measured with `tokio::time`, which tests pause.

/// Milliseconds since the epoch.
#[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}
