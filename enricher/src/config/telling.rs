//! Whom a worker tells how it is: who asks it, who is sent its metrics, who reads its log.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Deserialize;

use super::{Name, OfMetrics, OfServer, OfTag, Span, value};
use crate::log::Levels;

/// `[metrics]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// A StatsD server, by host and port; nobody if absent.
    pub statsd: Option<Name<OfServer>>,
    /// What names of metrics begin with there.
    pub prefix: Name<OfMetrics>,
    /// Tags of every metric there.
    pub tags: BTreeMap<String, Name<OfTag>>,
    /// How often metrics are sent there.
    pub period: Span<1_000, 3_600_000>,
}

/// `[admin]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Where `/metrics`, `/live` and `/ready` are answered.
    #[serde(deserialize_with = "value::address")]
    pub listen: SocketAddr,
    /// For so long may fail what has worked, before the worker is not ready.
    pub patience: Span<1_000, 3_600_000>,
}

/// `[log]`
#[derive(Default, Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `info`, or levels by module as in `warn,lease=debug`.
    pub level: Levels,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            statsd: None,
            prefix: Name::parse("snowplow.enrich").expect("it is one"),
            tags: BTreeMap::new(),
            period: Span::new(10_000),
        }
    }
}

impl Default for Admin {
    fn default() -> Admin {
        Admin { listen: SocketAddr::from(([127, 0, 0, 1], 8000)), patience: Span::new(30_000) }
    }
}
