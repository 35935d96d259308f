//! Where inputs are: each file by itself, after folders and prefixes of buckets were listed.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;

use super::bucket::{Bucket, Object, is_aside};
use super::standard::Standard;
use crate::aws;
use crate::exit::Usage;

/// One file.
#[derive(Clone, Debug)]
pub(in crate::commands) enum Place {
    /// Standard input.
    Standard,
    /// A file of this machine.
    File {
        /// Its name.
        path: PathBuf,
        /// Its size.
        bytes: Option<u64>,
    },
    /// An object of S3.
    Object(Object),
}

/// The files that arguments stand for, in the arguments' order and in each by name.
pub(in crate::commands) fn all(
    named: &[PathBuf],
    aws: &aws::Settings,
) -> anyhow::Result<Vec<Place>> {
    let mut places = Vec::new();
    let mut buckets: Option<Arc<Bucket>> = None;
    for path in named {
        if path == Path::new("-") {
            places.push(Place::Standard);
        } else if let Some(name) = path.to_str().and_then(|path| path.strip_prefix("s3://")) {
            let buckets = match &mut buckets {
                Some(buckets) => buckets,
                none @ None => none.insert(Arc::new(Bucket::client(aws)?)),
            };
            places.extend(Bucket::list(buckets, name)?.into_iter().map(Place::Object));
        } else {
            places.extend(on_disk(path)?);
        }
    }
    Ok(places)
}

/// The files of an earlier list, by names and sizes, as they were then.
pub(in crate::commands) fn listed(
    names: &[(String, Option<u64>)],
    aws: &aws::Settings,
) -> anyhow::Result<Vec<Place>> {
    let mut buckets: Option<Arc<Bucket>> = None;
    let mut places = Vec::with_capacity(names.len());
    for (name, bytes) in names {
        let Some(object) = name.strip_prefix("s3://") else {
            let path = PathBuf::from(name);
            let data = std::fs::metadata(&path);
            let data = data.map_err(|error| Usage(format!("cannot open {name}: {error}")))?;
            if let Some(bytes) = bytes.filter(|bytes| *bytes != data.len()) {
                let found = data.len();
                let why = format!("{name} has changed: expected {bytes} bytes, found {found}");
                return Err(Usage(why).into());
            }
            places.push(Place::File { path, bytes: *bytes });
            continue;
        };
        let buckets = match &mut buckets {
            Some(buckets) => buckets,
            none @ None => none.insert(Arc::new(Bucket::client(aws)?)),
        };
        places.push(Place::Object(Bucket::object(buckets, object, bytes.unwrap_or_default())));
    }
    Ok(places)
}

fn on_disk(path: &Path) -> Result<Vec<Place>, Usage> {
    let name = path.display();
    let data =
        std::fs::metadata(path).map_err(|error| Usage(format!("cannot open {name}: {error}")))?;
    if !data.is_dir() {
        // A pipe has no size.
        let bytes = data.is_file().then_some(data.len());
        return Ok(vec![Place::File { path: path.to_owned(), bytes }]);
    }
    let mut files = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |error| Usage(format!("cannot read the folder {}: {error}", folder.display()));
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if is_aside(&path.file_name().unwrap_or_default().to_string_lossy()) {
                continue;
            }
            let data = std::fs::metadata(&path).map_err(failed)?;
            if data.is_dir() {
                folders.push(path);
            } else if data.is_file() {
                files.push((path, data.len()));
            }
        }
    }
    if files.is_empty() {
        return Err(Usage(format!("{name}: expected files of payloads in the folder, found none")));
    }
    files.sort();
    let file = |(path, bytes)| Place::File { path, bytes: Some(bytes) };
    Ok(files.into_iter().map(file).collect())
}

impl Place {
    /// Its name, if it has one that can be written down.
    pub(in crate::commands) fn name(&self) -> Option<String> {
        match self {
            Place::Standard => None,
            Place::File { path, .. } => path.to_str().map(str::to_owned),
            Place::Object(object) => Some(object.to_string()),
        }
    }

    /// What is at another name of the same disk or bucket, which is made of its own; `None` if
    /// nothing is, or if it cannot be read.
    pub(in crate::commands) fn beside(
        &self,
        name: impl FnOnce(&str) -> Option<String>,
    ) -> Option<Vec<u8>> {
        match self {
            Place::Standard => None,
            Place::File { path, .. } => std::fs::read(name(path.to_str()?)?).ok(),
            Place::Object(object) => object.beside(name),
        }
    }

    /// Copies what can be read once only into a file, which is what is read then. Reading fails
    /// soon after `unwanted` is set.
    pub(in crate::commands) fn keep(
        &self,
        file: &Path,
        unwanted: &Arc<AtomicBool>,
    ) -> anyhow::Result<Place> {
        let mut source: Box<dyn Read> = match self {
            Place::Standard => Box::new(Standard::new(Arc::clone(unwanted))),
            Place::File { path, .. } => {
                Box::new(File::open(path).with_context(|| format!("cannot open {self}"))?)
            }
            Place::Object(_) => return Ok(self.clone()),
        };
        let failed = || format!("cannot keep {self} in {}", file.display());
        let mut kept = File::create(file).with_context(failed)?;
        let bytes = std::io::copy(&mut source, &mut kept).with_context(failed)?;
        Ok(Place::File { path: file.to_owned(), bytes: Some(bytes) })
    }

    /// Its size, where it is known.
    pub(in crate::commands) fn bytes(&self) -> Option<u64> {
        match self {
            Place::Standard => None,
            Place::File { bytes, .. } => *bytes,
            Place::Object(object) => Some(object.bytes()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Standard => write!(f, "standard input"),
            Place::File { path, .. } => write!(f, "{}", path.display()),
            Place::Object(object) => write!(f, "{object}"),
        }
    }
}
