//! The large-file sink: one open object per route, fed by all shards of the worker, compressed as
//! it grows in memory, and written in one request.
//!
//! Each batch's lines become one compressed frame (frames of zstd, like members of gzip, may be
//! strung together), so lines can be left out until the last moment: when a lease is lost, its
//! frames are dropped and the other shards' remain. An object closes at a size, at an age, at the
//! turn of the hour, which its name carries, and whenever somebody calls for hurry. Beside each
//! object goes a manifest: which records of which shard, in which epoch, it holds.
//!
//! Where objects go is a [`Storage`]; this module leaves it only the writing of bytes under a name.

pub mod frame;
pub mod manifest;
mod upload;

use std::sync::Arc;
use std::time::Duration;

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
use upload::{Later, Upload};

/// The most objects being written at once for one route: enough to keep a connection busy while
/// another starts, and few enough that an outage does not open hundreds.
const UPLOADS: usize = 4;

/// The most that an open object reserves before it has any bytes: the usual size of an object, of
/// which nothing is resident until it is written.
const RESERVED: usize = 64 << 20;

/// When objects close, and what they are called.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whose lines the objects hold.
    pub route: Route,
    /// How names begin: a folder, without the final slash; may be empty.
    pub prefix: String,
    /// The worker's run, part of every name, so that no two workers share one.
    pub worker: String,
    /// How each frame is compressed.
    pub compression: Compression,
    /// An object closes when it has so many bytes.
    pub object_bytes: usize,
    /// An object closes so long after its first line.
    pub object_age: Duration,
}

/// The sink. Dropping it abandons what is open; whoever waits for it learns so.
pub struct Objects {
    frames: mpsc::Sender<(Frame, Vec<u8>)>,
    pool: Arc<Pool>,
    compression: Compression,
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

impl Objects {
    /// Starts the sink's task.
    #[allow(clippy::disallowed_methods, reason = "the sink owns the task and aborts it")]
    pub fn start(
        storage: Storage,
        settings: Settings,
        pool: Arc<Pool>,
        hurry: Hurry,
        metrics: Arc<Metrics>,
    ) -> Objects {
        // One frame may wait: its sender holds its bytes of the budget meanwhile.
        let (frames, receiver) = mpsc::channel(1);
        let compression = settings.compression;
        let upload = Upload::new(storage, settings, metrics);
        let calls = hurry.listen();
        let writer = Writer {
            upload: upload.clone(),
            frames: receiver,
            calls,
            _hurry: hurry,
            open: None,
            written: 0,
            uploads: JoinSet::new(),
            later: Later::default(),
        };
        Objects { frames, pool, compression, upload, writer: tokio::spawn(writer.run()) }
    }

    async fn add(&self, part: Arc<Part>) -> Result<Written, Error> {
        let (origin, lines) = (part.origin.clone(), part.lines.len());
        let text_bytes = part.lines.as_bytes().len();
        let compression = self.compression;
        let bytes = self
            .pool
            .run(move || compression.frame(part.lines.as_bytes()))
            .await
            .map_err(|error| Error::failed("compressing lines", error))?;
        let held = bytes.len();
        let (done, answer) = oneshot::channel();
        let frame = Frame { bytes: held, lines, text_bytes, origin, done };
        self.frames.send((frame, bytes)).await.map_err(|_| Error::gone())?;
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

/// The task behind the sink: owns the open object and those being written.
struct Writer {
    upload: Upload,
    frames: mpsc::Receiver<(Frame, Vec<u8>)>,
    calls: watch::Receiver<u64>,
    /// Keeps the calls' other end alive.
    _hurry: Hurry,
    open: Option<Open>,
    written: u64,
    uploads: JoinSet<Option<upload::Manifest>>,
    later: Later,
}

/// An object that still grows.
#[derive(Debug)]
struct Open {
    frames: Vec<Frame>,
    bytes: Vec<u8>,
    hour: i64,
    close_at: Instant,
    number: u64,
}

impl Writer {
    async fn run(mut self) {
        loop {
            let close_at = self.open.as_ref().map(|open| open.close_at);
            tokio::select! {
                frame = self.frames.recv(), if self.uploads.len() < UPLOADS => match frame {
                    Some((frame, bytes)) => self.add(frame, bytes),
                    None => break,
                },
                () = until(close_at) => self.close(),
                _ = self.calls.changed() => self.close(),
                Some(done) = self.uploads.join_next() => {
                    if let Ok(Some(manifest)) = done {
                        self.later.add(manifest, &self.upload);
                    }
                }
            }
        }
        self.close();
        while self.uploads.join_next().await.is_some() {}
    }

    fn add(&mut self, frame: Frame, bytes: Vec<u8>) {
        const HOUR: i64 = 3_600_000;
        let hour = frame.origin.now_ms.div_euclid(HOUR);
        if self.open.as_ref().is_some_and(|open| open.hour != hour) {
            self.close();
        }
        let settings = &self.upload.settings;
        let open = self.open.get_or_insert_with(|| {
            self.written += 1;
            let close_at = Instant::now() + settings.object_age;
            let reserved = settings.object_bytes.min(RESERVED);
            let bytes = Vec::with_capacity(reserved);
            Open { frames: Vec::new(), bytes, hour, close_at, number: self.written }
        });
        open.bytes.extend_from_slice(&bytes);
        open.frames.push(frame);
        if open.bytes.len() >= settings.object_bytes {
            self.close();
        }
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
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
    /// `prefix/date=2026-01-31/hour=09/20260131T095959.123Z-enriched-worker-7.tsv.zst`
    fn name(&self, now_ms: i64, number: u64, version: u32) -> String {
        let t = Utc::from_ms(now_ms);
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        let version = if version == 0 { String::new() } else { format!(".{version}") };
        format!(
            "{}{slash}date={:04}-{:02}-{:02}/hour={:02}/\
             {:04}{:02}{:02}T{:02}{:02}{:02}.{:03}Z-{}-{}-{number}{version}.{}{}",
            self.prefix,
            t.year,
            t.month,
            t.day,
            t.hour,
            t.year,
            t.month,
            t.day,
            t.hour,
            t.minute,
            t.second,
            t.milli,
            self.route.name(),
            self.worker,
            if self.route.is_of_events() { "tsv" } else { "jsonl" },
            self.compression.suffix(),
        )
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
