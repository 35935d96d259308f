//! `snowmelt generate`: synthetic payloads to a file, to standard output, or into a stream.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;

use super::local::streaming::deliver;
use crate::aws::{self, Aws};
use crate::clock;
use crate::config;
use crate::exit::Usage;
use crate::signal::Stop;
use crate::terminal;
use traffic::{Generator, Payload};

/// The most records of one request; at a few kilobytes each they stay below its 5 MiB.
const REQUEST_RECORDS: usize = 500;

/// What `snowmelt generate` was asked for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many events to make; the last payload may add a few.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    events: u64,
    /// The same seed makes the same payloads (with --now, the same bytes).
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// The share of payloads that are bad, from 0 to 1.
    #[arg(long, default_value_t = 0.02, value_name = "SHARE")]
    bad: f64,
    /// The collector timestamp of the first payload: 2024-05-01T10:11:12.345Z, or milliseconds
    /// since 1970. The clock's if absent.
    #[arg(long, value_name = "TIME", value_parser = config::moment, allow_hyphen_values = true)]
    now: Option<i64>,
    /// Where to: `file` or `kinesis`.
    #[arg(long, value_enum, default_value_t = To::File)]
    to: To,
    /// The file to write, or - for lines of Base64 on standard output. The name chooses the form:
    /// .bin (length-prefixed), .bin.zst (the same, compressed), anything else lines of Base64.
    #[arg(long, default_value = "-", value_name = "FILE")]
    output: PathBuf,
    /// The stream to put payloads into.
    #[arg(long, required_if_eq("to", "kinesis"), value_name = "NAME")]
    stream: Option<String>,
    /// Events a second put into the stream; as many as it takes if absent.
    #[arg(long, value_name = "N")]
    rate: Option<u64>,
    /// Replaces the endpoint of Kinesis.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The region of the stream.
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// Lists the ids of the events that should be enriched, one a line.
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum To {
    File,
    Kinesis,
}

/// Runs `snowmelt generate`.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if !(0.0..=1.0).contains(&args.bad) {
        bail!(Usage("--bad is a share from 0 to 1".to_owned()));
    }
    let now_ms = args.now.unwrap_or_else(clock::now_ms);
    let mut made = Made {
        generator: Generator::new(args.seed, args.bad, now_ms),
        events: args.events,
        ids: args.ids.as_deref().map(create).transpose()?,
        good: 0,
        bad: 0,
        payloads: 0,
    };
    match args.to {
        To::File => {
            end_at_signals()?;
            write(&args.output, &mut made)?;
        }
        To::Kinesis => put(&args, &mut made)?,
    }
    if let Some(ids) = &mut made.ids {
        ids.flush().context("cannot write the list of ids")?;
    }
    terminal::tell(&format!(
        "{} payloads: {} events to be enriched, {} bad rows to be made",
        made.payloads, made.good, made.bad
    ));
    Ok(ExitCode::SUCCESS)
}

/// The payloads asked for, and what they add up to.
struct Made {
    generator: Generator,
    events: u64,
    ids: Option<BufWriter<File>>,
    good: u64,
    bad: u64,
    payloads: u64,
}

impl Made {
    fn next(&mut self) -> anyhow::Result<Option<Payload>> {
        if self.made() >= self.events {
            return Ok(None);
        }
        let payload = self.generator.payload();
        self.payloads += 1;
        self.good += payload.good.len() as u64;
        self.bad += payload.bad.len() as u64;
        if let Some(ids) = &mut self.ids {
            for id in &payload.good {
                writeln!(ids, "{id}").context("cannot write the list of ids")?;
            }
        }
        Ok(Some(payload))
    }
}

impl Made {
    /// How many events and bad rows there are to come of what was made.
    fn made(&self) -> u64 {
        self.good + self.bad
    }

    /// What one request takes, or what is missing to so many events.
    fn entries(&mut self, target: u64) -> anyhow::Result<Vec<PutRecordsRequestEntry>> {
        let mut entries = Vec::new();
        while entries.len() < REQUEST_RECORDS && self.made() < target {
            let Some(payload) = self.next()? else { break };
            let key = format!("{:x}", fastrand::u64(..));
            let entry = PutRecordsRequestEntry::builder().partition_key(key);
            entries.push(entry.data(Blob::new(payload.bytes)).build()?);
        }
        Ok(entries)
    }
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(BufWriter::new(file))
}

fn write(path: &Path, made: &mut Made) -> anyhow::Result<()> {
    let name = path.to_string_lossy();
    let failed = || format!("cannot write {name}");
    if name == "-" {
        let mut out = BufWriter::new(io::stdout().lock());
        let written = lines(made, &mut out, &failed);
        let written = written.and_then(|()| out.flush().with_context(failed));
        return written.map_err(terminal::unread);
    }
    let mut out = create(path)?;
    if name.ends_with(".bin") {
        prefixed(made, &mut out, &failed)?;
    } else if name.ends_with(".bin.zst") {
        let mut compressed = zstd::Encoder::new(&mut out, 3).with_context(failed)?;
        prefixed(made, &mut compressed, &failed)?;
        compressed.finish().with_context(failed)?;
    } else {
        lines(made, &mut out, &failed)?;
    }
    out.flush().with_context(failed)
}

fn prefixed(
    made: &mut Made,
    out: &mut impl Write,
    failed: &impl Fn() -> String,
) -> anyhow::Result<()> {
    while let Some(payload) = made.next()? {
        let length = u32::try_from(payload.bytes.len()).expect("a payload is some kilobytes");
        out.write_all(&length.to_be_bytes()).with_context(failed)?;
        out.write_all(&payload.bytes).with_context(failed)?;
    }
    Ok(())
}

fn lines(
    made: &mut Made,
    out: &mut impl Write,
    failed: &impl Fn() -> String,
) -> anyhow::Result<()> {
    while let Some(payload) = made.next()? {
        let line = base64_simd::STANDARD.encode_to_string(&payload.bytes);
        writeln!(out, "{line}").with_context(failed)?;
    }
    Ok(())
}

/// Ends the process when it is asked to. Left to the default that would not happen where it is the
/// first process of a container.
fn end_at_signals() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let waiting = move || {
        let stop = Stop::default();
        runtime.block_on(async {
            tokio::select! {
                () = stop.drain.cancelled() => {}
                _ = stop.on_signals() => {}
            }
        });
        // What was written so far is whole lines or payloads up to a buffer's end.
        std::process::exit(i32::from(crate::exit::EXIT_GRACE));
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(waiting)?;
    Ok(())
}

fn put(args: &Args, made: &mut Made) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = Stop::default();
        tokio::select! {
            biased;
            () = stop.drain.cancelled() => Ok(()),
            signals = stop.on_signals() => Ok(signals.context("cannot listen to signals")?),
            put = put_all(args, made) => put,
        }
    })
}

async fn put_all(args: &Args, made: &mut Made) -> anyhow::Result<()> {
    let settings = aws::Settings {
        region: args.region.clone(),
        kinesis_endpoint: args.endpoint_url.clone(),
        ..aws::Settings::default()
    };
    let client = Aws::load(settings).await.check().await?.kinesis();
    let stream = args.stream.as_deref().expect("required with --to kinesis");
    // A tenth of a second's worth at a time, so that the rate is even.
    let share = args.rate.map_or(u64::MAX, |rate| rate.div_ceil(10)).max(1);
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        if args.rate.is_some() {
            tick.tick().await;
            made.generator.advance_to(clock::now_ms());
        }
        let target = made.made().saturating_add(share);
        while made.made() < target {
            let entries = made.entries(target)?;
            if entries.is_empty() {
                return Ok(());
            }
            deliver(&client, stream, entries).await?;
        }
    }
}
