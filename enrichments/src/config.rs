//! Reading a folder of enrichment configurations, each a self-describing JSON.
//!
//! The files are those of a running peer and are read unchanged: which enrichment a file is for is
//! decided by its schema's name, a disabled one is skipped, and of two for the same enrichment the
//! later file wins. Every mistake of every file is collected and reported at once, each with file,
//! JSON pointer, what was expected and what was found. Nothing is ignored silently: what this
//! crate does not run is refused, unless the caller allows it by name.
//!
//! Opening the assets that configurations name is left to [`crate::Enrichments::load`].

mod allowed;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use event::schema_key::Parts;
use serde_json::Value;

use crate::assets::Asset;
use crate::lookup::Lookup;
use crate::lookup::api::Api;
use crate::lookup::currency::{self, Currency};
use crate::lookup::sql::{self, Sql};
use crate::mistake::ConfigError;
use crate::reader::Node;
use crate::{
    anon_ip, asn_lookups, bot_detection, campaign, cookies, fingerprint, headers, iab, ip_lookups,
    javascript, pii, referer, ua_parser, yauaa,
};
pub use allowed::{check_allowed, runs};

/// What a folder of configurations cannot say about itself.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Names of enrichments whose configurations are skipped with a warning instead of refused
    /// although nothing here runs them (`weather`), or the names in their
    /// schemas. [`check_allowed`] tells slips.
    pub allow_unsupported: Vec<String>,
    /// What `${NAME}` stands for, where it is the whole of a text.
    pub variables: BTreeMap<String, String>,
    /// Masks addresses exactly as a running peer does, see [`crate::anon_ip`].
    pub peer_masking: bool,
    /// How scripts are run.
    pub scripts: javascript::Options,
}

/// The configurations of a folder, checked, with no asset opened yet.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    pub(crate) iab: Option<iab::Config>,
    pub(crate) user_agent_utils: bool,
    pub(crate) woothee: bool,
    pub(crate) ua_parser: Option<ua_parser::Config>,
    pub(crate) referer: Option<referer::Config>,
    pub(crate) campaign: Option<campaign::Campaign>,
    pub(crate) cross_navigation: bool,
    pub(crate) fingerprint: Option<fingerprint::Fingerprint>,
    pub(crate) cookies: Option<cookies::Cookies>,
    pub(crate) headers: Option<headers::Headers>,
    pub(crate) client_hints: bool,
    pub(crate) yauaa: Option<yauaa::Config>,
    pub(crate) ip_lookups: Option<ip_lookups::Config>,
    pub(crate) asn_lookups: Option<asn_lookups::Config>,
    pub(crate) bot_detection: Option<bot_detection::BotDetection>,
    pub(crate) anon_ip: Option<anon_ip::AnonIp>,
    pub(crate) pii: Option<pii::Pii>,
    /// All that are configured, in the order of their files.
    pub(crate) scripts: Vec<javascript::Script>,
    pub(crate) script_limits: javascript::Limits,
    pub(crate) currency: Option<Currency>,
    pub(crate) sql_query: Option<Sql>,
    pub(crate) api_request: Option<Api>,
    pub(crate) extra_api_request: Option<Api>,
    /// What the operator should know although it stops nothing.
    pub warnings: Vec<String>,
}

/// The enrichments known by name: the schema's name, the vendor, model and revision accepted, and
/// the short name for `allow_unsupported` where nothing here runs them.
const KNOWN: &[Known] = &[
    Known::run("ip_lookups", SNOWPLOW, (2, 0)),
    Known::run("anon_ip", SNOWPLOW, (1, 0)),
    Known::run("referer_parser", SNOWPLOW, (2, 0)),
    Known::run("campaign_attribution", SNOWPLOW, (1, 0)),
    Known::run("user_agent_utils_config", SNOWPLOW, (1, 0)),
    Known::run("ua_parser_config", SNOWPLOW, (1, 0)),
    Known::run("event_fingerprint_config", SNOWPLOW, (1, 0)),
    Known::run("cookie_extractor_config", SNOWPLOW, (1, 0)),
    Known::run("http_header_extractor_config", ENRICHMENTS, (1, 0)),
    Known::run("iab_spiders_and_robots_enrichment", ENRICHMENTS, (1, 0)),
    Known::run("pii_enrichment_config", ENRICHMENTS, (2, 0)),
    Known::run("cross_navigation_config", ENRICHMENTS, (1, 0)),
    Known::run("asn_lookups", ENRICHMENTS, (1, 0)),
    Known::run("yauaa_enrichment_config", ENRICHMENTS, (1, 0)),
    Known::run("bot_detection_enrichment_config", ENRICHMENTS, (1, 0)),
    Known::run("javascript_script_config", SNOWPLOW, (1, 0)),
    Known::run(API_REQUEST, ENRICHMENTS, (1, 0)),
    Known::run(EXTRA_API_REQUEST, ENRICHMENTS, (1, 0)),
    Known::run("woothee_config", OWN, (1, 0)),
    Known::run("client_hints_config", OWN, (1, 0)),
    Known::run(sql::NAME, ENRICHMENTS, (1, 0)),
    Known::run(currency::NAME, SNOWPLOW, (1, 0)),
    Known::refuse("weather_enrichment_config", "weather", "nothing"),
];

const SNOWPLOW: &str = "com.snowplowanalytics.snowplow";
const ENRICHMENTS: &str = "com.snowplowanalytics.snowplow.enrichments";
const OWN: &str = "snowmelt";
const API_REQUEST: &str = "api_request_enrichment_config";
const EXTRA_API_REQUEST: &str = "extra_api_request_enrichment_config";

struct Known {
    name: &'static str,
    fate: Fate,
}

enum Fate {
    Run { vendor: &'static str, model: u32, revision: u32 },
    Refuse { short: &'static str, instead: &'static str },
}

impl Known {
    const fn run(name: &'static str, vendor: &'static str, version: (u32, u32)) -> Known {
        Known { name, fate: Fate::Run { vendor, model: version.0, revision: version.1 } }
    }

    const fn refuse(name: &'static str, short: &'static str, instead: &'static str) -> Known {
        Known { name, fate: Fate::Refuse { short, instead } }
    }
}

impl Configuration {
    /// Reads every `*.json` of a folder, in the order of their names.
    pub fn read(folder: &Path, options: &Options) -> Result<Configuration, Vec<ConfigError>> {
        let errors = RefCell::new(Vec::new());
        let mut configuration =
            Configuration { script_limits: options.scripts.limits, ..Configuration::default() };
        configuration.warnings.extend(allowed::needless(&options.allow_unsupported));
        for file in configuration.files(folder, &errors) {
            if let Some(json) = parse(&file, &errors) {
                let root = Node::root(&json, &file, &options.variables, &errors);
                configuration.add(&root, options);
            }
        }
        let errors = errors.into_inner();
        if errors.is_empty() { Ok(configuration) } else { Err(errors) }
    }

    /// The assets that the configurations name, for whoever fetches them.
    pub fn assets(&self) -> Vec<&Asset> {
        let mut assets = Vec::new();
        assets.extend(self.iab.iter().flat_map(iab::Config::assets));
        assets.extend(self.ua_parser.iter().map(|config| &config.rules));
        assets.extend(self.yauaa.iter().map(|config| &config.rules));
        assets.extend(self.referer.iter().map(|config| &config.database));
        assets.extend(self.ip_lookups.iter().flat_map(ip_lookups::Config::assets));
        assets.extend(self.asn_lookups.iter().filter_map(|config| config.file.as_ref()));
        assets
    }

    /// The enrichments configured, by the names of their configurations, in the order in which they
    /// run. Masking and pseudonymisation, which come after all others, are not among them.
    pub fn steps(&self) -> Vec<&'static str> {
        let all = [
            ("iab_spiders_and_robots_enrichment", self.iab.is_some()),
            ("user_agent_utils_config", self.user_agent_utils),
            ("woothee_config", self.woothee),
            ("ua_parser_config", self.ua_parser.is_some()),
            (currency::NAME, self.currency.is_some()),
            ("referer_parser", self.referer.is_some()),
            ("campaign_attribution", self.campaign.is_some()),
            ("cross_navigation_config", self.cross_navigation),
            ("event_fingerprint_config", self.fingerprint.is_some()),
            ("cookie_extractor_config", self.cookies.is_some()),
            ("http_header_extractor_config", self.headers.is_some()),
            ("client_hints_config", self.client_hints),
            ("yauaa_enrichment_config", self.yauaa.is_some()),
            ("ip_lookups", self.ip_lookups.is_some()),
            ("asn_lookups", self.asn_lookups.is_some()),
            ("bot_detection_enrichment_config", self.bot_detection.is_some()),
            ("javascript_script_config", !self.scripts.is_empty()),
            (sql::NAME, self.sql_query.is_some()),
            (API_REQUEST, self.api_request.is_some()),
            (EXTRA_API_REQUEST, self.extra_api_request.is_some()),
        ];
        all.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect()
    }

    /// The same with only the first so many of [`Configuration::steps`].
    pub fn first(&self, steps: usize) -> Configuration {
        self.without(self.steps().into_iter().skip(steps))
    }

    /// The same with one of [`Configuration::steps`] alone, or none of them; neither masks nor
    /// pseudonymises.
    pub fn alone(&self, step: Option<&str>) -> Configuration {
        let others = self.steps().into_iter().filter(|name| Some(*name) != step);
        Configuration { anon_ip: None, pii: None, ..self.without(others) }
    }

    /// Adds a script that stands in no configuration, behind all others: its file's name, its text,
    /// and its parameters as JSON. An error says what is wrong with it.
    pub fn add_script(
        &mut self,
        file: &str,
        source: String,
        parameters: Option<String>,
        options: &javascript::Options,
    ) -> Result<(), String> {
        let uri = "iglu:com.snowplowanalytics.snowplow/javascript_script_config/jsonschema/1-0-1";
        let script = javascript::Script { uri: uri.to_owned(), source, config: parameters };
        let faults = script.faults(options.limits);
        self.script_limits = options.limits;
        self.scripts.push(script);
        if faults.is_empty() {
            return Ok(());
        }
        let each = faults
            .iter()
            .map(|fault| format!("{file}: expected {}, found {}", fault.expected(), fault.found()));
        Err(each.collect::<Vec<_>>().join("\n"))
    }

    /// YAUAA alone, by the asset that it takes where no configuration names one.
    pub fn of_user_agents() -> Configuration {
        Configuration { yauaa: Some(yauaa::Config::default()), ..Configuration::default() }
    }

    fn without(&self, steps: impl Iterator<Item = &'static str>) -> Configuration {
        let mut rest = self.clone();
        for name in steps {
            match name {
                "iab_spiders_and_robots_enrichment" => rest.iab = None,
                "user_agent_utils_config" => rest.user_agent_utils = false,
                "woothee_config" => rest.woothee = false,
                "ua_parser_config" => rest.ua_parser = None,
                "referer_parser" => rest.referer = None,
                "campaign_attribution" => rest.campaign = None,
                "cross_navigation_config" => rest.cross_navigation = false,
                "event_fingerprint_config" => rest.fingerprint = None,
                "cookie_extractor_config" => rest.cookies = None,
                "http_header_extractor_config" => rest.headers = None,
                "client_hints_config" => rest.client_hints = false,
                "ip_lookups" => rest.ip_lookups = None,
                "asn_lookups" => rest.asn_lookups = None,
                "yauaa_enrichment_config" => rest.yauaa = None,
                "bot_detection_enrichment_config" => rest.bot_detection = None,
                "javascript_script_config" => rest.scripts = Vec::new(),
                currency::NAME => rest.currency = None,
                sql::NAME => rest.sql_query = None,
                API_REQUEST => rest.api_request = None,
                EXTRA_API_REQUEST => rest.extra_api_request = None,
                other => unreachable!("{other} is no step"),
            }
        }
        rest
    }

    /// Leaves an asset out, and with it what cannot run without: for one that has grown too old to
    /// be kept and has no successor yet.
    pub fn forget(&mut self, database: &str) {
        let named = |asset: &Asset| asset.database == database;
        self.iab.take_if(|config| config.assets().any(named));
        self.ua_parser.take_if(|config| named(&config.rules));
        self.yauaa.take_if(|config| named(&config.rules));
        self.referer.take_if(|config| named(&config.database));
        if let Some(config) = &mut self.ip_lookups {
            config.forget(database);
        }
        if let Some(config) = &mut self.asn_lookups {
            config.file.take_if(|asset| named(asset));
        }
    }

    fn files(&mut self, folder: &Path, errors: &RefCell<Vec<ConfigError>>) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let unreadable = |error: std::io::Error| {
            errors.borrow_mut().push(ConfigError {
                file: folder.to_owned(),
                pointer: String::new(),
                expected: "a readable folder of enrichment configurations".to_owned(),
                found: error.to_string(),
            });
        };
        match std::fs::read_dir(folder) {
            Err(error) => unreadable(error),
            Ok(entries) => {
                for entry in entries {
                    match entry {
                        Ok(entry) => files.push(entry.path()),
                        Err(error) => unreadable(error),
                    }
                }
            }
        }
        files.sort();
        // Hidden files are an editor's or a repository's, not the operator's.
        let hidden = |file: &PathBuf| {
            file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
        };
        files.retain(|file| !hidden(file));
        let (json, other): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| file.extension().is_some_and(|e| e == "json"));
        for file in other {
            self.warnings.push(format!("{}: not read, its name lacks .json", file.display()));
        }
        json
    }

    fn add(&mut self, root: &Node<'_>, options: &Options) {
        let schema = root.field("schema");
        let data = root.field("data");
        let Some(uri) = schema.text() else { return };
        let Ok(key) = Parts::parse(&uri) else {
            return schema.wrong("an Iglu URI");
        };
        let enabled = data.field("enabled");
        if enabled.flag() != Some(true) {
            return;
        }
        let Some(known) = KNOWN.iter().find(|known| known.name == key.name) else {
            if options.allow_unsupported.iter().any(|allowed| allowed == key.name) {
                self.warnings.push(format!("{}: {uri} is not an enrichment", root.file()));
                return;
            }
            return schema.wrong("the schema of an enrichment's configuration");
        };
        match known.fate {
            Fate::Refuse { short, instead } => {
                let named = |allowed: &String| allowed == short || allowed == known.name;
                if options.allow_unsupported.iter().any(named) {
                    self.warnings.push(format!("{}: {short} does not run here", root.file()));
                } else {
                    schema.wrong(&format!(
                        "an enrichment that runs here; in place of {short}: {instead} (or allow \
                         it as unsupported: \"{short}\")"
                    ));
                }
            }
            Fate::Run { vendor, model, revision } => {
                let version = key.version;
                if key.vendor != vendor || (version.model, version.revision) != (model, revision) {
                    let name = known.name;
                    let wanted = format!("iglu:{vendor}/{name}/jsonschema/{model}-{revision}-*");
                    return schema.wrong(&wanted);
                }
                data.only(fields(known.name));
                self.set(&key, &uri, &data, options);
            }
        }
    }

    fn script(&mut self, parameters: &Node<'_>, uri: &str, options: &Options) {
        let Some(script) = javascript::Script::read(parameters, uri) else { return };
        let node = parameters.field("script");
        for fault in script.faults(options.scripts.limits) {
            match (options.scripts.broken, &fault) {
                (javascript::Broken::Fails, javascript::Fault::Evaluation(_)) => {
                    let (file, found) = (node.file(), fault.found());
                    self.warnings.push(format!("{file}: every event will fail: {found}"));
                }
                _ => node.wrong_because(fault.expected(), fault.found()),
            }
        }
        self.scripts.push(script);
    }

    fn api(
        &mut self,
        name: &'static str,
        parameters: &Node<'_>,
        uri: &str,
        options: &Options,
    ) -> Option<Api> {
        let strict = options.scripts.broken == javascript::Broken::Refused;
        let api = Api::read(parameters, (name, uri), strict)?;
        if let Some(why) = api.never_asks() {
            let file = parameters.file();
            self.warnings.push(format!("{file}: its URL is never asked: {why}"));
        }
        Some(api)
    }

    fn sql(&mut self, parameters: &Node<'_>, uri: &str, options: &Options) -> Option<Sql> {
        let strict = options.scripts.broken == javascript::Broken::Refused;
        let sql = Sql::read(parameters, uri, strict)?;
        let file = parameters.file();
        self.warnings.extend(sql.warnings().iter().map(|why| format!("{file}: {why}")));
        Some(sql)
    }

    /// The look-ups configured, in the order in which they run.
    pub(crate) fn lookups(&self) -> impl Iterator<Item = Lookup> {
        let currency = self.currency.iter().cloned().map(Lookup::Currency);
        let sql = self.sql_query.iter().cloned().map(Lookup::Sql);
        let apis = self.api_request.iter().chain(&self.extra_api_request);
        currency.chain(sql).chain(apis.cloned().map(Lookup::Api))
    }

    fn set(&mut self, key: &Parts<'_>, uri: &str, data: &Node<'_>, options: &Options) {
        let parameters = data.field("parameters");
        match key.name {
            "ip_lookups" => self.ip_lookups = ip_lookups::Config::read(&parameters, key.version),
            "anon_ip" => {
                self.anon_ip = anon_ip::AnonIp::read(&parameters, options.peer_masking);
            }
            "referer_parser" => self.referer = referer::Config::read(&parameters),
            "campaign_attribution" => self.campaign = campaign::Campaign::read(&parameters),
            "user_agent_utils_config" => self.user_agent_utils = without_parameters(&parameters),
            "ua_parser_config" => self.ua_parser = ua_parser::Config::read(&parameters),
            "event_fingerprint_config" => {
                self.fingerprint = fingerprint::Fingerprint::read(&parameters);
            }
            "cookie_extractor_config" => self.cookies = cookies::Cookies::read(&parameters),
            "http_header_extractor_config" => self.headers = headers::Headers::read(&parameters),
            "iab_spiders_and_robots_enrichment" => {
                self.iab = iab::Config::read(&parameters, uri);
            }
            "pii_enrichment_config" => self.pii = pii::Pii::read(data),
            "cross_navigation_config" => self.cross_navigation = without_parameters(&parameters),
            "asn_lookups" => self.asn_lookups = asn_lookups::Config::read(&parameters),
            "yauaa_enrichment_config" => self.yauaa = yauaa::Config::read(&parameters),
            "bot_detection_enrichment_config" => {
                self.bot_detection = bot_detection::BotDetection::read(&parameters);
            }
            "woothee_config" => self.woothee = without_parameters(&parameters),
            "client_hints_config" => self.client_hints = without_parameters(&parameters),
            "javascript_script_config" => self.script(&parameters, uri, options),
            currency::NAME => self.currency = Currency::read(&parameters, uri),
            sql::NAME => self.sql_query = self.sql(&parameters, uri, options),
            API_REQUEST => self.api_request = self.api(API_REQUEST, &parameters, uri, options),
            EXTRA_API_REQUEST => {
                self.extra_api_request = self.api(EXTRA_API_REQUEST, &parameters, uri, options);
            }
            other => unreachable!("{other} is not among the enrichments that run"),
        }
    }
}

/// The fields of a configuration: a misspelt one would otherwise be one that is left out.
fn fields(name: &str) -> &'static [&'static str] {
    match name {
        "pii_enrichment_config" => {
            &["vendor", "name", "enabled", "parameters", "emitEvent", "anonymousOnly"]
        }
        _ => &["vendor", "name", "enabled", "parameters"],
    }
}

/// Checks that an enrichment which has no parameters is given none.
fn without_parameters(parameters: &Node<'_>) -> bool {
    parameters.clone().present().is_none_or(|given| given.only(&[]).is_some())
}

fn parse(file: &Path, errors: &RefCell<Vec<ConfigError>>) -> Option<Value> {
    let error = |expected: &str, found: String| {
        let (file, pointer) = (file.to_owned(), String::new());
        errors.borrow_mut().push(ConfigError { file, pointer, expected: expected.into(), found });
    };
    match std::fs::read(file) {
        Err(why) => error("a readable file", why.to_string()),
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(json) => return Some(json),
            Err(why) => error("JSON", why.to_string()),
        },
    }
    None
}

#[cfg(test)]
mod tests;
