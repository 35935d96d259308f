//! An HTTP server in the test's process that says what it is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Sends this and closes, whatever was promised.
    Send(Vec<u8>),
    /// Sends this body with this tag, unless the asker has it already.
    Tagged(&'static str, String),
    /// Says nothing.
    Hang,
}

/// An answer with these header lines.
pub(crate) fn with(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Reply {
    let body = body.as_ref();
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n");
    Reply::Send([format!("{head}{headers}\r\n").as_bytes(), body].concat())
}

/// An answer with this body.
pub(crate) fn ok(body: &str) -> Reply {
    with("200 OK", "", body)
}

/// An HTTP server that says what it is told, by path.
pub(crate) struct Server {
    pub(crate) uri: String,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    /// The heads of all requests.
    requests: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start() -> Server {
        Server::start_at("127.0.0.1:0").await
    }

    /// As [`Server::start`], on this address.
    pub(crate) async fn start_at(address: &str) -> Server {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let uri = format!("http://{}", listener.local_addr().expect("it is bound"));
        let replies = Arc::new(Mutex::new(HashMap::new()));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let (known, seen) = (Arc::clone(&replies), Arc::clone(&requests));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&known), Arc::clone(&seen)));
            }
        });
        Server { uri, replies, requests, _tasks: tasks }
    }

    pub(crate) fn say(&self, path: &str, reply: Reply) {
        self.replies.lock().expect("no panic").insert(path.to_owned(), reply);
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic").clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    requests: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) if byte.is_ascii() && (byte != 0x16 || !head.is_empty()) => head.push(byte),
            // The end, or the start of a TLS handshake, which this server does not speak.
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let reply = replies.lock().expect("no panic").get(&path).cloned();
    let reply = match reply.unwrap_or_else(|| with("404 Not Found", "", "no such schema")) {
        Reply::Tagged(tag, _) if head.contains(&format!("if-none-match: {tag}\r\n")) => {
            with("304 Not Modified", &format!("etag: {tag}\r\n"), "")
        }
        Reply::Tagged(tag, body) => with("200 OK", &format!("etag: {tag}\r\n"), body),
        other => other,
    };
    requests.lock().expect("no panic").push(head);
    match reply {
        // The other side may have read enough and gone; that is its right.
        Reply::Send(bytes) => drop(stream.write_all(&bytes).await),
        Reply::Tagged(..) => unreachable!("it was turned into bytes above"),
        Reply::Hang => std::future::pending().await,
    }
}
