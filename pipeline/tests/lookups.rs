//! That an event which waits for a look-up is enriched as if its answers had been there: whatever
//! subset of events waits, and in however many rounds answers and schemas come, every line and
//! every verdict is the same.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use enrichments::lookup::api::Api;
use enrichments::lookup::{Answer, Answers, Lookup, Question, Then, Unavailable};
use enrichments::{Enrichments, Options};
use event::bad_row::{BadKind, Processor};
use event::{SchemaKey, base64};
use fastrand::Rng;
use pipeline::parked::{Parked, Reason};
use pipeline::replay::Replay;
use pipeline::{Batch, Known, Outcome, Output, Pipeline, Record, Route, Settings, Verdict};
use traffic::requests;
use validator::{Schemas, embedded};

const NOW_MS: i64 = 1_714_558_272_345;

/// The first look-up goes by the user; the second by what the first found.
fn pipeline() -> Pipeline {
    let folder = tempfile::tempdir().expect("a folder");
    let input = r#"{"key":"v","pojo":{"field":"user_id"}}"#;
    let derived = r#"{"key":"v","json":{"field":"derived_contexts","jsonPath":"$.name",
        "schemaCriterion":"iglu:com.acme/user/jsonschema/1-*-*"}}"#;
    for (name, input, entity) in [
        ("api_request_enrichment_config", input, "user"),
        ("extra_api_request_enrichment_config", derived, "team"),
    ] {
        let text = format!(
            r#"{{"schema":"iglu:com.snowplowanalytics.snowplow.enrichments/{name}/jsonschema/1-0-0",
                "data":{{"enabled":true,"parameters":{{"inputs":[{input}],
                "api":{{"http":{{"method":"GET","uri":"http://{entity}/{{{{v}}}}","timeout":1}}}},
                "outputs":[{{"schema":"iglu:com.acme/{entity}/jsonschema/1-0-0",
                             "json":{{"jsonPath":"$"}}}}],
                "cache":{{"size":1,"ttl":1}}}}}}}}"#
        );
        std::fs::write(folder.path().join(format!("{name}.json")), text).expect("a file");
    }
    let enrichments = Enrichments::load(folder.path(), None, &Options::default());
    let processor = Processor { artifact: "test".to_owned(), version: "1".to_owned() };
    let settings = Settings { incomplete: true, ..Settings::new(processor) };
    Pipeline::new(settings, Arc::new(enrichments.expect("they are right")))
}

/// What a panic of ours says.
const BOMB: &str = "something nobody thought of";

/// Leaves panics of ours out of what a failing test shows.
fn without_bombs() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str().is_none_or(|words| words != BOMB) {
            usual(panic);
        }
    }));
}

/// What everybody is answered in the end.
#[derive(Clone, Debug)]
struct World(Arc<[Lookup]>);

impl World {
    fn answer(&self, question: &Question) -> Answer {
        let Lookup::Api(api) = &self.0[question.lookup] else { panic!("all are of APIs") };
        let (url, _) = Api::request(&question.key);
        let outage = |then| {
            let words = vec!["Connection refused".into()];
            Answer::Unavailable(Arc::new(Unavailable { words, then }))
        };
        let body = |body: &str| api.answer(body).expect("it is JSON");
        match url.rsplit('/').next().expect("a URL") {
            "failed" => Answer::failed("Request failed with status 404"),
            "down" => outage(Then::Fail),
            "skipped" => outage(Then::Skip),
            "parked" => outage(Then::Park),
            "bomb" => panic!("{BOMB}"),
            // Not valid against its schema.
            "invalid" => body("[1]"),
            "teamless" => body(r#"{"name":"parked"}"#),
            name => body(&format!(r#"{{"name":"{name}"}}"#)),
        }
    }
}

impl Answers for World {
    fn get(&self, question: &Question) -> Option<Answer> {
        Some(self.answer(question))
    }
}

/// As far as it was asked.
#[derive(Debug)]
struct Given<'w>(&'w World, HashSet<Question>);

impl Answers for Given<'_> {
    fn get(&self, question: &Question) -> Option<Answer> {
        self.1.contains(question).then(|| self.0.answer(question))
    }
}

/// A record of some events, some of them bad, some with a schema that cannot be had.
fn record(rng: &mut Rng) -> Vec<u8> {
    const USERS: [&str; 11] = [
        "ada", "bob", "cleo", "failed", "down", "skipped", "parked", "invalid", "teamless", "bomb",
        "",
    ];
    let event = |rng: &mut Rng| {
        let user = USERS[rng.usize(..USERS.len())];
        let name = ["known", "known", "unavailable"][rng.usize(..3)];
        let entity = format!(
            r#"{{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0",
            "data":[{{"schema":"iglu:com.acme/{name}/jsonschema/1-0-0","data":{{}}}}]}}"#
        );
        let entities = base64::encode(entity.as_bytes());
        let number = ["1", "1", "1", "x"][rng.usize(..4)];
        let with = if rng.bool() { format!(r#","cx":"{entities}""#) } else { String::new() };
        format!(
            r#"{{"e":"pv","p":"web","tv":"x","vid":"{number}","uid":"{user}","page":"{}"{with}}}"#,
            rng.u32(..)
        )
    };
    match rng.u32(..8) {
        0 => b"no payload".to_vec(),
        1 => requests::record(&requests::get("/i", "e=pv&p=web&tv=x&uid=ada")),
        2 => requests::record(&requests::post(r#"{"schema":"iglu:a/b/jsonschema/1-0-0"}"#)),
        _ => {
            let events: Vec<String> = (0..rng.usize(1..6)).map(|_| event(rng)).collect();
            requests::record(&requests::post(&requests::body(&events.join(","))))
        }
    }
}

/// The schemas asked for so far.
fn schemas(asked: &[SchemaKey]) -> Schemas {
    static EMBEDDED: LazyLock<Vec<(String, validator::Lookup)>> = LazyLock::new(|| {
        let compiled = |key: SchemaKey| {
            let text = embedded::text(&key).expect("it is embedded");
            (format!("iglu:{}", key.path()), found(text))
        };
        embedded::keys().map(compiled).collect()
    });
    let named = asked.iter().map(|key| {
        let lookup = match key.name.as_str() {
            "known" => found("{}"),
            "user" | "team" => found(r#"{"type":"object"}"#),
            "unavailable" => validator::Lookup::Unavailable(Vec::new().into()),
            _ => validator::Lookup::Missing(Vec::new().into()),
        };
        (key.to_string(), lookup)
    });
    EMBEDDED.iter().cloned().chain(named).collect()
}

fn found(schema: &str) -> validator::Lookup {
    validator::Lookup::Found(Arc::new(validator::Schema::compile(schema)))
}

/// Processes a batch; each round gives some of what it waits for.
fn in_rounds(
    pipeline: &Pipeline,
    batch: &Batch<'_>,
    world: &World,
    rng: &mut Rng,
) -> (Output, u32) {
    let mut given = Given(world, HashSet::new());
    let mut asked: Vec<SchemaKey> = Vec::new();
    let mut known = schemas(&asked);
    let process = |given: &Given<'_>, schemas: &Schemas, suspended| {
        let known = Known { schemas, answers: Some(given) };
        match suspended {
            None => pipeline.process(batch, known, NOW_MS),
            Some(suspended) => pipeline.resume(suspended, (batch, None), known, NOW_MS),
        }
    };
    let (mut suspended, mut rounds) = (None, 0);
    loop {
        match process(&given, &known, suspended.take()) {
            Outcome::Done(output) => return (output, rounds),
            Outcome::Need(keys) => {
                asked.extend(keys);
                known = schemas(&asked);
            }
            Outcome::Waits(waits) => {
                let open: Vec<_> = waits.questions().filter(|q| !given.1.contains(q)).collect();
                let (questions, keys) = (open.len(), waits.schemas().len());
                assert!(questions + keys > 0, "it waits for nothing");
                // At least one of them, else it could go on for ever.
                let least = rng.usize(..questions + keys);
                let open = open.into_iter().enumerate();
                let more = open.filter(|(n, _)| *n == least || rng.u32(..3) == 0);
                let more: Vec<Question> = more.map(|(_, question)| question.clone()).collect();
                given.1.extend(more);
                if rng.bool() || least >= questions {
                    asked.extend(waits.schemas().iter().cloned());
                    known = schemas(&asked);
                }
                (suspended, rounds) = (Some(waits), rounds + 1);
            }
        }
    }
}

#[test]
fn answers_that_come_late_and_in_parts_change_nothing() {
    let pipeline = pipeline();
    let world = World(Arc::clone(pipeline.enrichments().lookups()));
    let (mut verdicts, mut rounds, mut both) = (HashSet::new(), 0, 0);
    without_bombs();
    for seed in 0..400 {
        let mut rng = Rng::with_seed(seed);
        let data: Vec<Vec<u8>> = (0..rng.usize(1..8)).map(|_| record(&mut rng)).collect();
        let records = data.iter().map(|data| Record { sequence: "1", sub_sequence: 0, data });
        let batch = Batch { shard: "s", records: records.collect() };
        let names = ["known", "user", "team", "unavailable", "b"];
        let asked = names.map(|name| format!("iglu:com.acme/{name}/jsonschema/1-0-0"));
        let mut asked: Vec<SchemaKey> =
            asked.iter().map(|uri| SchemaKey::parse(uri).expect("a key")).collect();
        asked.push(SchemaKey::parse("iglu:a/b/jsonschema/1-0-0").expect("a key"));
        let all = schemas(&asked);
        let known = Known { schemas: &all, answers: Some(&world) };
        let Outcome::Done(expected) = pipeline.process(&batch, known, NOW_MS) else {
            panic!("seed {seed}: everything is known");
        };
        let (output, took) = in_rounds(&pipeline, &batch, &world, &mut rng);
        for route in Route::ALL {
            let texts = [&expected, &output]
                .map(|output| String::from_utf8_lossy(output.lines(route).as_bytes()).into_owned());
            assert_eq!(texts[0], texts[1], "seed {seed}, {route:?}");
            assert_eq!(expected.lines(route).len(), output.lines(route).len(), "seed {seed}");
        }
        assert_eq!(expected.verdicts, output.verdicts, "seed {seed}");
        verdicts.extend(output.verdicts.iter().map(|(_, verdict)| *verdict));
        rounds = rounds.max(took);
        let parked = output.parked.iter().map(|line| Parked::parse(line).expect("a parked record"));
        both += parked.filter(|parked| matches!(parked.reason, Reason::Unavailable { .. })).count();
    }
    assert!(rounds > 5, "some took {rounds} rounds");
    assert!(both > 0, "records with both kinds of outage");
    let panicked = Verdict::Bad(BadKind::GenericError);
    assert!([Verdict::Parked, panicked].iter().all(|it| verdicts.contains(it)), "{verdicts:?}");
    assert!(verdicts.len() >= 6, "{verdicts:?}");
}

#[test]
fn what_is_parked_by_an_outage_is_replayed_alone() {
    let pipeline = pipeline();
    let world = World(Arc::clone(pipeline.enrichments().lookups()));
    let event = |user: &str| format!(r#"{{"e":"pv","p":"web","tv":"x","uid":"{user}"}}"#);
    let events = ["ada", "parked", "bob", "teamless"].map(event).join(",");
    let data = requests::record(&requests::post(&requests::body(&events)));
    let record = Record { sequence: "7", sub_sequence: 0, data: &data };
    let batch = Batch { shard: "s", records: vec![record] };
    let mut rng = Rng::with_seed(1);
    let (output, _) = in_rounds(&pipeline, &batch, &world, &mut rng);
    let (enriched, parked) = ((0, Verdict::Enriched), (0, Verdict::Parked));
    assert_eq!(output.verdicts, [enriched, enriched, parked, parked]);
    let line = Parked::parse(output.parked.last()).expect("a parked record");
    let indexes: Vec<u32> = line.events.iter().flatten().map(|event| event.index).collect();
    assert_eq!(indexes, [1, 3]);
    let Reason::LookupsUnavailable(why) = &line.reason else { panic!("{:?}", line.reason) };
    assert_eq!(why[0], "api_request_enrichment_config: Connection refused");
    assert_eq!(why[1], "extra_api_request_enrichment_config: Connection refused");

    /// Everybody can be asked again.
    #[derive(Debug)]
    struct Up(World);
    impl Answers for Up {
        fn get(&self, question: &Question) -> Option<Answer> {
            let Lookup::Api(api) = &self.0.0[question.lookup] else { return None };
            api.answer(r#"{"name":"back"}"#).ok()
        }
    }
    let asked = ["user", "team"].map(|name| {
        SchemaKey::parse(&format!("iglu:com.acme/{name}/jsonschema/1-0-0")).expect("a key")
    });
    let (schemas, up) = (schemas(&asked), Up(world));
    let known = Known { schemas: &schemas, answers: Some(&up) };
    let Outcome::Done(replayed) = pipeline.replay(&Replay::from(&line), &batch, known, NOW_MS)
    else {
        panic!("everything is known");
    };
    assert_eq!(replayed.verdicts, [enriched, enriched]);
    let ids: Vec<&str> =
        line.events.iter().flatten().map(|event| event.event_id.as_str()).collect();
    let lines: Vec<String> =
        replayed.enriched.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    assert!(lines.iter().zip(ids).all(|(line, id)| line.contains(id)), "pinned ids");
}
