//! Where assets are published: over HTTP, in a bucket, in a folder. Each is asked for a newer
//! edition than the one known, and an edition is written to a file of the caller's as it arrives.
//!
//! Messages name no URI: it may hold a key.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_s3::Client as S3;
use md5::{Digest, Md5};
use reqwest::header::{
    ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::aws;
use crate::causes::chain;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a server may be silent. A whole database takes as long as its line needs.
const SILENCE: Duration = Duration::from_secs(30);

/// More than the largest published database; what goes on beyond is no asset.
const BYTES_MAX: u64 = 4 << 30;

/// Where an asset is published.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// A URL, `http` or `https`.
    Http(String),
    /// An object.
    S3 {
        /// Where it lies.
        bucket: String,
        /// What it is called there.
        key: String,
    },
    /// A file of this machine.
    File(PathBuf),
}

/// Tells one edition of an asset from another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edition {
    /// What its publisher calls it.
    pub etag: Option<String>,
    /// When it was published, in the publisher's words.
    pub last_modified: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// The MD5 of its bytes, which tells editions apart where the publisher does not.
    pub digest: String,
}

/// What a source answers.
#[derive(Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The edition known is the newest.
    Unchanged,
    /// There is another, and the file holds it.
    Another(Edition),
}

/// Clients for all kinds of sources.
pub struct Fetcher {
    http: Client,
    s3: Option<S3>,
}

impl Source {
    /// Reads a URI.
    pub fn parse(uri: &str) -> Option<Source> {
        let (scheme, rest) = uri.split_once("://")?;
        match scheme {
            "http" | "https" => Some(Source::Http(uri.to_owned())),
            "s3" => {
                let (bucket, key) = rest.split_once('/')?;
                Some(Source::S3 { bucket: bucket.to_owned(), key: key.to_owned() })
            }
            "file" => rest.starts_with('/').then(|| Source::File(rest.into())),
            _ => None,
        }
    }
}

impl Fetcher {
    /// Clients; without one for S3, buckets cannot be read.
    pub fn new(s3: Option<S3>) -> Result<Fetcher, String> {
        // Whoever installs a provider first wins; it is the same one everywhere.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .user_agent(concat!("snowmelt/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| chain(&error))?;
        Ok(Fetcher { http, s3 })
    }

    /// Writes the newest edition into a file, unless it is the one known.
    pub async fn fetch(
        &self,
        source: &Source,
        known: Option<&Edition>,
        to: &Path,
    ) -> Result<Fetched, String> {
        let fetched = match source {
            Source::Http(url) => self.http(url, known, to).await?,
            Source::S3 { bucket, key } => self.s3(bucket, key, known, to).await?,
            Source::File(path) => local(path, known, to).await?,
        };
        Ok(match fetched {
            Fetched::Another(edition)
                if known.is_some_and(|known| known.digest == edition.digest) =>
            {
                Fetched::Unchanged
            }
            fetched => fetched,
        })
    }

    async fn http(&self, url: &str, known: Option<&Edition>, to: &Path) -> Result<Fetched, String> {
        let mut request = self.http.get(url);
        if let Some(etag) = known.and_then(|edition| edition.etag.as_ref()) {
            request = request.header(IF_NONE_MATCH, etag);
        } else if let Some(moment) = known.and_then(|edition| edition.last_modified.as_ref()) {
            request = request.header(IF_MODIFIED_SINCE, moment);
        }
        let words = |error: reqwest::Error| chain(&error.without_url());
        let mut response = request.send().await.map_err(words)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if known.is_some() => return Ok(Fetched::Unchanged),
            status => return Err(format!("the answer was {status}")),
        }
        let mut writing = Writing::to(to).await?;
        let edition = Edition {
            etag: text(response.headers(), ETAG),
            last_modified: text(response.headers(), LAST_MODIFIED),
            ..Edition::default()
        };
        while let Some(chunk) = response.chunk().await.map_err(words)? {
            writing.write(&chunk).await?;
        }
        writing.finish(edition).await
    }

    async fn s3(
        &self,
        bucket: &str,
        key: &str,
        known: Option<&Edition>,
        to: &Path,
    ) -> Result<Fetched, String> {
        let client = self.s3.as_ref().ok_or("there is no client for buckets")?;
        let etag = known.and_then(|edition| edition.etag.clone());
        let get = client.get_object().bucket(bucket).key(key).set_if_none_match(etag);
        let mut object = match get.send().await {
            Ok(object) => object,
            Err(error) => {
                let status = error.raw_response().map(|response| response.status().as_u16());
                return match status {
                    Some(304) if known.is_some() => Ok(Fetched::Unchanged),
                    _ => Err(aws::words(&error)),
                };
            }
        };
        let mut writing = Writing::to(to).await?;
        while let Some(chunk) = object.body.next().await {
            writing.write(&chunk.map_err(|error| chain(&error))?).await?;
        }
        let (etag, announced) = (object.e_tag, object.content_length.unwrap_or_default());
        if announced > 0 && announced.unsigned_abs() != writing.bytes {
            return Err("the object broke off".to_owned());
        }
        writing.finish(Edition { etag, ..Edition::default() }).await
    }
}

/// A file's time and size take the place of an entity tag.
async fn local(from: &Path, known: Option<&Edition>, to: &Path) -> Result<Fetched, String> {
    let words = |error: std::io::Error| error.to_string();
    let mut file = File::open(from).await.map_err(words)?;
    let about = file.metadata().await.map_err(words)?;
    let modified = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let etag = modified.map(|since| format!("{}-{}", since.as_nanos(), about.len()));
    if etag.is_some() && known.is_some_and(|edition| edition.etag == etag) {
        return Ok(Fetched::Unchanged);
    }
    let mut writing = Writing::to(to).await?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).await.map_err(words)? {
            0 => break,
            read => writing.write(&buffer[..read]).await?,
        }
    }
    writing.finish(Edition { etag, ..Edition::default() }).await
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn unwritten(error: std::io::Error) -> String {
    format!("the folder of assets cannot be written: {error}")
}

/// A file that is being written.
struct Writing {
    file: File,
    digest: Md5,
    bytes: u64,
}

impl Writing {
    async fn to(path: &Path) -> Result<Writing, String> {
        let file = File::create(path).await.map_err(unwritten)?;
        Ok(Writing { file, digest: Md5::new(), bytes: 0 })
    }

    async fn write(&mut self, chunk: &[u8]) -> Result<(), String> {
        self.bytes += chunk.len() as u64;
        if self.bytes > BYTES_MAX {
            return Err(format!("it is larger than {BYTES_MAX} bytes"));
        }
        self.digest.update(chunk);
        self.file.write_all(chunk).await.map_err(unwritten)
    }

    /// Makes the file durable, so that what is renamed into place after it is whole.
    async fn finish(mut self, about: Edition) -> Result<Fetched, String> {
        self.file.flush().await.map_err(unwritten)?;
        self.file.sync_all().await.map_err(unwritten)?;
        let digest = self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Fetched::Another(Edition { bytes: self.bytes, digest, ..about }))
    }
}

impl Edition {
    /// A name for it that fits into a label.
    pub fn version(&self) -> &str {
        let tag = self.etag.as_deref().map(|tag| tag.trim_start_matches("W/").trim_matches('"'));
        tag.filter(|tag| !tag.is_empty()).unwrap_or(&self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_known_by_their_scheme() {
        let s3 = Source::S3 { bucket: "b".to_owned(), key: "geo/City.mmdb".to_owned() };
        for (uri, expected) in [
            (
                "https://h.example/City.mmdb",
                Some(Source::Http("https://h.example/City.mmdb".into())),
            ),
            ("s3://b/geo/City.mmdb", Some(s3)),
            ("file:///var/City.mmdb", Some(Source::File("/var/City.mmdb".into()))),
            ("file://City.mmdb", None),
            ("gs://b/City.mmdb", None),
            ("City.mmdb", None),
        ] {
            assert!(Source::parse(uri) == expected, "{uri}");
        }
    }
}
