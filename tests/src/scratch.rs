//! A folder for a test's files, kept for reading when the test fails.

use std::path::Path;

use anyhow::Result;

/// Runs a test in a folder of its own.
pub async fn run(test: impl AsyncFnOnce(&Path) -> Result<()>) -> Result<()> {
    let mut scratch = tempfile::tempdir()?;
    let outcome = test(scratch.path()).await;
    if let Err(error) = outcome {
        scratch.disable_cleanup(true);
        return Err(error.context(format!("files are kept in {}", scratch.path().display())));
    }
    Ok(())
}
