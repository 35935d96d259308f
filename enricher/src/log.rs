//! Log lines: JSON on standard error, one object each, without payloads and secrets.
//!
//! `SNOWMELT_LOG` chooses levels per module as `tracing-subscriber` reads them; `info` otherwise.

use tracing_subscriber::EnvFilter;

/// The variable that chooses what is logged.
const VARIABLE: &str = "SNOWMELT_LOG";

/// Starts logging. A second call changes nothing.
pub fn start(default: &str) {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(default));
    let _ = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}
