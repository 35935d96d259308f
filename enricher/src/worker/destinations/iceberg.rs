//! A table of Iceberg as a destination. Tables of one catalog and one namespace are filled
//! together.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use lakehouse::Remote;
use pipeline::Route;

use super::{Access, Run};
use crate::config::{self, Place};
use crate::tables;

/// A table of Iceberg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iceberg {
    /// Says which metadata file is the newest.
    pub catalog: Catalog,
    /// What stands before the table's name.
    pub namespace: String,
    /// The table's name.
    pub table: &'static str,
    /// The location below which links are.
    pub links: String,
    /// Lines of a shard become files at so many bytes, compressed.
    pub object_bytes: usize,
    /// They do so long after the first of them.
    pub object_age: Duration,
    /// How often files are appended.
    pub commit_every: Duration,
    /// Where in AWS it is, if it is there.
    pub access: Option<Access>,
    /// The key of KMS that files are encrypted with.
    pub kms_key: Option<String>,
}

/// Where a catalog is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Catalog {
    /// A file in a folder of this machine, beside the tables.
    Folder(PathBuf),
    /// On the network; of a server of the REST protocol, with the name of a warehouse.
    Remote(Remote, Option<String>),
}

/// Where objects can be kept.
pub(super) enum Location {
    /// In a bucket, below a prefix.
    Bucket(String, String),
    /// On this machine.
    Folder(PathBuf),
}

/// Where links are that say nothing else: below the tables, hidden from those who read files there.
const LINKS: &str = "_links";

impl Iceberg {
    /// The one of a section.
    pub(super) fn of(route: Route, section: &config::Iceberg, worker: Run<'_>) -> Iceberg {
        let namespace = section.namespace.to_string();
        let warehouse = section.warehouse.as_ref().map(|name| name.to_string());
        let (catalog, below) = match (&section.folder, &section.catalog) {
            (Some(folder), _) => {
                (Catalog::Folder(folder.clone()), lakehouse::Folder::location(folder))
            }
            (None, Some(config::Catalog(remote))) => {
                let below = match remote {
                    Remote::Glue(location) => location.clone(),
                    Remote::Bucket(_) | Remote::Rest(_) => String::new(),
                };
                (Catalog::Remote(remote.clone(), warehouse), below)
            }
            (None, None) => unreachable!("reading the file has refused it"),
        };
        let links = match &section.links {
            None => format!("{}/{LINKS}/{namespace}", below.trim_end_matches('/')),
            Some(Place::Bucket { bucket, prefix }) => format!("s3://{bucket}/{prefix}/{namespace}"),
            Some(Place::Folder(path)) => {
                format!("{}/{namespace}", lakehouse::Folder::location(path))
            }
        };
        let access = match &catalog {
            Catalog::Folder(_) => None,
            Catalog::Remote(..) => {
                Some(Access::of(section.region.as_deref(), section.role.as_deref()))
            }
        };
        Iceberg {
            catalog,
            namespace,
            table: tables::name(route).expect("reading the file has refused others"),
            links,
            object_bytes: config::closes_at(section.object_bytes, worker.in_flight),
            object_age: section.object_age.get(),
            commit_every: section.commit_every.get(),
            access,
            kms_key: section.kms_key.as_ref().map(|key| key.to_string()),
        }
    }

    /// Where there is room beside the tables of a section, or beside their links.
    pub(super) fn home(section: &config::Iceberg) -> Location {
        let of_bucket = |location: &str| {
            let (bucket, prefix) = location.split_once('/').unwrap_or((location, ""));
            Location::Bucket(bucket.to_owned(), prefix.trim_end_matches('/').to_owned())
        };
        match (&section.folder, &section.catalog, &section.links) {
            (Some(folder), ..) => Location::Folder(folder.clone()),
            (None, Some(config::Catalog(Remote::Glue(location))), _) => {
                of_bucket(location.trim_start_matches("s3://"))
            }
            (None, _, Some(Place::Bucket { bucket, prefix })) => {
                Location::Bucket(bucket.clone(), prefix.clone())
            }
            (None, ..) => unreachable!("reading the file has refused it"),
        }
    }

    /// Whether it is filled together with another.
    pub fn is_beside(&self, other: &Iceberg) -> bool {
        self.catalog == other.catalog && self.namespace == other.namespace
    }

    /// Whether it is filled in the same way as one beside it.
    pub(super) fn is_like(&self, other: &Iceberg) -> bool {
        *self == Iceberg { table: self.table, ..other.clone() }
    }
}

impl fmt::Display for Iceberg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {}.{} of {}", self.namespace, self.table, self.catalog)?;
        self.access.iter().try_for_each(|access| write!(f, "{access}"))
    }
}

impl fmt::Display for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Catalog::Folder(path) => write!(f, "{}", path.display()),
            Catalog::Remote(remote, None) => write!(f, "{remote}"),
            Catalog::Remote(remote, Some(warehouse)) => write!(f, "{remote}, {warehouse}"),
        }
    }
}
