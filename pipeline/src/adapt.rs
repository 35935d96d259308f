//! A collector payload becomes raw events: the endpoint's vendor and version choose the adapter.
//!
//! An adapter yields every event of its payload, or its reasons for refusing it, which make one bad
//! row. Of a webhook's batch the sound events go on where others are refused; the bad row then has
//! the body of the refused ones alone, so that nothing is lost and nothing comes twice.
//!
//! Trackers have modules of their own; a webhook is a row of [`built_in::WEBHOOKS`] with a module
//! that says how its body is read, on the common ground of [`webhook`].

mod built_in;
mod callrail;
mod cloudfront;
mod custom;
mod dates;
mod example;
mod firehose;
mod google_analytics;
mod hubspot;
mod iglu;
mod mailchimp;
mod mailgun;
mod mandrill;
mod marketo;
mod olark;
mod pagerduty;
mod payload_data;
mod pingdom;
mod redirect;
mod sendgrid;
pub mod signature;
mod statusgator;
mod tracker;
mod tree;
mod unbounce;
mod urban_airship;
mod vero;
mod webhook;

use std::collections::HashMap;

use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use event::bad_row::BadKind;
use event::raw_event::Parameter;
use event::reason::Reason;
use event::{Bump, CollectorPayload, RawEvent};

use super::schema_check::{SchemaCheck, Stop};
pub use built_in::Adapters;
pub use custom::{Conversion, Custom, Format, Keys, NoPointer, Place, Pointer};
pub use example::{Example, Expected};

/// What an adapter makes of a payload.
#[derive(Debug)]
pub struct Adapted<'a> {
    /// The events, in their order.
    pub events: BumpVec<'a, RawEvent<'a>>,
    /// What of a batch is no event, where other parts are.
    pub refused: Option<Refused<'a>>,
}

/// Parts of a payload that are no events.
#[derive(Debug)]
pub struct Refused<'a> {
    /// The payload with these parts alone.
    pub payload: &'a CollectorPayload<'a>,
    /// Why they are refused.
    pub reasons: Vec<Reason>,
}

/// The parameters of each event of a payload.
type Events<'a> = BumpVec<'a, &'a [Parameter<'a>]>;

/// Runs the payload's adapter.
pub fn events<'a>(
    payload: &'a CollectorPayload<'a>,
    adapters: &Adapters,
    check: &mut SchemaCheck<'_>,
    arena: &'a Bump,
) -> Result<Adapted<'a>, Stop> {
    let events = match (payload.vendor, payload.version) {
        ("com.snowplowanalytics.snowplow", "tp1") => tracker::tp1(payload, arena),
        ("com.snowplowanalytics.snowplow", "tp2") => tracker::tp2(payload, check, arena),
        ("r", "tp2") => redirect::events(payload, arena),
        ("com.snowplowanalytics.iglu", "v1") => iglu::events(payload, arena),
        (vendor, version) => match adapters.run(payload, arena) {
            Some(adapted) => return adapted,
            None => {
                let value = format!("{vendor}/{version}");
                let expectation = "vendor/version combination is not supported";
                Err(Reason::input("vendor/version", Some(&value), expectation).into())
            }
        },
    }?;
    let events = events.iter().map(|parameters| RawEvent { payload, parameters });
    Ok(Adapted { events: BumpVec::from_iter_in(events, arena), refused: None })
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

/// Whether a configured webhook may set a parameter: one of the tracker protocol that is neither
/// the event itself nor what every webhook sets.
pub fn may_be_set(name: &str) -> bool {
    const OTHERS: [&str; 8] = ["e", "p", "tv", "tna", "ue_pr", "ue_px", "co", "cx"];
    !OTHERS.contains(&name) && super::parameters::Parameter::of(name).is_some()
}

/// The value of the first header of that name.
fn header<'a>(payload: &CollectorPayload<'a>, name: &str) -> Option<&'a str> {
    let mut headers = payload.headers.iter().filter_map(|header| header.split_once(':'));
    let named = headers.find(|(known, _)| known.trim().eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.trim())
}

/// A text with its escapes undone.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (byte, digit(0).zip(digit(1))) {
            (b'%', Some((high, low))) => {
                bytes.push((high << 4 | low) as u8);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A text in a form in which any form or query string can hold it.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'.' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests;
