//! Iceberg tables that hold every event once: catalogs, storage, and commits that carry the
//! position of each shard.
//!
//! [`Lake`] is a table to append to: what is appended and how far that brings each shard are one
//! commit, made only if each shard is where the appender left it. [`Growing`] writes data files.
//! [`Sqlite`] is a catalog in a file; [`Files`] is where files are, to be implemented by whoever
//! has a client of some storage.

mod catalog;
mod data_file;
mod error;
mod fenced;
mod files;
mod fit;
mod growing;
mod lake;
mod mark;
mod schema;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod testing;

pub use catalog::sqlite::Sqlite;
pub use error::{Error, Result};
pub use files::{Files, Folder, Opened, file_io};
pub use growing::Growing;
pub use iceberg::Catalog;
pub use iceberg::spec::DataFile;
pub use lake::{Lake, Move, Piece, Settled};
pub use mark::{Mark, Shard};
