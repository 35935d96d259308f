//! The lines of an object: parked records, bad rows, or texts that were too large, told apart one
//! by one.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use event::{Bump, thrift};
use lease::SequenceNumber;
use pipeline::Route;
use pipeline::original::{self, Failed, Lost, Original};
use pipeline::parked::{Parked, Reason, Waiting};
use pipeline::replay::{About, Replay};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::entry::{Entry, Met, Origin, What};
use crate::config;

/// What is read in lines.
pub(super) struct Lines {
    about: Arc<About>,
    arena: Bump,
    /// Records that are no payloads, by what is in their rows: there is a row for each reason.
    seen: HashSet<u128>,
}

/// More of them are not told apart: they take 16 MiB, and are more than an object has lines.
const SEEN: usize = 1 << 20;

/// The members that tell what a line is.
#[derive(Deserialize)]
struct Members<'l> {
    schema: Option<IgnoredAny>,
    record: Option<IgnoredAny>,
    route: Option<Cow<'l, str>>,
    line: Option<String>,
}

impl Lines {
    /// Of lines, events about something are wanted.
    pub(super) fn new(about: Arc<About>) -> Lines {
        Lines { about, arena: Bump::new(), seen: HashSet::new() }
    }

    /// What a line is. The error says why it is nothing that can be replayed.
    pub(super) fn read(&mut self, line: &[u8]) -> Result<Met, String> {
        let members: Members<'_> =
            serde_json::from_slice(line).map_err(|error| error.to_string())?;
        match members {
            Members { schema: Some(_), .. } => self.bad(line),
            Members { record: Some(_), .. } => self.parked(line).map(Met::Entry),
            Members { route: Some(route), line: Some(line), .. } => self.oversized(&route, line),
            _ => Err("it has neither a schema, nor a record, nor a route and a line".to_owned()),
        }
    }

    fn parked(&mut self, line: &[u8]) -> Result<Entry, String> {
        let parked = Parked::parse(line).map_err(|why| why.to_string())?;
        let data = base64_simd::forgiving_decode_to_vec(parked.record.as_bytes());
        let data = data.map_err(|_| "its record is not in Base64")?;
        let sequence =
            SequenceNumber::parse(&parked.sequence).ok_or("its sequence is no number")?;
        let came_ms = self.collected_ms(&data).or_else(|| config::instant(&parked.parked_at));
        let replay = Replay { about: Arc::clone(&self.about), ..Replay::from(&parked) };
        let events = parked.events.as_ref().map_or(1, Vec::len) as u64;
        let reasons = waits(parked.reason);
        let origin = Origin {
            stream: parked.stream.into(),
            shard: parked.shard.into(),
            sequence,
            sub_sequence: parked.sub_sequence,
        };
        let what = What::Alone { data: data.into(), replay, only_of_one: false };
        Ok(Entry { origin, came_ms, what, reasons, events })
    }

    fn bad(&mut self, line: &[u8]) -> Result<Met, String> {
        let Original { kind, reasons, came_ms, request } = original::read(line)?;
        let request = match request {
            Ok(request) => request,
            Err(lost) => return Ok(Met::Left(format!("{kind}: {lost}"))),
        };
        if kind == "collector_payload_format_violation" {
            if self.seen.len() == SEEN {
                self.seen.clear();
            }
            if !self.seen.insert(request.number) {
                let why = "another row of a record that is replayed already";
                return Ok(Met::Left(format!("{kind}: {why}")));
            }
        }
        let id = |event_id| vec![Waiting { index: 0, event_id }];
        let (events, only_of_one) = match request.failed {
            Failed::Whole => (None, false),
            Failed::Event(event_id) => (event_id.map(id), false),
            Failed::OneOfSome => (None, true),
        };
        let replay = Replay { stream: ROWS.to_owned(), events, about: Arc::clone(&self.about) };
        let sequence = SequenceNumber::parse(&request.number.to_string());
        let origin = Origin {
            stream: ROWS.into(),
            shard: kind.into(),
            sequence: sequence.expect("it is a number"),
            sub_sequence: 0,
        };
        let what = What::Alone { data: request.record.into(), replay, only_of_one };
        Ok(Met::Entry(Entry { origin, came_ms, what, reasons, events: 1 }))
    }

    fn oversized(&mut self, route: &str, line: String) -> Result<Met, String> {
        let known = Route::ALL.into_iter().find(|known| known.name() == route);
        let route = match known {
            Some(Route::Bad) => return self.bad(line.as_bytes()),
            Some(route) if route.is_of_events() => route,
            _ => return Err(format!("nothing of the route {route:?} can be too large")),
        };
        let Some(columns) = event::tsv::columns(&line) else {
            return Ok(Met::Left(format!("oversized: {}", Lost::Malformed)));
        };
        let came_ms = event::time::parse_ms(columns[event::Field::CollectorTstamp as usize]);
        let reasons = vec!["size_violation".to_owned()];
        let origin = Origin::nowhere();
        Ok(Met::Entry(Entry {
            origin,
            came_ms,
            what: What::Line { route, line },
            reasons,
            events: 1,
        }))
    }

    /// When the collector took a record, if it is one.
    fn collected_ms(&mut self, record: &[u8]) -> Option<i64> {
        self.arena.reset();
        thrift::read(record, &self.arena).ok().map(|wire| wire.timestamp)
    }
}

/// Where records of bad rows are from, as far as ids are concerned.
const ROWS: &str = "bad rows";

/// Why a record was parked, in words that can be counted.
pub(in crate::commands::replay) fn waits(reason: Reason) -> Vec<String> {
    let (words, told) = match reason {
        Reason::SchemasUnavailable(schemas) => (vec!["schemas_unavailable"], schemas),
        Reason::LookupsUnavailable(lookups) => (vec!["lookups_unavailable"], lookups),
        Reason::Unavailable { schemas, lookups } => {
            (vec!["schemas_unavailable", "lookups_unavailable"], [schemas, lookups].concat())
        }
        Reason::KilledWorkers(_) => (vec!["killed_workers"], Vec::new()),
        Reason::Compressed(how) => (vec!["compressed"], vec![how]),
    };
    words.into_iter().map(str::to_owned).chain(told).collect()
}
