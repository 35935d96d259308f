//! What can go wrong with a table, by what the caller does next.

use crate::mark::Shard;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody with a newer lease has the shard. Give it up.
    #[error(
        "shard {shard} is at {found} in the table, not at {expected}: it is another worker's now"
    )]
    Lost {
        /// Which shard is lost.
        shard: Shard,
        /// Where its owner left it.
        expected: String,
        /// Where it is.
        found: String,
    },
    /// The catalog or the storage did not do it, or did not say that it did. Try again: what was
    /// done is found, and not done twice.
    #[error("{doing}: {source}")]
    Unavailable {
        /// What was to be done.
        doing: String,
        /// Why it could not be.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It cannot be done, however often it is tried.
    #[error("{0}")]
    Unusable(String),
}

impl Error {
    /// What becomes of an error of the library: most are a catalog's or a storage's.
    pub(crate) fn from_iceberg(doing: &str, error: iceberg::Error) -> Error {
        use iceberg::ErrorKind::{DataInvalid, FeatureUnsupported};
        match error.kind() {
            // Files of the table that cannot be read are of this kind, too, whatever the reason.
            DataInvalid | FeatureUnsupported if !error.retryable() && !is_io(&error) => {
                Error::Unusable(format!("{doing}: {error}"))
            }
            _ => Error::Unavailable { doing: doing.to_owned(), source: error.into() },
        }
    }
}

/// Whether a cause is that something could not be read or written.
fn is_io(error: &iceberg::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}
