//! The lines that a run tells while it lasts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::source::local::Local;
use crate::terminal;

/// After so many lines they come less often: who watches longer than that looks elsewhere, too.
const OFTEN: u64 = 10;

/// How many seconds apart they are then.
const SELDOM: u64 = 10;

/// Prints a line a second while something happens, for ever: what came in this run, and what became
/// of it and of what earlier runs had left.
pub(super) async fn live(metrics: &[(String, Arc<Metrics>)], stream: &Local) -> anyhow::Result<()> {
    let (started, before_us) = (Instant::now(), stream.sum().await?);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let (mut before, mut told) = (0, (0, 0, 0));
    tick.tick().await;
    loop {
        tick.tick().await;
        let sent = stream.sum().await?;
        let sent = (sent.good + sent.bad + sent.unforetold)
            - (before_us.good + before_us.bad + before_us.unforetold);
        let counts: Vec<_> = metrics.iter().map(|(_, worker)| worker.counts()).collect();
        let mut now = Line { seconds: started.elapsed().as_secs(), sent, ..Line::default() };
        for counts in counts {
            now.enriched += counts.enriched;
            now.bad += counts.bad;
            now.files += counts.objects;
            now.held.push(counts.held);
        }
        now.speed = (now.enriched + now.bad).saturating_sub(before);
        before = now.enriched + now.bad;
        let news = (now.sent, before, now.files);
        if news != told && (now.seconds <= OFTEN || now.seconds.is_multiple_of(SELDOM)) {
            terminal::tell(&now.to_string());
            told = news;
        }
    }
}

/// A second of a run.
#[derive(Default)]
struct Line {
    seconds: u64,
    sent: u64,
    enriched: u64,
    bad: u64,
    speed: u64,
    files: u64,
    held: Vec<u64>,
}

/// What is left of 80 columns for the leases; workers that do not fit in are counted together.
const LEASES_WIDTH: usize = 9;

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { seconds, sent, enriched, bad, speed, files, held } = self;
        write!(
            f,
            "{seconds:>3}s sent {sent:>7} enriched {enriched:>7} bad {bad:>5} {speed:>6}/s "
        )?;
        write!(f, "files {files:>4} leases ")?;
        let each: Vec<String> = held.iter().map(ToString::to_string).collect();
        let each = each.join("+");
        match each.len() <= LEASES_WIDTH {
            true => f.write_str(&each),
            false => write!(f, "{}", held.iter().sum::<u64>()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_on_a_terminal() {
        for held in [vec![2, 2], vec![256; 4], vec![16; 64]] {
            let (sent, enriched, bad) = (9_999_999, 9_999_999, 99_999);
            let line =
                Line { seconds: 999, sent, enriched, bad, speed: 99_999, files: 9_999, held };
            assert!(line.to_string().len() <= 80, "{line}");
        }
    }
}
