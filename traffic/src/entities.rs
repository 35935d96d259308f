//! Self-describing events and the entities that come with them, all of public schemas.

use fastrand::Rng;
use serde_json::{Value, json};

use super::uuid;
use super::visitor::Visitor;
use event::Utc;

/// A self-describing event.
pub(super) fn event(random: &mut Rng) -> Value {
    let n = random.u32(1..500);
    match random.u8(..10) {
        0..4 => described(
            "link_click",
            "1-0-1",
            json!({
                "targetUrl": format!("https://www.example-shop.com/books/{n}"),
                "elementId": format!("nav-{n}"),
                "elementClasses": ["btn", "btn-primary"],
                "elementTarget": "_blank",
                "elementContent": "read on"
            }),
        ),
        4..6 => described("add_to_cart", "1-0-0", product(random, n)),
        6 => described("remove_from_cart", "1-0-0", product(random, n)),
        7..9 => described(
            "site_search",
            "1-0-0",
            json!({"terms": ["blue", "tent"], "totalResults": n, "pageResults": n.min(20)}),
        ),
        _ => described(
            "submit_form",
            "1-0-0",
            json!({
                "formId": "newsletter",
                "formClasses": ["inline"],
                "elements": [
                    {"name": "topic", "value": "books", "nodeName": "SELECT"},
                    {"name": "often", "value": "yes", "nodeName": "INPUT", "type": "checkbox"}
                ]
            }),
        ),
    }
}

/// A click on nothing: the schema asks for a target.
pub(super) fn broken_link_click() -> Value {
    described("link_click", "1-0-1", json!({"elementId": "nav-1"}))
}

/// The entities of an event: always the page, often timings, sometimes the session.
pub(super) fn contexts(random: &mut Rng, visitor: &Visitor, created_ms: i64) -> Value {
    let mut entities = vec![described("web_page", "1-0-0", json!({"id": visitor.page_view}))];
    if random.u8(..2) == 0 {
        entities.push(timing(random, created_ms));
    }
    if random.u8(..5) == 0 {
        entities.push(session(random, visitor));
    }
    Value::Array(entities)
}

fn described(name: &str, version: &str, data: Value) -> Value {
    let schema = format!("iglu:com.snowplowanalytics.snowplow/{name}/jsonschema/{version}");
    json!({"schema": schema, "data": data})
}

fn product(random: &mut Rng, n: u32) -> Value {
    json!({
        "sku": format!("sku-{n}"),
        "name": "Tent, blue",
        "category": "outdoor",
        "unitPrice": f64::from(random.u32(100..50_000)) / 100.0,
        "quantity": random.u8(1..5),
        "currency": "EUR"
    })
}

/// The moments of a page's load, each some time after the one before.
fn timing(random: &mut Rng, created_ms: i64) -> Value {
    const MOMENTS: [&str; 14] = [
        "navigationStart",
        "fetchStart",
        "domainLookupStart",
        "domainLookupEnd",
        "connectStart",
        "connectEnd",
        "requestStart",
        "responseStart",
        "responseEnd",
        "domLoading",
        "domInteractive",
        "domContentLoadedEventStart",
        "domContentLoadedEventEnd",
        "domComplete",
    ];
    let mut at = created_ms.max(10_000) - 3000;
    let mut moment = |name: &&str| {
        at += random.i64(0..120);
        ((*name).to_owned(), json!(at))
    };
    let data: serde_json::Map<_, _> = MOMENTS.iter().map(&mut moment).collect();
    json!({"schema": "iglu:org.w3/PerformanceTiming/jsonschema/1-0-0", "data": data})
}

fn session(random: &mut Rng, visitor: &Visitor) -> Value {
    let t = Utc::from_ms(visitor.first_event_ms);
    let first = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        t.year, t.month, t.day, t.hour, t.minute, t.second, t.milli
    );
    let data = json!({
        "userId": visitor.domain_userid,
        "sessionId": visitor.session,
        "sessionIndex": visitor.session_index,
        "eventIndex": visitor.event_index,
        "previousSessionId": null,
        "storageMechanism": "COOKIE_1",
        "firstEventId": uuid(random),
        "firstEventTimestamp": first
    });
    described("client_session", "1-0-2", data)
}
