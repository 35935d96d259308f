//! `snowmelt import`: what it makes of a peer's configuration can be used, and every setting of it
//! is told of.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const MODERN: &str = r#"// all there is of a pipeline
input {
  type = Kinesis
  appName = "enrich-of-acme"
  streamName = "raw"
  streamName = ${?RAW_STREAM}
  region = eu-central-1
  initialPosition { type = AT_TIMESTAMP, timestamp = "2020-07-17T10:00:00Z" }
  retrievalMode { type = "FanOut" }
  bufferSize = 3
  checkpointBackoff { minBackoff = 100 milliseconds, maxRetries = 10 }
  dynamodbCustomEndpoint = "http://127.0.0.1:8001"
}
output {
  good { type = "Kinesis", streamName = "good", partitionKey = "domain_userid", jsonOutput = true
    region = ${input.region} }
  bad { type = "Kinesis", streamName = "failed", recordLimit = 500, region = "us-east-1" }
  pii { type = "Kinesis", streamName = "" }
}
concurrency { enrich = 256 }
assetsUpdatePeriod = "30 days"
featureFlags { acceptInvalid = true, legacyEnrichmentOrder = false, tryBase64Decoding = true }
validation.atomicFieldsLimits { mkt_clickid = 1000 }
adaptersSchemas.hubspot.contactCreation = "iglu:com.acme/contact_creation/jsonschema/1-0-0"
remoteAdapters.configs = [ { vendor = com.acme, version = v1, url = "https://acme.com" } ]
monitoring { sentry { dsn = "https://acme.com" }, metrics { cloudwatch = true } }
telemetry { disable = true }
somethingElse = 1
"#;

const TOLD: &[&str] = &[
    "enrich.hocon:3: input.type is not needed",
    "enrich.hocon:4: input.appName → [leases] table",
    "enrich.hocon:6: input.streamName → [source] stream",
    "enrich.hocon:8: input.initialPosition.timestamp → [source] initial_position",
    "enrich.hocon:9: input.retrievalMode.type → [source] mode",
    "enrich.hocon:10: input.bufferSize is not needed: [worker] bytes_in_flight",
    "enrich.hocon:15: output.good.jsonOutput → [[enriched.to]] format",
    "enrich.hocon:16: output.good.region → [aws] region",
    "enrich.hocon:17: output.bad.region → [bad.kinesis] region",
    "enrich.hocon:18: output.pii.streamName is not needed: it is not set",
    "enrich.hocon:24: adaptersSchemas.hubspot.contactCreation → [adapters.hubspot] contact_creation",
    "enrich.hocon:25: remoteAdapters.configs has no counterpart: [[adapter]] ",
    "enrich.hocon:26: monitoring.sentry.dsn has no counterpart: ",
    "enrich.hocon:28: somethingElse has no counterpart: it is not a setting that is known",
    "enrichments/weather.json: weather_enrichment_config does not run here",
];

/// `stream-enrich`, as it was configured before.
const LEGACY: &str = r#"enrich {
  streams {
    in { raw = "raw" }
    out { enriched = "good", bad = "failed", partitionKey = "event_id" }
    sourceSink { enabled = kinesis, region = "eu-west-1", initialPosition = "LATEST"
      aws { accessKey = iam, secretKey = iam } }
    buffer { byteLimit = 5242880 }
    appName = "old"
  }
}
"#;

fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snowmelt"));
    command.current_dir(folder).args(args).env_remove("RAW_STREAM").env("AWS_REGION", "eu-west-1");
    command.env("AWS_EC2_METADATA_DISABLED", "true").output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn place(config: &str) -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a folder");
    fs::write(place.path().join("enrich.hocon"), config).expect("it is ours");
    place
}

/// What a worker would do with what was made.
fn checked(folder: &Path) -> String {
    let output = run(folder, &["worker", "--config", "out/worker.toml", "--check"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_pipeline_is_taken_whole_and_all_of_it_is_told() {
    let place = place(MODERN);
    let folder = place.path();
    let resolver = "schema: \"iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-1\"\n\
                    data { cacheSize: 500, repositories: [] }";
    fs::write(folder.join("resolver.hocon"), resolver).expect("it is ours");
    let configurations = folder.join("configurations");
    fs::create_dir(&configurations).expect("it is ours");
    let of = |name: &str, version: &str, parameters: &str| {
        format!(
            "{{\"schema\":\"iglu:com.snowplowanalytics.snowplow.enrichments/{name}/jsonschema/\
             {version}\",\"data\":{{\"vendor\":\"com.snowplowanalytics.snowplow.enrichments\",\
             \"name\":\"{name}\",\"enabled\":true,\"parameters\":{parameters}}}}}"
        )
    };
    let header = of("http_header_extractor_config", "1-0-0", "{\"headersPattern\":\".*\"}");
    fs::write(configurations.join("headers.json"), &header).expect("it is ours");
    let weather = of("weather_enrichment_config", "1-0-0", "{}");
    fs::write(configurations.join("weather.json"), weather).expect("it is ours");

    let args = ["import", "enrich.hocon", "--output", "out", "--resolver", "resolver.hocon"];
    let output = run(folder, &[&args[..], &["--enrichments", "configurations"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    for told in TOLD {
        assert!(said.lines().any(|line| line.starts_with(told)), "{told}\n{said}");
    }
    let made = fs::read_to_string(folder.join("out/worker.toml")).expect("it is there");
    for line in [
        "stream = \"${RAW_STREAM:-raw}\"",
        "table = \"enrich-of-acme\"",
        "dynamodb_endpoint_url = \"http://127.0.0.1:8001\"",
        "partition_key = \"domain_userid\"",
        "accept_invalid = true",
        "base64 = true",
        "mkt_clickid = 1000",
    ] {
        assert!(made.lines().any(|it| it == line), "{line}\n{made}");
    }
    let copied = fs::read_to_string(folder.join("out/enrichments/headers.json"));
    assert_eq!(copied.expect("it is there"), header);
    let plan = checked(folder);
    let written =
        "enriched   → json: stream good, as JSON\nbad        → stream failed in us-east-1\n";
    assert!(plan.contains(written), "{plan}");
    // A second time nothing is overwritten.
    let again = run(folder, &args);
    assert_eq!(again.status.code(), Some(64));
    assert!(text(&again.stderr).contains("worker.toml is there already"));
}

#[test]
fn an_older_one_is_taken_too() {
    let place = place(LEGACY);
    let output = run(place.path(), &["import", "enrich.hocon", "--output", "out"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    for told in [
        "enrich.hocon:3: enrich.streams.in.raw → [source] stream",
        "enrich.hocon:6: enrich.streams.sourceSink.aws.secretKey has no counterpart: credentials",
    ] {
        assert!(said.lines().any(|line| line.starts_with(told)), "{told}\n{said}");
    }
    assert!(checked(place.path()).contains("enriched   → stream good"));
}

/// What every line of the two reference configurations of OpenSnowcat becomes.
#[test]
fn the_reference_configurations_are_taken_line_by_line() {
    let place = place(include_str!("configurations/least.hocon"));
    let output = run(place.path(), &["import", "enrich.hocon", "--output", "out"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(checked(place.path()).contains("enriched   → stream enriched"));

    let everything = include_str!("configurations/everything.hocon");
    let place = self::place(everything);
    let output = run(place.path(), &["import", "enrich.hocon", "--output", "out"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    let told: Vec<&str> =
        said.lines().filter_map(|line| line.strip_prefix("enrich.hocon:")).collect();
    for (number, line) in (1..).zip(everything.lines()) {
        let of_line = format!("{number}: ");
        // What opens or closes an object says nothing; the list of adapters is one setting.
        let value = line.contains("\": ") && !line.trim_end().ends_with(['{', '[']);
        let in_list = ["vendor", "version", "url"]
            .iter()
            .any(|key| line.trim().starts_with(&format!("\"{key}\"")));
        let is_told = told.iter().any(|told| told.starts_with(&of_line));
        assert_eq!(is_told || in_list, value || line.contains("\"configs\""), "{number}: {line}");
    }
    let lost: Vec<&str> =
        told.iter().filter(|it| it.contains("has no counterpart")).copied().collect();
    let lost: Vec<&str> = lost.iter().filter_map(|it| it.split(' ').nth(1)).collect();
    assert_eq!(
        lost,
        [
            "remoteAdapters.configs",
            "monitoring.sentry.dsn",
            "experimental.metadata.endpoint",
            "experimental.metadata.interval",
            "experimental.metadata.organizationId",
            "experimental.metadata.pipelineId",
        ]
    );
    let made = fs::read_to_string(place.path().join("out/worker.toml")).expect("it is there");
    for line in [
        "statsd = \"localhost:8125\"",
        "prefix = \"snowplow.enrich.\"",
        "period = \"10000ms\"",
        "app = \"enrich\"",
        "table = \"opensnowcat-enrich-kinesis\"",
        "kinesis_endpoint_url = \"http://localhost:4566\"",
        "refresh = \"604800000ms\"",
    ] {
        assert!(made.lines().any(|it| it == line), "{line}\n{made}");
    }
    let plan = checked(place.path());
    assert!(plan.contains("enriched   → json: stream enriched, as JSON"), "{plan}");
}

#[test]
fn what_cannot_be_taken_is_refused_whole_with_all_mistakes() {
    let config = "input { type = PubSub }\noutput { good { type = Kinesis, streamName = good }\n\
                  bad { type = FileSystem } }\nassetsUpdatePeriod = soon";
    let place = place(config);
    let output = run(place.path(), &["import", "enrich.hocon", "--output", "out"]);
    assert_eq!(output.status.code(), Some(64));
    let said = text(&output.stderr);
    for mistake in [
        "enrich.hocon:1: input.type: expected Kinesis, found `pubsub`",
        "enrich.hocon:1: input.streamName: expected the name of a stream, found none",
        "enrich.hocon:3: output.bad.type: expected Kinesis, found `filesystem`",
        "enrich.hocon:4: assetsUpdatePeriod: expected a duration, found `soon`",
    ] {
        assert!(said.contains(mistake), "{mistake}\n{said}");
    }
    assert!(!place.path().join("out").exists());
    fs::write(place.path().join("enrich.hocon"), "a = 1\ninclude \"b\"").expect("it is ours");
    let output = run(place.path(), &["import", "enrich.hocon", "--output", "out"]);
    assert!(text(&output.stderr).contains("enrich.hocon:2: `include \"b\"` is not followed"));
}
