//! Where tables lie: a folder of this machine, or a prefix of a bucket.

use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use datafusion::execution::object_store::ObjectStoreUrl;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

use crate::bucket::{Access, Bucket};
use crate::fault::Fault;

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
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Place {
    /// Opens what `--data` names.
    pub(crate) async fn open(name: &str, access: &Access) -> Result<Place, Fault> {
        match name.split_once("://") {
            None => Place::of_folder(name),
            Some(("s3", rest)) => Place::of_bucket(name, rest, access).await,
            Some((scheme, _)) => {
                let why = format!("--data {name}: {scheme}:// is not read");
                Err(Fault::mistake(why).hint("a folder is, and s3://BUCKET/PREFIX"))
            }
        }
    }

    async fn of_bucket(name: &str, rest: &str, access: &Access) -> Result<Place, Fault> {
        let wrong = |why: String| Fault::mistake(format!("--data {name}: {why}"));
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(wrong("expected s3://BUCKET/PREFIX".to_owned()));
        }
        let root = Path::parse(prefix).map_err(|error| wrong(error.to_string()))?;
        let url = ObjectStoreUrl::parse(format!("s3://{bucket}"));
        Ok(Place {
            name: name.trim_end_matches('/').to_owned(),
            store: Arc::new(Bucket::open(bucket, access).await?),
            url: url.map_err(|error| wrong(error.to_string()))?,
            root,
            folder: None,
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
        })
    }

    /// The path of a file that a catalog names, in the store.
    pub(crate) fn inside(&self, location: &str) -> Result<Path, Fault> {
        let path = location.strip_prefix("file:").unwrap_or(location);
        let path = path.strip_prefix("//").unwrap_or(path);
        match FilePath::new(path).is_absolute() {
            true => Path::from_absolute_path(path)
                .map_err(|error| Fault::failure(format!("{location}: {error}"))),
            false => Err(Fault::failure(format!("{location} is no file of this machine"))),
        }
    }
}
