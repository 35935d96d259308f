//! The recorded cases of a running peer, at the level of this crate: what the enrichments make of
//! an event. The little that stands before them (parameters into fields, entities taken apart) is
//! imitated here for the parameters that the cases use; validation is not, so the cases in which
//! it decides are the whole pipeline's to check.
#![allow(clippy::print_stdout, reason = "a test that checks nothing must say so")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use enrichments::{Caches, Enrichments, Input, Options, Times, limits};
use event::convert::{client_ip, first_ip, ms_timestamp, tsv_safe, uuid_lenient};
use event::fields::FIELDS;
use event::raw_event::Parameter;
use event::{Bump, CollectorPayload, Entity, Event, Field, RawEvent, Reason, base64, json};
use serde_json::Value;

/// What the peer does that we do not, each with what a user would lose by following it.
const DEVIATIONS: [(&str, &str); 11] = [
    ("ip_lookups/all/some", "the kind of connection of everybody on a satellite"),
    ("cross-domain/dot-only", "one parameter would lose every event of its payload"),
    ("cross-domain/cross_navigation-config-is-ignored", "the entity that newer peers derive"),
    ("config/two-javascript-configs-only-the-last-runs", "what the first script does"),
    ("cookie/header-lower-case", "every cookie sent over HTTP/2"),
    ("campaign/click-129-too-long", "a visit that was paid for"),
    ("cookie/comma-in-value", "half of the value and all cookies behind it"),
    ("iab/ip/mapped", "one address would lose every event of its payload"),
    ("anon_ip/odd/mapped-hex", "the privacy of the address"),
    ("anon_ip/odd/v6-brackets-port", "the privacy of the address"),
    ("pii/json/list-data-star", "one entity would lose every event of its payload"),
];

/// Configurations that are refused: their paths cannot be followed and would hash nothing.
const REFUSED: [&str; 2] = ["pii/json/path/invalid", "pii/json/path/invalid-space"];

#[test]
fn campaigns() {
    check("enr-campaign");
}

#[test]
fn fingerprints() {
    check("enr-fingerprint");
}

#[test]
fn headers_and_cookies() {
    check("enr-headers");
}

#[test]
fn spiders_and_robots() {
    check("enr-iab");
}

#[test]
fn addresses() {
    check("enr-ip");
}

#[test]
fn pseudonyms() {
    check("enr-pii");
}

#[test]
fn referers() {
    check("enr-referer");
}

#[test]
fn user_agents() {
    check("enr-ua");
}

#[test]
fn configurations() {
    check("enr-config");
}

/// Runs the cases of a file and reports everything that differs.
fn check(file: &str) {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let Ok(text) = std::fs::read_to_string(vectors.join(format!("cases/{file}.jsonl"))) else {
        println!("{file}: no recorded cases beside this repository");
        return;
    };
    let (mut runs, mut skipped, mut wrong) = (Profiles::new(vectors), 0, Vec::new());
    let mut passed = 0;
    for line in text.split('\n').filter(|line| !line.is_empty()) {
        let case: Value = serde_json::from_str(line).expect("a case is JSON");
        let name = case["name"].as_str().expect("a case has a name");
        let deviates = DEVIATIONS.iter().any(|(known, _)| *known == name);
        match runs.run(&case) {
            None => skipped += 1,
            Some(differences) if deviates && differences.is_empty() => {
                wrong.push(format!("{name}: a deviation that is none"));
            }
            Some(differences) if deviates || differences.is_empty() => passed += 1,
            Some(differences) => wrong.push(format!("{name}: {}", differences.join("\n    "))),
        }
    }
    println!("{file}: {passed} as recorded, {skipped} left to the pipeline");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(passed > skipped, "most cases should be checked here");
}

/// The enrichments by profile, with one cache each, as the peer had.
struct Profiles {
    vectors: PathBuf,
    loaded: BTreeMap<String, Option<Enrichments>>,
    caches: Caches,
}

impl Profiles {
    fn new(vectors: PathBuf) -> Profiles {
        Profiles { vectors, loaded: BTreeMap::new(), caches: Caches::default() }
    }

    /// What differs from the record; `None` where other parts decide.
    fn run(&mut self, case: &Value) -> Option<Vec<String>> {
        let profile = case["profile"].as_str()?.to_owned();
        let name = case["name"].as_str()?;
        let folder = self.vectors.join("profiles").join(&profile);
        let assets = self.vectors.join("assets");
        let enrichments = self.loaded.entry(profile).or_insert_with(|| {
            if std::fs::read_dir(&folder).is_err() {
                return Some(Enrichments::default());
            }
            Enrichments::load(&folder, Some(&assets), &Options::default())
                .map_err(|errors| {
                    let refused = REFUSED.contains(&name);
                    let script = errors.iter().all(|error| error.expected.contains("that runs"));
                    assert!(refused || script, "{name}: {errors:?}");
                })
                .ok()
        });
        let enrichments = enrichments.as_ref()?;
        let arena = Bump::new();
        let payload = payload(case.get("payload")?, &arena)?;
        let mut differences = Vec::new();
        let events = events(case.get("payload")?, &payload, &arena)?;
        let outs = case["out"].as_array()?;
        if outs.len() != events.len() {
            return outs[0]["bad"]["data"]["failure"]["errors"]
                .is_array()
                .then(|| vec!["the peer gave up the payload".to_owned()]);
        }
        for (parameters, out) in events.into_iter().zip(outs) {
            let raw = RawEvent { payload: &payload, parameters };
            differences.extend(one(enrichments, &raw, out, &mut self.caches, &arena)?);
        }
        Some(differences)
    }
}

fn one(
    enrichments: &Enrichments,
    raw: &RawEvent<'_>,
    out: &Value,
    caches: &mut Caches,
    arena: &Bump,
) -> Option<Vec<String>> {
    // The borrow of the case ends with it.
    let (mut event, times) = prepared(raw, arena)?;
    let unstruct = event.get(Field::UnstructEvent).and_then(|text| {
        let inner = json::member(text, "data")?;
        let uri = json::member(inner, "schema")?.trim_matches('"');
        Some(Entity::new(uri, json::member(inner, "data")?))
    });
    let input = Input { unstruct: unstruct.as_ref(), ..Input::new(raw, times) };
    let done = enrichments.run(&mut event, &input, caches, arena);
    if !done.entities.is_empty() {
        event.set(Field::DerivedContexts, Some(event::entity::envelope(&done.entities, arena)));
    }
    let mut failures = done.failures;
    if failures.is_empty() {
        let changes = enrichments.anonymise(&mut event, raw.payload.headers, arena);
        let limits = limits::Limits::default();
        failures = limits.failures(&limits.too_long(&event));
        if failures.is_empty() && out.get("enriched").is_some() {
            let now = "<now>";
            let pii = enrichments.pii_event(&event, &changes, "<random-uuid>", now, arena);
            let mut differences = columns(&event, &out["enriched"]);
            match (&pii, out.get("pii_event")) {
                (Some(pii), Some(expected)) => differences.extend(columns(pii, expected)),
                (None, None) => {}
                (found, _) => differences.push(format!("pii event: {}", found.is_some())),
            }
            return Some(differences);
        }
    }
    let messages = out["bad"]["data"]["failure"]["messages"].as_array();
    let Some(messages) = messages else {
        return Some(vec![format!("failures {failures:?}")]);
    };
    if failures.is_empty() {
        // Validation, which is not imitated, failed the event in the record.
        let validation = |message: &Value| {
            message["enrichment"]["identifier"] == "enrichments-contexts-validation"
                || message.get("schemaKey").is_some()
        };
        return if messages.iter().any(validation) {
            None
        } else {
            Some(vec!["no failure".into()])
        };
    }
    let expected: Vec<String> = messages.iter().map(message_of_record).collect();
    let found: Vec<String> = failures.iter().map(|f| message_of_failure(&f.reason)).collect();
    Some(if expected == found { vec![] } else { vec![format!("{found:?} for {expected:?}")] })
}

/// The columns that differ.
fn columns(event: &Event<'_>, expected: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    for field in FIELDS {
        // Times of processing, and what the pipeline sets before.
        if matches!(field, Field::EtlTstamp | Field::VEtl) {
            continue;
        }
        let found = event.get(field).filter(|text| !text.is_empty());
        let wanted = expected.get(field.name()).and_then(Value::as_str);
        if found != wanted {
            let name = field.name();
            differences.push(format!("{name} is {found:?} instead of {wanted:?}"));
        }
    }
    differences
}

fn message_of_record(message: &Value) -> String {
    let message = &message["message"];
    match message["error"].as_str() {
        Some(error) => error.chars().take(60).collect(),
        None => format!("{} {} {}", message["field"], message["value"], message["expectation"]),
    }
}

fn message_of_failure(reason: &Reason) -> String {
    match reason {
        Reason::Simple { error } => error.text().chars().take(60).collect(),
        Reason::Input { field, value, expectation } => {
            let value = Value::from(value.clone());
            format!("{} {value} {}", Value::from(field.text()), Value::from(expectation.text()))
        }
        other => format!("{other:?}"),
    }
}

fn payload<'a>(json: &Value, arena: &'a Bump) -> Option<CollectorPayload<'a>> {
    let text = |name: &str| json[name].as_str().map(|text| &*arena.alloc_str(text));
    let empty = Vec::new();
    let headers = json["headers"].as_array().unwrap_or(&empty).iter().filter_map(Value::as_str);
    let headers: Vec<&str> = headers.map(|header| &*arena.alloc_str(header)).collect();
    let headers = &*arena.alloc_slice_copy(&headers);
    let path = text("path")?;
    if path != "/i" && path != "/com.snowplowanalytics.snowplow/tp2" {
        return None;
    }
    let fallback = match json.get("ipAddress") {
        Some(_) => text("ipAddress"),
        None => Some("198.51.100.23"),
    };
    Some(CollectorPayload {
        querystring: match text("querystring") {
            Some(query) => event::query::parse(query, "UTF-8", arena).ok()?,
            None => &[],
        },
        body: text("body"),
        collector: text("collector").or(Some("ssc-3.2.0-kinesis")),
        encoding: "UTF-8",
        timestamp: json["timestamp"].as_i64().unwrap_or(1_714_558_271_000),
        ip_address: client_ip(headers, fallback, arena),
        useragent: text("userAgent"),
        referer_uri: text("refererUri"),
        headers,
        network_userid: text("networkUserId").and_then(|id| uuid_lenient(id, arena)),
        ..CollectorPayload::default()
    })
}

/// The parameters of each event: those of the body's items, if there are, under those of the query.
fn events<'a>(
    json: &Value,
    payload: &CollectorPayload<'a>,
    arena: &'a Bump,
) -> Option<Vec<&'a [Parameter<'a>]>> {
    let query = payload.querystring.iter().copied();
    let Some(body) = json["body"].as_str() else {
        return Some(vec![unique(query, arena)]);
    };
    let body: Value = serde_json::from_str(body).ok()?;
    let mut events = Vec::new();
    for item in body["data"].as_array()? {
        let text = |value: &Value| value.as_str().map(|text| &*arena.alloc_str(text));
        let pairs = item.as_object()?.iter().map(|(n, v)| (&*arena.alloc_str(n), text(v)));
        events.push(unique(pairs.chain(query.clone()), arena));
    }
    Some(events)
}

fn unique<'a>(pairs: impl Iterator<Item = Parameter<'a>>, arena: &'a Bump) -> &'a [Parameter<'a>] {
    let last: BTreeMap<_, _> = pairs.collect();
    arena.alloc_slice_fill_iter(last.into_iter().collect::<Vec<_>>())
}

/// The event before it is enriched; `None` where a parameter is not imitated or fails.
fn prepared<'a>(raw: &RawEvent<'a>, arena: &'a Bump) -> Option<(Event<'a>, Times)> {
    let payload = raw.payload;
    let mut event = Event::new();
    let mut times =
        Times { collector: payload.timestamp, created: None, sent: None, true_time: None };
    event.set(Field::CollectorTstamp, Some(event::time::format_ms(payload.timestamp, arena)));
    event.set(Field::VCollector, payload.collector);
    event.set(Field::NetworkUserid, payload.network_userid);
    // The header is cleaned less than a parameter, and an empty one is kept.
    let useragent = payload.useragent.map(|ua| ua.replace(['\r', '\n'], "").replace('\t', "    "));
    event.set(Field::Useragent, useragent.map(|ua| &*arena.alloc_str(&ua)));
    let address = payload.ip_address.map_or(Ok(None), |ip| first_ip(ip, arena));
    event.set(Field::UserIpaddress, address.ok()?);
    for (name, value) in raw.parameters {
        let Some(value) = *value else { continue };
        let field = match *name {
            "e" => {
                event.set(Field::Event, Some(event::convert::event_type(value)?));
                continue;
            }
            "ip" => {
                event.set(Field::UserIpaddress, first_ip(value, arena).ok()?);
                continue;
            }
            "co" | "cx" | "ue_pr" | "ue_px" => {
                let text = if name.ends_with('x') { base64::decode(value, arena) } else { value };
                let text = json::compact(text, arena).ok()?;
                let (field, uri) = match name.starts_with('c') {
                    true => (Field::Contexts, event::entity::CONTEXTS_URI),
                    false => (Field::UnstructEvent, event::entity::UNSTRUCT_EVENT_URI),
                };
                let data = json::member(text, "data")?;
                let text = format!("{{\"schema\":\"{uri}\",\"data\":{data}}}");
                event
                    .set(field, Some(arena.alloc_str(&text)).filter(|_| data != "[]").map(|t| &*t));
                continue;
            }
            "dtm" | "stm" | "ttm" => {
                let (ms, text) = ms_timestamp(value, arena).ok()?;
                let (field, time) = match *name {
                    "dtm" => (Field::DvceCreatedTstamp, &mut times.created),
                    "stm" => (Field::DvceSentTstamp, &mut times.sent),
                    _ => (Field::TrueTstamp, &mut times.true_time),
                };
                *time = Some(ms);
                event.set(field, Some(text));
                continue;
            }
            name => match text_field(name) {
                Some(field) => field,
                None => continue,
            },
        };
        event.set(field, tsv_safe(value, arena));
    }
    Some((event, times))
}

/// The field that a parameter fills as it is.
fn text_field(name: &str) -> Option<Field> {
    Some(match name {
        "p" => Field::Platform,
        "tv" => Field::VTracker,
        "tna" => Field::NameTracker,
        "eid" => Field::EventId,
        "aid" => Field::AppId,
        "uid" => Field::UserId,
        "duid" => Field::DomainUserid,
        "nuid" => Field::NetworkUserid,
        "tnuid" => Field::NetworkUserid,
        "sid" => Field::DomainSessionid,
        "fp" => Field::UserFingerprint,
        "ua" => Field::Useragent,
        "cv" => Field::VCollector,
        "url" => Field::PageUrl,
        "refr" => Field::PageReferrer,
        "page" => Field::PageTitle,
        "se_ca" => Field::SeCategory,
        "se_ac" => Field::SeAction,
        "se_la" => Field::SeLabel,
        "se_pr" => Field::SeProperty,
        "tr_id" => Field::TrOrderid,
        "ti_id" => Field::TiOrderid,
        _ => return None,
    })
}
