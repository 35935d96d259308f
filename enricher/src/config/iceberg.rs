//! `iceberg` of a destination: the catalog that its table is in, and how it is filled.

use std::path::PathBuf;

use lakehouse::Remote;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::route::ObjectBytes;
use super::{Name, OfNamespace, OfRegion, OfRole, Place, Span, Text};

/// `iceberg` of a destination
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Iceberg {
    /// A folder of this machine that has the catalog, in the file `catalog.db`, and the tables.
    pub folder: Option<PathBuf>,
    /// A catalog on the network, in place of `folder`.
    pub catalog: Option<Catalog>,
    /// What a server of the REST protocol knows the warehouse by.
    pub warehouse: Option<Text>,
    /// The namespace of the tables.
    #[serde(default = "namespace")]
    pub namespace: Name<OfNamespace>,
    /// Where what waits for a commit is written down.
    pub links: Option<Place>,
    /// Lines of a shard become files at so many bytes, compressed.
    #[serde(default)]
    pub object_bytes: Option<ObjectBytes>,
    /// They do so long after the first of them.
    #[serde(default = "object_age")]
    pub object_age: Span<100, 3_600_000>,
    /// How often files are appended to the tables.
    #[serde(default = "commit_every")]
    pub commit_every: Span<100, 3_600_000>,
    /// The key of KMS that files are encrypted with; the bucket's own way if absent.
    pub kms_key: Option<Text>,
    /// Where the catalog and the tables are; where `[aws]` says, if absent.
    pub region: Option<Name<OfRegion>>,
    /// The role to write as; the worker's own if absent.
    pub role: Option<Name<OfRole>>,
}

/// A catalog on the network, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog(pub Remote);

impl<'de> Deserialize<'de> for Catalog {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Catalog, D::Error> {
        let text = Text::deserialize(deserializer)?;
        let wrong = |why: String| {
            let expected = why.split(", found ").next().unwrap_or(&why);
            D::Error::custom(format!("{expected}, found `{}`", &*text))
        };
        text.parse().map(Catalog).map_err(wrong)
    }
}

impl Iceberg {
    /// What is wrong with it, and the setting that is.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let wrong = |setting, what: &str| Err((setting, what.to_owned()));
        match (&self.folder, &self.catalog) {
            (None, None) => return wrong("", "expected `folder` or `catalog`"),
            (Some(_), Some(_)) => return wrong("", "expected one of `folder` and `catalog`"),
            _ => {}
        }
        let remote = self.catalog.as_ref().map(|Catalog(remote)| remote);
        if self.warehouse.is_some() && !matches!(remote, Some(Remote::Rest(_))) {
            return wrong("warehouse", "it is what a catalog of the REST protocol is told");
        }
        match (remote, &self.links) {
            (Some(Remote::Rest(_) | Remote::Bucket(_)), None) => {
                return wrong(
                    "links",
                    "this catalog does not say where: expected s3://BUCKET/FOLDER",
                );
            }
            (Some(_), Some(Place::Folder(_))) => {
                return wrong(
                    "links",
                    "workers on other machines have to find them: expected \
                                       s3://BUCKET/FOLDER",
                );
            }
            _ => {}
        }
        let of_aws = self.region.is_some() || self.role.is_some() || self.kms_key.is_some();
        if remote.is_none() && of_aws {
            return wrong("folder", "it is of this machine: no region, role and key are of use");
        }
        Ok(())
    }
}

fn namespace() -> Name<OfNamespace> {
    Name::parse("snowmelt").expect("it is one")
}

fn object_age() -> Span<100, 3_600_000> {
    Span::new(300_000)
}

fn commit_every() -> Span<100, 3_600_000> {
    Span::new(60_000)
}
