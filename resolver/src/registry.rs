//! The seam to schema registries: one question, five answers, and a list where there is one.
//!
//! [`http`] asks a static registry or an Iglu Server, [`folder`] and [`embedded`] read a static
//! registry from disk and from the binary, [`bundle`] is many schemas in one file, `memory` is told
//! what to say in tests. Buckets come from whoever has a client for them. None of them caches,
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
pub trait Registry: Send + Sync {
    /// Asks for the text of a schema. `known` is the tag of the text that the asker has from this
    /// registry, if it has one.
    fn get<'a>(&'a self, key: &'a SchemaKey, known: Option<&'a str>) -> Asking<'a>;

    /// Asks for the keys of everything it has.
    fn list(&self) -> Listing<'_> {
        Box::pin(std::future::ready(Err(Unlisted::Unable)))
    }
}

/// An answer on its way.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// A list on its way.
pub type Listing<'a> = Pin<Box<dyn Future<Output = Result<Vec<SchemaKey>, Unlisted>> + Send + 'a>>;

/// Why a registry gives no list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unlisted {
    /// It has none to give, as web servers and buckets behind them.
    #[error("it gives no list of its schemas")]
    Unable,
    /// It could not be asked.
    #[error("{0}")]
    Failed(String),
}

/// What a registry says of a schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Here it is.
    Found {
        /// JSON.
        text: String,
        /// Names this text, so that it need not be sent again.
        tag: Option<Box<str>>,
    },
    /// It is still the text of the tag that was sent along.
    Unchanged,
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
pub const SCHEMA_LIMIT: usize = 2 << 20;

impl Answer {
    /// A text without a tag, which is known to be JSON.
    pub(crate) fn found(text: impl Into<String>) -> Answer {
        Answer::Found { text: text.into(), tag: None }
    }

    /// [`Answer::Found`] if the text is JSON, else the peer's complaint about it.
    pub fn read(text: String, tag: Option<Box<str>>) -> Answer {
        match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            Ok(_) => Answer::Found { text, tag },
            // Too deep for that parser is for the compiler to say.
            Err(why) if why.to_string().starts_with("recursion limit") => {
                Answer::Found { text, tag }
            }
            Err(why) => {
                Answer::Refused(RegistryError::RepoFailure(format!("ParsingFailure: {why}")))
            }
        }
    }
}

/// The longest part of a name that any registry can hold, bytes: a file's name has no more, an Iglu
/// Server's column half as many, and four of them fit into the name of an object.
const NAME_LIMIT: usize = 255;

/// Whether some registry may have a schema of that name. Events name what they like; what no
/// registry can have, none is asked for, since what it said would be no word about itself: the name
/// may be too long for it, or lead out of it.
pub(crate) fn is_possible(key: &SchemaKey) -> bool {
    let parts = [&key.vendor, &key.name, &key.format];
    parts.iter().all(|part| part.len() <= NAME_LIMIT)
        && !parts.iter().any(|part| matches!(part.as_str(), "." | ".."))
}

/// The key whose schema lies at a path of a static registry, below `schemas/`.
pub fn key_at(path: &str) -> Option<SchemaKey> {
    SchemaKey::parse(&format!("iglu:{path}")).ok()
}
