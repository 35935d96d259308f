//! What the storage of objects answers.

/// What became of an object that was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is durable.
    Written,
    /// There is one of that name, and it stays as it is.
    Exists,
}
