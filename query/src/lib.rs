//! SQL over what the workers wrote: Parquet files of a folder or a bucket, and Iceberg tables.
//!
//! It reads and nothing else: statements that would change something are refused, and no path can
//! be named in one. Memory and time are bounded. `snowmelt-query` is the program; `snowmelt query`
//! starts it.

mod arguments;
mod catalog;
mod engine;
mod fault;
mod files;
mod iceberg;
mod output;
mod place;
mod run;
mod schema;
mod statement;
mod table;
mod values;

pub use run::run;
