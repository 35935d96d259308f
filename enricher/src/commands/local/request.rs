//! What a collector writes of a request: the record, byte for byte, and who the request is from.
//!
//! Pure. What a request is answered is the collector's; what becomes of the record, the workers'.

use std::borrow::Cow;
use std::net::IpAddr;

use axum::http::header::{AsHeaderName, CONTENT_TYPE, COOKIE, HOST, REFERER, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, Method, Uri};
use event::thrift::{self, Wire};

/// The cookie that the network user id is kept in.
pub(super) const COOKIE_NAME: &str = "sp";

/// The id of all who ask not to be told apart.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// By this header a tracker asks that its user be neither told apart nor located.
const ANONYMOUS: &str = "sp-anonymous";

/// Headers that would tell an anonymous user's address or identity.
const TELLING: [&str; 4] = ["cookie", "x-forwarded-for", "x-real-ip", "forwarded"];

const SCHEMA: &[u8] = b"iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/1-0-0";

/// A request as it came.
pub(super) struct Request<'r> {
    pub(super) method: &'r Method,
    pub(super) uri: &'r Uri,
    pub(super) headers: &'r HeaderMap,
    pub(super) body: &'r [u8],
    /// How the names of headers were spelt, where that is known.
    pub(super) names: &'r [String],
    /// Who is at the other end of the connection.
    pub(super) peer: IpAddr,
    pub(super) now_ms: i64,
}

/// The network user id of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    /// The id.
    pub(super) id: String,
    /// Whether the answer may carry it in a cookie.
    pub(super) keep: bool,
}

impl Request<'_> {
    /// Who it is from: nobody, whom the query names, whom the cookie names, or somebody else yet.
    pub(super) fn user(&self, fresh: impl FnOnce() -> String) -> User {
        if self.anonymous() {
            return User { id: NOBODY.to_owned(), keep: false };
        }
        let id = self.parameter("nuid").or_else(|| self.cookie()).unwrap_or_else(fresh);
        User { id, keep: true }
    }

    /// The record that a collector puts into its stream.
    pub(super) fn record(&self, user: &User, collector: &str) -> Vec<u8> {
        let host = self.text(HOST);
        let host = host.as_deref().map(without_port);
        let address = match self.anonymous() {
            true => "unknown".to_owned(),
            false => self.address(),
        };
        let headers: Vec<String> = self.headers().collect();
        let headers: Vec<&[u8]> = headers.iter().map(String::as_bytes).collect();
        let (agent, referer) = (self.text(USER_AGENT), self.text(REFERER));
        let content_type = self.text(CONTENT_TYPE);
        let body = String::from_utf8_lossy(self.body);
        fn bytes<'t>(text: &'t Option<Cow<'_, str>>) -> Option<&'t [u8]> {
            text.as_deref().map(str::as_bytes)
        }
        let wire = Wire {
            schema: Some(SCHEMA),
            ip_address: Some(address.as_bytes()),
            timestamp: self.now_ms,
            encoding: Some(b"UTF-8"),
            collector: Some(collector.as_bytes()),
            user_agent: bytes(&agent),
            referer_uri: bytes(&referer),
            path: Some(self.uri.path().as_bytes()),
            querystring: self.uri.query().map(str::as_bytes),
            body: (self.method == Method::POST).then_some(body.as_bytes()),
            headers: &headers,
            content_type: bytes(&content_type),
            hostname: host.map(str::as_bytes),
            network_userid: Some(user.id.as_bytes()),
            ..Wire::default()
        };
        let mut record = Vec::with_capacity(self.body.len() + 1024);
        thrift::write(&wire, &mut record);
        record
    }

    /// A parameter of the query, the first of its name.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let query = self.uri.query()?;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(of, value)| *of == name && !value.is_empty())?;
        Some(decoded(value))
    }

    fn anonymous(&self) -> bool {
        self.headers.contains_key(ANONYMOUS)
    }

    fn cookie(&self) -> Option<String> {
        let all = self.headers.get_all(COOKIE);
        let texts = all.iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(name, _)| name.trim() == COOKIE_NAME)?;
        Some(value.trim().to_owned())
    }

    /// Proxies write down whom they speak for, the first of them first.
    fn address(&self) -> String {
        let forwarded = self.text("x-forwarded-for");
        let first = forwarded.as_deref().and_then(|all| all.split(',').next()).map(str::trim);
        match first {
            Some(first) if !first.is_empty() => first.to_owned(),
            _ => self.peer.to_string(),
        }
    }

    /// Each `Name: value`.
    fn headers(&self) -> impl Iterator<Item = String> {
        let hidden = |name: &HeaderName| self.anonymous() && TELLING.contains(&name.as_str());
        let shown = self.headers.iter().filter(move |(name, _)| !hidden(name));
        shown.map(|(name, value)| {
            let name = self.spelt(name.as_str());
            format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
        })
    }

    /// A name as it came, or as most write it.
    fn spelt(&self, name: &str) -> Cow<'_, str> {
        let spelt = self.names.iter().find(|spelt| spelt.eq_ignore_ascii_case(name));
        spelt.map_or_else(|| usual_case(name).into(), |spelt| spelt.as_str().into())
    }

    fn text(&self, name: impl AsHeaderName) -> Option<Cow<'_, str>> {
        self.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()))
    }
}

/// Whether a path is one of those that events come to: `/vendor/version`, or a pixel.
pub(super) fn takes_events(path: &str) -> bool {
    if path == "/i" || path.starts_with("/ice.png") {
        return true;
    }
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts = path.split_once('/');
    parts.is_some_and(|(vendor, version)| {
        !vendor.is_empty() && !version.is_empty() && !version.contains('/')
    })
}

/// A host without its port.
pub(super) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// `user-agent` as `User-Agent`.
fn usual_case(name: &str) -> String {
    let part = |part: &str| {
        let (first, rest) = part.split_at(part.len().min(1));
        first.to_ascii_uppercase() + rest
    };
    name.split('-').map(part).collect::<Vec<_>>().join("-")
}

/// With its escapes taken out; what is no escape stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |at: usize| tail.get(at).and_then(|byte| (*byte as char).to_digit(16));
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &tail[2..];
                continue;
            }
            (b'+', ..) => bytes.push(b' '),
            _ => bytes.push(*first),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_events_are_told_from_others() {
        let events =
            ["/i", "/ice.png", "/com.snowplowanalytics.snowplow/tp2", "/com.acme/v1/", "/r/tp2"];
        assert!(events.iter().all(|path| takes_events(path)));
        let others = ["/", "", "/health", "/a//b", "/a/b/c", "/i/", "//", "/a/"];
        let taken: Vec<_> = others.iter().filter(|path| takes_events(path)).collect();
        assert!(taken.is_empty(), "{taken:?}");
    }

    #[test]
    fn texts_of_requests_are_read() {
        assert_eq!(usual_case("sec-ch-ua"), "Sec-Ch-Ua");
        assert_eq!(without_port("localhost:9090"), "localhost");
        assert_eq!(without_port("[::1]"), "[::1]");
        assert_eq!(without_port("[::1]:9090"), "[::1]");
        assert_eq!(decoded("a%3Ab+c%zz%4"), "a:b c%zz%4");
    }
}
