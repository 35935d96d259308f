//! Who may ask.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::api::refused;
use crate::arguments::Arguments;
use crate::fault::Fault;

/// A word that is shorter can be guessed.
const SHORTEST: usize = 16;

/// What a request must show.
#[derive(Clone)]
pub(super) struct Access(Arc<Rules>);

struct Rules {
    /// Whether this machine's own names are the only ones it is called by.
    own_names: bool,
    /// Others that it may be called by.
    hosts: Vec<String>,
    token: Option<String>,
    header: Option<HeaderName>,
}

impl Access {
    /// As the arguments say; an address that others reach is not left open.
    pub(super) fn new(arguments: &Arguments) -> Result<Access, Fault> {
        let token = match &arguments.token_file {
            None => None,
            Some(file) => {
                let read = std::fs::read_to_string(file)
                    .map_err(|error| Fault::mistake(format!("{}: {error}", file.display())))?;
                let word = read.trim().to_owned();
                if word.len() < SHORTEST {
                    let name = file.display();
                    let why = format!("{name}: expected a word of {SHORTEST} characters or more");
                    return Err(Fault::mistake(why));
                }
                Some(word)
            }
        };
        let header = arguments.trusted_header.as_ref().map(|name| {
            HeaderName::try_from(name.as_str())
                .map_err(|_| Fault::mistake(format!("--trusted-header {name}: no header's name")))
        });
        let header = header.transpose()?;
        let loopback = arguments.listen.ip().is_loopback();
        let open = token.is_none() && header.is_none();
        if open && !loopback {
            let address = arguments.listen;
            return Err(Fault::mistake(format!("{address} is reached by others"))
                .hint("--token-file or --trusted-header says who may ask"));
        }
        let hosts = arguments.hosts.clone();
        Ok(Access(Arc::new(Rules { own_names: loopback && open, hosts, token, header })))
    }

    /// Whether a request shows the word, or that a proxy let it in.
    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let Rules { token, header, .. } = self.0.as_ref();
        let said = headers.get(AUTHORIZATION).and_then(|said| said.to_str().ok());
        let word = said.and_then(|said| said.strip_prefix("Bearer "));
        let knows = token.as_ref().zip(word).is_some_and(|(token, word)| same(token, word.trim()));
        let named = header.as_ref().and_then(|name| headers.get(name));
        let named = named.is_some_and(|value| !value.is_empty());
        knows || named || (token.is_none() && header.is_none())
    }
}

/// Compares without telling by its time how much is right.
fn same(a: &str, b: &str) -> bool {
    let differing = a.bytes().zip(b.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    a.len() == b.len() && differing == 0
}

/// Turns away who shows nothing, and pages of other origins: they could not read an answer, but
/// would make work, or change what is saved.
pub(super) async fn checked(
    State(access): State<Access>,
    request: Request,
    next: Next,
) -> Response {
    let site = request.headers().get("sec-fetch-site").and_then(|site| site.to_str().ok());
    if !site.is_none_or(|site| matches!(site, "same-origin" | "none")) {
        return refused(StatusCode::FORBIDDEN, "pages of other origins may not ask");
    }
    match access.lets_in(request.headers()) {
        true => next.run(request).await,
        false => refused(StatusCode::UNAUTHORIZED, "a token is needed to ask"),
    }
}

/// Turns away who calls this machine by a name that is not its own, where nothing else is checked:
/// a page of a stranger must not reach what listens here by a name of the stranger's.
pub(super) async fn known_hosts(
    State(access): State<Access>,
    request: Request,
    next: Next,
) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().host()).unwrap_or_default();
    if !access.0.own_names || is_ours(without_port(host), &access.0.hosts) {
        return next.run(request).await;
    }
    let why = "this host name is not known here; `--host NAME` makes it known\n";
    (StatusCode::MISDIRECTED_REQUEST, why).into_response()
}

fn without_port(host: &str) -> &str {
    let port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    port.map_or(host, |(name, _)| name)
}

/// Addresses cannot be made to point elsewhere; names can, but for this machine's own.
fn is_ours(host: &str, names: &[String]) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let same = |name: &str| name.eq_ignore_ascii_case(host);
    bare.parse::<IpAddr>().is_ok()
        || same("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || names.iter().any(|name| same(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn access(arguments: &[&str]) -> Result<Access, Fault> {
        let all = ["snowmelt-query", "--serve"].iter().chain(arguments);
        Access::new(&Arguments::try_parse_from(all).expect("arguments"))
    }

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        [(HeaderName::from_static(name), value.parse().expect("a value"))].into_iter().collect()
    }

    #[test]
    fn an_address_that_others_reach_is_not_left_open() {
        assert!(access(&["--listen", "0.0.0.0:0"]).is_err());
        assert!(access(&["--listen", "127.0.0.1:0"]).is_ok());
        let proxied = access(&["--listen", "0.0.0.0:0", "--trusted-header", "X-User"]);
        let proxied = proxied.expect("a proxy says who it is");
        assert!(proxied.lets_in(&headers("x-user", "ada")));
        assert!(!proxied.lets_in(&headers("x-user", "")));
        assert!(!proxied.lets_in(&HeaderMap::new()));
    }

    #[test]
    fn whoever_knows_the_word_is_let_in() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        let name = file.to_str().expect("text");
        std::fs::write(&file, "short\n").expect("it can be written");
        assert!(access(&["--token-file", name]).is_err());
        std::fs::write(&file, "0123456789abcdef\n").expect("it can be written");
        let access = access(&["--listen", "0.0.0.0:0", "--token-file", name]).expect("a word");
        assert!(access.lets_in(&headers("authorization", "Bearer 0123456789abcdef")));
        for wrong in ["Bearer 0123456789abcdeg", "Bearer 0123", "0123456789abcdef", "Bearer "] {
            assert!(!access.lets_in(&headers("authorization", wrong)), "{wrong}");
        }
    }

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        let names = ["asked.test".to_owned()];
        for host in ["localhost:9091", "127.0.0.1:9091", "[::1]:80", "asked.test", "a.localhost"] {
            assert!(is_ours(without_port(host), &names), "{host}");
        }
        for host in ["", "evil.example:9091", "localhost.evil.example", "127.0.0.1.evil.example"] {
            assert!(!is_ours(without_port(host), &names), "{host}");
        }
    }
}
