//! What was, and what became of it: events by verdict and reason, before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use pipeline::parked::Parked;
use pipeline::{Output, Verdict, original};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::reading::{Piece, waits};

/// Events by what they were and by what they have become.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Before.
    pub(super) before: BTreeMap<String, u64>,
    /// After.
    pub(super) after: BTreeMap<String, u64>,
    /// What was processed and is in no result, by why.
    pub(super) left: BTreeMap<String, u64>,
}

/// So many reasons are told apart; senders of events could make any number of them.
const REASONS: usize = 100;

/// What further reasons are counted as.
const OTHER: &str = "other reasons";

/// What events of an archive were: nobody wrote that down.
pub(super) const ARCHIVED: &str = "archived";

impl Counts {
    /// Counts what a piece has become, and what that was before, of which `before` may know more.
    pub(super) fn add(&mut self, piece: &Piece, after: &Output, before: Option<&Output>) {
        let verdicts = after.verdicts.len() as u64;
        for label in labels(after) {
            count(&mut self.after, &label, 1);
        }
        match (before, &piece.before) {
            (Some(output), _) => {
                labels(output).iter().for_each(|label| count(&mut self.before, label, 1));
            }
            (None, Some((reasons, events))) => {
                // Of those that are not about what was asked for nothing is known.
                let known = verdicts.min(*events);
                if known > 0 {
                    count(&mut self.before, &label_of(reasons), known);
                }
            }
            (None, None) if verdicts > 0 => count(&mut self.before, ARCHIVED, verdicts),
            (None, None) => {}
        }
    }

    /// Both, side by side.
    pub(super) fn table(&self) -> String {
        let labels: BTreeSet<&String> = self.before.keys().chain(self.after.keys()).collect();
        let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
        let mut table = format!("{:<width$} {:>12} {:>12}", "events", "before", "after");
        for label in labels {
            let [before, after] = [&self.before, &self.after]
                .map(|counts| counts.get(label).copied().unwrap_or_default());
            write!(table, "\n{label:<width$} {before:>12} {after:>12}").expect("a string");
        }
        table
    }
}

/// Counts under a label, or among the others.
pub(super) fn count(counts: &mut BTreeMap<String, u64>, label: &str, more: u64) {
    let room = counts.len() < REASONS;
    match counts.get_mut(label) {
        Some(count) => *count += more,
        None if room => drop(counts.insert(label.to_owned(), more)),
        None => *counts.entry(OTHER.to_owned()).or_default() += more,
    }
}

/// What the events of an output have become, in its order.
pub(super) fn labels(output: &Output) -> Vec<String> {
    let (mut bad, mut parked) = (output.bad.iter(), output.parked.iter());
    let mut last = None;
    let mut waiting = String::new();
    let labels = output.verdicts.iter().map(|(record, verdict)| match verdict {
        Verdict::Enriched => "enriched".to_owned(),
        Verdict::Dropped => "dropped by a script".to_owned(),
        Verdict::Bad(_) => bad_label(bad.next().expect("every bad row has its line")),
        Verdict::Parked => {
            // One line stands for all events of a record that wait.
            if last.replace(*record) != Some(*record) {
                let line = parked.next().expect("every parked record has its line");
                let parked = Parked::parse(line).expect("it was just written");
                waiting = label_of(&waits(parked.reason));
            }
            waiting.clone()
        }
    });
    labels.collect()
}

/// What a bad row is counted as.
fn bad_label(line: &[u8]) -> String {
    let row: Value = serde_json::from_slice(line).expect("bad rows are JSON");
    let kind = row["schema"].as_str().and_then(|uri| uri.split('/').nth(1)).unwrap_or_default();
    label_of(&original::reasons(kind, &row["data"]["failure"]))
}

/// What events with these reasons are counted as.
pub(super) fn label_of(reasons: &[String]) -> String {
    let parked = ["schemas_unavailable", "lookups_unavailable", "killed_workers", "compressed"];
    let waits = reasons.first().is_some_and(|first| parked.contains(&first.as_str()));
    let what = if waits { "parked" } else { "bad" };
    format!("{what}: {}", reasons.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_without_end_are_counted_together() {
        let mut counts = BTreeMap::new();
        for n in 0..150 {
            count(&mut counts, &format!("{n:03}"), 2);
        }
        count(&mut counts, "000", 1);
        assert_eq!(counts.len(), REASONS + 1);
        assert_eq!((counts["000"], counts[OTHER]), (3, 100));
        assert_eq!(counts.values().sum::<u64>(), 301);
    }

    #[test]
    fn both_sides_stand_in_one_table() {
        let mut counts = Counts::default();
        count(&mut counts.before, "bad: schema_violations", 3);
        count(&mut counts.after, "enriched", 2);
        count(&mut counts.after, "bad: schema_violations", 1);
        let table = "events                       before        after\n\
                     bad: schema_violations            3            1\n\
                     enriched                          0            2";
        assert_eq!(counts.table(), table);
    }
}
