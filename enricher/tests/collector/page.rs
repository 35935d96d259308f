//! The page of a run and what it asks, over a socket.

use serde_json::{Value, json};

use crate::run::Local;

const LINK: &str = "iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1";
const EVENT: &str = "5f0b1c1e-6f0e-4d0b-9a53-0c1f7c1d2a3b";

/// Head and body of an answer.
fn parted(answer: &str) -> (String, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    (head.to_ascii_lowercase(), body)
}

fn json_of(answer: &str) -> Value {
    let (head, body) = parted(answer);
    // Answers of some length may come in chunks.
    let body = match head.contains("transfer-encoding: chunked") {
        true => body.split("\r\n").skip(1).step_by(2).collect::<String>(),
        false => body.to_owned(),
    };
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

fn get(local: &Local, path: &str) -> Value {
    json_of(&local.ask(&format!("GET {path} HTTP/1.1"), ""))
}

fn post(local: &Local, path: &str, body: &Value) -> Value {
    let head = format!("POST {path} HTTP/1.1\r\nContent-Type: application/json");
    json_of(&local.ask(&head, &body.to_string()))
}

/// Sends a click with that target, which is to be a text.
fn click(local: &Local, target: &Value) {
    let envelope = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0";
    let data = json!({"schema": LINK, "data": {"targetUrl": target}});
    let event = json!({"schema": envelope, "data": data}).to_string();
    let payload = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4";
    let event = json!({"e": "ue", "p": "web", "tv": "t", "aid": "shop", "eid": EVENT,
        "ue_pr": event});
    let body = json!({"schema": payload, "data": [event]}).to_string();
    let head = "POST /com.snowplowanalytics.snowplow/tp2 HTTP/1.1\r\n\
                Content-Type: application/json\r\nUser-Agent: a browser's own";
    assert!(local.ask(head, &body).starts_with("HTTP/1.1 200"));
    get(local, "/events?app=shop");
}

#[test]
fn the_page_is_for_nobody_but_who_opens_it_here() {
    let dir = tempfile::tempdir().expect("a folder");
    let local = Local::start(dir.path(), &[]);
    let page = local.ask("GET / HTTP/1.1", "");
    let (head, body) = parted(&page);
    assert!(head.starts_with("http/1.1 200") && body.contains("<title>Snowmelt local"), "{page}");
    let policy = head.lines().find(|line| line.starts_with("content-security-policy"));
    let policy = policy.expect("a page has a policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");

    let mut paths: Vec<&str> =
        body.split(['"', '\'']).filter(|it| it.starts_with("/ui/")).collect();
    assert!(paths.len() >= 4, "{paths:?}");
    paths.extend(["/", "/api/events", "/api/choices"]);
    for path in paths {
        let strange = format!("GET {path} HTTP/1.1\r\nOrigin: http://evil.test");
        let (head, _) = parted(&local.ask(&strange, "")).to_owned();
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}");
        assert!(!head.contains("access-control"), "{path}: {head}");
        for rule in ["nosniff", "cross-origin-resource-policy: same-origin"] {
            assert!(head.contains(rule), "{path}: {head}");
        }
        let rebound = local.ask(&format!("GET {path} HTTP/1.1\r\nHost: evil.test"), "");
        assert!(rebound.starts_with("HTTP/1.1 421"), "{path}: {rebound}");
    }
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag");
    let known = local.ask(&format!("GET / HTTP/1.1\r\nIf-None-Match: {tag}"), "");
    assert!(known.starts_with("HTTP/1.1 304"), "{known}");

    // What a browser lets any page send without asking is not taken.
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let head = format!("POST /api/again HTTP/1.1\r\nContent-Type: {kind}");
        let answer = local.ask(&head, "{}");
        assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
    }
    let large = format!("\"{}\"", "x".repeat(5 << 20));
    let head = "POST /api/try HTTP/1.1\r\nContent-Type: application/json";
    assert!(local.ask(head, &large).starts_with("HTTP/1.1 413"));
    let strange = local.ask("GET /api/events HTTP/1.1\r\nSec-Fetch-Site: cross-site", "");
    assert!(strange.starts_with("HTTP/1.1 403"), "{strange}");
    let preflight = "OPTIONS /api/again HTTP/1.1\r\nOrigin: http://evil.test\r\n\
                     Access-Control-Request-Method: POST";
    let (head, _) = parted(&local.ask(preflight, ""));
    assert!(!head.contains("access-control"), "{head}");
}

#[test]
fn an_event_that_failed_is_explained_mended_and_sent_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let local = Local::start(dir.path(), &[]);
    click(&local, &json!(7));
    let listed = get(&local, "/api/events");
    let routes: Vec<&str> = listed["events"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| text(&row["route"]))
        .collect();
    assert_eq!(routes, ["incomplete", "bad"], "{listed}");
    let bad = &listed["events"][1];
    assert_eq!((text(&bad["app"]), text(&bad["event"])), ("shop", "link_click"));

    let number = &bad["number"];
    let opened = get(&local, &format!("/api/events/{number}"));
    let wrong = &opened["why"]["faults"][0]["wrong"][0];
    assert_eq!(
        (text(&wrong["at"]), text(&wrong["found"])),
        ("/targetUrl", "integer 7"),
        "{opened}"
    );
    assert!(text(&wrong["expected"]).contains("string"), "{opened}");
    let steps = opened["account"]["events"][0].as_object().expect("steps");
    assert!(steps.contains_key("fields") && steps.contains_key("schemas"), "{opened}");

    let mut edit = opened["edit"].clone();
    let same = post(&local, "/api/try", &json!({"number": number, "edit": edit}));
    assert_eq!(same["verdicts"], json!(["schema_violations"]), "{same}");
    let mended =
        text(&edit["text"]).replace("\"targetUrl\": 7", "\"targetUrl\": \"http://a.test\"");
    edit["text"] = mended.into();
    let mended = json!({"number": number, "edit": edit});
    assert_eq!(post(&local, "/api/try", &mended)["verdicts"], json!(["enriched"]));
    assert_eq!(get(&local, "/api/events")["events"].as_array().map(Vec::len), Some(2));

    let again = post(&local, "/api/again", &mended);
    let came = &again["events"][0];
    assert_eq!((text(&came["route"]), text(&came["id"])), ("enriched", EVENT), "{again}");
    let columns = get(&local, &format!("/api/events/{}", came["number"]))["columns"].clone();
    let agent = json!(["useragent", "a browser's own"]);
    assert!(columns.as_array().expect("a list").contains(&agent), "{columns}");

    for (edit, said) in [
        (json!({"form": "event", "text": "{"}), "no JSON"),
        (json!({"form": "haiku"}), "unknown variant"),
    ] {
        let refused = post(&local, "/api/try", &json!({"number": number, "edit": edit}));
        assert!(text(&refused["error"]).contains(said), "{refused}");
    }
    let gone = get(&local, "/api/events/999");
    assert!(text(&gone["error"]).contains("not kept"), "{gone}");
    let rules = get(&local, "/api/rules");
    let link = rules["schemas"].as_array().expect("a list").iter().find(|it| it["key"] == LINK);
    assert_eq!(link.map(|it| text(&it["registry"])), Some("Iglu Client Embedded"), "{rules}");
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}
