//! Objects of S3 as files: listed by name or by how names begin, read as they arrive. A connection
//! that breaks is taken up where it broke.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use anyhow::{Context, bail};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use bytes::{Buf, Bytes};
use tokio::runtime::Runtime;

use crate::aws::{self, Aws};
use crate::backoff::Backoff;
use crate::exit::Usage;

/// Failures in a row after which a bucket is given up.
const ATTEMPTS: u32 = 8;

/// A client, with what its requests run on.
pub(in crate::commands) struct Bucket {
    client: Client,
    runtime: Runtime,
}

/// An object and its size.
#[derive(Clone)]
pub(in crate::commands) struct Object {
    from: Arc<Bucket>,
    bucket: String,
    key: String,
    bytes: u64,
}

impl Bucket {
    /// A client with the credentials, and unless `aws` says otherwise the region, that all AWS
    /// programs read.
    pub(in crate::commands) fn client(aws: &aws::Settings) -> anyhow::Result<Bucket> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let aws = runtime.block_on(async { Aws::load(aws.clone()).await.check().await });
        let client = aws?.s3();
        Ok(Bucket { client, runtime })
    }

    /// The object of a name (`BUCKET/NAME`), or all objects below it.
    pub(super) fn list(this: &Arc<Bucket>, name: &str) -> anyhow::Result<Vec<Object>> {
        let (bucket, key) = name.split_once('/').unwrap_or((name, ""));
        if bucket.is_empty() {
            bail!(Usage(format!("expected s3://BUCKET/NAME, found s3://{name}")));
        }
        let listed = this.runtime.block_on(this.listed(bucket, key));
        let listed = listed.with_context(|| format!("cannot list s3://{name}"))?;
        let object =
            |(key, bytes)| Object { from: Arc::clone(this), bucket: bucket.to_owned(), key, bytes };
        if let Some(whole) = listed.iter().find(|(listed, _)| listed == key) {
            return Ok(vec![object(whole.clone())]);
        }
        let folder =
            if key.is_empty() || key.ends_with('/') { key.to_owned() } else { format!("{key}/") };
        let below = listed.into_iter().filter(|(listed, _)| {
            let below = listed.strip_prefix(&folder);
            below.is_some_and(|below| {
                !below.is_empty() && !below.split('/').any(is_aside) && !below.ends_with('/')
            })
        });
        let objects: Vec<Object> = below.map(object).collect();
        if objects.is_empty() {
            bail!(Usage(format!(
                "s3://{name}: expected an object, or objects below it, found none"
            )));
        }
        Ok(objects)
    }

    /// An object (`BUCKET/NAME`) that was listed before.
    pub(super) fn object(this: &Arc<Bucket>, name: &str, bytes: u64) -> Object {
        let (bucket, key) = name.split_once('/').unwrap_or((name, ""));
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        Object { from: Arc::clone(this), bucket, key, bytes }
    }

    async fn listed(&self, bucket: &str, prefix: &str) -> anyhow::Result<Vec<(String, u64)>> {
        let (mut objects, mut next, mut backoff) = (Vec::new(), None, Backoff::default());
        loop {
            let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
            match request.set_continuation_token(next.clone()).send().await {
                Ok(page) => {
                    backoff = Backoff::default();
                    objects.extend(page.contents().iter().filter_map(|object| {
                        let bytes = object.size().and_then(|size| u64::try_from(size).ok());
                        Some((object.key()?.to_owned(), bytes.unwrap_or_default()))
                    }));
                    next = page.next_continuation_token().map(str::to_owned);
                    if next.is_none() {
                        return Ok(objects);
                    }
                }
                Err(error) if aws::passes(&error) && backoff.failures() < ATTEMPTS => {
                    backoff.wait().await;
                }
                Err(error) => bail!(aws::words(&error)),
            }
        }
    }
}

impl Object {
    /// Its size.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What another object of its bucket holds, if it is there and can be read.
    pub(super) fn beside(&self, key: impl FnOnce(&str) -> Option<String>) -> Option<Vec<u8>> {
        let key = key(&self.key)?;
        let get = self.from.client.get_object().bucket(&self.bucket).key(key);
        self.from.runtime.block_on(async {
            let answer = get.send().await.ok()?;
            Some(answer.body.collect().await.ok()?.to_vec())
        })
    }

    /// Begins to read it.
    pub(super) fn open(self) -> anyhow::Result<impl Read + Send> {
        let name = self.to_string();
        let mut reading =
            Reading { object: self, etag: None, body: None, chunk: Bytes::new(), read: 0 };
        reading.fill().with_context(|| format!("cannot read {name}"))?;
        Ok(reading)
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}, {} bytes", self.bytes)
    }
}

/// An object under way.
struct Reading {
    object: Object,
    /// Which edition of it was begun.
    etag: Option<String>,
    body: Option<ByteStream>,
    chunk: Bytes,
    read: u64,
}

impl Reading {
    /// Waits until there are bytes, or the object ends.
    fn fill(&mut self) -> io::Result<()> {
        let from = Arc::clone(&self.object.from);
        from.runtime.block_on(async {
            let mut backoff = Backoff::default();
            while self.chunk.is_empty() && self.read < self.object.bytes {
                let Err(why) = self.more().await else { continue };
                self.body = None;
                if why.get_ref().is_some() && backoff.failures() >= ATTEMPTS
                    || why.kind() == io::ErrorKind::Unsupported
                {
                    return Err(why);
                }
                backoff.wait().await;
            }
            Ok(())
        })
    }

    /// Asks for the rest, where nobody is sending it, and takes what comes next.
    async fn more(&mut self) -> io::Result<()> {
        if self.body.is_none() {
            let request = self.object.from.client.get_object();
            let request = request.bucket(&self.object.bucket).key(&self.object.key);
            let range = (self.read > 0).then(|| format!("bytes={}-", self.read));
            let answer = request.set_range(range).set_if_match(self.etag.clone()).send().await;
            let answer = answer.map_err(|error| match aws::passes(&error) {
                true => io::Error::other(aws::words(&error)),
                false => io::Error::new(io::ErrorKind::Unsupported, aws::words(&error)),
            })?;
            self.etag = answer.e_tag().map(str::to_owned);
            self.body = Some(answer.body);
        }
        let body = self.body.as_mut().expect("it was begun");
        match body.next().await {
            Some(Ok(chunk)) => {
                self.read += chunk.len() as u64;
                self.chunk = chunk;
                Ok(())
            }
            Some(Err(error)) => Err(io::Error::other(error)),
            None => Err(io::Error::other("the answer ended early")),
        }
    }
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            self.fill()?;
        }
        let bytes = buffer.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut buffer[..bytes]);
        Ok(bytes)
    }
}

/// Whether a file or folder is about others: hidden, or a manifest beside what was written.
pub(super) fn is_aside(name: &str) -> bool {
    name.starts_with(['.', '_'])
}
