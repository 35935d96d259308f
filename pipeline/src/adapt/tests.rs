//! Every adapter of a webhook on requests that nobody should send.

use std::sync::Arc;

use event::bad_row::Processor;
use event::{CollectorPayload, SchemaKey, json};
use proptest::prelude::*;
use proptest::sample::select;

use super::built_in::WEBHOOKS;
use super::*;
use crate::Settings;

const CONTENT_TYPES: [Option<&str>; 3] =
    [None, Some("application/json"), Some("application/x-www-form-urlencoded")];

/// Words that adapters look for.
const WORDS: [&str; 40] = [
    "action",
    "assign",
    "event",
    "event-data",
    "event_data",
    "type",
    "sent",
    "open",
    "transcript",
    "subscribe",
    "subscriptionType",
    "contact.creation",
    "occurredAt",
    "ts",
    "timestamp",
    "token",
    "signature",
    "messages",
    "incident.trigger",
    "created_on",
    "null",
    "items",
    "operators",
    "data",
    "data.json",
    "data.xml",
    "page_id",
    "page_name",
    "page_url",
    "variant",
    "message",
    "mandrill_events",
    "sg_event_id",
    "records",
    "occurred",
    "processed",
    "id",
    "CLOSE",
    "t",
    "pageview",
];

/// Adapters with every way in which a description can be read.
fn adapters() -> Adapters {
    let mut adapters = Adapters::default();
    let place = |text| Place::parse(text).expect("a place");
    let pointer = |text| Pointer::parse(text).expect("a pointer");
    let schema = SchemaKey::parse("iglu:com.acme/a/jsonschema/1-0-0").expect("an Iglu URI");
    for (version, format, field, events) in [
        ("json", Format::Json, None, None),
        ("inside", Format::Json, None, Some("/data/*")),
        ("lines", Format::JsonLines, None, None),
        ("form", Format::Form, None, None),
        ("field", Format::Form, Some("data"), Some("/messages")),
        ("query", Format::Query, None, None),
    ] {
        let conversions = [
            ("/ts", Conversion::EpochSeconds),
            ("/occurredAt", Conversion::EpochMillis),
            ("/created_on", Conversion::Date),
            ("/*/id", Conversion::Number),
            ("/type", Conversion::Boolean),
            ("/token", Conversion::Text),
            ("/data", Conversion::Json),
            ("/*/*", Conversion::EmptyToNull),
        ];
        let custom = Custom {
            endpoint: ("com.acme".to_owned(), version.to_owned()),
            content_types: Vec::new(),
            format,
            field: field.map(str::to_owned),
            events: events.map(pointer),
            kind: Some(place("/type")),
            schemas: vec![("sent".to_owned(), schema.clone())],
            schema: Some(schema.clone()),
            required: Vec::new(),
            convert: conversions.map(|(at, how)| (pointer(at), how)).to_vec(),
            drop: vec![pointer("/*/token"), pointer("/action")],
            rename: vec![
                (pointer("/event"), "type".to_owned()),
                (pointer("/*/id"), "é\"".to_owned()),
            ],
            keys: Keys::Camel,
            parameters: vec![("eid".to_owned(), place("/id"))],
            platform: "srv".to_owned(),
        };
        adapters.add(custom, None).expect("its path is free");
    }
    adapters
}

fn endpoints() -> Vec<(&'static str, &'static str)> {
    let built_in = WEBHOOKS.iter().map(|webhook| webhook.endpoint);
    let custom = ["json", "inside", "lines", "form", "field", "query"];
    built_in.chain(custom.map(|version| ("com.acme", version))).collect()
}

/// Runs an adapter, and checks that there is something to show for it.
fn check(
    adapters: &Adapters,
    (vendor, version): (&str, &str),
    query: &str,
    content_type: Option<&str>,
    body: Option<&str>,
) {
    let arena = Bump::new();
    let settings = Settings::new(Processor { artifact: String::new(), version: String::new() });
    let schemas: validator::Schemas = std::iter::empty::<(String, validator::Lookup)>().collect();
    let mut schema_check = SchemaCheck::new(&schemas, &settings);
    let querystring = event::query::parse(query, "UTF-8", &arena).unwrap_or_default();
    let payload = CollectorPayload {
        vendor,
        version,
        querystring,
        content_type,
        body,
        ..CollectorPayload::default()
    };
    match events(&payload, adapters, &mut schema_check, &arena) {
        Err(Stop::Pending) => panic!("no webhook needs a schema"),
        Err(Stop::Refused(reasons)) => assert!(!reasons.is_empty()),
        Ok(adapted) => {
            assert!(!adapted.events.is_empty());
            assert!(adapted.refused.is_none_or(|refused| !refused.reasons.is_empty()));
            for event in &adapted.events {
                for name in ["ue_pr", "co"] {
                    let Some(text) = event.get(name) else { continue };
                    let compact = json::compact(text, &arena).expect("adapters write JSON");
                    assert!(compact == text, "in compact form");
                }
            }
        }
    }
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(WORDS.as_slice()).prop_map(str::to_owned),
        1 => "[a-z_\\-\\[\\]0-9.]{0,8}",
        1 => "-?[0-9]{1,20}(\\.[0-9]{1,4})?",
        1 => any::<String>(),
    ]
}

/// JSON that may well be what an adapter looks for.
fn value() -> impl Strategy<Value = String> {
    let quoted = word().prop_map(|word| serde_json::Value::from(word).to_string());
    let scalar = prop_oneof![
        3 => quoted,
        1 => Just("null".to_owned()),
        1 => Just("true".to_owned()),
        1 => "-?(0|[1-9][0-9]{0,19})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
    ];
    scalar.prop_recursive(5, 40, 6, |inner| {
        let member = (word(), inner.clone())
            .prop_map(|(key, value)| format!("{}:{value}", serde_json::Value::from(key)));
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(|all| format!("[{}]", all.join(","))),
            prop::collection::vec(member, 0..6).prop_map(|all| format!("{{{}}}", all.join(","))),
        ]
    })
}

fn form() -> impl Strategy<Value = String> {
    let pair =
        (word(), prop::option::of(prop_oneof![word(), value()])).prop_map(|(name, value)| {
            let name = percent_encoded(&name);
            value.map_or(name.clone(), |value| format!("{name}={}", percent_encoded(&value)))
        });
    prop::collection::vec(pair, 0..6).prop_map(|pairs| pairs.join("&"))
}

fn body() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => value(),
        3 => form(),
        1 => prop::collection::vec(value(), 1..4).prop_map(|lines| lines.join("\n")),
        1 => prop::collection::vec(word(), 12..27).prop_map(|fields| fields.join("\t")),
        1 => any::<String>(),
    ]
}

thread_local! {
    static ADAPTERS: Arc<Adapters> = Arc::new(adapters());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_adapter_is_total(
        endpoint in select(endpoints()),
        query in form(),
        content_type in select(CONTENT_TYPES.as_slice()),
        body in prop::option::weighted(0.95, body()),
    ) {
        let adapters = ADAPTERS.with(Arc::clone);
        check(&adapters, endpoint, &query, content_type, body.as_deref());
    }
}

/// Bodies that would take for ever, or all memory, or the stack, where work is not proportionate.
#[test]
fn large_and_deep_bodies_are_read_in_one_go() {
    const MANY: usize = 4_000;
    let pairs = |pair: &dyn Fn(usize) -> String, between: &str| {
        (0..MANY).map(pair).collect::<Vec<_>>().join(between)
    };
    let deep = format!("{}1{}", "[".repeat(MANY), "]".repeat(MANY));
    let deep_objects = format!("{}1{}", "{\"a\":".repeat(MANY), "}".repeat(MANY));
    let wide = format!("{{{}}}", pairs(&|index| format!("\"k_{index}\":{index}"), ","));
    let bodies = [
        format!("[{deep}]"),
        format!("{{\"messages\":{deep_objects},\"type\":\"sent\",\"event-data\":{deep}}}"),
        wide.clone(),
        format!("{{\"signature\":{wide},\"event-data\":{wide}}}"),
        format!(
            "[{}]",
            pairs(&|index| format!("{{\"sg_event_id\":\"{index}\",\"event\":\"open\"}}"), ",")
        ),
        format!("type=subscribe&{}", pairs(&|index| format!("a[{index}]={index}"), "&")),
        format!("type=subscribe&{}", "a[b]=c&".repeat(MANY)),
        format!("type=subscribe&x{}=1", "[y]".repeat(MANY)),
        format!("t=pageview&{}", pairs(&|index| format!("pr{index}id=x"), "&")),
        "t=pageview\n".repeat(MANY),
        format!("mandrill_events={}", percent_encoded(&format!("[{deep}]"))),
        "\t".repeat(MANY),
    ];
    let adapters = adapters();
    for endpoint in endpoints() {
        for body in &bodies {
            for content_type in CONTENT_TYPES {
                check(&adapters, endpoint, "", content_type, Some(body));
            }
            let query = body.replace(['[', ']', '{', '}', '"', '\n', '\t'], "%22");
            check(&adapters, endpoint, &query, None, None);
        }
    }
}
