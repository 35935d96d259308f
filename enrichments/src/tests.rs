//! The order of everything, and that nothing an event may hold makes a step fall over.

use event::fields::FIELDS;
use event::{CollectorPayload, Entity, RawEvent, Reason};
use proptest::prelude::*;

use super::*;

const REFERERS: &str = r#"{"search": {"Acme": {"domains": ["search.example"],
    "parameters": ["q"], "utm_sources": ["acme"]}}}"#;
const RULES: &str = "user_agent_parsers: [{regex: '(Acme)/(\\d+)'}]\nos_parsers: []\n\
    device_parsers: [{regex: '(Phone)'}]\n";

/// Name, vendor and parameters of each configuration.
const CONFIGURATIONS: [(&str, &str, &str); 12] = [
    (
        "referer_parser/jsonschema/2-0-1",
        "com.snowplowanalytics.snowplow",
        r#"{"internalDomains":[],"database":"referers","uri":"x","referrers":
            {"partner":{"Own":{"domains":["search.example"],"parameters":["q"]}}}}"#,
    ),
    (
        "campaign_attribution/jsonschema/1-0-0",
        "com.snowplowanalytics.snowplow",
        r#"{"fields":{"mktMedium":["m"],"mktSource":["s"],"mktTerm":[],"mktContent":[],
            "mktCampaign":["utm_campaign"]}}"#,
    ),
    (
        "ua_parser_config/jsonschema/1-0-1",
        "com.snowplowanalytics.snowplow",
        r#"{"database":"rules","uri":"x"}"#,
    ),
    (
        "iab_spiders_and_robots_enrichment/jsonschema/1-0-0",
        "com.snowplowanalytics.snowplow.enrichments",
        r#"{"ipFile":{"database":"ips","uri":"x"},
            "excludeUseragentFile":{"database":"exclude","uri":"x"},
            "includeUseragentFile":{"database":"include","uri":"x"}}"#,
    ),
    (
        "event_fingerprint_config/jsonschema/1-0-1",
        "com.snowplowanalytics.snowplow",
        r#"{"hashAlgorithm":"SHA512","excludeParameters":["eid"]}"#,
    ),
    (
        "cookie_extractor_config/jsonschema/1-0-0",
        "com.snowplowanalytics.snowplow",
        r#"{"cookies":["a","b"]}"#,
    ),
    (
        "http_header_extractor_config/jsonschema/1-0-0",
        "com.snowplowanalytics.snowplow.enrichments",
        r#"{"headersPattern":"X-.*"}"#,
    ),
    ("anon_ip/jsonschema/1-0-0", "com.snowplowanalytics.snowplow", r#"{"anonOctets":2}"#),
    (
        "pii_enrichment_config/jsonschema/2-0-0",
        "com.snowplowanalytics.snowplow.enrichments",
        r#"{"pii":[{"pojo":{"field":"user_ipaddress"}},
            {"json":{"field":"contexts","schemaCriterion":"iglu:a/b/c/*-*-*",
            "jsonPath":"$..*"}}],"strategy":{"pseudonymize":{"hashFunction":"MD5","salt":""}}}"#,
    ),
    ("cross_navigation_config/jsonschema/1-0-0", ENRICHMENTS_VENDOR, "null"),
    ("woothee_config/jsonschema/1-0-0", "snowmelt", "{}"),
    ("client_hints_config/jsonschema/1-0-0", "snowmelt", "{}"),
];

/// Everything that needs no database switched on.
fn everything() -> Enrichments {
    everything_with(RULES)
}

fn everything_with(rules: &str) -> Enrichments {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a temporary file");
    };
    for (name, vendor, parameters) in CONFIGURATIONS {
        let file = name.split('/').next().expect("a name");
        let text = format!(
            r#"{{"schema":"iglu:{vendor}/{name}","data":{{"enabled":true,
                "parameters":{parameters}}},"emitEvent":true}}"#
        );
        write(&format!("{file}.json"), &text);
    }
    for (name, text) in [
        ("referers", REFERERS),
        ("rules", rules),
        ("ips", "10.0.0.0/8\n"),
        ("exclude", "robot|1||1|9|0\n"),
        ("include", "acme|1|0\n"),
    ] {
        write(name, text);
    }
    Enrichments::load(folder.path(), Some(folder.path()), &Options::default())
        .map_err(|errors| format!("{errors:#?}"))
        .expect("a configuration")
}

const ENRICHMENTS_VENDOR: &str = "com.snowplowanalytics.snowplow.enrichments";

const TIMES: Times =
    Times { collector: 1_714_558_271_000, created: None, sent: None, true_time: None };

#[test]
fn the_last_step_comes_first_among_entities_and_failures() {
    let headers = ["Cookie: b=1; a=2", "X-B: 1", "X-A: 2"];
    let payload = CollectorPayload { headers: &headers, encoding: "UTF-8", ..Default::default() };
    let raw = RawEvent { payload: &payload, parameters: &[("e", Some("pv"))] };
    let (arena, mut event) = (Bump::new(), Event::new());
    for (field, text) in [
        (Field::PageUrl, "http://a.example/?_sp=u.1680681134458&utm_source=acme"),
        (Field::Useragent, "Mozilla/5.0 (Windows NT 10.0) Acme/1 Chrome/120.0 Safari/537.36"),
        (Field::UserIpaddress, "203.0.113.9"),
    ] {
        event.set(field, Some(text));
    }
    let input = Input::new(&raw, TIMES);
    let done = everything().run(&mut event, &input, &mut Caches::default(), &arena);
    let names = |entity: &Entity<'_>| entity.uri.split('/').nth(1).map(str::to_owned);
    let found: Vec<_> = done.entities.iter().filter_map(names).collect();
    assert_eq!(
        found,
        [
            "http_header",
            "http_header",
            "http_cookie",
            "http_cookie",
            "cross_navigation",
            "utm_referrer",
            "ua_parser_context",
            "woothee_context",
            "spiders_and_robots",
        ]
    );
    assert!(done.entities[0].data.contains("X-B") && done.entities[2].data.contains("\"b\""));
    let fields = done.failures.iter().map(|failure| match &failure.reason {
        Reason::Input { field, .. } => field.to_string(),
        other => panic!("unexpected {other:?}"),
    });
    assert_eq!(fields.collect::<Vec<_>>(), ["event", "v_collector"]);
}

#[test]
fn another_generation_forgets_what_the_one_before_found() {
    let (arena, mut caches) = (Bump::new(), Caches::default());
    let payload = CollectorPayload { encoding: "UTF-8", ..Default::default() };
    let raw = RawEvent { payload: &payload, parameters: &[] };
    let input = Input::new(&raw, TIMES);
    let mut family = |enrichments: &Enrichments| {
        let mut event = Event::new();
        event.set(Field::Useragent, Some("Acme/1"));
        let done = enrichments.run(&mut event, &input, &mut caches, &arena);
        event::json::member(done.entities[0].data, "useragentFamily").map(str::to_owned)
    };
    let (old, new) = (everything(), everything_with(&RULES.replace("(Acme)", "(Ac)me")));
    assert_eq!(family(&old).as_deref(), Some("\"Acme\""));
    assert_eq!(family(&new).as_deref(), Some("\"Ac\""));
    assert_eq!(family(&old).as_deref(), Some("\"Acme\""));
}

#[test]
fn referers_of_the_configuration_beat_those_of_the_list() {
    let (arena, mut event) = (Bump::new(), Event::new());
    let payload = CollectorPayload { encoding: "UTF-8", ..Default::default() };
    let raw = RawEvent { payload: &payload, parameters: &[] };
    event.set(Field::PageReferrer, Some("http://search.example/?q=shoes"));
    let input = Input::new(&raw, TIMES);
    everything().run(&mut event, &input, &mut Caches::default(), &arena);
    let fields = [Field::RefrMedium, Field::RefrSource, Field::RefrTerm];
    let found = fields.map(|field| event.get(field));
    assert_eq!(found, [Some("partner"), Some("Own"), Some("shoes")]);
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".*",
        "[a-z0-9.:/?&=%+;_\\[\\]\\-# ]{0,60}",
        Just("http://search.example/x?q=%41&_sp=a.1.b..c.web.%zz&m=1;s=2&utm_source=acme".into()),
        Just("::ffff:1.2.3.4".into()),
        Just("Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) Acme/1 robot Phone".into()),
        Just(
            r#"{"schema":"","data":[{"schema":"iglu:a/b/c/1-0-0","data":{"x":["y",1.50]}}]}"#
                .into()
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_event_makes_a_step_fall_over(
        texts in prop::collection::vec(prop::option::of(text()), 12),
        headers in prop::collection::vec(text(), 0..4),
        times in prop::array::uniform4(any::<i64>()),
    ) {
        thread_local! {
            static EVERYTHING: Enrichments = everything();
        }
        let arena = Bump::new();
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let payload = CollectorPayload { headers: &headers, encoding: "UTF-8", ..Default::default() };
        let parameters = [("a", texts[0].as_deref()), ("b", texts[1].as_deref())];
        let raw = RawEvent { payload: &payload, parameters: &parameters };
        // Collectors and trackers send any number; converting parameters bounds it to the years
        // that can be written.
        let [collector, created, sent, _] = times.map(|time| time % 253_402_300_799_999);
        let times = Times { collector, created: Some(created), sent: Some(sent), true_time: None };
        let mut event = Event::new();
        for (field, value) in [
            Field::PageUrl, Field::PageReferrer, Field::Useragent, Field::UserIpaddress,
            Field::Event, Field::UserId, Field::Platform, Field::NetworkUserid,
        ].into_iter().zip(&texts[2..]) {
            event.set(field, value.as_deref());
        }
        let contexts = texts[11].as_deref().filter(|text| {
            let object = text.starts_with('{') && text.ends_with('}');
            object && serde_json::from_str::<serde_json::Value>(text).is_ok()
        });
        event.set(Field::Contexts, contexts);
        EVERYTHING.with(|enrichments| {
            let input = Input::new(&raw, times);
            let done = enrichments.run(&mut event, &input, &mut Caches::default(), &arena);
            for entity in &done.entities {
                let data = serde_json::from_str::<serde_json::Value>(entity.data);
                prop_assert!(data.is_ok(), "{entity:?}");
            }
            enrichments.anonymise(&mut event, &headers, &arena);
            let made = FIELDS.into_iter().filter(|field| *field as usize > Field::BrName as usize);
            for field in made.filter(|field| *field != Field::Contexts) {
                let text = event.get(field).unwrap_or_default();
                prop_assert!(!text.contains(['\t', '\n']), "{field:?} is {text:?}");
            }
            Ok(())
        })?;
    }
}
