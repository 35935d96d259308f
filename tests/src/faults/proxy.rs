//! The proxy of one service: takes a request whole, asks what is to become of it, and passes it on.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Result, bail};
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, BodyStream, Full, StreamBody};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use hyper::http::request;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{Api, Desk, Fault};

/// Listens on a port of its own; returns where.
pub(super) async fn serve(
    servers: &mut JoinSet<()>,
    service: Api,
    upstream: &str,
    desk: Arc<Desk>,
) -> Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let client = Client::builder(TokioExecutor::new()).build_http();
    let proxy = Proxy { service, upstream: upstream.to_owned(), client, desk };
    servers.spawn(accept(listener, Arc::new(proxy)));
    Ok(url)
}

async fn accept(listener: TcpListener, proxy: Arc<Proxy>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.expect("a listening socket accepts");
                connections.spawn(converse(stream, Arc::clone(&proxy)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, proxy: Arc<Proxy>) {
    let answer = service_fn(move |request| {
        let proxy = Arc::clone(&proxy);
        async move { proxy.answer(request).await }
    });
    let connection = hyper::server::conn::http1::Builder::new();
    // An error is a connection that a fault has closed, or one that its client has.
    let _ = connection.serve_connection(TokioIo::new(stream), answer).await;
}

/// What a subscription brings before it is cut.
const FRAMES: usize = 3;

/// What is sent back. An error closes the connection.
type Answer = BoxBody<Bytes, std::io::Error>;

struct Proxy {
    service: Api,
    upstream: String,
    client: Client<HttpConnector, Full<Bytes>>,
    desk: Arc<Desk>,
}

impl Proxy {
    /// An `Err` closes the connection without an answer.
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Answer>> {
        let (head, body) = request.into_parts();
        let mut body = body.collect().await?.to_bytes();
        let action = action(self.service, &head);
        let text = String::from_utf8_lossy(&body);
        let shard = self.shard(&action, &text);
        let subject = format!("{} {text} {}", head.uri, shard.as_deref().unwrap_or_default());
        let fault = self.desk.judge(self.service, &action, &subject);
        match fault {
            Some(Fault::Refuse(status, code, message)) => {
                return Ok(refusal(self.service, status, code, message));
            }
            Some(Fault::Throttle) => return Ok(throttled(self.service)),
            Some(Fault::Answer(status, kind, body)) => {
                return Ok(whole(status, kind, Bytes::from_static(body.as_bytes())));
            }
            Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Reset) => bail!("reset"),
            Some(Fault::Ask(change)) => {
                let mut json = serde_json::from_slice(&body)?;
                change(&mut json);
                body = Bytes::from(json.to_string());
            }
            _ => {}
        }
        if action == "SubscribeToShard" {
            return self.subscribe(head, body, fault).await;
        }
        let (answer, body) = self.pass_on(head, body).await?;
        self.note_iterator(&action, shard, &body);
        match fault {
            Some(Fault::LoseAnswer) => bail!("the answer is lost"),
            Some(Fault::CutAnswer) => Ok(cut(answer, &body)),
            Some(Fault::Rewrite(change)) => Ok(rewritten(answer, &body, change)),
            _ => Ok(Response::from_parts(answer, body_of(body))),
        }
    }

    /// Passes on a subscription, whose answer has no end for a long while.
    async fn subscribe(
        &self,
        head: request::Parts,
        body: Bytes,
        fault: Option<Fault>,
    ) -> Result<Response<Answer>> {
        let answer = self.client.request(self.forwarded(head, body)?).await?;
        let (mut answer, body) = answer.into_parts();
        answer.headers.remove(TRANSFER_ENCODING);
        let body = body.map_err(std::io::Error::other);
        let body: Answer = match fault {
            Some(Fault::LoseAnswer) => bail!("the answer is lost"),
            Some(Fault::Silence(frames)) => {
                let never = futures_util::stream::pending();
                BodyExt::boxed(StreamBody::new(BodyStream::new(body).take(frames).chain(never)))
            }
            Some(Fault::CutAnswer) => {
                let end = futures_util::stream::iter([Err(std::io::Error::other("cut"))]);
                BodyExt::boxed(StreamBody::new(BodyStream::new(body).take(FRAMES).chain(end)))
            }
            _ => body.boxed(),
        };
        Ok(Response::from_parts(answer, body))
    }

    /// A request as the service is to get it.
    fn forwarded(&self, mut head: request::Parts, body: Bytes) -> Result<Request<Full<Bytes>>> {
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        head.uri = format!("{}{path}", self.upstream).parse::<Uri>()?;
        // The body is whole here; hyper says anew how long it is.
        for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING] {
            head.headers.remove(name);
        }
        Ok(Request::from_parts(head, Full::new(body)))
    }

    async fn pass_on(
        &self,
        head: request::Parts,
        body: Bytes,
    ) -> Result<(hyper::http::response::Parts, Bytes)> {
        let request = self.forwarded(head, body)?;
        let (mut answer, body) = match self.client.request(request).await {
            Ok(answer) => answer.into_parts(),
            Err(error) => {
                let text = Bytes::from(error.to_string());
                let (answer, _) = Response::builder().status(502).body(())?.into_parts();
                return Ok((answer, text));
            }
        };
        let body = body.collect().await?.to_bytes();
        answer.headers.remove(TRANSFER_ENCODING);
        // What answers a HEAD keeps the length of the body that it leaves out.
        if !body.is_empty() {
            answer.headers.remove(CONTENT_LENGTH);
        }
        Ok((answer, body))
    }

    /// The shard that a request for records reads.
    fn shard(&self, action: &str, body: &str) -> Option<String> {
        let name = match action {
            "GetRecords" => "ShardIterator",
            "GetShardIterator" => "ShardId",
            _ => return None,
        };
        let body: serde_json::Value = serde_json::from_str(body).ok()?;
        let value = body[name].as_str()?;
        if action == "GetRecords" { self.desk.shard_of(value) } else { Some(value.to_owned()) }
    }

    fn note_iterator(&self, action: &str, shard: Option<String>, answer: &Bytes) {
        let name = if action == "GetRecords" { "NextShardIterator" } else { "ShardIterator" };
        let Some(shard) = shard else { return };
        let Ok(answer) = serde_json::from_slice::<serde_json::Value>(answer) else { return };
        if let Some(iterator) = answer[name].as_str() {
            self.desk.reads(iterator.to_owned(), shard);
        }
    }
}

/// The name that AWS gives what a request asks for.
fn action(service: Api, head: &request::Parts) -> String {
    let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    // Glue answers at the address of S3 here.
    if service != Api::S3 || target.is_some() {
        return target.and_then(|name| name.rsplit('.').next()).unwrap_or("none").to_owned();
    }
    let query = head.uri.query().unwrap_or_default();
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let key = head.uri.path().trim_matches('/').contains('/');
    let name = match head.method {
        Method::PUT if has("partNumber") => "UploadPart",
        Method::PUT if key => "PutObject",
        Method::PUT => "CreateBucket",
        Method::POST if has("uploads") => "CreateMultipartUpload",
        Method::POST if has("uploadId") => "CompleteMultipartUpload",
        Method::GET if key => "GetObject",
        Method::GET => "ListObjectsV2",
        Method::HEAD if key => "HeadObject",
        Method::HEAD => "HeadBucket",
        Method::DELETE if has("uploadId") => "AbortMultipartUpload",
        Method::DELETE => "DeleteObject",
        _ => "none",
    };
    name.to_owned()
}

fn throttled(service: Api) -> Response<Answer> {
    match service {
        Api::S3 => refusal(service, 503, "SlowDown", "Please reduce your request rate."),
        _ => refusal(service, 400, "ProvisionedThroughputExceededException", "Rate exceeded"),
    }
}

fn refusal(service: Api, status: u16, code: &str, message: &str) -> Response<Answer> {
    let (kind, body) = match service {
        Api::S3 => (
            "application/xml",
            format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"),
        ),
        Api::Kinesis => ("application/x-amz-json-1.1", in_json(code, message)),
        Api::Dynamodb => ("application/x-amz-json-1.0", in_json(code, message)),
    };
    whole(status, kind, Bytes::from(body))
}

fn in_json(code: &str, message: &str) -> String {
    serde_json::json!({ "__type": code, "message": message }).to_string()
}

fn whole(status: u16, kind: &str, body: Bytes) -> Response<Answer> {
    let answer = Response::builder().status(status).header(CONTENT_TYPE, kind);
    answer.body(body_of(body)).expect("rules have valid statuses and types")
}

fn body_of(bytes: Bytes) -> Answer {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

fn cut(mut answer: hyper::http::response::Parts, body: &Bytes) -> Response<Answer> {
    answer.headers.insert(CONTENT_LENGTH, (body.len() as u64 + 1).into());
    let half = body_of(body.slice(..body.len() / 2));
    let end = async { Some(Err(std::io::Error::other("cut"))) };
    // As a body that might change on its way it promises no length, which the header does.
    Response::from_parts(answer, half.map_frame(|frame| frame).with_trailers(end).boxed())
}

fn rewritten(
    mut answer: hyper::http::response::Parts,
    body: &Bytes,
    change: fn(&mut serde_json::Value),
) -> Response<Answer> {
    let body = match serde_json::from_slice(body) {
        Ok(mut json) if answer.status == StatusCode::OK => {
            change(&mut json);
            answer.headers.remove("x-amz-crc32");
            Bytes::from(json.to_string())
        }
        _ => body.clone(),
    };
    Response::from_parts(answer, body_of(body))
}
