//! The names of files that do not hold everything yet.

use std::path::{Path, PathBuf};

/// What is added to such names.
pub(in crate::commands) const UNFINISHED: &str = ".unfinished";

/// The name of a file while it does not hold everything.
pub(in crate::commands) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    name.into()
}
