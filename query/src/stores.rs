//! Files wherever a catalog says that they are: in buckets of S3, of which one table may have
//! several, or on this machine. They are read and nothing else, by the engine and by the catalog.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use lakehouse::Files;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::bucket::Bucket;

/// How a path of a file begins: one in a bucket, whose name comes next, and one of this machine.
const S3: &str = "s3";
const FILE: &str = "file";

/// The schemes of locations in S3: its own, and two that Hadoop has for it.
const SCHEMES: [&str; 3] = ["s3", "s3a", "s3n"];

/// What an error is about.
const STORE: &str = "catalog";

/// Where files may be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stores {
    /// Buckets, where there is a region.
    pub(crate) s3: Option<Client>,
    /// This machine, where a catalog may name its files.
    pub(crate) folder: Option<Arc<LocalFileSystem>>,
}

impl Stores {
    /// The path of a file that a catalog names: `s3://BUCKET/NAME`, `file:///NAME`.
    pub(crate) fn path(location: &str) -> Result<Path> {
        let wrong = |why: String| Error::Generic { store: STORE, source: why.into() };
        if let Some((scheme, place)) = location.split_once("://")
            && SCHEMES.contains(&scheme)
        {
            let path = Path::parse(format!("{S3}/{place}"))
                .map_err(|error| wrong(format!("{location}: {error}")))?;
            return match path.parts().count() {
                ..=2 => Err(wrong(format!("expected s3://BUCKET/NAME, found {location:?}"))),
                _ => Ok(path),
            };
        }
        let place = location.strip_prefix("file:").unwrap_or(location);
        let place = FilePath::new(place.strip_prefix("//").unwrap_or(place));
        if !place.is_absolute() {
            let why = format!("expected s3://BUCKET/NAME or file:///NAME, found {location:?}");
            return Err(wrong(why));
        }
        let place = Path::from_absolute_path(place)
            .map_err(|error| wrong(format!("{location}: {error}")))?;
        Ok([Path::from(FILE), place].iter().flat_map(Path::parts).collect())
    }

    /// What a path was made of.
    pub(crate) fn location(path: &Path) -> String {
        let path = path.as_ref();
        match path.split_once('/') {
            Some((S3, place)) => format!("s3://{place}"),
            Some((FILE, place)) => format!("/{place}"),
            _ => path.to_owned(),
        }
    }

    /// What has a file, and the file's path there.
    fn at(&self, path: &Path) -> Result<(Arc<dyn ObjectStore>, Path)> {
        let absent = |why: &str| {
            let why = format!("{}: {why}", Stores::location(path));
            Error::Generic { store: STORE, source: why.into() }
        };
        let mut parts = path.parts();
        match parts.next().as_ref().map(AsRef::as_ref) {
            Some(FILE) => match &self.folder {
                Some(folder) => Ok((Arc::clone(folder) as Arc<dyn ObjectStore>, parts.collect())),
                None => Err(absent("files of this machine are read for a REST catalog only")),
            },
            Some(S3) => {
                let client = self.s3.clone().ok_or_else(|| absent("no AWS region is named"))?;
                let bucket = parts.next();
                let name = bucket.as_ref().map_or("", AsRef::as_ref);
                Ok((Arc::new(Bucket::new(client, name)), parts.collect()))
            }
            // Nothing lies beside the tables of a catalog that has no place of its own.
            _ => Err(Error::NotFound { path: path.to_string(), source: "no such place".into() }),
        }
    }
}

impl fmt::Display for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

fn only_read<T>(operation: &str) -> Result<T> {
    Err(Error::NotImplemented { operation: operation.to_owned(), implementer: STORE.to_owned() })
}

/// As the engine reads them.
#[async_trait]
impl ObjectStore for Stores {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        only_read("put")
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        only_read("put_multipart")
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (store, path) = self.at(location)?;
        let mut found = store.get_opts(&path, options).await?;
        found.meta.location = location.clone();
        Ok(found)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let (store, path) = self.at(location)?;
        store.get_ranges(&path, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        locations.map(|_| only_read("delete")).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        futures_util::stream::iter([only_read("list")]).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        only_read("list_with_delimiter")
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        only_read("copy")
    }
}

/// As a catalog reads metadata and manifests.
#[async_trait]
impl Files for Stores {
    async fn read(&self, location: &str, range: Option<Range<u64>>) -> io::Result<Bytes> {
        let wanted = range.as_ref().map(|range| range.end.saturating_sub(range.start));
        if wanted == Some(0) {
            return Ok(Bytes::new());
        }
        let options = GetOptions { range: range.map(GetRange::Bounded), ..Default::default() };
        let bytes = self.get_opts(&Stores::path(location)?, options).await?.bytes().await?;
        match wanted {
            // A range that ends behind the file is cut short, and no error there.
            Some(wanted) if wanted != bytes.len() as u64 => {
                let why = format!("{wanted} bytes were asked for, and {} are there", bytes.len());
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, why))
            }
            _ => Ok(bytes),
        }
    }

    async fn size(&self, location: &str) -> io::Result<Option<u64>> {
        match self.head(&Stores::path(location)?).await {
            Ok(found) => Ok(Some(found.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn write(&self, location: &str, _: Bytes) -> io::Result<()> {
        Err(refused(location))
    }

    async fn delete(&self, location: &str) -> io::Result<()> {
        Err(refused(location))
    }

    async fn create(&self, location: &str, _: Bytes) -> io::Result<bool> {
        Err(refused(location))
    }

    async fn replace(&self, location: &str, _: Bytes) -> io::Result<()> {
        Err(refused(location))
    }

    async fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let why = format!("{folder}: a snapshot names its files");
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }
}

fn refused(location: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("{location} is read and not changed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_paths_and_back() {
        for (location, path, shown) in [
            ("s3://b/a/x=1%2F/c.parquet", "s3/b/a/x=1%2F/c.parquet", None),
            ("s3a://b/c", "s3/b/c", Some("s3://b/c")),
            ("s3n://b/c", "s3/b/c", Some("s3://b/c")),
            ("file:///a/b", "file/a/b", Some("/a/b")),
            ("file:/a/b", "file/a/b", Some("/a/b")),
            ("/s3/b", "file/s3/b", Some("/s3/b")),
        ] {
            let found = Stores::path(location).expect("it is one");
            assert_eq!(found.as_ref(), path);
            assert_eq!(Stores::location(&found), shown.unwrap_or(location));
        }
        for wrong in ["s3://b", "s3://b/", "s3:///a", "s3://b//c", "gs://b/c", "a/b", "", "file:"] {
            let said = Stores::path(wrong).expect_err("it is none").to_string();
            assert!(said.contains(wrong), "{said}");
        }
    }

    #[tokio::test]
    async fn files_are_read_and_neither_written_nor_deleted() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a b.bin");
        std::fs::write(&file, "0123456789").expect("it is written");
        let name = format!("file://{}", file.display());
        let stores = Stores { folder: Some(Arc::default()), ..Default::default() };
        assert_eq!(stores.read(&name, None).await.expect("read"), "0123456789");
        assert_eq!(stores.read(&name, Some(3..6)).await.expect("read"), "345");
        assert_eq!(stores.read(&name, Some(3..3)).await.expect("read"), "");
        stores.read(&name, Some(8..12)).await.expect_err("it ends before");
        assert_eq!(stores.size(&name).await.expect("read"), Some(10));
        assert_eq!(stores.size(&format!("{name}.x")).await.expect("read"), None);
        stores.write(&format!("{name}.x"), Bytes::new()).await.expect_err("it is refused");
        Files::delete(&stores, &name).await.expect_err("it is refused");
        assert!(file.exists() && !folder.path().join("a b.bin.x").exists());
        // What is not allowed is not looked at.
        let none = Stores::default();
        for (location, why) in [(name.as_str(), "REST catalog"), ("s3://b/c", "no AWS region")] {
            let said = none.read(location, None).await.expect_err("refused").to_string();
            assert!(said.contains(why), "{said}");
        }
    }
}
