//! [`Sqlite`]: a lease table in a SQLite file, for the processes of one machine.

use std::path::Path;

use crate::error::Result;

/// A lease table in a SQLite file.
#[derive(Debug)]
pub struct Sqlite {}

impl Sqlite {
    /// The table `leases` of a database file, which is created if need be.
    pub fn open(_file: &Path) -> Result<Sqlite> {
        unimplemented!("follows")
    }
}
