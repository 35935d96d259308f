//! What a registry does to what is known: it comes late, goes away, changes its mind, is stormed.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use event::SchemaKey;
use resolver::Resolver;
use tokio::task::JoinSet;
use validator::Lookup;

use crate::server::{Reply, Server, ok, with};
use crate::{PATH, URI, ask, resolver};

fn key(uri: &str) -> SchemaKey {
    SchemaKey::parse(uri).expect("an Iglu URI")
}

/// What accepts `1`: tells schemas apart.
fn accepts(lookup: &Lookup, json: &str) -> bool {
    match lookup {
        Lookup::Found(schema) => schema.check(json).is_ok(),
        other => panic!("not found: {other:?}"),
    }
}

/// Asks again for everything that is due and in use, as a worker does each second, until the
/// number of requests says that it was done. Terms of a second are real ones here: the paused
/// clock does not move while a socket is waited for.
async fn freshen_until(resolver: &Resolver, done: impl Fn() -> bool) {
    while !done() {
        resolver.schemas().get(URI);
        resolver.freshen().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// As [`resolver`], with a term of a second.
fn restless(uri: &str) -> Resolver {
    let text = format!(
        r#"{{"schema":"iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-3",
        "data":{{"cacheSize":500,"cacheTtl":1,"repositories":[{{"name":"Acme","priority":0,
        "vendorPrefixes":["com.acme"],"connection":{{"http":{{"uri":"{uri}"}}}}}}]}}}}"#
    );
    let resolver = Resolver::from_config(&text, Path::new(""), None);
    resolver.expect("a good configuration").with_wait(Duration::ZERO)
}

#[tokio::test]
async fn a_registry_that_is_down_at_the_start_is_waited_for() {
    let server = Server::start().await;
    let address = server.uri.trim_start_matches("http://").to_owned();
    let waiting = resolver(&server.uri, None).with_wait(Duration::from_secs(60));
    drop(server);
    let asked = waiting.clone();
    let mut asking = Box::pin(async move { ask(&asked).await });
    // The question is out, and failed at least once, before there is anybody to answer it.
    while waiting.figures().failed == 0 {
        tokio::select! {
            biased;
            early = &mut asking => panic!("answered by nobody: {early:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    let server = Server::start_at(&address).await;
    server.say(PATH, ok(r#"{"type":"integer"}"#));
    assert!(accepts(&asking.await, "1"));
    let figures = waiting.figures();
    assert_eq!((figures.waited_found, figures.waited_unavailable), (1, 0));
}

#[tokio::test]
async fn a_schema_outlives_its_registry() {
    let server = Server::start().await;
    server.say(PATH, ok(r#"{"type":"integer"}"#));
    let resolver = restless(&server.uri);
    assert!(accepts(&ask(&resolver).await, "1"));
    drop(server);
    freshen_until(&resolver, || resolver.figures().stale > 0).await;
    assert!(accepts(&ask(&resolver).await, "1"));
    let other = key("iglu:com.acme/never_seen/jsonschema/1-0-0");
    let schemas = resolver.resolve(std::slice::from_ref(&other)).await;
    assert!(matches!(schemas.get(&other.to_string()), Some(Lookup::Unavailable(_))));
}

#[tokio::test]
async fn a_text_that_is_known_is_not_sent_again() {
    let server = Server::start().await;
    server.say(PATH, Reply::Tagged("\"a\"", r#"{"type":"integer"}"#.into()));
    let resolver = restless(&server.uri);
    assert!(accepts(&ask(&resolver).await, "1"));
    freshen_until(&resolver, || server.requests().len() >= 3).await;
    let figures = resolver.figures();
    let acme = figures.registries.iter().find(|of| of.name == "Acme").expect("it is configured");
    assert!(acme.unchanged >= 2 && acme.found == 1, "{acme:?}");
    assert_eq!((figures.stale, figures.changed), (0, 0));
    assert!(!server.requests()[0].contains("if-none-match"));
}

#[tokio::test]
async fn a_schema_that_changes_under_its_version_is_taken_and_counted() {
    let server = Server::start().await;
    server.say(PATH, Reply::Tagged("\"a\"", r#"{"type":"integer"}"#.into()));
    let resolver = restless(&server.uri);
    assert!(accepts(&ask(&resolver).await, "1"));
    server.say(PATH, Reply::Tagged("\"b\"", r#"{"type":"string"}"#.into()));
    freshen_until(&resolver, || resolver.figures().changed > 0).await;
    let lookup = ask(&resolver).await;
    assert!(accepts(&lookup, "\"x\"") && !accepts(&lookup, "1"));
}

#[tokio::test]
async fn a_compressed_answer_is_read_and_bounded_by_what_is_inside() {
    let packed = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).expect("memory takes everything");
        encoder.finish().expect("memory takes everything")
    };
    let server = Server::start().await;
    let gzip = "content-encoding: gzip\r\n";
    server.say(PATH, with("200 OK", gzip, packed(r#"{"type":"integer"}"#)));
    assert!(accepts(&ask(&resolver(&server.uri, None)).await, "1"));
    let bomb = packed(&format!(r#"{{"description":"{}"}}"#, "x".repeat(64 << 20)));
    assert!(bomb.len() < 1 << 20);
    server.say(PATH, with("200 OK", gzip, bomb));
    assert!(matches!(ask(&resolver(&server.uri, None)).await, Lookup::Missing(_)));
}

#[tokio::test]
async fn a_registry_that_asks_to_be_left_alone_is_spared() {
    for status in ["429 Slow", "503 Busy"] {
        let server = Server::start().await;
        server.say(PATH, with(status, "retry-after: 20\r\n", ""));
        let resolver = resolver(&server.uri, None);
        for n in 0..50 {
            let uri = URI.replace("click", &format!("click{n}"));
            server.say(
                &PATH.replace("click", &format!("click{n}")),
                with(status, "retry-after: 20\r\n", ""),
            );
            let schemas = resolver.resolve(&[key(&uri)]).await;
            assert!(matches!(schemas.get(&uri), Some(Lookup::Unavailable(_))), "{uri}");
        }
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_storm_of_unknown_keys_costs_bounded_requests_and_nobody_elses_time() {
    let server = Server::start().await;
    server.say(PATH, ok("{}"));
    let resolver = resolver(&server.uri, None);
    ask(&resolver).await;
    let storm = |round: usize| {
        let name = |n: usize| key(&format!("iglu:com.acme/bot{round}_{n}/jsonschema/1-0-0"));
        (0..1_000).map(name).collect::<Vec<_>>()
    };
    for round in 0..2 {
        let keys = storm(round);
        let stormed = resolver.clone();
        let mut asking = JoinSet::new();
        asking.spawn(async move { stormed.resolve(&keys).await.len() });
        // Another shard reads what it knows while the storm is on.
        let known = loop {
            assert!(matches!(resolver.schemas().get(URI), Some(Lookup::Found(_))));
            match asking.try_join_next() {
                Some(done) => break done.expect("no panic"),
                None => tokio::task::yield_now().await,
            }
        };
        assert!(known >= 1_000, "{known}");
    }
    // The same keys again cost nothing.
    resolver.resolve(&storm(0)).await;
    assert_eq!(server.requests().len(), 2_001);
    assert_eq!(resolver.figures().waited_missing, 2_000);
}

#[tokio::test]
async fn what_an_iglu_server_lists_can_be_pulled_into_a_bundle() {
    let server = Server::start().await;
    let other = PATH.replace("click", "view");
    server.say("/schemas?repr=uri", ok(&format!("[{URI:?},{:?}]", URI.replace("click", "view"))));
    server.say(PATH, ok(r#"{"type":"integer"}"#));
    server.say(&other, ok(r#"{"type":"string"}"#));
    let online = resolver(&server.uri, None);
    let listed = online.list().await;
    let acme = listed.iter().find(|listed| listed.registry == "Acme").expect("it is configured");
    let keys = acme.keys.clone().expect("it lists");
    assert_eq!(keys.len(), 2);
    let file = tempfile::NamedTempFile::new().expect("a file");
    let mut lines = Vec::new();
    let pulled = online.pull(&keys, &mut lines).await.expect("written");
    assert_eq!((pulled.written, pulled.failed.len()), (2, 0));
    std::fs::write(file.path(), lines).expect("written");
    drop(server);
    let offline = Resolver::embedded().with_bundle(file.path()).expect("a good bundle");
    assert!(accepts(&ask(&offline).await, "1"));

    let mute = Server::start().await;
    let listed = resolver(&mute.uri, None).list().await;
    let acme = listed.iter().find(|listed| listed.registry == "Acme").expect("it is configured");
    assert_eq!(acme.keys, Err(resolver::Unlisted::Unable));
}
