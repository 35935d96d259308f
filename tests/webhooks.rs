//! Webhooks as a user meets them: the examples of docs/webhooks.md hold, mistakes in descriptions
//! are named with their place, and descriptions can do what adapters that are built in do.

use enricher::config::{self, Config};
use event::{Bump, CollectorPayload, base64};
use pipeline::Settings;
use pipeline::adapt::{self, Adapters};
use pipeline::load::{self, RecordEncoding};
use pipeline::schema_check::{SchemaCheck, Stop};
use serde_json::Value;

/// The least that a worker must be told.
const LEAST: &str = r#"
[source]
stream = "raw"
[leases]
table = "leases"
[enriched.kinesis]
stream = "enriched"
[bad.s3]
bucket = "bucket"
"#;

const DOCUMENT: &str = include_str!("../docs/webhooks.md");

/// The fenced blocks of TOML in the document. Secrets are references to what every machine has.
fn documented() -> Vec<String> {
    let blocks = DOCUMENT.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let with_secrets = |block: &str| {
        let mut out = String::new();
        let mut parts = block.split("${");
        out.push_str(parts.next().unwrap_or_default());
        for part in parts {
            out.push_str("${PATH");
            out.push_str(&part[part.find('}').expect("a reference ends")..]);
        }
        out
    };
    blocks.map(with_secrets).collect()
}

fn parse(block: &str) -> Result<Config, String> {
    config::parse(&format!("{LEAST}{block}"), "w.toml").map_err(|error| error.to_string())
}

#[test]
fn documented_descriptions_hold() {
    let blocks = documented();
    let mut examples = 0;
    for block in &blocks {
        let config = parse(block).unwrap_or_else(|error| panic!("{error}:\n{block}"));
        examples += config.adapter.iter().map(|webhook| webhook.examples.len()).sum::<usize>();
    }
    assert!(blocks.len() >= 5 && examples >= 5, "{} blocks, {examples} examples", blocks.len());
}

#[test]
fn documented_bodies_pass_through_the_iglu_adapter() {
    let mut passed = 0;
    for webhook in documented().iter().flat_map(|block| parse(block).expect("it holds").adapter) {
        let schema = "iglu:com.acme/any/jsonschema/1-0-0";
        for (_, example) in &webhook.examples {
            let Some(body) = example.body.as_deref().filter(|body| body.starts_with("{\"")) else {
                continue;
            };
            let query = [("schema", Some(schema))];
            let payload = CollectorPayload {
                vendor: "com.snowplowanalytics.iglu",
                version: "v1",
                querystring: &query,
                content_type: Some("application/json"),
                body: Some(body),
                ..CollectorPayload::default()
            };
            let events = adapted(&payload, &Adapters::default()).expect("it is JSON");
            let data: Value = serde_json::from_str(body).expect("it is JSON");
            assert_eq!(events.len(), 1);
            assert_eq!(events[0]["ue_pr"]["data"]["schema"], schema);
            assert_eq!(events[0]["ue_pr"]["data"]["data"], data);
            passed += 1;
        }
    }
    assert_eq!(passed, 3, "Stripe, Shopify and GitHub");
}

#[test]
fn mistakes_in_descriptions_are_named_with_their_place() {
    let description = r#"[[adapter]]
path = "com.acme/v1"
schema = "iglu:com.acme/a/jsonschema/1-0-0"
convert = { "/at" = "epoch_seconds" }

[[adapter.example]]
body = '{"at":0}'
schema = "iglu:com.acme/a/jsonschema/1-0-0"
expect = '{"at":"1970-01-01T00:00:00.000Z"}'
"#;
    parse(description).expect("it holds");
    let example = "w.toml:15:1: the example does not become what it should: ";
    for (from, to, expected) in [
        (
            "epoch_seconds",
            "epoch_secs",
            "w.toml:13:21: unknown variant `epoch_secs`, expected one of `epoch_seconds`, ",
        ),
        (
            "{ \"/at\"",
            "{ \"at\"",
            "w.toml:13:13: expected a JSON pointer such as `/data/id`, found `at`",
        ),
        (
            "com.acme/v1",
            "com.acme",
            "w.toml:11:8: expected a path such as `com.acme/v1`, found `com.acme`",
        ),
        ("path =", "paht =", "w.toml:11:1: unknown field `paht`, expected one of `path`, "),
        (
            "schema = \"iglu:com.acme/a/jsonschema/1-0-0\"\nconvert",
            "schema = \"iglu:com.acme/a\"\nconvert",
            "w.toml:12:10: expected an Iglu URI such as ",
        ),
        ("{\"at\":0}", "{\"at\":1}", &format!("{example}expected the data ")),
        ("'{\"at\":0}'", "'['", &format!("{example}expected events, found ")),
        ("body = '", "schema = \"x\"\nbody = '", "w.toml:"),
        (
            "[[adapter.example]]",
            "type = \"/t\"\n[[adapter.example]]",
            "w.toml:10:1: `type` and `schemas` need each other",
        ),
        (
            "[[adapter.example]]",
            "signature = { scheme = \"github\", secrets = [\"hush\"] }\n[[adapter.example]]",
            "w.toml:15:44: expected a reference such as `${WEBHOOK_SECRET}`",
        ),
        (
            "com.acme/v1",
            "com.snowplowanalytics.snowplow/tp2",
            "w.toml: [[adapter]] path: `com.snowplowanalytics.snowplow/tp2` is taken",
        ),
    ] {
        assert!(description.contains(from), "{from}");
        let error = parse(&description.replacen(from, to, 1)).expect_err(to);
        assert!(error.starts_with(expected), "{error}\nis not\n{expected}");
        assert!(!error.contains("hush"));
    }
    let unknown = parse("[adapters.hubspott]\ncontact_creation = \"iglu:a/b/c/1-0-0\"");
    let error = unknown.expect_err("there is no such adapter");
    assert!(error.starts_with("w.toml:10:11: unknown adapter `hubspott`"), "{error}");
    assert!(error.ends_with("did you mean `hubspot`?"), "{error}");
    let unknown = parse("[adapters.hubspot]\ncontact_created = \"iglu:a/b/c/1-0-0\"");
    let error = unknown.expect_err("there is no such type");
    assert!(error.starts_with("w.toml:11:1: unknown field `contact_created`"), "{error}");
}

#[test]
fn schemas_of_types_can_be_others() {
    let config =
        parse("[adapters.pingdom]\nincident_assign = \"iglu:com.acme/x/jsonschema/2-0-0\"");
    let adapters = config.expect("it can be used").adapters();
    let query = [("message", Some(r#"{"action":"assign","check":"1"}"#))];
    let payload = CollectorPayload {
        vendor: "com.pingdom",
        version: "v1",
        querystring: &query,
        ..CollectorPayload::default()
    };
    let events = adapted(&payload, &adapters).expect("it is a message");
    assert_eq!(events[0]["ue_pr"]["data"]["schema"], "iglu:com.acme/x/jsonschema/2-0-0");
}

#[test]
fn a_wrong_signature_is_a_reason_of_its_own() {
    let block = "[adapters.pingdom.signature]\nscheme = \"hmac\"\nheader = \"X-Sig\"\nsecrets = [\"${PATH}\"]";
    let adapters = parse(block).expect("it can be used").adapters();
    let query = [("message", Some(r#"{"action":"assign"}"#))];
    let payload = CollectorPayload {
        vendor: "com.pingdom",
        version: "v1",
        querystring: &query,
        headers: &["X-Sig: 00"],
        ..CollectorPayload::default()
    };
    let refused = adapted(&payload, &adapters).expect_err("it is not signed");
    assert!(refused.contains(r#""field":"signature""#), "{refused}");
}

/// Descriptions of two webhooks that are built in.
const DESCRIBED: &str = r#"
[[adapter]]
path = "com.pingdom/v1"
body = "query"
field = "message"
type = "/action"
schemas.assign = "iglu:com.pingdom/incident_assign/jsonschema/1-0-0"
schemas.notify_user = "iglu:com.pingdom/incident_notify_user/jsonschema/1-0-0"
schemas.notify_of_close = "iglu:com.pingdom/incident_notify_of_close/jsonschema/1-0-0"
drop = ["/action"]

[[adapter]]
path = "com.unbounce/v1"
body = "form"
content_types = ["application/x-www-form-urlencoded"]
schema = "iglu:com.unbounce/form_post/jsonschema/1-0-0"
required = ["/page_id", "/page_name", "/variant", "/page_url", "/data.json"]
convert = { "/data.json" = "json" }
drop = ["/data.xml"]
keys = "camel"
"#;

#[test]
fn descriptions_do_what_pingdom_and_unbounce_need() {
    let described = parse(DESCRIBED).expect("they hold").adapters();
    let cases = [
        include_str!("vectors/cases/webhook-pingdom.jsonl"),
        include_str!("vectors/cases/webhook-unbounce.jsonl"),
    ];
    let (mut sound, mut refused) = (0, 0);
    for line in cases.iter().flat_map(|cases| cases.lines()) {
        let case: Value = serde_json::from_str(line).expect("a case is JSON");
        let arena = Bump::new();
        let record = case["thrift_b64"].as_str().expect("a record").as_bytes();
        let record = base64::decode_bytes(record, &arena);
        let payload = load::payload(record, RecordEncoding::Plain, &arena).expect("a payload");
        match (adapted(&payload, &Adapters::default()), adapted(&payload, &described)) {
            (Ok(ours), Ok(theirs)) => {
                assert_eq!(ours, theirs, "{}", case["name"]);
                sound += 1;
            }
            (Err(_), Err(_)) => refused += 1,
            (ours, theirs) => panic!("{}: {ours:?}, but {theirs:?}", case["name"]),
        }
    }
    assert!(sound >= 10 && refused >= 10, "{sound} sound, {refused} refused");
}

/// A delivery of Firehose: two records, of which the first has two log entries.
fn delivery(records: &[&str]) -> String {
    let records: Vec<_> = records
        .iter()
        .map(|lines| format!(r#"{{"data":"{}"}}"#, base64::encode(lines.as_bytes())))
        .collect();
    let records = records.join(",");
    format!(r#"{{"requestId":"r-1","timestamp":1767225600000,"records":[{records}]}}"#)
}

fn delivered<'a>(
    body: &'a str,
    query: &'a [event::raw_event::Parameter<'a>],
) -> CollectorPayload<'a> {
    CollectorPayload {
        vendor: "com.amazon.aws.cloudfront",
        version: "firehose",
        querystring: query,
        content_type: Some("application/json"),
        body: Some(body),
        useragent: Some("Amazon Kinesis Data Firehose Agent/1.0"),
        ip_address: Some("203.0.113.9"),
        ..CollectorPayload::default()
    }
}

#[test]
fn a_delivered_access_log_becomes_page_views() {
    let full = r#"{"timestamp(ms)":"1767225600123","c-ip":"192.0.2.7","cs-protocol":"https","x-host-header":"shop.acme.com","cs-uri-stem":"/a%20b","cs-uri-query":"q=1&r=2","cs(Referer)":"https://acme.com/x","cs(User-Agent)":"Mozilla/5.0%20(X11)"}"#;
    let bare = r#"{"timestamp(ms)":"1767225600124","cs-uri-stem":"/","x-host-header":"-","cs(Referer)":"-"}"#;
    let third = r#"{"x-host-header":"acme.com","cs-uri-query":"-"}"#;
    let body = delivery(&[&format!("{full}\n{bare}\n"), third]);
    let events = adapted(&delivered(&body, &[]), &Adapters::default()).expect("it is a delivery");
    let always = [("e", "pv"), ("p", "srv"), ("aid", "cloudfront")];
    let always = always.into_iter().chain([("tv", "com.amazon.aws.cloudfront/firehose")]);
    let event = |known: &[(&str, &str)]| -> Value {
        let texts = always.clone().chain(known.iter().copied());
        Value::Object(texts.map(|(name, text)| (name.to_owned(), text.into())).collect())
    };
    let first = event(&[
        ("url", "https://shop.acme.com/a%20b?q=1&r=2"),
        ("refr", "https://acme.com/x"),
        ("ua", "Mozilla/5.0 (X11)"),
        ("stm", "1767225600123"),
        ("ip", "192.0.2.7"),
    ]);
    assert_eq!(events[0], first);
    assert_eq!(events[1], event(&[("stm", "1767225600124")]));
    assert_eq!(events[2], event(&[("url", "https://acme.com/")]));
    assert_eq!(events.len(), 3);

    let app = [("aid", Some("site"))];
    let events = adapted(&delivered(&body, &app), &Adapters::default()).expect("it is a delivery");
    assert!(events.iter().all(|event| event["aid"] == "site"), "{events:?}");
}

#[test]
fn what_is_no_delivery_is_refused_with_its_place() {
    let compressed = CollectorPayload {
        headers: &["Content-Encoding: gzip"],
        ..delivered(r#"{"records":[]}"#, &[])
    };
    let refused = adapted(&compressed, &Adapters::default()).expect_err("it is compressed");
    assert!(refused.contains("contentEncoding"), "{refused}");
    for (body, word) in [("{", "body"), ("{}", "records"), (r#"{"records":{}}"#, "records")] {
        let refused = adapted(&delivered(body, &[]), &Adapters::default());
        let refused = refused.expect_err("it is no delivery");
        assert!(refused.contains(word), "{body}: {refused}");
    }
    let body = delivery(&["no JSON", r#"{"x-host-header":"acme.com"}"#]);
    let events = adapted(&delivered(&body, &[]), &Adapters::default());
    assert_eq!(events.expect("one entry is sound").len(), 1);
}

/// The events of a payload: their parameters, with the self-describing one as JSON; or the reasons.
fn adapted(payload: &CollectorPayload<'_>, adapters: &Adapters) -> Result<Vec<Value>, String> {
    let arena = Bump::new();
    let payload = arena.alloc(payload.clone());
    let settings = Settings::new(pipeline_of_tests());
    let schemas = validator::embedded::snapshot();
    let mut check = SchemaCheck::new(&schemas, &settings);
    let adapted = match adapt::events(payload, adapters, &mut check, &arena) {
        Ok(adapted) => adapted,
        Err(Stop::Refused(reasons)) => {
            let mut out = Vec::new();
            reasons.iter().for_each(|reason| event::bad_row::write_reason(reason, &mut out));
            return Err(String::from_utf8(out).expect("reasons are UTF-8"));
        }
        Err(Stop::Pending) => panic!("no schema is asked for"),
    };
    let event = |event: &event::RawEvent<'_>| {
        let parameter = |(name, value): &(&str, Option<&str>)| {
            let value = match (*name, value) {
                ("ue_pr", Some(text)) => serde_json::from_str(text).expect("it is JSON"),
                _ => Value::from(*value),
            };
            ((*name).to_owned(), value)
        };
        Value::Object(event.parameters.iter().map(parameter).collect())
    };
    Ok(adapted.events.iter().map(event).collect())
}

fn pipeline_of_tests() -> event::bad_row::Processor {
    event::bad_row::Processor { artifact: "test".to_owned(), version: "1".to_owned() }
}
