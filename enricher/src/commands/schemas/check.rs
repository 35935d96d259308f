//! `snowmelt schemas check`: what is wrong with some data, and which version would take it.

use std::io::Read;
use std::process::ExitCode;

use anyhow::Context;
use event::SchemaKey;
use resolver::Resolver;
use serde_json::json;
use serde_json::value::RawValue;
use validator::{Explanation, Schema, lint};

use super::{Named, Sources, Table, key_of_place, named};
use crate::exit::EXIT_FAULTS;
use crate::terminal;

/// What `snowmelt schemas check` was asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The schema: an Iglu URI or a file.
    #[arg(value_name = "SCHEMA")]
    schema: String,
    /// The data: a file of JSON, or - for standard input. Of a self-describing JSON, whose members
    /// are an Iglu URI and data, the data is checked.
    #[arg(value_name = "INSTANCE")]
    instance: String,
    #[command(flatten)]
    sources: Sources,
}

/// A JSON that names its schema. Nothing else may be in it, or it is data itself.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SelfDescribing {
    schema: SchemaUri,
    data: Box<RawValue>,
}

struct SchemaUri;

impl<'de> serde::Deserialize<'de> for SchemaUri {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<SchemaUri, D::Error> {
        let uri = String::deserialize(from)?;
        let wrong = |_| serde::de::Error::custom("not an Iglu URI");
        SchemaKey::parse(&uri).map(|_| SchemaUri).map_err(wrong)
    }
}

/// Runs `snowmelt schemas check`.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let resolver = args.sources.resolver()?;
    let json = read(&args.instance)?;
    if let Err(why) = serde_json::from_str::<serde::de::IgnoredAny>(&json) {
        return Ok(not_json(&args, &why));
    }
    let envelope = serde_json::from_str::<SelfDescribing>(&json).ok();
    let json = envelope.map_or(json, |envelope| {
        let SelfDescribing { schema: SchemaUri, data } = envelope;
        data.get().to_owned()
    });
    let named = match named(&args.schema, &resolver).await? {
        Ok(named) => named,
        Err(why) => return Ok(why.report()),
    };
    let violations = match Schema::compile(&named.text).explain(&json) {
        Ok(violations) => violations,
        Err(issues) => {
            let mut table = Table::new(&["IN THE SCHEMA", "WHAT IS WRONG"]);
            for issue in &issues {
                table.row([&issue.path, &issue.message]);
            }
            let issues = issues.iter().map(|i| json!({"path": i.path, "message": i.message}));
            let document = json!({"valid": false, "schemaIssues": issues.collect::<Vec<_>>()});
            args.sources.print(&table, document);
            return Ok(ExitCode::from(EXIT_FAULTS));
        }
    };
    if violations.is_empty() {
        args.sources.print(&Table::new(&[]), json!({"valid": true}));
        if !args.sources.json {
            terminal::line(&format!("valid against {}", named.name));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let nearest = nearest(&named, &json, &resolver).await;
    report(&args, &violations, nearest.as_deref());
    Ok(ExitCode::from(EXIT_FAULTS))
}

fn not_json(args: &Args, why: &serde_json::Error) -> ExitCode {
    let message = format!("{}: expected JSON: {why}", args.instance);
    let (line, column) = (why.line(), why.column());
    let document = json!({"valid": false, "error": message, "line": line, "column": column});
    if args.sources.json {
        terminal::line(&document.to_string());
    } else {
        terminal::note(&format!("snowmelt: {message}"));
    }
    ExitCode::from(EXIT_FAULTS)
}

fn read(instance: &str) -> anyhow::Result<String> {
    if instance != "-" {
        return std::fs::read_to_string(instance)
            .with_context(|| format!("cannot read {instance}"));
    }
    let mut json = String::new();
    std::io::stdin().read_to_string(&mut json).context("cannot read standard input")?;
    Ok(json)
}

fn report(args: &Args, violations: &[Explanation], nearest: Option<&str>) {
    let mut table = Table::new(&["AT", "RULE", "EXPECTED", "FOUND"]);
    for v in violations {
        let at = if v.pointer.is_empty() { "(root)" } else { &v.pointer };
        table.row([at, &v.keyword, &v.expected, &v.found]);
    }
    let as_json = |v: &Explanation| {
        json!({"pointer": v.pointer, "keyword": v.keyword, "expected": v.expected,
            "found": v.found, "message": v.message})
    };
    let all: Vec<_> = violations.iter().map(as_json).collect();
    args.sources
        .print(&table, json!({"valid": false, "violations": all, "nearestVersion": nearest}));
    if !args.sources.json {
        terminal::line(&match nearest {
            Some(nearest) => format!("{nearest} would accept it"),
            None => "no other version that is known would accept it".to_owned(),
        });
    }
}

/// The nearest version that accepts the data: beside a file where the schema is one, else from the
/// registries.
async fn nearest(named: &Named, json: &str, resolver: &Resolver) -> Option<String> {
    if named.registry.is_some() {
        let key = named.key.as_ref()?;
        return resolver.nearest(key, json).await.map(|key| key.to_string());
    }
    let path = std::fs::canonicalize(&named.name).ok()?;
    let own = key_of_place(&path)?.version;
    let beside = std::fs::read_dir(path.parent()?).ok()?.filter_map(|entry| {
        let path = entry.ok()?.path();
        Some((key_of_place(&path)?, path))
    });
    let accepts = |(key, path): (SchemaKey, _)| {
        let text = std::fs::read_to_string(path).ok()?;
        let described = lint::key_of(&text).is_none_or(|own| own == key);
        let accepted = Schema::compile(&text).check(json).is_ok();
        (key.version != own && described && accepted).then_some(key)
    };
    let far = |key: &SchemaKey| resolver::distance(own, key.version);
    beside.filter_map(accepts).min_by_key(far).map(|key| key.to_string())
}
