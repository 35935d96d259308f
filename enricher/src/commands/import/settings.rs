//! Which setting of a peer is which of ours. Every value of the file is said something of; what no
//! rule knows has no counterpart.

use std::collections::{BTreeMap, BTreeSet};

use toml::Value as Toml;

use crate::hocon::{self, Node, Piece, Value};

/// What became of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It is one of ours, named here.
    Taken(String),
    /// Nothing is lost without it.
    Needless(&'static str),
    /// What it does is not done here.
    Lost(String),
    /// With it nothing can be made.
    Wrong(String),
}

/// A worker's configuration in the making.
#[derive(Debug, Default)]
pub(super) struct Made {
    tables: BTreeMap<String, BTreeMap<String, Toml>>,
    /// What became of each setting, by its line.
    pub said: Vec<(usize, String, Said)>,
    /// Where the stream is that is read.
    region: Option<String>,
    /// The parts of the address of a StatsD server.
    host: Option<String>,
    port: Option<String>,
    /// Routes whose events are written as JSON.
    json: BTreeSet<&'static str>,
    /// Variables that have to be set.
    pub variables: BTreeSet<String>,
}

/// Everything that a peer's configuration says.
pub(super) fn import(root: &Node) -> Made {
    let region = root.at(&["input", "region"]).and_then(Node::text);
    let mut made = Made { region, ..Made::default() };
    let mut leaves = Vec::new();
    gather(root, &mut Vec::new(), &mut leaves);
    for (path, node) in leaves {
        let said = made.take(&modern(&path), node);
        made.said.push((node.line, path.join("."), said));
    }
    made.complete();
    made.said.sort_by_key(|(line, ..)| *line);
    made
}

/// Every value that is no object, under its path.
fn gather<'a>(node: &'a Node, at: &mut Vec<&'a str>, all: &mut Vec<(Vec<&'a str>, &'a Node)>) {
    let Value::Object(fields) = &node.value else {
        all.push((at.clone(), node));
        return;
    };
    for (key, node) in fields {
        at.push(key);
        gather(node, at, all);
        at.pop();
    }
}

/// The names of settings in the time of `stream-enrich`, and their later ones.
const LEGACY: &[(&str, &str)] = &[
    ("streams.in.raw", "input.streamName"),
    ("streams.out.enriched", "output.good.streamName"),
    ("streams.out.bad", "output.bad.streamName"),
    ("streams.out.pii", "output.pii.streamName"),
    ("streams.out.partitionKey", "output.good.partitionKey"),
    ("streams.sourceSink.enabled", "input.type"),
    ("streams.sourceSink.region", "input.region"),
    ("streams.sourceSink.initialPosition", "input.initialPosition.type"),
    ("streams.sourceSink.initialTimestamp", "input.initialPosition.timestamp"),
    ("streams.sourceSink.maxRecords", "input.retrievalMode.maxRecords"),
    ("streams.sourceSink.backoffPolicy", "output.good.backoffPolicy"),
    ("streams.sourceSink.customEndpoint", "input.customEndpoint"),
    ("streams.sourceSink.dynamodbCustomEndpoint", "input.dynamodbCustomEndpoint"),
    ("streams.sourceSink.disableCloudWatch", "monitoring.metrics.cloudwatch"),
    ("streams.buffer", "input.bufferSize"),
    ("streams.appName", "input.appName"),
];

fn modern(path: &[&str]) -> String {
    let path = path.strip_prefix(&["enrich"][..]).unwrap_or(path).join(".");
    let later = LEGACY.iter().find_map(|(from, to)| {
        let rest = path.strip_prefix(from).filter(|it| it.is_empty() || it.starts_with('.'))?;
        Some(format!("{to}{rest}"))
    });
    later.unwrap_or(path)
}

/// Parts of a configuration without which nothing is lost.
const NEEDLESS: &[(&str, &str)] = &[
    ("input.retrievalMode.maxRecords", "[source] batch_bytes says how large a batch is"),
    ("input.bufferSize", "[worker] bytes_in_flight bounds what is in memory"),
    ("input.buffer", "[worker] bytes_in_flight bounds what is in memory"),
    ("input.checkpointBackoff", "checkpoints are written with the renewals of leases"),
    ("input.cloudwatchCustomEndpoint", "metrics are read from [admin], not sent"),
    ("concurrency", "[worker] threads says how many cores work"),
    ("monitoring.metrics.stdout", "metrics are read from [admin], /metrics"),
    ("monitoring.metrics.cloudwatch", "metrics are read from [admin], /metrics"),
    ("telemetry", "nobody is told of this worker"),
    ("license", "the licence is Apache-2.0"),
    ("production", "it is always so"),
];

/// Parts of a configuration that nothing here does.
const LOST: &[(&str, &str)] = &[
    (
        "streams.sourceSink.aws",
        "credentials are found as by all AWS programs, not in files of ours",
    ),
    ("monitoring.sentry", "what goes wrong is in the log and in /metrics"),
    ("sentry", "what goes wrong is in the log and in /metrics"),
    ("monitoring.snowplow", "what goes wrong is in the log and in /metrics"),
    ("experimental.metadata", "no metadata is sent"),
    ("remoteAdapters.configs", "[[adapter]] describes webhooks (docs/webhooks.md)"),
];

fn part<T: Copy>(path: &str, parts: &[(&str, T)]) -> Option<T> {
    let within = |name: &str| {
        path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    parts.iter().find(|(name, _)| within(name)).map(|(_, what)| *what)
}

impl Made {
    /// Sets one of ours.
    pub(super) fn set(&mut self, table: &str, key: &str, value: impl Into<Toml>) {
        self.tables.entry(table.to_owned()).or_default().insert(key.to_owned(), value.into());
    }

    /// Takes one of ours away.
    pub(super) fn unset(&mut self, table: &str, key: &str) {
        self.tables.get_mut(table).map(|table| table.remove(key));
    }

    fn has(&self, table: &str, key: &str) -> Option<&Toml> {
        self.tables.get(table)?.get(key)
    }

    /// What it comes to, as a file.
    pub(super) fn toml(&self) -> String {
        let mut text = String::new();
        for (name, table) in self.tables.iter().filter(|(_, table)| !table.is_empty()) {
            let json = name.strip_suffix(".kinesis").filter(|route| self.json.contains(route));
            match json {
                Some(route) => text.push_str(&format!(
                    "\n[[{route}.to]]\nname = \"json\"\nformat = \"json\"\n\n[{route}.to.kinesis]\n"
                )),
                None => text.push_str(&format!("\n[{name}]\n")),
            }
            let lines = table.iter().map(|(key, value)| format!("{key} = {value}\n"));
            text.extend(lines);
        }
        text
    }

    fn take(&mut self, path: &str, node: &Node) -> Said {
        if node.value == Value::Null {
            return Said::Needless("it is not set");
        }
        let route = path.strip_prefix("output.").and_then(|rest| rest.split_once('.'));
        if let Some((route, rest)) = route {
            return self.output(route, rest, node);
        }
        match path {
            "input.type" => kinesis(node),
            "input.appName" => self.text("leases", "table", node),
            "input.streamName" => self.text("source", "stream", node),
            "input.region" => self.text("aws", "region", node),
            "input.customEndpoint" => self.shared("kinesis_endpoint_url", node),
            "input.dynamodbCustomEndpoint" => self.text("aws", "dynamodb_endpoint_url", node),
            "input.initialPosition.type" => self.position(node),
            "input.initialPosition.timestamp" => self.position_at(node),
            "input.retrievalMode.type" => match fixed(node).to_lowercase().as_str() {
                "polling" => Said::Needless("it is always so"),
                "fanout" => self.taken("source", "mode", "fan_out"),
                found => Said::Wrong(format!("expected Polling or FanOut, found `{found}`")),
            },
            "assetsUpdatePeriod" => self.refresh(node),
            "validation.acceptInvalid" | "featureFlags.acceptInvalid" => {
                self.flag("validation", "accept_invalid", node)
            }
            "featureFlags.tryBase64Decoding" => self.flag("source", "base64", node),
            "featureFlags.legacyEnrichmentOrder" => unless(node, "the order is the later one"),
            "experimental.customOutputFormat.type" if fixed(node) == "FlattenedJson" => {
                self.as_flat_json("enriched")
            }
            "experimental.customOutputFormat.type" => {
                Said::Lost("events are TSV, or flat JSON as `FlattenedJson` has it".to_owned())
            }
            "featureFlags.formatOutputAsJson" => self.as_json("enriched", node),
            "remoteAdapters.configs" if is_empty(node) => Said::Needless("there are none"),
            path => self.other(path, node),
        }
    }

    fn other(&mut self, path: &str, node: &Node) -> Said {
        if let Some(column) = path.strip_prefix("validation.atomicFieldsLimits.") {
            return match fixed(node).parse::<i64>() {
                Ok(limit) => self.taken("validation.atomic_fields_limits", column, limit),
                Err(_) => Said::Wrong("expected a number".to_owned()),
            };
        }
        if let Some(setting) = path.strip_prefix("monitoring.metrics.statsd.") {
            return self.statsd(setting, node);
        }
        if let Some((adapter, setting)) =
            path.strip_prefix("adaptersSchemas.").and_then(|rest| rest.split_once('.'))
        {
            return self.schema(&snake(adapter), &snake(setting), node);
        }
        if let Some(why) = part(path, NEEDLESS) {
            return Said::Needless(why);
        }
        match part(path, LOST) {
            Some(why) => Said::Lost(why.to_owned()),
            None if path.starts_with("remoteAdapters.") => {
                Said::Needless("requests are not sent to adapters elsewhere")
            }
            None => Said::Lost("it is not a setting that is known".to_owned()),
        }
    }

    fn output(&mut self, route: &str, path: &str, node: &Node) -> Said {
        let ours = match route {
            "good" => "enriched",
            "bad" => "bad",
            "pii" => "pii",
            "incomplete" | "failed" => "incomplete",
            _ => return Said::Lost("it is not a route that is known".to_owned()),
        };
        let table = format!("{ours}.kinesis");
        match path {
            "type" => kinesis(node),
            "streamName"
                if fixed(node).is_empty() && node.text().is_some_and(|it| it.is_empty()) =>
            {
                Said::Needless("it is not set")
            }
            "streamName" => self.text(&table, "stream", node),
            "partitionKey" if ours == "bad" => {
                Said::Lost("bad rows have no columns; they are spread at random".to_owned())
            }
            "partitionKey" => self.text(&table, "partition_key", node),
            "region" if self.region.is_some() && self.region == node.text() => {
                Said::Taken("[aws] region".to_owned())
            }
            "region" => self.text(&table, "region", node),
            "customEndpoint" => self.shared("kinesis_endpoint_url", node),
            "jsonOutput" if ours == "bad" => Said::Needless("bad rows are always JSON"),
            "jsonOutput" => self.as_json(ours, node),
            "recordLimit" | "byteLimit" => Said::Needless("requests are as large as they may be"),
            path if path.starts_with("backoffPolicy") || path.starts_with("throttledBackoff") => {
                Said::Needless("what passes is tried again until it does, ever more slowly")
            }
            _ => Said::Lost("it is not a setting that is known".to_owned()),
        }
    }

    fn taken(&mut self, table: &str, key: &str, value: impl Into<Toml>) -> Said {
        self.set(table, key, value);
        Said::Taken(format!("[{table}] {key}"))
    }

    /// A text, whose variables stay variables.
    fn text(&mut self, table: &str, key: &str, node: &Node) -> Said {
        match self.reference(node) {
            Some(text) => self.taken(table, key, text),
            None => Said::Wrong("expected a text".to_owned()),
        }
    }

    fn reference(&mut self, node: &Node) -> Option<String> {
        let Value::Scalar { pieces, .. } = &node.value else { return None };
        self.variables.extend(pieces.iter().filter_map(|piece| match piece {
            Piece::Variable { name, default: None, .. } => Some(name.clone()),
            _ => None,
        }));
        node.text()
    }

    /// What is one for all streams here.
    fn shared(&mut self, key: &str, node: &Node) -> Said {
        match self.has("aws", key).and_then(Toml::as_str) {
            None => self.text("aws", key, node),
            Some(there) if Some(there) == node.text().as_deref() => {
                Said::Taken(format!("[aws] {key}"))
            }
            Some(there) => Said::Lost(format!("all streams are at one endpoint, `{there}`")),
        }
    }

    fn flag(&mut self, table: &str, key: &str, node: &Node) -> Said {
        match fixed(node).parse::<bool>() {
            Ok(true) => self.taken(table, key, true),
            Ok(false) => Said::Taken(format!("[{table}] {key}")),
            Err(_) => Said::Wrong("expected true or false".to_owned()),
        }
    }

    /// Events as JSON are of a destination with a name.
    fn as_json(&mut self, route: &'static str, node: &Node) -> Said {
        match fixed(node).parse::<bool>() {
            Ok(true) => self.as_flat_json(route),
            Ok(false) => Said::Needless("it is always so, where nothing else is said"),
            Err(_) => Said::Wrong("expected true or false".to_owned()),
        }
    }

    fn as_flat_json(&mut self, route: &'static str) -> Said {
        self.json.insert(route);
        Said::Taken(format!("[[{route}.to]] format"))
    }

    fn position(&mut self, node: &Node) -> Said {
        let position = match fixed(node).as_str() {
            "TRIM_HORIZON" => "trim_horizon",
            "LATEST" => "latest",
            "AT_TIMESTAMP" => return Said::Taken("[source] initial_position".to_owned()),
            found => {
                let all = "TRIM_HORIZON, LATEST or AT_TIMESTAMP";
                return Said::Wrong(format!("expected {all}, found `{found}`"));
            }
        };
        self.taken("source", "initial_position", position)
    }

    fn position_at(&mut self, node: &Node) -> Said {
        match self.has("source", "initial_position") {
            Some(_) => Said::Needless("the position is no time"),
            None => self.taken("source", "initial_position", fixed(node)),
        }
    }

    /// How often assets are asked for; the longest here is a week.
    fn refresh(&mut self, node: &Node) -> Said {
        match hocon::duration_ms(&fixed(node)) {
            Some(ms) => {
                let ms = ms.clamp(1_000, 604_800_000);
                self.taken("enrichments", "refresh", format!("{ms}ms"))
            }
            None => Said::Wrong(format!("expected a duration, found `{}`", fixed(node))),
        }
    }

    fn statsd(&mut self, setting: &str, node: &Node) -> Said {
        if let Some(tag) = setting.strip_prefix("tags.") {
            return self.text("metrics.tags", tag, node);
        }
        match setting {
            "hostname" | "port" => {
                let Some(text) = self.reference(node) else {
                    return Said::Wrong("expected a text".to_owned());
                };
                let part = if setting == "port" { &mut self.port } else { &mut self.host };
                *part = Some(text);
                Said::Taken("[metrics] statsd".to_owned())
            }
            "period" => match hocon::duration_ms(&fixed(node)) {
                Some(ms) => {
                    let ms = ms.clamp(1_000, 3_600_000);
                    self.taken("metrics", "period", format!("{ms}ms"))
                }
                None => Said::Wrong(format!("expected a duration, found `{}`", fixed(node))),
            },
            "prefix" => self.text("metrics", "prefix", node),
            _ => Said::Lost("it is not a setting that is known".to_owned()),
        }
    }

    fn schema(&mut self, adapter: &str, setting: &str, node: &Node) -> Said {
        let known = pipeline::adapt::Adapters::names().any(|name| name == adapter)
            && pipeline::adapt::Adapters::settings(adapter).contains(&setting);
        match known {
            true => self.text(&format!("adapters.{adapter}"), setting, node),
            false => Said::Lost("it is not a type of event that is known".to_owned()),
        }
    }

    /// What nobody gave and a worker needs.
    fn complete(&mut self) {
        let needed = [
            ("source", "stream", "input.streamName"),
            ("enriched.kinesis", "stream", "output.good.streamName"),
            ("bad.kinesis", "stream", "output.bad.streamName"),
        ];
        for (table, key, path) in needed {
            if self.has(table, key).is_none() {
                let why = "expected the name of a stream, found none".to_owned();
                self.said.push((1, path.to_owned(), Said::Wrong(why)));
            }
        }
        if self.has("leases", "table").is_none() {
            self.set("leases", "table", APP_NAME);
            let why =
                format!("it was not given; look which table there is, `{APP_NAME}` is written");
            self.said.push((1, "input.appName".to_owned(), Said::Lost(why)));
        }
        if let Some(host) = self.host.take() {
            let port = self.port.take().unwrap_or_else(|| STATSD_PORT.to_owned());
            self.set("metrics", "statsd", format!("{host}:{port}"));
        }
        let without_stream: Vec<String> = self.tables.keys().cloned().collect();
        for table in without_stream.iter().filter(|name| name.ends_with(".kinesis")) {
            if self.has(table, "stream").is_none() {
                self.tables.remove(table);
            }
        }
    }
}

/// Where StatsD servers listen where nothing else is said.
const STATSD_PORT: &str = "8125";

/// What the peer's table is called where its configuration does not say it.
const APP_NAME: &str = "snowplow-enrich-kinesis";

/// The text without the environment.
fn fixed(node: &Node) -> String {
    node.fixed().unwrap_or_default()
}

fn is_empty(node: &Node) -> bool {
    matches!(&node.value, Value::List { items, .. } if items.is_empty())
}

fn kinesis(node: &Node) -> Said {
    match fixed(node).to_lowercase().as_str() {
        "kinesis" => Said::Needless("it is always so"),
        found => Said::Wrong(format!("expected Kinesis, found `{found}`")),
    }
}

/// A flag that has to be off.
fn unless(node: &Node, why: &str) -> Said {
    match fixed(node).as_str() {
        "false" => Said::Needless("it is always so"),
        _ => Said::Lost(why.to_owned()),
    }
}

/// `likeThis` as `like_this`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
