//! Parked records: the originals of events whose verdict waits, with all that a replay needs.
//!
//! An event is parked when the schema of something in it could not be had, neither a copy nor the
//! word that it does not exist: calling it bad would be a guess. Its siblings in the same record
//! go their ways at once, so a parked line names the events it stands for, and a replay processes
//! those alone. Their ids are pinned: a replay gives an event the id it would have had. A record is
//! parked whole when it is compressed, or when workers died on it.

use event::{base64, time};
use serde::{Deserialize, Serialize};

use crate::batch::Origin;

/// One line of the route `parked`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parked {
    /// Why it waits.
    pub reason: Reason,
    /// The events that wait, in order. Absent when no verdict of the record is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub events: Option<Vec<Waiting>>,
    /// Name of the stream that the record was read from.
    pub stream: String,
    /// The record's shard.
    pub shard: String,
    /// Its sequence number.
    pub sequence: String,
    /// Its index inside an aggregated record; 0 for any other.
    pub sub_sequence: u64,
    /// When it was parked, as in `2026-01-31T12:00:00.000Z`.
    pub parked_at: String,
    /// The record itself, in Base64.
    pub record: String,
}

/// Why a record waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The registries that may have these schemas could not be asked. Iglu URIs.
    SchemasUnavailable(Vec<String>),
    /// These look-ups could not be asked. Their names, each with why.
    LookupsUnavailable(Vec<String>),
    /// Both: of some events a schema could not be had, of others a look-up could not be asked.
    Unavailable {
        /// Iglu URIs.
        schemas: Vec<String>,
        /// Names, each with why.
        lookups: Vec<String>,
    },
    /// Workers died on the record, so many in a row.
    KilledWorkers(u32),
    /// The record is compressed, by its first bytes in this format, and cannot be read.
    Compressed(String),
}

/// An event that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// Its index in the record.
    pub index: u32,
    /// Its `event_id`.
    pub event_id: String,
}

/// Events of one record that are to be parked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parking(Vec<(Waiting, Missing)>);

/// What is missing of an event.
#[derive(Clone, Debug)]
pub(crate) enum Missing {
    /// Schemas that cannot be had, by their Iglu URIs.
    Schemas(Vec<String>),
    /// Look-ups that cannot be asked, each with why.
    Lookups(Vec<String>),
}

impl Parking {
    /// One more event.
    pub(crate) fn add(&mut self, event: Waiting, missing: Missing) {
        self.0.push((event, missing));
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes back all but the first so many.
    pub(crate) fn truncate(&mut self, events: usize) {
        self.0.truncate(events);
    }

    /// The same with those of another.
    pub(crate) fn with(mut self, other: Parking) -> Parking {
        self.0.extend(other.0);
        self
    }

    /// The events in order, and why they wait; none if there are none.
    pub(crate) fn line(mut self) -> Option<(Reason, Vec<Waiting>)> {
        self.0.sort_by_key(|(event, _)| event.index);
        let (mut events, mut schemas, mut lookups) = (Vec::new(), Vec::new(), Vec::new());
        for (event, missing) in self.0 {
            events.push(event);
            let (all, more) = match missing {
                Missing::Schemas(more) => (&mut schemas, more),
                Missing::Lookups(more) => (&mut lookups, more),
            };
            for one in more {
                if !all.contains(&one) {
                    all.push(one);
                }
            }
        }
        let reason = match (schemas.is_empty(), lookups.is_empty()) {
            (_, true) => Reason::SchemasUnavailable(schemas),
            (true, false) => Reason::LookupsUnavailable(lookups),
            (false, false) => Reason::Unavailable { schemas, lookups },
        };
        (!events.is_empty()).then_some((reason, events))
    }
}

impl Parked {
    /// A record that is parked now. `events` is `None` for all of it.
    pub fn new(
        reason: Reason,
        events: Option<Vec<Waiting>>,
        origin: Origin<'_>,
        record: &[u8],
        now_ms: i64,
    ) -> Parked {
        Parked {
            reason,
            events,
            stream: origin.stream.to_owned(),
            shard: origin.shard.to_owned(),
            sequence: origin.sequence.to_owned(),
            sub_sequence: origin.sub_sequence,
            parked_at: instant(now_ms),
            record: base64::encode(record),
        }
    }

    /// Reads a line. The error says what is wrong and at which column.
    pub fn parse(line: &[u8]) -> Result<Parked, serde_json::Error> {
        serde_json::from_slice(line)
    }

    /// Writes the line, without a newline.
    pub fn write(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(out, self).expect("text, numbers and lists are always JSON");
    }
}

fn instant(ms: i64) -> String {
    let mut text = Vec::new();
    time::write_instant_millis(ms, &mut text);
    String::from_utf8(text).expect("digits and punctuation")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let origin = Origin { stream: "raw", shard: "shard-1", sequence: "42", sub_sequence: 7 };
        let event = Waiting { index: 3, event_id: "5a2f…".to_owned() };
        let reason = Reason::SchemasUnavailable(vec!["iglu:a/b/jsonschema/1-0-0".to_owned()]);
        for events in [None, Some(vec![event])] {
            let parked =
                Parked::new(reason.clone(), events, origin, b"\x0b\xff", 1_714_558_272_345);
            let mut line = Vec::new();
            parked.write(&mut line);
            assert_eq!(Parked::parse(&line).expect("its own line"), parked);
        }
        assert!(Parked::parse(b"{\"reason\":{\"killed_workers\":2}}").is_err());
    }
}
