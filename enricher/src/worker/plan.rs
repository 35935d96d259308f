//! What a worker is going to be, as a value: where each route's lines go, what nobody wrote into
//! the configuration included, under which settings, and which folders have to be there.
//!
//! Made of settings alone: nothing is opened, asked or read. So it can be printed, compared, and
//! refused where two destinations are one; [`super::build`] makes objects of it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lease::{Position, WorkerId};
use pipeline::Route;
use pipeline::load::RecordEncoding;

use super::destinations::{self, Destination, Growth, Run};
use crate::config::{self, Config, InitialPosition};
use crate::exit::Usage;
use crate::process::this_program;
use crate::sink::kinesis::LINE_BYTES;

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

/// A folder that has to be there, by the setting that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The setting, as in `[schemas] folder`.
    pub setting: &'static str,
    /// The folder.
    pub path: PathBuf,
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
        let worker = Run { name: &name, in_flight: config.worker.bytes_in_flight.get() };
        let destinations = destinations::all(config, worker, &mut warnings)?;
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

    /// What a part of a replay comes to: the same, but nothing is archived once more.
    pub fn of_part(config: &Config, part: &str) -> Result<Plan, Usage> {
        let mut plan = Plan::of(config, part)?;
        plan.destinations.retain(|destination| destination.route != Route::Raw);
        let parts = plan.destinations.into_iter().map(Destination::by_parts);
        plan.destinations = parts.collect();
        Ok(plan)
    }

    /// The same for a worker that keeps all it makes in a folder, with flat JSON beside it where
    /// that is made, and tables where they are wanted, which grow in their own way.
    pub fn local(
        leases: lease::Config,
        pipeline: pipeline::Settings,
        folder: &Path,
        growth: Growth,
        tables: Option<Growth>,
    ) -> Plan {
        let name = leases.worker_id.to_string();
        let destination =
            |route: Route| Destination::local(route, folder.to_owned(), &name, growth);
        let json =
            |route: &Route| Destination::local_json(*route, folder.to_owned(), &name, growth);
        let also = pipeline.json.iter().map(json);
        let table = |growth| {
            let table = |route| Destination::local_table(route, folder.to_owned(), &name, growth);
            Route::ALL.into_iter().filter_map(table).collect::<Vec<_>>()
        };
        let also = also.chain(tables.map(table).unwrap_or_default());
        let destinations = Route::ALL.into_iter().map(destination).chain(also).collect();
        Plan { leases, pipeline, destinations, folders: Vec::new(), warnings: Vec::new() }
    }
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
    // Of several streams each shard's name says which it is of.
    settings.stream =
        config.source.inputs().first().map(|input| input.name().to_owned()).unwrap_or_default();
    if config.source.base64 {
        settings.record_encoding = RecordEncoding::PlainOrBase64;
    }
    if config.validation.accept_invalid {
        settings.lengths = pipeline::Lengths::Accepted;
    }
    settings.limits = config.validation.atomic_fields_limits.0.clone();
    let narrow = |route: &config::Route| {
        let named = route.to.iter().any(|to| to.kinesis.is_some() && to.fallback.is_none());
        !route.takes_all() && ((route.kinesis.is_some() && route.fallback.is_none()) || named)
    };
    if config.routes().any(|(_, route)| narrow(route)) {
        // What is larger could go nowhere.
        settings.line_bytes_max = LINE_BYTES;
    }
    if config.schemas.unavailable == config::Unavailable::Bad {
        settings.unavailable = pipeline::Unavailable::Bad;
    } else if config.parked.is_none() && !destinations::lends(config) {
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
    let json = config.routes().filter(|(route, to)| route.is_of_events() && to.has_json());
    settings.json = json.map(|(route, _)| route).collect();
    settings
}

impl fmt::Display for Plan {
    /// A line for each destination.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.destinations.iter().try_for_each(|destination| writeln!(f, "{destination}"))
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
    fn destinations_with_names_say_what_they_want() {
        check(
            "[[enriched.to]]\nname = \"shop\"\nwhere = \"app_id == 'shop'\"\nformat = \"json\"\ns3 = { \
             bucket = \"bucket\", role = \"arn:aws:iam::1:role/r\" }\n[[enriched.to]]\nname = \
             \"here\"\nfolder = { path = \"/events\" }\n[[enriched.to]]\nname = \"table\"\nformat = \
             \"parquet\"\ns3 = { bucket = \"bucket\" }\n[[bad.to]]\nname = \"all\"\nkinesis = { stream = \
             \"bad\", region = \"eu-west-1\" }\n[oversized.s3]\nbucket = \"large\"\n[archive]\nraw = \
             \"s3://kept/raw/\"",
            &[
                "enriched   → stream out",
                "enriched   → shop: s3://bucket/enriched-shop as arn:aws:iam::1:role/r, as JSON, \
                 where app_id == 'shop'",
                "enriched   → here: /events",
                "enriched   → table: s3://bucket/enriched-table, as Parquet",
                "bad        → all: stream bad in eu-west-1",
                "oversized  → s3://large/oversized",
                "parked     → s3://bucket/enriched/_parked as arn:aws:iam::1:role/r (implied)",
                "raw        → s3://kept/raw",
            ],
        );
    }

    #[test]
    fn tables_of_iceberg_say_where_they_are() {
        let table = |route: &str, name: &str, iceberg: &str| {
            format!("[[{route}.to]]\nname = \"{name}\"\niceberg = {{ {iceberg} }}\n")
        };
        let glue = "catalog = \"glue:s3://lake/tables\", region = \"eu-west-1\"";
        check(
            &(table("enriched", "lake", glue) + &table("bad", "lake", "folder = \"/lake\"")),
            &[
                "enriched   → stream out",
                "enriched   → lake: table snowmelt.events of glue:s3://lake/tables in eu-west-1",
                "bad        → lake: table snowmelt.bad of /lake",
                "oversized  → /lake/_oversized (implied)",
                "parked     → /lake/_parked (implied)",
            ],
        );
        check(
            &(table("bad", "lake", glue) + "[oversized.s3]\nbucket = \"large\"\n"),
            &[
                "enriched   → stream out",
                "bad        → lake: table snowmelt.bad of glue:s3://lake/tables in eu-west-1",
                "oversized  → s3://large/oversized",
                "parked     → s3://lake/tables/_parked in eu-west-1 (implied)",
            ],
        );
        let refused = |routes: String, expected: &str| {
            let text = format!(
                "[source]\nstream = \"in\"\n[leases]\ntable = \"table\"\n[bad.kinesis]\nstream = \
                 \"bad\"\n{routes}"
            );
            let config = config::parse(&text, "worker.toml").expect("it is right");
            let said = Plan::of(&config, "1").expect_err("it cannot be").to_string();
            assert_eq!(said, expected);
        };
        let here = "folder = \"/lake\"";
        refused(
            table("enriched", "lake", here)
                + &table("bad", "lake", &format!("{here}, object_age = \"1m\"")),
            "[[enriched.to]] and [[bad.to]] are tables of /lake that are filled together: expected \
             the same links, object_bytes, object_age, commit_every, region, role and kms_key",
        );
        let elsewhere = |catalog: &str| {
            format!("catalog = \"glue:s3://lake/{catalog}\", links = \"s3://lake/links\"")
        };
        refused(
            table("enriched", "a", &elsewhere("a")) + &table("bad", "b", &elsewhere("b")),
            "tables of glue:s3://lake/a and of glue:s3://lake/b have their links in one place, \
             s3://lake/links/snowmelt: expected one for each",
        );
        refused(
            table("enriched", "one", here) + &table("enriched", "two", here),
            "[enriched] has two destinations that are one place, table snowmelt.events of /lake: \
             one and two; one record goes once to a place",
        );
    }

    #[test]
    fn two_destinations_that_are_one_place_are_refused() {
        let check = |more: &str, expected: Option<&str>| {
            let text = format!(
                "[source]\nstream = \"in\"\n[leases]\ntable = \"table\"\n[enriched.kinesis]\nstream = \
                 \"out\"\n[bad.s3]\nbucket = \"bucket\"\n{more}"
            );
            let config = config::parse(&text, "worker.toml").expect("it is right");
            let said = Plan::of(&config, "1").err().map(|error| error.to_string());
            assert_eq!(said.as_deref(), expected, "{more}");
        };
        let to = |route, name, to| format!("[[{route}.to]]\nname = \"{name}\"\n{to}\n");
        check(
            &to("enriched", "x", "kinesis = { stream = \"out\" }"),
            Some(
                "[enriched] has two destinations that are one place, stream out: the one without \
                 a name and x; one record goes once to a place",
            ),
        );
        let elsewhere = "kinesis = { stream = \"out\", region = \"eu-west-1\" }";
        check(&to("enriched", "x", elsewhere), None);
        let bucket = "s3 = { bucket = \"bucket\", prefix = \"bad/\" }";
        check(
            &to("bad", "x", bucket),
            Some(
                "[bad] has two destinations that are one place, s3://bucket/bad: the one without \
                 a name and x; one record goes once to a place",
            ),
        );
        // Names of objects tell the route.
        check(&to("enriched", "x", bucket), None);
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
