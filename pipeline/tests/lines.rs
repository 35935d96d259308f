//! That a line has 131 columns, whatever stands in a request, in a configuration and in what
//! enrichments derive: no text that reaches a column brings a tab or a line break along.

use std::sync::{Arc, LazyLock};

use enrichments::{Enrichments, Options};
use event::bad_row::Processor;
use event::thrift::Wire;
use event::{Field, tsv};
use pipeline::{Batch, Format, Outcome, Output, Pipeline, Record, Route, Settings};
use proptest::prelude::*;
use traffic::requests;
use validator::{Schemas, embedded};

/// Texts that break lines, and bytes that are no text.
const HOSTILE: [&[u8]; 9] = [
    b"\t",
    b"\n",
    b"\r\n",
    b"\0",
    b"\x1b[2J",
    b"\x0b\x0c",
    "\u{2028}\u{85}".as_bytes(),
    b"\xff\xc3",
    b"\"\\",
];

/// Configurations that name columns' texts themselves.
const CONFIGURATIONS: [(&str, &str, &str); 7] = [
    (
        "com.snowplowanalytics.snowplow/campaign_attribution/jsonschema/1-0-1",
        "campaign",
        r#"{"mapping":"static","fields":{"mktMedium":["m"],"mktSource":["s"],"mktTerm":["t"],
            "mktContent":["c"],"mktCampaign":["n"],"mktClickId":{"k":"Net\twork\n"}}}"#,
    ),
    (
        "com.snowplowanalytics.snowplow/cookie_extractor_config/jsonschema/1-0-0",
        "cookies",
        r#"{"cookies":["sp","a\tb"]}"#,
    ),
    (
        "com.snowplowanalytics.snowplow.enrichments/http_header_extractor_config/jsonschema/1-0-0",
        "headers",
        r#"{"headersPattern":"(?s).*"}"#,
    ),
    (
        "com.snowplowanalytics.snowplow/anon_ip/jsonschema/1-0-1",
        "anon_ip",
        r#"{"anonOctets":1,"anonSegments":1}"#,
    ),
    (
        "com.snowplowanalytics.snowplow/event_fingerprint_config/jsonschema/1-0-1",
        "fingerprint",
        r#"{"excludeParameters":[],"hashAlgorithm":"MD5"}"#,
    ),
    (
        "com.snowplowanalytics.snowplow.enrichments/cross_navigation_config/jsonschema/1-0-0",
        "cross_navigation",
        "{}",
    ),
    (
        "com.snowplowanalytics.snowplow.enrichments/pii_enrichment_config/jsonschema/2-0-0",
        "pii",
        r#"{"pii":[{"pojo":{"field":"user_id"}}],
            "strategy":{"pseudonymize":{"hashFunction":"MD5","salt":"s\tt"}}}"#,
    ),
];

fn pipeline(format: Format) -> Pipeline {
    let folder = tempfile::tempdir().expect("a folder");
    for (schema, name, parameters) in CONFIGURATIONS {
        let emit = if name == "pii" { r#","emitEvent":true"# } else { "" };
        let text = format!(
            r#"{{"schema":"iglu:{schema}","data":{{"enabled":true{emit},"parameters":{parameters}}}}}"#
        );
        std::fs::write(folder.path().join(format!("{name}.json")), text).expect("a file");
    }
    let enrichments = Enrichments::load(folder.path(), None, &Options::default());
    let processor = Processor { artifact: "a\tb\n".to_owned(), version: "1\t0".to_owned() };
    let settings = Settings { incomplete: true, format, ..Settings::new(processor) };
    Pipeline::new(settings, Arc::new(enrichments.expect("they are right")))
}

static PIPELINES: LazyLock<[(Format, Pipeline); 2]> =
    LazyLock::new(|| [Format::Tsv, Format::Json].map(|format| (format, pipeline(format))));

static SCHEMAS: LazyLock<Schemas> = LazyLock::new(embedded::snapshot);

fn process(pipeline: &Pipeline, record: &[u8]) -> Output {
    let record = Record { sequence: "1", sub_sequence: 0, data: record };
    let batch = Batch { shard: "s", records: vec![record] };
    match pipeline.process(&batch, &*SCHEMAS, 1_714_558_272_345) {
        Outcome::Done(output) => output,
        outcome => panic!("all is known, but {outcome:?}"),
    }
}

/// Checks every line that a record becomes; returns how many are of enriched events.
fn check(record: &[u8]) -> usize {
    let mut enriched = 0;
    for (format, pipeline) in PIPELINES.iter() {
        let output = process(pipeline, record);
        for route in Route::ALL {
            let lines = output.lines(route);
            let text = std::str::from_utf8(lines.as_bytes()).expect("lines are UTF-8");
            let breaks = text.bytes().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
            assert_eq!(breaks, lines.len(), "{route:?} of {format:?}: {text:?}");
            for line in text.lines() {
                match (route.is_of_events(), format) {
                    (true, Format::Tsv) => assert!(tsv::columns(line).is_some(), "{line:?}"),
                    _ => drop(serde_json::from_str::<serde_json::Value>(line).expect(line)),
                }
            }
        }
        enriched += output.enriched.len();
    }
    enriched
}

/// The bytes of a text with what is hostile in the middle.
fn around(text: &str, hostile: &[u8]) -> Vec<u8> {
    let (start, end) = text.split_at(text.len() / 2);
    [start.as_bytes(), hostile, end.as_bytes()].concat()
}

fn escape(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn no_text_of_a_request_breaks_its_line() {
    let (mut enriched, mut count) = (0, 0);
    for hostile in HOSTILE {
        for place in 0..12 {
            let at = |number: usize, text: &str| {
                around(text, if number == place { hostile } else { b"" })
            };
            let in_query = |number: usize, text: &str| escape(&at(number, text));
            let url = format!(
                "http://a.test/p?m={}&k={}&_sp={}.1700000000000.a",
                in_query(0, "medium"),
                in_query(1, "click"),
                in_query(2, "user"),
            );
            let query = format!(
                "e=pv&p=web&tv=js&aid={}&uid={}&ip={}&refr={}&url={}",
                in_query(3, "shop"),
                in_query(4, "jane"),
                in_query(5, "1.2.3.4"),
                in_query(6, "http://b.test/?q=term"),
                escape(url.as_bytes()),
            );
            let cookie = at(7, "Cookie: sp=value; b=c");
            let header = at(8, "X-Some: thing");
            let forwarded = at(9, "X-Forwarded-For: 1.2.3.4");
            let (collector, agent) = (at(10, "collector"), at(11, "Mozilla/5.0 (X11) Gecko"));
            let wire = Wire {
                collector: Some(&collector),
                user_agent: Some(&agent),
                headers: &[&cookie, &header, &forwarded],
                ..requests::get("/i", &query)
            };
            enriched += check(&requests::record(&wire));
            count += PIPELINES.len();
        }
    }
    assert!(enriched * 10 > count * 7, "only {enriched} of {count} were enriched");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_in_any_field_of_a_record_break_a_line(
        texts in prop::collection::vec(
            prop::option::of(prop::collection::vec(
                prop::sample::select(vec![
                    &b"\t"[..], b"\n", b"\r", b"\0", b"\x7f", b"\x1b", b"a", b":", b" ", b"=", b"\xff",
                    b"1.2.3.4", b"http://a.test/", "\u{85}".as_bytes(), b"\"", b";",
                ]),
                0..6,
            )),
            9,
        ),
        post in any::<bool>(),
    ) {
        let texts: Vec<Option<Vec<u8>>> =
            texts.into_iter().map(|text| text.map(|parts| parts.concat())).collect();
        let field = |number: usize| texts[number].as_deref();
        let body = requests::body(r#"{"e":"pv","p":"web","tv":"js","ua":"a\tb\n","page":"\u0000"}"#);
        let base = if post { requests::post(&body) } else { requests::get("/i", "e=pv&p=web") };
        let headers: Vec<&[u8]> = field(7).into_iter().chain(field(8)).collect();
        let wire = Wire {
            collector: field(0).or(base.collector),
            user_agent: field(1),
            referer_uri: field(2),
            ip_address: field(3),
            hostname: field(4),
            network_userid: field(5).filter(|_| post),
            content_type: base.content_type.or(field(6)),
            headers: &headers,
            ..base
        };
        check(&requests::record(&wire));
    }
}

#[test]
fn a_collector_of_nothing_but_controls_has_no_name() {
    let wire = Wire { collector: Some(b"\0\n"), ..requests::get("/i", "e=pv&p=web&tv=js") };
    assert_eq!(check(&requests::record(&wire)), 0);
    let wire = Wire { collector: Some(b"ssc\t1"), ..requests::get("/i", "e=pv&p=web&tv=js") };
    let output = process(&PIPELINES[0].1, &requests::record(&wire));
    let line = String::from_utf8_lossy(output.enriched.last()).into_owned();
    let columns = tsv::columns(&line).expect("131 columns");
    assert_eq!(columns[Field::VCollector as usize], "ssc    1");
    assert_eq!(columns[Field::VEtl as usize], "a    b-1    0");
}
