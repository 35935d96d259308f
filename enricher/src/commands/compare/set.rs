//! One of the two sets: lines of some files, a part of them at a time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use event::{Field, tsv};
use serde::Deserialize;

use crate::aws;
use crate::commands::enrich::input::places::{self, Place};
use crate::commands::enrich::input::unpacked::Unpacked;

/// Files of lines.
pub(super) struct Set {
    named: PathBuf,
    places: Vec<Place>,
}

/// A line of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// An enriched event, its id and its text.
    Event(String, String),
    /// A bad row, with the id of its event where it has one.
    Bad(Option<String>),
}

/// What is kept of a part.
pub(super) struct Part {
    /// By the ids of events: the first text of each; none of bad rows.
    pub(super) kept: HashMap<String, Option<String>>,
    /// How many lines were of events that the part had already.
    pub(super) again: u64,
}

/// As much of a bad row as is looked at.
#[derive(Deserialize)]
struct BadRow {
    data: Refused,
}

#[derive(Deserialize)]
struct Refused {
    payload: Option<serde_json::Value>,
}

impl Line {
    /// The id of its event, where it has one, and the text of an enriched one.
    pub(super) fn identified(self) -> Option<(String, Option<String>)> {
        match self {
            Line::Event(id, text) => Some((id, Some(text))),
            Line::Bad(id) => Some((id?, None)),
        }
    }
}

impl Set {
    /// Looks what there is.
    pub(super) fn open(named: &Path) -> anyhow::Result<Set> {
        let places = places::all(&[named.to_owned()], &aws::Settings::default())?;
        Ok(Set { named: named.to_owned(), places })
    }

    /// What it is called.
    pub(super) fn name(&self) -> std::path::Display<'_> {
        self.named.display()
    }

    /// The size of its files, as far as they tell.
    pub(super) fn bytes(&self) -> u64 {
        self.places.iter().filter_map(Place::bytes).sum()
    }

    /// Whether it can be read only once.
    pub(super) fn is_read_once(&self) -> bool {
        self.places.iter().any(|place| place.bytes().is_none())
    }

    /// Reads one of so many parts, and keeps it.
    pub(super) fn part(
        &self,
        part: u32,
        parts: u32,
        each: &mut dyn FnMut(&Line),
    ) -> anyhow::Result<Part> {
        let (mut kept, mut again) = (HashMap::new(), 0);
        self.each(part, parts, &mut |line| {
            each(&line);
            let Some((id, text)) = line.identified() else { return };
            match kept.entry(id) {
                Entry::Vacant(place) => drop(place.insert(text)),
                Entry::Occupied(_) => again += 1,
            }
        })?;
        Ok(Part { kept, again })
    }

    /// Reads one of so many parts.
    pub(super) fn each(
        &self,
        part: u32,
        parts: u32,
        each: &mut dyn FnMut(Line),
    ) -> anyhow::Result<()> {
        let of = |id: &str| {
            let mut hash = DefaultHasher::new();
            hash.write(id.as_bytes());
            (hash.finish() % u64::from(parts)) as u32
        };
        for place in &self.places {
            let read = Arc::<AtomicU64>::default();
            let mut file = Unpacked::open(place.clone(), &read, &Arc::<AtomicBool>::default())?;
            while let Some(line) = file.whole_line()? {
                let line = read_line(line).map_err(|what| file.broken_line(what))?;
                let id = match &line {
                    Line::Event(id, _) | Line::Bad(Some(id)) => id,
                    Line::Bad(None) => "",
                };
                if of(id) == part {
                    each(line);
                }
            }
        }
        Ok(())
    }
}

fn read_line(line: Vec<u8>) -> Result<Line, String> {
    const EXPECTED: &str = "expected an enriched event of 131 columns or a bad row, found";
    if line.first() == Some(&b'{') {
        let row: BadRow = serde_json::from_slice(&line)
            .map_err(|why| format!("{EXPECTED} JSON that is no bad row ({why})"))?;
        let payload = row.data.payload.unwrap_or_default();
        return Ok(Line::Bad(payload["enriched"]["event_id"].as_str().map(str::to_owned)));
    }
    let text = String::from_utf8(line).map_err(|_| format!("{EXPECTED} what is not UTF-8"))?;
    let columns = tsv::columns(&text)
        .ok_or_else(|| format!("{EXPECTED} {} columns", text.split('\t').count()))?;
    Ok(Line::Event(columns[Field::EventId as usize].to_owned(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_events_or_bad_rows() {
        let line = "\t".repeat(6) + "id" + &"\t".repeat(124);
        let read = |text: &str| read_line(text.as_bytes().to_vec());
        assert_eq!(read(&line), Ok(Line::Event("id".to_owned(), line.clone())));
        let bad =
            |payload: &str| format!(r#"{{"schema":"iglu:x","data":{{"payload":{payload}}}}}"#);
        let id = r#"{"enriched":{"event_id":"id"}}"#;
        assert_eq!(read(&bad(id)), Ok(Line::Bad(Some("id".to_owned()))));
        assert_eq!(read(&bad("\"AAAA\"")), Ok(Line::Bad(None)));
        for (text, found) in [
            ("a\tb", "found 2 columns"),
            (r#"{"app_id":"x"}"#, "found JSON that is no bad row"),
            ("{", "found JSON that is no bad row"),
        ] {
            let said = read(text).expect_err("it is neither");
            assert!(said.contains(found), "{said}");
        }
    }
}
