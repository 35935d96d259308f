//! Reading and writing streams against answers that AWS gives on bad days, from a server that
//! plays a script: what is asked next is what counts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use enricher::batch::{Arrival, Batch, Record};
use enricher::budget::{Budget, Hurry};
use enricher::metrics::Metrics;
use enricher::sink::kinesis::{self as stream, Fallback, Key, Kinesis as Stream, Packing};
use enricher::sink::{Origin, Part, Route, Sink, Written};
use enricher::source::kinesis::several::Several;
use enricher::source::kinesis::{Expired, Kinesis, Settings};
use enricher::source::{Batches, Source};
use lease::{Held, Keeper, Leases, Position, SequenceNumber, Shard, ShardId, WorkerId};
use pipeline::Lines;
use pipeline::divide::Form;
use serde_json::{Value, json};

/// Status and body.
type Answers = VecDeque<(u16, Value)>;

/// Answers by operation, each given once, the last of them again and again.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<BTreeMap<&'static str, Answers>>>,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

/// Stands for an answer that takes all records of a request, however many.
const TAKE_ALL: Value = Value::Null;

impl Script {
    fn answer(&self, operation: &'static str, answer: Value) {
        self.push(operation, 200, answer);
    }

    fn refuse(&self, operation: &'static str, code: &str) {
        self.push(operation, 400, json!({"__type": code, "message": "as scripted"}));
    }

    fn push(&self, operation: &'static str, status: u16, answer: Value) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.entry(operation).or_default().push_back((status, answer));
    }

    /// From now on there is this answer only.
    fn replace(&self, operation: &'static str, answer: Value) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(operation, VecDeque::from([(200, answer)]));
    }

    /// What was asked of one operation.
    fn asked(&self, operation: &str) -> Vec<Value> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().filter(|(name, _)| name == operation).map(|(_, body)| body.clone()).collect()
    }

    fn next(&self, operation: &str) -> (u16, Value) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let left = answers.get_mut(operation).unwrap_or_else(|| panic!("{operation} was asked"));
        if left.len() > 1 { left.pop_front() } else { left.front().cloned() }.expect("an answer")
    }

    /// Serves the script, and makes a client of it.
    async fn client(&self) -> aws_sdk_kinesis::Client {
        let routes = axum::Router::new().fallback(play).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        #[allow(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .region(Region::new("eu-west-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .endpoint_url(format!("http://{address}"));
        aws_sdk_kinesis::Client::from_conf(config.build())
    }
}

async fn play(State(script): State<Script>, request: Request) -> (StatusCode, String) {
    let target = request.headers().get("x-amz-target").expect("an operation");
    let target = target.to_str().expect("it is text").rsplit('.').next().unwrap_or_default();
    let operation = target.to_owned();
    let body = axum::body::to_bytes(request.into_body(), 10 << 20).await.expect("a body");
    let body: Value = serde_json::from_slice(&body).expect("it is JSON");
    let records = body["Records"].as_array().map_or(0, Vec::len);
    script.asked.lock().unwrap_or_else(PoisonError::into_inner).push((operation.clone(), body));
    let (status, mut answer) = script.next(&operation);
    if answer == TAKE_ALL {
        let taken = json!({"SequenceNumber": "1", "ShardId": "s"});
        answer = json!({"FailedRecordCount": 0, "Records": vec![taken; records]});
    }
    (StatusCode::from_u16(status).expect("a status"), answer.to_string())
}

fn page(records: &[(u64, &[u8])], next: Option<&str>) -> Value {
    let records: Vec<Value> = records
        .iter()
        .map(|(sequence, data)| {
            let data = base64_simd::STANDARD.encode_to_string(data);
            json!({"SequenceNumber": sequence.to_string(), "PartitionKey": "k", "Data": data})
        })
        .collect();
    json!({"Records": records, "NextShardIterator": next, "MillisBehindLatest": 1})
}

fn listing(end: Option<&str>) -> Value {
    json!({"Shards": [{
        "ShardId": "shard-1",
        "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "9"},
        "SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": end}
    }]})
}

fn summary(stream: &str, created: u64) -> Value {
    json!({"StreamDescriptionSummary": {
        "StreamName": stream,
        "StreamARN": format!("arn:aws:kinesis:eu-west-1:123456789012:stream/{stream}"),
        "StreamStatus": "ACTIVE",
        "StreamCreationTimestamp": created,
        "RetentionPeriodHours": 24,
        "EnhancedMonitoring": [],
        "OpenShardCount": 1,
    }})
}

async fn source(script: &Script) -> Kinesis {
    source_with(script, Expired::GoOn).await
}

async fn source_with(script: &Script, expired: Expired) -> Kinesis {
    let settings = Settings {
        stream: "raw".to_owned(),
        arn: None,
        poll_interval: Duration::from_millis(1),
        idle_poll_interval: Duration::from_millis(1),
        batch_bytes: 1 << 20,
        batch_age: Duration::ZERO,
        expired,
    };
    Kinesis::new(script.client().await, settings, Arc::new(Metrics::new()))
}

fn open(source: &Kinesis, from: Position) -> Batches {
    let budget = Arc::new(Budget::new(8 << 20, Hurry::default()));
    Batches::open(source, &ShardId::new("shard-1"), from, &budget)
}

fn number(n: u64) -> SequenceNumber {
    SequenceNumber::parse(&n.to_string()).expect("a number")
}

fn after(n: u64, sub_sequence: u64) -> Position {
    Position::After { sequence: number(n), sub_sequence }
}

/// Reads to the end of the shard.
async fn read(mut batches: Batches) -> (Vec<Record>, Position) {
    let (mut records, mut end) = (Vec::new(), Position::TrimHorizon);
    while let Some((batch, _)) = batches.next().await.expect("reading does not fail") {
        assert!(batch.end >= end, "positions do not go back");
        records.extend(batch.records);
        end = batch.end;
    }
    (records, end)
}

fn numbers(records: &[Record]) -> Vec<(String, u64)> {
    records.iter().map(|record| (record.sequence.to_string(), record.sub_sequence)).collect()
}

fn plain(expected: &[u64]) -> Vec<(String, u64)> {
    expected.iter().map(|n| (n.to_string(), 0)).collect()
}

#[tokio::test]
async fn an_expired_iterator_and_throttling_lose_and_repeat_nothing() {
    let script = Script::default();
    script.answer("GetShardIterator", json!({"ShardIterator": "i1"}));
    script.answer("GetShardIterator", json!({"ShardIterator": "i2"}));
    script.answer("GetRecords", page(&[(10, b"a"), (11, b"b")], Some("i1b")));
    script.refuse("GetRecords", "ProvisionedThroughputExceededException");
    script.refuse("GetRecords", "ExpiredIteratorException");
    // The record asked for comes again.
    script.answer("GetRecords", page(&[(11, b"b"), (12, b"c")], None));
    script.answer("ListShards", listing(Some("12")));
    let source = source(&script).await;
    let (records, end) = read(open(&source, Position::TrimHorizon)).await;
    assert_eq!(numbers(&records), plain(&[10, 11, 12]));
    assert_eq!(end, Position::ShardEnd);
    let iterators = script.asked("GetShardIterator");
    assert_eq!(iterators[0]["ShardIteratorType"], "TRIM_HORIZON");
    assert_eq!(iterators[1]["ShardIteratorType"], "AT_SEQUENCE_NUMBER");
    assert_eq!(iterators[1]["StartingSequenceNumber"], "11");
    let asked: Vec<Value> =
        script.asked("GetRecords").iter().map(|body| body["ShardIterator"].clone()).collect();
    assert_eq!(asked, ["i1", "i1b", "i1b", "i2"]);
}

#[tokio::test]
async fn a_shard_is_read_from_a_time_on() {
    let script = Script::default();
    script.answer("GetShardIterator", json!({"ShardIterator": "i"}));
    script.answer("GetRecords", page(&[(10, b"a")], None));
    script.answer("ListShards", listing(Some("10")));
    script.answer(
        "DescribeStreamSummary",
        json!({"StreamDescriptionSummary": {
            "StreamName": "raw", "StreamARN": "arn:raw", "StreamStatus": "ACTIVE",
            "RetentionPeriodHours": 24, "StreamCreationTimestamp": 1_700_000_000.25,
            "EnhancedMonitoring": [], "OpenShardCount": 1
        }}),
    );
    let source = source(&script).await;
    let from = Position::AtTimestamp(Some(1_700_000_000_500));
    let (records, _) = read(open(&source, from)).await;
    assert_eq!(numbers(&records), plain(&[10]));
    let iterator = &script.asked("GetShardIterator")[0];
    assert_eq!(iterator["ShardIteratorType"], "AT_TIMESTAMP");
    assert_eq!(iterator["Timestamp"], 1_700_000_000.5);
    let stream = source.stream().await;
    assert_eq!((stream.name.as_deref(), stream.created), (Some("arn:raw"), Some(1_700_000_000)));
}

#[tokio::test]
async fn a_missing_iterator_is_not_believed_while_the_shard_is_open() {
    let script = Script::default();
    script.answer("GetShardIterator", json!({"ShardIterator": "i"}));
    script.answer("GetRecords", page(&[(10, b"a")], None));
    script.answer("GetRecords", page(&[(10, b"a"), (11, b"b")], None));
    script.answer("ListShards", listing(None));
    script.answer("ListShards", listing(Some("11")));
    let source = source(&script).await;
    let (records, end) = read(open(&source, Position::TrimHorizon)).await;
    assert_eq!(numbers(&records), plain(&[10, 11]));
    assert_eq!(end, Position::ShardEnd);
}

#[tokio::test]
async fn children_in_the_answer_are_enough() {
    let script = Script::default();
    script.answer("GetShardIterator", json!({"ShardIterator": "i"}));
    let mut last = page(&[(10, b"a")], None);
    let range = json!({"StartingHashKey": "0", "EndingHashKey": "9"});
    let child = json!({"ShardId": "shard-2", "ParentShards": ["shard-1"], "HashKeyRange": range});
    last["ChildShards"] = json!([child]);
    script.answer("GetRecords", last);
    let source = source(&script).await;
    let (records, end) = read(open(&source, Position::TrimHorizon)).await;
    assert_eq!((numbers(&records), end), (plain(&[10]), Position::ShardEnd));
}

#[tokio::test]
async fn a_position_inside_an_aggregated_record_is_resumed_there() {
    let script = Script::default();
    script.answer("GetShardIterator", json!({"ShardIterator": "i"}));
    let aggregated = aggregate(&[b"zero", b"one", b"two"]);
    script.answer("GetRecords", page(&[(9, b"old"), (10, &aggregated), (11, b"b")], None));
    script.answer("ListShards", listing(Some("11")));
    let source = source(&script).await;
    let (records, _) = read(open(&source, after(10, 0))).await;
    let expected: Vec<(String, u64)> = [(10, 1), (10, 2), (11, 0)]
        .map(|(sequence, sub): (u64, u64)| (sequence.to_string(), sub))
        .into();
    assert_eq!(numbers(&records), expected);
    assert_eq!(records[0].data.as_ref(), b"one");
}

#[tokio::test]
async fn a_trimmed_position_goes_on_with_the_oldest_record() {
    let script = Script::default();
    script.refuse("GetShardIterator", "InvalidArgumentException");
    script.answer("GetShardIterator", json!({"ShardIterator": "i"}));
    script.answer("GetRecords", page(&[(70, b"a")], None));
    script.answer("ListShards", listing(Some("70")));
    let source = source(&script).await;
    let (records, _) = read(open(&source, after(10, 0))).await;
    assert_eq!(numbers(&records), plain(&[70]));
    let asked = script.asked("GetShardIterator");
    assert_eq!(asked[1]["ShardIteratorType"], "TRIM_HORIZON");
}

#[tokio::test]
async fn by_choice_a_shard_stops_where_records_have_expired() {
    let script = Script::default();
    script.refuse("GetShardIterator", "InvalidArgumentException");
    script.answer("GetShardIterator", json!({"ShardIterator": "i"}));
    script.answer("GetRecords", page(&[(70, b"a")], None));
    let source = source_with(&script, Expired::Stop).await;
    let error = open(&source, after(10, 0)).next().await.expect_err("records are missing");
    let said = format!("{error}: {}", std::error::Error::source(&error).expect("a reason"));
    assert!(said.contains("shard-1") && said.contains("after 10 may have expired"), "{said}");
}

/// A number of AWS's, which says that its record came in 2018.
const OF_2018: &str = "49590338271490256608559692538361571095921575989136588898";

#[tokio::test]
async fn what_expired_is_found_out_where_the_stream_does_not_say() {
    for (first, expected) in
        [(OF_2018, true), ("49590338271490256608559692538361571095921575989136588899", false)]
    {
        let script = Script::default();
        script.answer("DescribeStreamSummary", summary("raw", 1_500_000_000));
        script.answer("ListShards", listing(Some("7")));
        script.answer("GetShardIterator", json!({"ShardIterator": "i"}));
        let mut records = page(&[(7, b"a")], None);
        records["Records"][0]["SequenceNumber"] = json!(first);
        script.answer("GetRecords", records);
        let source = source_with(&script, Expired::Stop).await;
        source.shards().await.expect("a listing");
        let sequence = SequenceNumber::parse(OF_2018).expect("a number");
        let mut batches = open(&source, Position::After { sequence, sub_sequence: 0 });
        let read = batches.next().await;
        assert_eq!(read.is_ok(), expected, "{first}: {read:?}");
    }
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_an_error_and_not_the_end_of_the_shard() {
    let script = Script::default();
    script.refuse("GetShardIterator", "ResourceNotFoundException");
    script.refuse("ListShards", "ResourceNotFoundException");
    tokio::time::pause();
    let source = source(&script).await;
    let error = open(&source, Position::TrimHorizon).next().await.expect_err("no stream");
    assert!(error.to_string().contains("shard-1"), "{error}");
}

#[tokio::test]
async fn listing_goes_through_all_pages() {
    let script = Script::default();
    let mut first = listing(None);
    first["NextToken"] = json!("more");
    script.answer("ListShards", first);
    let mut second = listing(Some("5"));
    second["Shards"][0]["ShardId"] = json!("shard-2");
    second["Shards"][0]["ParentShardId"] = json!("shard-1");
    script.answer("ListShards", second);
    script.refuse("DescribeStreamSummary", "AccessDeniedException");
    let shards = source(&script).await.shards().await.expect("two pages");
    let ids: Vec<&str> = shards.iter().map(|shard| shard.id.as_str()).collect();
    assert_eq!(ids, ["shard-1", "shard-2"]);
    assert_eq!((shards[0].closed, shards[1].closed), (false, true));
    assert_eq!(shards[1].parents, [ShardId::new("shard-1")]);
    let asked = script.asked("ListShards");
    assert_eq!(asked[1], json!({"NextToken": "more"}), "a further page names no stream");
}

#[tokio::test]
async fn one_of_several_streams_that_does_not_answer_keeps_its_shards() {
    let (one, other) = (Script::default(), Script::default());
    one.answer("DescribeStreamSummary", summary("one", 7));
    one.answer("ListShards", listing(None));
    other.answer("DescribeStreamSummary", summary("other", 8));
    other.answer("ListShards", listing(None));
    other.refuse("ListShards", "InternalFailure");
    other.answer("ListShards", listing(None));
    let several = Several::new([source(&one).await, source(&other).await]);
    let shards = async || -> Result<Vec<String>, String> {
        let shards = several.shards().await.map_err(|error| error.to_string())?;
        Ok(shards.iter().map(|shard| shard.id.to_string()).collect())
    };
    let error = shards().await.expect_err("they have not said who they are");
    assert!(error.contains("listing the shards"), "{error}");
    let known = several.stream().await;
    assert_eq!(*known.several, ["123456789012:one:7", "123456789012:other:8"].map(str::to_owned));
    let all = ["123456789012:one:7:shard-1", "123456789012:other:8:shard-1"].map(str::to_owned);
    assert_eq!(shards().await.expect("a listing"), all);
    assert_eq!(shards().await.expect("the listing that is known"), all);
    // It is back, and another one.
    other.replace("DescribeStreamSummary", summary("other", 9));
    assert!(shards().await.is_err(), "whoever plans has to be told");
    let known = several.stream().await;
    assert_eq!(known.several[1], "123456789012:other:9");
    assert_eq!(shards().await.expect("a listing")[1], "123456789012:other:9:shard-1");
}

#[tokio::test]
async fn a_shard_of_several_is_read_under_its_whole_name() {
    let script = Script::default();
    script.answer("DescribeStreamSummary", summary("raw", 7));
    script.answer("GetShardIterator", json!({"ShardIterator": "i"}));
    script.answer("GetRecords", page(&[(5, b"a")], None));
    script.answer("ListShards", listing(Some("5")));
    let several = Several::new([source(&script).await]);
    several.stream().await;
    let budget = Arc::new(Budget::new(8 << 20, Hurry::default()));
    let shard = ShardId::new("123456789012:raw:7:shard-1");
    let mut batches = Batches::open(&several, &shard, Position::TrimHorizon, &budget);
    let (batch, _) = batches.next().await.expect("it is read").expect("a batch");
    assert_eq!(batch.shard, shard);
    assert_eq!(script.asked("GetShardIterator")[0]["ShardId"], "shard-1");
    let archived = batch.archived("x");
    let text = String::from_utf8_lossy(archived.as_bytes()).into_owned();
    assert!(text.contains("raw") && !text.contains("raw:7"), "{text:?}");
    let foreign = ShardId::new("123456789012:raw:8:shard-1");
    let mut batches = Batches::open(&several, &foreign, Position::TrimHorizon, &budget);
    assert!(batches.next().await.is_err());
}

#[tokio::test]
async fn only_refused_entries_are_sent_again() {
    let script = Script::default();
    let taken = json!({"SequenceNumber": "1", "ShardId": "s"});
    let refused = json!({"ErrorCode": "ProvisionedThroughputExceededException"});
    script.push("PutRecords", 500, json!({"__type": "InternalFailure"}));
    script.answer(
        "PutRecords",
        json!({"FailedRecordCount": 2, "Records": [refused, taken, refused]}),
    );
    script.answer("PutRecords", json!({"FailedRecordCount": 1, "Records": [taken, refused]}));
    script.answer("PutRecords", json!({"FailedRecordCount": 0, "Records": [taken]}));
    let (held, _keeper) = held().await;
    let (sink, metrics) = packing_stream(&script, Fallback::None, Packing::default()).await;
    let written = sink.write(part(&held, &["a", "b", "c"])).await;
    assert!(matches!(written, Ok(Written::Durable)), "{written:?}");
    let twice = "snowmelt_duplicates_total{cause=\"answer_lost\"} 3\n";
    assert!(metrics.text().contains(twice), "the first request may have been taken");
    assert_eq!(
        sent(&script),
        [vec!["a", "b", "c"], vec!["a", "b", "c"], vec!["a", "c"], vec!["c"]]
    );
}

/// What is written is read again, whatever it is packed in; what is refused is sent again whole.
#[tokio::test]
async fn packed_lines_are_read_by_our_own_source() {
    let texts: Vec<String> = (0..3_000).map(|n| format!("line {n} of an event")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for (aggregate, zstd) in [(true, false), (false, true), (true, true)] {
        let script = Script::default();
        let refused = json!({"ErrorCode": "ProvisionedThroughputExceededException"});
        let records = vec![refused.clone(); if aggregate { 2 } else { 500 }];
        script.answer("PutRecords", json!({"FailedRecordCount": 1, "Records": records}));
        script.answer("PutRecords", TAKE_ALL);
        let sink = packing_stream(&script, Fallback::None, Packing { aggregate, zstd }).await.0;
        let (held, _keeper) = held().await;
        let written = sink.write(part(&held, &texts)).await.expect("all is taken in the end");
        assert!(matches!(written, Written::Durable));
        let asked = script.asked("PutRecords");
        let (first, rest) = asked.split_first().expect("a request");
        let again: Vec<&Value> =
            rest.iter().flat_map(|it| it["Records"].as_array()).flatten().collect();
        let whole = first["Records"].as_array().expect("records");
        assert!(whole.iter().all(|record| again.contains(&record)), "the same, keys included");
        assert!(!aggregate || again.len() <= 3, "{} records", again.len());
        // As its shard would give it back.
        let mut page = page(&[], None);
        let numbered = again.iter().zip(1_u64..).map(|(record, n)| {
            let number = n.to_string();
            json!({"SequenceNumber": number, "PartitionKey": "k", "Data": record["Data"]})
        });
        page["Records"] = numbered.collect();
        let script = Script::default();
        script.answer("GetShardIterator", json!({"ShardIterator": "i"}));
        script.answer("GetRecords", page);
        script.answer("ListShards", listing(Some("7")));
        let (records, _) = read(open(&source(&script).await, Position::TrimHorizon)).await;
        let mut lines: Vec<_> =
            records.iter().map(|record| String::from_utf8_lossy(&record.data)).collect();
        let mut expected = texts.clone();
        lines.sort();
        expected.sort();
        assert_eq!(lines, expected, "{aggregate} {zstd}");
    }
}

#[tokio::test]
async fn requests_keep_to_the_limits_and_giants_go_elsewhere() {
    let script = Script::default();
    script.answer("PutRecords", TAKE_ALL);
    let (held, _keeper) = held().await;
    let elsewhere = Arc::new(enricher::sink::memory::Memory::default());
    let giant = "g".repeat(1 << 20);
    let mut lines = vec!["line"; 501];
    lines.insert(7, &giant);
    let fallback = Fallback::Sink(Arc::clone(&elsewhere) as _);
    let written = stream(&script, fallback).await.write(part(&held, &lines)).await;
    assert!(matches!(written, Ok(Written::Durable)), "{written:?}");
    let sizes: Vec<usize> = sent(&script).iter().map(Vec::len).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 501);
    assert!(sizes.iter().all(|size| *size <= 500), "{sizes:?}");
    assert_eq!(elsewhere.lines(), [giant.into_bytes()]);
}

#[tokio::test]
async fn nothing_is_sent_for_a_lease_that_is_gone() {
    let script = Script::default();
    script.answer("PutRecords", json!({"FailedRecordCount": 0, "Records": []}));
    let (held, _keeper) = held().await;
    let part = part(&held, &["a"]);
    drop(held);
    let written = stream(&script, Fallback::None).await.write(part).await;
    assert!(matches!(written, Err(enricher::sink::Error::Lost)), "{written:?}");
    assert_eq!(script.asked("PutRecords").len(), 0);
}

async fn stream(script: &Script, fallback: Fallback) -> Stream {
    packing_stream(script, fallback, Packing::default()).await.0
}

async fn packing_stream(
    script: &Script,
    fallback: Fallback,
    packing: Packing,
) -> (Stream, Arc<Metrics>) {
    let (client, metrics) = (script.client().await, Arc::new(Metrics::new()));
    let settings = stream::Settings {
        stream: "out".to_owned(),
        route: Route::Enriched,
        name: None,
        key: Key::Random,
        form: Form::Own,
        packing,
    };
    (Stream::new(client, settings, fallback, Arc::clone(&metrics)), metrics)
}

/// The lines of each request, sorted by the order in which requests came.
fn sent(script: &Script) -> Vec<Vec<String>> {
    let line = |record: &Value| {
        let data = record["Data"].as_str().expect("data");
        let data = base64_simd::STANDARD.decode_to_vec(data).expect("it is Base64");
        String::from_utf8(data).expect("lines are UTF-8")
    };
    let lines =
        |body: &Value| body["Records"].as_array().expect("records").iter().map(line).collect();
    script.asked("PutRecords").iter().map(lines).collect()
}

/// A lease on `shard-1`.
async fn held() -> (Arc<Held>, (Keeper, Leases)) {
    let id = WorkerId::parse("worker").expect("a name");
    let store = Arc::new(lease::store::memory::Memory::new());
    let (keeper, mut leases) = Keeper::start(store, lease::Config::new(id));
    let id = ShardId::new("shard-1");
    keeper.observe_shards(vec![Shard { id, parents: vec![], hash_range: None, closed: false }]);
    let held = leases.next().await.expect("the only shard");
    (Arc::new(held), (keeper, leases))
}

fn part(held: &Arc<Held>, texts: &[&str]) -> Arc<Part> {
    let record = Record {
        sequence: number(1),
        sub_sequence: 0,
        arrival: Arrival::default(),
        data: bytes::Bytes::from_static(b"x"),
    };
    let shard = ShardId::new("shard-1");
    let batch = Batch { shard, records: vec![record], lag: None, end: after(1, 0) };
    let origin = Origin::of(&batch, held, 0).expect("it has a record");
    let mut lines = Lines::default();
    for text in texts {
        lines.push_with(|out| out.extend_from_slice(text.as_bytes()));
    }
    Arc::new(Part { lines, origin, folder: None })
}

/// An aggregated record, its lengths below 128.
fn aggregate(parts: &[&[u8]]) -> Vec<u8> {
    use md5::Digest;
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let record = |part: &&[u8]| field(3, &[&[8, 0], field(3, part).as_slice()].concat());
    let message: Vec<u8> =
        field(1, b"k").into_iter().chain(parts.iter().flat_map(record)).collect();
    let digest = md5::Md5::digest(&message);
    [&[0xf3, 0x89, 0x9a, 0xc2], message.as_slice(), digest.as_slice()].concat()
}
