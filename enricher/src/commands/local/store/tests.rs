//! What is kept of batches, found, waited for and let go.

use bytes::Bytes;
use event::bad_row::BadKind;
use event::thrift::{self, Wire};
use event::{Event, Field};
use lease::{Position, SequenceNumber, ShardId};
use pipeline::parked::{Parked, Reason, Waiting};
use pipeline::{Output, Verdict};
use serde_json::json;

use super::*;
use crate::batch::{Arrival, Batch, Record};

const CART: &str = "iglu:com.acme/cart/jsonschema/1-0-0";

/// A batch of records, each with what became of its events.
#[derive(Default)]
struct Story {
    records: Vec<Vec<u8>>,
    output: Output,
}

impl Story {
    fn record(mut self, body: &str) -> Story {
        let mut data = Vec::new();
        let wire = Wire {
            schema: Some(b"iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/1-0-0"),
            timestamp: 1_714_550_000_000,
            encoding: Some(b"UTF-8"),
            path: Some(b"/com.snowplowanalytics.snowplow/tp2"),
            body: Some(body.as_bytes()),
            ..Wire::default()
        };
        thrift::write(&wire, &mut data);
        self.records.push(data);
        self
    }

    fn verdict(&mut self, verdict: Verdict) {
        self.output.verdicts.push((self.records.len() as u32 - 1, verdict));
    }

    fn line(fields: &[(Field, &str)]) -> Vec<u8> {
        let (mut event, mut line) = (Event::new(), Vec::new());
        fields.iter().for_each(|(field, text)| event.set(*field, Some(text)));
        event::tsv::write(&event, &mut line);
        line
    }

    fn enriched(mut self, fields: &[(Field, &str)]) -> Story {
        self.output.enriched.push_with(|out| out.extend(Story::line(fields)));
        self.verdict(Verdict::Enriched);
        self
    }

    fn bad(mut self, kind: BadKind, data: serde_json::Value) -> Story {
        let row = json!({"schema": "iglu:a/b/jsonschema/1-0-0", "data": data}).to_string();
        self.output.bad.push_with(|out| out.extend(row.bytes()));
        self.verdict(Verdict::Bad(kind));
        self
    }

    fn parked(mut self, events: &[(u32, &str)]) -> Story {
        let waiting = |(index, id): &(u32, &str)| Waiting { index: *index, event_id: (*id).into() };
        let parked = Parked {
            reason: Reason::SchemasUnavailable(vec![CART.to_owned()]),
            events: Some(events.iter().map(waiting).collect()),
            stream: "local".to_owned(),
            shard: "s".to_owned(),
            sequence: "1".to_owned(),
            sub_sequence: 0,
            parked_at: String::new(),
            record: String::new(),
        };
        self.output.parked.push_with(|out| parked.write(out));
        events.iter().for_each(|_| self.verdict(Verdict::Parked));
        self
    }

    fn seen(self) -> Seen {
        let record = |(n, data): (usize, Vec<u8>)| Record {
            sequence: SequenceNumber::parse(&n.to_string()).expect("a number"),
            sub_sequence: 0,
            arrival: Arrival::default(),
            data: Bytes::from(data),
        };
        let records = self.records.into_iter().enumerate().map(record).collect();
        let shard = ShardId::new("s");
        let batch = Batch { shard, records, lag: None, end: Position::ShardEnd };
        Seen { worker: "w".into(), batch, output: self.output, now_ms: 7 }
    }
}

/// One page view of an application.
fn view(app: &str, url: &str) -> Seen {
    let fields = [
        (Field::AppId, app),
        (Field::Event, "page_view"),
        (Field::PageUrl, url),
        (Field::EventId, url),
    ];
    Story::default().record("{}").enriched(&fields).seen()
}

fn ids(found: &[Arc<Kept>]) -> Vec<&str> {
    found.iter().map(|kept| &*kept.id).collect()
}

#[test]
fn every_verdict_is_kept_with_its_record() {
    let entity = format!(r#"{{"schema":"{CART}","data":{{}}}}"#);
    let unstruct = format!(
        r#"{{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0","data":{{"schema":"{CART}","data":{{"sku":"a","n":1}}}}}}"#
    );
    let good = [
        (Field::EventId, "good"),
        (Field::AppId, "shop"),
        (Field::Event, "unstruct"),
        (Field::EventVendor, "com.acme"),
        (Field::EventName, "cart"),
        (Field::EventFormat, "jsonschema"),
        (Field::EventVersion, "1-0-0"),
        (Field::UnstructEvent, &unstruct),
        (Field::Contexts, &entity),
    ];
    let refused = json!({
        "failure": {"messages": [{"schemaKey": CART, "error": {"error": "ValidationError",
            "dataReports": [{"message": "$.n: is missing"}]}}]},
        "payload": {"enriched": {"app_id": "shop", "event_id": "bad", "event": "unstruct",
            "unstruct_event": unstruct}}});
    let body = r#"{"data":[{"e":"pv","aid":"first"},{"e":"se","aid":"second"}]}"#;
    let mut story = Story::default().record("one").enriched(&good).record("two");
    story = story.bad(BadKind::SchemaViolations, refused).record(body);
    story = story.parked(&[(0, "p0"), (1, "p1")]).record("four");
    story =
        story.bad(BadKind::GenericError, json!({"failure": {"errors": ["it \u{1b}[31m fell"]}}));
    story.verdict(Verdict::Dropped);
    let incomplete = Story::line(&[(Field::EventId, "bad"), (Field::AppId, "shop")]);
    story.output.incomplete.push_with(|out| out.extend(incomplete));
    let store = Store::new();
    store.keep(&story.seen());

    let found = store.find(&Filter::default(), Page::default());
    let told = found.iter().rev().map(|kept| {
        let record = kept.sequence.as_str();
        format!(
            "{} {record}/{} {} {}: {}",
            kept.route.name(),
            kept.index,
            kept.app,
            kept.event,
            kept.gist
        )
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "enriched 0/0 shop cart: sku: a, n: 1",
            "bad 1/0 shop cart: schema violations: cart: $.n: is missing",
            "incomplete 1/0 shop cart: schema violations: cart: $.n: is missing",
            &format!("parked 2/0 first page_view: waits for {CART}"),
            &format!("parked 2/1 second event: waits for {CART}"),
            "bad 3/0  : generic error: it \u{1b}[31m fell",
        ]
    );
    let totals = Totals { enriched: 1, bad: 2, incomplete: 1, parked: 2, dropped: 1 };
    assert_eq!(store.totals(), totals);
    assert!(found.iter().all(|kept| !kept.record().is_empty() && kept.at_ms == 7));
    assert!(found.iter().all(|kept| &*kept.worker == "w" && kept.shard.as_str() == "s"));
    let of_cart = Filter { schema: Some("iglu:com.acme/cart/*".to_owned()), ..Filter::default() };
    assert_eq!(ids(&store.find(&of_cart, Page::default())), ["p1", "p0", "bad", "good"]);
    assert_eq!(found[5].schemas.len(), 1, "the envelope is no schema of the event");
}

#[test]
fn old_events_go_with_all_that_is_known_of_them() {
    let store = Store::with(Most { events: 3, bytes: usize::MAX });
    for n in 0..5 {
        store.keep(&view(&format!("app{n}"), &format!("http://a.test/{n}")));
    }
    let all = store.find(&Filter::default(), Page::default());
    assert_eq!(all.iter().map(|kept| kept.number).collect::<Vec<_>>(), [5, 4, 3]);
    assert_eq!((store.totals().enriched, store.len()), (5, 3));
    let apps: Vec<_> = store.choices(9).apps.into_iter().map(|(app, _)| app.to_string()).collect();
    assert_eq!(apps, ["app2", "app3", "app4"]);
    assert!(store.get(2).is_none());
    assert_eq!(store.get(4).expect("it is kept").number, 4);

    let bytes = all.iter().map(|kept| kept.size()).sum::<usize>() - 1;
    let store = Store::with(Most { events: usize::MAX, bytes });
    for n in 0..5 {
        store.keep(&view("shop", &format!("http://a.test/{n}")));
    }
    assert_eq!(store.len(), 2, "three are a byte too much");
    assert_eq!(store.choices(9).apps[0].1, 2);
}

#[test]
fn a_page_is_a_part_of_what_a_filter_lets_through() {
    let store = Store::new();
    for n in 0..10 {
        store.keep(&view(["shop", "blog"][n % 2], &n.to_string()));
    }
    let shop = Filter { app: Some("shop".to_owned()), ..Filter::default() };
    let numbers = |filter: &Filter, after, before, most| {
        let found = store.find(filter, Page { after, before, most });
        found.iter().map(|kept| kept.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&shop, 0, u64::MAX, 2), [9, 7]);
    assert_eq!(numbers(&shop, 0, 7, 2), [5, 3]);
    assert_eq!(numbers(&shop, 7, u64::MAX, 9), [9]);
    assert!(numbers(&shop, 9, 9, 9).is_empty());
    let bad = Filter { routes: Some(vec![Route::Bad]), ..Filter::default() };
    assert!(numbers(&bad, 0, u64::MAX, 9).is_empty());
    let text = Filter { text: Some("BLOG".to_owned()), ..Filter::default() };
    assert_eq!(numbers(&text, 0, u64::MAX, 1), [10]);

    store.forget();
    assert_eq!((store.len(), store.totals()), (0, Totals::default()));
    store.keep(&view("shop", "again"));
    assert_eq!(numbers(&shop, 0, u64::MAX, 9), [11], "numbers go on");
}

#[tokio::test]
async fn who_waits_is_answered_when_there_are_so_many() {
    let store = Store::new();
    let filter = Filter { app: Some("shop".to_owned()), ..Filter::default() };
    let (told, keeping) = store.open(Pulse::default());
    store.keep(&view("shop", "before"));
    let telling = async {
        for (app, url) in [("blog", "other"), ("shop", "one"), ("shop", "two")] {
            told.send(view(app, url)).await.expect("it is kept");
        }
        drop(told);
    };
    let (found, (), ()) = tokio::join!(store.wait(&filter, 0, 3), telling, keeping);
    assert_eq!(ids(&found), ["two", "one", "before"]);
    assert_eq!(store.wait(&filter, 0, 2).await.len(), 3, "they are there already");
    let first = found.last().expect("three").number;
    assert_eq!(ids(&store.wait(&filter, first, 2).await), ["two", "one"]);
}

#[test]
fn a_record_of_many_events_counts_once() {
    let mut story = Story::default().record(&"x".repeat(10_000));
    for n in 0..100 {
        story = story.enriched(&[(Field::EventId, &n.to_string())]);
    }
    let store = Store::with(Most { events: usize::MAX, bytes: 100_000 });
    store.keep(&story.seen());
    assert_eq!(store.len(), 100);
}

#[test]
fn a_search_goes_on_until_the_page_is_full_or_all_is_seen() {
    let store = Store::new();
    let mut story = Story::default().record("{}");
    for n in 0..3 * LOOKED_AT {
        let app = if n % LOOKED_AT == 7 { "rare" } else { "usual" };
        story = story.enriched(&[(Field::AppId, app)]);
    }
    store.keep(&story.seen());
    let rare = Filter { app: Some("rare".to_owned()), ..Filter::default() };
    let found = |most| store.find(&rare, Page { most, ..Page::default() });
    let numbers = found(9).iter().map(|kept| kept.number).collect::<Vec<_>>();
    assert_eq!(numbers, [2, 1, 0].map(|n| n * LOOKED_AT as u64 + 8));
    assert_eq!(found(2).len(), 2);
}
