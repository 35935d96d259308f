//! Objects in a bucket of Amazon S3, each written by one conditional request.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ServerSideEncryption};
use bytes::Bytes;

use crate::aws;
use crate::health::Failure;
use crate::sink::put::Put;

/// A bucket of S3, with a client that may write into it.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: String,
    kms_key: Option<String>,
}

impl Bucket {
    /// A bucket that exists.
    pub fn new(client: Client, name: impl Into<String>) -> Bucket {
        Bucket { client, name: name.into(), kms_key: None }
    }

    /// Objects are encrypted with this key of KMS, in place of the bucket's own way.
    pub fn with_kms_key(mut self, key: Option<String>) -> Bucket {
        self.kms_key = key;
        self
    }

    /// What it is called, without a prefix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes an object unless there is one of that name.
    pub async fn put(&self, name: &str, body: Bytes) -> Result<Put, Failure> {
        let timeouts = aws::upload_timeouts(body.len());
        let timeouts = aws_sdk_s3::config::Config::builder().timeout_config(timeouts);
        let put = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(name)
            .if_none_match("*")
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .set_server_side_encryption(self.kms_key.as_ref().map(|_| ServerSideEncryption::AwsKms))
            .set_ssekms_key_id(self.kms_key.clone())
            .body(ByteStream::from(body))
            .customize()
            .config_override(timeouts)
            .send();
        let Err(error) = put.await else { return Ok(Put::Written) };
        let failure = Failure::of("PutObject", &error);
        if failure.status == Some(412) { Ok(Put::Exists) } else { Err(failure) }
    }
}
