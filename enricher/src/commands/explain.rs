//! `snowmelt explain`: one payload through every step, with what each of them made of it.
//!
//! The steps of an event's road are taken one by one, and looked at in between; what became of the
//! payload in the end is asked of the pipeline as a whole. What an enrichment did is the difference
//! between a run with it and a run without it and all behind it, and so is its time: the least of
//! many warm runs. Of a record that failed only the reasons are shown, unless everything is asked
//! for.

pub(super) mod account;
pub(super) mod asked;
mod request;
mod script;
mod short;
mod tree;
mod useragent;
pub(super) mod why;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytes::Bytes;
use event::SchemaKey;
use lease::{Position, SequenceNumber, ShardId};
use serde_json::{Map, Value, json};
use validator::{Explanation, Lookup, Schemas};

use super::enrich::{Transform, TransformArgs, input::Input};
use crate::aws;
use crate::batch::{Arrival, Batch, Record};
use crate::config;
use crate::exit::Usage;
use crate::terminal;
use crate::worker::{examples, plan::Plan};
use account::{Run, Steps};
use asked::Asked;

/// What `snowmelt explain` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file of payloads in the forms that `enrich` reads, or - for standard input.
    #[arg(
        long, value_name = "FILE",
        required_unless_present_any = ["path", "user_agent", "script"]
    )]
    input: Option<PathBuf>,
    #[command(flatten)]
    request: request::Args,
    #[command(flatten)]
    useragent: useragent::Args,
    #[command(flatten)]
    script: script::Args,
    /// Which record of it, counted from 0.
    #[arg(
        long, default_value_t = 0, value_name = "N", value_parser = record_number,
        allow_hyphen_values = true
    )]
    record: u64,
    /// Show every step of a record that failed too, which is otherwise told by its verdict and
    /// what is wrong; and name what has no value.
    #[arg(long)]
    all: bool,
    /// Print one JSON object with everything, instead of text.
    #[arg(long)]
    json: bool,
    /// A worker's configuration: say to which of its destinations the lines go, and why.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    transform: TransformArgs,
}

fn record_number(text: &str) -> Result<u64, String> {
    let wrong = "records are counted from 0 on, the first one is 0: expected such a number";
    text.parse().map_err(|_| wrong.to_owned())
}

/// Runs `snowmelt explain`.
pub fn run(mut args: Args) -> anyhow::Result<ExitCode> {
    args.transform.rules.own_script = args.script.read()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (rules, _temporary) =
        runtime.block_on(args.transform.rules.with_assets(&aws::Settings::default()))?;
    args.transform.rules = rules;
    let headers = &args.request.header;
    if let Some(account) = args.useragent.account(headers, &args.transform.rules)? {
        terminal::line(&match args.json {
            true => useragent::json(&account).to_string(),
            false => useragent::text(&account, args.all),
        });
        return Ok(ExitCode::SUCCESS);
    }
    record(args)
}

/// Explains a record.
fn record(args: Args) -> anyhow::Result<ExitCode> {
    let settings = args.transform.settings()?;
    let plan = args.config.as_deref().map(planned).transpose()?;
    let data = match args.request.record()? {
        Some(record) => record,
        None if args.input.is_none() => args.script.page_view().expect("clap wants one of them"),
        None => nth(args.input.into_iter().collect(), args.record)?,
    };
    let sequence = SequenceNumber::parse(&args.record.to_string());
    let sequence = sequence.expect("a number without leading zeros is a sequence number");
    let end = Position::After { sequence: sequence.clone(), sub_sequence: 0 };
    let record = Record { sequence, sub_sequence: 0, arrival: Arrival::default(), data };
    let batch = Batch { shard: ShardId::new("input"), records: vec![record], lag: None, end };

    let transform = Transform::new(args.transform.setup(settings.clone()))?;
    // Afterwards all schemas that the record mentions were asked for.
    let (output, told) = transform.process_telling(&batch);
    let schemas = transform.schemas();
    let steps = Steps::open(&args.transform.rules)?;
    let mut account = Map::new();
    account.insert("record".to_owned(), json!(args.record));
    account.insert("bytes".to_owned(), json!(batch.bytes()));
    let run = Run {
        settings: &settings,
        schemas: &schemas,
        steps: &steps,
        asked: &Asked(told),
        now_ms: transform.now(),
    };
    account.extend(account::of(&batch, &run));
    let mut became = account::became(&output);
    let why = why::of(&became, &Known { transform: &transform, schemas: &schemas });
    account.insert("why".to_owned(), json!(why));
    if args.all && !args.json {
        tree::by_column(&mut became);
    }
    account.insert("became".to_owned(), became);
    if let Some(plan) = &plan {
        let ways = examples::ways(plan, &output, transform.now());
        account.insert("destinations".to_owned(), ways);
    }
    // Who tries a script wants to see what it did, and what it printed before it failed.
    let whole = args.all || plan.is_some() || args.transform.rules.own_script.is_some();
    match (args.json, whole, short::text(&why)) {
        (true, _, _) => terminal::line(&Value::Object(account).to_string()),
        (false, false, Some(short)) => short::print(&short),
        (false, _, _) => {
            account.remove("why");
            tree::print(&tree::text(&Value::Object(account), args.all));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where a worker of that configuration would write.
fn planned(file: &Path) -> Result<Plan, Usage> {
    let config = config::load(file).map_err(|error| Usage(error.to_string()))?;
    Plan::of(&config, "explain")
}

/// What the registries said, and say.
struct Known<'a> {
    transform: &'a Transform,
    schemas: &'a Schemas,
}

impl why::Judge for Known<'_> {
    fn explain(&self, uri: &str, data: &str) -> Vec<Explanation> {
        match self.schemas.get(uri) {
            Some(Lookup::Found(schema)) => schema.explain(data).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    fn nearest(&self, uri: &str, data: &str) -> Option<String> {
        let key = SchemaKey::parse(uri).ok()?;
        self.transform.nearest(&key, data).map(|key| key.to_string())
    }
}

/// The record of that number, counted from 0.
fn nth(files: Vec<PathBuf>, number: u64) -> anyhow::Result<Bytes> {
    let mut input = Input::open(&files)?;
    let mut entry = input.next_record()?;
    for _ in 0..number {
        entry = input.next_record()?;
    }
    let records = input.records();
    let none = || Usage(format!("there is no record {number} in the input, which has {records}"));
    Ok(entry.ok_or_else(none)?.data)
}
