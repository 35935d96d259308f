//! Where objects are kept: bytes under names.

use bytes::Bytes;

use crate::health::Failure;
use crate::sink::local::Folder;
use crate::sink::put::Put;
use crate::sink::s3::Bucket;

/// Where objects are kept.
#[derive(Clone, Debug)]
pub enum Storage {
    /// Amazon S3.
    S3(Bucket),
    /// A folder of this machine.
    Folder(Folder),
}

impl Storage {
    /// The name in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Storage::S3(_) => "s3",
            Storage::Folder(_) => "local",
        }
    }

    /// The name for people: which bucket or folder it is.
    pub(super) fn called(&self) -> String {
        match self {
            Storage::S3(bucket) => format!("bucket {}", bucket.name()),
            Storage::Folder(folder) => format!("folder {}", folder.path().display()),
        }
    }

    /// Writes an object unless there is one of that name.
    pub(super) async fn put(&self, name: &str, body: Bytes) -> Result<Put, Failure> {
        match self {
            Storage::S3(bucket) => bucket.put(name, body).await,
            Storage::Folder(folder) => folder.put(name, body).await,
        }
    }
}
