//! Folders of configurations, good and bad.

use std::collections::BTreeMap;

use super::*;
use crate::Enrichments;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a temporary file");
    }
    folder
}

fn configuration(name: &str, vendor: &str, parameters: &str) -> String {
    format!(
        r#"{{"schema":"iglu:{vendor}/{name}","data":{{"enabled":true,"parameters":{parameters}}}}}"#
    )
}

/// Every error as `pointer: expected, found`, by file.
fn errors(files: &[(&str, &str)], options: &Options) -> Vec<String> {
    let folder = folder(files);
    let errors = Configuration::read(folder.path(), options).expect_err("errors");
    let text = |error: &ConfigError| {
        let file = error.file.file_name().map(|name| name.to_string_lossy().into_owned());
        let ConfigError { pointer, expected, found, .. } = error;
        format!("{} {pointer}: {expected}, {found}", file.unwrap_or_default())
    };
    errors.iter().map(text).collect()
}

#[test]
fn a_field_beside_the_parameters_must_be_known() {
    let pii = "pii_enrichment_config/jsonschema/2-0-1";
    let data = r#""enabled":true,"emitEvnt":true,"parameters":{"pii":[],"strategy":
        {"pseudonymize":{"hashFunction":"MD5","salt":"s"}}}"#;
    let pii = format!(r#"{{"schema":"iglu:{ENRICHMENTS}/{pii}","data":{{{data}}}}}"#);
    let woothee = r#"{"schema":"iglu:snowmelt/woothee_config/jsonschema/1-0-0",
        "data":{"enabled":true,"emitEvent":true}}"#;
    assert_eq!(
        errors(&[("1.json", &pii), ("2.json", woothee)], &Options::default()),
        [
            "1.json /data/emitEvnt: a known field (vendor, name, enabled, parameters, emitEvent, \
             anonymousOnly), \"emitEvnt\"",
            "2.json /data/emitEvent: a known field (vendor, name, enabled, parameters), \
             \"emitEvent\"",
        ]
    );
}

#[test]
fn every_mistake_of_every_file_is_reported_at_once() {
    let anon = configuration(
        "anon_ip/jsonschema/1-0-1",
        SNOWPLOW,
        r#"{"anonOctets":5,"anonSegments":"3","x":1}"#,
    );
    let fingerprint = configuration(
        "event_fingerprint_config/jsonschema/1-0-1",
        SNOWPLOW,
        r#"{"hashAlgorithm":"CRC","excludeParameters":["a",2]}"#,
    );
    let lookups = configuration(
        "ip_lookups/jsonschema/2-0-0",
        SNOWPLOW,
        r#"{"geo":{"database":"../x.mmdb","uri":"http://a"},"asn":{},
            "isp":{"database":"a/b.mmdb","uri":"http://a"}}"#,
    );
    let version = configuration("anon_ip/jsonschema/2-0-0", SNOWPLOW, "{}");
    let other = configuration("mystery/jsonschema/1-0-0", "com.acme", "{}");
    let found = errors(
        &[
            ("1.json", &anon),
            ("2.json", &fingerprint),
            ("3.json", &lookups),
            ("4.json", &version),
            ("5.json", &other),
            ("6.json", "{"),
            ("7.json", r#"{"schema":"iglu:a","data":{}}"#),
        ],
        &Options::default(),
    );
    let starts = [
        "1.json /data/parameters/x: a known field (anonOctets, anonSegments), \"x\"",
        "1.json /data/parameters/anonOctets: a whole number from 1 to 4, 5",
        "1.json /data/parameters/anonSegments: a whole number from 1 to 8, \"3\"",
        "2.json /data/parameters/hashAlgorithm: one of MD5, SHA1, SHA256, SHA384, SHA512, \"CRC\"",
        "2.json /data/parameters/excludeParameters/1: a text, 2",
        "3.json /data/parameters/asn: a known field (geo, isp, domain, connectionType), \"asn\"",
        "3.json /data/parameters/geo/database: a file's name without its folder, \"../x.mmdb\"",
        "3.json /data/parameters/isp/database: a file's name without its folder, \"a/b.mmdb\"",
        "4.json /schema: iglu:com.snowplowanalytics.snowplow/anon_ip/jsonschema/1-0-*, ",
        "5.json /schema: the schema of an enrichment's configuration, ",
        "6.json : JSON, EOF",
        "7.json /schema: an Iglu URI, \"iglu:a\"",
    ];
    for start in starts {
        assert!(found.iter().any(|error| error.starts_with(start)), "{start} in {found:#?}");
    }
}

#[test]
fn what_does_not_run_here_is_refused_unless_allowed() {
    let file = configuration("weather_enrichment_config/jsonschema/1-0-0", ENRICHMENTS, "{}");
    let files = [("weather.json", &*file)];
    let found = errors(&files, &Options::default());
    assert!(found[0].contains("in place of weather: nothing"), "{found:?}");
    let options = Options { allow_unsupported: vec!["weather".into()], ..Options::default() };
    let folder = folder(&files);
    let read = Configuration::read(folder.path(), &options).expect("allowed");
    assert_eq!(read.warnings.len(), 1);
    let missing = Configuration::read(&folder.path().join("none"), &options).expect_err("missing");
    assert_eq!(missing.len(), 1);
}

#[test]
fn disabled_configurations_do_nothing_and_later_files_win() {
    let one = configuration("anon_ip/jsonschema/1-0-0", SNOWPLOW, r#"{"anonOctets":1}"#);
    let two = one.replace("\"anonOctets\":1", "\"anonOctets\":2");
    let off = one.replace("true", "false").replace("\"anonOctets\":1", "\"nonsense\":[]");
    let folder = folder(&[
        ("b.json", &two),
        ("a.json", &one),
        ("c.json", &off),
        ("d.hocon", ""),
        (".x", ""),
    ]);
    let read = Configuration::read(folder.path(), &Options::default()).expect("a configuration");
    let arena = event::Bump::new();
    assert_eq!(read.anon_ip.expect("configured").mask("1.2.3.4", &arena), "1.2.x.x");
    assert_eq!(read.warnings.len(), 1, "{:?}", read.warnings);
}

#[test]
fn secrets_come_by_reference_and_are_never_shown() {
    let pii = |salt: &str| {
        let parameters = format!(
            r#"{{"pii":[{{"pojo":{{"field":"user_id"}}}}],
                "strategy":{{"pseudonymize":{{"hashFunction":"SHA-256","salt":{salt}}}}}}}"#
        );
        configuration("pii_enrichment_config/jsonschema/2-0-0", ENRICHMENTS, &parameters)
    };
    let variables = BTreeMap::from([("SALT".to_owned(), "pepper123".to_owned())]);
    let options = Options { variables, ..Options::default() };
    let secret = folder(&[("salt", "pepper123\n")]);
    let path = secret.path().join("salt");
    for salt in ["\"${SALT}\"", &format!("\"${{file:{}}}\"", path.display()), "\"pepper123\""] {
        let folder = folder(&[("pii.json", &pii(salt))]);
        let read = Configuration::read(folder.path(), &options).expect("a configuration");
        let shown = format!("{read:?}");
        assert!(shown.contains("***") && !shown.contains("pepper123"), "{shown}");
        let enrichments = Enrichments::open(read, None).expect("no assets");
        let (arena, mut event) = (event::Bump::new(), event::Event::new());
        event.set(event::Field::UserId, Some("john@acme.com"));
        enrichments.anonymise(&mut event, &[], &arena);
        assert_eq!(
            event.get(event::Field::UserId),
            Some("7d8a4beae5bc9d314600667d2f410918f9af265017a6ade99f60a9c8f3aac6e9")
        );
    }
    let unset = errors(&[("pii.json", &pii("\"${NONE}\""))], &options);
    assert!(unset[0].ends_with("salt: the variable NONE to be set, nothing"), "{unset:?}");
    let wrong = errors(&[("pii.json", &pii("12345"))], &options);
    assert!(wrong[0].ends_with("salt: a text, a number"), "{wrong:?}");
}

#[test]
fn assets_are_named_and_missing_ones_reported_with_their_place() {
    let file = configuration(
        "ip_lookups/jsonschema/2-0-1",
        SNOWPLOW,
        r#"{"geo":{"database":"GeoLite2-City.mmdb","uri":"https://a.example/db/"},
            "asn":{"database":"GeoLite2-ASN.mmdb","uri":"https://a.example/db"}}"#,
    );
    let folder = folder(&[("ip.json", &file), ("GeoLite2-ASN.mmdb", "no database")]);
    let options = Options::default();
    let read = Configuration::read(folder.path(), &options).expect("a configuration");
    let sources: Vec<_> = read.assets().iter().map(|asset| asset.source()).collect();
    let base = "https://a.example/db";
    assert_eq!(
        sources,
        [format!("{base}/GeoLite2-City.mmdb"), format!("{base}/GeoLite2-ASN.mmdb")]
    );
    let errors = Enrichments::open(read, Some(folder.path())).map(|_| ()).expect_err("errors");
    let pointers: Vec<_> = errors.iter().map(|error| &*error.pointer).collect();
    assert_eq!(pointers, ["/data/parameters/geo/database", "/data/parameters/asn/database"]);
    let none = Enrichments::load(folder.path(), None, &options).map(|_| ()).expect_err("errors");
    assert!(none[0].found.contains("no folder of assets"), "{none:?}");
}

#[test]
fn steps_are_cut_and_assets_forgotten() {
    let asset = |name: &str| format!(r#"{{"database":"{name}","uri":"https://a.example"}}"#);
    let lookups = format!(r#"{{"geo":{},"isp":{}}}"#, asset("geo.mmdb"), asset("isp.mmdb"));
    let lookups = configuration("ip_lookups/jsonschema/2-0-0", SNOWPLOW, &lookups);
    let rules = configuration("ua_parser_config/jsonschema/1-0-0", SNOWPLOW, &asset("ua.yaml"));
    let folder = folder(&[("a.json", &lookups), ("b.json", &rules)]);
    let mut read = Configuration::read(folder.path(), &Options::default()).expect("it is right");
    assert_eq!(read.steps(), ["ua_parser_config", "ip_lookups"]);
    assert_eq!(read.first(1).steps(), ["ua_parser_config"]);
    assert!(read.first(0).steps().is_empty());
    let names = |read: &Configuration| -> Vec<String> {
        read.assets().iter().map(|asset| asset.database.clone()).collect()
    };
    read.forget("geo.mmdb");
    assert_eq!(names(&read), ["ua.yaml", "isp.mmdb"]);
    read.forget("ua.yaml");
    assert_eq!(read.steps(), ["ip_lookups"]);
}

#[test]
fn half_a_database_is_told_from_a_whole_one() {
    let place = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = place.join("../../shared/vectors/assets/GeoIP2-City.mmdb");
    // Only beside the recordings; the databases are not ours to keep.
    let Ok(mut bytes) = std::fs::read(place) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("geo.mmdb");
    let asset = Asset {
        database: "geo.mmdb".into(),
        uri: String::new(),
        file: "a.json".into(),
        pointer: "/data".into(),
    };
    std::fs::write(&file, &bytes).expect("a file");
    asset.verify(&file).expect("it is whole");
    // Its end, by which it is opened, is there.
    let middle = bytes.len() / 2;
    bytes[middle..middle + 2000].fill(0xff);
    std::fs::write(&file, &bytes).expect("a file");
    assert_eq!(asset.verify(&file).expect_err("it is broken").pointer, "/data");
}
