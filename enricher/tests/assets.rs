//! Commands fetch the assets that configurations name, here from an HTTP server in this process.

use std::path::Path;
use std::process::{Command, Output};

use axum::Router;
use axum::routing::get;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use traffic::requests;

const NAME: &str = "referers.json";
const LIST: &str = r#"{"search":{"Found":{"domains":["found.example"],"parameters":["q"]}}}"#;

/// A publisher of a list of referers, a configuration that names it, and a payload that needs it.
struct Place {
    folder: TempDir,
    server: JoinHandle<()>,
}

impl Place {
    async fn new() -> Place {
        let routes = Router::new().route("/lists/referers.json", get(async || LIST));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        #[allow(clippy::disallowed_methods, reason = "the handle is kept and aborted")]
        let server = tokio::spawn(async move {
            axum::serve(listener, routes).await.expect("it serves");
        });
        let place = Place { folder: TempDir::new().expect("a folder"), server };
        std::fs::create_dir(place.path("temporary")).expect("a folder");
        place.configure(&format!("http://{address}/lists"));
        let query = "e=pv&p=web&tv=t&refr=https%3A%2F%2Ffound.example%2F%3Fq%3Dx";
        let record = requests::record(&requests::get("/i", query));
        let line = event::base64::encode(&record);
        std::fs::write(place.path("payloads.txt"), format!("{line}\n")).expect("a file");
        place
    }

    fn configure(&self, uri: &str) {
        let config = serde_json::json!({
            "schema": "iglu:com.snowplowanalytics.snowplow/referer_parser/jsonschema/2-0-0",
            "data": {"enabled": true, "parameters": {
                "internalDomains": [], "database": NAME, "uri": uri,
            }},
        });
        std::fs::create_dir_all(self.path("enrichments")).expect("a folder");
        let file = Path::new(&self.path("enrichments")).join("referers.json");
        std::fs::write(file, config.to_string()).expect("a file");
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn run(&self, command: &str, args: &[&str]) -> Output {
        let configs = self.path("enrichments");
        let output = Command::new(env!("CARGO_BIN_EXE_snowmelt"))
            .env("TMPDIR", self.path("temporary"))
            .args([command, "--enrichments", &configs])
            .args(args)
            .output();
        output.expect("the binary runs")
    }

    fn enrich(&self, args: &[&str]) -> Output {
        self.run("enrich", &[&["--input", &self.path("payloads.txt")], args].concat())
    }

    fn temporary_files(&self) -> usize {
        std::fs::read_dir(self.path("temporary")).expect("it is there").count()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The source of the only event that was enriched.
fn source(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    let text = String::from_utf8_lossy(&output.stdout);
    let columns = event::tsv::columns(text.trim_end_matches('\n')).expect("one line");
    columns[event::Field::RefrSource as usize].to_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn enrich_fetches_what_the_configurations_name() {
    let place = Place::new().await;
    assert_eq!(source(&place.enrich(&[])), "Found");
    assert_eq!(place.temporary_files(), 0);
    let explained = place.run("explain", &["--json", "--input", &place.path("payloads.txt")]);
    let explained: serde_json::Value = serde_json::from_slice(&explained.stdout).expect("JSON");
    let steps = &explained["events"][0]["enrichments"];
    assert_eq!(steps["referer_parser"]["refr_source"], "Found", "{explained}");
    assert_eq!(place.temporary_files(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_serves_while_the_source_is_down() {
    let place = Place::new().await;
    let cache = place.path("cache");
    assert_eq!(source(&place.enrich(&["--asset-cache", &cache])), "Found");
    place.server.abort();
    assert_eq!(source(&place.enrich(&["--asset-cache", &cache])), "Found");
    // What was fetched is a folder of assets like any other.
    assert_eq!(source(&place.enrich(&["--assets", &cache])), "Found");

    let refused = place.enrich(&[]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    let said = said(&refused);
    assert!(said.contains("referers.json at /data/parameters/database"), "{said}");
    assert!(said.contains("referers.json cannot be fetched: "), "{said}");
    assert_eq!(place.temporary_files(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_before_anything_is_fetched() {
    let place = Place::new().await;
    let both = place.enrich(&["--assets", "a", "--asset-cache", "b"]);
    assert_eq!(both.status.code(), Some(64), "{}", said(&both));
    place.configure("gs://bucket/lists");
    let scheme = place.enrich(&[]);
    assert_eq!(scheme.status.code(), Some(64), "{}", said(&scheme));
    assert!(said(&scheme).contains("/data/parameters/uri: expected a URI"), "{}", said(&scheme));
    assert_eq!(place.temporary_files(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_keeps_what_the_configurations_name() {
    let place = Place::new().await;
    let dir = place.path("local");
    let args = ["--demo", "--dir", &dir, "--workers", "1", "--shards", "1", "--events", "50"];
    let output = place.run("local", &args);
    assert!(output.status.success(), "{}", said(&output));
    let kept = Path::new(&dir).join("asset-cache").join(NAME);
    assert_eq!(std::fs::read_to_string(kept).expect("it was kept"), LIST);
}
