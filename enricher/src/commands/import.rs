//! `snowmelt import`: the configuration of a running peer, OpenSnowcat or one that is configured
//! alike, as one of ours; and line by line what became of each setting.
//!
//! What a setting becomes is [`settings`]'s. Nothing is written where a part cannot be taken.

mod settings;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use enrichments::{Configuration, Options};
use serde_json::Value;

use self::settings::{Made, Said};
use crate::exit::Usage;
use crate::terminal::{self, Look};
use crate::{config, hocon};

/// What `snowmelt import` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The peer's configuration, in HOCON, as its `--config` takes it.
    #[arg(value_name = "FILE")]
    from: PathBuf,
    /// Its resolver's configuration.
    #[arg(long, alias = "iglu-config", value_name = "FILE")]
    resolver: Option<PathBuf>,
    /// Its folder of enrichments.
    #[arg(long, value_name = "DIR")]
    enrichments: Option<PathBuf>,
    /// The folder to write, made if it is not there. What is in it is never overwritten.
    #[arg(long, default_value = ".", value_name = "DIR")]
    output: PathBuf,
}

/// Runs `snowmelt import`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let worker = args.output.join("worker.toml");
    for name in ["worker.toml", "resolver.json", "enrichments"] {
        if args.output.join(name).exists() {
            let there = args.output.join(name);
            return Err(Usage(format!("{} is there already", there.display())).into());
        }
    }
    let root = read(&args.from)?;
    let mut made = settings::import(&root);
    let file = args.from.display();
    let wrong = made.said.iter().filter_map(|(line, path, said)| match said {
        Said::Wrong(why) => Some(format!("{file}:{line}: {path}: {why}")),
        _ => None,
    });
    let wrong: Vec<String> = wrong.collect();
    if !wrong.is_empty() {
        return Err(Usage(wrong.join("\n")).into());
    }
    let resolver = args.resolver.as_deref().map(json).transpose()?;
    let copied = args.enrichments.as_deref().map(configurations).transpose()?;
    fs::create_dir_all(&args.output)
        .with_context(|| format!("cannot make {}", args.output.display()))?;
    if let Some(text) = &resolver {
        write(&args.output.join("resolver.json"), text)?;
        made.set("schemas", "resolver", "resolver.json");
    }
    let mut notes = Vec::new();
    if let Some(files) = copied {
        notes = enrichments(files, &args.output.join("enrichments"), &mut made)?;
    }
    let head = format!("# Made of {file} by `snowmelt import`.\n");
    write(&worker, &(head + &made.toml()))?;
    report(&made, &args.from, &notes);
    finish(&worker, &made);
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> anyhow::Result<hocon::Node> {
    let file = path.display();
    let text = fs::read_to_string(path).map_err(|error| Usage(format!("{file}: {error}")))?;
    let read = hocon::read(&text);
    Ok(read.map_err(|mistake| Usage(format!("{file}:{}: {}", mistake.line, mistake.what)))?)
}

/// A file of JSON as it is; one of HOCON in JSON.
fn json(path: &Path) -> anyhow::Result<String> {
    let file = path.display();
    let text = fs::read_to_string(path).map_err(|error| Usage(format!("{file}: {error}")))?;
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(_) => Ok(serde_json::to_string_pretty(&read(path)?.json())?),
    }
}

/// Configurations by the names that they are copied to, in the order of names.
fn configurations(folder: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let entries = fs::read_dir(folder)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| Usage(format!("{}: {error}", folder.display())))?;
    let mut files = Vec::new();
    for path in entries.into_iter().map(|entry| entry.path()) {
        let kind = path.extension().and_then(|it| it.to_str());
        if let (Some("json" | "hocon"), Some(name)) = (kind, path.file_stem()) {
            files.push((format!("{}.json", name.to_string_lossy()), json(&path)?));
        }
    }
    files.sort();
    match files.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(Usage(format!("two enrichments would be {}", pair[0].0)).into()),
        None => Ok(files),
    }
}

/// Writes enrichments, and sets what a worker needs to run them. What is to be said of them.
fn enrichments(
    files: Vec<(String, String)>,
    folder: &Path,
    made: &mut Made,
) -> anyhow::Result<Vec<String>> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut notes = Vec::new();
    let mut unsupported = BTreeSet::new();
    for (name, text) in &files {
        let path = folder.join(name);
        write(&path, text)?;
        let Some(kind) = enabled(text) else { continue };
        if !enrichments::runs(&kind) {
            notes.push(format!("enrichments/{name}: {kind} does not run here, and is passed over"));
            unsupported.insert(kind);
        }
    }
    made.set("enrichments", "folder", "enrichments");
    let allow: Vec<String> = unsupported.into_iter().collect();
    if !allow.is_empty() {
        made.set("enrichments", "allow_unsupported", allow.clone());
    }
    let options = Options { allow_unsupported: allow, ..Options::default() };
    match Configuration::read(folder, &options) {
        Ok(read) if read.assets().is_empty() => made.unset("enrichments", "refresh"),
        Ok(_) => made.set("enrichments", "cache", "assets"),
        Err(errors) => {
            made.set("enrichments", "cache", "assets");
            notes.extend(errors.iter().map(|error| error.to_string()));
        }
    }
    Ok(notes)
}

/// The name of a configuration that is switched on.
fn enabled(text: &str) -> Option<String> {
    let json: Value = serde_json::from_str(text).ok()?;
    let on = json.pointer("/data/enabled")?.as_bool()?;
    let uri = json.get("schema")?.as_str()?;
    let name = event::schema_key::Parts::parse(uri).ok()?.name.to_owned();
    on.then_some(name)
}

/// A line for each setting, and what was found of enrichments.
fn report(made: &Made, from: &Path, notes: &[String]) {
    let file = from.display();
    for (line, path, said) in &made.said {
        let at = format!("{file}:{line}: {path}");
        match said {
            Said::Taken(to) => terminal::line(&format!("{at} → {to}")),
            Said::Needless(why) => terminal::line(&format!("{at} is not needed: {why}")),
            Said::Lost(why) => {
                terminal::line_as(Look::Bad, &format!("{at} has no counterpart: {why}"));
            }
            Said::Wrong(_) => {}
        }
    }
    notes.iter().for_each(|note| terminal::line_as(Look::Bad, note));
}

/// Says what is left to do.
fn finish(worker: &Path, made: &Made) {
    let lost = made.said.iter().filter(|(_, _, said)| matches!(said, Said::Lost(_))).count();
    let file = worker.display();
    terminal::tell(&format!("wrote {file}; settings without a counterpart: {lost}"));
    let variables: Vec<&str> = made.variables.iter().map(String::as_str).collect();
    if !variables.is_empty() {
        terminal::tell(&format!("it wants these variables: {}", variables.join(", ")));
    } else if let Err(error) = config::load(worker) {
        terminal::note(&error.to_string());
    }
    terminal::tell("stop the peer, then:");
    terminal::tell(&format!("snowmelt worker --config {file} --check"));
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let written = fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}", path.display()))
}
