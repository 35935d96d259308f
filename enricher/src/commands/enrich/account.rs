//! What a run came to: the progress while it lasts and the table at its end.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::chunk::Chunk;
use super::input::Progress;
use crate::process;
use crate::terminal::{self, Loudness};
use pipeline::{Output, Verdict};

/// Counts of a run.
pub(in crate::commands) struct Account {
    started: Instant,
    payloads: u64,
    bytes: u64,
    verdicts: BTreeMap<Verdict, u64>,
    misfits: u64,
    bar: ProgressBar,
    progress: Option<Progress>,
}

impl Account {
    /// Starts counting.
    pub(in crate::commands) fn start() -> Account {
        // Draws on standard error, and only where that is a terminal.
        let draws = match terminal::loudness() {
            Loudness::Quiet => ProgressDrawTarget::hidden(),
            _ => ProgressDrawTarget::stderr_with_hz(8),
        };
        let bar = ProgressBar::with_draw_target(None, draws);
        Account {
            started: Instant::now(),
            payloads: 0,
            bytes: 0,
            verdicts: BTreeMap::new(),
            misfits: 0,
            bar,
            progress: None,
        }
    }

    /// Shows how far the input has been read.
    pub(in crate::commands) fn follow(&mut self, progress: Progress) {
        if let Some(total) = progress.total {
            self.bar.set_length(total);
            let style = ProgressStyle::with_template(
                "{bar:30} {percent}% {bytes}/{total_bytes} {bytes_per_sec} {msg}",
            );
            self.bar.set_style(style.expect("the template is a valid one"));
        }
        self.progress = Some(progress);
    }

    /// Counts a chunk.
    pub(in crate::commands) fn add(&mut self, chunk: &Chunk, output: &Output) {
        self.payloads += chunk.batch.records.len() as u64;
        self.bytes += chunk.bytes as u64;
        for (_, verdict) in &output.verdicts {
            *self.verdicts.entry(*verdict).or_default() += 1;
        }
        if let Some(progress) = &self.progress {
            self.bar.set_position(progress.read.load(Ordering::Relaxed));
        }
    }

    /// How many events wait for their schemas.
    pub(in crate::commands) fn waiting(&self) -> u64 {
        self.verdicts.get(&Verdict::Parked).copied().unwrap_or_default()
    }

    /// Counts values that fit no column of a table.
    pub(in crate::commands) fn misfits(&mut self, count: u64) {
        self.misfits = count;
    }

    /// How many payloads were counted.
    pub(in crate::commands) fn payloads(&self) -> u64 {
        self.payloads
    }

    /// The closing table.
    pub(in crate::commands) fn finish(self) -> String {
        self.bar.finish_and_clear();
        let elapsed = self.started.elapsed();
        let events: u64 = self.verdicts.values().sum();
        let mut table = String::new();
        let mut row = |name: &str, value: String| {
            writeln!(table, "{name:<36} {value:>14}").expect("a string takes any text");
        };
        row("payloads", self.payloads.to_string());
        row("events", events.to_string());
        for (verdict, count) in &self.verdicts {
            let name = match verdict {
                Verdict::Enriched => "  enriched".to_owned(),
                Verdict::Bad(kind) => format!("  bad: {}", kind.name()),
                Verdict::Parked => "  parked".to_owned(),
                Verdict::Dropped => "  dropped by a script".to_owned(),
            };
            row(&name, count.to_string());
        }
        if self.misfits > 0 {
            row("values in no column", self.misfits.to_string());
        }
        row("seconds", format!("{:.3}", elapsed.as_secs_f64()));
        row("events/s", format!("{:.0}", rate(events, elapsed)));
        row("MB/s read", format!("{:.1}", rate(self.bytes, elapsed) / 1e6));
        let cpu = process::cpu_time();
        row("CPU seconds", format!("{:.3}", cpu.as_secs_f64()));
        row("events per CPU second", format!("{:.0}", rate(events, cpu)));
        if let Some(bytes) = process::peak_memory() {
            row("peak memory, MB", format!("{:.1}", bytes as f64 / 1e6));
        }
        table.truncate(table.trim_end().len());
        table
    }
}

fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(1e-9)
}
