//! The development collector as trackers and browsers meet it: the binary, requests over a socket,
//! and what the workers made of them.

mod captures;
mod page;
mod rest;
mod run;

use run::{Local, column, lines, wait_for_lines};

const USER: &str = "3734601f-5c3d-47c5-b367-0883e1ed74e6";
const EVENT: &str = "2a410e9a-eee3-4fb1-bc07-2a12d7c4e1ff";

#[test]
fn what_trackers_send_comes_out_column_for_column() {
    let dir = tempfile::tempdir().expect("a folder");
    let local = Local::start(dir.path(), &[]);

    // The parameters, their order and the headers of a server's tracker.
    let query = format!(
        "stm=1795295431450&e=pv&url=https%3A%2F%2Fshop.example.com%2Fp%2F2&page=P2&eid={EVENT}\
         &p=srv&tv=node-4.8.0&tna=node1&aid=shop&uid=user-2&ip=198.51.100.9&dtm=1795295431442"
    );
    let got = local.ask(&format!("GET /i?{query} HTTP/1.1\r\nuser-agent: node"), "");
    assert!(got.starts_with("HTTP/1.1 200 OK\r\n"), "{got}");
    assert!(got.contains("content-type: image/gif") && got.contains("GIF89a"), "{got}");
    let id = got.split("set-cookie: sp=").nth(1).expect("a cookie").split(';').next();
    let id = id.expect("an id").to_owned();

    // A browser's, from a page of another origin, that has been here before.
    let body = r#"{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
        "data":[{"e":"se","se_ca":"cart","se_ac":"add","se_va":"9.5","p":"web","tv":"js-4.10.1",
        "tna":"sp1","aid":"web","se_la":"Zoë 日本 😀"}]}"#;
    let head = format!(
        "POST /com.snowplowanalytics.snowplow/tp2 HTTP/1.1\r\nOrigin: http://shop.test\r\n\
         Referer: http://shop.test/page.html?m=post\r\nCookie: a=b; sp={USER}\r\n\
         User-Agent: Mozilla/5.0 (X11)\r\ncontent-type: application/json; charset=UTF-8\r\n\
         X-Forwarded-For: 203.0.113.7, 10.0.0.1"
    );
    let got = local.ask(&head, body);
    assert!(got.starts_with("HTTP/1.1 200 OK") && got.ends_with("\r\n\r\nok"), "{got}");
    assert!(got.contains("access-control-allow-origin: http://shop.test\r\n"), "{got}");
    assert!(got.contains("access-control-allow-credentials: true"), "{got}");
    assert!(got.contains(&format!("set-cookie: sp={USER};")), "{got}");

    let anonymous = head.replace("a=b;", "a=b; anonymous=1;") + "\r\nSP-Anonymous: *";
    let got = local.ask(&anonymous, &body.replace("cart", "quiet"));
    assert!(got.starts_with("HTTP/1.1 200") && !got.contains("set-cookie"), "{got}");

    let said = local.end();
    assert!(said.contains("requests received           3"), "{said}");
    assert!(said.contains("all that was received is in the outputs"), "{said}");
    let mut enriched = lines(dir.path(), "enriched");
    assert_eq!(enriched.len(), 3, "{said} {:?}", lines(dir.path(), "bad"));
    enriched.sort_by_key(|line| column(line, event::Field::SeCategory).to_owned());
    let check = |line: usize, field, value: &str| {
        assert_eq!(column(&enriched[line], field), value, "{}", enriched[line]);
    };
    use event::Field::*;
    for (field, value) in [
        (EventId, EVENT),
        (AppId, "shop"),
        (UserIpaddress, "198.51.100.9"),
        (NetworkUserid, &id),
        (Useragent, "node"),
        (PageUrlpath, "/p/2"),
        (DvceSentTstamp, "2026-11-21 21:10:31.450"),
    ] {
        check(0, field, value);
    }
    for (field, value) in [
        (SeLabel, "Zoë 日本 😀"),
        (UserIpaddress, "203.0.113.7"),
        (NetworkUserid, USER),
        (PageUrl, "http://shop.test/page.html?m=post"),
        (Useragent, "Mozilla/5.0 (X11)"),
    ] {
        check(1, field, value);
    }
    check(2, UserIpaddress, "unknown");
    check(2, NetworkUserid, "00000000-0000-0000-0000-000000000000");
    check(2, VCollector, concat!("snowmelt-", env!("CARGO_PKG_VERSION"), "-local"));
}

#[test]
fn requests_of_other_kinds_are_answered_as_a_collector_does() {
    let dir = tempfile::tempdir().expect("a folder");
    let local = Local::start(dir.path(), &["--host", "collector.test"]);
    let first = |head: &str, body: &str| {
        let answer = local.ask(head, body);
        let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
        (status, answer)
    };
    let (status, answer) =
        first("OPTIONS /com.snowplowanalytics.snowplow/tp2 HTTP/1.1\r\nOrigin: https://a.test", "");
    assert_eq!(status, "200", "{answer}");
    assert!(answer.contains("access-control-allow-headers: Content-Type, SP-Anonymous"));
    assert!(answer.contains("access-control-allow-origin: https://a.test"), "{answer}");

    let (status, answer) = first("GET /r/tp2?u=https%3A%2F%2Fexample.com%2Fa&aid=x HTTP/1.1", "");
    assert_eq!(status, "302", "{answer}");
    assert!(answer.contains("location: https://example.com/a\r\n"), "{answer}");
    assert_eq!(first("GET /r/tp2?u=javascript:alert(1) HTTP/1.1", "").0, "400");
    assert_eq!(first("GET /r/tp2 HTTP/1.1", "").0, "400");

    let webhook = "POST /com.snowplowanalytics.iglu/v1?schema=iglu%3Acom.acme%2Fx%2Fjsonschema%2F1-0-0 \
                   HTTP/1.1\r\nContent-Type: application/json";
    assert_eq!(first(webhook, r#"{"a":1}"#).0, "200");
    assert_eq!(first("PUT /com.acme/v1 HTTP/1.1", "x").0, "405");
    assert_eq!(first("GET /a/b/c HTTP/1.1", "").0, "404");

    let (status, answer) = first("GET /health HTTP/1.1\r\nOrigin: https://a.test", "");
    assert_eq!(status, "200", "{answer}");
    assert!(!answer.contains("access-control"), "only what events come to is for other pages");
    assert_eq!(first("GET /health HTTP/1.1\r\nHost: collector.test:9090", "").0, "200");
    assert_eq!(first("GET /health HTTP/1.1\r\nHost: evil.example", "").0, "421");
    assert_eq!(first("GET /i?e=pv HTTP/1.1\r\nHost: evil.example", "").0, "421");
    let large = "x".repeat((4 << 20) + 1);
    assert_eq!(first("POST /com.acme/v1 HTTP/1.1", &large).0, "413");

    let said = local.end();
    assert!(said.contains("requests received           2"), "{said}");
}

#[test]
fn a_schema_that_was_saved_counts_for_the_next_event() {
    let dir = tempfile::tempdir().expect("a folder");
    let local = Local::start(dir.path(), &[]);
    let send = |category: &str| {
        let properties = r#"{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0","data":{"schema":"iglu:com.acme/step/jsonschema/1-0-0","data":{"n":1}}}"#;
        let escaped: String = properties.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let head = format!("GET /i?e=ue&p=web&tv=t&tna={category}&ue_pr={escaped} HTTP/1.1");
        let answer = local.ask(&head, "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    };
    let save = |kind: &str| {
        let folder = dir.path().join("schemas/com.acme/step/jsonschema");
        std::fs::create_dir_all(&folder).expect("the folder is ours");
        let schema = format!(
            r#"{{"self":{{"vendor":"com.acme","name":"step","format":"jsonschema","version":"1-0-0"}},
            "type":"object","properties":{{"n":{{"type":"{kind}"}}}}}}"#
        );
        std::fs::write(folder.join("1-0-0"), schema).expect("the folder is ours");
    };
    // Each has its verdict before the next change.
    let worked = |route: &str, count: usize| wait_for_lines(dir.path(), route, count);
    send("none");
    worked("bad", 1);
    save("string");
    send("other");
    worked("bad", 2);
    save("integer");
    send("right");
    worked("enriched", 1);
    local.end();
    let enriched = lines(dir.path(), "enriched");
    assert_eq!(column(&enriched[0], event::Field::NameTracker), "right");
    let bad = lines(dir.path(), "bad");
    let refused: Vec<_> = bad.iter().map(|row| row.contains("ValidationError")).collect();
    assert_eq!(refused, [false, true], "{bad:?}");
}

#[test]
fn a_run_that_begins_anew_has_nothing_of_the_last() {
    let dir = tempfile::tempdir().expect("a folder");
    let get = "GET /i?e=pv&p=web&tv=t HTTP/1.1";
    let local = Local::start(dir.path(), &[]);
    local.ask(get, "");
    local.end();
    let local = Local::start(dir.path(), &[]);
    local.ask(get, "");
    assert!(local.end().contains("requests received           2"));
    let kept = dir.path().join("schemas/com.acme");
    std::fs::create_dir_all(&kept).expect("the folder is ours");
    let local = Local::start(dir.path(), &["--reset"]);
    local.ask(get, "");
    let said = local.end();
    assert!(said.contains("requests received           1"), "{said}");
    assert_eq!(lines(dir.path(), "enriched").len(), 1);
    assert!(kept.is_dir(), "schemas are the user's");
}

/// A worker's configuration. Nothing listens at its endpoint: who asked for a stream, a bucket or
/// a table would fail.
const CONFIG: &str = r#"
[aws]
region = "eu-west-1"
endpoint_url = "http://127.0.0.1:1"
[source]
stream = "payloads"
[leases]
table = "leases"
[enriched.s3]
bucket = "events"
[bad.kinesis]
stream = "bad"
[schemas]
folder = "ours"
[validation.atomic_fields_limits]
app_id = 4
[[adapter]]
path = "com.acme/v7"
schema = "iglu:com.acme/step/jsonschema/1-0-0"
[enrichments]
folder = "configured"
"#;

#[test]
fn what_a_workers_configuration_says_of_data_counts_and_its_streams_do_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let file = dir.path().join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("ours");
        std::fs::write(file, text).expect("ours");
    };
    let schema = |kind: &str| {
        format!(
            r#"{{"self":{{"vendor":"com.acme","name":"step","format":"jsonschema","version":"1-0-0"}},
            "type":"object","properties":{{"n":{{"type":"{kind}"}}}}}}"#
        )
    };
    let place = "schemas/com.acme/step/jsonschema/1-0-0";
    write("w.toml", CONFIG);
    write(&format!("ours/{place}"), &schema("integer"));
    write(&format!("other/{place}"), &schema("string"));
    write(
        "configured/anon_ip.json",
        r#"{"schema":"iglu:com.snowplowanalytics.snowplow/anon_ip/jsonschema/1-0-1",
        "data":{"name":"anon_ip","vendor":"com.snowplowanalytics.snowplow","enabled":true,
        "parameters":{"anonOctets":2,"anonSegments":2}}}"#,
    );
    let (file, run) = (dir.path().join("w.toml"), dir.path().join("run"));
    let config = ["--config", file.to_str().expect("text")];
    let webhook = "POST /com.acme/v7 HTTP/1.1\r\nContent-Type: application/json";

    let local = Local::start(&run, &config);
    local.ask("GET /i?e=pv&p=web&tv=t&aid=shop&ip=198.51.100.9 HTTP/1.1", "");
    local.ask("GET /i?e=pv&p=web&tv=t&aid=shops HTTP/1.1", "");
    local.ask(webhook, r#"{"n":1}"#);
    let said = local.end();
    let mut enriched = lines(&run, "enriched");
    enriched.sort_by_key(|line| column(line, event::Field::EventName).to_owned());
    assert_eq!(enriched.len(), 2, "{said}");
    assert_eq!(column(&enriched[0], event::Field::UserIpaddress), "198.51.x.x");
    assert_eq!(column(&enriched[1], event::Field::EventName), "step");
    let bad = lines(&run, "bad");
    assert!(bad.len() == 1 && bad[0].contains("app_id"), "{bad:?}");

    // An argument goes before it.
    let other = dir.path().join("other");
    let line = [&config[..], &["--schemas", other.to_str().expect("text"), "--json"]].concat();
    let local = Local::start(&run, &line);
    local.ask(webhook, r#"{"n":2}"#);
    local.ask("GET /i?e=pv&p=web&tv=t&aid=json HTTP/1.1", "");
    let said = local.end();
    assert!(said.contains("requests received           5"), "{said}");
    let bad = lines(&run, "bad");
    assert!(bad.iter().any(|row| row.contains("integer found, string expected")), "{bad:?}");
    let json = lines(&run, "enriched-json");
    let event: serde_json::Value = serde_json::from_str(&json[0]).expect("it is JSON");
    assert_eq!((json.len(), &event["app_id"]), (1, &"json".into()));
    for route in ["enriched", "bad"] {
        let newest = said.lines().find(|line| line.contains(&format!("run/{route}/")));
        assert!(newest.is_some_and(|line| line.trim().starts_with("zstd -dc ")), "{said}");
    }
}
