//! Where tables lie: a folder of this machine, a prefix of a bucket, or a catalog on the network.

use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use datafusion::execution::object_store::ObjectStoreUrl;
use lakehouse::{Folder, Remote, Sqlite, file_io};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

use crate::aws::Access;
use crate::bucket::Bucket;
use crate::fault::Fault;
use crate::loader::{self, Loader};
use crate::remote;
use crate::stores::Stores;

/// A catalog's file in a folder.
pub(crate) const CATALOG: &str = "catalog.db";

/// The catalog's name in it.
const NAME: &str = "snowmelt";

/// A place that was opened.
#[derive(Clone)]
pub(crate) struct Place {
    /// How it was named.
    name: String,
    /// What reads it.
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The name under which the engine knows the store.
    pub(crate) url: ObjectStoreUrl,
    /// Where in the store it begins.
    pub(crate) root: Path,
    /// The folder, where it is one.
    pub(crate) folder: Option<PathBuf>,
    /// The catalog, where it is one on the network.
    remote: Option<Loader>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Place {
    /// Opens what `--data` names.
    pub(crate) async fn open(name: &str, access: &Access) -> Result<Place, Fault> {
        let remote = remote::named(name).transpose()?;
        if let Some(warehouse) = &access.warehouse
            && !matches!(remote, Some(Remote::Rest(_)))
        {
            let why = format!("--warehouse {warehouse}: only a REST catalog has one");
            return Err(Fault::mistake(why).hint("such as --data https://catalog.example"));
        }
        if let Some(remote) = remote {
            return Place::of_catalog(name, &remote, access).await;
        }
        match name.split_once("://") {
            None => Place::of_folder(name),
            Some(("s3", rest)) => Place::of_bucket(name, rest, access).await,
            Some((scheme, _)) => {
                let why = format!("--data {name}: {scheme}:// is not read");
                Err(Fault::mistake(why).hint(
                    "a folder is, and s3://BUCKET/PREFIX, glue:s3://BUCKET/PREFIX, the ARN of a \
                     table bucket, https://CATALOG",
                ))
            }
        }
    }

    async fn of_catalog(name: &str, remote: &Remote, access: &Access) -> Result<Place, Fault> {
        let root = remote::root(remote)?;
        let (catalog, stores) = remote::open(remote, access).await?;
        Ok(Place {
            name: name.trim_end_matches('/').to_owned(),
            store: Arc::new(stores),
            url: ObjectStoreUrl::parse("catalog://files").expect("it has a scheme and a host"),
            root,
            folder: None,
            remote: Some(catalog),
        })
    }

    async fn of_bucket(name: &str, rest: &str, access: &Access) -> Result<Place, Fault> {
        let wrong = |why: String| Fault::mistake(format!("--data {name}: {why}"));
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(wrong("expected s3://BUCKET/PREFIX".to_owned()));
        }
        let root = Path::parse(prefix).map_err(|error| wrong(error.to_string()))?;
        let url = ObjectStoreUrl::parse(format!("s3://{bucket}"));
        let client = access.s3(&access.config().await)?;
        Ok(Place {
            name: name.trim_end_matches('/').to_owned(),
            store: Arc::new(Bucket::new(client, bucket)),
            url: url.map_err(|error| wrong(error.to_string()))?,
            root,
            folder: None,
            remote: None,
        })
    }

    fn of_folder(name: &str) -> Result<Place, Fault> {
        let wrong = |why: String| Fault::mistake(format!("--data {name}: {why}"));
        let folder = std::path::absolute(FilePath::new(name)).map_err(|e| wrong(e.to_string()))?;
        // Links are followed once, so that files have the names that catalogs give them, too.
        let folder = folder.canonicalize().map_err(|error| wrong(error.to_string()))?;
        if !folder.is_dir() {
            return Err(wrong("it is no folder".to_owned()));
        }
        let root = Path::from_absolute_path(&folder).map_err(|error| wrong(error.to_string()))?;
        Ok(Place {
            name: name.to_owned(),
            store: Arc::new(LocalFileSystem::new()),
            url: ObjectStoreUrl::local_filesystem(),
            root,
            folder: Some(folder),
            remote: None,
        })
    }

    /// Whether it is a catalog on the network.
    pub(crate) fn is_remote(&self) -> bool {
        self.remote.is_some()
    }

    /// The Iceberg tables of the place, where it has a catalog. In a folder one may appear.
    pub(crate) fn iceberg(&self) -> Result<Option<Loader>, Fault> {
        if let Some(remote) = &self.remote {
            return Ok(Some(remote.clone()));
        }
        let file = self.folder.as_ref().map(|folder| folder.join(CATALOG));
        let Some(file) = file.filter(|file| file.is_file()) else { return Ok(None) };
        let name = file.display().to_string();
        let catalog = Sqlite::read(&file, NAME, file_io(Arc::new(Folder)))
            .map_err(|error| Fault::failure(format!("{name}: {}", loader::words(&error))))?;
        Ok(Some(Loader::new(Arc::new(catalog), &name)))
    }

    /// How a file of the store is called.
    pub(crate) fn location(&self, path: &Path) -> String {
        match (&self.remote, &self.folder) {
            (Some(_), _) => Stores::location(path),
            (None, Some(_)) => format!("/{path}"),
            (None, None) => format!("{}{path}", self.url.as_str()),
        }
    }

    /// The path of a file that a catalog names, in the store.
    pub(crate) fn inside(&self, location: &str) -> Result<Path, Fault> {
        if self.is_remote() {
            return Stores::path(location).map_err(|error| Fault::failure(error.to_string()));
        }
        let path = location.strip_prefix("file:").unwrap_or(location);
        let path = path.strip_prefix("//").unwrap_or(path);
        match FilePath::new(path).is_absolute() {
            true => Path::from_absolute_path(path)
                .map_err(|error| Fault::failure(format!("{location}: {error}"))),
            false => Err(Fault::failure(format!("{location} is no file of this machine"))),
        }
    }
}
