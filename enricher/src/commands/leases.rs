//! `snowmelt leases`: who holds which shard and how far it is; asking for a lease's release, and
//! setting where a shard is read from.
//!
//! Nothing is written without `--yes`. What a release and a reset do to a running fleet is told in
//! [`lease::operator`].

mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Subcommand;
use lease::operator::{self, Row};
use lease::store::dynamo::{Dynamo, Keys};
use lease::store::sqlite::Sqlite;
use lease::{LeaseStore, Position, WorkerId};

use crate::aws::{self, Aws};
use crate::exit::Usage;
use crate::worker::build;
use crate::{clock, config, terminal};
use report::{Done, Report};

/// What `snowmelt leases` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show all leases: owner, age, lag, weight, checkpoint, parents.
    List(List),
    /// Ask the owners of leases to release them; who has least to do takes them then.
    Release(Release),
    /// Set where shards are read from. Takes them from their owners at once.
    Reset(Reset),
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    table: Table,
    /// How long to watch, to tell the leases that move from those that do not, in seconds. A lease
    /// is renewed three times in its duration.
    #[arg(long, default_value_t = 4, value_name = "S")]
    watch: u16,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Release {
    #[command(flatten)]
    table: Table,
    #[command(flatten)]
    shards: Shards,
}

#[derive(Debug, clap::Args)]
struct Reset {
    #[command(flatten)]
    table: Table,
    #[command(flatten)]
    shards: Shards,
    /// The oldest record, the records written from now on, or those written since `--at`.
    #[arg(long)]
    to: Start,
    /// The time for `--to timestamp`, as in `2026-11-22T04:00:00Z`.
    #[arg(long, value_name = "TIME", required_if_eq("to", "timestamp"))]
    at: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Start {
    TrimHorizon,
    Latest,
    Timestamp,
}

/// Which leases a command is about, and whether it is meant.
#[derive(Debug, clap::Args)]
struct Shards {
    /// The shards, by their names in the stream.
    #[arg(value_name = "SHARD", required_unless_present = "all", conflicts_with = "all")]
    shards: Vec<String>,
    /// All shards of the table.
    #[arg(long)]
    all: bool,
    /// Do it. Without this, what would be done is shown.
    #[arg(long)]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Where the leases are: what a worker's configuration says, a DynamoDB table, or a SQLite file.
#[derive(Debug, clap::Args)]
struct Table {
    /// A worker's configuration file.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["table", "file"])]
    config: Option<PathBuf>,
    /// A DynamoDB table.
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    table: Option<String>,
    /// A SQLite file, as in the folder of `snowmelt local`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "table"])]
    file: Option<PathBuf>,
    /// The region of the table.
    #[arg(long, requires = "table")]
    region: Option<String>,
    /// Replaces the endpoint of DynamoDB.
    #[arg(long, value_name = "URL", requires = "table")]
    endpoint_url: Option<String>,
}

/// Runs `snowmelt leases`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let report = match args.action {
            Action::List(list) => show(list).await,
            Action::Release(release) => ask(release).await,
            Action::Reset(reset) => set(reset).await,
        }?;
        report.trim_end().lines().for_each(terminal::line);
        Ok(ExitCode::SUCCESS)
    })
}

async fn show(list: List) -> anyhow::Result<String> {
    let store = list.table.open().await?;
    let rows = operator::list(store.as_ref(), Duration::from_secs(list.watch.into())).await?;
    let report = Report::of(&rows);
    Ok(if list.json { report.json() } else { report.to_string() })
}

async fn ask(release: Release) -> anyhow::Result<String> {
    let store = release.table.open().await?;
    let rows = release.shards.pick(store.as_ref()).await?;
    let me = WorkerId::parse(&format!("operator-{:x}", clock::now_ms()));
    let me = me.context("a name of letters and digits is a name")?;
    let mut done = Vec::new();
    for Row { lease, .. } in rows {
        let what = match (&lease.owner, release.shards.yes) {
            (None, _) => "nobody owns it",
            (Some(_), false) => "its owner would be asked to release it",
            (Some(_), true) => match operator::release(store.as_ref(), &lease.key, &me).await? {
                Some(_) => "its owner is asked to release it",
                None => "nobody owns it any more",
            },
        };
        done.push(Done { lease, what: what.to_owned() });
    }
    Ok(release.shards.tell(&done))
}

async fn set(reset: Reset) -> anyhow::Result<String> {
    let to = match (reset.to, reset.at.as_deref()) {
        (Start::TrimHorizon, None) => Position::TrimHorizon,
        // The records written from now on, whoever reads them, and when.
        (Start::Latest, None) => Position::AtTimestamp(Some(clock::now_ms())),
        (Start::Timestamp, Some(at)) => Position::AtTimestamp(Some(past(at)?)),
        _ => return Err(Usage("--at belongs to --to timestamp".to_owned()).into()),
    };
    let store = reset.table.open().await?;
    let rows = reset.shards.pick(store.as_ref()).await?;
    let mut done = Vec::new();
    for Row { mut lease, .. } in rows {
        let what = if !reset.shards.yes {
            format!("would be read from {to}")
        } else if let Some(now) = operator::reset(store.as_ref(), &lease.key, &to).await? {
            lease = now;
            format!("is read from {to}")
        } else {
            "is gone".to_owned()
        };
        done.push(Done { lease, what });
    }
    Ok(reset.shards.tell(&done))
}

/// A time that has come: a stream can be read from no other.
fn past(text: &str) -> Result<i64, Usage> {
    let ms = config::moment(text).map_err(|why| Usage(format!("--at: {why}, found `{text}`")))?;
    match ms <= clock::now_ms() {
        true => Ok(ms),
        false => Err(Usage(format!("--at: {text} is in the future"))),
    }
}

impl Table {
    async fn open(&self) -> anyhow::Result<Box<dyn LeaseStore>> {
        if let Some(file) = &self.file {
            if !file.is_file() {
                return Err(Usage(format!("{}: there is no such file", file.display())).into());
            }
            let store = Sqlite::open(file).with_context(|| file.display().to_string())?;
            store.open().await.with_context(|| file.display().to_string())?;
            return Ok(Box::new(store));
        }
        let (settings, table) = match (&self.config, &self.table) {
            (Some(file), _) => {
                let config = config::load(file).map_err(|error| Usage(error.to_string()))?;
                (build::aws(&config.aws), config.leases.table.to_string())
            }
            (None, table) => {
                let settings = aws::Settings {
                    region: self.region.clone(),
                    dynamodb_endpoint: self.endpoint_url.clone(),
                    ..aws::Settings::default()
                };
                (settings, table.clone().unwrap_or_default())
            }
        };
        // Not opened: that would make a table where there is none.
        let aws = Aws::load(settings).await.check().await?;
        Ok(Box::new(Dynamo::new(aws.dynamodb(), &table).with(Keys::OfAny)))
    }
}

impl Shards {
    async fn pick(&self, store: &dyn LeaseStore) -> anyhow::Result<Vec<Row>> {
        let mut rows = operator::list(store, Duration::ZERO).await?;
        let known = |name: &String| rows.iter().any(|row| row.lease.key.as_str() == name);
        if let Some(unknown) = self.shards.iter().find(|name| !known(name)) {
            let text = format!("there is no lease of {unknown}; `snowmelt leases list` has them");
            return Err(Usage(text).into());
        }
        rows.retain(|row| self.all || self.shards.iter().any(|s| s == row.lease.key.as_str()));
        Ok(rows)
    }

    fn tell(&self, done: &[Done]) -> String {
        match self.json {
            true => report::json(done, self.yes),
            false => report::text(done, self.yes),
        }
    }
}
