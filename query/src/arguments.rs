//! The arguments of `snowmelt query`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

use crate::output::Format;

/// Answers SQL over what Snowmelt wrote: the tables events, failed and bad.
#[derive(Debug, Parser)]
#[command(name = "snowmelt query", version, after_help = AFTER)]
pub(crate) struct Arguments {
    /// The statement; `-` reads it from standard input.
    #[arg(value_name = "SQL", required_unless_present_any = ["serve", "tables"])]
    pub(crate) sql: Option<String>,
    /// Where the tables are: a folder, or s3://BUCKET/PREFIX, with events/, failed/ and bad/ of
    /// Parquet files; a folder with the catalog.db of Iceberg tables; or another catalog of them:
    /// glue:s3://BUCKET/PREFIX, the ARN of a table bucket, or the address of a REST catalog (which
    /// is asked with the token in SNOWMELT_CATALOG_TOKEN, or as the client ID:SECRET in
    /// SNOWMELT_CATALOG_CLIENT).
    #[arg(long, default_value = ".", value_name = "PLACE")]
    pub(crate) data: String,
    /// What a REST catalog knows the warehouse by.
    #[arg(long, value_name = "NAME")]
    pub(crate) warehouse: Option<String>,
    /// The region of the bucket or of Glue [default: that of the environment, a profile or an
    /// instance]
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// Replaces the endpoint of S3, and of a catalog in AWS.
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,
    /// How the answer is written. Without it, as a table on a terminal and as CSV elsewhere.
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "serve")]
    pub(crate) format: Option<Format>,
    /// Write the answer to a file, which is there when it is whole.
    #[arg(long, short, value_name = "FILE", conflicts_with = "serve")]
    pub(crate) output: Option<PathBuf>,
    /// List the tables and their columns.
    #[arg(long, conflicts_with_all = ["serve", "sql"])]
    pub(crate) tables: bool,
    /// Memory of all queries together; sorting and grouping may have four times as much in
    /// temporary files.
    #[arg(long, default_value = "1GB", value_name = "SIZE", value_parser = size)]
    pub(crate) memory: usize,
    /// How long a query may take [default: as long as it takes, 60 with --serve]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: Option<u64>,
    /// How many rows are answered at most [default: all, 10000 with --serve]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(crate) rows: Option<u64>,
    /// Threads that work on a query [default: as many as there are cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Serve the page on which everybody can ask.
    #[arg(long)]
    pub(crate) serve: bool,
    /// Where the page is served.
    #[arg(long, default_value = "127.0.0.1:9091", value_name = "ADDRESS", requires = "serve")]
    pub(crate) listen: SocketAddr,
    /// A name by which requests may call this machine, besides localhost and addresses.
    #[arg(long = "host", value_name = "NAME", requires = "serve")]
    pub(crate) hosts: Vec<String>,
    /// A file with the word that whoever asks must know. It, or a trusted header, is needed to
    /// listen on an address that others reach.
    #[arg(long, value_name = "FILE", requires = "serve")]
    pub(crate) token_file: Option<PathBuf>,
    /// A header that a proxy in front sets for those it has let in, such as X-Forwarded-User.
    #[arg(long, value_name = "NAME", requires = "serve")]
    pub(crate) trusted_header: Option<String>,
    /// End when standard input is closed: with the process that started this one.
    #[arg(long, requires = "serve", hide = true)]
    pub(crate) with_parent: bool,
    /// Leave out counts and advice.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Accepted as by all commands; answers have no colours.
    #[arg(long, hide = true, value_name = "WHEN")]
    pub(crate) color: Option<String>,
    /// Accepted as by all commands.
    #[arg(short, long, hide = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

const AFTER: &str = "Exit codes:
    0  the answer is whole
    1  files or the network failed, or a limit was met
   64  arguments or a statement that cannot be understood";

/// Bytes, with or without a unit of thousands.
fn size(text: &str) -> Result<usize, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let wrong = || format!("expected a size such as 500MB or 2GB, found {text:?}");
    let unit = match unit.trim().to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "MIB" => 1 << 20,
        "GIB" => 1 << 30,
        _ => return Err(wrong()),
    };
    let bytes = number.parse().ok().and_then(|number: usize| number.checked_mul(unit));
    match bytes.ok_or_else(wrong)? {
        bytes if bytes < LEAST => Err(format!("a query needs {} MB at least", LEAST / 1_000_000)),
        bytes => Ok(bytes),
    }
}

/// Less than this holds no batch of wide rows.
const LEAST: usize = 16_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, expected) in [
            ("20000000", Some(20_000_000)),
            ("500MB", Some(500_000_000)),
            ("2gb", Some(2_000_000_000)),
            ("1 GiB", Some(1 << 30)),
            ("1TBB", None),
            ("", None),
            ("5", None),
            ("99999999999999999999", None),
            ("18446744073709551615GB", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn arguments_are_as_clap_wants_them() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
