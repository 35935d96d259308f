//! Iceberg tables that hold every event once: catalogs, storage, and commits that carry the
//! position of each shard.
//!
//! [`Lake`] is a table to append to: what is appended and how far that brings each shard are one
//! commit, made only if each shard is where the appender left it. [`Growing`] writes data files.
//! Workers of a fleet do not append: each adds to the [`Chain`] of its shard what it made for all
//! tables, and a [`Committer`] appends what chains hold.
//! [`CatalogConfig`] says which catalog a table is in; [`Files`] is where files are, to be
//! implemented by whoever has a client of some storage.
//!
//! With the feature `remote` there are catalogs beside the one in a SQLite file: of the REST
//! protocol, AWS Glue and S3 Tables; and files in S3.

mod catalog;
mod chain;
mod committer;
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

#[cfg(feature = "remote")]
pub use catalog::aws::Aws;
pub use catalog::config::{Access, CatalogConfig};
#[cfg(feature = "remote")]
pub use catalog::glue::GlueConfig;
#[cfg(feature = "remote")]
pub use catalog::remote::Remote;
#[cfg(feature = "remote")]
pub use catalog::rest::{Auth, RestConfig, Secret};
#[cfg(feature = "remote")]
pub use catalog::s3tables::TableBucket;
pub use catalog::sqlite::Sqlite;
pub use chain::{Appended, Chain, Lakes, Next};
pub use committer::{Committer, Round};
pub use error::{Error, Result};
#[cfg(feature = "remote")]
pub use files::buckets::{Buckets, Places};
pub use files::{Files, Folder, Opened, file_io};
pub use growing::{Complete, Growing};
pub use iceberg::Catalog;
pub use iceberg::spec::DataFile;
pub use iceberg::table::Table;
pub use lake::{Lake, Move, Piece, Settled};
pub use mark::{Mark, Shard};
