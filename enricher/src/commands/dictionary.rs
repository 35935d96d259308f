//! `snowmelt dictionary`: every column of the tables of events, in words.

use std::process::ExitCode;

use clap::ValueEnum;
use columns::dictionary;

use super::known::Known;
use crate::terminal;

/// What `snowmelt dictionary` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How it is written.
    #[arg(long, value_name = "FORMAT", default_value = "markdown")]
    format: Format,
    #[command(flatten)]
    known: Known,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Markdown,
    Html,
    Json,
}

/// Runs `snowmelt dictionary`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    // Failed events have every column of the good ones, and one more.
    let table = match args.known.tables()? {
        Ok(tables) => tables.failed,
        Err(code) => return Ok(ExitCode::from(code)),
    };
    let columns = dictionary::columns(&table);
    let text = match args.format {
        Format::Markdown => dictionary::markdown(&columns),
        Format::Html => dictionary::html(&columns),
        Format::Json => format!("{:#}", dictionary::json(&columns)),
    };
    terminal::line(text.trim_end());
    Ok(ExitCode::SUCCESS)
}
