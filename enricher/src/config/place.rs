//! A place for objects in one text: `s3://bucket/prefix`, or a folder of this machine.

use std::path::PathBuf;

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::name::{Name, OfBucket, OfPrefix};
use super::value::Text;

/// Where objects are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A bucket, and how names of objects begin in it.
    Bucket {
        /// The bucket, by name.
        bucket: String,
        /// A folder in it, without slashes at its ends.
        prefix: String,
    },
    /// One of this machine.
    Folder(PathBuf),
}

impl Place {
    fn read(text: &str) -> Result<Place, String> {
        let Some(rest) = text.strip_prefix("s3://") else {
            return match text.split_once("://") {
                Some(_) => {
                    Err(format!("expected `s3://bucket/prefix` or a folder, found `{text}`"))
                }
                None => Ok(Place::Folder(PathBuf::from(text))),
            };
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        if prefix.is_empty() {
            return Err(format!(
                "expected a folder in the bucket, as in `s3://{bucket}/raw`, found `{text}`"
            ));
        }
        let bucket = Name::<OfBucket>::parse(bucket)?.to_string();
        Ok(Place::Bucket { bucket, prefix: Name::<OfPrefix>::parse(prefix)?.to_string() })
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Place, D::Error> {
        Place::read(&Text::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
