//! `snowmelt bench transform --each`: what each configured enrichment adds to an event.
//!
//! The transform runs with none of them and with each of them alone, in turn, because the machine
//! is not the same from minute to minute. Each turn begins with a pass that is not counted: what a
//! thread keeps between events is forgotten whenever the enrichments change.

use std::time::Duration;

use anyhow::Context;

use super::{Measured, TransformBench, measure, median, passes};
use crate::batch::Batch;
use crate::commands::enrich::Transform;
use crate::rules::Rules;
use crate::terminal;

/// The transform with one enrichment, or none, and what its turns took.
struct Contender {
    name: &'static str,
    transform: Transform,
    /// The first pass of all, with everything to be found out.
    first: Option<Measured>,
    warm: Vec<Measured>,
}

/// Measures and prints the table.
pub(super) fn run(args: &TransformBench, batches: &[Batch]) -> anyhow::Result<()> {
    let configuration = args.transform.rules.configuration()?;
    let configuration = configuration.context("--each needs --enrichments")?;
    let steps = configuration.steps();
    let contender = |step: Option<&'static str>| -> anyhow::Result<Contender> {
        let open = |rules: &Rules| rules.open(configuration.alone(step));
        let transform = Transform::with(args.transform.setup(args.settings()?), open)?;
        Ok(Contender { name: step.unwrap_or("none"), transform, first: None, warm: Vec::new() })
    };
    let all = std::iter::once(None).chain(steps.into_iter().map(Some));
    let mut contenders = all.map(contender).collect::<anyhow::Result<Vec<_>>>()?;
    let events = passes(&contenders[0].transform, batches, 1, 1).events;
    for _ in 0..args.runs {
        for contender in &mut contenders {
            let pass = measure(|| passes(&contender.transform, batches, 1, 1));
            contender.first.get_or_insert(pass);
            let run = measure(|| passes(&contender.transform, batches, args.passes, 1));
            contender.warm.push(run);
        }
    }
    report(&contenders, events, events * args.passes);
    Ok(())
}

fn report(contenders: &[Contender], events_of_first: usize, events_of_run: usize) {
    let ns = |cpu: Duration, events: usize| cpu.as_secs_f64() * 1e9 / events as f64;
    let times = contenders.iter().map(|contender| {
        let first = contender.first.as_ref().map_or(Duration::ZERO, |pass| pass.cpu);
        let warm = median(&contender.warm, |run| run.cpu);
        (contender.name, ns(first, events_of_first), ns(warm, events_of_run))
    });
    let times: Vec<_> = times.collect();
    let Some(&(_, first_of_none, warm_of_none)) = times.first() else { return };
    let row = |name: &str, columns: [String; 3]| {
        let [warm, more, first] = columns;
        terminal::line(&format!("{name:<36} {warm:>14} {more:>14} {first:>14}"));
    };
    terminal::line("");
    row("enrichment alone, ns per event", ["warm", "more", "more, first"].map(str::to_owned));
    for (name, first, warm) in times {
        let more = [warm - warm_of_none, first - first_of_none].map(|more| format!("{more:+.0}"));
        let [more, more_first] = more;
        row(name, [format!("{warm:.0}"), more, more_first]);
    }
}
