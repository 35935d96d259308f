//! A registry that misbehaves in every way a real one does, over real sockets.

mod outages;
mod server;

use std::path::Path;
use std::time::Duration;

use event::SchemaKey;
use event::reason::{RegistryError, RegistryHistory};
use resolver::Resolver;
use server::{Reply, Server, ok, with};
use validator::Lookup;

const URI: &str = "iglu:com.acme/click/jsonschema/1-0-0";
const PATH: &str = "/schemas/com.acme/click/jsonschema/1-0-0";

/// A resolver over this registry that does not wait.
fn resolver(uri: &str, key: Option<&str>) -> Resolver {
    let key = key.map_or("null".to_owned(), |key| format!("{key:?}"));
    let text = format!(
        r#"{{"schema":"iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-3",
        "data":{{"cacheSize":500,"cacheTtl":600,"repositories":[{{"name":"Acme","priority":0,
        "vendorPrefixes":["com.acme"],
        "connection":{{"http":{{"uri":"{uri}","apikey":{key}}}}}}}]}}}}"#
    );
    let resolver = Resolver::from_config(&text, Path::new(""), None).expect("a good configuration");
    resolver.with_wait(Duration::ZERO)
}

async fn ask(resolver: &Resolver) -> Lookup {
    let key = SchemaKey::parse(URI).expect("an Iglu URI");
    resolver.resolve(&[key]).await.get(URI).expect("every key gets an answer").clone()
}

/// What the registry under test said.
fn error(history: &[RegistryHistory]) -> RegistryError {
    history.iter().find(|history| history.repository == "Acme").expect("it was asked").errors[0]
        .clone()
}

/// What comes of one reply.
async fn check(reply: Reply) -> Lookup {
    let server = Server::start().await;
    server.say(PATH, reply);
    ask(&resolver(&server.uri, None)).await
}

#[tokio::test]
async fn a_schema_is_found_where_a_static_registry_and_an_iglu_server_keep_it() {
    let server = Server::start().await;
    server.say(PATH, ok(r#"{"type":"integer"}"#));
    server.say(&format!("/api{PATH}"), ok(r#"{"type":"string"}"#));
    for (uri, json) in [(server.uri.clone(), "1"), (format!("{}/api/", server.uri), "\"x\"")] {
        let Lookup::Found(schema) = ask(&resolver(&uri, Some("secret"))).await else {
            panic!("it is there")
        };
        assert_eq!(schema.check(json), Ok(()));
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|head| head.contains("\r\napikey: secret\r\n")), "{requests:?}");
    assert!(requests.iter().all(|head| head.to_lowercase().contains("accept-encoding: gzip")));
}

#[tokio::test]
async fn refusals_are_verdicts_and_trouble_is_none() {
    let Lookup::Missing(history) = check(with("404 Not Found", "", "")).await else {
        panic!("404")
    };
    assert_eq!(error(&history), RegistryError::NotFound);
    let Lookup::Missing(history) = check(with("403 Forbidden", "", "")).await else {
        panic!("403")
    };
    let refused = "Unexpected response code: 403".to_owned();
    assert_eq!(error(&history), RegistryError::ClientFailure(refused));
    for (reply, expected) in [
        (
            with("503 Busy", "retry-after: 7\r\n", "busy"),
            RegistryError::RepoFailure("Unexpected server response: busy".into()),
        ),
        (
            with("429 Slow", "retry-after: 7\r\n", ""),
            RegistryError::ClientFailure("Unexpected response code: 429".into()),
        ),
        (
            ok("<html>"),
            RegistryError::ClientFailure("Could not decode server response. <html>".into()),
        ),
        (
            with("304 Not Modified", "", ""),
            RegistryError::ClientFailure("Unexpected response: ".into()),
        ),
    ] {
        let Lookup::Unavailable(history) = check(reply).await else { panic!("{expected:?}") };
        assert_eq!(error(&history), expected);
    }
}

#[tokio::test]
async fn broken_connections_are_trouble() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"type\":";
    let Lookup::Unavailable(history) = check(Reply::Send(half.into())).await else {
        panic!("half a body")
    };
    let RegistryError::ClientFailure(message) = error(&history) else { panic!("half a body") };
    assert!(message.starts_with("the answer broke off"), "{message}");
    let Lookup::Unavailable(_) = check(Reply::Send(Vec::new())).await else { panic!("nothing") };
    let Lookup::Unavailable(_) = check(Reply::Send("SMTP\r\n\r\n".into())).await else {
        panic!("no HTTP")
    };

    let server = Server::start().await;
    let (uri, tls) = (server.uri.clone(), server.uri.replace("http:", "https:"));
    let Lookup::Unavailable(history) = ask(&resolver(&tls, None)).await else { panic!("no TLS") };
    let RegistryError::ClientFailure(message) = error(&history) else { panic!("no TLS") };
    assert!(message.starts_with("cannot connect"), "{message}");
    drop(server);
    let Lookup::Unavailable(_) = ask(&resolver(&uri, None)).await else { panic!("nobody listens") };
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_hangs_is_given_up_on() {
    let start = tokio::time::Instant::now();
    let Lookup::Unavailable(history) = check(Reply::Hang).await else { panic!("it hangs") };
    let RegistryError::ClientFailure(message) = error(&history) else { panic!("it hangs") };
    assert!(message.starts_with("timed out"), "{message}");
    assert!(start.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn a_schema_of_ten_megabytes_is_not_read() {
    let large = format!(r#"{{"description":"{}"}}"#, "x".repeat(10 << 20));
    let Lookup::Missing(history) = check(ok(&large)).await else { panic!("too large") };
    let RegistryError::ClientFailure(message) = error(&history) else { panic!("too large") };
    assert!(message.contains("larger than"), "{message}");
}

#[tokio::test]
async fn the_self_of_a_schema_is_not_compared() {
    let other = r#"{"self":{"vendor":"x","name":"y","format":"jsonschema","version":"9-0-0"}}"#;
    assert!(matches!(check(ok(other)).await, Lookup::Found(_)));
}

#[tokio::test]
async fn a_schema_that_is_none_says_so_of_all_data() {
    let Lookup::Found(schema) = check(ok(r#"{"type":"x"}"#)).await else { panic!("it is there") };
    assert!(schema.check("1").is_err());
    assert_eq!(schema.issues()[0].path, "$.type");
}

#[tokio::test]
async fn redirects_are_followed_but_not_for_ever_and_not_with_a_key() {
    let target = Server::start().await;
    target.say(PATH, ok("{}"));
    let server = Server::start().await;
    let to = |target: &str| with("302 Found", &format!("location: {target}\r\n"), "");
    server.say(PATH, to(&format!("{}{PATH}", target.uri)));
    assert!(matches!(ask(&resolver(&server.uri, None)).await, Lookup::Found(_)));

    let Lookup::Unavailable(_) = ask(&resolver(&server.uri, Some("secret"))).await else {
        panic!("the key must not go to another host")
    };
    assert_eq!(target.requests().len(), 1);

    server.say(PATH, to("/elsewhere"));
    server.say("/elsewhere", ok("{}"));
    assert!(matches!(ask(&resolver(&server.uri, Some("secret"))).await, Lookup::Found(_)));

    server.say("/elsewhere", to("/elsewhere"));
    let before = server.requests().len();
    assert!(matches!(ask(&resolver(&server.uri, None)).await, Lookup::Unavailable(_)));
    assert!(server.requests().len() - before < 10);
}

#[tokio::test]
async fn errors_do_not_name_the_registry() {
    let resolver = resolver("http://user:secret@127.0.0.1:9", Some("secret"));
    let Lookup::Unavailable(history) = ask(&resolver).await else { panic!("nobody listens") };
    assert!(!format!("{history:?}").contains("secret"), "{history:?}");
}
