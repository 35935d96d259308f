//! SQL over what the workers wrote: Parquet files of a folder or a bucket, and Iceberg tables.
//!
//! It reads and nothing else: statements that would change something are refused, and no path can
//! be named in one. Memory and time are bounded. The program is `snowmelt-query`; `snowmelt query`
//! starts it.

mod arguments;
mod aws;
mod bucket;
mod catalog;
mod dictionary;
mod engine;
mod fault;
mod files;
mod iceberg;
mod loader;
mod output;
mod place;
mod remote;
mod run;
mod said;
mod schema;
mod serve;
mod statement;
mod stores;
mod table;
mod values;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::run()
}
