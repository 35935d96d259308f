//! What no single setting can tell: which of them belong together, and which exclude each other. A
//! setting that would be ignored is a mistake, and so is what cannot work whatever AWS says.

use std::time::Duration;

use event::fields::FIELDS;
use pipeline::divide::{Condition, Folder, Mistake};

use super::name::{Kind, is_arn};
use super::there::Wrong;
use super::{
    Config, Format, Iceberg, InitialPosition, Input, Mode, Notice, OfConsumer, OfTag, Otherwise,
    Route, Stream, Text, To, closes_at,
};
use crate::places::nearest;
use crate::sink::object::Compression;
use crate::{sink, tables};

/// See [`Config::check_life`].
const LONGEST_SPOT_GRACE: Duration = Duration::from_secs(110);

impl Config {
    /// Says everything that is wrong: of each section, and of each destination, the first.
    pub(super) fn check(&self, now_ms: i64) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        for (route, destinations) in self.routes() {
            wrong.extend(self.check_route(route, destinations).err());
            for (at, one) in destinations.to.iter().enumerate() {
                let (place, others) = (at.to_string(), &destinations.to[..at]);
                let place = [route.name(), "to", &place];
                wrong.extend(self.check_to(route, one, others, &place).err());
            }
        }
        if let InitialPosition::AtTimestamp(ms) = self.source.initial_position
            && ms > now_ms
        {
            let what = "[source] initial_position: expected a time in the past";
            wrong.push(Wrong::said(what.to_owned()));
        }
        wrong.extend(self.check_source().map_err(Wrong::said).err());
        wrong.extend(self.check_assets().map_err(Wrong::said).err());
        wrong.extend(self.check_life().map_err(Wrong::said).err());
        wrong.extend(self.check_metrics().map_err(Wrong::said).err());
        wrong
    }

    fn check_source(&self) -> Result<(), String> {
        let source = &self.source;
        match (&source.stream, source.streams.as_slice()) {
            (None, []) => {
                return Err("[source] names no stream: add stream, or streams".to_owned());
            }
            (Some(_), [_, ..]) => {
                return Err(
                    "[source] streams: they take the place of stream; name one or the other"
                        .to_owned(),
                );
            }
            (None, _) if source.role.is_some() => {
                return Err("[source] role: each of several streams has its own".to_owned());
            }
            _ => {}
        }
        for (at, input) in source.streams.iter().enumerate() {
            if source.streams[..at].iter().any(|other| *other.stream == *input.stream) {
                return Err(format!("[source] streams: `{}` stands there twice", &*input.stream));
            }
        }
        if !source.streams.is_empty() && source.consumer.as_deref().is_some_and(is_arn) {
            return Err(
                "[source] consumer: each of several streams has its own of that name; an ARN \
                        is of one"
                    .to_owned(),
            );
        }
        match (self.source.mode, &self.source.consumer) {
            (Mode::Polling, Some(_)) => {
                Err("[source] consumer: it subscribes to shards, and these \
                                             are polled; add mode = \"fan_out\", or leave it out"
                    .to_owned())
            }
            (Mode::FanOut, None) if OfConsumer::fits(&self.leases.table) => Ok(()),
            (Mode::FanOut, None) => Err("[source] consumer: without it the consumer is named as \
                                         [leases] table, which cannot be the name of one"
                .to_owned()),
            _ => Ok(()),
        }
    }

    fn check_route(&self, route: sink::Route, destinations: &Route) -> Result<(), Wrong> {
        let name = route.name();
        let wrong = |what: String| Err(Wrong::said(what));
        let Route { kinesis, s3, fallback, to, .. } = destinations;
        if kinesis.is_none() && s3.is_none() && to.is_empty() {
            return wrong(format!(
                "[{name}] has no destination: add [{name}.kinesis], [{name}.s3] or [[{name}.to]]"
            ));
        }
        if fallback.is_some() && (kinesis.is_none() || s3.is_some()) {
            return wrong(format!(
                "[{name}.fallback] takes what [{name}.kinesis] cannot: it needs that section \
                 and is of no use beside [{name}.s3], which takes everything"
            ));
        }
        if let Some(stream) = kinesis {
            self.check_stream(route, stream, &format!("[{name}.kinesis]")).map_err(Wrong::said)?;
        }
        let room = self.worker.bytes_in_flight.get();
        let folders = to.iter().filter_map(|to| to.folder.as_ref());
        let objects = destinations.objects().map(|objects| objects.object_bytes);
        let tables = to.iter().filter_map(|to| to.iceberg.as_ref());
        let sizes = objects.chain(folders.map(|folder| folder.object_bytes));
        let mut sizes = sizes.chain(tables.map(|table| table.object_bytes));
        if sizes.any(|bytes| closes_at(bytes, room) > room) {
            return wrong(format!(
                "[{name}] object_bytes: an object grows in memory, and [worker] bytes_in_flight \
                 has less room than one; give the one less or the other more"
            ));
        }
        for (section, objects) in [("s3", s3), ("fallback", fallback)] {
            let key = objects.as_ref().and_then(|objects| objects.key.as_ref());
            check_key(route, key, &[name, section], &format!("[{name}.{section}]"))?;
        }
        check_otherwise(route, destinations).map_err(Wrong::said)
    }

    fn check_stream(&self, route: sink::Route, to: &Stream, section: &str) -> Result<(), String> {
        if !route.is_of_events() && to.partition_key.is_column() {
            return Err(format!("{section} partition_key: only routes of events have columns"));
        }
        let is_read = |input: &Input| input.arn().is_none() && *input.stream == *to.stream;
        let here = to.region.is_none() && to.role.is_none();
        if here && self.source.inputs().iter().any(is_read) {
            return Err(format!(
                "{section} stream: `{}` is the stream that is read; what is written there would \
                 be read again, without end",
                to.stream
            ));
        }
        Ok(())
    }

    /// One destination with a name, and those before it.
    fn check_to(
        &self,
        route: sink::Route,
        to: &To,
        others: &[To],
        at: &[&str],
    ) -> Result<(), Wrong> {
        let section = format!("[[{}.to]] {}", route.name(), &*to.name);
        let place = |setting: &str| {
            let at = at.iter().copied().chain([setting].into_iter().filter(|it| !it.is_empty()));
            at.map(str::to_owned).collect()
        };
        let wrong = |setting: &str, what: &str| {
            let comma = if setting.is_empty() { "" } else { ", " };
            let what = format!("{section}{comma}{setting}: {what}");
            Err(Wrong { at: place(setting), what })
        };
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
        if to.name.len() > 32 || !to.name.bytes().all(word) {
            return wrong("name", "expected up to 32 small letters, digits, `-` and `_`");
        }
        if others.iter().any(|other| *other.name == *to.name) {
            return wrong("name", "the name is taken");
        }
        if ["kinesis", "s3", "local", "iceberg"].contains(&&*to.name) {
            return wrong("name", "metrics call destinations without a name so");
        }
        let places =
            [to.kinesis.is_some(), to.s3.is_some(), to.folder.is_some(), to.iceberg.is_some()];
        if places.into_iter().filter(|there| *there).count() != 1 {
            return wrong("", "expected one of `kinesis`, `s3`, `folder` and `iceberg`");
        }
        if let Some(iceberg) = &to.iceberg {
            check_iceberg(route, to, iceberg, at)?;
        }
        if to.fallback.is_some() && to.kinesis.is_none() {
            return wrong("fallback", "it takes what is too large for a stream, and there is none");
        }
        if to.format == Format::Json && !route.is_of_events() {
            return wrong("format", "lines of this route are JSON whatever is said");
        }
        if to.format == Format::Parquet {
            check_parquet(route, to, at)?;
        }
        if let Some(stream) = &to.kinesis
            && let Err(what) = self.check_stream(route, stream, &format!("{section}, kinesis"))
        {
            return Err(Wrong { at: place("kinesis"), what });
        }
        if let Some(condition) = &to.condition
            && let Err(mistake) = Condition::parse(condition, route)
        {
            return wrong("where", &said(&mistake));
        }
        for (setting, objects) in [("s3", &to.s3), ("fallback", &to.fallback)] {
            let key = objects.as_ref().and_then(|objects| objects.key.as_ref());
            check_key(route, key, &[at, &[setting]].concat(), &section)?;
        }
        let key = to.folder.as_ref().and_then(|folder| folder.key.as_ref());
        check_key(route, key, &[at, &["folder"]].concat(), &section)
    }

    /// A spot instance is gone two minutes after its notice, five seconds of which may have passed.
    fn check_life(&self) -> Result<(), String> {
        let life = &self.life;
        if life.hook.is_some() && !life.notices.contains(&Notice::Group) {
            return Err("[life.hook] is completed when the group takes the machine out: add \
                        \"group\" to [life] notices"
                .to_owned());
        }
        if life.notices.contains(&Notice::Spot) && self.worker.grace.get() > LONGEST_SPOT_GRACE {
            return Err("[worker] grace: a spot instance is gone two minutes after its notice; \
                        expected up to 110s"
                .to_owned());
        }
        Ok(())
    }

    fn check_metrics(&self) -> Result<(), String> {
        let metrics = &self.metrics;
        if let Some(tag) = metrics.tags.keys().find(|tag| !OfTag::fits(tag) || tag.is_empty()) {
            return Err(format!("[metrics] tags: expected {}, found `{tag}`", OfTag::EXPECTED));
        }
        if metrics.statsd.is_none() && !metrics.tags.is_empty() {
            return Err(
                "[metrics] tags are of what is sent, and without statsd nothing is".to_owned()
            );
        }
        Ok(())
    }

    fn check_assets(&self) -> Result<(), String> {
        let enrichments = &self.enrichments;
        if enrichments.assets.is_some() && enrichments.cache.is_some() {
            return Err("[enrichments] assets and cache exclude each other: files of the one are \
                        yours, files of the other are fetched"
                .to_owned());
        }
        if enrichments.max_age.is_some() && enrichments.cache.is_none() {
            return Err("[enrichments] max_age is of assets that are fetched, and without cache \
                        none are"
                .to_owned());
        }
        if enrichments.folder.is_none() {
            let ignored = [
                ("assets", enrichments.assets.is_some()),
                ("cache", enrichments.cache.is_some()),
                ("allow_unsupported", !enrichments.allow_unsupported.is_empty()),
                ("peer_masking", enrichments.peer_masking),
            ];
            if let Some((name, _)) = ignored.iter().find(|(_, given)| *given) {
                return Err(format!(
                    "[enrichments] {name} is of enrichments, and without folder there are none"
                ));
            }
        }
        Ok(())
    }
}

/// A destination that is to be a table of Iceberg.
fn check_iceberg(route: sink::Route, to: &To, iceberg: &Iceberg, at: &[&str]) -> Result<(), Wrong> {
    let wrong = |setting: &str, what: &str| {
        let name = format!("[[{}.to]] {}, {setting}", route.name(), &*to.name);
        let section = setting.split('.').next().unwrap_or(setting);
        let at = at.iter().chain([&section]).map(|part| (*part).to_owned()).collect();
        Err(Wrong { at, what: format!("{name}: {what}") })
    };
    if tables::name(route).is_none() {
        return wrong("iceberg", "lines of this route have no columns to be a table of");
    }
    if to.format != Format::Tsv {
        return wrong("format", "a table of Iceberg has columns whatever is said");
    }
    match iceberg.check() {
        Ok(()) => Ok(()),
        Err(("", what)) => wrong("iceberg", &what),
        Err((setting, what)) => wrong(&format!("iceberg.{setting}"), &what),
    }
}

/// A destination that is to be files of Parquet.
fn check_parquet(route: sink::Route, to: &To, at: &[&str]) -> Result<(), Wrong> {
    let wrong = |setting: &[&str], what: &str| {
        let name = format!("[[{}.to]] {}, {}", route.name(), &*to.name, setting.join(", "));
        let at = at.iter().chain(setting).map(|part| (*part).to_owned()).collect();
        Err(Wrong { at, what: format!("{name}: {what}") })
    };
    if tables::name(route).is_none() {
        return wrong(&["format"], "lines of this route have no columns to be a table of");
    }
    if to.kinesis.is_some() {
        return wrong(&["format"], "Parquet is of files; a stream takes tsv or json");
    }
    let s3 = to.s3.as_ref().map(|objects| ("s3", objects.compression));
    let folder = to.folder.as_ref().map(|folder| ("folder", folder.compression));
    match s3.or(folder) {
        Some((section, compression)) if compression != Compression::Zstd => {
            let what = "files of Parquet are compressed by Zstandard within; leave it out";
            wrong(&[section, "compression"], what)
        }
        _ => Ok(()),
    }
}

/// A template of folders.
fn check_key(
    route: sink::Route,
    key: Option<&Text>,
    at: &[&str],
    section: &str,
) -> Result<(), Wrong> {
    let Some(key) = key else { return Ok(()) };
    let wrong = |what: String| Wrong {
        at: at.iter().copied().chain(["key"]).map(str::to_owned).collect(),
        what: format!("{section}, key: {what}"),
    };
    let folder = Folder::parse(key, route).map_err(|mistake| wrong(said(&mistake)))?;
    match at.last() {
        Some(&"fallback") if folder.has_columns() => {
            Err(wrong("what is too large for a stream goes by times, not by columns".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Where every destination of a route chooses, a line may be wanted by none. Of events and bad rows
/// there is nothing else, so that has to be meant.
fn check_otherwise(route: sink::Route, destinations: &Route) -> Result<(), String> {
    let name = route.name();
    let named = destinations.to.iter().all(|to| to.condition.is_some());
    let chooses = destinations.kinesis.is_none() && destinations.s3.is_none() && named;
    match (chooses && route.has_verdicts(), destinations.otherwise) {
        (true, None) => Err(format!(
            "[{name}] every destination has a `where`, and lines that none of them wants would be \
             lost: add a destination without one, or otherwise = \"drop\""
        )),
        (false, Some(Otherwise::Drop)) => Err(format!(
            "[{name}] otherwise is of lines that no destination wants, and here there are none"
        )),
        _ => Ok(()),
    }
}

/// A mistake in an expression, and what was probably meant.
fn said(mistake: &Mistake) -> String {
    let columns = FIELDS.map(event::Field::name);
    let unknown = mistake.unknown.as_deref();
    match unknown.and_then(|name| nearest(name, columns)) {
        Some(column) => format!("{mistake}; did you mean `{column}`?"),
        None => mistake.to_string(),
    }
}
