//! [`Buckets`]: objects of Amazon S3, and [`Places`]: these and the file system, by what a location
//! begins with.

use std::io;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ServerSideEncryption};
use bytes::Bytes;

use super::{Files, Folder};

/// What an upload is given beside one second for each so many bytes.
const UPLOAD: Duration = Duration::from_secs(60);
const SLOWEST_UPLOAD: u64 = 1 << 20;

/// The schemes of locations in S3: its own, and two that Hadoop has for it.
const SCHEMES: [&str; 3] = ["s3://", "s3a://", "s3n://"];

/// Objects of S3. A location is `s3://BUCKET/NAME`, in any bucket that the client may use.
#[derive(Clone, Debug)]
pub struct Buckets {
    client: Client,
    kms_key: Option<String>,
}

impl Buckets {
    /// Objects that this client may read and write.
    pub fn new(client: Client) -> Buckets {
        Buckets { client, kms_key: None }
    }

    /// Objects are encrypted with this key of KMS, in place of the bucket's own way.
    pub fn with_kms_key(mut self, key: Option<String>) -> Buckets {
        self.kms_key = key;
        self
    }

    /// Whether a location is in S3.
    pub fn has(location: &str) -> bool {
        SCHEMES.iter().any(|scheme| location.starts_with(scheme))
    }

    fn place(location: &str) -> io::Result<(&str, &str)> {
        let path = SCHEMES.iter().find_map(|scheme| location.strip_prefix(scheme));
        let place = path.and_then(|path| path.split_once('/'));
        place.filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty()).ok_or_else(|| {
            let why = format!("expected s3://BUCKET/NAME, found {location:?}");
            io::Error::new(io::ErrorKind::InvalidInput, why)
        })
    }
}

fn failed<E>(error: SdkError<E>) -> io::Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let kind = match status {
        Some(404) => io::ErrorKind::NotFound,
        Some(416) => io::ErrorKind::UnexpectedEof,
        Some(403) => io::ErrorKind::PermissionDenied,
        Some(412) => io::ErrorKind::AlreadyExists,
        _ => io::ErrorKind::Other,
    };
    let words = match (error.code(), error.message()) {
        (Some(code), message) => format!("{code}: {}", message.unwrap_or_default()),
        (None, _) => causes(&error),
    };
    io::Error::new(kind, words)
}

/// What failed, and why, in one line: the SDK's own words have the whole answer in them.
fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

#[async_trait]
impl Files for Buckets {
    async fn read(&self, location: &str, range: Option<Range<u64>>) -> io::Result<Bytes> {
        let (bucket, key) = Buckets::place(location)?;
        if range.as_ref().is_some_and(|range| range.is_empty()) {
            return Ok(Bytes::new());
        }
        let wanted = range.as_ref().map(|range| range.end - range.start);
        let range = range.map(|range| format!("bytes={}-{}", range.start, range.end - 1));
        let request = self.client.get_object().bucket(bucket).key(key).set_range(range);
        let object = request.send().await.map_err(failed)?;
        let bytes = object.body.collect().await.map_err(io::Error::other)?.into_bytes();
        match wanted {
            // A range that ends behind the object is cut short, and no error there.
            Some(wanted) if wanted != bytes.len() as u64 => {
                let why = format!("{wanted} bytes were asked for, and {} are there", bytes.len());
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, why))
            }
            _ => Ok(bytes),
        }
    }

    async fn size(&self, location: &str) -> io::Result<Option<u64>> {
        let (bucket, key) = Buckets::place(location)?;
        let found = self.client.head_object().bucket(bucket).key(key).send().await;
        match found.map_err(failed) {
            Ok(found) => Ok(found.content_length().and_then(|size| u64::try_from(size).ok())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A name is given once, so that writing the same again does no harm, and is not forbidden:
    /// who writes once more after an answer was lost would be refused.
    async fn write(&self, location: &str, bytes: Bytes) -> io::Result<()> {
        self.put(location, bytes, None).await
    }

    async fn delete(&self, location: &str) -> io::Result<()> {
        let (bucket, key) = Buckets::place(location)?;
        let deleted = self.client.delete_object().bucket(bucket).key(key).send().await;
        match deleted.map_err(failed) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    async fn create(&self, location: &str, bytes: Bytes) -> io::Result<bool> {
        match self.put(location, bytes, Some("*".to_owned())).await {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            put => put.map(|()| true),
        }
    }

    async fn replace(&self, location: &str, bytes: Bytes) -> io::Result<()> {
        self.put(location, bytes, None).await
    }

    async fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let folder = format!("{}/", folder.trim_end_matches('/'));
        let (bucket, prefix) = Buckets::place(&folder)?;
        let mut pages =
            self.client.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed)?;
            let keys = page.contents().iter().filter_map(|object| object.key());
            found.extend(keys.map(|key| format!("s3://{bucket}/{key}")));
        }
        found.sort_unstable();
        Ok(found)
    }
}

impl Buckets {
    async fn put(&self, location: &str, bytes: Bytes, unless: Option<String>) -> io::Result<()> {
        let (bucket, key) = Buckets::place(location)?;
        let time = UPLOAD + Duration::from_secs(bytes.len() as u64 / SLOWEST_UPLOAD);
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(time).build();
        let config = aws_sdk_s3::config::Config::builder().timeout_config(timeouts);
        let encryption = self.kms_key.as_ref().map(|_| ServerSideEncryption::AwsKms);
        let put = self
            .client
            .put_object()
            .bucket(bucket)
            .key(key)
            .set_if_none_match(unless)
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(self.kms_key.clone())
            .body(ByteStream::from(bytes))
            .customize()
            .config_override(config);
        put.send().await.map(drop).map_err(failed)
    }
}

/// Files wherever a catalog says that they are: in S3, or on this machine.
#[derive(Clone, Debug)]
pub struct Places {
    /// Those in S3.
    pub buckets: Buckets,
}

impl Places {
    fn at(&self, location: &str) -> &dyn Files {
        if Buckets::has(location) { &self.buckets } else { &Folder }
    }
}

#[async_trait]
impl Files for Places {
    async fn read(&self, location: &str, range: Option<Range<u64>>) -> io::Result<Bytes> {
        self.at(location).read(location, range).await
    }

    async fn size(&self, location: &str) -> io::Result<Option<u64>> {
        self.at(location).size(location).await
    }

    async fn write(&self, location: &str, bytes: Bytes) -> io::Result<()> {
        self.at(location).write(location, bytes).await
    }

    async fn delete(&self, location: &str) -> io::Result<()> {
        self.at(location).delete(location).await
    }

    async fn create(&self, location: &str, bytes: Bytes) -> io::Result<bool> {
        self.at(location).create(location, bytes).await
    }

    async fn replace(&self, location: &str, bytes: Bytes) -> io::Result<()> {
        self.at(location).replace(location, bytes).await
    }

    async fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.at(folder).list(folder).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_name_a_bucket_and_an_object() {
        for location in ["s3://b/a/c", "s3a://b/a/c", "s3n://b/a/c"] {
            assert_eq!(Buckets::place(location).expect("there"), ("b", "a/c"));
        }
        for location in ["s3://b", "s3://b/", "s3:///a", "file:///b/a", "b/a"] {
            assert!(Buckets::place(location).is_err(), "{location}");
        }
    }
}
