//! Look-ups in a worker's path: who waits for answers holds up nobody else, and everything that was
//! read comes out.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use enricher::batch::{Arrival, Batch, Record};
use enricher::pool::Pool;
use enricher::resolving::{Attempt, Sources, resolving};
use enricher::{cores, process};
use enrichments::lookup::api::Api;
use enrichments::lookup::{Key, Lookup};
use enrichments::{Enrichments, Options};
use lease::{Position, SequenceNumber, ShardId};
use lookups::{Ask, Asking, Lookups, Settings, Trouble};
use pipeline::output::Verdict;
use pipeline::{Output, Pipeline};
use resolver::Resolver;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use traffic::requests;

const NOW_MS: i64 = 1_714_558_272_345;

/// Asks by the user; the entity is of a schema that is embedded.
fn pipeline() -> Arc<Pipeline> {
    let folder = tempfile::tempdir().expect("a folder");
    let text = r#"{
        "schema": "iglu:com.snowplowanalytics.snowplow.enrichments/api_request_enrichment_config/jsonschema/1-0-2",
        "data": {"enabled": true, "parameters": {
            "inputs": [{"key": "user", "pojo": {"field": "user_id"}}],
            "api": {"http": {"method": "GET", "uri": "http://any/{{user}}", "timeout": 1000}},
            "outputs": [{"schema": "iglu:org.ietf/http_header/jsonschema/1-0-0",
                         "json": {"jsonPath": "$"}}],
            "cache": {"size": 100000, "ttl": 60}
        }}
    }"#;
    std::fs::write(folder.path().join("api.json"), text).expect("a file");
    let enrichments = Enrichments::load(folder.path(), None, &Options::default());
    let settings = pipeline::Settings::new(process::this_program());
    Arc::new(Pipeline::new(settings, Arc::new(enrichments.expect("it is right"))))
}

/// Answers as many questions as he may.
struct Slow {
    api: Api,
    may: Semaphore,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

/// The one who is asked, while the test holds him, too.
struct Shared(Arc<Slow>);

impl Ask for Shared {
    fn ask<'a>(&'a self, key: &'a Key) -> Asking<'a> {
        Box::pin(async move {
            let slow = &*self.0;
            let now = slow.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            slow.most.fetch_max(now, Ordering::SeqCst);
            slow.may.acquire().await.expect("it is never closed").forget();
            slow.under_way.fetch_sub(1, Ordering::SeqCst);
            let (url, _) = Api::request(key);
            let body = format!(r#"{{"name":"user","value":"{url}"}}"#);
            slow.api.answer(&body).map_err(|words| Trouble::Refused(vec![words]))
        })
    }

    fn reach(&self) -> Pin<Box<dyn Future<Output = Result<(), Trouble>> + Send + '_>> {
        Box::pin(async { Ok(()) })
    }
}

fn batch(shard: &str, users: impl Iterator<Item = String>) -> Batch {
    let record = |(n, user): (usize, String)| {
        let query = format!("e=pv&p=web&tv=x&{user}");
        let sequence = SequenceNumber::parse(&n.to_string()).expect("a number");
        let data = Bytes::from(requests::record(&requests::get("/i", &query)));
        Record { sequence, sub_sequence: 0, arrival: Arrival::default(), data }
    };
    let records = users.enumerate().map(record).collect();
    Batch { shard: ShardId::new(shard), records, lag: None, end: Position::ShardEnd }
}

struct Parts {
    pool: Pool,
    pipeline: Arc<Pipeline>,
    resolver: Resolver,
    lookups: Arc<Lookups>,
}

impl Parts {
    fn new(slow: &Arc<Slow>, pipeline: Arc<Pipeline>) -> Arc<Parts> {
        let terms = pipeline.enrichments().lookups()[0].cache();
        let whom: Box<dyn Ask> = Box::new(Shared(Arc::clone(slow)));
        let lookups = Lookups::of(vec![("api", whom, terms, Settings::default())]);
        let (pool, resolver) = (Pool::new(2).expect("threads"), Resolver::embedded());
        Arc::new(Parts { pool, pipeline, resolver, lookups: Arc::new(lookups) })
    }

    async fn process(&self, batch: &Batch) -> Output {
        let attempt =
            |attempt: Attempt| cores::process(&self.pool, &self.pipeline, batch, attempt, NOW_MS);
        let sources = Sources { resolver: &self.resolver, lookups: &self.lookups };
        resolving(sources, attempt).await.expect("nothing panics")
    }
}

#[tokio::test]
async fn ten_thousand_questions_hold_up_no_other_shard() {
    let pipeline = pipeline();
    let Lookup::Api(api) = pipeline.enrichments().lookups()[0].clone() else { panic!("of an API") };
    let (under_way, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let slow = Arc::new(Slow { api, may: Semaphore::new(0), under_way, most });
    let parts = Parts::new(&slow, pipeline);
    let mut asking = JoinSet::new();
    {
        let parts = Arc::clone(&parts);
        asking.spawn(async move {
            let batch = batch("asks", (0..10_000).map(|n| format!("uid=user-{n}")));
            parts.process(&batch).await
        });
    }
    while slow.under_way.load(Ordering::SeqCst) < 16 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Nothing is answered, and all these pass: they ask nothing.
    for _ in 0..20 {
        let other = batch("other", (0..100).map(|n| format!("aid=app-{n}")));
        let output = parts.process(&other).await;
        assert_eq!(output.verdicts.len(), 100);
    }
    assert!(asking.try_join_next().is_none());
    slow.may.add_permits(10_000);
    let output = asking.join_next().await.expect("it is there").expect("it goes on");
    assert_eq!(slow.most.load(Ordering::SeqCst), 16);
    assert!(output.verdicts.iter().all(|(_, verdict)| *verdict == Verdict::Enriched));
    for (n, line) in output.enriched.iter().enumerate() {
        let line = String::from_utf8_lossy(line);
        assert!(line.contains(&format!("http://any/user-{n}\"")), "{n}: {line}");
    }
    assert_eq!(output.enriched.len(), 10_000);
    // What was answered is kept: the same events ask nobody again.
    let again = batch("asks", (0..10_000).map(|n| format!("uid=user-{n}")));
    assert_eq!(parts.process(&again).await.enriched.len(), 10_000);
    assert_eq!(parts.lookups.figures()[0].answered, 10_000);
}

/// A batch that lost its lease is dropped in the middle; its questions do not block others.
#[tokio::test]
async fn a_batch_that_is_cut_off_leaves_nothing_behind() {
    let pipeline = pipeline();
    let Lookup::Api(api) = pipeline.enrichments().lookups()[0].clone() else { panic!("of an API") };
    let (under_way, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let slow = Arc::new(Slow { api, may: Semaphore::new(0), under_way, most });
    let parts = Parts::new(&slow, pipeline);
    for _ in 0..50 {
        let batch = batch("asks", (0..40).map(|n| format!("uid=user-{n}")));
        let cut = tokio::time::timeout(Duration::from_millis(5), parts.process(&batch)).await;
        assert!(cut.is_err());
    }
    slow.may.add_permits(1_000);
    let batch = batch("asks", (0..40).map(|n| format!("uid=user-{n}")));
    assert_eq!(parts.process(&batch).await.enriched.len(), 40);
}

/// An API that answers every request in the same way, on a thread of its own.
fn serve(body: &'static str) -> std::net::SocketAddr {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            while lines.next().is_some_and(|line| !line.is_empty()) {}
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length:";
            // Who asked may be gone.
            let _ = write!(&stream, "{head} {}\r\n\r\n{body}", body.len());
        }
    });
    address
}

/// A folder of enrichments that ask there, with a key in the URL, and a payload.
fn folder(address: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("enrichments")).expect("a folder");
    let text = format!(
        r#"{{
        "schema": "iglu:com.snowplowanalytics.snowplow.enrichments/api_request_enrichment_config/jsonschema/1-0-2",
        "data": {{"enabled": true, "parameters": {{
            "inputs": [{{"key": "user", "pojo": {{"field": "user_id"}}}}],
            "api": {{"http": {{"method": "POST", "uri": "http://{address}/", "timeout": 5000}}}},
            "outputs": [{{"schema": "iglu:org.ietf/http_header/jsonschema/1-0-0",
                          "json": {{"jsonPath": "$"}}}}],
            "cache": {{"size": 0, "ttl": 60}}
        }}}}
    }}"#
    );
    std::fs::write(folder.path().join("enrichments/api.json"), text).expect("a file");
    let record = requests::record(&requests::get("/i", "e=pv&p=web&tv=x&uid=ada"));
    let line = event::base64::encode(&record);
    std::fs::write(folder.path().join("payload"), format!("{line}\n")).expect("a file");
    folder
}

fn snowmelt(folder: &tempfile::TempDir, arguments: &[&str]) -> (i32, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_snowmelt"))
        .current_dir(folder.path())
        .args(arguments)
        .output()
        .expect("it starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

const FILES: [&str; 4] = ["--input", "payload", "--enrichments", "enrichments"];

#[test]
fn explain_shows_what_was_asked_and_answered() {
    let address = serve(r#"{"name":"Ada","value":"1815"}"#);
    let folder = folder(&address.to_string());
    let (code, said) = snowmelt(&folder, &[&["explain", "--json"][..], &FILES].concat());
    assert_eq!(code, 0, "{said}");
    let account: serde_json::Value = serde_json::from_str(&said).expect("it is JSON");
    let step = &account["events"][0]["enrichments"]["api_request_enrichment_config"];
    let shown = &step["look-ups"][0];
    assert_eq!(shown["asked"], format!(r#"POST http://{address}/ {{"user":"ada"}}"#), "{step}");
    assert_eq!(shown["answer"][0]["name"], "Ada", "{step}");
    assert!(shown["milliseconds"].as_f64().is_some_and(|took| took > 0.0), "{step}");
    assert!(account["became"][0]["enriched"].as_str().is_some_and(|line| line.contains("1815")));
}

#[test]
fn enrich_fails_or_keeps_events_whose_look_up_cannot_be_asked() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let nobody = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let folder = folder(&nobody);
    let out = ["--output", "failed"];
    let (code, said) = snowmelt(&folder, &[&["enrich"][..], &FILES, &out].concat());
    assert_eq!(code, 0, "{said}");
    let bad = std::fs::read_to_string(folder.path().join("failed/bad.jsonl")).expect("a file");
    assert!(bad.contains(r#""error":"Connection refused""#), "{bad}");
    let (code, said) = snowmelt(&folder, &["enrich", "--on-unavailable", "wait"]);
    assert!(code == 64 && said.contains("fail, skip, park"), "{said}");
}
