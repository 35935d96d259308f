//! Asking APIs that misbehave: what becomes of a question, and that nothing takes longer or more
//! than it may.

#![allow(clippy::disallowed_methods, reason = "a server ends with the runtime of its test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use enrichments::lookup::{Answer, Answers, Key, Question, Then, Value};
use enrichments::{Enrichments, Options};
use lookups::{Lookups, Settings, Told};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What was served.
#[derive(Debug, Default)]
struct Served {
    requests: AtomicUsize,
    /// Chunks of a body without an end.
    chunks: AtomicUsize,
}

async fn serve() -> (SocketAddr, Arc<Served>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let (address, served) = (listener.local_addr().expect("an address"), Arc::default());
    let counts: Arc<Served> = Arc::clone(&served);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let served = Arc::clone(&counts);
            // Who asks may hang up at any time.
            tokio::spawn(async move { answer(stream, &served).await.ok() });
        }
    });
    (address, served)
}

async fn answer(stream: TcpStream, served: &Served) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut request = String::new();
        if stream.read_line(&mut request).await? == 0 {
            return Ok(());
        }
        let mut header = String::new();
        while stream.read_line(&mut header).await? > 2 {
            header.clear();
        }
        served.requests.fetch_add(1, Ordering::SeqCst);
        let path = request.split(' ').nth(1).unwrap_or_default();
        let out = stream.get_mut();
        let status = |status: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        match path.split('/').nth(1).unwrap_or_default() {
            "hangs" => std::future::pending().await,
            "drips" => {
                out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[").await?;
                std::future::pending().await
            }
            "breaks-off" => {
                out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1,").await?;
                return Ok(());
            }
            "redirects" => {
                let to = "HTTP/1.1 302 Found\r\nLocation: /good\r\nContent-Length: 0\r\n\r\n";
                out.write_all(to.as_bytes()).await?;
            }
            "endless" => {
                out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
                let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
                loop {
                    out.write_all(chunk.as_bytes()).await?;
                    served.chunks.fetch_add(1, Ordering::SeqCst);
                }
            }
            "no-http" => {
                out.write_all(b"220 mail.acme.com ESMTP\r\n").await?;
                return Ok(());
            }
            "bad-json" => {
                let bad = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"a\": nope}";
                out.write_all(bad.as_bytes()).await?;
            }
            "500" => out.write_all(status("500 Oh no").as_bytes()).await?,
            "429" => out.write_all(status("429 Slow down").as_bytes()).await?,
            "403" => out.write_all(status("403 No").as_bytes()).await?,
            _ => {
                let good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
                out.write_all(good.as_bytes()).await?;
            }
        }
    }
}

fn open(timeout: u32, settings: &Settings) -> Arc<Lookups> {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        r#"{{"schema":"iglu:com.snowplowanalytics.snowplow.enrichments/api_request_enrichment_config/jsonschema/1-0-2",
            "data":{{"enabled":true,"parameters":{{"inputs":[],
            "api":{{"http":{{"method":"GET","uri":"http://any/","timeout":{timeout}}}}},
            "outputs":[{{"schema":"iglu:a/b/jsonschema/1-0-0","json":{{"jsonPath":"$"}}}}],
            "cache":{{"size":10,"ttl":60}}}}}}}}"#
    );
    std::fs::write(folder.path().join("api.json"), text).expect("a file");
    let enrichments = Enrichments::load(folder.path(), None, &Options::default());
    let enrichments = enrichments.expect("it is right");
    Arc::new(Lookups::open(enrichments.lookups(), |_| settings.clone()).expect("it opens"))
}

async fn ask(lookups: &Arc<Lookups>, url: &str) -> Answer {
    let question = Question { lookup: 0, key: Key([Value::Text(url.into())].into()) };
    let mut told = Told::by(lookups);
    told.ask(std::iter::once(&question)).await;
    told.get(&question).expect("it was asked")
}

/// What an answer says; an outage with a sign.
fn said(answer: &Answer) -> String {
    match answer {
        Answer::Found(found) => found[0].data().to_owned(),
        Answer::Failed(words) => words[0].text().into_owned(),
        Answer::Unavailable(outage) => format!("! {}", outage.words[0].text()),
    }
}

#[tokio::test]
async fn whatever_an_api_does_there_is_an_answer() {
    let (address, served) = serve().await;
    let lookups = open(300, &Settings::default());
    for (path, expected) in [
        ("good", "{}"),
        ("hangs", "! no answer within 300 ms"),
        ("drips", "! no answer within 300 ms"),
        ("breaks-off", "! "),
        ("redirects", "Request failed with status 302"),
        ("endless", "the answer has more than 1048576 bytes"),
        ("no-http", "! "),
        ("bad-json", "not JSON: "),
        ("500", "! Request failed with status 500"),
        ("429", "! Request failed with status 429"),
        ("403", "Request failed with status 403"),
    ] {
        let answer = said(&ask(&lookups, &format!("http://{address}/{path}")).await);
        assert!(answer.starts_with(expected), "{path}: {answer}");
        assert!(!answer.contains(&address.to_string()), "{path}: {answer} tells the URL");
    }
    assert_eq!(served.requests.load(Ordering::SeqCst), 11, "nothing is asked twice");
    let chunks = served.chunks.load(Ordering::SeqCst);
    assert!(chunks < 16 * 16, "{chunks} chunks of 64 KiB were taken");
}

#[tokio::test]
async fn an_outage_is_told_from_an_answer() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let nobody = listener.local_addr().expect("an address");
    drop(listener);
    let lookups = open(300, &Settings::default());
    let url = |host: &str| format!("http://{host}/?secret=s3cret");
    assert_eq!(said(&ask(&lookups, &url(&nobody.to_string())).await), "! Connection refused");
    let answer = said(&ask(&lookups, &url("nobody.invalid")).await);
    assert!(answer.starts_with("! ") && !answer.contains("s3cret"), "{answer}");
    let park =
        Settings { then: Then::Park, patience: std::time::Duration::ZERO, ..Settings::default() };
    let Answer::Unavailable(outage) = ask(&open(300, &park), &url(&nobody.to_string())).await
    else {
        panic!("there is nobody");
    };
    assert_eq!(outage.then, Then::Park);
}

#[tokio::test]
async fn what_tells_a_machine_its_credentials_is_not_asked() {
    let lookups = open(300, &Settings::default());
    for host in ["169.254.169.254", "[fd00:ec2::254]", "2852039166", "[::ffff:169.254.169.254]"] {
        let answer = ask(&lookups, &format!("http://{host}/latest/meta-data")).await;
        let Answer::Failed(words) = answer else { panic!("{host}: {answer:?}") };
        assert!(words[0].text().contains("a machine's own services"), "{host}: {words:?}");
    }
    for url in ["ftp://host/", "file:///etc/passwd", "nonsense", "http://"] {
        let answer = said(&ask(&lookups, url).await);
        assert_eq!(answer, format!("uri [{url}] is not valid: Invalid URI"));
    }
}
