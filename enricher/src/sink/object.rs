//! The large-file sink: one open object per destination and folder, fed by all shards of the
//! worker, compressed as it grows in memory, and written in one request.
//!
//! Each batch's lines become one compressed frame (frames of zstd, like members of gzip, may be
//! strung together), so lines can be left out until the last moment: when a lease is lost, its
//! frames are dropped and the other shards' remain. An object closes at a size, at an age, at the
//! turn of the hour, which its name carries, and whenever somebody calls for hurry. Beside each
//! object goes a manifest: which records of which shard, in which epoch, it holds.
//!
//! Where columns tell the folder, so many objects grow at once, and one more for each hour: what
//! belongs into yet another folder goes there.
//!
//! Objects may be [tables](table) instead: then lines wait in frames all the same, and become
//! columns when their object closes.
//!
//! Where objects go is a [`Storage`]; this module leaves it only the writing of bytes under a name.

pub mod frame;
pub mod manifest;
pub mod table;
mod upload;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use pipeline::divide::{Folder, Form};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

pub use frame::Compression;

use crate::budget::Hurry;
use crate::health::Unfit;
use crate::metrics::Metrics;
use crate::pool::Pool;
use crate::seam::Pending;
use crate::sink::storage::Storage;
use crate::sink::{Error, Origin, Part, Route, Sink, Written};
use event::Utc;
use table::Tables;
use upload::{Later, Upload};

/// The most objects being written at once for one destination: enough to keep a connection busy
/// while another starts, and few enough that an outage does not open hundreds.
const UPLOADS: usize = 4;

/// The most that an open object reserves before it has any bytes: the usual size of an object, of
/// which nothing is resident until it is written.
const RESERVED: usize = 64 << 20;

/// When objects close, and what they are called.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whose lines the objects hold.
    pub route: Route,
    /// What the destination is called, where it has a name.
    pub name: Option<String>,
    /// What its lines are.
    pub form: Form,
    /// What objects hold.
    pub kind: Kind,
    /// How names begin: a folder, without the final slash; may be empty.
    pub prefix: String,
    /// The folders below.
    pub folder: Folder,
    /// How many objects grow at once.
    pub open_objects: usize,
    /// The worker's run, part of every name, so that no two workers share one.
    pub worker: String,
    /// How each frame is compressed.
    pub compression: Compression,
    /// An object closes when it has so many bytes.
    pub object_bytes: usize,
    /// An object closes so long after its first line.
    pub object_age: Duration,
    /// How objects are told apart.
    pub names: Names,
}

/// What objects hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Lines one behind the other, in frames.
    #[default]
    Lines,
    /// Their columns, as a file of Parquet.
    Table,
}

/// How the objects of a run are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// By a number, in the order in which they are begun.
    #[default]
    Counted,
    /// By their folders: no folder gets two, and one that is there already is the same one, from an
    /// attempt that was cut off.
    Known,
}

/// What a byte of a frame that is going to be columns counts for: while an object is written, its
/// frames are kept beside its file, which is about as large, as a lease may be lost meanwhile.
const TABLE_HELD: usize = 2;

/// The sink. Dropping it abandons what is open; whoever waits for it learns so.
pub struct Objects {
    frames: mpsc::Sender<Sent>,
    pool: Arc<Pool>,
    upload: Upload,
    writer: JoinHandle<()>,
}

/// The lines of one batch, compressed, among the bytes of an object.
#[derive(Debug)]
struct Frame {
    bytes: usize,
    lines: usize,
    text_bytes: usize,
    origin: Origin,
    done: oneshot::Sender<Result<(), Error>>,
}

/// A frame on its way to its object.
struct Sent {
    frame: Frame,
    bytes: Vec<u8>,
    folder: Option<Arc<str>>,
}

impl Objects {
    /// Starts the task of a sink whose objects hold lines.
    pub fn start(
        storage: Storage,
        settings: Settings,
        pool: Arc<Pool>,
        hurry: Hurry,
        metrics: Arc<Metrics>,
    ) -> Objects {
        Objects::begin(Upload::new(storage, settings, metrics), pool, hurry)
    }

    /// Starts the task of a sink whose objects are tables.
    pub fn start_tables(
        storage: Storage,
        settings: Settings,
        tables: Arc<Tables>,
        hurry: Hurry,
    ) -> Objects {
        let (pool, metrics) = (Arc::clone(&tables.pool), Arc::clone(&tables.metrics));
        Objects::begin(Upload::new(storage, settings, metrics).with(tables), pool, hurry)
    }

    #[allow(clippy::disallowed_methods, reason = "the sink owns the task and aborts it")]
    fn begin(upload: Upload, pool: Arc<Pool>, hurry: Hurry) -> Objects {
        // One frame may wait: its sender holds its bytes of the budget meanwhile.
        let (frames, receiver) = mpsc::channel(1);
        let calls = hurry.listen();
        let writer = Writer {
            upload: upload.clone(),
            frames: receiver,
            calls,
            _hurry: hurry,
            open: HashMap::new(),
            waiting: VecDeque::new(),
            written: 0,
            uploads: JoinSet::new(),
            later: Later::default(),
        };
        Objects { frames, pool, upload, writer: tokio::spawn(writer.run()) }
    }

    async fn add(&self, part: Arc<Part>) -> Result<Written, Error> {
        let (origin, lines, folder) = (part.origin.clone(), part.lines.len(), part.folder.clone());
        let text_bytes = part.lines.as_bytes().len();
        let Settings { compression, kind, .. } = *self.upload.settings;
        let bytes = self
            .pool
            .run(move || match kind {
                Kind::Lines => compression.frame(part.lines.as_bytes()),
                Kind::Table => frame::pack(part.lines.as_bytes()),
            })
            .await
            .map_err(|error| Error::failed("compressing lines", error))?;
        let held = match kind {
            Kind::Lines => bytes.len(),
            Kind::Table => bytes.len() * TABLE_HELD,
        };
        let (done, answer) = oneshot::channel();
        let frame = Frame { bytes: bytes.len(), lines, text_bytes, origin, done };
        let sent = Sent { frame, bytes, folder };
        self.frames.send(sent).await.map_err(|_| Error::gone())?;
        Ok(Written::Held { bytes: held, done: answer })
    }
}

impl Sink for Objects {
    fn write(&self, part: Arc<Part>) -> Pending<'_, Result<Written, Error>> {
        Box::pin(self.add(part))
    }

    fn look(&self) -> Pending<'_, Result<(), Unfit>> {
        Box::pin(self.upload.look())
    }

    fn stop(&self) {
        self.writer.abort();
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

/// The task behind the sink: owns the open objects and those being written.
struct Writer {
    upload: Upload,
    frames: mpsc::Receiver<Sent>,
    calls: watch::Receiver<u64>,
    /// Keeps the calls' other end alive.
    _hurry: Hurry,
    /// By folder.
    open: HashMap<Arc<str>, Open>,
    /// Closed, and not yet being written.
    waiting: VecDeque<Open>,
    written: u64,
    uploads: JoinSet<Option<upload::Manifest>>,
    later: Later,
}

/// An object that still grows.
#[derive(Debug)]
struct Open {
    folder: Arc<str>,
    frames: Vec<Frame>,
    bytes: Vec<u8>,
    hour: i64,
    close_at: Instant,
    number: u64,
}

impl Writer {
    async fn run(mut self) {
        loop {
            let close_at = self.open.values().map(|open| open.close_at).min();
            tokio::select! {
                sent = self.frames.recv(), if self.uploads.len() < UPLOADS => match sent {
                    Some(sent) => self.add(sent),
                    None => break,
                },
                () = until(close_at) => {
                    let now = Instant::now();
                    self.close(|open| open.close_at <= now);
                }
                _ = self.calls.changed() => self.close(|_| true),
                Some(done) = self.uploads.join_next() => {
                    self.upload();
                    if let Ok(Some(manifest)) = done {
                        self.later.add(manifest, &self.upload);
                    }
                }
            }
        }
        self.close(|_| true);
        while self.uploads.join_next().await.is_some() {
            self.upload();
        }
    }

    fn add(&mut self, Sent { frame, bytes, folder }: Sent) {
        const HOUR: i64 = 3_600_000;
        let now_ms = frame.origin.now_ms;
        let hour = now_ms.div_euclid(HOUR);
        self.close(|open| open.hour != hour);
        let settings = Arc::clone(&self.upload.settings);
        let full = self.open.len() >= settings.open_objects;
        let folder = match folder {
            Some(folder) if !full || self.open.contains_key(&folder) => folder,
            _ => Arc::from(settings.folder.rest(now_ms)),
        };
        let written = &mut self.written;
        let open = self.open.entry(folder).or_insert_with_key(|folder| {
            *written += 1;
            let close_at = Instant::now() + settings.object_age;
            let bytes = Vec::with_capacity(settings.reserved());
            let (folder, number) = (Arc::clone(folder), *written);
            Open { folder, frames: Vec::new(), bytes, hour, close_at, number }
        });
        open.bytes.extend_from_slice(&bytes);
        open.frames.push(frame);
        if open.bytes.len() >= settings.object_bytes {
            let number = open.number;
            self.close(|open| open.number == number);
        }
    }

    fn close(&mut self, mut which: impl FnMut(&Open) -> bool) {
        let closed = self.open.extract_if(|_, open| which(open)).map(|(_, open)| open);
        self.waiting.extend(closed);
        self.upload();
    }

    /// Begins to write what is closed, as far as there is room.
    fn upload(&mut self) {
        while self.uploads.len() < UPLOADS
            && let Some(open) = self.waiting.pop_front()
        {
            self.uploads.spawn(self.upload.clone().write(open));
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

impl Settings {
    /// What an open object reserves before it has any bytes.
    fn reserved(&self) -> usize {
        let objects = if self.folder.has_columns() { self.open_objects } else { 1 };
        self.object_bytes.min(RESERVED) / objects
    }

    /// The destination's name in metrics; of one without a name, what it is.
    fn label(&self, storage: &'static str) -> &str {
        self.name.as_deref().unwrap_or(storage)
    }

    /// `prefix/date=2026-01-31/hour=09/20260131T095959.123Z-enriched-worker-7.tsv.zst`, with the
    /// destination's name after the route's where it has one. Route and destination keep apart the
    /// objects of one worker; its run keeps them from those of others.
    pub(crate) fn name(&self, folder: &str, now_ms: i64, number: u64, version: u32) -> String {
        let t = Utc::from_ms(now_ms);
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        let version = if version == 0 { String::new() } else { format!(".{version}") };
        let number = if self.names == Names::Known { 1 } else { number };
        let name = self.name.as_ref().map(|name| format!("-{name}")).unwrap_or_default();
        format!(
            "{}{slash}{folder}{:04}{:02}{:02}T{:02}{:02}{:02}.{:03}Z\
             -{}{name}-{}-{number}{version}.{}{}",
            self.prefix,
            t.year,
            t.month,
            t.day,
            t.hour,
            t.minute,
            t.second,
            t.milli,
            self.route.name(),
            self.worker,
            self.suffix(),
            match self.kind {
                Kind::Lines => self.compression.suffix(),
                Kind::Table => "",
            },
        )
    }

    /// The most bytes of a name, that of a manifest included.
    pub(crate) fn longest_name(&self) -> usize {
        // More objects than a process makes, and more tries than one has.
        let name = self.name("", 0, 1_000_000_000, 1_000);
        self.manifest(&name).len() + self.folder.longest()
    }

    fn suffix(&self) -> &'static str {
        match (self.route, self.form) {
            _ if self.kind == Kind::Table => "parquet",
            (Route::Raw, _) => "records",
            (route, Form::Own) if route.is_of_events() => "tsv",
            _ => "jsonl",
        }
    }

    /// The name of an empty object that shows whether objects may be written: it is written once,
    /// and hidden from the usual readers.
    fn probe(&self) -> String {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("{}{slash}_writable", self.prefix)
    }

    /// Manifests stand under a folder of their own, where a query over the objects does not read
    /// them: a leading underscore hides a folder from the usual readers.
    fn manifest(&self, name: &str) -> String {
        let rest = name.strip_prefix(&self.prefix).unwrap_or(name).trim_start_matches('/');
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("{}{slash}_manifests/{rest}.json", self.prefix)
    }
}
