//! The files that others deploy: what can be said about them by reading them. `tests/run` builds,
//! starts, renders and applies them.

#![allow(clippy::disallowed_methods, reason = "Cargo says by the environment where it is")]

use std::collections::BTreeSet;
use std::process::Command;

use tests::repository;

/// The operations that a worker could call, as methods of the SDK's clients and as IAM writes them.
const OPERATIONS: [(&str, &str); 30] = [
    ("list_shards", "kinesis:ListShards"),
    ("get_shard_iterator", "kinesis:GetShardIterator"),
    ("get_records", "kinesis:GetRecords"),
    ("describe_stream", "kinesis:DescribeStream"),
    ("describe_stream_summary", "kinesis:DescribeStreamSummary"),
    ("describe_stream_consumer", "kinesis:DescribeStreamConsumer"),
    ("register_stream_consumer", "kinesis:RegisterStreamConsumer"),
    ("subscribe_to_shard", "kinesis:SubscribeToShard"),
    ("create_stream", "kinesis:CreateStream"),
    ("put_record", "kinesis:PutRecord"),
    ("put_records", "kinesis:PutRecords"),
    ("scan", "dynamodb:Scan"),
    ("query", "dynamodb:Query"),
    ("get_item", "dynamodb:GetItem"),
    ("batch_get_item", "dynamodb:BatchGetItem"),
    ("put_item", "dynamodb:PutItem"),
    ("update_item", "dynamodb:UpdateItem"),
    ("delete_item", "dynamodb:DeleteItem"),
    ("batch_write_item", "dynamodb:BatchWriteItem"),
    ("transact_write_items", "dynamodb:TransactWriteItems"),
    ("describe_table", "dynamodb:DescribeTable"),
    ("update_table", "dynamodb:UpdateTable"),
    ("put_object", "s3:PutObject"),
    ("create_multipart_upload", "s3:PutObject"),
    ("get_object", "s3:GetObject"),
    ("head_object", "s3:GetObject"),
    ("delete_object", "s3:DeleteObject"),
    ("list_objects_v2", "s3:ListBucket"),
    ("head_bucket", "s3:ListBucket"),
    ("put_metric_data", "cloudwatch:PutMetricData"),
];

/// Called by the instance rather than by the worker: fetching what it is made of, telling the group
/// how it is, and sending figures.
const OF_THE_INSTANCE: [&str; 6] = [
    "s3:GetObject",
    "s3:GetObjectVersion",
    "ssm:GetParameter",
    "autoscaling:CompleteLifecycleAction",
    "autoscaling:SetInstanceHealth",
    "cloudwatch:PutMetricData",
];

/// With a key of the customer's, the services use it on the worker's behalf.
const OF_THE_SERVICES: [&str; 2] = ["kms:Decrypt", "kms:GenerateDataKey"];

#[test]
fn the_role_allows_what_a_worker_calls_and_nothing_else() {
    let role = read("terraform/modules/fleet/role.tf");
    let quoted = role.split('"').skip(1).step_by(2);
    let services =
        ["kinesis:", "dynamodb:", "s3:", "kms:", "ssm:", "autoscaling:", "cloudwatch:", "logs:"];
    let conditions = ["kms:ViaService", "cloudwatch:namespace"];
    let allowed = quoted.filter(|text| services.iter().any(|service| text.starts_with(service)));
    let allowed = allowed.filter(|text| !conditions.contains(text));
    let allowed: BTreeSet<&str> = allowed.collect();

    let files = repository::files();
    let production = files.iter().filter(|file| {
        let path = &file.path;
        (path.starts_with("enricher/src/") || path.starts_with("lease/src/"))
            // Making payloads and taking them from trackers is not a worker's work.
            && !path.contains("/generate")
            && !path.contains("/local/")
    });
    let code: Vec<String> = production.filter_map(|file| file.text()).collect();
    let called = OPERATIONS
        .iter()
        .filter(|(method, _)| code.iter().any(|code| code.contains(&format!(".{method}()"))));
    let called = called.map(|(_, action)| *action);
    let others = OF_THE_INSTANCE.into_iter().chain(OF_THE_SERVICES);
    let needed: BTreeSet<&str> = called.chain(others).collect();
    assert_eq!(allowed, needed, "allowed on the left, needed on the right");
}

/// What one says of another is a difference to explain: paths, and how long an instance may drain.
#[test]
fn the_units_are_one() {
    let ours = service(&read("systemd/snowmelt.service"));
    let of_instances = service(&read("terraform/modules/fleet/templates/snowmelt.service.tftpl"));
    let only: Vec<&String> = ours.symmetric_difference(&of_instances).collect();
    let different = [
        "EnvironmentFile=/etc/snowmelt/fleet",
        "ExecStart=/usr/bin/snowmelt worker --config /etc/snowmelt/worker.toml",
        "ExecStart=/usr/local/bin/snowmelt worker --config /etc/snowmelt/worker.toml",
        "TimeoutStopSec=${drain_seconds}",
        "TimeoutStopSec=90",
    ];
    assert_eq!(only, different);

    let shown = read("docs/operations.md");
    let shown = shown.split_once("```text\n[Service]").expect("operations.md shows a unit").1;
    let shown = service(shown.split_once("```").expect("it ends").0);
    let others: Vec<&String> = shown.difference(&ours).collect();
    assert_eq!(others, Vec::<&String>::new(), "in operations.md alone");

    let told = ["Type=notify", "WatchdogSec=60", "RestartPreventExitStatus=64"];
    assert!(told.iter().all(|line| shown.contains(*line)), "{shown:?}");
    let settings = read("docs/settings.md");
    let grace = settings.lines().find(|line| line.starts_with("| `grace` |")).expect("a row");
    assert!(grace.contains("`\"60s\"`"), "a unit waits longer than the grace of 60 s: {grace}");
}

/// The settings of a unit, without its other sections.
fn service(unit: &str) -> BTreeSet<String> {
    let mut inside = !unit.contains("[Service]");
    let mut found = BTreeSet::new();
    for line in unit.lines().map(str::trim) {
        match line {
            "[Service]" => inside = true,
            other if other.starts_with('[') => inside = false,
            other if inside && other.contains('=') && !other.starts_with('#') => {
                found.insert(other.to_owned());
            }
            _ => {}
        }
    }
    found
}

#[test]
fn the_image_is_pinned_and_not_root() {
    let file = read("docker/Dockerfile");
    let stages: Vec<&str> = file.lines().filter_map(|line| line.strip_prefix("FROM ")).collect();
    assert_eq!(stages.len(), 3, "one stage to build, one to hand over symbols, one to run");
    assert_eq!(stages[1], "scratch AS symbols");
    for stage in [stages[0], stages[2]] {
        assert!(stage.contains(':') && !stage.contains(":latest"), "{stage} is not pinned");
    }
    assert!(stages[2].ends_with(":nonroot"), "the final image has a user that is not root");
    assert!(file.contains("--locked"), "the build takes the versions of Cargo.lock");
}

#[test]
fn the_dashboard_asks_for_figures_that_workers_have() {
    let dashboard = read("docker/grafana-dashboard.json");
    let json: serde_json::Value = serde_json::from_str(&dashboard).expect("it is JSON");
    assert_eq!(json["uid"], "snowmelt", "docker/README.md gives its address");
    let names: BTreeSet<&str> = dashboard
        .split("snowmelt_")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap_or(""))
        // What a histogram tells.
        .map(|name| name.trim_end_matches("_bucket"))
        .collect();
    assert!(names.len() > 5, "{names:?}");
    let files = repository::files();
    let metrics = files.iter().filter(|file| file.path.starts_with("enricher/src/metrics"));
    let code: String = metrics.filter_map(|file| file.text()).collect();
    let unknown = names.iter().filter(|name| !code.contains(&format!("\"{name}\"")));
    assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn shell_scripts_parse() {
    let of_releases =
        ["release/package", "release/split", "release/install.sh", "tests/release/run"];
    let others = ["docker/setup.sh", "docker/local-stack", "tests/run", ".ci/run"];
    for script in others.into_iter().chain(of_releases).chain(["tests/containers/run"]) {
        let checked = Command::new("bash").arg("-n").arg(repository::root().join(script)).status();
        assert!(checked.expect("bash is there").success(), "{script} does not parse");
    }
}

#[test]
fn licences_are_those_allowed() {
    let policy: toml::Table = toml::from_str(&read("deny.toml")).expect("deny.toml is TOML");
    let allowed = policy["licenses"]["allow"].as_array().expect("a list of licences");
    let allowed: BTreeSet<&str> = allowed.iter().filter_map(|licence| licence.as_str()).collect();
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(repository::root())
        .output()
        .expect("Cargo runs");
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: serde_json::Value =
        serde_json::from_slice(&metadata.stdout).expect("Cargo prints JSON");
    let used = metadata["resolve"]["nodes"].as_array().expect("a resolved tree").iter();
    let used: BTreeSet<&str> = used.filter_map(|node| node["id"].as_str()).collect();
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let packages = packages.filter(|package| used.contains(package["id"].as_str().unwrap_or("")));
    let refused: Vec<String> = packages
        .filter(|package| !permitted(package["license"].as_str().unwrap_or(""), &allowed))
        .map(|package| format!("{} has {}", package["name"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn licence_expressions_are_understood() {
    let allowed = BTreeSet::from(["MIT", "ISC"]);
    assert!(permitted("MIT", &allowed));
    assert!(permitted("Unlicense/MIT", &allowed));
    assert!(permitted("GPL-3.0 OR MIT", &allowed));
    assert!(permitted("(GPL-3.0 OR MIT) AND ISC", &allowed));
    assert!(!permitted("GPL-3.0 AND MIT", &allowed));
    assert!(!permitted("(GPL-3.0 OR MIT) AND Zlib", &allowed));
    assert!(!permitted("", &allowed));
}

/// Whether an SPDX expression can be met with these licences. `AND` of `OR`s and `OR` of `AND`s
/// are all that crates use; parentheses tell which of the two is outside.
fn permitted(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    if let Some((inside, rest)) = expression.strip_prefix('(').and_then(|rest| rest.split_once(')'))
    {
        let rest = rest.trim_start().strip_prefix("AND ");
        return permitted(inside, allowed) && rest.is_none_or(|rest| permitted(rest, allowed));
    }
    let expression = expression.replace('/', " OR ");
    let mut choices = expression.split(" OR ");
    choices.any(|all| all.split(" AND ").all(|licence| allowed.contains(licence.trim())))
}

fn read(path: &str) -> String {
    let place = repository::root().join(path);
    std::fs::read_to_string(&place).unwrap_or_else(|error| panic!("{path}: {error}"))
}
