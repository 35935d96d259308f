//! `snowmelt schemas diff`: what a step from one version to another means.

use std::process::ExitCode;

use serde_json::json;
use validator::evolution::{self, Comparison};

use super::{Sources, Table, named};
use crate::exit::{EXIT_FAULTS, Usage};
use crate::terminal;

/// What `snowmelt schemas diff` was asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The older schema: an Iglu URI or a file.
    #[arg(value_name = "OLD")]
    old: String,
    /// The newer one.
    #[arg(value_name = "NEW")]
    new: String,
    #[command(flatten)]
    sources: Sources,
}

/// Runs `snowmelt schemas diff`.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let resolver = args.sources.resolver()?;
    let mut schemas = Vec::new();
    for name in [&args.old, &args.new] {
        match named(name, &resolver).await? {
            Ok(named) => schemas.push(named),
            Err(why) => return Ok(why.report()),
        }
    }
    let [old, new] = schemas.as_slice() else { unreachable!("two were asked for") };
    for schema in [old, new] {
        if let Err(why) = serde_json::from_str::<serde_json::Value>(&schema.text) {
            return Err(Usage(format!("{}: expected a schema in JSON: {why}", schema.name)).into());
        }
    }
    let comparison = evolution::compare(&old.text, &new.text);
    let comparison = comparison
        .ok_or_else(|| Usage(format!("one of {} and {} is too deep", old.name, new.name)))?;
    let versions = old.key.as_ref().zip(new.key.as_ref());
    let judgement = versions.map(|(old, new)| comparison.judge(old.version, new.version));
    let fault = judgement.as_ref().and_then(|judgement| judgement.fault.clone());
    let document = json!({
        "level": comparison.level().name(),
        "columns": comparison.column().name(),
        "declared": judgement.as_ref().map(|judgement| judgement.declared.name()),
        "needed": judgement.as_ref().map(|judgement| judgement.needed.name()),
        "fault": fault,
        "changes": changes(&comparison),
    });
    args.sources.print(&table(&comparison), document);
    if !args.sources.json {
        let (level, column) = (comparison.level().name(), comparison.column().name());
        terminal::line(&format!("for earlier data: {level}; for warehouse columns: {column}"));
        match (&judgement, &fault) {
            (_, Some(fault)) => terminal::line(&format!("fault: {fault}")),
            (Some(judgement), None) => {
                let (declared, needed) = (judgement.declared.name(), judgement.needed.name());
                terminal::line(&format!("the version says {declared}; needed is {needed}: good"));
            }
            (None, None) => terminal::line("no version numbers to judge: a schema has no self"),
        }
    }
    Ok(if fault.is_some() { ExitCode::from(EXIT_FAULTS) } else { ExitCode::SUCCESS })
}

fn table(comparison: &Comparison) -> Table {
    let mut table = Table::new(&["AT", "BEFORE", "AFTER", "IS", "COLUMN", "BECAUSE"]);
    for change in &comparison.changes {
        table.row([
            change.pointer.as_str(),
            &change.before,
            &change.after,
            change.level.name(),
            change.column.name(),
            change.why,
        ]);
    }
    table
}

fn changes(comparison: &Comparison) -> Vec<serde_json::Value> {
    let change = |change: &evolution::Change| {
        json!({"pointer": change.pointer, "before": change.before, "after": change.after,
            "level": change.level.name(), "column": change.column.name(), "why": change.why})
    };
    comparison.changes.iter().map(change).collect()
}
