//! Tracker parameters become fields of the event.
//!
//! Every parameter that has a value runs its rule; a rule that fails is a failure of the event,
//! and all failures are collected. A rule may yield nothing (an empty text), which clears the
//! field. `tnuid` is applied last, so it beats every other network user id.

use enrichments::Times;
use event::convert::{self, TimestampError};
use event::json::{self, SyntaxError};
use event::reason::{Failure, Reason, Words};
use event::{Bump, Event, Field, RawEvent, base64, time};

use super::Settings;
use super::parameters::{Parameter, Rule};

/// What every event of a batch starts with.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// `v_etl`.
    pub v_etl: &'a str,
    /// `etl_tstamp`.
    pub etl_tstamp: &'a str,
    /// `etl_tags`.
    pub etl_tags: Option<&'a str>,
    /// The time of `etl_tstamp`, in milliseconds since the epoch.
    pub now_ms: i64,
}

impl<'a> Start<'a> {
    /// Of a batch that is processed with these settings at that time.
    pub fn new(settings: &Settings, now_ms: i64, arena: &'a Bump) -> Start<'a> {
        let Settings { processor, tag, .. } = settings;
        let v_etl = arena.alloc_str(&format!("{}-{}", processor.artifact, processor.version));
        let v_etl = convert::tsv_safe(v_etl, arena).unwrap_or_default();
        let tag = tag.as_deref().and_then(|tag| convert::tsv_safe(arena.alloc_str(tag), arena));
        Start { v_etl, etl_tstamp: time::format_ms(now_ms, arena), etl_tags: tag, now_ms }
    }
}

/// What parameters are applied to.
struct Applied<'e, 'a> {
    event: &'e mut Event<'a>,
    times: &'e mut Times,
    failures: Vec<Failure>,
}

/// Applies all parameters of a raw event to one that is empty; what failed is most often nothing.
/// An event that brings no id has none yet.
pub fn event<'a>(
    raw: &RawEvent<'a>,
    start: Start<'a>,
    (event, times): (&mut Event<'a>, &mut Times),
    arena: &'a Bump,
) -> Vec<Failure> {
    let mut done = Applied { event, times, failures: Vec::new() };
    initialise(&mut done, raw, start, arena);
    let mut last = None;
    for (place, &(name, value)) in raw.parameters.iter().enumerate() {
        let (Some(parameter), Some(value)) = (Parameter::of(name), value) else { continue };
        if let Rule::Last(_) = parameter.rule {
            last = Some((parameter, value));
            continue;
        }
        let beaten = raw.parameters.len() > HASHED
            && parameter
                .beaten_by
                .is_some_and(|winner| has_won(winner, &raw.parameters[..place], &done.failures));
        let applied = match beaten {
            false => apply(&mut done, parameter, value, arena),
            true => discard(&done, parameter, value, arena),
        };
        if let Err(refusal) = applied {
            let reason = Reason::input(parameter.name(), Some(value), refusal);
            done.failures.push(reason.into());
        }
    }
    if let Some((parameter, value)) = last {
        let applied = apply(&mut done, parameter, value, arena);
        debug_assert!(applied.is_ok(), "a text never fails");
    }
    done.failures
}

/// Up to this many parameters, those without a value and unknown ones included, the last one given
/// wins a field; see [`Parameter::of`].
const HASHED: usize = 4;

/// Whether the parameter that beats another was applied before it. Where it stands later, or
/// failed, the other one's value is to be seen in the event.
fn has_won(winner: &str, before: &[(&str, Option<&str>)], failures: &[Failure]) -> bool {
    let given = before.iter().any(|(name, value)| *name == winner && value.is_some());
    let failed = |failure: &Failure| match &failure.reason {
        Reason::Input { field, .. } => field.text() == winner,
        _ => false,
    };
    given && !failures.iter().any(failed)
}

/// Applies a beaten parameter to a copy: it may still fail the event.
fn discard<'a>(
    done: &Applied<'_, 'a>,
    parameter: &Parameter,
    value: &'a str,
    arena: &'a Bump,
) -> Result<(), Words> {
    let (mut event, mut times) = (done.event.clone(), *done.times);
    let mut copy = Applied { event: &mut event, times: &mut times, failures: Vec::new() };
    apply(&mut copy, parameter, value, arena)
}

fn initialise<'a>(
    done: &mut Applied<'_, 'a>,
    raw: &RawEvent<'a>,
    start: Start<'a>,
    arena: &'a Bump,
) {
    let payload = raw.payload;
    let event = &mut *done.event;
    let collector = payload.collector.map(|name| convert::tsv_safe(name, arena));
    let collector = collector.map(Option::unwrap_or_default);
    event.set(Field::VCollector, collector);
    event.set(Field::VEtl, Some(start.v_etl));
    event.set(Field::EtlTstamp, Some(start.etl_tstamp));
    event.set(Field::EtlTags, start.etl_tags);
    event.set(Field::NetworkUserid, payload.network_userid);
    event.set(Field::Useragent, payload.useragent.map(|agent| one_line(agent, arena)));
    // Separators without an address are no address.
    let address = payload.ip_address.map(|ip| convert::first_ip(ip, arena).unwrap_or(None));
    event.set(Field::UserIpaddress, address.flatten());
    if time::is_redshift_compatible(payload.timestamp) {
        event.set(Field::CollectorTstamp, Some(time::format_ms(payload.timestamp, arena)));
    } else {
        let mut instant = Vec::new();
        time::write_instant_millis(payload.timestamp, &mut instant);
        let instant = String::from_utf8(instant).expect("an instant is ASCII");
        let formatted = time::format_ms(payload.timestamp, arena);
        let expectation = format!("formatted as {formatted} is not Redshift-compatible");
        let expectation = Words::own(expectation);
        let reason = Reason::input("collector_tstamp", Some(&instant), expectation);
        done.failures.push(reason.into());
    }
}

/// The header's user agent without line breaks and tabs; other control characters stay.
fn one_line<'a>(agent: &'a str, arena: &'a Bump) -> &'a str {
    if !agent.bytes().any(|b| matches!(b, b'\r' | b'\n' | b'\t')) {
        return agent;
    }
    let clean = agent.replace(['\r', '\n'], "").replace('\t', "    ");
    arena.alloc_str(&clean)
}

fn apply<'a>(
    done: &mut Applied<'_, 'a>,
    parameter: &Parameter,
    value: &'a str,
    arena: &'a Bump,
) -> Result<(), Words> {
    let event = &mut *done.event;
    let (field, text) = match parameter.rule {
        Rule::Ignored => return Ok(()),
        Rule::Text(field) | Rule::Last(field) => (field, convert::tsv_safe(value, arena)),
        Rule::Ip(field) => (field, convert::first_ip(value, arena).unwrap_or(None)),
        Rule::EventType(field) => {
            let name = convert::event_type(value);
            (field, Some(name.ok_or("not recognized as an event type")?))
        }
        Rule::Platform(field) if convert::platform(value) => (field, Some(value)),
        Rule::Platform(_) => return Err("not recognized as a tracking platform".into()),
        Rule::Int(field) => {
            (field, convert::int32(value, arena).map_err(|error| Words::own(error.to_string()))?)
        }
        Rule::Decimal(field) => {
            let refusal = "cannot be converted to java.math.BigDecimal. Error : ";
            let text = convert::decimal(value, arena);
            (field, text.map_err(|error| Words::quoting(refusal, error))?)
        }
        Rule::Bool(field) => {
            let text = convert::bool01(value);
            (field, Some(text.ok_or("cannot be converted to Boolean-like java.lang.Byte")?))
        }
        Rule::Uuid(field) => {
            (field, Some(convert::uuid_strict(value, arena).ok_or("not a valid UUID")?))
        }
        Rule::Timestamp(field) => {
            let parsed: Result<_, TimestampError> = convert::ms_timestamp(value, arena);
            let (ms, text) = parsed.map_err(|error| match error {
                TimestampError::NotMillis => Words::own(error.to_string()),
                TimestampError::OutOfRange(_) => error.to_string().into(),
            })?;
            match field {
                Field::DvceCreatedTstamp => done.times.created = Some(ms),
                Field::DvceSentTstamp => done.times.sent = Some(ms),
                _ => done.times.true_time = Some(ms),
            }
            (field, Some(text))
        }
        Rule::Dimensions(width, height) => {
            let parsed = convert::dimensions(value, arena);
            let parsed = parsed.map_err(|error| Words::own(error.to_string()))?;
            event.set(width, Some(parsed.0));
            (height, Some(parsed.1))
        }
        Rule::Json(field) => (field, Some(json::compact(value, arena).map_err(not_json)?)),
        Rule::Base64Json(field) => {
            let text = base64::decode(value, arena);
            (field, Some(json::compact(text, arena).map_err(not_json)?))
        }
    };
    event.set(field, text);
    Ok(())
}

fn not_json(error: SyntaxError) -> Words {
    Words::own(format!("invalid json: {error}"))
}
