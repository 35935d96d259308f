//! Many schemas: how long a large bundle takes to start from, and what ten thousand in use cost.

use std::path::Path;
use std::time::Duration;

use event::SchemaKey;
use resolver::Resolver;
use tokio::time::Instant;

use super::hosting::{Corpus, configured};
use super::{Args, Bench};
use crate::{process, terminal};

/// The size of the bundle that a worker starts from.
const BUNDLE: usize = 700;

/// How many schemas are in use.
const IN_USE: usize = 10_000;

/// Measures both and prints what they come to.
pub(super) fn measure(args: &Args, corpus: &Corpus, bench: &Bench) -> anyhow::Result<()> {
    let texts = texts(args.crowd.as_deref(), corpus)?;
    let mean = texts.iter().map(String::len).sum::<usize>() / texts.len().max(1);
    let file = corpus.scratch().join("crowd");
    let row = |name: &str, value: String| terminal::line(&format!("{name:<52} {value}"));
    row("schemas of the large bundles, mean bytes", mean.to_string());

    let keys = write(&texts, BUNDLE, &file)?;
    let starts = times(args.runs, || {
        let start = Instant::now();
        let resolver = Resolver::embedded().with_bundle(&file)?;
        let ready = start.elapsed();
        bench.runtime.block_on(resolver.resolve(&keys));
        Ok((ready, start.elapsed()))
    })?;
    row(&format!("{BUNDLE} schemas: ready after, ms, median"), milliseconds(&starts, |t| t.0));
    row(&format!("{BUNDLE} schemas: all compiled after, ms"), milliseconds(&starts, |t| t.1));

    let few = configured(r#"{"embedded":{"path":""}}"#)?.with_bundle(&file)?;
    bench.pass(&few);
    let keys = write(&texts, IN_USE, &file)?;
    let before = process::memory();
    let many = configured(r#"{"embedded":{"path":""}}"#)?.with_bundle(&file)?;
    bench.runtime.block_on(many.resolve(&keys));
    bench.pass(&many);
    if let (Some(before), Some(after)) = (before, process::memory()) {
        let more = after.saturating_sub(before) as f64 / f64::from(1 << 20);
        row(&format!("{IN_USE} schemas known: memory above base, MiB"), format!("{more:.1}"));
    }
    row("schemas known then", many.figures().found.to_string());

    // Every schema is read in each pass, as if it were in use.
    let schemas = many.schemas();
    let uris: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let speeds = times(args.runs, || {
        let speed = |resolver: &Resolver| {
            let start = process::cpu_time();
            let (events, _) = bench.pass(resolver);
            (process::cpu_time() - start).div_f64(events as f64)
        };
        let alone = speed(&few);
        assert!(uris.iter().all(|uri| schemas.get(uri).is_some()), "all were resolved");
        Ok((alone, speed(&many)))
    })?;
    let nanoseconds = |pick: fn(&(Duration, Duration)) -> Duration| {
        format!("{:.0}", median(&speeds, pick).as_secs_f64() * 1e9)
    };
    row("CPU of an event with few schemas known, ns", nanoseconds(|t| t.0));
    row(&format!("CPU of an event with {IN_USE} known, ns"), nanoseconds(|t| t.1));
    Ok(())
}

/// Texts to make many schemas of.
fn texts(folder: Option<&Path>, corpus: &Corpus) -> anyhow::Result<Vec<String>> {
    let mut texts: Vec<String> = Vec::new();
    let mut left: Vec<_> = folder.map(Path::to_owned).into_iter().collect();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            for entry in std::fs::read_dir(path)? {
                left.push(entry?.path());
            }
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            texts.push(text);
        }
    }
    texts.sort();
    if texts.is_empty() {
        texts = corpus.texts.values().cloned().collect();
    }
    Ok(texts)
}

/// Writes a bundle of so many schemas under names of their own.
fn write(texts: &[String], count: usize, file: &Path) -> anyhow::Result<Vec<SchemaKey>> {
    let (mut keys, mut lines) = (Vec::new(), String::new());
    for (number, text) in texts.iter().cycle().take(count).enumerate() {
        let uri = format!("iglu:com.acme.crowd/s{number}/jsonschema/1-0-0");
        keys.push(SchemaKey::parse(&uri)?);
        let text = text.replace(['\n', '\r'], " ");
        lines.push_str(&format!("{{\"schema\":\"{uri}\",\"data\":{text}}}\n"));
    }
    std::fs::write(file, lines)?;
    Ok(keys)
}

fn times(
    runs: usize,
    mut run: impl FnMut() -> anyhow::Result<(Duration, Duration)>,
) -> anyhow::Result<Vec<(Duration, Duration)>> {
    (0..runs).map(|_| run()).collect()
}

fn median(times: &[(Duration, Duration)], pick: fn(&(Duration, Duration)) -> Duration) -> Duration {
    let mut times: Vec<Duration> = times.iter().map(pick).collect();
    times.sort();
    times[times.len() / 2]
}

fn milliseconds(
    times: &[(Duration, Duration)],
    pick: fn(&(Duration, Duration)) -> Duration,
) -> String {
    format!("{:.1}", median(times, pick).as_secs_f64() * 1e3)
}
