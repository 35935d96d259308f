//! `[lookups]`: how those are asked who answer look-ups.

use std::time::Duration;

use enrichments::lookup::Then;
use serde::Deserialize;

use super::value::{Bytes, Count, Span, Text};

/// `[lookups]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lookups {
    /// What becomes of events whose look-up cannot be asked.
    pub on_unavailable: OnUnavailable,
    /// How long such events wait first, from its first failure.
    pub patience: Patience,
    /// How many questions of each are under way at a time.
    pub concurrency: Concurrency,
    /// Bytes that the kept answers of each occupy at most.
    pub cache_bytes: CacheBytes,
    /// Hosts that may be asked although they have an address of a cloud's own services.
    pub allow_hosts: Vec<Text>,
    /// What differs for `api_request_enrichment_config`.
    pub api_request: One,
    /// What differs for `extra_api_request_enrichment_config`.
    pub extra_api_request: One,
}

/// What differs for one look-up: `[lookups.api_request]` and its like.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct One {
    /// As in [`Lookups`].
    pub on_unavailable: Option<OnUnavailable>,
    /// As in [`Lookups`].
    pub patience: Option<Patience>,
    /// As in [`Lookups`].
    pub concurrency: Option<Concurrency>,
    /// As in [`Lookups`].
    pub cache_bytes: Option<CacheBytes>,
    /// As in [`Lookups`].
    pub allow_hosts: Option<Vec<Text>>,
}

/// Up to an hour.
pub(super) type Patience = Span<0, 3_600_000>;
/// More would be an attack on whoever answers.
pub(super) type Concurrency = Count<1, 1024>;
/// Up to 64 GiB.
pub(super) type CacheBytes = Bytes<{ 1 << 20 }, { 64 << 30 }>;

/// What becomes of an event whose look-up cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum OnUnavailable {
    /// It fails, as with a peer.
    #[default]
    Fail,
    /// It goes on without.
    Skip,
    /// It is parked, to be replayed.
    Park,
}

impl OnUnavailable {
    /// The same for those who answer.
    pub fn then(self) -> Then {
        match self {
            OnUnavailable::Fail => Then::Fail,
            OnUnavailable::Skip => Then::Skip,
            OnUnavailable::Park => Then::Park,
        }
    }
}

impl Lookups {
    /// The settings of a look-up, by the name of its configuration.
    pub fn of(&self, name: &str) -> lookups::Settings {
        let unchanged = One::default();
        let one = match name {
            "api_request_enrichment_config" => &self.api_request,
            "extra_api_request_enrichment_config" => &self.extra_api_request,
            _ => &unchanged,
        };
        let hosts = one.allow_hosts.as_ref().unwrap_or(&self.allow_hosts);
        lookups::Settings {
            then: one.on_unavailable.unwrap_or(self.on_unavailable).then(),
            patience: one.patience.unwrap_or(self.patience).get(),
            concurrency: one.concurrency.unwrap_or(self.concurrency).get(),
            cache_bytes: one.cache_bytes.unwrap_or(self.cache_bytes).get() as u64,
            allow_hosts: hosts.iter().map(|host| host.to_string()).collect(),
        }
    }
}

impl Default for Lookups {
    fn default() -> Lookups {
        let lookups::Settings { patience, concurrency, cache_bytes, .. } =
            lookups::Settings::default();
        Lookups {
            on_unavailable: OnUnavailable::default(),
            patience: Span::new(millis(patience)),
            concurrency: Count::new(concurrency as u64),
            cache_bytes: Bytes::new(cache_bytes),
            allow_hosts: Vec::new(),
            api_request: One::default(),
            extra_api_request: One::default(),
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).expect("it is far below the bound")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_look_up_may_differ_from_the_others() {
        let read = |text| toml::from_str::<Lookups>(text).expect("it is right");
        assert_eq!(read("").of("any"), lookups::Settings::default());
        let text = "on_unavailable = \"park\"\nconcurrency = 4\nallow_hosts = [\"metadata\"]\n\
                    [api_request]\non_unavailable = \"skip\"\npatience = \"2s\"\nallow_hosts = []";
        let (api, other) = {
            let read = read(text);
            (read.of("api_request_enrichment_config"), read.of("sql_query_enrichment_config"))
        };
        assert_eq!(
            (api.then, api.patience, api.concurrency),
            (Then::Skip, Duration::from_secs(2), 4)
        );
        assert_eq!(api.allow_hosts, [""; 0]);
        assert_eq!((other.then, other.concurrency), (Then::Park, 4));
        assert_eq!(other.allow_hosts, ["metadata"]);
        assert!(toml::from_str::<Lookups>("on_unavailable = \"wait\"").is_err());
        assert!(toml::from_str::<Lookups>("[other]").is_err());
    }
}
