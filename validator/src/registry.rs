//! The seam to schema registries: one question, four answers.
//!
//! [`http`] asks a static registry or an Iglu Server, [`folder`] and [`embedded`] read a static
//! registry from disk and from the binary, [`bundle`] is many schemas in one file, [`memory`] is
//! told what to say. None of them caches,
//! retries or judges: that is the resolver's.

pub(crate) mod bundle;
pub(crate) mod embedded;
pub(crate) mod folder;
pub(crate) mod http;
#[cfg(test)]
pub(crate) mod memory;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use event::SchemaKey;
use event::reason::RegistryError;

/// A place that schemas come from.
pub(crate) trait Registry: Send + Sync {
    /// Asks for the text of a schema.
    fn get<'a>(&'a self, key: &'a SchemaKey) -> Asking<'a>;
}

/// An answer on its way.
pub(crate) type Asking<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// What a registry says of a schema.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// Here it is; JSON.
    Found(String),
    /// It does not have it.
    NotFound,
    /// It has something that cannot be used, or will not give it: asking again soon is of no use.
    Refused(RegistryError),
    /// It could not be asked or is in trouble: no verdict.
    Unreachable {
        /// As bad rows report it.
        error: RegistryError,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
}

/// The largest schema read, bytes. The largest one known in public has 60 thousand.
pub(crate) const SCHEMA_LIMIT: usize = 2 << 20;

/// [`Answer::Found`] if the text is JSON, else the peer's complaint about it.
pub(crate) fn usable(text: String) -> Answer {
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Answer::Found(text),
        // Too deep for that parser is for the compiler to say.
        Err(why) if why.to_string().starts_with("recursion limit") => Answer::Found(text),
        Err(why) => Answer::Refused(RegistryError::RepoFailure(format!("ParsingFailure: {why}"))),
    }
}
