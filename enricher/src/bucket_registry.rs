//! A static registry in a bucket: `<prefix>/schemas/<vendor>/<name>/<format>/<version>`.
//!
//! The validator knows nothing of AWS; this is its registry for those who keep schemas in S3 and
//! want them read with the worker's own credentials. The client is made when it is first needed.

use std::io::Read;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use event::SchemaKey;
use event::reason::RegistryError;
use resolver::{Answer, Asking, BucketPlace, Listing, Registry, SCHEMA_LIMIT, Unlisted, key_at};
use tokio::sync::OnceCell;

use crate::aws::{self, Aws};

/// How long an answer may take. A schema is small.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How many objects are listed at most.
const LIST_LIMIT: usize = 100_000;

/// The longest name of an object, bytes, as S3 has it.
const NAME_LIMIT: usize = 1_024;

/// A static registry in a bucket.
#[derive(Debug)]
pub struct BucketRegistry {
    place: BucketPlace,
    settings: aws::Settings,
    client: OnceCell<Client>,
}

impl BucketRegistry {
    /// The registry at a place; what that does not say is as in the settings.
    pub fn new(place: BucketPlace, mut settings: aws::Settings) -> BucketRegistry {
        settings.region = place.region.clone().or(settings.region);
        settings.s3_endpoint = place.endpoint.clone().or(settings.s3_endpoint);
        settings.s3_path_style |= place.path_style;
        BucketRegistry { place, settings, client: OnceCell::new() }
    }

    async fn client(&self) -> &Client {
        let settings = self.settings.clone();
        self.client.get_or_init(async || Aws::load(settings).await.s3()).await
    }

    /// The name of an object, or how names begin.
    fn name(&self, path: &str) -> String {
        match self.place.prefix.as_str() {
            "" => format!("schemas/{path}"),
            prefix => format!("{prefix}/schemas/{path}"),
        }
    }

    async fn ask(&self, key: &SchemaKey, known: Option<&str>) -> Answer {
        let name = self.name(&key.path());
        if name.len() > NAME_LIMIT {
            return Answer::NotFound;
        }
        let request = self.client().await.get_object();
        let request = request.bucket(&self.place.bucket).key(name);
        match request.set_if_none_match(known.map(str::to_owned)).send().await {
            Ok(object) => read(object).await,
            Err(error) => refusal(&error, known.is_some()),
        }
    }

    async fn all(&self) -> Result<Vec<SchemaKey>, Unlisted> {
        let prefix = self.name("");
        let request = self.client().await.list_objects_v2();
        let mut pages = request.bucket(&self.place.bucket).prefix(&prefix).into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Unlisted::Failed(aws::words(&error)))?;
            let names = page.contents().iter().filter_map(|object| object.key());
            keys.extend(names.filter_map(|name| key_at(name.strip_prefix(prefix.as_str())?)));
            if keys.len() > LIST_LIMIT {
                return Err(Unlisted::Failed(format!("more than {LIST_LIMIT} schemas")));
            }
        }
        Ok(keys)
    }
}

impl Registry for BucketRegistry {
    fn get<'a>(&'a self, key: &'a SchemaKey, known: Option<&'a str>) -> Asking<'a> {
        Box::pin(async move {
            let answer = tokio::time::timeout(TIMEOUT, self.ask(key, known)).await;
            answer.unwrap_or_else(|_| unreachable("timed out".to_owned()))
        })
    }

    fn list(&self) -> Listing<'_> {
        Box::pin(self.all())
    }
}

async fn read(mut object: GetObjectOutput) -> Answer {
    let packed = object.content_encoding() == Some("gzip");
    let tag = object.e_tag().map(Into::into);
    let mut bytes = Vec::new();
    while let Some(chunk) = object.body.next().await {
        match chunk {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(error) => return unreachable(format!("the answer broke off: {error}")),
        }
        if bytes.len() > SCHEMA_LIMIT {
            return too_large();
        }
    }
    if packed {
        let mut inner = Vec::new();
        let decoder = flate2::read::MultiGzDecoder::new(bytes.as_slice());
        if decoder.take(SCHEMA_LIMIT as u64 + 1).read_to_end(&mut inner).is_err() {
            return refused("ParsingFailure: not gzip, as its encoding says".to_owned());
        }
        if inner.len() > SCHEMA_LIMIT {
            return too_large();
        }
        bytes = inner;
    }
    match String::from_utf8(bytes) {
        Ok(text) => Answer::read(text, tag),
        Err(_) => refused("ParsingFailure: not UTF-8".to_owned()),
    }
}

/// What an error means for the schema. A bucket that may not be listed says 403 of objects that
/// it does not have.
fn refusal(error: &SdkError<GetObjectError>, conditional: bool) -> Answer {
    let status = error.raw_response().map(|response| response.status().as_u16());
    match status {
        Some(304) if conditional => Answer::Unchanged,
        Some(404) => Answer::NotFound,
        _ if aws::passes(error) => unreachable(aws::words(error)),
        Some(400..=499) => Answer::Refused(RegistryError::ClientFailure(aws::words(error))),
        _ => unreachable(aws::words(error)),
    }
}

fn unreachable(why: String) -> Answer {
    Answer::Unreachable { error: RegistryError::ClientFailure(why), retry_after: None }
}

fn refused(why: String) -> Answer {
    Answer::Refused(RegistryError::RepoFailure(why))
}

fn too_large() -> Answer {
    refused(format!("the schema is larger than {SCHEMA_LIMIT} bytes"))
}
