//! Assets are fetched from a real HTTP server in this process, which changes, breaks and withholds
//! them.

use super::*;

use std::sync::Mutex;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const NAME: &str = "referers.json";

fn list(host: &str) -> String {
    format!(r#"{{"search":{{"One":{{"domains":["{host}"],"parameters":["q"]}}}}}}"#)
}

/// What a publisher has: a tag and a body, or a fault. Counts the answers by status.
#[derive(Clone, Default)]
struct Publisher(Arc<Mutex<Published>>);

#[derive(Default)]
struct Published {
    edition: Option<(String, String)>,
    answers: Vec<u16>,
}

impl Publisher {
    fn publish(&self, tag: &str, body: String) {
        self.0.lock().expect("no panic").edition = Some((format!("\"{tag}\""), body));
    }

    fn fail(&self) {
        self.0.lock().expect("no panic").edition = None;
    }

    fn answers(&self) -> Vec<u16> {
        self.0.lock().expect("no panic").answers.clone()
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let mut inner = self.0.lock().expect("no panic");
        let known = headers.get("if-none-match").and_then(|tag| tag.to_str().ok());
        let response = match &inner.edition {
            None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            Some((tag, _)) if Some(tag.as_str()) == known => {
                StatusCode::NOT_MODIFIED.into_response()
            }
            Some((tag, body)) => ([("etag", tag.clone())], body.clone()).into_response(),
        };
        inner.answers.push(response.status().as_u16());
        response
    }
}

/// A publisher behind a real server, a configuration that names it, and a folder to keep it in.
struct Place {
    publisher: Publisher,
    uri: String,
    folder: TempDir,
    metrics: Arc<Metrics>,
    server: JoinHandle<()>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Place {
    async fn new() -> Place {
        let publisher = Publisher::default();
        publisher.publish("1", list("one.example"));
        let answer = |State(publisher): State<Publisher>, headers: HeaderMap| async move {
            publisher.answer(&headers)
        };
        let routes =
            Router::new().route("/lists/{name}", get(answer)).with_state(publisher.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let uri = format!("http://{}/lists", listener.local_addr().expect("it is bound"));
        #[allow(clippy::disallowed_methods, reason = "the handle is kept and aborted")]
        let server = tokio::spawn(async move {
            axum::serve(listener, routes).await.expect("it serves");
        });
        let folder = TempDir::new().expect("a folder");
        Place { publisher, uri, folder, metrics: Arc::new(Metrics::new()), server }
    }

    async fn open(&self) -> Result<Assets, Error> {
        self.open_at(&self.uri, None).await
    }

    async fn open_at(&self, uri: &str, max_age: Option<Duration>) -> Result<Assets, Error> {
        let settings = Settings {
            folder: self.folder.path().join("kept"),
            refresh: Duration::from_secs(3600),
            max_age,
        };
        let fetcher = Fetcher::new(None).expect("a client");
        let configuration = configuration(self.folder.path(), uri);
        let metrics = Arc::clone(&self.metrics);
        Assets::open(configuration, settings, fetcher, metrics).await.map(|(assets, _)| assets)
    }

    fn kept(&self) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join("kept").join(NAME)).ok()
    }

    fn metric(&self, line: &str) -> bool {
        self.metrics.text().lines().any(|found| found == line)
    }
}

fn configuration(folder: &std::path::Path, uri: &str) -> Configuration {
    let configs = folder.join("enrichments");
    std::fs::create_dir_all(&configs).expect("a folder");
    let text = format!(
        r#"{{"schema":"iglu:com.snowplowanalytics.snowplow/referer_parser/jsonschema/2-0-0",
            "data":{{"enabled":true,"parameters":{{
              "internalDomains":[],"database":"{NAME}","uri":"{uri}"}}}}}}"#
    );
    std::fs::write(configs.join("referer_parser.json"), text).expect("a file");
    Configuration::read(&configs, &enrichments::Options::default()).expect("it is right")
}

/// How many enrichments one look at the sources hands over.
async fn refreshed(assets: &mut Assets) -> usize {
    let mut handed_over = 0;
    assets.refresh(|_| handed_over += 1).await;
    handed_over
}

#[tokio::test]
async fn another_edition_takes_over_and_the_same_one_is_not_fetched_twice() {
    let place = Place::new().await;
    let mut assets = place.open().await.expect("it is published");
    assert_eq!(place.kept(), Some(list("one.example")));
    assert_eq!(refreshed(&mut assets).await, 0);
    place.publisher.publish("2", list("two.example"));
    assert_eq!(refreshed(&mut assets).await, 1);
    assert_eq!(place.kept(), Some(list("two.example")));
    assert_eq!(place.publisher.answers(), [200, 304, 200]);
    assert!(place.metric(r#"snowmelt_asset_info{asset="referers.json",version="2"} 1"#));
}

#[tokio::test]
async fn a_broken_edition_harms_nothing() {
    let place = Place::new().await;
    let mut assets = place.open().await.expect("it is published");
    place.publisher.publish("2", list("two.example")[..20].to_owned());
    assert_eq!(refreshed(&mut assets).await, 0);
    assert_eq!(place.kept(), Some(list("one.example")));
    assert!(place.metric(r#"snowmelt_asset_events_total{event="broken"} 1"#));
    place.publisher.publish("3", list("three.example"));
    assert_eq!(refreshed(&mut assets).await, 1);
    assert_eq!(place.kept(), Some(list("three.example")));
}

#[tokio::test]
async fn an_edition_that_breaks_off_harms_nothing() {
    let place = Place::new().await;
    drop(place.open().await.expect("it is published"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let uri = format!("http://{}", listener.local_addr().expect("it is bound"));
    // The same folder, and what is kept came from elsewhere: everything is fetched anew.
    let answer = async {
        loop {
            let (mut socket, _) = listener.accept().await.expect("a client");
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await;
            let half = "HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n{\"search\":";
            socket.write_all(half.as_bytes()).await.expect("a reader");
        }
    };
    let opened = tokio::select! {
        opened = place.open_at(&uri, None) => opened,
        () = answer => unreachable!("it answers for ever"),
    };
    assert!(matches!(opened, Err(Error::Unavailable { .. })), "half of it was taken");
    assert_eq!(place.kept(), Some(list("one.example")));
    place.open().await.expect("the good edition was not touched");
    assert_eq!(place.publisher.answers(), [200, 304]);
}

#[tokio::test]
async fn an_object_that_breaks_off_is_no_edition() {
    use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(format!("http://{}", listener.local_addr().expect("it is bound")));
    let fetcher = Fetcher::new(Some(aws_sdk_s3::Client::from_conf(config.build())));
    let answer = async {
        let (mut socket, _) = listener.accept().await.expect("a client");
        let mut request = [0; 4096];
        let _ = socket.read(&mut request).await;
        let half = "HTTP/1.1 200 OK\r\ncontent-length: 4000\r\netag: \"1\"\r\n\r\n{\"search\":";
        socket.write_all(half.as_bytes()).await.expect("a reader");
    };
    let source = Source::parse("s3://bucket/lists/referers.json").expect("a source");
    let folder = TempDir::new().expect("a folder");
    let to = folder.path().join(NAME);
    let fetcher = fetcher.expect("a client");
    let (fetched, ()) = tokio::join!(fetcher.fetch(&source, None, &to), answer);
    assert!(fetched.is_err(), "half of it was taken: {fetched:?}");
}

#[tokio::test]
async fn what_grew_too_old_is_deleted_with_an_alarm_until_there_is_another() {
    let place = Place::new().await;
    let mut assets =
        place.open_at(&place.uri, Some(Duration::from_secs(60))).await.expect("it is published");
    place.publisher.fail();
    assert_eq!(refreshed(&mut assets).await, 0);
    assert!(place.kept().is_some(), "an outage is no reason to delete");
    assets.wanted[0].kept.as_mut().expect("it was kept").confirmed_ms -= 60_001;
    assert_eq!(refreshed(&mut assets).await, 1);
    assert_eq!(place.kept(), None);
    assert!(place.metric("snowmelt_assets_missing 1"));
    assert!(place.metric(r#"snowmelt_asset_events_total{event="expired"} 1"#));
    place.publisher.publish("1", list("one.example"));
    assert_eq!(refreshed(&mut assets).await, 1);
    assert_eq!(place.kept(), Some(list("one.example")));
    assert!(place.metric("snowmelt_assets_missing 0"));
}

#[tokio::test]
async fn a_broken_edition_does_not_keep_an_old_one_alive() {
    let place = Place::new().await;
    let mut assets =
        place.open_at(&place.uri, Some(Duration::from_secs(60))).await.expect("it is published");
    place.publisher.publish("2", "no list".to_owned());
    assets.wanted[0].kept.as_mut().expect("it was kept").confirmed_ms -= 60_001;
    assert_eq!(refreshed(&mut assets).await, 1);
    assert_eq!(place.kept(), None);
}

#[tokio::test]
async fn a_start_takes_what_is_kept_while_its_source_is_down() {
    let place = Place::new().await;
    drop(place.open().await.expect("it is published"));
    place.publisher.fail();
    place.open().await.expect("the last good edition is there");
}

#[tokio::test]
async fn what_cannot_be_fetched_from_there_is_a_mistake_of_the_configuration() {
    let place = Place::new().await;
    let Err(Error::Configuration(errors)) = place.open_at("gs://bucket", None).await else {
        panic!("it was opened")
    };
    assert_eq!(errors[0].pointer, "/data/parameters/uri");
    assert_eq!(errors[0].found, "gs…");
}
