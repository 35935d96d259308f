//! The folder of examples that a peer is published with: its files by name, which of them are
//! switched on, and the shape of their parameters, with values of our own. Who takes that folder
//! over finds it running here with the assets it names and YAUAA's jar.
#![allow(clippy::print_stdout, reason = "a test that checks nothing must say so")]

use std::path::{Path, PathBuf};

use enrichments::{Configuration, Enrichments, Options};
use serde_json::json;

const SNOWPLOW: &str = "com.snowplowanalytics.snowplow";
const ENRICHMENTS: &str = "com.snowplowanalytics.snowplow.enrichments";

/// What is refused if it is switched on, by the short name that allows to skip it.
const REFUSED: [&str; 1] = ["weather"];

/// A file: its name, the vendor, name and version of its schema, whether it is switched on, and its
/// parameters.
type Example = (&'static str, &'static str, &'static str, &'static str, bool, &'static str);

const FILES: [Example; 17] = [
    ("anon_ip", SNOWPLOW, "anon_ip", "1-0-1", true, r#"{"anonOctets":1,"anonSegments":1}"#),
    (
        "api_request_enrichment_config",
        ENRICHMENTS,
        "api_request_enrichment_config",
        "1-0-2",
        false,
        r#"{"inputs":[{"key":"user","pojo":{"field":"user_id"}},
            {"key":"user","json":{"field":"contexts","jsonPath":"$.userId",
              "schemaCriterion":"iglu:com.acme/session/jsonschema/1-*-*"}}],
            "api":{"http":{"method":"GET","uri":"http://api.example/{{user}}","timeout":2000,
              "authentication":{"httpBasic":{"username":"xxx","password":"yyy"}}}},
            "outputs":[{"schema":"iglu:com.acme/user/jsonschema/1-0-0",
              "json":{"jsonPath":"$.record"}}],
            "cache":{"size":3000,"ttl":60},"ignoreOnError":false}"#,
    ),
    (
        "campaign_attribution",
        SNOWPLOW,
        "campaign_attribution",
        "1-0-1",
        true,
        r#"{"mapping":"static","fields":{"mktMedium":["utm_medium"],"mktSource":["utm_source"],
            "mktTerm":["utm_term"],"mktContent":["utm_content"],"mktCampaign":["utm_campaign"]}}"#,
    ),
    (
        "cookie_extractor_config",
        SNOWPLOW,
        "cookie_extractor_config",
        "1-0-0",
        true,
        r#"{"cookies":["sp"]}"#,
    ),
    (
        "currency_conversion_config",
        SNOWPLOW,
        "currency_conversion_config",
        "1-0-0",
        false,
        r#"{"accountType":"DEVELOPER","apiKey":"{{KEY}}","baseCurrency":"EUR",
            "rateAt":"EOD_PRIOR"}"#,
    ),
    (
        "event_fingerprint_enrichment",
        SNOWPLOW,
        "event_fingerprint_config",
        "1-0-1",
        true,
        r#"{"excludeParameters":["eid","stm"],"hashAlgorithm":"MD5"}"#,
    ),
    (
        "http_header_extractor_config",
        ENRICHMENTS,
        "http_header_extractor_config",
        "1-0-0",
        false,
        r#"{"headersPattern":".*"}"#,
    ),
    (
        "iab_spiders_and_robots_enrichment",
        ENRICHMENTS,
        "iab_spiders_and_robots_enrichment",
        "1-0-0",
        false,
        r#"{"ipFile":{"database":"ip_exclude_current_cidr.txt","uri":"s3://acme/iab"},
            "excludeUseragentFile":{"database":"exclude_current.txt","uri":"s3://acme/iab"},
            "includeUseragentFile":{"database":"include_current.txt","uri":"s3://acme/iab"}}"#,
    ),
    (
        "ip_lookups",
        SNOWPLOW,
        "ip_lookups",
        "2-0-0",
        true,
        r#"{"geo":{"database":"GeoLite2-City.mmdb","uri":"http://assets.example/maxmind"}}"#,
    ),
    (
        "javascript_script_enrichment",
        SNOWPLOW,
        "javascript_script_config",
        "1-0-0",
        false,
        r#"{"script":"ZnVuY3Rpb24gcHJvY2VzcyhldmVudCkgeyByZXR1cm4gW107IH0="}"#,
    ),
    (
        "pii_enrichment_config",
        ENRICHMENTS,
        "pii_enrichment_config",
        "2-0-0",
        true,
        r#"{"pii":[{"pojo":{"field":"user_id"}},{"pojo":{"field":"user_ipaddress"}},
            {"json":{"field":"unstruct_event","jsonPath":"$.['clientId', 'userId']",
              "schemaCriterion":"iglu:com.acme/user/jsonschema/1-*-*"}}],
            "strategy":{"pseudonymize":{"hashFunction":"SHA-1","salt":"a salt"}}}"#,
    ),
    (
        "referer_parser",
        SNOWPLOW,
        "referer_parser",
        "2-0-0",
        true,
        r#"{"internalDomains":[],"database":"referers-5.3.json",
            "uri":"https://assets.example/referer-parser/"}"#,
    ),
    (
        "sql_query_enrichment_config",
        ENRICHMENTS,
        "sql_query_enrichment_config",
        "1-0-1",
        false,
        r#"{"inputs":[{"placeholder":1,"pojo":{"field":"user_id"}},
            {"placeholder":1,"json":{"field":"contexts","jsonPath":"$.userId",
              "schemaCriterion":"iglu:com.acme/session/jsonschema/1-*-*"}},
            {"placeholder":2,"pojo":{"field":"app_id"}}],
            "database":{"postgresql":{"host":"db.example","port":5439,"sslMode":true,
              "username":"reader","password":"secret","database":"crm"}},
            "query":{"sql":"SELECT name FROM users WHERE id = ? AND app = ? LIMIT 1"},
            "output":{"expectedRows":"AT_MOST_ONE","json":{"describes":"ALL_ROWS",
              "schema":"iglu:com.acme/user/jsonschema/1-0-0","propertyNames":"CAMEL_CASE"}},
            "cache":{"size":3000,"ttl":60},"ignoreOnError":false}"#,
    ),
    (
        "ua_parser_config",
        SNOWPLOW,
        "ua_parser_config",
        "1-0-1",
        true,
        r#"{"database":"regexes-latest.yaml","uri":"s3://acme/ua-parser/"}"#,
    ),
    ("user_agent_utils_config", SNOWPLOW, "user_agent_utils_config", "1-0-0", true, "{}"),
    (
        "weather_enrichment_config",
        ENRICHMENTS,
        "weather_enrichment_config",
        "1-0-0",
        false,
        r#"{"apiKey":"{{KEY}}","cacheSize":5100,"geoPrecision":1,"apiHost":"weather.example",
            "timeout":5}"#,
    ),
    ("yauaa_enrichment_config", ENRICHMENTS, "yauaa_enrichment_config", "1-0-0", true, ""),
];

/// The folder; with everything switched on if `all`.
fn folder(all: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (file, vendor, name, version, enabled, parameters) in FILES {
        let schema = format!("iglu:{vendor}/{name}/jsonschema/{version}");
        let mut data = json!({"vendor": vendor, "name": name, "enabled": enabled || all});
        if !parameters.is_empty() {
            data["parameters"] = serde_json::from_str(parameters).expect("JSON");
        }
        if name == "pii_enrichment_config" {
            data["emitEvent"] = true.into();
        }
        let text = json!({"schema": schema, "data": data}).to_string();
        std::fs::write(folder.path().join(format!("{file}.json")), text).expect("a file");
    }
    folder
}

#[test]
fn the_folder_is_read_as_it_is() {
    let folder = folder(false);
    let read = Configuration::read(folder.path(), &Options::default()).expect("it is read");
    assert_eq!(
        read.steps(),
        [
            "user_agent_utils_config",
            "ua_parser_config",
            "referer_parser",
            "campaign_attribution",
            "event_fingerprint_config",
            "cookie_extractor_config",
            "yauaa_enrichment_config",
            "ip_lookups",
        ]
    );
    let mut assets: Vec<&str> = read.assets().iter().map(|asset| &*asset.database).collect();
    assets.sort_unstable();
    let named =
        ["GeoLite2-City.mmdb", "referers-5.3.json", "regexes-latest.yaml", "yauaa-7.31.0.jar"];
    assert_eq!(assets, named);
}

#[test]
fn it_opens_with_the_assets_it_names() {
    let there = fetched();
    let assets = tempfile::tempdir().expect("a folder");
    for (from, to) in [
        ("GeoIP2-City.mmdb", "GeoLite2-City.mmdb"),
        ("referers.json", "referers-5.3.json"),
        ("regexes.yaml", "regexes-latest.yaml"),
        ("yauaa-7.31.0.jar", "yauaa-7.31.0.jar"),
        (".yauaa-7.31.0.jar.compiled", ".yauaa-7.31.0.jar.compiled"),
    ] {
        let copied = std::fs::copy(there.join(from), assets.path().join(to));
        if copied.is_err() && !from.starts_with('.') {
            return println!("{from} was not fetched: the folder of examples was not opened");
        }
    }
    let folder = folder(false);
    let opened = Enrichments::load(folder.path(), Some(assets.path()), &Options::default());
    let opened = opened.unwrap_or_else(|errors| panic!("{errors:?}"));
    let robot = opened.explain_useragent("Mozilla/5.0 (compatible; bot/1.0)", &[]);
    assert!(robot.is_some_and(|robot| robot.version == 31));
    std::fs::remove_file(assets.path().join("yauaa-7.31.0.jar")).expect("it was copied");
    let errors = Enrichments::load(folder.path(), Some(assets.path()), &Options::default());
    let errors = errors.err().expect("the jar is gone");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].to_string().contains("yauaa-7.31.0.jar"), "{}", errors[0]);
}

#[test]
fn what_is_refused_is_named() {
    let folder = folder(true);
    let errors = Configuration::read(folder.path(), &Options::default());
    let errors = errors.err().unwrap_or_default();
    assert_eq!(errors.len(), REFUSED.len(), "{errors:?}");
    for (error, short) in errors.iter().zip(REFUSED) {
        assert!(error.expected.contains(&format!("\"{short}\"")), "{error}");
    }
    let allow_unsupported = REFUSED.iter().map(|name| (*name).to_owned()).collect();
    let options = Options { allow_unsupported, ..Options::default() };
    let read = Configuration::read(folder.path(), &options).expect("the others run");
    assert_eq!(read.steps().len() + REFUSED.len() + 2, FILES.len());
    assert_eq!(read.warnings.len(), REFUSED.len(), "{:?}", read.warnings);
}

/// Where the tests' scripts put the assets.
#[allow(clippy::disallowed_methods, reason = "tests look for what is installed")]
fn fetched() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var("CARGO_TARGET_DIR").map_or_else(|_| root.join("target"), Into::into);
    target.join("tools/assets")
}
