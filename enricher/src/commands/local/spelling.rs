//! How the names of a request's headers were spelt. HTTP libraries hand names over in lower case; a
//! collector's record keeps them as they came, and enrichments that look at headers show them.
//!
//! What is read from a connection is looked at on its way: the head of a request begins where an
//! answer ended. A client that sends its next request before it has its answer is not followed, nor
//! is a head of more than [`HEAD_BYTES`]; such a request has no spellings.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Longer heads are not kept. Servers refuse more, most of them much less.
const HEAD_BYTES: usize = 64 << 10;

/// What ends a head.
const END: &[u8] = b"\r\n\r\n";

/// Listens, and looks at the heads of requests.
pub(super) struct Spelled(pub(super) TcpListener);

/// Who is at the other end of a connection, and how it spells.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    spelling: Spelling,
}

/// A connection that is looked at.
pub(super) struct Connection {
    stream: TcpStream,
    spelling: Spelling,
}

#[derive(Clone, Default)]
struct Spelling(Arc<Mutex<Head>>);

/// The head of the request that is under way, as far as it came.
#[derive(Default)]
struct Head {
    bytes: Vec<u8>,
    /// Whether it is whole, or will not be looked at further.
    done: bool,
}

impl Peer {
    /// The names of the headers of the request that is under way, in their order; none where they
    /// are not known.
    pub(super) fn names(&self) -> Vec<String> {
        let head = self.spelling.0.lock().unwrap_or_else(PoisonError::into_inner);
        head.names()
    }
}

impl Head {
    fn read(&mut self, bytes: &[u8]) {
        if self.done {
            return;
        }
        let looked_at = self.bytes.len().saturating_sub(END.len() - 1);
        self.bytes.extend_from_slice(bytes);
        let end = self.bytes[looked_at..].windows(END.len()).position(|four| four == END);
        if let Some(end) = end {
            self.bytes.truncate(looked_at + end);
            self.done = true;
        } else if self.bytes.len() > HEAD_BYTES {
            *self = Head { bytes: Vec::new(), done: true };
        }
    }

    fn answered(&mut self) {
        self.bytes.clear();
        self.done = false;
    }

    fn names(&self) -> Vec<String> {
        if !self.done {
            return Vec::new();
        }
        let lines = self.bytes.split(|byte| *byte == b'\n').skip(1);
        let names = lines.filter_map(|line| line.split(|byte| *byte == b':').next());
        names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }
}

impl Listener for Spelled {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Answers are small, and somebody waits for each.
        let _ = stream.set_nodelay(true);
        (Connection { stream, spelling: Spelling::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Spelled>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Spelled>) -> Peer {
        Peer { address: *stream.remote_addr(), spelling: stream.io().spelling.clone() }
    }
}

impl Connection {
    fn head(&self, change: impl FnOnce(&mut Head)) {
        change(&mut self.spelling.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = read {
            self.head(|head| head.read(&buffer.filled()[before..]));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.head(Head::answered);
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.head(Head::answered);
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &[u8] = b"GET /i HTTP/1.1\r\nHost: a:b\r\nsec-ch-ua: x\r\nUSER-agent: y\r\n\r\n";

    #[test]
    fn names_are_those_of_the_request_under_way_however_it_was_cut() {
        for cut in 1..FIRST.len() {
            let mut head = Head::default();
            let (start, rest) = FIRST.split_at(cut);
            head.read(start);
            assert!(cut == FIRST.len() || head.names().is_empty(), "{cut}");
            head.read(rest);
            head.read(b"Body: 1\r\n\r\n");
            assert_eq!(head.names(), ["Host", "sec-ch-ua", "USER-agent"], "{cut}");
            head.answered();
            assert!(head.names().is_empty());
            head.read(b"GET / HTTP/1.1\r\nhOST: c\r\n\r\n");
            assert_eq!(head.names(), ["hOST"]);
        }
    }

    #[test]
    fn an_endless_head_is_not_kept() {
        let mut head = Head::default();
        (0..100).for_each(|_| head.read(&[b'x'; 4096]));
        assert!(head.bytes.capacity() <= 4 * HEAD_BYTES && head.names().is_empty());
    }
}
