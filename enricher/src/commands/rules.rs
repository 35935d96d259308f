//! What events are checked against and enriched with, as the command line or a configuration
//! names it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use enrichments::{Enrichments, Options};
use validator::Resolver;

use super::Usage;

/// Files and folders of rules. Nothing given means the embedded schemas and no enrichment that
/// needs a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Rules {
    /// An Iglu resolver configuration. Without one, the embedded schemas are all there are.
    #[arg(long, value_name = "FILE")]
    pub resolver: Option<PathBuf>,
    /// A folder of schemas (an Iglu static registry, `schemas/` inside), asked before all others.
    #[arg(long, value_name = "DIR")]
    pub schemas: Option<PathBuf>,
    /// A folder of enrichment configurations.
    #[arg(long, value_name = "DIR")]
    pub enrichments: Option<PathBuf>,
    /// A folder that holds the assets the configurations name, by database name.
    #[arg(long, value_name = "DIR")]
    pub assets: Option<PathBuf>,
}

impl Rules {
    /// The registries.
    pub fn resolver(&self) -> Result<Resolver, Usage> {
        let resolver = match &self.resolver {
            Some(file) => Resolver::from_file(file).map_err(|error| Usage(error.to_string()))?,
            None => Resolver::embedded(),
        };
        Ok(match &self.schemas {
            Some(folder) => resolver.with_folder(folder),
            None => resolver,
        })
    }

    /// The enrichments with their assets. `${NAME}` in a configuration is the environment's.
    pub fn enrichments(&self) -> Result<Arc<Enrichments>, Usage> {
        let Some(folder) = &self.enrichments else { return Ok(Arc::default()) };
        let assets = self.assets.as_deref().map(Path::new);
        let options = Options { variables: std::env::vars().collect(), ..Options::default() };
        let loaded = Enrichments::load(folder, assets, &options);
        let enrichments = loaded.map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Usage(errors.join("\n"))
        })?;
        for warning in enrichments.warnings() {
            tracing::warn!(warning, "enrichments");
        }
        Ok(Arc::new(enrichments))
    }
}
