//! Databases in the MaxMind format, mapped into memory.

use std::path::Path;

use maxminddb::{MaxMindDbError, Mmap, Reader};

/// A database that is open.
pub(crate) type Database = Reader<Mmap>;

/// Maps a database into memory.
pub(crate) fn map(path: &Path) -> Result<Database, MaxMindDbError> {
    // SAFETY: assets are renamed into place and never written into, see `assets.rs`.
    #[allow(unsafe_code)]
    unsafe {
        Reader::open_mmap(path)
    }
}

/// Reads a whole database and says what is wrong with it.
pub(crate) fn verify(path: &Path) -> Result<(), MaxMindDbError> {
    map(path)?.verify()
}
