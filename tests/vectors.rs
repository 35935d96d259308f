//! Conformance: recorded payloads, and what a running peer made of them.
//!
//! `vectors/cases` holds the inputs with the peer's outcomes, `vectors/json` the flat JSON of the
//! analytics SDK for the same events. Compared are: columns by their text, JSON columns by their
//! meaning (numbers by their text), bad rows without the free text of parsers, lists of messages
//! and parameters as sets. Every difference on purpose is an entry of `vectors/deviations.toml`,
//! and an entry whose case agrees is an error too. Here every case takes the whole way, from the
//! record's bytes to the line; `enrichments` has tests of the same cases step by step.
//!
//! The enrichments' configurations are in `vectors/profiles`. Of the assets they name our own
//! samples are in `vectors/assets`; `tests/assets.py`, a step of `tests/run`, fetches the others.
//! Cases that need assets that are nowhere are left out, which is said once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use enricher::batch::{Arrival, Batch, Record};
use enricher::resolving::{Attempt, Sources, resolving};
use enrichments::javascript::{self, Broken};
use enrichments::{Enrichments, Options};
use event::bad_row::Processor;
use event::{Bump, json, tsv};
use lease::{Position, SequenceNumber, ShardId};
use lookups::{Lookups, database};
use pipeline::load::RecordEncoding;
use pipeline::{Format, Lengths, Pipeline, Settings, Verdict};
use resolver::Resolver;
use tests::databases::{Database, Kind, PASSWORD};

/// Groups of cases, in `vectors/cases`.
///
/// Pending, and nowhere else: `core-jsonschema` and `core-iglu-central-*` (what schemas mean) are
/// tested in `validator`; `enr-yauaa` is tested in `enrichments`.
const GROUPS: [&str; 43] = [
    "captures",
    "core-adapters",
    "core-badrows",
    "core-limits",
    "core-params",
    "core-querystring",
    "core-sdj",
    "core-uris",
    "core-urls",
    "core-wire",
    "enr-all",
    "enr-api",
    "enr-campaign",
    "enr-config",
    "enr-currency",
    "enr-fingerprint",
    "enr-headers",
    "enr-iab",
    "enr-ip",
    "enr-js",
    "enr-pii",
    "enr-referer",
    "enr-sql",
    "enr-ua",
    "enr-ua-legacy",
    "webhook-callrail",
    "webhook-cloudfront",
    "webhook-google-analytics",
    "webhook-hubspot",
    "webhook-mailchimp",
    "webhook-mailgun",
    "webhook-mandrill",
    "webhook-marketo",
    "webhook-olark",
    "webhook-pagerduty",
    "webhook-pingdom",
    "webhook-sendgrid",
    "webhook-statusgator",
    "webhook-std",
    "webhook-unbounce",
    "webhook-unknown",
    "webhook-urbanairship",
    "webhook-vero",
];

/// The moment at which the flat JSON was recorded.
const NOW_MS: i64 = 1_714_558_272_340;

#[test]
fn outcomes_are_the_peers_or_argued() {
    let deviations = deviations();
    let mut wrong = Vec::new();
    let (mut count, mut pii_events) = (0, 0);
    for group in GROUPS {
        for case in cases(&folder().join("cases").join(format!("{group}.jsonl"))) {
            let Some(ours) = outcomes(&case) else { continue };
            count += 1;
            let theirs = case.get("out").list();
            pii_events +=
                ours.iter().filter(|outcome| *outcome.get("pii_event") != Json::Missing).count();
            let found = differences(theirs, &ours);
            match (found.is_empty(), deviations.get(&case.name())) {
                (true, None) => {}
                (true, Some(_)) => wrong.push(format!("{}: agrees after all", case.name())),
                (false, Some(expected)) if *expected == kinds(&ours) => {}
                (false, _) => wrong.push(format!("{}:\n  {}", case.name(), found.join("\n  "))),
            }
        }
    }
    assert!(pii_events > 20, "only {pii_events} PII events were compared");
    assert!(count > 1_000, "only {count} cases ran");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn flat_json_is_the_analytics_sdks() {
    let deviations = deviations();
    let mut wrong = Vec::new();
    let mut count = 0;
    for group in GROUPS {
        let path = folder().join("json").join(format!("{group}.jsonl"));
        if !path.exists() {
            continue;
        }
        let inputs: BTreeMap<String, Json> =
            cases(&folder().join("cases").join(format!("{group}.jsonl")))
                .into_iter()
                .map(|case| (case.name(), case))
                .collect();
        for expected in cases(&path) {
            let Some(case) = inputs.get(&expected.name()) else { continue };
            if deviations.contains_key(&case.name()) {
                continue;
            }
            let Some(Ok(mut run)) = Run::of(case) else { continue };
            run.settings.format = Format::Json;
            count += 1;
            let (lines, _) = run.process();
            let ours = lines.first().cloned().unwrap_or(Json::Scalar("nothing".to_owned()));
            let theirs = expected.get("json");
            let refused = !matches!(expected.get("error"), Json::Missing);
            if refused != ours.is_bad_row() || (!refused && ours.clone().without_nulls() != *theirs)
            {
                wrong.push(format!("{}:\n  {theirs:?}\n  {ours:?}", expected.name()));
            }
        }
    }
    assert!(count > 300, "only {count} cases ran");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_rule_is_found_from_its_cases() {
    let table = std::fs::read_to_string(folder().join("README.md")).expect("it is there");
    let listed: Vec<&str> = table.split('`').skip(1).step_by(2).collect();
    for group in GROUPS.iter().filter(|group| group.starts_with("core-")) {
        for case in cases(&folder().join("cases").join(format!("{group}.jsonl"))) {
            let name = case.name();
            let rule = name.split_inclusive('/').next().unwrap_or_default();
            assert!(listed.contains(&rule), "{name}: no row of `{rule}` in vectors/README.md");
        }
    }
    let links = table.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for link in links.filter(|link| !link.contains("://")) {
        assert!(folder().join(link).exists(), "vectors/README.md: there is no {link}");
    }
    let code: Vec<String> = tests::repository::files()
        .iter()
        .filter(|file| file.path.ends_with(".rs"))
        .filter_map(tests::repository::File::text)
        .collect();
    for test in listed.iter().filter(|word| word.contains('_') && !word.contains(['/', '.', '-'])) {
        let is_there = code.iter().any(|text| text.contains(&format!("fn {test}(")));
        assert!(is_there || ["_sp", "derived_tstamp"].contains(test), "there is no test {test}");
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// Case name to the kinds of outcome that are ours on purpose.
fn deviations() -> BTreeMap<String, Vec<String>> {
    let text =
        std::fs::read_to_string(folder().join("deviations.toml")).expect("the file is there");
    let table: toml::Table = text.parse().expect("the file is TOML");
    let entries = table["deviation"].as_array().expect("deviations are an array of tables");
    let mut found = BTreeMap::new();
    for entry in entries {
        let text = |key: &str| entry[key].as_str().expect("every entry has all keys").to_owned();
        assert!(!text("why").is_empty() && !text("peer").is_empty());
        let ours = text("ours").split(", ").map(str::to_owned).collect::<Vec<_>>();
        for case in entry["cases"].as_array().expect("an entry names its cases") {
            found.insert(case.as_str().expect("a case is a name").to_owned(), ours.clone());
        }
    }
    found
}

/// The kinds of some outcomes, as the deviations name them.
fn kinds(outcomes: &[Json]) -> Vec<String> {
    let kind = |outcome: &Json| match outcome.get("bad").get("schema") {
        Json::Scalar(uri) => uri.split('/').nth(1).unwrap_or_default().to_owned(),
        _ if *outcome == Json::Missing => "refused".to_owned(),
        _ if *outcome.get("parked") != Json::Missing => "parked".to_owned(),
        _ => "enriched".to_owned(),
    };
    outcomes.iter().map(kind).collect()
}

/// What becomes of a case here; `None` when it needs an asset that is not on this machine.
fn outcomes(case: &Json) -> Option<Vec<Json>> {
    match Run::of(case)? {
        Ok(run) => Some(run.process().1),
        Err(Refused) => Some(vec![Json::Missing]),
    }
}

struct Run {
    settings: Settings,
    profile: Profile,
    record: Vec<u8>,
}

impl Run {
    fn of(case: &Json) -> Option<Result<Run, Refused>> {
        let processor = Processor { artifact: "oracle".to_owned(), version: "1.0.0".to_owned() };
        let mut settings = Settings::new(processor);
        for flag in case.get("flags").list() {
            match flag.text().as_str() {
                "acceptInvalid" => settings.lengths = Lengths::Accepted,
                "tryBase64Decoding" => settings.record_encoding = RecordEncoding::PlainOrBase64,
                other => panic!("unknown flag {other}"),
            }
        }
        let profile = match case.get("profile").text().as_str() {
            "bare" => Profile::default(),
            profile => match load_profile(profile)? {
                Ok(profile) => profile,
                Err(refused) => return Some(Err(refused)),
            },
        };
        let record =
            event::base64::decode_bytes(case.get("thrift_b64").text().as_bytes(), &Bump::new())
                .to_vec();
        Some(Ok(Run { settings, profile, record }))
    }

    /// The output's lines, and the outcomes.
    fn process(self) -> (Vec<Json>, Vec<Json>) {
        let sequence = SequenceNumber::parse("1").expect("a number");
        let end = Position::After { sequence: sequence.clone(), sub_sequence: 0 };
        let record = Record {
            sequence,
            sub_sequence: 0,
            arrival: Arrival::default(),
            data: Bytes::from(self.record),
        };
        let batch = Batch { shard: ShardId::new("s"), records: vec![record], lag: None, end };
        let tsv = self.settings.format == Format::Tsv;
        let Profile { enrichments, lookups } = self.profile;
        let pipeline = Pipeline::new(self.settings, enrichments);
        let (output, api) = AROUND.with(|Around { resolver, runtime, api }| {
            let sources = Sources { resolver, lookups: &lookups };
            let attempt = |attempt: Attempt| {
                let outcome = attempt.run(&pipeline, &batch.view(), None, NOW_MS);
                ready(Ok::<_, Infallible>(outcome))
            };
            let Ok(output) = runtime.block_on(resolving(sources, attempt));
            (output, api.to_string())
        });
        let text = |line: &[u8]| {
            let line = std::str::from_utf8(line).expect("lines are UTF-8");
            line.replace(&api, RECORDED_API)
        };
        let (mut enriched, mut bad) = (output.enriched.iter(), output.bad.iter());
        let mut pii = output.pii.iter();
        let (mut lines, mut outcomes) = (Vec::new(), Vec::new());
        for (_, verdict) in &output.verdicts {
            match verdict {
                Verdict::Enriched if tsv => {
                    let mut outcome =
                        enriched_outcome("enriched", &text(enriched.next().expect("a line")));
                    // Every event of a case that pseudonymises brings one, or none does.
                    if let Some(line) = pii.next() {
                        outcome.extend(enriched_outcome("pii_event", &text(line)));
                    }
                    outcomes.push(Json::Object(outcome));
                }
                Verdict::Enriched => {
                    lines.push(Json::parse(&text(enriched.next().expect("a line"))))
                }
                Verdict::Bad(_) => {
                    let row = Json::parse(&text(bad.next().expect("a line")));
                    lines.push(row.clone());
                    outcomes.push(Json::object([("bad".to_owned(), row)]));
                }
                Verdict::Parked => {
                    // No registry can be down.
                    let row = Json::parse(&text(output.parked.last()));
                    assert_ne!(*row.get("reason").get("compressed"), Json::Missing, "{row:?}");
                    outcomes.push(Json::object([("parked".to_owned(), row)]));
                }
                Verdict::Dropped => panic!("the peer's scripts cannot drop events"),
            }
        }
        (lines, outcomes)
    }
}

/// What is around the pipeline: registries, and an API that counts what it is asked.
struct Around {
    resolver: Resolver,
    runtime: tokio::runtime::Runtime,
    api: SocketAddr,
}

/// Where the profiles look for the API.
const RECORDED_API: &str = "127.0.0.1:4871";

thread_local! {
    static AROUND: Around = {
        let resolver = Resolver::from_file(&folder().join("resolver.json"), None);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime starts");
        let api = runtime.block_on(tests::api::start()).expect("a port of its own");
        Around { resolver: resolver.expect("the configuration is valid"), runtime, api }
    };
}

/// The enrichments of a recorded profile, if the assets are somewhere. Cases of one profile share
/// them, as they did when they were recorded.
#[allow(clippy::print_stderr, reason = "a test says what it leaves out")]
fn load_profile(profile: &str) -> Option<Loaded> {
    static SAID: std::sync::Once = std::sync::Once::new();
    let Some(assets) = assets() else {
        SAID.call_once(|| {
            eprintln!("left out: all cases with enrichments; tests/run fetches their assets");
        });
        return None;
    };
    PROFILES.with_borrow_mut(|profiles| {
        let known = profiles.entry(profile.to_owned()).or_insert_with(|| {
            let configs = folder().join("profiles").join(profile);
            // A peer finds out about a broken script with each event.
            let scripts = javascript::Options { broken: Broken::Fails, ..Default::default() };
            let options = Options { scripts, ..Options::default() };
            let configs = with_api(&configs)?;
            let loaded = Enrichments::load(configs.path(), Some(&assets), &options);
            let enrichments = loaded.map(Arc::new);
            let Ok(enrichments) = enrichments else { return Some(Err(Refused)) };
            // A peer has one connection, and what asks comes in the order of events.
            let database = database::Settings { connections: 1, ..Default::default() };
            let settings = lookups::Settings { database, ..Default::default() };
            let lookups = Lookups::open(enrichments.lookups(), |_| settings.clone());
            let lookups = Arc::new(lookups.expect("clients are made"));
            Some(Ok(Profile { enrichments, lookups }))
        });
        known.clone()
    })
}

thread_local! {
    static PROFILES: RefCell<BTreeMap<String, Option<Loaded>>> = RefCell::default();
}

type Loaded = Result<Profile, Refused>;

/// Enrichments, and who answers their look-ups.
#[derive(Clone, Default)]
struct Profile {
    enrichments: Arc<Enrichments>,
    lookups: Arc<Lookups>,
}

/// Where the profiles look for a PostgreSQL, and with which password.
const RECORDED_DATABASE: [&str; 2] = ["\"port\": 4872", "\"password\": \"x\""];

thread_local! {
    /// A PostgreSQL for this thread, if there is one on this machine: sequences in it count what
    /// was asked.
    static DATABASE: Option<Database> = AROUND.with(|Around { runtime, .. }| {
        let started = async {
            let Some(database) = Database::start(Kind::Postgres).await? else { return Ok(None) };
            database.fill(include_str!("vectors/fixtures/database.sql")).await?;
            Ok::<_, anyhow::Error>(Some(database))
        };
        runtime.block_on(started).expect("a server starts")
    });
}

/// A profile that asks the API and the database of this thread; none if there is no database.
fn with_api(profile: &Path) -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().expect("a folder");
    let api = AROUND.with(|around| around.api.to_string());
    for entry in std::fs::read_dir(profile).expect("a profile is a folder") {
        let file = entry.expect("it can be read").path();
        let text = std::fs::read_to_string(&file).expect("configurations are texts");
        let name = file.file_name().expect("a file has a name");
        let mut text = text.replace(RECORDED_API, &api);
        let [port, password] = RECORDED_DATABASE;
        if text.contains(port) {
            let ours = DATABASE.with(|database| database.as_ref().map(|it| it.port))?;
            text = text.replace(port, &format!("\"port\": {ours}"));
            text = text.replace(password, &format!("\"password\": \"{PASSWORD}\""));
        }
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    Some(folder)
}

/// A configuration that the peer takes and we do not.
#[derive(Clone, Copy, Debug)]
struct Refused;

/// The folder of assets: fetched ones, or those beside this repository.
fn assets() -> Option<PathBuf> {
    let fetched = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../tools/assets");
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/assets");
    [fetched, beside].into_iter().find(|folder| folder.join("regexes.yaml").exists())
}

fn enriched_outcome(name: &str, line: &str) -> BTreeMap<String, Json> {
    let columns = tsv::columns(line).expect("an enriched line has 131 columns");
    let columns = event::fields::FIELDS.into_iter().zip(columns).filter(|(field, text)| {
        !text.is_empty() && !matches!(field.name(), "etl_tstamp" | "v_etl")
    });
    let columns =
        columns.map(|(field, text)| (field.name().to_owned(), Json::Scalar(quoted(text))));
    BTreeMap::from([(name.to_owned(), Json::Object(columns.collect()))])
}

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    json::write_string(text, &mut out);
    String::from_utf8(out).expect("a JSON string is UTF-8")
}

fn cases(path: &Path) -> Vec<Json> {
    let text = std::fs::read_to_string(path).expect("the file is there");
    text.split('\n').filter(|line| !line.is_empty()).map(Json::parse).collect()
}

/// Where two lists of outcomes differ, in words.
fn differences(theirs: &[Json], ours: &[Json]) -> Vec<String> {
    let comparable = |outcomes: &[Json]| -> Vec<Json> {
        outcomes.iter().map(|outcome| outcome.clone().comparable()).collect()
    };
    let mut found = Vec::new();
    difference(&Json::List(comparable(theirs)), &Json::List(comparable(ours)), "", &mut found);
    found
}

fn difference(theirs: &Json, ours: &Json, path: &str, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Json::Object(a), Json::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let value = |object: &BTreeMap<String, Json>| object.get(key).cloned();
                let path = format!("{path}.{key}");
                let (a, b) = (value(a), value(b));
                difference(&a.unwrap_or(Json::Missing), &b.unwrap_or(Json::Missing), &path, found);
            }
        }
        (Json::List(a), Json::List(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                difference(a, b, &format!("{path}[{index}]"), found);
            }
        }
        (Json::Scalar(mask), Json::Scalar(_))
            if matches!(mask.as_str(), "\"<random-uuid>\"" | "\"<now>\"") => {}
        (a, b) if a == b => {}
        (a, b) => found.push(format!("{path}: the peer has {a:?}, we have {b:?}")),
    }
}

/// JSON with its scalars as raw text, so that numbers are compared by their text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Json {
    Missing,
    Scalar(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    fn parse(text: &str) -> Json {
        let arena = Bump::new();
        Json::read(json::compact(text, &arena).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    fn read(text: &str) -> Json {
        if let Some(members) = json::Members::of(text) {
            let arena = Bump::new();
            let key = |key| json::unescape(key, &arena).expect("a key is a string").to_owned();
            return Json::Object(members.map(|(k, value)| (key(k), Json::read(value))).collect());
        }
        match json::Elements::of(text) {
            Some(elements) => Json::List(elements.map(Json::read).collect()),
            None => Json::Scalar(text.to_owned()),
        }
    }

    fn object<const N: usize>(members: [(String, Json); N]) -> Json {
        Json::Object(members.into_iter().collect())
    }

    fn get(&self, key: &str) -> &Json {
        match self {
            Json::Object(members) => members.get(key).unwrap_or(&Json::Missing),
            _ => &Json::Missing,
        }
    }

    fn list(&self) -> &[Json] {
        match self {
            Json::List(elements) => elements,
            _ => &[],
        }
    }

    fn text(&self) -> String {
        let Json::Scalar(raw) = self else { panic!("expected a string, found {self:?}") };
        let arena = Bump::new();
        json::unescape(raw, &arena).expect("a string").to_owned()
    }

    fn name(&self) -> String {
        self.get("name").text()
    }

    fn is_bad_row(&self) -> bool {
        matches!(self.get("schema"), Json::Scalar(uri) if uri.contains(".badrows/"))
    }

    fn without_nulls(self) -> Json {
        let Json::Object(members) = self else { return self };
        let null = Json::Scalar("null".to_owned());
        Json::Object(members.into_iter().filter(|(_, value)| *value != null).collect())
    }

    /// An outcome in the form in which outcomes are compared.
    fn comparable(self) -> Json {
        let Json::Object(mut outcome) = self else { return self };
        for event in ["enriched", "pii_event"] {
            if let Some(Json::Object(columns)) = outcome.get_mut(event) {
                parse_json_columns(columns);
            }
        }
        if let Some(Json::Object(row)) = outcome.get_mut("bad")
            && let Some(Json::Object(data)) = row.get_mut("data")
        {
            data.remove("processor");
            let failure = data.remove("failure").unwrap_or(Json::Missing).reduced("failure");
            let payload = data.remove("payload").unwrap_or(Json::Missing);
            data.insert("failure".to_owned(), failure);
            data.insert("payload".to_owned(), comparable_payload(payload));
        }
        Json::Object(outcome)
    }

    /// Without free text and what depends on the moment; lists that are sets in order.
    fn reduced(self, key: &str) -> Json {
        match self {
            Json::Object(members) => {
                let mut members = members;
                match key {
                    "dataReports" | "schemaIssues" => drop(members.remove("message")),
                    "failure" => drop(members.remove("timestamp")),
                    "lookupHistory" => {
                        members.remove("attempts");
                        members.remove("lastAttempt");
                    }
                    _ => {}
                }
                members.remove("targets");
                // What a parser says of a text is its own affair.
                if members.contains_key("error") && members.contains_key("field") {
                    members.remove("error");
                }
                if key == "errors" {
                    members.remove("message");
                }
                let member = |(key, value): (String, Json)| {
                    let value = value.reduced(&key).without_parser_text();
                    (key, value)
                };
                Json::Object(members.into_iter().map(member).collect())
            }
            Json::List(elements) => {
                let mut elements: Vec<Json> =
                    elements.into_iter().map(|element| element.reduced(key)).collect();
                let sets = ["messages", "dataReports", "schemaIssues", "parameters", "errors"];
                if sets.contains(&key) {
                    elements.sort();
                    elements.dedup();
                }
                Json::List(elements)
            }
            scalar => scalar,
        }
    }

    /// Cuts a text where a parser's own words begin.
    fn without_parser_text(self) -> Json {
        const PREFIXES: [&str; 12] = [
            "API Request enrichment:JSONPath error ",
            "Error compiling JavaScript function: [",
            "Error during execution of JavaScript function: [",
            "error deserializing raw event: ",
            "Provided URI [",
            "could not convert access log timestamp: ",
            "could not parse body: ",
            "invalid json: ",
            "could not extract name-value pairs from querystring",
            "cannot be converted to java.math.BigDecimal. Error : ",
            "could not parse uri, expection was thrown: [",
            "trying to extract the schema of the enriched event but event type [",
        ];
        // What a parser says has no words of ours in front of it.
        const PARSERS: [&str; 8] = [
            "NonEmptyList(string matching regex '",
            "NonEmptyList(the JSONPath: ",
            "string matching regex '",
            "'[?(' expected but ",
            "the JSONPath of input [",
            "No content to map due to end-of-input",
            "Unexpected character (",
            "not JSON: ",
        ];
        let Json::Scalar(text) = &self else { return self };
        let inside = text.trim_start_matches('"');
        if PARSERS.iter().any(|begin| inside.starts_with(begin)) {
            return Json::Scalar("what a parser says".to_owned());
        }
        match PREFIXES.iter().find(|prefix| inside.starts_with(**prefix)) {
            Some(prefix) => Json::Scalar((*prefix).to_owned()),
            None => self,
        }
    }
}

fn comparable_payload(payload: Json) -> Json {
    let Json::Object(mut payload) = payload else { return payload };
    if let Some(Json::Object(columns)) = payload.remove("enriched") {
        let Json::Object(mut columns) = Json::Object(columns).without_nulls() else {
            unreachable!("an object stays one")
        };
        columns.remove("etl_tstamp");
        columns.remove("v_etl");
        parse_json_columns(&mut columns);
        payload.insert("enriched".to_owned(), Json::Object(columns));
    }
    Json::Object(payload).reduced("payload")
}

fn parse_json_columns(columns: &mut BTreeMap<String, Json>) {
    for name in ["contexts", "unstruct_event", "derived_contexts"] {
        if let Some(value) = columns.get_mut(name) {
            *value = Json::parse(&value.text());
        }
    }
}
