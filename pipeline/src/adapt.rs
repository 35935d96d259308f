//! A collector payload becomes raw events: the endpoint's vendor and version choose the adapter.
//!
//! An adapter yields every event of its payload or, when any part of the payload is wrong, none:
//! then all its reasons make one bad row.

mod iglu;
mod payload_data;
mod redirect;
mod tracker;

use std::collections::HashMap;

use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use event::bad_row::BadKind;
use event::raw_event::Parameter;
use event::reason::Reason;
use event::{Bump, CollectorPayload};

use super::schema_check::{SchemaCheck, Stop};

/// The parameters of each event of a payload.
pub type Events<'a> = BumpVec<'a, &'a [Parameter<'a>]>;

/// Runs the payload's adapter.
pub fn events<'a>(
    payload: &CollectorPayload<'a>,
    check: &mut SchemaCheck<'_>,
    arena: &'a Bump,
) -> Result<Events<'a>, Stop> {
    match (payload.vendor, payload.version) {
        ("com.snowplowanalytics.snowplow", "tp1") => tracker::tp1(payload, arena),
        ("com.snowplowanalytics.snowplow", "tp2") => tracker::tp2(payload, check, arena),
        ("r", "tp2") => redirect::events(payload, arena),
        ("com.snowplowanalytics.iglu", "v1") => iglu::events(payload, arena),
        (vendor, version) => {
            let value = format!("{vendor}/{version}");
            let expectation = "vendor/version combination is not supported";
            Err(Reason::input("vendor/version", Some(&value), expectation).into())
        }
    }
}

/// The kind of bad row that a payload's refusal becomes.
pub fn refusal_kind(payload: &CollectorPayload<'_>) -> BadKind {
    match (payload.vendor, payload.version) {
        ("com.snowplowanalytics.snowplow" | "r", "tp2") => BadKind::TrackerProtocolViolations,
        _ => BadKind::AdapterFailures,
    }
}

fn one<'a>(parameters: &'a [Parameter<'a>], arena: &'a Bump) -> Events<'a> {
    BumpVec::from_iter_in([parameters], arena)
}

/// The query string as a map: of duplicates the last value, in the place of the first.
fn map<'a>(pairs: &'a [Parameter<'a>], arena: &'a Bump) -> &'a [Parameter<'a>] {
    overlay(&[], pairs, arena)
}

/// `base` with each of `over` set in it, in place or at the end.
fn overlay<'a>(
    base: &[Parameter<'a>],
    over: &[Parameter<'a>],
    arena: &'a Bump,
) -> &'a [Parameter<'a>] {
    /// Up to here a search of the list is cheaper than a map; beyond, it would be quadratic.
    const SEARCHED: usize = 64;
    let mut merged = BumpVec::with_capacity_in(base.len() + over.len(), arena);
    merged.extend_from_slice(base);
    if base.len() + over.len() <= SEARCHED {
        for &(name, value) in over {
            match merged.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = value,
                None => merged.push((name, value)),
            }
        }
        return merged.into_bump_slice();
    }
    let mut places: HashMap<&str, u32> = HashMap::with_capacity(merged.len() + over.len());
    places.extend(merged.iter().enumerate().map(|(place, (name, _))| (*name, place as u32)));
    for &(name, value) in over {
        match places.get(name) {
            Some(&place) => merged[place as usize].1 = value,
            None => {
                places.insert(name, merged.len() as u32);
                merged.push((name, value));
            }
        }
    }
    merged.into_bump_slice()
}

/// The parameters in the order in which a peer's map yields them: up to four as they came, more by
/// their names' hashes, five bits at a time from the lowest. It shows where an adapter makes a text
/// of all parameters.
fn in_map_order<'a>(parameters: &[Parameter<'a>]) -> Vec<Parameter<'a>> {
    const INSERTION_ORDER: usize = 4;
    let mut ordered = parameters.to_vec();
    if ordered.len() > INSERTION_ORDER {
        ordered.sort_by_cached_key(|(name, _)| {
            let hash = map_hash(name);
            [0, 5, 10, 15, 20, 25, 30].map(|level| hash >> level & 31)
        });
    }
    ordered
}

/// A text's hash on the JVM, improved as Scala's immutable maps do.
fn map_hash(text: &str) -> u32 {
    let hash = text
        .encode_utf16()
        .fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
    let hash = hash.wrapping_add(!(hash << 9));
    let hash = hash ^ hash >> 14;
    let hash = hash.wrapping_add(hash << 4);
    hash ^ hash >> 10
}

/// The parameter of that name, with or without a value.
fn find<'a>(parameters: &[Parameter<'a>], name: &str) -> Option<Option<&'a str>> {
    parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// The parameter `ue_pr` for self-describing data.
fn unstruct<'a>(uri: &str, data: &str, arena: &'a Bump) -> &'a str {
    let mut out = BumpString::with_capacity_in(uri.len() + data.len() + 160, arena);
    event::entity::open_envelope(event::entity::UNSTRUCT_EVENT_URI, &mut out);
    event::Entity::new(uri, data).write(&mut out);
    out.push('}');
    out.into_bump_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_parameters_come_in_the_order_of_their_hashes() {
        let names = |parameters: &[&'static str]| {
            let parameters: Vec<_> = parameters.iter().map(|name| (*name, None)).collect();
            in_map_order(&parameters).iter().map(|(name, _)| *name).collect::<Vec<_>>()
        };
        assert_eq!(names(&["url", "u", "e", "a"]), ["url", "u", "e", "a"]);
        assert_eq!(
            names(&["schema", "a", "b", "c", "d", "e", "p", "u", "url"]),
            ["e", "url", "u", "a", "schema", "b", "p", "c", "d"]
        );
    }
}
