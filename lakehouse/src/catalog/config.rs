//! [`CatalogConfig`]: which catalog tables are in, and how it is opened.

use std::path::PathBuf;
use std::sync::Arc;

use iceberg::Catalog;

use super::sqlite::Sqlite;
use crate::error::{Error, Result};
use crate::files::{Files, Folder, file_io};

#[cfg(feature = "remote")]
use super::{
    aws::Aws,
    glue::{Glue, GlueConfig},
    pointed::Pointed,
    rest::{Rest, RestConfig},
    s3tables::{S3Tables, TableBucket},
};

/// Which catalog says where tables are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatalogConfig {
    /// A file on this machine, which is made if it is not there.
    Sqlite {
        /// Where it is.
        file: PathBuf,
        /// The catalog's name in it.
        name: String,
        /// The location below which new tables go.
        warehouse: String,
    },
    /// A server of the REST protocol.
    #[cfg(feature = "remote")]
    Rest(RestConfig),
    /// AWS Glue.
    #[cfg(feature = "remote")]
    Glue(GlueConfig),
    /// A table bucket of Amazon S3.
    #[cfg(feature = "remote")]
    S3Tables(TableBucket),
}

/// What a catalog is reached with.
#[derive(Clone, Debug)]
pub struct Access {
    /// Reads and writes the files of its tables.
    pub files: Arc<dyn Files>,
    /// Makes requests to a server of the REST protocol. It has a timeout, and follows nothing.
    #[cfg(feature = "remote")]
    pub http: reqwest::Client,
    /// Makes requests to AWS, where a catalog is there.
    #[cfg(feature = "remote")]
    pub aws: Option<Aws>,
}

impl CatalogConfig {
    /// Opens the catalog. What is on the network is asked for nothing yet. Panics outside of a
    /// tokio runtime.
    pub fn open(&self, access: Access) -> Result<Arc<dyn Catalog>> {
        let io = file_io(access.files);
        #[cfg(feature = "remote")]
        let aws = || {
            let why = "a catalog in AWS needs a region and credentials of AWS";
            access.aws.clone().ok_or_else(|| Error::Unusable(why.to_owned()))
        };
        Ok(match self {
            CatalogConfig::Sqlite { file, name, warehouse } => {
                let opened = Sqlite::open(file, name, warehouse, io);
                let doing = format!("opening the catalog {}", file.display());
                Arc::new(opened.map_err(|error| Error::from_iceberg(&doing, error))?)
            }
            #[cfg(feature = "remote")]
            CatalogConfig::Rest(config) => Arc::new(Rest::new(config.clone(), access.http, io)),
            #[cfg(feature = "remote")]
            CatalogConfig::Glue(config) => {
                Arc::new(Pointed::new(Glue { config: config.clone(), aws: aws()? }, io))
            }
            #[cfg(feature = "remote")]
            CatalogConfig::S3Tables(bucket) => {
                Arc::new(Pointed::new(S3Tables { bucket: bucket.clone(), aws: aws()? }, io))
            }
        })
    }

    /// Opens a catalog of this machine, whose tables are here, too. Panics outside of a tokio
    /// runtime.
    pub fn open_here(&self) -> Result<Arc<dyn Catalog>> {
        match self {
            CatalogConfig::Sqlite { file, name, warehouse } => {
                let opened = Sqlite::open(file, name, warehouse, file_io(Arc::new(Folder)));
                let doing = format!("opening the catalog {}", file.display());
                Ok(Arc::new(opened.map_err(|error| Error::from_iceberg(&doing, error))?))
            }
            #[cfg(feature = "remote")]
            _ => Err(Error::Unusable("a catalog on the network needs access to it".to_owned())),
        }
    }

    /// Whether the catalog itself forgets old snapshots and removes their files, and would have
    /// nobody else do so.
    pub fn expires_itself(&self) -> bool {
        match self {
            CatalogConfig::Sqlite { .. } => false,
            #[cfg(feature = "remote")]
            CatalogConfig::S3Tables(_) => true,
            #[cfg(feature = "remote")]
            _ => false,
        }
    }
}
