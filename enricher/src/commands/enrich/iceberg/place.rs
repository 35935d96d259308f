//! Where the tables are: in a catalog of the output's folder, or in one on the network.

use std::path::Path;
use std::sync::Arc;

use lakehouse::{Catalog, Remote};

use crate::aws::{self, Aws};
use crate::catalogs::{self, Catalogs};

pub(super) use crate::catalogs::NAME as NAMESPACE;

/// Opens the catalog, and says whether old snapshots are ours to forget.
pub(super) async fn open(
    remote: Option<&Remote>,
    warehouse: Option<String>,
    folder: &Path,
) -> anyhow::Result<(Arc<dyn Catalog>, bool)> {
    let home = match remote {
        None => catalogs::in_folder(folder),
        Some(remote) => {
            let aws = Aws::load(aws::Settings::default()).await;
            let aws = match remote {
                // A server's tables may be anywhere.
                Remote::Rest(_) => aws,
                Remote::Glue(_) | Remote::Bucket(_) => aws.check().await?,
            };
            Catalogs::new()?.on_the_network(remote, warehouse, &aws, None)
        }
    };
    Ok(((home.open)()?, !home.expires_itself))
}
