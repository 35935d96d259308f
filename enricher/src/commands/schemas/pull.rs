//! `snowmelt schemas pull`: many schemas into one file.
//!
//! The file appears whole or not at all. A schema that was named and does not exist is a fault; in
//! a sample or a list of a registry it is only noted, since bots send names of schemas that nobody
//! has. A registry that cannot be asked leaves no file: a bundle with holes would be worse.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use event::SchemaKey;
use resolver::{Pulled, Resolver, Unlisted, Unpublished};
use serde_json::json;

use super::{Sources, parse_key, said};
use crate::commands::enrich::input::Input;
use crate::commands::enrich::next_chunk;
use crate::exit::{EXIT_FAULTS, EXIT_UNAVAILABLE, Usage};
use crate::process::this_program;
use crate::resolving::needed;
use crate::terminal;
use pipeline::{Pipeline, Settings};

/// What `snowmelt schemas pull` was asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Iglu URIs of schemas.
    #[arg(value_name = "URI")]
    uris: Vec<String>,
    /// A file of Iglu URIs, one a line; lines that begin with # are passed over.
    #[arg(long, value_name = "FILE")]
    list: Vec<PathBuf>,
    /// Everything that registries list.
    #[arg(long)]
    all: bool,
    /// Everything that is seen in these payloads, which are read as `snowmelt enrich` reads them.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    sample: Vec<PathBuf>,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    sources: Sources,
}

/// Runs `snowmelt schemas pull`.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let named = named(&args)?;
    if named.is_empty() && !args.all && args.sample.is_empty() {
        return Err(Usage("nothing to pull: name schemas, --list, --all or --sample".into()).into());
    }
    let resolver = args.sources.resolver()?;
    let mut keys = named.clone();
    if args.all {
        match listed(&resolver).await {
            Ok(listed) => keys.extend(listed),
            Err(why) => {
                terminal::note(&format!("snowmelt: {why}"));
                return Ok(ExitCode::from(EXIT_UNAVAILABLE));
            }
        }
    }
    if !args.sample.is_empty() {
        keys.extend(seen(&resolver, args.sample.clone()).await?);
    }
    let keys: Vec<SchemaKey> = keys.into_iter().collect();
    let mut bundle = Vec::new();
    let pulled = resolver.pull(&keys, &mut bundle).await?;
    let code = verdict(&pulled, &named);
    if code != EXIT_UNAVAILABLE {
        write(&args.output, &bundle)?;
    }
    report(&args, &pulled, code, bundle.len());
    Ok(ExitCode::from(code))
}

/// The keys that the command line names.
fn named(args: &Args) -> anyhow::Result<BTreeSet<SchemaKey>> {
    let mut keys = BTreeSet::new();
    for uri in &args.uris {
        keys.insert(parse_key(uri)?);
    }
    for file in &args.list {
        let name = file.display();
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why| Usage(format!("{name}:{}: {why}", index + 1));
            keys.insert(parse_key(line).map_err(wrong)?);
        }
    }
    Ok(keys)
}

/// The keys of all registries. One without a list is as bad as one that cannot be asked: nobody
/// knows what would be missing from the bundle.
async fn listed(resolver: &Resolver) -> Result<Vec<SchemaKey>, String> {
    let mut keys = Vec::new();
    for listed in resolver.list().await {
        match listed.keys {
            Ok(listed) => keys.extend(listed),
            Err(Unlisted::Unable) => {
                let instead = "in place of --all name schemas, or give --list or --sample";
                return Err(format!("{}: {}: {instead}", listed.registry, Unlisted::Unable));
            }
            Err(why) => return Err(format!("{}: {why}", listed.registry)),
        }
    }
    Ok(keys)
}

/// The keys that a pipeline asks for when it meets these payloads.
async fn seen(resolver: &Resolver, files: Vec<PathBuf>) -> anyhow::Result<BTreeSet<SchemaKey>> {
    let pipeline = Pipeline::new(Settings::new(this_program()), std::sync::Arc::default());
    let mut keys = BTreeSet::new();
    let mut input = Input::open(&files)?;
    while let Some(chunk) = next_chunk(&mut input)? {
        keys.extend(needed(&pipeline, resolver, &chunk.batch).await);
    }
    Ok(keys)
}

/// The exit code: what was seen or listed may be missing, what was named may not.
fn verdict(pulled: &Pulled, named: &BTreeSet<SchemaKey>) -> u8 {
    let each = pulled.failed.iter().map(|(key, why)| match why {
        Unpublished::Unavailable(_) => EXIT_UNAVAILABLE,
        Unpublished::Missing(_) if named.contains(key) => EXIT_FAULTS,
        Unpublished::Missing(_) => 0,
    });
    each.max().unwrap_or(0)
}

/// Says what was had and what was not.
fn report(args: &Args, pulled: &Pulled, code: u8, bytes: usize) {
    let mut failed = Vec::new();
    for (key, why) in &pulled.failed {
        let (word, history) = match why {
            Unpublished::Missing(history) => ("missing", history),
            Unpublished::Unavailable(history) => ("unavailable", history),
        };
        failed.push(json!({"uri": key.to_string(), "answer": word, "registries": said(history)}));
        terminal::note(&format!("snowmelt: {word}: {key}\n{}", said(history)));
    }
    let output = args.output.display().to_string();
    if args.sources.json {
        let written = if code == EXIT_UNAVAILABLE { 0 } else { pulled.written };
        let document = json!({"bundle": output, "schemas": written, "failed": failed});
        terminal::line(&document.to_string());
    } else if code == EXIT_UNAVAILABLE {
        terminal::note("snowmelt: nothing was written");
    } else {
        terminal::line(&format!("{} schemas, {bytes} bytes, in {output}", pulled.written));
    }
}

/// Puts the file in place at once, so that nobody ever reads half of it.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let put = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)
    };
    put().with_context(|| {
        // What failed most likely is the disk, and it needs the room.
        let _ = std::fs::remove_file(&unfinished);
        format!("cannot write {}", path.display())
    })
}
