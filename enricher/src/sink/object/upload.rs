//! The writing of one object, and of its manifest.
//!
//! A name that is taken counts as written only when this upload has tried it before and not
//! learned what became of it; otherwise the object is somebody else's, and ours takes another name.
//! A manifest that cannot be written fails nothing: it is tried again later, for as long as the
//! worker lives.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::table::Tables;
use super::{Frame, Names, Open, Settings, manifest};
use crate::circuit::{Circuit, Then};
use crate::health::{Check, Need, Unfit};
use crate::metrics::{Metrics, Retry};
use crate::sink::put::Put;
use crate::sink::storage::Storage;
use crate::sink::{Error, called, guard};

/// How long those who wait for an object wait for its manifest, too.
const WITH_ITS_OBJECT: Duration = Duration::from_secs(5);

/// The most manifests that wait to be written later: hours of an outage, in few megabytes.
const LATER: usize = 1024;

/// Where objects of a route are written.
#[derive(Clone)]
pub(super) struct Upload {
    storage: Storage,
    pub(super) settings: Arc<Settings>,
    metrics: Arc<Metrics>,
    objects: Arc<Circuit>,
    /// Manifests have their own: their failures hold up no object, and are no reason not to be
    /// ready.
    manifests: Arc<Circuit>,
    /// What makes tables of lines, where objects are tables.
    tables: Option<Arc<Tables>>,
}

/// A manifest to be written under a name.
#[derive(Debug)]
pub(super) struct Manifest {
    name: String,
    body: Bytes,
}

/// A name for an object.
struct Name {
    text: String,
    /// Whether it may be there already, from an attempt of ours.
    tried: bool,
}

impl Upload {
    pub(super) fn new(storage: Storage, settings: Settings, metrics: Arc<Metrics>) -> Upload {
        let called = called(settings.route, settings.name.as_deref());
        let what = format!("{} for {called}", storage.called());
        let manifests = Check::alone(format!("{what}, manifests"));
        Upload {
            objects: Arc::new(Circuit::new(metrics.health().check(what, Need::WhenUsed))),
            manifests: Arc::new(Circuit::new(manifests)),
            settings: Arc::new(settings),
            storage,
            metrics,
            tables: None,
        }
    }

    /// The same for objects that are tables.
    pub(super) fn with(self, tables: Arc<Tables>) -> Upload {
        Upload { tables: Some(tables), ..self }
    }

    /// Writes an empty object unless it is there: the answer says whether objects may be written.
    pub(super) async fn look(&self) -> Result<(), Unfit> {
        let name = self.settings.probe();
        let looked = self.storage.put(&name, Bytes::new()).await;
        looked.map(drop).map_err(|failure| Unfit { what: self.objects.what().to_owned(), failure })
    }

    /// Writes an object and tells everybody who waits for it. Tries as long as the leases are held;
    /// frames of lost ones are left out. Returns its manifest if that is not written yet.
    pub(super) async fn write(self, open: Open) -> Option<Manifest> {
        let Open { mut frames, bytes, number, folder, .. } = open;
        let mut lines = Bytes::from(bytes);
        let mut made: Option<Bytes> = None;
        let mut version = 0;
        let mut name = self.name(&folder, &frames, number, version);
        let bytes = loop {
            let dropped = self.drop_lost(&mut frames, &mut lines);
            if frames.is_empty() {
                return None;
            }
            // Other bytes need a name of their own: the last one may be taken.
            if dropped {
                version += 1;
                name = self.name(&folder, &frames, number, version);
            }
            let body = match made.take().filter(|_| !dropped) {
                Some(body) => body,
                None => match self.body(&frames, &lines).await {
                    Ok(body) => body,
                    Err(error) => {
                        answer(frames, &Err(error));
                        return None;
                    }
                },
            };
            let put = self.put(&mut name, &body);
            match guard(frames.iter().map(|frame| &frame.origin), put).await {
                Err(_) => {}
                Ok(Err(error)) => {
                    answer(frames, &Err(error));
                    return None;
                }
                Ok(Ok(Put::Exists)) => {
                    let (storage, object) = (self.storage.called(), &name.text);
                    tracing::error!(storage, object, "the name is another's; ours takes the next");
                    version += 1;
                    name = self.name(&folder, &frames, number, version);
                }
                Ok(Ok(Put::Written)) => break body.len(),
            }
            made = Some(body);
        };
        drop(lines);
        // From here on the lines are written, whatever becomes of leases and manifest.
        self.count(&frames, bytes);
        let manifest = Manifest {
            body: Bytes::from(manifest::write(&self.settings, &name.text, &frames, bytes)),
            name: self.settings.manifest(&name.text),
        };
        let described = !self.manifests.is_open()
            && timeout(WITH_ITS_OBJECT, self.describe(&manifest)).await == Ok(true);
        answer(frames, &Ok(()));
        (!described).then_some(manifest)
    }

    /// What is written of frames.
    async fn body(&self, frames: &[Frame], lines: &Bytes) -> Result<Bytes, Error> {
        match &self.tables {
            Some(tables) => tables.file(self.settings.route, frames, lines).await,
            None => Ok(lines.clone()),
        }
    }

    /// Writes an object: tries again as long as that may help.
    async fn put(&self, name: &mut Name, body: &Bytes) -> Result<Put, Error> {
        loop {
            let turn = self.objects.turn().await;
            let tried = std::mem::replace(&mut name.tried, true);
            match self.storage.put(&name.text, body.clone()).await {
                Ok(put) => {
                    turn.succeeded();
                    let ours = tried || self.settings.names == Names::Known;
                    return Ok(if ours { Put::Written } else { put });
                }
                Err(failure) => {
                    name.tried = tried || failure.is_unclear();
                    self.metrics.retried(Retry::Object);
                    let label = self.settings.label(self.storage.name());
                    self.metrics.write_failed(self.settings.route, label);
                    if turn.failed(&failure) == Then::GiveUp {
                        let doing = format!("writing {} to {}", name.text, self.objects.what());
                        return Err(Error::failed(doing, failure));
                    }
                }
            }
        }
    }

    /// Tries once to write a manifest.
    async fn describe(&self, manifest: &Manifest) -> bool {
        let turn = self.manifests.turn().await;
        match self.storage.put(&manifest.name, manifest.body.clone()).await {
            Ok(_) => {
                turn.succeeded();
                true
            }
            Err(failure) => {
                self.metrics.retried(Retry::Manifest);
                turn.failed(&failure);
                false
            }
        }
    }

    fn name(&self, folder: &str, frames: &[Frame], number: u64, version: u32) -> Name {
        let text = self.settings.name(folder, frames[0].origin.now_ms, number, version);
        Name { text, tried: false }
    }

    /// Tells whether there were any.
    fn drop_lost(&self, frames: &mut Vec<Frame>, body: &mut Bytes) -> bool {
        if frames.iter().all(|frame| frame.origin.may_write()) {
            return false;
        }
        let (mut kept, mut bytes, mut start) = (Vec::new(), Vec::new(), 0);
        for frame in frames.drain(..) {
            let end = start + frame.bytes;
            if frame.origin.may_write() {
                bytes.extend_from_slice(&body[start..end]);
                kept.push(frame);
            } else {
                self.metrics.lost(frame.lines);
                let _ = frame.done.send(Err(Error::Lost));
            }
            start = end;
        }
        (*frames, *body) = (kept, Bytes::from(bytes));
        true
    }

    fn count(&self, frames: &[Frame], bytes: usize) {
        let route = self.settings.route;
        self.metrics.object_written(route, bytes);
        for frame in frames {
            let label = self.settings.label(self.storage.name());
            self.metrics.wrote(route, label, frame.lines, frame.text_bytes);
            frame.origin.wrote(frame.lines);
        }
    }
}

/// Tells everybody who waits for an object what became of it.
fn answer(frames: Vec<Frame>, result: &Result<(), Error>) {
    for frame in frames {
        // Nobody waits any more when the shard was left meanwhile.
        let _ = frame.done.send(result.clone());
    }
}

/// The manifests that wait to be written, and the task that tries.
#[derive(Default)]
pub(super) struct Later {
    task: JoinSet<()>,
    queue: Arc<std::sync::Mutex<VecDeque<Manifest>>>,
}

impl Later {
    /// Leaves a manifest for later.
    pub(super) fn add(&mut self, manifest: Manifest, upload: &Upload) {
        let mut queue = self.queue.lock().expect("nothing panics with it");
        if queue.len() == LATER
            && let Some(oldest) = queue.pop_front()
        {
            tracing::error!(manifest = oldest.name, "too many manifests wait; it is left out");
        }
        queue.push_back(manifest);
        drop(queue);
        while self.task.try_join_next().is_some() {}
        if self.task.is_empty() {
            let (queue, upload) = (Arc::clone(&self.queue), upload.clone());
            self.task.spawn(async move {
                let next = || queue.lock().expect("nothing panics with it").pop_front();
                while let Some(manifest) = next() {
                    while !upload.describe(&manifest).await {}
                }
            });
        }
    }
}
