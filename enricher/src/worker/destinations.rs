//! Where the lines of each route go, as values: what the configuration names, and what follows from
//! that. Two destinations of a route that are one place are refused.

mod fit;
mod iceberg;
mod implied;
mod told;

use std::path::PathBuf;
use std::time::Duration;

use pipeline::Route;
use pipeline::divide::{Folder, Form, Want};

use crate::config::{self, Config, Place};
use crate::exit::Usage;
use crate::sink::kinesis;
use crate::sink::object::{Compression, Kind, Names, Settings};
use crate::tables;
pub use iceberg::{Catalog, Iceberg};
use implied::implied;
pub(super) use implied::lends;

/// A place that takes lines of a route.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Whose lines go there.
    pub route: Route,
    /// What it is called, where it has a name.
    pub name: Option<String>,
    /// Whether the configuration names it; otherwise it follows from others.
    pub implied: bool,
    /// Which lines, in which form, into which folders.
    pub want: Want,
    /// The condition as it is written, for people.
    pub condition: Option<String>,
    /// What it is.
    pub to: To,
}

/// What a destination is.
#[derive(Clone, Debug)]
pub enum To {
    /// A stream of Kinesis.
    Stream {
        /// What is written, and where.
        settings: kinesis::Settings,
        /// Where it is, and as whom to write.
        access: Access,
        /// What becomes of lines that no record can hold.
        larger: Larger,
    },
    /// Objects that grow until they are large or old enough.
    Objects(Objects),
    /// A table of Iceberg.
    Iceberg(Iceberg),
}

impl To {
    /// Everywhere in AWS that it writes to.
    pub(super) fn accesses(&self) -> impl Iterator<Item = &Access> {
        let (own, beside) = match self {
            To::Stream { access, larger: Larger::Objects(objects), .. } => {
                (Some(access), objects.access())
            }
            To::Stream { access, .. } => (Some(access), None),
            To::Objects(objects) => (objects.access(), None),
            To::Iceberg(table) => (table.access.as_ref(), None),
        };
        own.into_iter().chain(beside)
    }
}

/// What becomes of lines that are too large for a stream.
#[derive(Clone, Debug)]
pub enum Larger {
    /// The route has objects, too, which take lines of any size.
    Elsewhere,
    /// They become objects.
    Objects(Box<Objects>),
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
    /// A bucket of Amazon S3.
    Bucket {
        /// As it is called in its region.
        name: String,
        /// Where it is, and as whom to write.
        access: Access,
        /// The key of KMS that objects are encrypted with.
        kms_key: Option<String>,
    },
    /// A folder of this machine.
    Folder(PathBuf),
}

/// Where in AWS something is, and as whom to write there, where not as everything else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Access {
    /// As in `eu-west-1`.
    pub region: Option<String>,
    /// The ARN of a role.
    pub role: Option<String>,
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
pub(super) struct Run<'a> {
    pub(super) name: &'a str,
    /// Bytes that it may have in flight.
    pub(super) in_flight: usize,
}

/// All destinations of a configuration.
pub(super) fn all(
    config: &Config,
    worker: Run<'_>,
    warnings: &mut Vec<&'static str>,
) -> Result<Vec<Destination>, Usage> {
    let mut all = Vec::new();
    for (route, sections) in config.routes() {
        named(route, sections, worker, &mut all);
    }
    implied(config, worker, &mut all, warnings);
    if let Some(place) = &config.archive.raw {
        all.push(archive(place, worker));
    }
    fit::check(&all)?;
    if fit::mixed(&all) {
        warnings.push(fit::MIXED);
    }
    Ok(all)
}

/// Where such a worker has its tables, each in a folder with its name.
pub const LOCAL_TABLES: &str = "tables";

/// Where a worker that keeps all it makes in a folder has a route's events as flat JSON.
pub fn json_folder(route: Route) -> String {
    format!("{}-json", route.name())
}

impl Destination {
    /// Every line of a route, to objects of a folder.
    pub(super) fn local(
        route: Route,
        folder: PathBuf,
        worker: &str,
        growth: Growth,
    ) -> Destination {
        let objects = Objects::of(route, Home::Folder(folder), route.name(), worker, growth);
        Destination::of_all(route, To::Objects(objects))
    }

    /// The same events as flat JSON, in a folder beside it.
    pub(super) fn local_json(
        route: Route,
        folder: PathBuf,
        worker: &str,
        growth: Growth,
    ) -> Destination {
        let prefix = json_folder(route);
        let mut objects = Objects::of(route, Home::Folder(folder), &prefix, worker, growth);
        (objects.settings.name, objects.settings.form) = (Some("json".to_owned()), Form::Json);
        let want = Want { form: Form::Json, ..Want::default() };
        Destination { want, ..Destination::of_all(route, To::Objects(objects)) }
    }

    /// The same as a table, in a folder beside it; of a route that has none, nothing.
    pub(super) fn local_table(
        route: Route,
        folder: PathBuf,
        worker: &str,
        growth: Growth,
    ) -> Option<Destination> {
        let prefix = format!("{LOCAL_TABLES}/{}", tables::name(route)?);
        let objects = Objects::of(route, Home::Folder(folder), &prefix, worker, growth);
        let to = To::Objects(objects.into_table().with_name("tables"));
        Some(Destination::of_all(route, to))
    }

    fn of_all(route: Route, to: To) -> Destination {
        let (name, condition, want) = (None, None, Want::default());
        Destination { route, name, implied: false, want, condition, to }
    }

    /// Whether AWS is asked to take its lines.
    pub fn is_in_aws(&self) -> bool {
        self.to.accesses().next().is_some()
    }

    /// The same for a run whose every part has one object in a folder, under a name that is known
    /// beforehand: whoever repeats a part after a crash writes the same objects.
    pub(super) fn by_parts(mut self) -> Destination {
        let known = |objects: &mut Objects| {
            objects.settings.names = Names::Known;
            // Which folder was first would be chance.
            objects.settings.open_objects = usize::MAX;
        };
        match &mut self.to {
            To::Objects(objects) => known(objects),
            To::Stream { larger: Larger::Objects(objects), .. } => known(objects),
            To::Stream { .. } | To::Iceberg(_) => {}
        }
        self
    }

    /// The place, for people; two destinations of a route with the same are one.
    fn place(&self) -> String {
        match &self.to {
            To::Stream { settings, access, .. } => format!("stream {}{access}", settings.stream),
            To::Objects(objects) => objects.to_string(),
            To::Iceberg(table) => table.to_string(),
        }
    }
}

impl Objects {
    fn access(&self) -> Option<&Access> {
        match &self.home {
            Home::Bucket { access, .. } => Some(access),
            Home::Folder(_) => None,
        }
    }

    /// Objects of a route, under names that begin with `prefix` and tell the worker.
    fn of(route: Route, home: Home, prefix: &str, worker: &str, growth: Growth) -> Objects {
        let settings = Settings {
            route,
            name: None,
            form: Form::Own,
            kind: Kind::Lines,
            prefix: prefix.trim_end_matches('/').to_owned(),
            folder: Folder::default(),
            open_objects: 1,
            worker: worker.to_owned(),
            compression: growth.compression,
            object_bytes: growth.bytes,
            object_age: growth.age,
            names: Names::default(),
        };
        Objects { home, settings }
    }

    /// Those of a section, under its own prefix.
    fn named(route: Route, section: &config::Objects, worker: Run<'_>) -> Objects {
        let objects = Objects::below(route, section, prefix(route, section), worker);
        objects.in_folders(section.key.as_deref(), section.open_objects.get())
    }

    fn below(route: Route, section: &config::Objects, prefix: &str, worker: Run<'_>) -> Objects {
        let Run { name: worker, in_flight } = worker;
        let growth = Growth {
            compression: section.compression,
            bytes: config::closes_at(section.object_bytes, in_flight),
            age: section.object_age.get(),
        };
        let home = Home::Bucket {
            name: section.bucket.to_string(),
            access: Access::of(section.region.as_deref(), section.role.as_deref()),
            kms_key: section.kms_key.as_ref().map(|key| key.to_string()),
        };
        Objects::of(route, home, prefix, worker, growth)
    }

    /// Those of a destination's own folder.
    fn local(route: Route, section: &config::Folders, worker: Run<'_>) -> Objects {
        let Run { name: worker, in_flight } = worker;
        let growth = Growth {
            compression: section.compression,
            bytes: config::closes_at(section.object_bytes, in_flight),
            age: section.object_age.get(),
        };
        let objects = Objects::of(route, Home::Folder(section.path.clone()), "", worker, growth);
        objects.in_folders(section.key.as_deref(), section.open_objects.get())
    }

    /// The same objects as tables. Their days are told as engines read them.
    fn into_table(mut self) -> Objects {
        let folder = Folder::parse(TABLE_FOLDER, self.settings.route);
        self.settings.folder = folder.expect("it names times alone");
        self.settings.kind = Kind::Table;
        self
    }

    fn with_name(mut self, name: &str) -> Objects {
        self.settings.name = Some(name.to_owned());
        self
    }

    fn in_folders(mut self, key: Option<&str>, open_objects: usize) -> Objects {
        if let Some(key) = key {
            self.settings.folder = config::folder(key, self.settings.route);
            self.settings.open_objects = open_objects;
        }
        self
    }

    /// The same for a destination with a name.
    fn called(mut self, to: &config::To, form: Form) -> Objects {
        if to.format == config::Format::Parquet {
            let key = to.key().is_some().then(|| self.settings.folder.clone());
            self = self.into_table();
            self.settings.folder = key.unwrap_or(self.settings.folder);
        }
        let (route, name) = (self.settings.route.name(), to.name.to_string());
        let prefix = to.s3.iter().chain(&to.fallback).find_map(|objects| objects.prefix.as_ref());
        if prefix.is_none() && to.folder.is_none() {
            self.settings.prefix = format!("{route}-{name}");
        }
        self.settings.name = Some(name);
        self.settings.form = form;
        self
    }
}

impl Access {
    fn of(region: Option<&str>, role: Option<&str>) -> Access {
        Access { region: region.map(str::to_owned), role: role.map(str::to_owned) }
    }
}

/// The destinations that a route's sections name.
fn named(route: Route, sections: &config::Route, worker: Run<'_>, all: &mut Vec<Destination>) {
    if let Some(section) = &sections.kinesis {
        let larger = match (sections.takes_all(), &sections.fallback) {
            (true, _) => Larger::Elsewhere,
            (false, Some(objects)) => {
                Larger::Objects(Box::new(Objects::named(route, objects, worker)))
            }
            (false, None) => Larger::None,
        };
        let to = stream(route, section, None, Form::Own, larger);
        all.push(Destination::of_all(route, to));
    }
    if let Some(objects) = &sections.s3 {
        let folder = objects.key.as_ref().map(|key| config::folder(key, route));
        let want = Want { folder, ..Want::default() };
        let to = To::Objects(Objects::named(route, objects, worker));
        all.push(Destination { want, ..Destination::of_all(route, to) });
    }
    for to in &sections.to {
        let want = to.want(route);
        let objects = |objects| Objects::named(route, objects, worker).called(to, want.form);
        let what = match (&to.kinesis, &to.s3, &to.folder, &to.iceberg) {
            (Some(section), ..) => {
                let larger = match (&to.fallback, sections.takes_all()) {
                    (Some(fallback), _) => Larger::Objects(Box::new(objects(fallback))),
                    (None, true) => Larger::Elsewhere,
                    (None, false) => Larger::None,
                };
                stream(route, section, Some(&to.name), want.form, larger)
            }
            (None, Some(section), ..) => To::Objects(objects(section)),
            (None, None, Some(folder), _) => {
                To::Objects(Objects::local(route, folder, worker).called(to, want.form))
            }
            (None, None, None, Some(section)) => To::Iceberg(Iceberg::of(route, section, worker)),
            (None, None, None, None) => unreachable!("reading the file has refused it"),
        };
        all.push(Destination {
            name: Some(to.name.to_string()),
            condition: to.condition.as_ref().map(|text| text.to_string()),
            want,
            ..Destination::of_all(route, what)
        });
    }
}

fn stream(
    route: Route,
    section: &config::Stream,
    name: Option<&str>,
    form: Form,
    larger: Larger,
) -> To {
    let (stream, key) = (section.stream.to_string(), section.partition_key.0.clone());
    let packing = kinesis::Packing {
        aggregate: section.aggregate,
        zstd: section.compression == config::Packed::Zstd,
    };
    let name = name.map(str::to_owned);
    let settings = kinesis::Settings { stream, route, name, key, form, packing };
    let access = Access::of(section.region.as_deref(), section.role.as_deref());
    To::Stream { settings, access, larger }
}

/// The folders of tables, where no key is given.
const TABLE_FOLDER: &str = "load_date={date}/";

/// Where records are kept as they came.
fn archive(place: &Place, worker: Run<'_>) -> Destination {
    let (home, prefix) = match place {
        Place::Bucket { bucket, prefix } => {
            let (access, kms_key) = (Access::default(), None);
            (Home::Bucket { name: bucket.clone(), access, kms_key }, prefix.as_str())
        }
        Place::Folder(path) => (Home::Folder(path.clone()), ""),
    };
    let growth = Growth {
        compression: Compression::Zstd,
        bytes: config::closes_at(None, worker.in_flight),
        age: ARCHIVE_AGE,
    };
    let objects = Objects::of(Route::Raw, home, prefix, worker.name, growth);
    Destination::of_all(Route::Raw, To::Objects(objects))
}

/// The usual age at which objects close.
const ARCHIVE_AGE: Duration = Duration::from_secs(60);

/// How names of a section's objects begin.
fn prefix(route: Route, section: &config::Objects) -> &str {
    section.prefix.as_deref().unwrap_or(route.name())
}
