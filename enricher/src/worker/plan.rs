//! What a worker is going to be, as a value: where each route's lines go, what nobody wrote into
//! the configuration included, under which settings, and which folders have to be there.
//!
//! Made of settings alone: nothing is opened, asked or read. So it can be printed, compared, and
//! refused where two destinations are one; [`super::build`] makes objects of it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lease::{Position, WorkerId};
use pipeline::Route;
use pipeline::load::RecordEncoding;

use crate::config::{self, Config, InitialPosition};
use crate::exit::Usage;
use crate::process::this_program;
use crate::sink::kinesis::{Key, LINE_BYTES};
use crate::sink::object::{Compression, Settings};

/// What a worker is going to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How the worker works its leases, and its name, which no other run has.
    pub leases: lease::Config,
    /// How records become lines.
    pub pipeline: pipeline::Settings,
    /// Where lines go: every destination of every route.
    pub destinations: Vec<Destination>,
    /// The folders that have to be there.
    pub folders: Vec<Folder>,
    /// What whoever wrote the configuration should know.
    pub warnings: Vec<&'static str>,
}

/// A place that takes the lines of a route.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Whose lines go there.
    pub route: Route,
    /// The section of the configuration that names it; `None` where it follows from others.
    pub section: Option<String>,
    /// What it is.
    pub to: To,
}

/// What a destination is.
#[derive(Clone, Debug)]
pub enum To {
    /// A stream of Kinesis.
    Stream {
        /// What it is called in its region.
        name: String,
        /// How records are spread over its shards.
        key: Key,
        /// What becomes of lines that no record can hold.
        larger: Larger,
    },
    /// Objects that grow until they are large or old enough.
    Objects(Objects),
}

/// What becomes of lines that are too large for a stream.
#[derive(Clone, Debug)]
pub enum Larger {
    /// The route has objects, too, which take lines of any size.
    Elsewhere,
    /// They become objects.
    Objects(Objects),
    /// There are none: the pipeline is told the limit.
    None,
}

/// Objects of one route.
#[derive(Clone, Debug)]
pub struct Objects {
    /// Where they are kept.
    pub home: Home,
    /// When they close, and what they are called.
    pub settings: Settings,
}

/// Where objects are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// A bucket of Amazon S3, by its name.
    Bucket(String),
    /// A folder of this machine.
    Folder(PathBuf),
}

/// A folder that has to be there, by the setting that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The setting, as in `[schemas] folder`.
    pub setting: &'static str,
    /// The folder.
    pub path: PathBuf,
}

/// When objects close.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// How they are compressed.
    pub compression: Compression,
    /// At so many bytes.
    pub bytes: usize,
    /// So long after their first line.
    pub age: Duration,
}

/// The run of a worker, as far as its objects are concerned.
#[derive(Clone, Copy)]
struct Run<'a> {
    name: &'a str,
    /// Bytes that it may have in flight.
    in_flight: usize,
}

impl Plan {
    /// What a configuration comes to. `run` tells this start of the process from all others.
    pub fn of(config: &Config, run: &str) -> Result<Plan, Usage> {
        let name = format!("{}-{run}", &*config.worker.name);
        let id = WorkerId::parse(&name);
        let id =
            id.ok_or_else(|| Usage(format!("[worker] name: `{name}` cannot name a worker")))?;
        let mut warnings = Vec::new();
        let pipeline = settings(config, &mut warnings);
        let mut destinations = Vec::new();
        let worker = Run { name: &name, in_flight: config.worker.bytes_in_flight.get() };
        for (route, sections) in config.routes() {
            named(route, sections, worker, &mut destinations);
        }
        implied(config, worker, &mut destinations, &mut warnings);
        let folders = [
            ("[schemas] folder", &config.schemas.folder),
            ("[enrichments] folder", &config.enrichments.folder),
            ("[enrichments] assets", &config.enrichments.assets),
        ];
        let folder = |(setting, path): (&'static str, &Option<PathBuf>)| {
            Some(Folder { setting, path: path.clone()? })
        };
        let folders = folders.into_iter().filter_map(folder).collect();
        Ok(Plan { leases: leases(config, id), pipeline, destinations, folders, warnings })
    }

    /// The same for a worker that keeps all it makes in a folder.
    pub fn local(
        leases: lease::Config,
        pipeline: pipeline::Settings,
        folder: &Path,
        growth: Growth,
    ) -> Plan {
        let name = leases.worker_id.to_string();
        let destination = |route: Route| {
            let home = Home::Folder(folder.to_owned());
            let to = To::Objects(Objects::of(route, home, route.name(), &name, growth));
            Destination { route, section: None, to }
        };
        let destinations = Route::ALL.into_iter().map(destination).collect();
        Plan { leases, pipeline, destinations, folders: Vec::new(), warnings: Vec::new() }
    }
}

impl Objects {
    /// Objects of a route, under names that begin with `prefix` and tell the worker.
    fn of(route: Route, home: Home, prefix: &str, worker: &str, growth: Growth) -> Objects {
        let settings = Settings {
            route,
            prefix: prefix.trim_end_matches('/').to_owned(),
            worker: worker.to_owned(),
            compression: growth.compression,
            object_bytes: growth.bytes,
            object_age: growth.age,
        };
        Objects { home, settings }
    }

    /// Those of a section, under its own prefix.
    fn named(route: Route, section: &config::Objects, worker: Run<'_>) -> Objects {
        Objects::below(route, section, prefix(route, section), worker)
    }

    /// Those that borrow the bucket of another route's section: in a folder under its prefix, where
    /// that route may write, hidden from those who read what is its own.
    fn beside(route: Route, of: Route, section: &config::Objects, worker: Run<'_>) -> Objects {
        let prefix = format!("{}/_{}", prefix(of, section).trim_end_matches('/'), route.name());
        Objects::below(route, section, &prefix, worker)
    }

    fn below(route: Route, section: &config::Objects, prefix: &str, worker: Run<'_>) -> Objects {
        let Run { name: worker, in_flight } = worker;
        let growth = Growth {
            compression: section.compression,
            bytes: section.closes_at(in_flight),
            age: section.object_age.get(),
        };
        Objects::of(route, Home::Bucket(section.bucket.to_string()), prefix, worker, growth)
    }
}

/// The destinations that a route's sections name.
fn named(route: Route, sections: &config::Route, worker: Run<'_>, all: &mut Vec<Destination>) {
    let section = |kind: &str| Some(format!("{}.{kind}", route.name()));
    if let Some(stream) = &sections.kinesis {
        let larger = match (&sections.s3, &sections.fallback) {
            (Some(_), _) => Larger::Elsewhere,
            (None, Some(objects)) => Larger::Objects(Objects::named(route, objects, worker)),
            (None, None) => Larger::None,
        };
        let (name, key) = (stream.stream.to_string(), stream.partition_key.0);
        let to = To::Stream { name, key, larger };
        all.push(Destination { route, section: section("kinesis"), to });
    }
    if let Some(objects) = &sections.s3 {
        let to = To::Objects(Objects::named(route, objects, worker));
        all.push(Destination { route, section: section("s3"), to });
    }
}

/// What became a size violation is kept whole in the first bucket there is, as a stream could not
/// take it, and so is what waits, unless it has a place of its own.
fn implied(
    config: &Config,
    worker: Run<'_>,
    all: &mut Vec<Destination>,
    warnings: &mut Vec<&'static str>,
) {
    let Some((lender, objects)) = first_bucket(config) else {
        warnings.push("no bucket is configured: size violations keep a part of their text");
        return;
    };
    let parked = config.parked.is_none().then_some(Route::Parked);
    for route in [Route::Oversized].into_iter().chain(parked) {
        let to = To::Objects(Objects::beside(route, lender, objects, worker));
        all.push(Destination { route, section: None, to });
    }
}

/// How names of a section's objects begin.
fn prefix(route: Route, section: &config::Objects) -> &str {
    section.prefix.as_deref().unwrap_or(route.name())
}

/// The bucket that takes what no section was written for, and the route that lends it.
fn first_bucket(config: &Config) -> Option<(Route, &config::Objects)> {
    let routes = [(Route::Bad, &config.bad), (Route::Enriched, &config.enriched)];
    let mut buckets = routes.into_iter().flat_map(|(route, destinations)| {
        destinations.objects().map(move |objects| (route, objects))
    });
    buckets.next()
}

fn leases(config: &Config, id: WorkerId) -> lease::Config {
    let mut leases = lease::Config::with_lease_duration(id, config.leases.duration.get());
    leases.initial_position = match config.source.initial_position {
        InitialPosition::TrimHorizon => Position::TrimHorizon,
        InitialPosition::Latest => Position::Latest,
        InitialPosition::AtTimestamp(ms) => Position::AtTimestamp(Some(ms)),
    };
    leases
}

fn settings(config: &Config, warnings: &mut Vec<&'static str>) -> pipeline::Settings {
    let mut settings = pipeline::Settings::new(this_program());
    settings.stream = config.source.stream.to_string();
    if config.source.base64 {
        settings.record_encoding = RecordEncoding::PlainOrBase64;
    }
    if config.validation.accept_invalid {
        settings.lengths = pipeline::Lengths::Accepted;
    }
    settings.limits = config.validation.atomic_fields_limits.0.clone();
    let narrow = |route: &config::Route| {
        route.kinesis.is_some() && route.s3.is_none() && route.fallback.is_none()
    };
    if config.routes().any(|(_, route)| narrow(route)) {
        // What is larger could go nowhere.
        settings.line_bytes_max = LINE_BYTES;
    }
    if config.schemas.unavailable == config::Unavailable::Bad {
        settings.unavailable = pipeline::Unavailable::Bad;
    } else if config.parked.is_none() && first_bucket(config).is_none() {
        warnings.push(
            "neither [parked] nor any bucket is configured: events with schemas that cannot be \
             had, and records that workers die on, become bad rows",
        );
        settings.unavailable = pipeline::Unavailable::Bad;
    }
    settings.adapters = Arc::new(config.adapters());
    settings.personal = config.bad_rows.pii;
    settings.pii_events = config.pii.is_some();
    settings.incomplete = config.incomplete.is_some();
    settings
}

impl fmt::Display for Plan {
    /// A line for each destination.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.destinations.iter().try_for_each(|destination| writeln!(f, "{destination}"))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<10} → {}", self.route.name(), self.to)?;
        if self.section.is_none() { f.write_str(" (implied)") } else { Ok(()) }
    }
}

impl fmt::Display for To {
    /// Two destinations that print alike are one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            To::Stream { name, larger: Larger::Objects(objects), .. } => {
                write!(f, "stream {name}, what is too large: {objects}")
            }
            To::Stream { name, .. } => write!(f, "stream {name}"),
            To::Objects(objects) => write!(f, "{objects}"),
        }
    }
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = &self.settings.prefix;
        match &self.home {
            Home::Bucket(name) => write!(f, "s3://{name}/{prefix}"),
            Home::Folder(path) => write!(f, "{}", path.join(prefix).display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a configuration plans, a line for each destination.
    fn check(routes: &str, expected: &[&str]) {
        let text = format!(
            "[source]\nstream = \"in\"\n[leases]\ntable = \"table\"\n[enriched.kinesis]\nstream = \
             \"out\"\n{routes}"
        );
        let config = config::parse(&text, "worker.toml").expect("it is right");
        let plan = Plan::of(&config, "1").expect("it can be had");
        assert_eq!(plan.to_string().lines().collect::<Vec<_>>(), expected, "{routes}");
        assert_eq!(plan.leases.worker_id.as_str(), "worker-1");
    }

    #[test]
    fn every_route_has_its_destinations() {
        check(
            "[bad.kinesis]\nstream = \"bad\"",
            &["enriched   → stream out", "bad        → stream bad"],
        );
        check(
            "[bad.s3]\nbucket = \"bucket\"\nprefix = \"x/bad/\"",
            &[
                "enriched   → stream out",
                "bad        → s3://bucket/x/bad",
                "oversized  → s3://bucket/x/bad/_oversized (implied)",
                "parked     → s3://bucket/x/bad/_parked (implied)",
            ],
        );
        check(
            "[bad.kinesis]\nstream = \"bad\"\n[bad.fallback]\nbucket = \"bucket\"\n[parked.s3]\nbucket \
             = \"park\"",
            &[
                "enriched   → stream out",
                "bad        → stream bad, what is too large: s3://bucket/bad",
                "parked     → s3://park/parked",
                "oversized  → s3://bucket/bad/_oversized (implied)",
            ],
        );
    }

    #[test]
    fn what_goes_nowhere_is_told() {
        let text = "[source]\nstream = \"in\"\n[leases]\ntable = \"table\"\n[enriched.kinesis]\nstream \
                    = \"out\"\n[bad.kinesis]\nstream = \"bad\"\n[enrichments]\nfolder = \"e\"";
        let config = config::parse(text, "worker.toml").expect("it is right");
        let plan = Plan::of(&config, "1").expect("it can be had");
        assert_eq!(plan.warnings.len(), 2);
        assert_eq!(plan.pipeline.unavailable, pipeline::Unavailable::Bad);
        assert_eq!(plan.pipeline.line_bytes_max, LINE_BYTES);
        assert_eq!(plan.folders[0].setting, "[enrichments] folder");
    }
}
