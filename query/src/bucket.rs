//! A bucket of Amazon S3, or of what speaks as it does, to be read: the client that workers have,
//! behind the trait that the engine asks.

use std::fmt;
use std::ops::Range;
use std::time::SystemTime;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use futures_util::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

/// What an error is about.
const STORE: &str = "S3";

/// A bucket.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// Of that name.
    pub(crate) fn new(client: Client, name: &str) -> Bucket {
        Bucket { client, name: name.to_owned() }
    }

    fn named(&self, location: &Path) -> String {
        format!("{self}/{location}")
    }

    async fn head(&self, location: &Path) -> Result<GetResult> {
        let asked = self.client.head_object().bucket(&self.name).key(location.as_ref());
        let told = asked.send().await.map_err(|error| failed(&self.named(location), error))?;
        let size = size(location, told.content_length())?;
        let meta = meta(location.clone(), size, told.last_modified(), told.e_tag());
        let payload = GetResultPayload::Stream(stream::empty().boxed());
        Ok(GetResult { payload, meta, range: 0..0, attributes: Default::default() })
    }

    async fn read(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let range = options.range.as_ref().map(|range| match range {
            GetRange::Bounded(range) => format!("bytes={}-{}", range.start, range.end - 1),
            GetRange::Offset(from) => format!("bytes={from}-"),
            GetRange::Suffix(last) => format!("bytes=-{last}"),
        });
        let asked = self.client.get_object().bucket(&self.name).key(location.as_ref());
        let asked = asked.set_range(range).set_if_match(options.if_match);
        let told = asked.send().await.map_err(|error| failed(&self.named(location), error))?;
        let (range, size) = match told.content_range() {
            None => size(location, told.content_length()).map(|size| (0..size, size))?,
            Some(text) => part(text).ok_or_else(|| {
                let why = format!("expected bytes FIRST-LAST/SIZE of {location}, found {text}");
                Error::Generic { store: STORE, source: why.into() }
            })?,
        };
        let meta = meta(location.clone(), size, told.last_modified(), told.e_tag());
        let payload = GetResultPayload::Stream(bytes(told.body));
        Ok(GetResult { payload, meta, range, attributes: Default::default() })
    }
}

/// The part that an answer has, and the size of the whole: `bytes 0-9/100`.
fn part(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let size = size.parse().ok()?;
    (first <= last && last < size).then(|| (first..last + 1, size))
}

fn size(location: &Path, told: Option<i64>) -> Result<u64> {
    let told = told.and_then(|size| u64::try_from(size).ok());
    told.ok_or_else(|| {
        let why = format!("the size of {location} is not told");
        Error::Generic { store: STORE, source: why.into() }
    })
}

fn meta(location: Path, size: u64, changed: Option<&DateTime>, tag: Option<&str>) -> ObjectMeta {
    let changed = changed.and_then(|changed| SystemTime::try_from(*changed).ok());
    let last_modified = changed.unwrap_or(SystemTime::UNIX_EPOCH).into();
    ObjectMeta { location, last_modified, size, e_tag: tag.map(str::to_owned), version: None }
}

fn bytes(body: ByteStream) -> BoxStream<'static, Result<bytes::Bytes>> {
    let parts = stream::unfold(body, |mut body| async move {
        let next = body.next().await?;
        let next = next.map_err(|error| Error::Generic { store: STORE, source: error.into() });
        Some((next, body))
    });
    parts.boxed()
}

/// What an answer of S3, or its absence, says.
fn failed<E>(path: &str, error: SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    let said = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => causes(&error),
    };
    if !matches!(status, Some(403 | 404 | 412)) {
        return Error::Generic { store: STORE, source: format!("{path}: {said}").into() };
    }
    let (path, source) = (path.to_owned(), said.into());
    match status {
        Some(404) => Error::NotFound { path, source },
        Some(403) => Error::PermissionDenied { path, source },
        _ => Error::Precondition { path, source },
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn only_read<T>(operation: &str) -> Result<T> {
    Err(Error::NotImplemented { operation: operation.to_owned(), implementer: STORE.to_owned() })
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.name)
    }
}

#[async_trait]
impl ObjectStore for Bucket {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        only_read("put")
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        only_read("put_multipart")
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match options.head {
            true => self.head(location).await,
            false => self.read(location, options).await,
        }
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        locations.map(|_| only_read("delete")).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.map(|prefix| format!("{prefix}/"));
        let asked = self.client.list_objects_v2().bucket(&self.name).set_prefix(prefix);
        let place = self.to_string();
        let pages = stream::unfold(asked.into_paginator().send(), |mut pages| async move {
            Some((pages.next().await?, pages))
        });
        let objects = pages.map(move |page| match page {
            Err(error) => vec![Err(failed(&place, error))],
            Ok(page) => {
                let objects = page.contents().iter();
                // What no path can name matters only where it would be a part of a table.
                let found = objects.filter_map(|object| {
                    let key = object.key()?;
                    let location = match Path::parse(key) {
                        Ok(location) => location,
                        Err(source) => {
                            let table = key.ends_with(".parquet");
                            return table.then_some(Err(Error::InvalidPath { source }));
                        }
                    };
                    let size = u64::try_from(object.size()?).ok()?;
                    Some(Ok(meta(location, size, object.last_modified(), object.e_tag())))
                });
                found.collect()
            }
        });
        objects.map(stream::iter).flatten().boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        only_read("list_with_delimiter")
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        only_read("copy")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_of_its_header() {
        assert_eq!(part("bytes 0-9/100"), Some((0..10, 100)));
        for wrong in ["", "bytes */100", "bytes 5-4/100", "bytes 0-100/100", "items 0-1/2"] {
            assert_eq!(part(wrong), None, "{wrong}");
        }
    }
}
