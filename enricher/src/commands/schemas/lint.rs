//! `snowmelt schemas lint`: mistakes in schemas, and in how their versions follow one another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

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
    /// Schemas, or folders of them. Below a folder, files are schemas that are named as a version
    /// is, 1-0-0, with or without .json, and other .json files that describe themselves.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Checks to leave out, of rootObject, unknownFormats, numericMinMax, stringLength,
    /// optionalNull, description.
    #[arg(long, value_delimiter = ',', value_name = "CHECK")]
    skip: Vec<String>,
    /// Take advice for faults.
    #[arg(long)]
    strict: bool,
    /// Show faults, and no advice.
    #[arg(long, conflicts_with = "strict")]
    only_faults: bool,
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
    let mut remarks = superseded(&files);
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
    remarks.retain(|remark| remark.is_error || !args.only_faults);
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
    let advice = match remarks.len() - faults {
        _ if args.only_faults => String::new(),
        advice => format!(", {advice} pieces of advice"),
    };
    terminal::line(&format!("{files} schemas, {faults} faults{advice}"));
}

/// Every file that is named, and every schema below a folder that is.
fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(read_file(path)?);
            continue;
        }
        let before = files.len();
        let mut left = vec![path.clone()];
        while let Some(path) = left.pop() {
            if path.is_dir() {
                let entries = std::fs::read_dir(&path).map_err(|why| cannot_read(&path, &why))?;
                let entries: Result<Vec<_>, _> = entries.map(|e| e.map(|e| e.path())).collect();
                let mut entries = entries.map_err(|why| cannot_read(&path, &why))?;
                entries.sort();
                left.extend(entries.into_iter().rev());
            } else if may_be_schema(&path) {
                files.push(read_file(&path)?);
            }
        }
        // A document beside schemas may be anything; one that describes itself is meant.
        let is_schema =
            |file: &File| is_version(Path::new(&file.name)) || file.text.contains("\"self\"");
        let found = files.split_off(before);
        files.extend(found.into_iter().filter(is_schema));
        if files.len() == before {
            let expected = "expected files named as a version, schemas/VENDOR/NAME/FORMAT/1-0-0";
            return Err(Usage(format!("{}: no schema below it; {expected}", path.display())).into());
        }
    }
    Ok(files)
}

fn cannot_read(path: &Path, why: &std::io::Error) -> Usage {
    Usage(format!("cannot read {}: {why}", path.display()))
}

fn read_file(path: &Path) -> Result<File, Usage> {
    let text = match std::fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        // What is no text is no JSON, which is to be said of it.
        Ok(Err(bytes)) => String::from_utf8_lossy(bytes.as_bytes()).into_owned(),
        Err(why) => return Err(cannot_read(path, &why)),
    };
    let key = key_of_place(path).or_else(|| lint::key_of(&text));
    Ok(File { name: path.display().to_string(), text, key })
}

fn may_be_schema(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    !hidden && (is_version(path) || path.extension().is_some_and(|extension| extension == "json"))
}

/// Whether a file is named as a version is, perhaps with `.json` behind it. One that is meant to
/// be but is none, `1.0.0`, counts, too, so that something is said of it.
fn is_version(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".json").unwrap_or(&name);
    name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '.'))
}

/// Schemas that name a version to supersede them which is nowhere.
fn superseded(files: &[File]) -> Vec<Remark> {
    let keys: BTreeSet<&SchemaKey> = files.iter().filter_map(|file| file.key.as_ref()).collect();
    let missing = |file: &File| {
        let key = file.key.as_ref()?;
        let version = lint::superseding(&file.text)?;
        let newer = SchemaKey { version, ..key.clone() };
        let beside = Path::new(&file.name).with_file_name(version.to_string());
        (!keys.contains(&newer) && !beside.exists()).then(|| Remark {
            file: file.name.clone(),
            is_error: true,
            check: Check::Superseded.name(),
            pointer: lint::SUPERSEDED.to_owned(),
            message: format!("there is no {newer}"),
        })
    };
    files.iter().filter_map(missing).collect()
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
