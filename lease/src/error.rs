//! What can go wrong with a lease store, told apart by what the caller does next.

use crate::lease::LeaseKey;

/// A failed operation on a lease store. That somebody else was faster is not an error. Its text is
/// one line and names the table, and what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Try again later. A write may or may not have happened.
    #[error("lease store unavailable: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is no table: make it by [`LeaseStore::open`](crate::LeaseStore::open).
    #[error("lease store missing: {0}")]
    Missing(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Stop: trying again cannot help (no permission, a table of another shape, a broken file).
    #[error("lease store unusable: {0}")]
    Unusable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Shorthand.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A lease is there, and says something that we do not understand.
    pub(crate) fn unreadable(key: &LeaseKey) -> Error {
        Error::Unavailable(format!("lease {key} is unreadable").into())
    }
}
