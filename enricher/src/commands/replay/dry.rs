//! A replay that writes nothing: what would change, by counts and by some examples.

use std::collections::HashMap;

use event::fields::FIELDS;
use event::{Field, tsv};
use pipeline::{Output, Verdict};
use serde_json::Value;

use super::counts::{Counts, label_of, labels};
use super::reading::Piece;
use crate::commands::enrich::Transform;
use crate::terminal;

/// What would change.
pub(super) struct Dry {
    /// What events became by another configuration.
    against: Option<Transform>,
    /// Events that become something else.
    changed: u64,
    examples: Vec<String>,
    most: usize,
}

/// An event as far as two of it can be compared.
struct One<'o> {
    label: String,
    /// Its line, if it is enriched.
    line: Option<&'o str>,
}

/// Columns that tell of the processing.
const OF_PROCESSING: [Field; 3] = [Field::EtlTstamp, Field::EtlTags, Field::VEtl];

/// So much of a value is shown.
const SHOWN: usize = 80;

impl Dry {
    /// Shows so many examples at most.
    pub(super) fn new(against: Option<Transform>, most: usize) -> Dry {
        Dry { against, changed: 0, examples: Vec::new(), most }
    }

    /// Looks at what a piece would become.
    pub(super) fn take(&mut self, piece: &Piece, output: &Output, counts: &mut Counts) {
        let Some(against) = &self.against else {
            counts.add(piece, output, None);
            if let Some((reasons, _)) = &piece.before {
                let before = label_of(reasons);
                for (id, one) in events(output).into_iter().filter(|(_, one)| one.label != before) {
                    self.differs(|| format!("event {id}\n  {before}\n  → {}", one.label));
                }
            }
            return;
        };
        let before = match &piece.line {
            Some(line) => against.rewrite(line, piece.about()),
            None => against.chunk(piece.as_ref()),
        };
        counts.add(piece, output, Some(&before));
        let known: HashMap<String, One<'_>> = events(&before).into_iter().collect();
        for (id, one) in events(output) {
            let Some(was) = known.get(&id) else {
                self.differs(|| format!("event {id}\n  (not there)\n  → {}", one.label));
                continue;
            };
            if was.label != one.label {
                self.differs(|| format!("event {id}\n  {}\n  → {}", was.label, one.label));
            } else if let Some(columns) = differences(was.line, one.line) {
                self.differs(|| format!("event {id}{columns}"));
            }
        }
    }

    fn differs(&mut self, example: impl FnOnce() -> String) {
        self.changed += 1;
        if self.examples.len() < self.most {
            self.examples.push(example());
        }
    }

    /// Says what would change.
    pub(super) fn finish(self, counts: &Counts) {
        terminal::line(&counts.table());
        terminal::line(&format!("events that become something else: {}", self.changed));
        self.examples.iter().for_each(|example| terminal::line(example));
    }
}

/// Events by their ids; what has none by its place.
fn events(output: &Output) -> Vec<(String, One<'_>)> {
    let (mut enriched, mut bad) = (output.enriched.iter(), output.bad.iter());
    let labels = labels(output).into_iter().zip(&output.verdicts);
    let one = |(label, (record, verdict)): (String, &(u32, Verdict))| {
        let nameless = format!("(without an id, in record {record} of its piece)");
        match verdict {
            Verdict::Enriched => {
                let line = std::str::from_utf8(enriched.next()?).ok()?;
                let id = tsv::columns(line)?[Field::EventId as usize].to_owned();
                Some((id, One { label, line: Some(line) }))
            }
            Verdict::Bad(_) => {
                let row: Value = serde_json::from_slice(bad.next()?).ok()?;
                let id = row["data"]["payload"]["enriched"]["event_id"].as_str();
                Some((id.map_or(nameless, str::to_owned), One { label, line: None }))
            }
            Verdict::Parked | Verdict::Dropped => Some((nameless, One { label, line: None })),
        }
    };
    labels.filter_map(one).collect()
}

/// The columns in which two lines differ, a line for each; `None` if there are none.
fn differences(before: Option<&str>, after: Option<&str>) -> Option<String> {
    let (before, after) = (tsv::columns(before?)?, tsv::columns(after?)?);
    let differ = FIELDS.into_iter().filter(|field| {
        before[*field as usize] != after[*field as usize] && !OF_PROCESSING.contains(field)
    });
    let shown = |text: &str| match text.char_indices().nth(SHOWN) {
        _ if text.is_empty() => "(nothing)".to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    let lines = differ.map(|field| {
        let [before, after] = [before, after].map(|columns| shown(columns[field as usize]));
        format!("\n  {}: {before} → {after}", field.name())
    });
    Some(lines.collect::<String>()).filter(|lines| !lines.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_differ_are_named_but_for_those_of_the_processing() {
        let line = |app: &str, country: &str, tag: &str| {
            let mut columns = [""; 131];
            columns[Field::AppId as usize] = app;
            columns[Field::GeoCountry as usize] = country;
            columns[Field::EtlTags as usize] = tag;
            columns.join("\t")
        };
        let found = |a: &str, b: &str| differences(Some(a), Some(b));
        assert_eq!(found(&line("a", "", ""), &line("a", "", "replay")), None);
        let country = "\n  geo_country: (nothing) → DE".to_owned();
        assert_eq!(found(&line("a", "", ""), &line("a", "DE", "x")), Some(country));
        let long = "é".repeat(SHOWN + 1);
        let cut = format!("\n  app_id: a → {}…", "é".repeat(SHOWN));
        assert_eq!(found(&line("a", "", ""), &line(&long, "", "")), Some(cut));
        assert_eq!(differences(None, Some(&line("a", "", ""))), None);
    }
}
