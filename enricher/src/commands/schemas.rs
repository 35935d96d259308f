//! `snowmelt schemas`: looking at schemas and registries, offline or as a worker would.
//!
//! A schema is named by its Iglu URI, which the registries answer, or by a file. Results are
//! tables, or with `--json` one document. 0 is good, 65 means that what was looked at has a fault,
//! 69 that a registry could not be asked, so that there is no verdict.

mod check;
mod diff;
mod lint;
mod list;
mod pull;
mod table;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Subcommand;
use event::SchemaKey;
use event::reason::{RegistryError, RegistryHistory};
use resolver::{Resolver, Unpublished};

use crate::aws;
use crate::exit::{EXIT_FAULTS, EXIT_UNAVAILABLE, Usage};
use crate::rules::Rules;
use crate::terminal;
use table::Table;

/// What `snowmelt schemas` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Write schemas into a bundle, one file that a worker can start from.
    Pull(pull::Args),
    /// List what registries have.
    List(list::ListArgs),
    /// Print a schema, and say which registry it is from.
    Show(list::ShowArgs),
    /// Look for mistakes in schemas, and in how their versions follow one another.
    Lint(lint::Args),
    /// Validate data, and print everything that is wrong with it.
    Check(check::Args),
    /// Say what a new version of a schema means for earlier data and for warehouse columns.
    Diff(diff::Args),
}

/// Where schemas come from, and how results are printed.
#[derive(Debug, clap::Args)]
struct Sources {
    /// An Iglu resolver configuration. Without one, the embedded schemas are all there are.
    #[arg(long, value_name = "FILE")]
    resolver: Option<std::path::PathBuf>,
    /// A folder of schemas (an Iglu static registry, `schemas/` inside), asked before all others.
    #[arg(long, value_name = "DIR")]
    schemas: Option<std::path::PathBuf>,
    /// A bundle of schemas, asked before all others.
    #[arg(long, value_name = "FILE")]
    bundle: Option<std::path::PathBuf>,
    /// How long a registry that cannot be asked is waited for, seconds.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    patience: u64,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs `snowmelt schemas`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.what {
            What::Pull(args) => pull::run(args).await,
            What::List(args) => list::list(args).await,
            What::Show(args) => list::show(args).await,
            What::Lint(args) => lint::run(args),
            What::Check(args) => check::run(args).await,
            What::Diff(args) => diff::run(args).await,
        }
    })
}

impl Sources {
    fn resolver(&self) -> Result<Resolver, Usage> {
        let rules = Rules {
            resolver: self.resolver.clone(),
            schemas: self.schemas.clone(),
            bundle: self.bundle.clone(),
            ..Rules::default()
        };
        let resolver = rules.resolver(&aws::Settings::default())?;
        Ok(resolver.with_wait(Duration::from_secs(self.patience)))
    }

    /// Prints a table, or what stands for it as JSON.
    fn print(&self, table: &Table, json: serde_json::Value) {
        if self.json { terminal::line(&json.to_string()) } else { table.print() }
    }
}

/// A schema that was named on the command line.
struct Named {
    /// The file or the URI.
    name: String,
    /// The key it was asked by, or that it says it has.
    key: Option<SchemaKey>,
    text: String,
    /// The registry it is from.
    registry: Option<String>,
}

/// Why a named schema cannot be looked at, and the exit code that tells it.
struct Unnamed {
    why: String,
    code: u8,
}

impl Unnamed {
    fn report(self) -> ExitCode {
        terminal::note(&format!("snowmelt: {}", self.why));
        ExitCode::from(self.code)
    }
}

/// Gets a schema by Iglu URI or from a file.
async fn named(name: &str, resolver: &Resolver) -> anyhow::Result<Result<Named, Unnamed>> {
    if !name.starts_with("iglu:") {
        let text = std::fs::read_to_string(name).with_context(|| format!("cannot read {name}"))?;
        let key = validator::lint::key_of(&text);
        return Ok(Ok(Named { name: name.to_owned(), key, text, registry: None }));
    }
    let key = parse_key(name)?;
    Ok(match resolver.fetch(&key).await {
        Ok(published) => Ok(Named {
            name: name.to_owned(),
            key: Some(key),
            text: published.text,
            registry: Some(published.registry),
        }),
        Err(why) => Err(unnamed(name, &why)),
    })
}

fn parse_key(uri: &str) -> Result<SchemaKey, Usage> {
    SchemaKey::parse(uri).map_err(|error| {
        let expected = "expected iglu:vendor/name/format/model-revision-addition";
        Usage(format!("{error}: {expected}, found {uri}"))
    })
}

fn unnamed(name: &str, why: &Unpublished) -> Unnamed {
    let (what, code, history) = match why {
        Unpublished::Missing(history) => ("no registry has", EXIT_FAULTS, history),
        Unpublished::Unavailable(history) => {
            ("a registry could not be asked for", EXIT_UNAVAILABLE, history)
        }
    };
    Unnamed { why: format!("{what} {name}\n{}", said(history)), code }
}

/// What each registry said, a line each.
fn said(history: &[RegistryHistory]) -> String {
    let lines = history.iter().map(|registry| {
        let errors: Vec<&str> = registry.errors.iter().map(words).collect();
        format!("  {}: {}", registry.repository, errors.join("; "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn words(error: &RegistryError) -> &str {
    match error {
        RegistryError::NotFound => "it does not have it",
        RegistryError::RepoFailure(why) | RegistryError::ClientFailure(why) => why,
    }
}

/// The key that a file's place stands for, where it lies as in a static registry.
fn key_of_place(path: &Path) -> Option<SchemaKey> {
    let parts: Vec<_> = path.iter().rev().take(4).map(|part| part.to_string_lossy()).collect();
    let [version, format, name, vendor] = parts.as_slice() else { return None };
    resolver::key_at(&format!("{vendor}/{name}/{format}/{version}"))
}
