//! Events whose schemas cannot be had: parked alone, and replayed as what they would have been.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use enricher::batch::{Arrival, Batch, Record};
use event::bad_row::{BadKind, Processor};
use lease::{Position, SequenceNumber, ShardId};
use pipeline::parked::{Parked, Reason};
use pipeline::replay::Replay;
use pipeline::{Outcome, Output, Pipeline, Settings, Unavailable, Verdict};
use resolver::Resolver;
use traffic::requests;
use validator::Schemas;

/// A schema that is not embedded.
const THING: &str = "iglu:com.acme/thing/jsonschema/1-0-0";

const UNSTRUCT: &str = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0";

#[test]
fn an_event_waits_alone_and_is_replayed_under_its_id() {
    let pipeline = pipeline(Unavailable::Park);
    let batch = batch();
    let output = resolving(&down(), |schemas| pipeline.process(&batch.view(), schemas, 1));
    assert_eq!(verdicts(&output), [Verdict::Enriched, Verdict::Enriched, Verdict::Parked]);
    assert_eq!(output.parked.len(), 1);
    let parked = Parked::parse(output.parked.last()).expect("a parked line");
    assert_eq!(parked.reason, Reason::SchemasUnavailable(vec![THING.to_owned()]));
    let waiting = parked.events.as_deref().expect("some of the events");
    assert_eq!(waiting.iter().map(|event| event.index).collect::<Vec<_>>(), [1]);

    let folder = tempfile::tempdir().expect("a folder");
    let resolver = Resolver::embedded().with_folder(with_thing(folder.path()));
    let other = Pipeline::new(Settings::new(processor()), Arc::default());
    let replay = Replay::from(&parked);
    let replayed = resolving(&resolver, |schemas| other.replay(&replay, &batch.view(), schemas, 1));
    assert_eq!(replayed.verdicts, [(0, Verdict::Enriched)]);
    assert_eq!(event_id(&replayed, 0), waiting[0].event_id);

    // What would have come of the whole record at once.
    let whole = resolving(&resolver, |schemas| pipeline.process(&batch.view(), schemas, 1));
    let mut ids = [event_id(&output, 0), waiting[0].event_id.clone(), event_id(&output, 1)];
    assert_eq!([0, 1, 2].map(|n| event_id(&whole, n)), ids);
    ids.sort();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn what_still_cannot_be_had_is_parked_again_as_it_was() {
    let pipeline = pipeline(Unavailable::Park);
    let batch = batch();
    let output = resolving(&down(), |schemas| pipeline.process(&batch.view(), schemas, 1));
    let parked = Parked::parse(output.parked.last()).expect("a parked line");
    let replay = Replay::from(&parked);
    let again = resolving(&down(), |schemas| pipeline.replay(&replay, &batch.view(), schemas, 1));
    assert_eq!(again.verdicts, [(0, Verdict::Parked)]);
    assert_eq!(again.parked.as_bytes(), output.parked.as_bytes());
}

#[test]
fn by_choice_it_is_a_bad_row() {
    let pipeline = pipeline(Unavailable::Bad);
    let output = resolving(&down(), |schemas| pipeline.process(&batch().view(), schemas, 1));
    let bad = Verdict::Bad(BadKind::SchemaViolations);
    assert_eq!(verdicts(&output), [Verdict::Enriched, bad, Verdict::Enriched]);
    assert!(output.parked.is_empty());
}

#[test]
fn a_record_that_killed_workers_is_kept_whole_either_way() {
    let batch = batch();
    let parked = pipeline(Unavailable::Park).park(&batch.view(), 3, 1);
    assert_eq!(parked.verdicts, [(0, Verdict::Parked)]);
    let bad = pipeline(Unavailable::Bad).park(&batch.view(), 3, 1);
    assert_eq!(bad.verdicts, [(0, Verdict::Bad(BadKind::GenericError))]);
    let record = event::base64::encode(&batch.records[0].data);
    for line in [parked.parked.last(), bad.bad.last()] {
        let line = std::str::from_utf8(line).expect("lines are UTF-8");
        assert!(line.contains(&record), "{line}");
    }
    assert!(bad.parked.is_empty(), "a line of a route that has no destination would be lost");
}

#[test]
fn a_compressed_record_waits_whole_and_is_counted() {
    let mut batch = batch();
    let gzip = Record { data: Bytes::from_static(b"\x1f\x8b\x08\0\0"), ..batch.records[0].clone() };
    batch.records.insert(0, gzip);
    let pass = |choice, batch: &Batch| {
        resolving(&down(), |schemas| pipeline(choice).process(&batch.view(), schemas, 1))
    };
    let output = pass(Unavailable::Park, &batch);
    assert_eq!(output.compressed, 1);
    assert_eq!(output.verdicts.first(), Some(&(0, Verdict::Parked)));
    let line = output.parked.iter().next().expect("a line");
    let parked = Parked::parse(line).expect("a parked line");
    assert_eq!((parked.reason, parked.events), (Reason::Compressed("gzip".to_owned()), None));
    // A replay that cannot read it either keeps it as it was.
    batch.records.truncate(1);
    let again = Replay::from(&Parked::parse(line).expect("a parked line"));
    let other = pipeline(Unavailable::Park);
    let again = resolving(&down(), |schemas| other.replay(&again, &batch.view(), schemas, 1));
    assert_eq!(again.parked.last(), line);
    // Where nothing is to be parked it is as unreadable as any other.
    let bad = pass(Unavailable::Bad, &batch);
    let unreadable = Verdict::Bad(BadKind::CollectorPayloadFormatViolation);
    assert_eq!((bad.verdicts, bad.compressed), (vec![(0, unreadable)], 0));
}

fn pipeline(unavailable: Unavailable) -> Pipeline {
    let mut settings = Settings::new(processor());
    settings.stream = "raw".to_owned();
    settings.unavailable = unavailable;
    Pipeline::new(settings, Arc::default())
}

fn processor() -> Processor {
    Processor { artifact: "test".to_owned(), version: "1".to_owned() }
}

/// A payload of three events, the second of which needs [`THING`].
fn batch() -> Batch {
    let page = r#"{"e":"pv","p":"web","tv":"t"}"#;
    let unstruct =
        format!(r#"{{"schema":"{UNSTRUCT}","data":{{"schema":"{THING}","data":{{}}}}}}"#);
    let thing = format!(r#"{{"e":"ue","p":"web","tv":"t","ue_pr":{unstruct:?}}}"#);
    let body = requests::body(&format!("{page},{thing},{page}"));
    let data = requests::record(&requests::post(&body));
    let sequence = SequenceNumber::parse("7").expect("a number");
    let end = Position::After { sequence: sequence.clone(), sub_sequence: 0 };
    let record =
        Record { sequence, sub_sequence: 0, arrival: Arrival::default(), data: Bytes::from(data) };
    Batch { shard: ShardId::new("shard-1"), records: vec![record], lag: None, end }
}

/// A resolver whose registry does not answer.
fn down() -> Resolver {
    // Nobody listens on a port that was bound and given back.
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("it was bound");
    drop(socket);
    let config = format!(
        r#"{{"schema":"iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-1","data":{{
        "cacheSize":500,"repositories":[
        {{"name":"Own","priority":0,"vendorPrefixes":[],
          "connection":{{"embedded":{{"path":"/x"}}}}}},
        {{"name":"Far","priority":0,"vendorPrefixes":["com.acme"],
          "connection":{{"http":{{"uri":"http://{address}"}}}}}}]}}}}"#
    );
    let resolver = Resolver::from_config(&config, Path::new("."), None);
    resolver.expect("the configuration is right").with_wait(Duration::ZERO)
}

/// Makes a static registry that has [`THING`].
fn with_thing(folder: &Path) -> &Path {
    let place = folder.join("schemas/com.acme/thing/jsonschema");
    std::fs::create_dir_all(&place).expect("the folder is ours");
    let schema = r#"{"self":{"vendor":"com.acme","name":"thing","format":"jsonschema",
        "version":"1-0-0"},"type":"object"}"#;
    std::fs::write(place.join("1-0-0"), schema).expect("the folder is ours");
    folder
}

fn resolving(resolver: &Resolver, process: impl Fn(&Schemas) -> Outcome) -> Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime starts");
    let mut schemas = resolver.schemas();
    loop {
        match process(&schemas) {
            Outcome::Done(output) => return output,
            Outcome::Need(keys) => schemas = runtime.block_on(resolver.resolve(&keys)),
            Outcome::Waits(_) => unreachable!("there are no look-ups"),
        }
    }
}

fn verdicts(output: &Output) -> Vec<Verdict> {
    output.verdicts.iter().map(|(_, verdict)| *verdict).collect()
}

fn event_id(output: &Output, line: usize) -> String {
    let line = output.enriched.iter().nth(line).expect("an enriched line");
    let line = std::str::from_utf8(line).expect("lines are UTF-8");
    line.split('\t').nth(6).expect("131 columns").to_owned()
}
