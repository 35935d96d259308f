//! Objects as files of a folder, each under its name at once or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::health::Failure;
use crate::sink::put::Put;

/// A folder of this machine.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// How names of files begin that are not whole yet. Left-overs of a killed process are harmless.
const UNFINISHED: &str = ".unfinished-";

impl Folder {
    /// Objects are files below this folder.
    pub fn new(path: impl Into<PathBuf>) -> Folder {
        Folder { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file that appears under its name when it is whole.
    pub async fn put(&self, name: &str, body: Bytes) -> Result<Put, Failure> {
        let target = self.path.join(name);
        let written = tokio::task::spawn_blocking(move || write(&target, &body)).await;
        let failure = |message: String| Failure {
            action: "write",
            status: None,
            code: None,
            message,
            passing: false,
        };
        match written {
            Ok(Ok(())) => Ok(Put::Written),
            Ok(Err(error)) => Err(failure(error.to_string())),
            Err(error) => Err(failure(error.to_string())),
        }
    }

    /// All objects whose names begin with a folder, manifests left out, sorted.
    pub fn objects(&self, prefix: &str) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        collect(&self.path.join(prefix), &mut found)?;
        found.sort();
        Ok(found)
    }
}

fn write(target: &Path, body: &[u8]) -> io::Result<()> {
    let folder = target.parent().unwrap_or(Path::new("."));
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    std::fs::create_dir_all(folder)?;
    let unfinished = folder.join(format!("{UNFINISHED}{name}"));
    let put = || -> io::Result<()> {
        let mut file = std::fs::File::create(&unfinished)?;
        file.write_all(body)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, target)
    };
    put().inspect_err(|_| {
        // On a full disk half a file would take the room of a whole one.
        let _ = std::fs::remove_file(&unfinished);
    })
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let hidden = entry.file_name().to_string_lossy().starts_with(['.', '_']);
        match (hidden, entry.file_type()?.is_dir()) {
            (true, _) => {}
            (false, true) => collect(&entry.path(), found)?,
            (false, false) => found.push(entry.path()),
        }
    }
    Ok(())
}
