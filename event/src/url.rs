//! Page and referrer URLs, taken apart.

pub(crate) mod chars;

use bumpalo::Bump;

use crate::convert::TimestampError;

/// A URL in the form that is stored, and its parts, percent-escapes kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Url<'a> {
    /// The whole.
    pub text: &'a str,
    /// Before the first colon.
    pub scheme: Option<&'a str>,
    /// The host, if it is a host name or an address.
    pub host: Option<&'a str>,
    /// The explicit port, else 443 for `https`, else 80.
    pub port: i32,
    /// The path, cleaned; `None` when empty.
    pub path: Option<&'a str>,
    /// The query, cleaned; `None` when empty.
    pub query: Option<&'a str>,
    /// The fragment, cleaned; `None` when empty.
    pub fragment: Option<&'a str>,
}

/// Why a cross-domain parameter could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrossDomainError {
    /// Its second part is no timestamp.
    #[error("{0}")]
    Timestamp(TimestampError, String),
    /// It has dots and nothing else.
    #[error("nothing between the dots")]
    Empty,
}

/// Reads a URL; the error is the message of a failure.
pub fn parse<'a>(text: &'a str, _arena: &'a Bump) -> Result<Url<'a>, String> {
    Ok(Url { text, scheme: None, host: None, port: 80, path: None, query: None, fragment: None })
}

/// The user and the time (formatted) of the page that linked here: the value of `_sp`.
pub fn cross_domain<'a>(
    _value: &'a str,
    _arena: &'a Bump,
) -> Result<(Option<&'a str>, Option<&'a str>), CrossDomainError> {
    Ok((None, None))
}
