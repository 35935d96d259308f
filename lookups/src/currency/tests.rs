//! Rates from a service on the loopback address.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

use enrichments::lookup::{Lookup, Value};
use enrichments::{Enrichments, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;

const RATES: &str = r#"{"timestamp": 1, "base": "USD", "rates": {"EUR": 0.5, "USD": 1}}"#;

/// What quotes rates: it gives these answers, one after the other, and notes what it was asked.
struct Quotes {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl Quotes {
    async fn with(answers: &[(u16, &str)]) -> Quotes {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/api/", listener.local_addr().expect("an address"));
        let mut answers: VecDeque<(u16, String)> =
            answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Some((status, body)) = answers.pop_front() {
                let (mut stream, _) = listener.accept().await.expect("a client");
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.expect("a request");
                let line = String::from_utf8_lossy(&request[..length]);
                let line = line.lines().next().unwrap_or_default().to_owned();
                notes.lock().expect("nobody panics").push(line);
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).await.expect("it is read");
            }
        });
        Quotes { url, asked, _task: task }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panics").clone()
    }
}

fn rates(account: &str, url: &str, folder: Option<&Path>) -> Rates {
    let configs = tempfile::tempdir().expect("a folder");
    let text = format!(
        r#"{{"schema": "iglu:com.snowplowanalytics.snowplow/currency_conversion_config/jsonschema/1-0-0",
        "data": {{"enabled": true, "name": "x", "vendor": "x", "parameters": {{
            "accountType": "{account}", "apiKey": "hush hush", "baseCurrency": "EUR",
            "rateAt": "EOD_PRIOR"}}}}}}"#
    );
    std::fs::write(configs.path().join("currency.json"), text).expect("a file");
    let loaded = Enrichments::load(configs.path(), None, &Options::default());
    let enrichments = loaded.unwrap_or_else(|errors| panic!("{errors:?}"));
    let Some(Lookup::Currency(currency)) = enrichments.lookups().first() else {
        panic!("it was configured")
    };
    let (url, folder) = (url.to_owned(), folder.map(Path::to_owned));
    let settings = Settings { url, folder, timeout: Duration::from_secs(20) };
    Rates::new(currency, &settings).expect("a client is made")
}

async fn ask(rates: &Rates, day: &str) -> Result<String, Trouble> {
    match rates.ask(&Key([Value::Text(day.into())].into())).await? {
        Answer::Found(found) => Ok(found[0].data().to_owned()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_day_is_fetched_once_and_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let service = Quotes::with(&[(200, RATES)]).await;
    for _ in 0..2 {
        // As after a start.
        let rates = rates("DEVELOPER", &service.url, Some(&folder.path().join("days")));
        let found = ask(&rates, "2024-05-01").await.expect("it answers");
        assert_eq!(found, r#"{"EUR":0.5,"USD":1}"#);
    }
    assert_eq!(service.asked(), ["GET /api/historical/2024-05-01.json?app_id=hush+hush HTTP/1.1"]);
    assert!(folder.path().join("days/2024-05-01-USD.json").exists());
}

#[tokio::test]
async fn what_was_fetched_before_the_day_was_over_is_fetched_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("2024-05-01-EUR.json");
    std::fs::write(&file, r#"{"rates": {"EUR": 1}}"#).expect("a file");
    let noon = UNIX_EPOCH + Duration::from_secs(1_714_564_800);
    let opened = std::fs::File::options().write(true).open(&file).expect("it is there");
    opened.set_modified(noon).expect("a time of the past");
    let service = Quotes::with(&[(200, RATES)]).await;
    let rates = rates("UNLIMITED", &service.url, Some(folder.path()));
    for _ in 0..2 {
        assert_eq!(ask(&rates, "2024-05-01").await.expect("it answers"), r#"{"EUR":0.5,"USD":1}"#);
    }
    assert_eq!(
        service.asked(),
        ["GET /api/historical/2024-05-01.json?app_id=hush+hush&base=EUR HTTP/1.1"]
    );
}

#[tokio::test]
async fn a_refusal_is_told_from_an_outage_and_neither_shows_the_key_or_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = r#"{"error": true, "status": 401, "message": "invalid_app_id"}"#;
    let answers = [(401, refused), (500, "{}"), (429, "{}"), (302, ""), (200, "<html>")];
    let service = Quotes::with(&answers).await;
    let rates = rates("DEVELOPER", &service.url, Some(folder.path()));
    let mut said = Vec::new();
    for _ in 0..6 {
        said.push(format!("{:?}", ask(&rates, "2024-05-01").await.expect_err("nothing comes")));
    }
    for (said, (kind, part)) in said.iter().zip([
        ("Refused", "message: [invalid_app_id]"),
        ("Outage", "status 500"),
        ("Outage", "status 429"),
        ("Outage", "status 302"),
        ("Refused", "OER response is not JSON"),
        // Nobody listens any more.
        ("Outage", "rror"),
    ]) {
        assert!(said.starts_with(kind) && said.contains(part), "{said}");
        assert!(!said.contains("hush"), "{said}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0);
}
