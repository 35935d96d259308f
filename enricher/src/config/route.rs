//! Where lines go: the settings of routes and of their destinations.

use std::path::PathBuf;
use std::time::Duration;

use pipeline::divide::{Condition, Folder, Form, Want};
use serde::Deserialize;

use super::{
    Bytes, Count, Iceberg, Name, OfBucket, OfPrefix, OfRegion, OfRole, OfStream, Span, Text,
    object_age, value,
};
use crate::sink::object::Compression;

/// `[enriched]`, `[bad]`, `[parked]`, `[pii]`, `[incomplete]`, `[oversized]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    /// A stream.
    pub kinesis: Option<Stream>,
    /// A bucket.
    pub s3: Option<Objects>,
    /// A bucket for what is too large for a record of the stream. Configurations may call it
    /// `oversized`, which is the name of a route.
    #[serde(alias = "oversized")]
    pub fallback: Option<Objects>,
    /// Destinations with names, as many as there are.
    pub to: Vec<To>,
    /// What becomes of lines that no destination wants.
    pub otherwise: Option<Otherwise>,
}

/// `[[enriched.to]]` and its like
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct To {
    /// What it is called in metrics, logs, names of objects and answers.
    pub name: Text,
    /// Which lines go there; all of them if absent. A condition, as `pipeline::divide` reads it.
    #[serde(rename = "where")]
    pub condition: Option<Text>,
    /// In which form events go there.
    #[serde(default)]
    pub format: Format,
    /// A stream.
    pub kinesis: Option<Stream>,
    /// A bucket.
    pub s3: Option<Objects>,
    /// A folder of this machine.
    pub folder: Option<Folders>,
    /// A table of Iceberg.
    pub iceberg: Option<Iceberg>,
    /// A bucket for what is too large for a record of the stream.
    pub fallback: Option<Objects>,
}

/// What becomes of lines that no destination wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    /// They are counted and written nowhere.
    Drop,
}

/// In which form events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// 131 columns.
    #[default]
    Tsv,
    /// One flat JSON object.
    Json,
    /// Typed columns, in files of Parquet.
    Parquet,
}

/// `[enriched.kinesis]` and its like
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// The stream that lines are put into, by name.
    pub stream: Name<OfStream>,
    /// How records are spread: `random`, or a column of enriched events, or several.
    #[serde(default)]
    pub partition_key: value::PartitionKey,
    /// Aggregates lines of one partition key, as the Kinesis Producer Library does.
    #[serde(default)]
    pub aggregate: bool,
    /// How records are compressed.
    #[serde(default)]
    pub compression: Packed,
    /// Where it is; where `[aws]` says, if absent.
    pub region: Option<Name<OfRegion>>,
    /// The role to write as; the worker's own if absent.
    pub role: Option<Name<OfRole>>,
}

/// How records of a stream are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Packed {
    /// Not at all.
    #[default]
    None,
    /// Each as a Zstandard stream.
    Zstd,
}

/// `[enriched.s3]` and its like, and `fallback`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objects {
    /// The bucket that objects are put into, by name.
    pub bucket: Name<OfBucket>,
    /// How names of objects begin; the names of route and destination if absent.
    pub prefix: Option<Name<OfPrefix>>,
    /// The folders below, a template of times and columns.
    pub key: Option<Text>,
    /// How many objects grow at once, where columns are in `key`.
    #[serde(default = "open_objects")]
    pub open_objects: Count<1, 1024>,
    /// How objects are compressed.
    #[serde(default, deserialize_with = "value::compression")]
    pub compression: Compression,
    /// An object closes when it has so many bytes, compressed.
    /// If absent: 64 MiB, or a quarter of all bytes in flight where that is less.
    #[serde(default)]
    pub object_bytes: Option<ObjectBytes>,
    /// An object closes so long after its first line.
    #[serde(default = "object_age")]
    pub object_age: Span<100, 3_600_000>,
    /// The key of KMS that objects are encrypted with; the bucket's own way if absent.
    pub kms_key: Option<Text>,
    /// Where the bucket is; where `[aws]` says, if absent.
    pub region: Option<Name<OfRegion>>,
    /// The role to write as; the worker's own if absent.
    pub role: Option<Name<OfRole>>,
}

/// `folder` of a destination
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folders {
    /// Where it is.
    pub path: PathBuf,
    /// The folders below, a template of times and columns.
    pub key: Option<Text>,
    /// How many objects grow at once, where columns are in `key`.
    #[serde(default = "open_objects")]
    pub open_objects: Count<1, 1024>,
    /// How objects are compressed.
    #[serde(default, deserialize_with = "value::compression")]
    pub compression: Compression,
    /// An object closes when it has so many bytes, compressed.
    #[serde(default)]
    pub object_bytes: Option<ObjectBytes>,
    /// An object closes so long after its first line.
    #[serde(default = "object_age")]
    pub object_age: Span<100, 3_600_000>,
}

/// Bytes of an object. One request takes up to 5 GB.
pub(super) type ObjectBytes = Bytes<{ 1 << 10 }, { 4 << 30 }>;

/// At how many bytes an object closes, in a worker with so many in flight.
pub fn closes_at(object_bytes: Option<ObjectBytes>, in_flight: usize) -> usize {
    /// Few enough objects for those who list them, small enough to be written at once.
    const USUAL: usize = 64 << 20;
    object_bytes.map_or(USUAL.min(in_flight / 4), ObjectBytes::get)
}

impl Route {
    /// The buckets of the route.
    pub fn objects(&self) -> impl Iterator<Item = &Objects> {
        let named = self.to.iter().flat_map(|to| to.s3.iter().chain(&to.fallback));
        self.s3.iter().chain(&self.fallback).chain(named)
    }

    /// How long objects of the route stay open.
    pub fn object_ages(&self) -> impl Iterator<Item = Duration> {
        let folders = self.to.iter().filter_map(|to| to.folder.as_ref());
        let folders = folders.map(|folder| folder.object_age.get());
        let tables = self.to.iter().filter_map(|to| to.iceberg.as_ref());
        let others = folders.chain(tables.map(|table| table.object_age.get()));
        self.objects().map(|objects| objects.object_age.get()).chain(others)
    }

    /// The streams of the route.
    pub fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.kinesis.iter().chain(self.to.iter().filter_map(|to| to.kinesis.as_ref()))
    }

    /// Whether some destination takes lines of any size, and all of them.
    pub fn takes_all(&self) -> bool {
        let all = |to: &To| {
            let large = to.s3.is_some() || to.folder.is_some() || to.iceberg.is_some();
            to.condition.is_none() && large
        };
        self.s3.is_some() || self.to.iter().any(all)
    }

    /// Whether lines are packed somewhere before they are written.
    pub fn packs(&self) -> bool {
        self.streams().any(|stream| stream.aggregate || stream.compression == Packed::Zstd)
    }

    /// Whether events are written as JSON somewhere.
    pub fn has_json(&self) -> bool {
        self.to.iter().any(|to| to.format == Format::Json)
    }
}

impl To {
    /// What it wants of a route. Reading the file has found that it can be read.
    pub fn want(&self, route: pipeline::Route) -> Want {
        let checked = "reading the file has read it before";
        let condition = self.condition.as_deref();
        let condition = condition.map(|text| Condition::parse(text, route).expect(checked));
        let form = match self.format {
            Format::Json if route.is_of_events() => Form::Json,
            Format::Tsv | Format::Json | Format::Parquet => Form::Own,
        };
        Want { condition, form, folder: self.key().map(|key| folder(key, route)) }
    }

    /// The template of its objects' folders.
    pub fn key(&self) -> Option<&Text> {
        let s3 = self.s3.as_ref().and_then(|objects| objects.key.as_ref());
        s3.or_else(|| self.folder.as_ref().and_then(|folder| folder.key.as_ref()))
    }
}

/// The folders of a template. Reading the file has found that it can be read.
pub fn folder(key: &str, route: pipeline::Route) -> Folder {
    Folder::parse(key, route).expect("reading the file has read it before")
}

fn open_objects() -> Count<1, 1024> {
    Count::new(64)
}
