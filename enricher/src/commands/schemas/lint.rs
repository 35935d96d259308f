//! `snowmelt schemas lint`: mistakes in schemas, and in how their versions follow one another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use event::SchemaKey;
use serde_json::json;
use validator::evolution;
use validator::lint::{self, Check};

use super::{Table, key_of_place};
use crate::exit::{EXIT_FAULTS, Usage};
use crate::terminal;

/// What `snowmelt schemas lint` was asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Schemas, or folders of them; below a folder every file is a schema.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Checks to leave out, of rootObject, unknownFormats, numericMinMax, stringLength,
    /// optionalNull, description.
    #[arg(long, value_delimiter = ',', value_name = "CHECK")]
    skip: Vec<String>,
    /// Take advice for faults.
    #[arg(long)]
    strict: bool,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
}

/// Something to say of a file.
struct Remark {
    file: String,
    is_error: bool,
    check: &'static str,
    pointer: String,
    message: String,
}

/// A file that was read.
struct File {
    name: String,
    text: String,
    /// From its place, or from what it says.
    key: Option<SchemaKey>,
}

/// Runs `snowmelt schemas lint`.
pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut skipped = Vec::new();
    for name in &args.skip {
        let check = Check::named(name);
        let known = || Check::OPTIONAL.map(Check::name).join(", ");
        let unknown = || Usage(format!("--skip: expected one of {}, found {name}", known()));
        skipped.push(check.ok_or_else(unknown)?);
    }
    let files = read(&args.paths)?;
    let mut remarks = Vec::new();
    for file in &files {
        let place = key_of_place(Path::new(&file.name));
        let findings = lint::lint(&file.text, place.as_ref());
        let wanted = findings.into_iter().filter(|finding| !skipped.contains(&finding.check));
        remarks.extend(wanted.map(|finding| Remark {
            file: file.name.clone(),
            is_error: finding.check.is_error(),
            check: finding.check.name(),
            pointer: finding.pointer,
            message: finding.message,
        }));
    }
    remarks.extend(steps(&files));
    let faulty = remarks.iter().any(|remark| remark.is_error || args.strict);
    report(&args, files.len(), &remarks);
    Ok(if faulty { ExitCode::from(EXIT_FAULTS) } else { ExitCode::SUCCESS })
}

fn report(args: &Args, files: usize, remarks: &[Remark]) {
    let kind = |remark: &Remark| if remark.is_error { "fault" } else { "advice" };
    if args.json {
        let remark = |remark: &Remark| {
            json!({"file": remark.file, "kind": kind(remark), "check": remark.check,
                "pointer": remark.pointer, "message": remark.message})
        };
        let all: Vec<_> = remarks.iter().map(remark).collect();
        return terminal::line(&json!({"schemas": files, "remarks": all}).to_string());
    }
    let mut table = Table::new(&["FILE", "KIND", "CHECK", "AT", "WHAT"]);
    for remark in remarks {
        let cells = [&remark.file, kind(remark), remark.check, &remark.pointer, &remark.message];
        table.row(cells);
    }
    table.print();
    let faults = remarks.iter().filter(|remark| remark.is_error).count();
    let advice = remarks.len() - faults;
    terminal::line(&format!("{files} schemas, {faults} faults, {advice} pieces of advice"));
}

/// Every file that is named, or lies below a folder that is.
fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    let mut left: Vec<PathBuf> = paths.iter().rev().cloned().collect();
    while let Some(path) = left.pop() {
        let cannot = || format!("cannot read {}", path.display());
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).with_context(cannot)?;
            let entries: Result<Vec<_>, _> = entries.map(|e| e.map(|e| e.path())).collect();
            let mut entries = entries.with_context(cannot)?;
            entries.sort();
            left.extend(entries.into_iter().rev());
            continue;
        }
        let text = std::fs::read_to_string(&path).with_context(cannot)?;
        let key = key_of_place(&path).or_else(|| lint::key_of(&text));
        files.push(File { name: path.display().to_string(), text, key });
    }
    Ok(files)
}

/// How each version follows the one before it.
fn steps(files: &[File]) -> Vec<Remark> {
    let mut versions: BTreeMap<&SchemaKey, &File> = BTreeMap::new();
    for file in files {
        versions.extend(file.key.as_ref().map(|key| (key, file)));
    }
    let mut remarks = Vec::new();
    let mut before: Option<(&SchemaKey, &File)> = None;
    for (key, file) in versions {
        let older = before.replace((key, file));
        let older = older.filter(|(old, _)| {
            (&old.vendor, &old.name, &old.format) == (&key.vendor, &key.name, &key.format)
        });
        let remark = |message: String| Remark {
            file: file.name.clone(),
            is_error: true,
            check: "version",
            pointer: "/self/version".to_owned(),
            message,
        };
        let Some((old_key, old)) = older else { continue };
        let (from, to) = (old_key.version, key.version);
        if skips(from, to) {
            remarks.push(remark(format!("{to} follows {from}: a version between is missing")));
        }
        let comparison = evolution::compare(&old.text, &file.text);
        if let Some(fault) = comparison.and_then(|compared| compared.judge(from, to).fault) {
            remarks.push(remark(format!("after {from}: {fault}")));
        }
    }
    remarks
}

/// Whether a version between these two was left out.
fn skips(from: event::SchemaVer, to: event::SchemaVer) -> bool {
    let next = [
        (from.model, from.revision, from.addition + 1),
        (from.model, from.revision + 1, 0),
        (from.model + 1, 0, 0),
    ];
    !next.contains(&(to.model, to.revision, to.addition))
}
