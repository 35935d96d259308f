//! The `outcomes` form: one line of JSON for each record, with everything that became of it.
//!
//! `{"record": n, "out": [{"enriched": {column: text}} | {"bad": bad row} | {"parked": line}]}`,
//! records counted from 0; beside an enriched event stands its `pii_event`, if there is one, and a
//! parked line stands for all events of the record that wait. What
//! differs from run to run is left out, so that the lines can be kept as expectations: the columns
//! `etl_tstamp` and `v_etl`, the bad rows' `processor`, and columns without a value.

use event::fields::FIELDS;
use event::json::{Members, member, write_string};
use event::{Field, tsv};

use pipeline::{Output, Verdict};

/// The lines of a batch of `records` records, the first of which has that number.
pub(super) fn lines(first: u64, records: usize, output: &Output) -> Vec<u8> {
    let mut out = Vec::new();
    let mut enriched = output.enriched.iter();
    let mut bad = output.bad.iter();
    let mut parked = output.parked.iter();
    let mut pii = output.pii.iter().peekable();
    let mut verdicts = output.verdicts.iter().peekable();
    for index in 0..records {
        out.extend_from_slice(
            format!("{{\"record\":{},\"out\":[", first + index as u64).as_bytes(),
        );
        let mut separator: &[u8] = b"";
        let mut waits = false;
        while let Some((_, verdict)) = verdicts.next_if(|(record, _)| *record as usize == index) {
            if *verdict == Verdict::Parked && std::mem::replace(&mut waits, true) {
                continue;
            }
            out.extend_from_slice(separator);
            separator = b",";
            let line = match verdict {
                Verdict::Enriched => enriched.next(),
                Verdict::Bad(_) => bad.next(),
                Verdict::Parked => parked.next(),
                Verdict::Dropped => {
                    out.extend_from_slice(b"{\"dropped\":\"javascript\"}");
                    continue;
                }
            };
            let line = line.expect("every verdict has its line");
            let line = text(line);
            match verdict {
                Verdict::Enriched => {
                    out.extend_from_slice(b"{\"enriched\":");
                    write_columns_of(line, &mut out);
                    if let Some(told) = pii.next_if(|told| is_about(told, line)) {
                        out.extend_from_slice(b",\"pii_event\":");
                        write_columns_of(text(told), &mut out);
                    }
                    out.push(b'}');
                }
                Verdict::Bad(_) => write_bad(line, &mut out),
                Verdict::Parked => {
                    out.extend_from_slice(b"{\"parked\":");
                    out.extend_from_slice(line.as_bytes());
                    out.push(b'}');
                }
                Verdict::Dropped => unreachable!("it has no line"),
            }
        }
        out.extend_from_slice(b"]}\n");
    }
    out
}

fn text(line: &[u8]) -> &str {
    std::str::from_utf8(line).expect("lines are UTF-8")
}

/// Whether an event tells what was pseudonymised in another. They stand in the same order.
fn is_about(told: &[u8], line: &str) -> bool {
    let column =
        |line, field: Field| tsv::columns(line).map_or("", |columns| columns[field as usize]);
    let parent = format!("{{\"parentEventId\":\"{}\"}}", column(line, Field::EventId));
    column(text(told), Field::Contexts).contains(&parent)
}

fn write_columns_of(line: &str, out: &mut Vec<u8>) {
    out.push(b'{');
    let columns = tsv::columns(line).expect("an enriched line has all columns");
    let kept = FIELDS.into_iter().zip(columns).filter(|(field, text)| {
        !text.is_empty() && !matches!(field, Field::EtlTstamp | Field::VEtl)
    });
    for (index, (field, text)) in kept.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(field.name(), out);
        out.push(b':');
        write_string(text, out);
    }
    out.push(b'}');
}

fn write_bad(line: &str, out: &mut Vec<u8>) {
    let part = |object, key| member(object, key).expect("a bad row has its parts");
    let data = part(line, "data");
    out.extend_from_slice(b"{\"bad\":{\"schema\":");
    out.extend_from_slice(part(line, "schema").as_bytes());
    out.extend_from_slice(b",\"data\":{\"failure\":");
    out.extend_from_slice(part(data, "failure").as_bytes());
    out.extend_from_slice(b",\"payload\":");
    let payload = part(data, "payload");
    match member(payload, "enriched") {
        None => out.extend_from_slice(payload.as_bytes()),
        Some(columns) => {
            out.extend_from_slice(b"{\"enriched\":{");
            write_columns(columns, out);
            out.extend_from_slice(b"},\"raw\":");
            out.extend_from_slice(part(payload, "raw").as_bytes());
            out.push(b'}');
        }
    }
    out.extend_from_slice(b"}}}");
}

/// The columns that have a value and do not differ from run to run.
fn write_columns(columns: &str, out: &mut Vec<u8>) {
    let kept = Members::of(columns)
        .into_iter()
        .flatten()
        .filter(|(key, value)| *value != "null" && !matches!(*key, "\"etl_tstamp\"" | "\"v_etl\""));
    for (index, (key, value)) in kept.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(key.as_bytes());
        out.push(b':');
        out.extend_from_slice(value.as_bytes());
    }
}
