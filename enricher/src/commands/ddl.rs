//! `snowmelt ddl`: statements that make the tables of what was written known to an engine.

use std::process::ExitCode;

use clap::ValueEnum;
use columns::Field;
use columns::ddl::{self, Definition};

use super::known::{Known, Tables};
use crate::exit::Usage;
use crate::terminal;

/// What `snowmelt ddl` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is to read the tables.
    #[arg(long = "for", value_name = "ENGINE")]
    engine: Engine,
    /// What their files hold.
    #[arg(long, value_name = "FORM")]
    tables: Form,
    /// One table alone; all three without.
    #[arg(long, value_name = "TABLE")]
    table: Option<Which>,
    /// Where the files are: the folder that has the folders `events`, `failed` and `bad`, or with
    /// --table the folder of that table. For DuckDB also a pattern of files, for Snowflake also a
    /// stage.
    #[arg(long, default_value = "s3://BUCKET", value_name = "PLACE")]
    location: String,
    /// The name of the schema or database that the tables are in, or with --table of the table.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// What folders below are named after: `load_date` for `load_date=2024-05-01`. Without this,
    /// load_date for Parquet, nothing for lines.
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    partitions: Option<Vec<String>>,
    #[command(flatten)]
    known: Known,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Engine {
    Athena,
    Glue,
    Redshift,
    Snowflake,
    Bigquery,
    Duckdb,
    Spark,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Tsv,
    Json,
    Parquet,
    Iceberg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    Events,
    Failed,
    Bad,
}

/// Runs `snowmelt ddl`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(names) = &args.partitions
        && let Some(name) = names.iter().find(|name| !is_name(name))
    {
        return Err(Usage(format!("--partitions: {name:?} is no name of a column")).into());
    }
    let tables = match args.known.tables()? {
        Ok(tables) => tables,
        Err(code) => return Ok(ExitCode::from(code)),
    };
    let all = match args.table {
        Some(one) => vec![one],
        None => vec![Which::Events, Which::Failed, Which::Bad],
    };
    let statements: Vec<String> = all.iter().map(|which| args.statement(*which, &tables)).collect();
    let is_document = matches!(args.engine, Engine::Glue);
    match statements.as_slice() {
        // One document of JSON, whatever it holds.
        many @ [_, _, ..] if is_document => {
            let many: Vec<&str> = many.iter().map(|document| document.trim_end()).collect();
            terminal::line(&format!("[{}]", many.join(",\n")));
        }
        any => terminal::line(any.join("\n").trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn statement(&self, which: Which, tables: &Tables) -> String {
        // Bad rows are lines of JSON in either form of lines.
        let form = match (which, self.tables) {
            (Which::Bad, Form::Tsv) => Form::Json,
            (_, form) => form,
        };
        let (schema, folder) = (self.name.as_deref().unwrap_or("snowmelt"), which.name());
        let (name, location) = match self.table {
            Some(_) => (
                self.name.clone().unwrap_or_else(|| format!("snowmelt.{folder}")),
                self.location.clone(),
            ),
            None => (
                format!("{schema}.{folder}"),
                format!("{}/{folder}", self.location.trim_end_matches('/')),
            ),
        };
        let partitions = match (&self.partitions, form) {
            (Some(names), _) => names.clone(),
            (None, Form::Parquet) => vec!["load_date".to_owned()],
            (None, _) => Vec::new(),
        };
        let definition = Definition {
            name: &name,
            comment: which.comment(),
            fields: &fields(which, form, tables),
            location: &location,
            partitions: &partitions,
        };
        ddl::define(self.engine.into(), form.into(), &definition)
    }
}

/// The columns of a table in files of that form.
fn fields(which: Which, form: Form, tables: &Tables) -> Vec<Field> {
    let table = match which {
        Which::Events => &tables.events,
        Which::Failed => &tables.failed,
        Which::Bad => {
            return match form {
                Form::Parquet | Form::Iceberg => warehouse::bad::fields(),
                Form::Tsv | Form::Json => columns::bad_row(),
            };
        }
    };
    match form {
        Form::Tsv => columns::atomic(),
        Form::Json => table.flat(),
        Form::Parquet | Form::Iceberg => table.fields(),
    }
}

fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    begins && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

impl Which {
    fn name(self) -> &'static str {
        match self {
            Which::Events => "events",
            Which::Failed => "failed",
            Which::Bad => "bad",
        }
    }

    fn comment(self) -> &'static str {
        match self {
            Which::Events => "Enriched events, written by Snowmelt.",
            Which::Failed => "Events that failed, as far as they came, written by Snowmelt.",
            Which::Bad => "Payloads and events that could not be processed, written by Snowmelt.",
        }
    }
}

impl From<Engine> for ddl::Engine {
    fn from(engine: Engine) -> ddl::Engine {
        match engine {
            Engine::Athena => ddl::Engine::Athena,
            Engine::Glue => ddl::Engine::Glue,
            Engine::Redshift => ddl::Engine::Redshift,
            Engine::Snowflake => ddl::Engine::Snowflake,
            Engine::Bigquery => ddl::Engine::Bigquery,
            Engine::Duckdb => ddl::Engine::Duckdb,
            Engine::Spark => ddl::Engine::Spark,
        }
    }
}

impl From<Form> for ddl::Form {
    fn from(form: Form) -> ddl::Form {
        match form {
            Form::Tsv => ddl::Form::Tsv,
            Form::Json => ddl::Form::Json,
            Form::Parquet => ddl::Form::Parquet,
            Form::Iceberg => ddl::Form::Iceberg,
        }
    }
}
