//! What events are checked against and enriched with, as the command line or a configuration
//! names it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use enrichments::{ConfigError, Configuration, Enrichments, Options};
use validator::{BucketPlace, Registry, Resolver};

use super::Usage;
use crate::aws;
use crate::bucket_registry::BucketRegistry;

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
    /// A bundle of schemas that `snowmelt schemas pull` wrote, asked before all others.
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// A folder of enrichment configurations.
    #[arg(long, value_name = "DIR")]
    pub enrichments: Option<PathBuf>,
    /// A folder that holds the assets the configurations name, by database name.
    #[arg(long, value_name = "DIR")]
    pub assets: Option<PathBuf>,
    /// Skip the configurations of these enrichments, which do not run here, with a warning.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub allow_unsupported: Vec<String>,
    /// Mask addresses exactly as a running peer does, which leaves some spellings readable.
    #[arg(long)]
    pub peer_masking: bool,
}

impl Rules {
    /// The registries. Buckets are looked for where `aws` says.
    pub fn resolver(&self, aws: &aws::Settings) -> Result<Resolver, Usage> {
        let open = |place: &BucketPlace| -> Box<dyn Registry> {
            Box::new(BucketRegistry::new(place.clone(), aws.clone()))
        };
        let mut resolver = match &self.resolver {
            Some(file) => {
                Resolver::from_file(file, Some(&open)).map_err(|error| Usage(error.to_string()))?
            }
            None => Resolver::embedded(),
        };
        if let Some(folder) = &self.schemas {
            resolver = resolver.with_folder(folder);
        }
        let Some(file) = &self.bundle else { return Ok(resolver) };
        let wrong = |error| Usage(format!("{}: {error}", file.display()));
        resolver.with_bundle(file).map_err(wrong)
    }

    /// The enrichments with their assets.
    pub fn enrichments(&self) -> Result<Arc<Enrichments>, Usage> {
        let Some(configuration) = self.configuration()? else { return Ok(Arc::default()) };
        let assets = self.assets.as_deref().map(Path::new);
        Ok(Arc::new(Enrichments::open(configuration, assets).map_err(|e| all(&e))?))
    }

    /// The configurations of the enrichments, with no asset opened yet. `${NAME}` in them is the
    /// environment's.
    pub fn configuration(&self) -> Result<Option<Configuration>, Usage> {
        let Some(folder) = &self.enrichments else { return Ok(None) };
        let options = Options {
            allow_unsupported: self.allow_unsupported.clone(),
            variables: std::env::vars().collect(),
            peer_masking: self.peer_masking,
        };
        let configuration = Configuration::read(folder, &options).map_err(|e| all(&e))?;
        for warning in &configuration.warnings {
            tracing::warn!(warning, "enrichments");
        }
        Ok(Some(configuration))
    }
}

fn all(errors: &[ConfigError]) -> Usage {
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    Usage(errors.join("\n"))
}
