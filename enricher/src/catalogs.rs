//! Catalogs of Iceberg tables, as they are opened: in a folder of this machine, or on the network.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use lakehouse::{
    Access, Auth, Buckets, Catalog, CatalogConfig, Error, Folder, Places, Remote, Result,
};

use crate::aws::Aws;
use crate::config::environment;
use crate::exit::Usage;
use crate::sink::iceberg::Home;

/// The file of a folder's catalog.
const FILE: &str = "catalog.db";

/// What catalogs in files are called, and the namespace of tables that are in no other.
pub const NAME: &str = "snowmelt";

/// Answers of catalogs take milliseconds to seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// What catalogs on the network are asked with.
#[derive(Debug)]
pub struct Catalogs {
    http: reqwest::Client,
    auth: Auth,
}

impl Catalogs {
    /// As the environment says; nobody is asked for anything.
    pub fn new() -> anyhow::Result<Catalogs> {
        let auth = Auth::of_environment(environment).map_err(Usage)?;
        // Whoever was first has installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("cannot make a client of HTTP")?;
        Ok(Catalogs { http, auth })
    }

    /// One of them; files are encrypted with that key of KMS, if there is one.
    pub fn on_the_network(
        &self,
        remote: &Remote,
        warehouse: Option<String>,
        aws: &Aws,
        kms_key: Option<String>,
    ) -> Home {
        let config = remote.config(warehouse, self.auth.clone());
        let files = Arc::new(Places { buckets: Buckets::new(aws.s3()).with_kms_key(kms_key) });
        let access = Access {
            files: Arc::clone(&files) as _,
            aws: aws.of_catalogs(self.http.clone()),
            http: self.http.clone(),
        };
        let expires_itself = config.expires_itself();
        Home { open: Box::new(move || config.open(access.clone())), files, expires_itself }
    }
}

/// The one of a folder, which is made if it is not there.
pub fn in_folder(folder: &Path) -> Home {
    let folder = folder.to_owned();
    let open = move || -> Result<Arc<dyn Catalog>> {
        let failed = |source: std::io::Error| Error::Unavailable {
            doing: format!("making the folder {}", folder.display()),
            source: source.into(),
        };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let warehouse = Folder::location(&folder);
        let config =
            CatalogConfig::Sqlite { file: folder.join(FILE), name: NAME.to_owned(), warehouse };
        config.open_here()
    };
    Home { open: Box::new(open), files: Arc::new(Folder), expires_itself: false }
}
