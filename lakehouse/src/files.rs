//! Where the files of tables are: [`Files`], which whoever has a client of a storage implements,
//! and [`Folder`], which is this machine's file system.
//!
//! Files have names that are given once, and are never changed.

#[cfg(feature = "remote")]
pub(crate) mod buckets;

use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use iceberg::io::{
    FileIO, FileIOBuilder, FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage,
    StorageConfig, StorageFactory,
};
use iceberg::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// A storage of whole files, named by locations such as `s3://bucket/name` or `file:///name`.
#[async_trait]
pub trait Files: Debug + Send + Sync {
    /// Reads a file, or some of its bytes.
    async fn read(&self, location: &str, range: Option<Range<u64>>) -> io::Result<Bytes>;

    /// The size of a file in bytes; `None` if it is not there.
    async fn size(&self, location: &str) -> io::Result<Option<u64>>;

    /// Writes a file. When this returns, it outlives the death of the process and of the machine.
    async fn write(&self, location: &str, bytes: Bytes) -> io::Result<()>;

    /// Removes a file that nothing refers to any more. One that is gone is no error.
    async fn delete(&self, location: &str) -> io::Result<()>;

    /// Writes a file whole, unless there is one of that name; says whether it did. Of several that
    /// do so at the same time, it does so for one.
    async fn create(&self, location: &str, bytes: Bytes) -> io::Result<bool>;

    /// Writes a file whole, in the place of one that may be there.
    async fn replace(&self, location: &str, bytes: Bytes) -> io::Result<()>;

    /// The locations of all files whose locations begin with that of a folder, in their order.
    async fn list(&self, folder: &str) -> io::Result<Vec<String>>;
}

/// The file system of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Folder;

impl Folder {
    /// The location of a folder or a file. The path must be absolute.
    pub fn location(path: &Path) -> String {
        format!("file://{}", path.display())
    }

    fn path(location: &str) -> io::Result<PathBuf> {
        let path = location.strip_prefix("file:").unwrap_or(location);
        let path = match path.strip_prefix("//") {
            Some(after) => after,
            None => path,
        };
        if !path.starts_with('/') {
            let why = format!("expected file:///PATH, found {location:?}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(path.into())
    }

    /// Runs what may block on a thread that may, and names the file in what goes wrong.
    async fn run<T: Send + 'static>(
        location: &str,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let path = Folder::path(location)?;
        let work = move || {
            work(&path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
        };
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
    }
}

#[async_trait]
impl Files for Folder {
    async fn read(&self, location: &str, range: Option<Range<u64>>) -> io::Result<Bytes> {
        Folder::run(location, move |path| {
            let Some(range) = range else { return std::fs::read(path).map(Bytes::from) };
            let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(usize::MAX)];
            let file = std::fs::File::open(path)?;
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, range.start)?;
            Ok(bytes.into())
        })
        .await
    }

    async fn size(&self, location: &str) -> io::Result<Option<u64>> {
        Folder::run(location, |path| match path.metadata() {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    async fn write(&self, location: &str, bytes: Bytes) -> io::Result<()> {
        Folder::run(location, move |path| write_durably(path, &bytes)).await
    }

    async fn delete(&self, location: &str) -> io::Result<()> {
        Folder::run(location, |path| match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .await
    }

    async fn create(&self, location: &str, bytes: Bytes) -> io::Result<bool> {
        Folder::run(location, move |path| {
            let path = path.to_owned();
            write_whole(&path, &bytes, |written| match std::fs::hard_link(written, &path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                linked => linked.map(|()| true),
            })
        })
        .await
    }

    async fn replace(&self, location: &str, bytes: Bytes) -> io::Result<()> {
        Folder::run(location, move |path| {
            let path = path.to_owned();
            write_whole(&path, &bytes, |written| std::fs::rename(written, &path))
        })
        .await
    }

    async fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        Folder::run(folder, |path| {
            let mut found = Vec::new();
            files_below(path, &mut found)?;
            found.sort_unstable();
            Ok(found)
        })
        .await
    }
}

/// What names of files begin with that are not whole yet.
const UNFINISHED: &str = ".unfinished-";

/// Writes a file under a name of its own, and has it named as it is to be called by `name`.
fn write_whole<T>(
    path: &Path,
    bytes: &[u8],
    name: impl FnOnce(&Path) -> io::Result<T>,
) -> io::Result<T> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let unfinished = folder.join(format!("{UNFINISHED}{:032x}", fastrand::u128(..)));
    write_durably(&unfinished, bytes)?;
    let named = name(&unfinished);
    // Whoever was killed before this leaves a file that nobody reads.
    let _ = std::fs::remove_file(&unfinished);
    std::fs::File::open(folder)?.sync_all()?;
    named
}

/// All files of a folder and of those in it.
fn files_below(folder: &Path, found: &mut Vec<String>) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let unfinished = entry.file_name().to_string_lossy().starts_with(UNFINISHED);
        match entry.file_type()? {
            ty if ty.is_dir() => files_below(&entry.path(), found)?,
            _ if unfinished => {}
            _ => found.push(Folder::location(&entry.path())),
        }
    }
    Ok(())
}

/// Writes a file that was not there. A catalog that is durable must not refer to one that is not:
/// so the file, its name in its folder and the folders made for it are all on the disk after this.
fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut made = vec![folder];
    for above in folder.ancestors() {
        made.push(above);
        if above.is_dir() {
            break;
        }
    }
    std::fs::create_dir_all(folder)?;
    let mut file = std::fs::File::create_new(path)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    made.into_iter().try_for_each(|folder| std::fs::File::open(folder)?.sync_all())
}

/// What the library reads and writes files of tables with.
pub fn file_io(files: Arc<dyn Files>) -> FileIO {
    FileIOBuilder::new(Arc::new(Opened { files: Some(files) })).build()
}

/// Files as the library wants them. It is serialisable in name only: a client is not written down,
/// and one that was read has none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Opened {
    #[serde(skip)]
    files: Option<Arc<dyn Files>>,
}

impl Opened {
    fn files(&self) -> Result<&Arc<dyn Files>> {
        self.files.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::FeatureUnsupported, "a storage that was written down is closed")
        })
    }
}

#[typetag::serde(name = "SnowmeltFiles")]
impl StorageFactory for Opened {
    fn build(&self, _: &StorageConfig) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.clone()))
    }
}

fn failed(doing: &'static str, location: &str, error: io::Error) -> Error {
    // A file that is not there, or has no such part, will not be there at the next attempt.
    let kind = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => {
            ErrorKind::DataInvalid
        }
        _ => ErrorKind::Unexpected,
    };
    Error::new(kind, format!("cannot {doing} {location}")).with_source(error)
}

#[async_trait]
#[typetag::serde(name = "SnowmeltStorage")]
impl Storage for Opened {
    async fn exists(&self, path: &str) -> Result<bool> {
        let size = self.files()?.size(path).await;
        size.map(|size| size.is_some()).map_err(|error| failed("look for", path, error))
    }

    async fn metadata(&self, path: &str) -> Result<FileMetadata> {
        let size = self
            .files()?
            .size(path)
            .await
            .and_then(|size| size.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound)));
        size.map(|size| FileMetadata { size }).map_err(|error| failed("look for", path, error))
    }

    async fn read(&self, path: &str) -> Result<Bytes> {
        let read = self.files()?.read(path, None).await;
        read.map_err(|error| failed("read", path, error))
    }

    async fn reader(&self, path: &str) -> Result<Box<dyn FileRead>> {
        Ok(Box::new(Reader { files: Arc::clone(self.files()?), location: path.to_owned() }))
    }

    async fn write(&self, path: &str, bytes: Bytes) -> Result<()> {
        let written = self.files()?.write(path, bytes).await;
        written.map_err(|error| failed("write", path, error))
    }

    async fn writer(&self, path: &str) -> Result<Box<dyn FileWrite>> {
        let files = Arc::clone(self.files()?);
        Ok(Box::new(Writer { files, location: path.to_owned(), bytes: Some(BytesMut::new()) }))
    }

    async fn delete(&self, path: &str) -> Result<()> {
        let deleted = self.files()?.delete(path).await;
        deleted.map_err(|error| failed("delete", path, error))
    }

    async fn delete_prefix(&self, path: &str) -> Result<()> {
        let why = format!("{path}: folders are not deleted");
        Err(Error::new(ErrorKind::FeatureUnsupported, why))
    }

    async fn delete_stream(&self, mut paths: BoxStream<'static, String>) -> Result<()> {
        while let Some(path) = paths.next().await {
            self.delete(&path).await?;
        }
        Ok(())
    }

    fn new_input(&self, path: &str) -> Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), path.to_owned()))
    }

    fn new_output(&self, path: &str) -> Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), path.to_owned()))
    }
}

struct Reader {
    files: Arc<dyn Files>,
    location: String,
}

#[async_trait]
impl FileRead for Reader {
    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let read = self.files.read(&self.location, Some(range)).await;
        read.map_err(|error| failed("read", &self.location, error))
    }
}

/// Keeps what is written until the file is closed: the library writes manifests this way, which
/// are small.
struct Writer {
    files: Arc<dyn Files>,
    location: String,
    /// `None` once it is closed.
    bytes: Option<BytesMut>,
}

impl Writer {
    fn closed(&self) -> Error {
        Error::new(ErrorKind::Unexpected, format!("{} is closed", self.location))
    }
}

#[async_trait]
impl FileWrite for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let closed = self.closed();
        self.bytes.as_mut().ok_or(closed)?.extend_from_slice(&bytes);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        let bytes = self.bytes.take().ok_or_else(|| self.closed())?.freeze();
        let written = self.files.write(&self.location, bytes).await;
        written.map_err(|error| failed("write", &self.location, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_gives_back_what_was_written_and_writes_nothing_twice() {
        let folder = tempfile::tempdir().expect("there");
        let location = Folder::location(&folder.path().join("a/b/c.bin"));
        assert_eq!(Folder.size(&location).await.expect("done"), None);
        Folder.write(&location, Bytes::from_static(b"0123456789")).await.expect("done");
        assert_eq!(Folder.size(&location).await.expect("done"), Some(10));
        assert_eq!(Folder.read(&location, None).await.expect("done"), "0123456789");
        assert_eq!(Folder.read(&location, Some(3..6)).await.expect("done"), "345");
        assert!(Folder.read(&location, Some(8..12)).await.is_err());
        let again =
            Folder.write(&location, Bytes::from_static(b"other")).await.expect_err("refused");
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert!(again.to_string().contains("c.bin"), "{again}");
        Folder.delete(&location).await.expect("done");
        Folder.delete(&location).await.expect("done");
        assert_eq!(Folder.size(&location).await.expect("done"), None);
    }

    #[tokio::test]
    async fn of_two_that_create_a_file_one_does() {
        let folder = tempfile::tempdir().expect("there");
        let location = |name: &str| Folder::location(&folder.path().join(name));
        let x = location("a/x");
        let (one, two) = tokio::join!(
            Folder.create(&x, Bytes::from_static(b"one")),
            Folder.create(&x, Bytes::from_static(b"two")),
        );
        let (one, two) = (one.expect("done"), two.expect("done"));
        assert!(one != two, "{one} {two}");
        let text = if one { "one" } else { "two" };
        assert_eq!(Folder.read(&x, None).await.expect("done"), text);
        Folder.replace(&location("b"), Bytes::from_static(b"1")).await.expect("done");
        Folder.replace(&location("b"), Bytes::from_static(b"2")).await.expect("done");
        assert_eq!(Folder.read(&location("b"), None).await.expect("done"), "2");
        let unfinished = folder.path().join(format!("a/{UNFINISHED}7"));
        std::fs::write(unfinished, "half").expect("there is room");
        let all = Folder.list(&location("")).await.expect("done");
        assert_eq!(all, [x, location("b")]);
        assert!(Folder.list(&location("c")).await.expect("done").is_empty());
    }

    #[test]
    fn locations_are_read_as_other_engines_write_them() {
        for location in ["file:///a/b", "file:/a/b", "/a/b"] {
            assert_eq!(Folder::path(location).expect("there"), Path::new("/a/b"));
        }
        for location in ["s3://bucket/a", "a/b", "file://a/b"] {
            assert!(Folder::path(location).is_err(), "{location}");
        }
    }

    #[tokio::test]
    async fn the_library_reads_and_writes_through_it() {
        let folder = tempfile::tempdir().expect("there");
        let io = file_io(Arc::new(Folder));
        let location = Folder::location(&folder.path().join("x"));
        let mut writer = io.new_output(&location).expect("there").writer().await.expect("done");
        writer.write(Bytes::from_static(b"ab")).await.expect("done");
        writer.write(Bytes::from_static(b"cd")).await.expect("done");
        assert!(!io.exists(&location).await.expect("done"));
        writer.close().await.expect("done");
        assert!(writer.close().await.is_err());
        let input = io.new_input(&location).expect("there");
        assert_eq!(input.metadata().await.expect("done").size, 4);
        assert_eq!(input.read().await.expect("done"), "abcd");
        assert_eq!(input.reader().await.expect("done").read(1..3).await.expect("done"), "bc");
    }
}
