//! Enriched events as typed columns: batches of Arrow arrays, and Parquet files of them.
//!
//! [`Rows`] turns lines of events into batches, by the columns that [`Shapes`] knows of
//! their schemas; [`BadRows`] does so with bad rows. A [`Group`] gathers batches of one origin
//! until they are worth a row group, which is encoded by itself, and [`mod@file`] puts row groups
//! together.
//!
//! Pure: no I/O, no clock. Everything grows only as far as whoever calls lets it.

pub mod arrow;
pub mod atomic;
pub mod bad;
mod batch;
mod buffer;
mod envelope;
pub mod file;
mod fill;
mod group;
mod json;
mod misfits;
mod nested;
mod rows;
mod shapes;

pub use bad::BadRows;
pub use batch::{Batch, Column};
pub use group::{Encoded, GROUP_BYTES, GROUP_ROWS, Group};
pub use rows::{NESTED_MAX, Need, Rows};
pub use shapes::{Shape, Shapes};

#[cfg(test)]
mod tests;
