//! One record taken step by step, with what each of them made of it.

use enrichments::lookup::{Answers, Question};
use enrichments::{Caches, Configuration, Enrichments, Input as Given};
use event::reason::{Failure, Reason};
use event::{Bump, Entity, Event};
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use validator::Schemas;

use super::asked::{Asked, read, rounded};
use crate::batch::Batch;
use crate::exit::Usage;
use crate::rules::Rules;
use pipeline::road::{End, Passage, STEPS, Tools};
use pipeline::schema_check::{SchemaCheck, Stop};
use pipeline::transform::Start;
use pipeline::{Origin, Output, Settings, Verdict, adapt, load};

/// How often a step is run to learn its time: the first runs pay for what later ones find warm.
const RUNS: usize = 100;

/// What a record is taken through, when all that it needs is known.
pub(in crate::commands) struct Run<'r> {
    pub(in crate::commands) settings: &'r Settings,
    pub(in crate::commands) schemas: &'r Schemas,
    pub(in crate::commands) steps: &'r Steps,
    /// What look-ups were answered.
    pub(in crate::commands) asked: &'r Asked,
    pub(in crate::commands) now_ms: i64,
}

/// The enrichments up to each step, the first with the built-in steps alone, all of them last.
pub(in crate::commands) struct Steps(Vec<(&'static str, Enrichments)>);

impl Steps {
    /// Opens what the rules name; assets are in their folder.
    pub(in crate::commands) fn open(rules: &Rules) -> anyhow::Result<Steps> {
        let configuration = rules.configuration()?.unwrap_or_else(Configuration::default);
        let names = std::iter::once("built in").chain(configuration.steps());
        let open = |(index, name)| {
            let opened = Enrichments::open(configuration.first(index), rules.assets.as_deref());
            opened.map(|enrichments| (name, enrichments)).map_err(|errors| {
                let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                anyhow::Error::from(Usage(errors.join("\n")))
            })
        };
        Ok(Steps(names.enumerate().map(open).collect::<anyhow::Result<_>>()?))
    }
}

/// What each step makes of a batch's first record.
pub(in crate::commands) fn of(batch: &Batch, run: &Run<'_>) -> Map<String, Value> {
    let Run { settings, schemas, steps, asked, now_ms } = *run;
    let (record, arena) = (&batch.records[0], Bump::new());
    let mut check = SchemaCheck::new(schemas, settings);
    let origin = Origin {
        stream: &settings.stream,
        shard: batch.shard.as_str(),
        sequence: record.sequence.as_str(),
        sub_sequence: record.sub_sequence,
    };
    let start = Start::new(settings, now_ms, &arena);
    let road = Road { settings, origin, start, enrichments: &steps.0, asked };
    let mut account = Map::new();
    explain(&record.data, &road, &mut check, &mut account, &arena);
    account
}

/// What all events of the record have in common.
struct Road<'a> {
    settings: &'a Settings,
    origin: Origin<'a>,
    start: Start<'a>,
    /// The enrichments up to each of them, all of them last.
    enrichments: &'a [(&'static str, Enrichments)],
    /// What look-ups were answered.
    asked: &'a Asked,
}

fn explain<'a>(
    data: &'a [u8],
    road: &Road<'a>,
    check: &mut SchemaCheck<'_>,
    account: &mut Map<String, Value>,
    arena: &'a Bump,
) {
    let started = Instant::now();
    let loaded = load::payload(data, road.settings.record_encoding, arena);
    let took = micros(started);
    let payload = match loaded {
        Err(reasons) => {
            account.insert("payload".to_owned(), json!({"refused": words(&reasons)}));
            return;
        }
        Ok(payload) => &*arena.alloc(payload),
    };
    let shown = json!({
        "micros": took, "path": format!("{}/{}", payload.vendor, payload.version),
        "collector": payload.collector, "address": payload.ip_address,
        "useragent": payload.useragent, "headers": payload.headers.len(),
        "body bytes": payload.body.map(str::len),
    });
    account.insert("payload".to_owned(), shown);
    let started = Instant::now();
    let adapted = adapt::events(payload, &road.settings.adapters, check, arena);
    let took = micros(started);
    let adapted = match adapted {
        Err(Stop::Pending) => return waiting(account, "adapter"),
        Err(Stop::Refused(reasons)) => {
            account.insert("adapter".to_owned(), json!({"refused": words(&reasons)}));
            return;
        }
        Ok(adapted) => adapted,
    };
    let mut said = json!({"micros": took, "events": adapted.events.len()});
    if let Some(refused) = &adapted.refused {
        said["refused"] = words(&refused.reasons);
    }
    account.insert("adapter".to_owned(), said);
    let mut explained = Vec::new();
    for (index, raw) in (0..).zip(&adapted.events) {
        let passage = Passage::new(raw.clone(), road.origin, index, None, arena);
        explained.push(Value::Object(walk(passage, road, check, arena)));
    }
    account.insert("events".to_owned(), Value::Array(explained));
}

fn waiting(account: &mut Map<String, Value>, step: &str) {
    account.insert(step.to_owned(), json!("waits: a schema cannot be had now"));
}

/// Takes one event down its road, and notes what every step made of it.
fn walk<'a>(
    mut passage: Passage<'a>,
    road: &Road<'a>,
    check: &mut SchemaCheck<'_>,
    arena: &'a Bump,
) -> Map<String, Value> {
    let mut account = Map::new();
    let parameters = passage.raw.parameters.iter();
    let parameters = parameters.map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    account.insert("parameters".to_owned(), Value::Object(parameters));
    let (_, enrichments) = road.enrichments.last().expect("the built-in steps are always there");
    let mut tools = Tools {
        settings: road.settings,
        enrichments,
        check,
        answers: Some(road.asked),
        caches: &mut Caches::default(),
        start: road.start,
        arena,
    };
    for step in &STEPS {
        let before = passage.event.clone();
        let started = Instant::now();
        let taken = (step.take)(&mut passage, &mut tools);
        let took = micros(started);
        let mut seen = match step.name {
            "enrichments" => one_by_one(&before, &passage, road, arena),
            "schemas" => valid(passage.found.contexts.iter().chain(&passage.found.unstruct)),
            "derived" if taken.is_ok() => valid(passage.derived.iter()),
            _ => difference(&before, &passage.event),
        };
        let end = taken.err();
        seen.extend(end.as_ref().map(|end| ("ends".to_owned(), ended(end))));
        if step.name != "enrichments" {
            seen.insert("micros".to_owned(), took);
        }
        account.insert(step.name.to_owned(), Value::Object(seen));
        if end.is_some() {
            break;
        }
    }
    account
}

/// Why an event goes no further.
fn ended(end: &End<'_>) -> Value {
    match end {
        End::Failed { failures, .. } => failed(failures),
        End::Refused(reasons) => words(reasons),
        End::Dropped => json!("dropped by a script"),
        End::Waits => json!("waits: a schema cannot be had now"),
        End::Asks(_) => json!("waits: a look-up has no answer"),
        End::Unanswered(lookups) => json!({"waits: look-ups cannot be asked": lookups}),
    }
}

fn valid<'e, 'a: 'e>(entities: impl Iterator<Item = &'e Entity<'a>>) -> Map<String, Value> {
    let valid = entities.map(|entity| {
        let version = entity.superseded_by;
        let by = version.map_or(String::new(), |version| format!(", superseded by {version}"));
        (entity.uri.to_owned(), Value::String(format!("valid{by}")))
    });
    valid.collect()
}

/// Runs the enrichments up to each of them, and notes what the last one changed.
fn one_by_one<'a>(
    from: &Event<'a>,
    passage: &Passage<'a>,
    road: &Road<'a>,
    arena: &'a Bump,
) -> Map<String, Value> {
    let Passage { raw, times, found, .. } = passage;
    let unstruct = found.unstruct.as_ref();
    let now_ms = road.start.now_ms;
    let (contexts, answers) = (&*found.contexts, Some(road.asked as &dyn Answers));
    let given =
        Given { raw, times: *times, contexts, unstruct, fingerprint: None, now_ms, answers };
    let mut event = from.clone();
    let mut entities: Vec<Entity<'a>> = Vec::new();
    let mut failures: Vec<Failure> = Vec::new();
    let mut questions: Vec<Question> = Vec::new();
    let (mut least, mut explained) = (0.0, Map::new());
    for (name, enrichments) in road.enrichments {
        let mut after = from.clone();
        let mut caches = Caches::listening();
        let done = enrichments.run(&mut after, &given, &mut caches, arena);
        let mut step = difference(&event, &after);
        for entity in done.entities.iter().filter(|entity| !entities.contains(entity)) {
            step.insert(entity.uri.to_owned(), read(entity.data));
        }
        let new = done.failures.iter().filter(|failure| !failures.contains(failure)).cloned();
        let new: Vec<Failure> = new.collect();
        if !new.is_empty() {
            step.insert("failures".to_owned(), failed(&new));
        }
        if let Some(more) = done.asked.questions.get(questions.len()..).filter(|it| !it.is_empty())
        {
            let shown = road.asked.shown(enrichments.lookups(), more);
            step.insert("look-ups".to_owned(), shown);
        }
        let printed = caches.printed();
        if !printed.is_empty() {
            step.insert("printed".to_owned(), json!(printed));
        }
        let fastest = fastest(enrichments, from, &given, &mut caches, arena);
        step.insert("micros".to_owned(), json!(rounded((fastest - least).max(0.0))));
        least = fastest;
        explained.insert((*name).to_owned(), Value::Object(step));
        event = after;
        entities = done.entities.to_vec();
        failures = done.failures;
        questions = done.asked.questions;
    }
    explained
}

/// The shortest of many runs, in microseconds.
fn fastest<'a>(
    enrichments: &Enrichments,
    from: &Event<'a>,
    given: &Given<'_, 'a>,
    caches: &mut Caches,
    arena: &'a Bump,
) -> f64 {
    let mut fastest = f64::MAX;
    for _ in 0..RUNS {
        let mut copy = from.clone();
        let started = Instant::now();
        enrichments.run(&mut copy, given, caches, arena);
        fastest = fastest.min(started.elapsed().as_secs_f64() * 1e6);
    }
    fastest
}

/// The columns that changed, each with what it was and what it is.
fn difference(before: &Event<'_>, after: &Event<'_>) -> Map<String, Value> {
    let changed = before.iter().zip(after.iter());
    let changed = changed.filter(|((_, old), (_, new))| old != new && *new != Some(""));
    let shown = changed.map(|((field, old), (_, new))| {
        let value = if old.is_none() { json!(new) } else { json!({"was": old, "is": new}) };
        (field.name().to_owned(), value)
    });
    shown.collect()
}

/// What the pipeline made of a record.
pub(in crate::commands) fn became(output: &Output) -> Value {
    let (mut enriched, mut bad) = (output.enriched.iter(), output.bad.iter());
    let mut parked = output.parked.iter();
    let text = |line: Option<&[u8]>| {
        let line = line.expect("every verdict has its line");
        String::from_utf8_lossy(line).into_owned()
    };
    let each = output.verdicts.iter().map(|(_, verdict)| match verdict {
        Verdict::Enriched => json!({"enriched": text(enriched.next())}),
        Verdict::Dropped => json!("dropped by a script"),
        Verdict::Bad(kind) => json!({kind.name(): read(&text(bad.next()))}),
        // One line stands for all events of the record that wait.
        Verdict::Parked => json!({"parked": parked.next().map(|line| read(&text(Some(line))))}),
    });
    Value::Array(each.collect())
}

fn failed(failures: &[Failure]) -> Value {
    let each = failures.iter().map(|failure| {
        let by = failure.enrichment.as_ref().map_or("event", |id| id.identifier);
        json!({by: said(&failure.reason)})
    });
    Value::Array(each.collect())
}

fn words(reasons: &[Reason]) -> Value {
    Value::Array(reasons.iter().map(said).collect())
}

/// A reason as bad rows have it.
fn said(reason: &Reason) -> Value {
    let mut out = Vec::new();
    event::bad_row::write_reason(reason, &mut out);
    read(&String::from_utf8_lossy(&out))
}

fn micros(since: Instant) -> Value {
    json!(rounded(since.elapsed().as_secs_f64() * 1e6))
}
