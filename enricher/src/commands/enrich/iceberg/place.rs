//! Where the tables are: in a catalog of the output's folder, or in one on the network.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use lakehouse::{Access, Auth, Buckets, Catalog, Folder, Places, Remote, Sqlite, file_io};

use crate::aws::{self, Aws};
use crate::config::environment;
use crate::exit::Usage;

/// The file of a folder's catalog, and its name, which its tables' namespace has, too.
const FILE: &str = "catalog.db";
pub(super) const NAMESPACE: &str = "snowmelt";

/// Answers of catalogs take milliseconds to seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Opens the catalog, and says whether old snapshots are ours to forget.
pub(super) async fn open(
    remote: Option<&Remote>,
    warehouse: Option<String>,
    folder: &Path,
) -> anyhow::Result<(Arc<dyn Catalog>, bool)> {
    let Some(remote) = remote else {
        let file = folder.join(FILE);
        let io = file_io(Arc::new(Folder));
        let catalog = Sqlite::open(&file, NAMESPACE, &Folder::location(folder), io);
        return Ok((Arc::new(catalog.with_context(|| file.display().to_string())?), true));
    };
    let config = remote.config(warehouse, Auth::of_environment(environment).map_err(Usage)?);
    let aws = Aws::load(aws::Settings::default()).await;
    let aws = match remote {
        // A server's tables may be anywhere.
        Remote::Rest(_) => aws,
        Remote::Glue(_) | Remote::Bucket(_) => aws.check().await?,
    };
    // Whoever was first has installed the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("cannot make a client of HTTP")?;
    let access = Access {
        files: Arc::new(Places { buckets: Buckets::new(aws.s3()) }),
        aws: aws.of_catalogs(http.clone()),
        http,
    };
    Ok((config.open(access)?, !config.expires_itself()))
}
