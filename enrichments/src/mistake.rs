//! What is wrong with a configuration, or with an asset that it names.

use std::fmt;
use std::path::PathBuf;

/// Something wrong with one file at one place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: expected {expected}, found {found}", file.display(), AtPointer(pointer))]
pub struct ConfigError {
    /// The configuration file.
    pub file: PathBuf,
    /// JSON pointer to the place; empty for the whole file.
    pub pointer: String,
    /// What should stand there.
    pub expected: String,
    /// What stands there; never a secret.
    pub found: String,
}

struct AtPointer<'p>(&'p str);

impl fmt::Display for AtPointer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " at {}", self.0) }
    }
}
