//! Objects in a bucket of Amazon S3, each written by one conditional request.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;
use bytes::Bytes;

use crate::aws;
use crate::sink::object::Refusal;

/// A bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// A bucket that exists.
    pub fn new(client: Client, name: impl Into<String>) -> Bucket {
        Bucket { client, name: name.into() }
    }

    /// Writes an object unless there is one of that name.
    pub async fn put(&self, name: &str, body: Bytes) -> Result<(), Refusal> {
        let put = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(name)
            .if_none_match("*")
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .body(ByteStream::from(body))
            .send();
        let Err(error) = put.await else { return Ok(()) };
        let status = error.raw_response().map(|response| response.status().as_u16());
        if status == Some(412) {
            return Ok(());
        }
        Err(Refusal { passing: aws::passes(&error), why: aws::words(&error) })
    }
}
