//! `[lookups]`: how those are asked who answer look-ups.

use std::path::PathBuf;
use std::time::Duration;

use enrichments::lookup::Then;
use enrichments::lookup::sql::Bounds;
use lookups::database::{Statements, Tls};
use lookups::{currency, database};
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
    /// How databases are asked.
    pub database: Database,
    /// Where rates of currencies come from.
    pub rates: Rates,
    /// What differs for `sql_query_enrichment_config`.
    pub sql_query: One,
    /// What differs for `currency_conversion_config`.
    pub currency_conversion: One,
    /// What differs for `api_request_enrichment_config`.
    pub api_request: One,
    /// What differs for `extra_api_request_enrichment_config`.
    pub extra_api_request: One,
}

/// `[lookups.database]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// What a server's certificate has to be, where TLS is a must.
    pub tls: TlsTrust,
    /// A PEM file of authorities that are trusted besides those of the system.
    pub authorities: Option<PathBuf>,
    /// Connections to each database.
    pub connections: Connections,
    /// How statements are sent to PostgreSQL.
    pub statements: StatementsSent,
    /// How long an answer may take.
    pub timeout: Timeout,
    /// Rows that are taken of a result.
    pub max_rows: MaxRows,
    /// Bytes that are taken of a result.
    pub max_bytes: MaxBytes,
}

/// `[lookups.rates]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// The service.
    pub url: Text,
    /// Where days are kept.
    pub folder: Option<PathBuf>,
    /// How long an answer may take.
    pub timeout: Timeout,
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

/// More than most databases have to give.
pub(super) type Connections = Count<1, 1024>;
/// Up to five minutes.
pub(super) type Timeout = Span<1, 300_000>;
/// Up to a million.
pub(super) type MaxRows = Count<1, 1_000_000>;
/// Up to 1 GiB.
pub(super) type MaxBytes = Bytes<1, { 1 << 30 }>;
/// Up to an hour.
pub(super) type Patience = Span<0, 3_600_000>;
/// More would be an attack on whoever answers.
pub(super) type Concurrency = Count<1, 1024>;
/// Up to 64 GiB.
pub(super) type CacheBytes = Bytes<{ 1 << 20 }, { 64 << 30 }>;

/// Whether a server has to prove who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsTrust {
    /// It has.
    #[default]
    Verified,
    /// It has not, as with a peer.
    Unverified,
}

/// How statements are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementsSent {
    /// Prepared once a connection.
    #[default]
    Prepared,
    /// All of it each time.
    Unnamed,
}

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
            "sql_query_enrichment_config" => &self.sql_query,
            "currency_conversion_config" => &self.currency_conversion,
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
            database: self.database.settings(),
            rates: self.rates.settings(),
        }
    }
}

impl Database {
    fn settings(&self) -> database::Settings {
        database::Settings {
            tls: match self.tls {
                TlsTrust::Verified => Tls::Verified,
                TlsTrust::Unverified => Tls::Unverified,
            },
            authorities: self.authorities.clone(),
            connections: self.connections.get(),
            statements: match self.statements {
                StatementsSent::Prepared => Statements::Prepared,
                StatementsSent::Unnamed => Statements::Unnamed,
            },
            timeout: self.timeout.get(),
            bounds: Bounds { rows: self.max_rows.get(), bytes: self.max_bytes.get() },
        }
    }
}

impl Rates {
    fn settings(&self) -> currency::Settings {
        let (url, folder) = (self.url.to_string(), self.folder.clone());
        currency::Settings { url, folder, timeout: self.timeout.get() }
    }
}

impl Default for Database {
    fn default() -> Database {
        let database::Settings { connections, timeout, bounds, .. } = Default::default();
        Database {
            tls: TlsTrust::default(),
            authorities: None,
            connections: Count::new(connections as u64),
            statements: StatementsSent::default(),
            timeout: Span::new(millis(timeout)),
            max_rows: Count::new(bounds.rows as u64),
            max_bytes: Bytes::new(bounds.bytes as u64),
        }
    }
}

impl Default for Rates {
    fn default() -> Rates {
        let currency::Settings { url, folder, timeout } = Default::default();
        Rates { url: Text::from(&*url), folder, timeout: Span::new(millis(timeout)) }
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
            database: Database::default(),
            rates: Rates::default(),
            sql_query: One::default(),
            currency_conversion: One::default(),
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
    fn databases_are_asked_as_it_is_set() {
        let text = "[database]\ntls = \"unverified\"\nauthorities = \"rds.pem\"\nconnections = 2\n\
                    statements = \"unnamed\"\ntimeout = \"2s\"\nmax_rows = 5\nmax_bytes = \"1KiB\"\n\
                    [rates]\nurl = \"http://rates/\"\nfolder = \"days\"\ntimeout = \"3s\"\n\
                    [sql_query]\non_unavailable = \"skip\"";
        let settings = toml::from_str::<Lookups>(text).expect("it is right");
        let settings = settings.of("sql_query_enrichment_config");
        assert_eq!(settings.then, Then::Skip);
        assert_eq!(
            settings.database,
            database::Settings {
                tls: Tls::Unverified,
                authorities: Some(PathBuf::from("rds.pem")),
                connections: 2,
                statements: Statements::Unnamed,
                timeout: Duration::from_secs(2),
                bounds: Bounds { rows: 5, bytes: 1024 },
            }
        );
        let (url, folder) = ("http://rates/".to_owned(), Some(PathBuf::from("days")));
        let timeout = Duration::from_secs(3);
        assert_eq!(settings.rates, currency::Settings { url, folder, timeout });
        for wrong in ["[database]\ntls = \"on\"", "[database]\nconnections = 0", "[rates]\nkey = 1"]
        {
            assert!(toml::from_str::<Lookups>(wrong).is_err(), "{wrong}");
        }
    }

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
