//! What tests ask of a run. Requests and answers of the first part are those of Snowplow Micro's
//! public documentation, of which clients are written.

use serde_json::{Value, json};

use crate::run::{Local, lines};

const CART: &str = "iglu:test.example.iglu/cart_action_event/jsonschema/1-0-0";
const PRODUCT: &str = "iglu:test.example.iglu/product_entity/jsonschema/1-0-0";
const PAGE: &str = "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0";

/// A run with the schemas of the documentation's shop.
struct Shop {
    local: Local,
    dir: tempfile::TempDir,
}

impl Shop {
    fn open() -> Shop {
        let dir = tempfile::tempdir().expect("a folder");
        let properties = |uri: &str| match uri {
            CART => json!({"type": {"enum": ["add", "remove"]}}),
            _ => json!({
                "sku": {"type": "string"}, "name": {"type": "string"},
                "price": {"type": "number"}, "quantity": {"type": "integer"},
            }),
        };
        for uri in [CART, PRODUCT] {
            let path = dir.path().join("schemas").join(&uri["iglu:".len()..]);
            let name = uri.split('/').nth(1).expect("a name");
            let schema = json!({
                "self": {"vendor": "test.example.iglu", "name": name, "format": "jsonschema",
                    "version": "1-0-0"},
                "type": "object", "properties": properties(uri), "additionalProperties": false,
            });
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("ours");
            std::fs::write(path, schema.to_string()).expect("ours");
        }
        Shop { local: Local::start(dir.path(), &[]), dir }
    }

    /// Sends events as the documentation's tracker does.
    fn track(&self, events: &[Value]) {
        let payload = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4";
        let body = json!({"schema": payload, "data": events}).to_string();
        let head = "POST /com.snowplowanalytics.snowplow/tp2 HTTP/1.1\r\n\
                    Content-Type: application/json\r\nUser-Agent: Mozilla/5.0 (X11)\r\n\
                    Referer: http://localhost:8000/\r\nOrigin: http://localhost:8000";
        let answer = self.local.ask(head, &body);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    fn page_view(&self, app: &str) {
        let contexts = entities(&[(PAGE, json!({"id": "5cea9899-10df-4ccf-bf66-8c36f4a4bba2"}))]);
        self.track(&[json!({
            "e": "pv", "duid": "36746fd2-8441-4ea2-8ad0-237d6f4c77cf", "vid": "1", "co": contexts,
            "eid": "bee0a6d7-fc17-4392-b2bc-2208e8e944f3", "url": "http://localhost:8000/",
            "refr": "http://localhost:8000/__/", "aid": app, "tna": "sp1", "cs": "UTF-8",
            "cd": "24", "stm": "1630238465752", "tz": "Europe/London", "tv": "js-3.1.3",
            "vp": "1000x660", "ds": "988x670", "res": "1920x1080", "cookie": "1", "p": "web",
            "dtm": "1630238465748", "uid": "tester", "lang": "en-US",
            "sid": "6d15a4fb-9623-4ba1-b876-5240e72e6970",
        })]);
    }

    fn cart(&self, action: &str, quantity: Value) {
        let envelope = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0";
        let event = json!({"schema": CART, "data": {"type": action}});
        let product = json!({"sku": "hh456", "name": "One-size bucket hat", "price": 24.49,
            "quantity": quantity});
        self.track(&[json!({
            "e": "ue", "tv": "js-3.1.3", "tna": "spmicro", "aid": "sh0pspr33", "p": "web",
            "ue_pr": json!({"schema": envelope, "data": event}).to_string(),
            "co": entities(&[(PRODUCT, product), (PAGE, json!({
                "id": "fe0dd7c7-fb0b-43a2-b299-75d20baa94ec"}))]),
        })]);
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.local.ask(&format!("GET {path} HTTP/1.1"), "");
        read(&answer, "200")
    }

    fn post(&self, path: &str, question: &Value) -> Value {
        let head = format!("POST {path} HTTP/1.1\r\nContent-Type: application/json");
        read(&self.local.ask(&head, &question.to_string()), "200")
    }
}

fn entities(entities: &[(&str, Value)]) -> String {
    let entity = |(schema, data): &(&str, Value)| json!({"schema": schema, "data": data});
    let schema = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0";
    json!({"schema": schema, "data": entities.iter().map(entity).collect::<Vec<_>>()}).to_string()
}

fn read(answer: &str, status: &str) -> Value {
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    assert_eq!(head.split(' ').nth(1), Some(status), "{answer}");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(!head.contains("access-control"), "only what events come to is for other pages");
    serde_json::from_str(body).expect("it is JSON")
}

/// Checks what an object has of another, and that names stand in no other order.
fn has(object: &Value, expected: &Value) {
    let (object, expected) = (object.as_object(), expected.as_object());
    let (object, expected) = (object.expect("an object"), expected.expect("an object"));
    for (name, value) in expected {
        assert_eq!(object.get(name), Some(value), "{name}");
    }
}

#[test]
fn a_good_event_has_the_documented_shape() {
    let shop = Shop::open();
    assert_eq!(shop.get("/micro/all"), json!({"total": 0, "good": 0, "bad": 0}));
    shop.page_view("shop");
    assert_eq!(shop.get("/micro/all"), json!({"total": 1, "good": 1, "bad": 0}));
    let good = shop.get("/micro/good");
    assert_eq!(good.as_array().map(Vec::len), Some(1), "{good}");
    let good = &good[0];
    let names: Vec<_> = good.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["rawEvent", "eventType", "schema", "contexts", "event"]);
    assert_eq!(good["eventType"], "page_view");
    let page_view = "iglu:com.snowplowanalytics.snowplow/page_view/jsonschema/1-0-0";
    assert_eq!((&good["schema"], &good["contexts"]), (&json!(page_view), &json!([PAGE])));

    let raw = &good["rawEvent"];
    let api = json!({"vendor": "com.snowplowanalytics.snowplow", "version": "tp2"});
    assert_eq!((&raw["api"], &raw["contentType"]), (&api, &json!("application/json")));
    has(&raw["parameters"], &json!({"e": "pv", "vid": "1", "aid": "shop", "stm": "1630238465752"}));
    let source = json!({
        "name": concat!("snowmelt-", env!("CARGO_PKG_VERSION"), "-local"),
        "encoding": "UTF-8", "hostname": "127.0.0.1",
    });
    assert_eq!(raw["source"], source);
    let context = &raw["context"];
    has(
        context,
        &json!({"ipAddress": "127.0.0.1", "useragent": "Mozilla/5.0 (X11)",
        "refererUri": "http://localhost:8000/"}),
    );
    assert!(
        context["headers"]
            .as_array()
            .expect("a list")
            .contains(&json!("Origin: http://localhost:8000"))
    );
    assert_eq!(context["timestamp"].as_str().map(str::len), Some("2021-08-29T12:01:05.787Z".len()));

    let event = &good["event"];
    assert_eq!(event.as_object().map(serde_json::Map::len), Some(131));
    has(
        event,
        &json!({
            "app_id": "shop", "platform": "web", "event": "page_view", "txn_id": null,
            "event_id": "bee0a6d7-fc17-4392-b2bc-2208e8e944f3", "domain_sessionidx": 1,
            "dvce_created_tstamp": "2021-08-29T12:01:05.748Z", "page_urlport": 8000,
            "contexts": {
                "schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1",
                "data": [{"schema": PAGE, "data": {"id": "5cea9899-10df-4ccf-bf66-8c36f4a4bba2"}}],
            },
            "unstruct_event": null, "br_cookies": true, "dvce_screenwidth": 1920,
            "doc_charset": "UTF-8", "dvce_sent_tstamp": "2021-08-29T12:01:05.752Z",
            "event_vendor": "com.snowplowanalytics.snowplow", "event_name": "page_view",
            "event_format": "jsonschema", "event_version": "1-0-0", "true_tstamp": null,
        }),
    );
    assert_eq!(event["network_userid"], context["userId"]);
}

#[test]
fn a_bad_event_has_the_documented_shape() {
    let shop = Shop::open();
    shop.cart("add", json!("2"));
    let bad = shop.get("/micro/bad");
    assert_eq!(bad.as_array().map(Vec::len), Some(1), "{bad}");
    let bad = &bad[0];
    let names: Vec<_> = bad.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["collectorPayload", "rawEvent", "errors"]);
    let payload = &bad["collectorPayload"];
    let names: Vec<_> = payload.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["api", "querystring", "contentType", "body", "source", "context"]);
    assert_eq!(payload["querystring"], json!([]));
    assert!(payload["body"].as_str().expect("a text").contains("cart_action_event"));
    has(&bad["rawEvent"]["parameters"], &json!({"e": "ue", "aid": "sh0pspr33"}));
    assert_eq!(bad["errors"][0], "Error while validating the event");
    let row: Value =
        serde_json::from_str(bad["errors"][1].as_str().expect("a text")).expect("JSON");
    let message = &row["data"]["failure"]["messages"][0];
    assert_eq!(message["schemaKey"], PRODUCT);
    let report = &message["error"]["dataReports"][0];
    assert_eq!(report["message"], "$.quantity: string found, integer expected");

    // What is no event at all.
    shop.local.ask("POST /com.acme/v1 HTTP/1.1", "{}");
    let all = shop.get("/micro/bad");
    assert_eq!(
        (&all[0]["rawEvent"], &all[0]["collectorPayload"]["body"]),
        (&Value::Null, &json!("{}"))
    );
    assert_eq!(shop.get("/micro/all"), json!({"total": 2, "good": 0, "bad": 2}));
    let tracker =
        json!({"vendor": "com.snowplowanalytics.snowplow", "version": "tp2", "limit": 10});
    assert_eq!(shop.post("/micro/bad", &tracker), json!([bad]));
    assert_eq!(shop.post("/micro/bad", &json!({"limit": 1})), json!([all[0]]));
}

#[test]
fn filters_and_a_reset_do_as_documented() {
    let shop = Shop::open();
    shop.page_view("shop");
    shop.cart("add", json!(2));
    shop.cart("remove", json!(1));
    shop.cart("throw", json!(1));
    assert_eq!(shop.get("/micro/all"), json!({"total": 4, "good": 3, "bad": 1}));
    let found = |question: Value| shop.post("/micro/good", &question).as_array().map(Vec::len);
    assert_eq!(found(json!({})), Some(3));
    assert_eq!(found(json!({"schema": CART})), Some(2));
    assert_eq!(
        found(json!({"schema": CART, "contexts": [PRODUCT, &PAGE[5..]], "limit": 10})),
        Some(2)
    );
    assert_eq!(found(json!({"event_type": "pv"})), Some(1));
    assert_eq!(found(json!({"contexts": [CART]})), Some(0));
    let newest = shop.post("/micro/good", &json!({"schema": CART, "limit": 1}));
    let values = &newest[0]["event"]["unstruct_event"]["data"]["data"];
    assert_eq!(values, &json!({"type": "remove"}));

    let wrong = "POST /micro/good HTTP/1.1\r\nContent-Type: application/json";
    let said = read(&shop.local.ask(wrong, r#"{"shcema":"x"}"#), "400");
    assert!(said["error"].as_str().expect("a text").contains("unknown field `shcema`"), "{said}");
    let large = format!("{{\"schema\":\"{}\"}}", "x".repeat(64 << 10));
    assert!(shop.local.ask(wrong, &large).starts_with("HTTP/1.1 413"));

    // Another page must not have a test forget what came; a program may.
    let other = "GET /micro/reset HTTP/1.1\r\nSec-Fetch-Site: cross-site";
    assert!(shop.local.ask(other, "").starts_with("HTTP/1.1 403"));
    let stranger = "GET /micro/all HTTP/1.1\r\nHost: evil.example";
    assert!(shop.local.ask(stranger, "").starts_with("HTTP/1.1 421"));
    assert_eq!(shop.get("/micro/reset"), json!({"total": 0, "good": 0, "bad": 0}));
    assert_eq!(shop.get("/micro/good"), json!([]));
    shop.page_view("shop");
    assert_eq!(shop.get("/micro/all")["total"], 1);
    let Shop { local, dir } = shop;
    local.end();
    assert_eq!(lines(dir.path(), "enriched").len(), 4, "files keep what is forgotten");
}

#[test]
fn a_schema_is_told_or_who_was_asked_for_it() {
    let shop = Shop::open();
    let schema = shop.get(&format!("/micro/iglu/{}", &CART[5..]));
    assert_eq!(schema["self"]["name"], "cart_action_event");
    let nobody = "GET /micro/iglu/com.myvendor/myschema/jsonschema/1-0-0 HTTP/1.1";
    let said = read(&shop.local.ask(nobody, ""), "404");
    let registries = said["value"].as_object().expect("registries");
    assert!(registries.len() >= 2, "{said}");
    for (name, history) in registries {
        assert_eq!(history["errors"], json!([{"error": "NotFound"}]), "{name}");
        assert_eq!(history["attempts"], 1, "{name}");
        assert!(history["lastAttempt"].as_str().expect("a time").ends_with('Z'), "{name}");
    }
    let wrong = "GET /micro/iglu/com.myvendor/myschema/jsonschema/1.0 HTTP/1.1";
    assert!(shop.local.ask(wrong, "").starts_with("HTTP/1.1 400"));
}

#[test]
fn events_are_searched_by_columns_times_and_pages() {
    let shop = Shop::open();
    for app in ["myapp", "other", "MyApp-2"] {
        shop.page_view(app);
    }
    shop.cart("throw", json!(1));
    let page = |more: Value| {
        let mut question = json!({"filters": [], "page": 1, "pageSize": 50});
        question.as_object_mut().expect("ours").extend(more.as_object().expect("ours").clone());
        shop.post("/micro/events", &question)
    };
    // The example of the documentation, but for its year.
    let documented = json!({
        "filters": [{"column": "app_id", "value": "myapp"}], "validEvents": true,
        "timeRange": {"start": "2025-01-01T00:00:00Z", "end": "2100-01-02T00:00:00Z"},
        "sorting": {"column": "app_id", "desc": true},
    });
    let found = page(documented.clone());
    assert_eq!((&found["totalPages"], &found["totalItems"]), (&json!(1), &json!(2)));
    let apps: Vec<_> = found["events"].as_array().expect("a list").iter().collect();
    let apps: Vec<_> = apps.iter().map(|event| event["app_id"].as_str()).collect();
    assert_eq!(apps, [Some("myapp"), Some("MyApp-2")]);
    let web_page = &found["events"][0]["contexts_com_snowplowanalytics_snowplow_web_page_1"];
    assert_eq!(web_page[0]["id"], "5cea9899-10df-4ccf-bf66-8c36f4a4bba2");
    let mut past = documented;
    past["timeRange"]["end"] = json!("2025-01-02T00:00:00Z");
    assert_eq!(page(past)["totalItems"], 0);

    let failed = page(json!({"validEvents": false}));
    assert_eq!(failed["totalItems"], 1);
    let event = &failed["events"][0];
    assert_eq!((&event["app_id"], &event["event"]), (&json!("sh0pspr33"), &json!("unstruct")));
    let failure = &event["contexts_com_snowplowanalytics_snowplow_failure_1"][0];
    assert_eq!(
        (&failure["failureType"], &failure["schema"]),
        (&json!("ValidationError"), &json!(CART))
    );

    assert_eq!(page(json!({}))["totalItems"], 4);
    let last = page(json!({"page": 2, "pageSize": 3}));
    assert_eq!(
        (&last["totalPages"], last["events"].as_array().map(Vec::len)),
        (&json!(2), Some(1))
    );
    let values = json!([{"column": "app_id", "values": ["other", "sh0p"]}]);
    assert_eq!(page(json!({"filters": values}))["totalItems"], 2);

    let buckets = json!([
        {"start": "2025-01-01T00:00:00Z", "end": "2025-01-01T01:00:00Z"},
        {"start": "2025-01-01T01:00:00Z", "end": "2100-01-01T02:00:00Z"},
    ]);
    let points = shop.post("/micro/timeline", &json!({"buckets": buckets}));
    let expected = json!([
        {"validEvents": 0, "failedEvents": 0, "bucket": buckets[0]},
        {"validEvents": 3, "failedEvents": 1, "bucket": buckets[1]},
    ]);
    assert_eq!(points["points"], expected);
}

#[test]
fn a_search_that_is_none_is_refused_with_its_reason() {
    let shop = Shop::open();
    let head = "POST /micro/events HTTP/1.1\r\nContent-Type: application/json";
    for (question, why) in [
        (json!({"page": 1, "pageSize": 5}), "missing field `filters`"),
        (json!({"page": 0, "pageSize": 5, "filters": []}), "1 or more"),
        (json!({"page": 1, "pageSize": 5, "filters": [{"column": "a"}]}), "filter of a needs"),
        (
            json!({"page": 1, "pageSize": 5, "filters": [], "timeRange": {"start": "today"}}),
            "\"today\" is no time such as",
        ),
    ] {
        let said = read(&shop.local.ask(head, &question.to_string()), "400");
        assert!(said["error"].as_str().expect("a text").contains(why), "{said}");
    }
}

#[test]
fn who_waits_for_events_is_answered_when_they_came() {
    let shop = Shop::open();
    shop.page_view("shop");
    let first = shop.get("/events?wait=1");
    assert_eq!((&first["complete"], &first["events"][0]["app_id"]), (&json!(true), &json!("shop")));
    let next = first["next"].as_u64().expect("a number");

    // The question is there before the events are.
    let path = format!("/events?wait=2&app=sh*&event=cart_action_event&after={next}&timeout=30");
    let waiting = std::thread::scope(|scope| {
        let question = scope.spawn(|| shop.get(&path));
        shop.page_view("shop");
        shop.cart("add", json!(1));
        shop.cart("throw", json!(1));
        question.join().expect("it is answered")
    });
    assert_eq!(waiting["complete"], true);
    let events = waiting["events"].as_array().expect("a list");
    let mut routes: Vec<_> = events.iter().map(|event| event["route"].as_str()).collect();
    routes.sort_unstable();
    assert_eq!(routes, [Some("bad"), Some("enriched")], "{waiting}");
    for event in events {
        assert_eq!(event["schemas"][0], CART);
        match event["route"].as_str() {
            Some("bad") => {
                let why = event["why"].as_str().expect("a text");
                assert!(why.starts_with("schema violations: cart_action_event: $.type"), "{why}");
                assert!(
                    event["row"]["schema"].as_str().expect("one").contains("schema_violations")
                );
            }
            _ => {
                let name = "unstruct_event_test_example_iglu_cart_action_event_1";
                assert_eq!(event["event"][name], json!({"type": "add"}));
            }
        }
    }

    // Without a number all that came is in the answer; with too high a one, what there is.
    let all = shop.get("/events");
    assert_eq!((&all["complete"], all["events"].as_array().map(Vec::len)), (&json!(true), Some(4)));
    let late = shop.get("/events?wait=9&timeout=0&route=bad");
    assert_eq!(
        (&late["complete"], late["events"].as_array().map(Vec::len)),
        (&json!(false), Some(1))
    );
    let came = |route: &str| {
        let all = shop.get(&format!("/events?route={route}"));
        let events = all["events"].as_array().expect("a list").clone();
        events.into_iter().map(|event| event["event_name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(came("enriched"), ["page_view", "page_view", "cart_action_event"]);
    assert_eq!(came("enriched,bad").last(), Some(&json!("cart_action_event")));
    let newest = shop.get("/events?route=enriched&limit=1");
    assert_eq!(newest["events"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        newest["next"],
        all["next"].as_u64().map(|_| newest["events"][0]["number"].clone()).expect("one")
    );
    let said = read(&shop.local.ask("GET /events?wiat=1 HTTP/1.1", ""), "400");
    assert!(said["error"].as_str().expect("a text").contains("\"wiat\" is none of wait"), "{said}");
}
