//! The conversions against what a running peer made of the same texts.
//!
//! Reads the recorded cases from `../shared/vectors` beside the repository; where they are absent
//! it says so and passes. A case counts as far as it is about conversions: parameters of a GET
//! request, its query string, its addresses, its URLs. What the whole pipeline makes of a case is
//! for the pipeline's tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use event::charset::Charset;
use event::url::{self, CrossDomainError, Url};
use event::{Bump, convert, query, time};
use serde_json::Value;

type Columns = BTreeMap<String, String>;
/// Field and expectation of each refusal; for a URL, what comes before the parsers' own words.
type Refusals = BTreeSet<(String, String)>;

/// Where a text that should have been percent-encoded stands for itself, as the peer does not have
/// it: `tests/vectors/deviations.toml` says why.
const RAW: [&str; 5] = [
    "qs/raw-e-acute-low-byte",
    "qs/raw-cjk-low-byte",
    "qs/raw-emoji",
    "qs/raw-euro",
    "cross-domain/unicode-id-raw",
];

#[test]
fn conversions_agree_with_a_running_peer() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for file in
        ["core-params", "core-urls", "core-uris", "core-querystring", "core-limits", "core-wire"]
    {
        let Some(cases) = read(&format!("cases/{file}.jsonl")) else { return };
        for case in cases.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")) {
            let Some(payload) = case.get("payload").filter(|payload| is_get(payload)) else {
                continue;
            };
            checked += 1;
            let deviates = RAW.contains(&case["name"].as_str().unwrap_or_default());
            match check(payload, &case["out"][0]) {
                Err(message) if !deviates => wrong.push(format!("{}: {message}", case["name"])),
                Ok(()) if deviates => wrong.push(format!("{}: agrees after all", case["name"])),
                _ => {}
            }
        }
    }
    assert!(checked > 500, "only {checked} cases were about conversions");
    assert!(wrong.is_empty(), "{} of {checked} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// A recorded file, if the recordings are there.
#[allow(clippy::print_stderr, reason = "a skipped test must say so")]
fn read(name: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors").join(name);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        eprintln!("skipped: no recorded cases at {}", path.display());
    }
    text
}

fn is_get(payload: &Value) -> bool {
    let path = payload["path"].as_str().unwrap_or_default();
    let tp1 = convert::path(path) == Some(("com.snowplowanalytics.snowplow", "tp1"));
    tp1 && payload.get("body").is_none_or(Value::is_null)
}

fn check(payload: &Value, out: &Value) -> Result<(), String> {
    let arena = Bump::new();
    let encoding = payload["encoding"].as_str().unwrap_or("UTF-8");
    let querystring = payload["querystring"].as_str().unwrap_or_default();
    let bad = &out["bad"]["data"]["failure"];
    let Some(charset) = Charset::named(encoding) else {
        return expect(
            true,
            out["bad"]["schema"].as_str().is_some_and(|s| s.contains("format_viol")),
        );
    };
    let pairs = match query::parse(querystring, encoding, &arena) {
        Ok(pairs) => pairs,
        Err(error) => {
            let expectation = bad["message"]["expectation"].as_str().unwrap_or("");
            let detail = expectation.split_once(": ").map_or("", |(_, detail)| detail);
            return expect(error.to_string().as_str(), detail);
        }
    };
    if bad["message"]["payloadField"].as_str().is_some_and(|field| field == "querystring") {
        return Err(format!("the query string should be refused: {bad}"));
    }
    let mut predicted = Predicted { charset, ..Predicted::default() };
    predicted.addresses(payload, &arena);
    let parameters: BTreeMap<_, _> = pairs.iter().copied().collect();
    for (name, value) in &parameters {
        if let Some(value) = value {
            predicted.parameter(name, value, &arena);
        }
    }
    if let (None, Some(referer)) =
        (predicted.columns.get("page_url"), payload["refererUri"].as_str())
    {
        predicted.url("page", referer, &arena);
    }
    predicted.compare(&parameters, out)
}

fn expect<T: PartialEq + std::fmt::Debug>(ours: T, theirs: T) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("\n  ours   {ours:?}\n  theirs {theirs:?}")) }
}

/// What the conversions make of one request.
struct Predicted {
    columns: Columns,
    refusals: Refusals,
    charset: Charset,
    /// A peer loses the whole payload here.
    crash: bool,
}

impl Default for Predicted {
    fn default() -> Predicted {
        Predicted {
            columns: Columns::new(),
            refusals: Refusals::new(),
            charset: Charset::Utf8,
            crash: false,
        }
    }
}

impl Predicted {
    fn addresses(&mut self, payload: &Value, arena: &Bump) {
        let headers: Vec<&str> = payload["headers"]
            .as_array()
            .map(|headers| headers.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let address = match payload.get("ipAddress") {
            Some(address) => address.as_str(),
            None => Some("198.51.100.23"),
        };
        if let Some(ip) = convert::client_ip(&headers, address, arena) {
            self.ip(ip, arena);
        }
        if let Some(id) = payload["networkUserId"].as_str() {
            self.set("network_userid", convert::uuid_lenient(id, arena));
        }
    }

    fn ip(&mut self, text: &str, arena: &Bump) {
        match convert::first_ip(text, arena) {
            Ok(ip) => self.set("user_ipaddress", ip),
            Err(_) => self.crash = true,
        }
    }

    fn set(&mut self, column: &str, value: Option<&str>) {
        match value {
            Some(value) => self.columns.insert(column.to_owned(), value.to_owned()),
            None => self.columns.remove(column),
        };
    }

    fn refuse(&mut self, field: &str, expectation: impl ToString) {
        self.refusals.insert((field.to_owned(), expectation.to_string()));
    }

    fn take<T, E: ToString>(&mut self, name: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.refuse(name, error)).ok()
    }

    fn parameter(&mut self, name: &str, value: &str, arena: &Bump) {
        let (kind, column) = rule(name);
        match kind {
            "text" => self.set(column, convert::tsv_safe(value, arena)),
            "int" => {
                if let Some(number) = self.take(name, convert::int32(value, arena)) {
                    self.set(column, number);
                }
            }
            "decimal" => {
                let expectation = |message| {
                    format!("cannot be converted to java.math.BigDecimal. Error : {message}")
                };
                if let Some(number) =
                    self.take(name, convert::decimal(value, arena).map_err(expectation))
                {
                    self.set(column, number);
                }
            }
            "bool" => match convert::bool01(value) {
                Some(flag) => self.set(column, Some(flag)),
                None => self.refuse(name, "cannot be converted to Boolean-like java.lang.Byte"),
            },
            "time" => {
                if let Some((_, text)) = self.take(name, convert::ms_timestamp(value, arena)) {
                    self.set(column, Some(text));
                }
            }
            "uuid" => match convert::uuid_strict(value, arena) {
                Some(uuid) => self.set(column, Some(uuid)),
                None => self.refuse(name, "not a valid UUID"),
            },
            "dimensions" => {
                let (width, height) = column.split_once(' ').expect("two columns");
                if let Some(pair) = self.take(name, convert::dimensions(value, arena)) {
                    self.set(width, Some(pair.0));
                    self.set(height, Some(pair.1));
                }
            }
            "event" => match convert::event_type(value) {
                Some(event) => self.set(column, Some(event)),
                None => self.refuse(name, "not recognized as an event type"),
            },
            "platform" if convert::platform(value) => self.set(column, Some(value)),
            "platform" => self.refuse(name, "not recognized as a tracking platform"),
            "ip" => self.ip(value, arena),
            "url" => {
                if let Some(value) = convert::tsv_safe(value, arena) {
                    self.set("page_referrer", Some(value).filter(|_| column == "refr"));
                    self.url(column, value, arena);
                }
            }
            _ => {}
        }
    }

    fn url(&mut self, prefix: &str, text: &str, arena: &Bump) {
        let url = match url::parse(text, arena) {
            Ok(url) => url,
            Err(message) => {
                let message = message.text();
                let frame = message.split(" (error: ").next().unwrap_or_default();
                return self.refuse("uri", frame);
            }
        };
        let port = url.port.to_string();
        let parts = [
            ("scheme", url.scheme),
            ("host", url.host),
            ("port", Some(&*port)),
            ("path", url.path),
            ("query", url.query),
            ("fragment", url.fragment),
        ];
        for (part, value) in parts {
            self.set(&format!("{prefix}_url{part}"), value);
        }
        if prefix == "page" {
            self.set("page_url", Some(url.text).filter(|text| !text.is_empty()));
            self.cross_domain(url, arena);
        }
    }

    fn cross_domain(&mut self, url: Url<'_>, arena: &Bump) {
        let parameters = url.parameters(self.charset, arena);
        let Some(value) = parameters.iter().rev().find(|(name, _)| *name == "_sp") else { return };
        match url::cross_domain(value.1.unwrap_or_default(), arena) {
            Ok((user, time)) => {
                self.set("refr_domain_userid", user);
                self.set("refr_dvce_tstamp", time);
            }
            Err(CrossDomainError::OnlyDots) => self.crash = true,
            Err(error) => self.refuse("sp_dtm", error),
        }
    }

    fn derived(&self, columns: &Columns) -> Option<String> {
        let at = |column: &str| columns.get(column).and_then(|text| time::parse_ms(text));
        let arena = Bump::new();
        let collector = at("collector_tstamp")?;
        let derived = match (at("true_tstamp"), at("dvce_created_tstamp"), at("dvce_sent_tstamp")) {
            (Some(truth), _, _) => truth,
            (None, Some(created), Some(sent)) if created < sent => {
                time::derived(collector, created, sent).unwrap_or(collector)
            }
            _ => collector,
        };
        Some(time::format_ms(derived, &arena).to_owned())
    }

    fn compare(
        &self,
        parameters: &BTreeMap<&str, Option<&str>>,
        out: &Value,
    ) -> Result<(), String> {
        if self.crash {
            let schema = out["bad"]["schema"].as_str().unwrap_or_default();
            return expect(true, schema.contains("/generic_error/"));
        }
        let Some(enriched) = out["enriched"].as_object() else {
            return expect(&self.refusals, &self.known_refusals(out, parameters));
        };
        expect(&Refusals::new(), &self.refusals)?;
        let enriched: Columns = enriched
            .iter()
            .filter_map(|(column, text)| Some((column.clone(), text.as_str()?.to_owned())))
            .collect();
        expect(self.derived(&enriched), enriched.get("derived_tstamp").cloned())?;
        let both = |pair: &[&str; 2]| pair.iter().all(|name| parameters.contains_key(name));
        let ambiguous = PAIRS.iter().any(both);
        let decided =
            |column: &str| !ambiguous || !(column.starts_with("se_") || column == "ti_name");
        for (column, text) in self.columns.iter().filter(|(column, _)| decided(column)) {
            expect((column, Some(text)), (column, enriched.get(column)))?;
        }
        for (column, text) in enriched.iter().filter(|(column, _)| decided(column)) {
            let ours = RULES.iter().any(|rule| rule.2.split(' ').any(|c| c == column))
                || column.starts_with("page_url")
                || column.starts_with("refr_url");
            if ours && !["event_id", "v_collector"].contains(&&**column) {
                expect((column, self.columns.get(column)), (column, Some(text)))?;
            }
        }
        Ok(())
    }

    /// The refusals in a bad row that come from conversions.
    fn known_refusals(&self, out: &Value, parameters: &BTreeMap<&str, Option<&str>>) -> Refusals {
        let none = Vec::new();
        let messages = out["bad"]["data"]["failure"]["messages"].as_array().unwrap_or(&none);
        let refusals = messages.iter().filter_map(|message| {
            let message = &message["message"];
            if let Some(error) = message["error"].as_str() {
                let frame = error.split(" (error: ").next().unwrap_or_default();
                return error
                    .starts_with("Provided URI")
                    .then(|| ("uri".to_owned(), frame.to_owned()));
            }
            let (field, expectation) =
                (message["field"].as_str()?, message["expectation"].as_str()?);
            let known = !rule(field).0.is_empty() && parameters.contains_key(field);
            let ours = known || field == "sp_dtm";
            ours.then(|| (field.to_owned(), expectation.to_owned()))
        });
        refusals.collect()
    }
}

/// Parameters that set the same column; which of them wins is not a matter of conversion.
const PAIRS: [[&str; 2]; 6] = [
    ["se_ca", "ev_ca"],
    ["se_ac", "ev_ac"],
    ["se_la", "ev_la"],
    ["se_pr", "ev_pr"],
    ["se_va", "ev_va"],
    ["ti_nm", "ti_na"],
];

fn rule(name: &str) -> (&'static str, &'static str) {
    let rule = RULES.iter().find(|rule| rule.0 == name);
    rule.map_or(("", ""), |rule| (rule.1, rule.2))
}

const RULES: [(&str, &str, &str); 71] = [
    ("e", "event", "event"),
    ("ip", "ip", "user_ipaddress"),
    ("aid", "text", "app_id"),
    ("p", "platform", "platform"),
    ("tid", "int", "txn_id"),
    ("uid", "text", "user_id"),
    ("duid", "text", "domain_userid"),
    ("nuid", "text", "network_userid"),
    ("tnuid", "text", "network_userid"),
    ("fp", "text", "user_fingerprint"),
    ("vid", "int", "domain_sessionidx"),
    ("sid", "uuid", "domain_sessionid"),
    ("dtm", "time", "dvce_created_tstamp"),
    ("ttm", "time", "true_tstamp"),
    ("stm", "time", "dvce_sent_tstamp"),
    ("tna", "text", "name_tracker"),
    ("tv", "text", "v_tracker"),
    ("cv", "text", "v_collector"),
    ("lang", "text", "br_lang"),
    ("f_pdf", "bool", "br_features_pdf"),
    ("f_fla", "bool", "br_features_flash"),
    ("f_java", "bool", "br_features_java"),
    ("f_dir", "bool", "br_features_director"),
    ("f_qt", "bool", "br_features_quicktime"),
    ("f_realp", "bool", "br_features_realplayer"),
    ("f_wma", "bool", "br_features_windowsmedia"),
    ("f_gears", "bool", "br_features_gears"),
    ("f_ag", "bool", "br_features_silverlight"),
    ("cookie", "bool", "br_cookies"),
    ("res", "dimensions", "dvce_screenwidth dvce_screenheight"),
    ("cd", "text", "br_colordepth"),
    ("tz", "text", "os_timezone"),
    ("refr", "url", "refr"),
    ("url", "url", "page"),
    ("page", "text", "page_title"),
    ("cs", "text", "doc_charset"),
    ("ds", "dimensions", "doc_width doc_height"),
    ("vp", "dimensions", "br_viewwidth br_viewheight"),
    ("eid", "uuid", "event_id"),
    ("ev_ca", "text", "se_category"),
    ("ev_ac", "text", "se_action"),
    ("ev_la", "text", "se_label"),
    ("ev_pr", "text", "se_property"),
    ("ev_va", "decimal", "se_value"),
    ("se_ca", "text", "se_category"),
    ("se_ac", "text", "se_action"),
    ("se_la", "text", "se_label"),
    ("se_pr", "text", "se_property"),
    ("se_va", "decimal", "se_value"),
    ("tr_id", "text", "tr_orderid"),
    ("tr_af", "text", "tr_affiliation"),
    ("tr_tt", "decimal", "tr_total"),
    ("tr_tx", "decimal", "tr_tax"),
    ("tr_sh", "decimal", "tr_shipping"),
    ("tr_ci", "text", "tr_city"),
    ("tr_st", "text", "tr_state"),
    ("tr_co", "text", "tr_country"),
    ("ti_id", "text", "ti_orderid"),
    ("ti_sk", "text", "ti_sku"),
    ("ti_na", "text", "ti_name"),
    ("ti_nm", "text", "ti_name"),
    ("ti_ca", "text", "ti_category"),
    ("ti_pr", "decimal", "ti_price"),
    ("ti_qu", "int", "ti_quantity"),
    ("pp_mix", "int", "pp_xoffset_min"),
    ("pp_max", "int", "pp_xoffset_max"),
    ("pp_miy", "int", "pp_yoffset_min"),
    ("pp_may", "int", "pp_yoffset_max"),
    ("tr_cu", "text", "tr_currency"),
    ("ti_cu", "text", "ti_currency"),
    ("_sp", "", "refr_domain_userid refr_dvce_tstamp"),
];
