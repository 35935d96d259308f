//! What events are checked against and enriched with, as the command line or a configuration
//! names it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use enrichments::{
    Asset, ConfigError, Configuration, Enrichments, Options, check_allowed, javascript,
};
use resolver::{BucketPlace, Registry, Resolver};

use crate::assets::source::Fetcher;
use crate::assets::{self, Assets, Settings};
use crate::aws::{self, Aws};
use crate::bucket_registry::BucketRegistry;
use crate::config::explain;
use crate::exit::Usage;
use crate::metrics::Metrics;
use crate::places;

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
    /// A folder in which assets are kept after fetching them from the URIs that the configurations
    /// name (https, http, s3, file). Without this and --assets, one of the command's own.
    #[arg(long, value_name = "DIR", conflicts_with = "assets")]
    pub asset_cache: Option<PathBuf>,
    /// Skip the configurations of these enrichments, which do not run here, with a warning.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub allow_unsupported: Vec<String>,
    /// Mask addresses exactly as a running peer does, which leaves some spellings readable.
    #[arg(long)]
    pub peer_masking: bool,
    /// How scripts are run. Offline, one that cannot be evaluated fails its events with that
    /// reason, and nothing of the input is lost; a worker refuses it.
    #[arg(skip = javascript::Options::offline())]
    pub scripts: javascript::Options,
    /// A script that stands in no configuration.
    #[arg(skip)]
    pub own_script: Option<OwnScript>,
}

/// A script that stands in no configuration: it runs behind all that do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnScript {
    /// The name of its file.
    pub file: String,
    /// Its text.
    pub source: String,
    /// Its parameters, as JSON.
    pub parameters: Option<String>,
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
            places::registry(folder).map_err(|why| off("--schemas", folder, &why))?;
            resolver = resolver.with_folder(folder);
        }
        let Some(file) = &self.bundle else { return Ok(resolver) };
        let wrong = |error| Usage(format!("{}: {error}", file.display()));
        resolver.with_bundle(file).map_err(wrong)
    }

    /// The same with a folder of assets: unless there is one, what the configurations name is
    /// fetched once, into a temporary folder if none is given to keep it.
    pub async fn with_assets(
        &self,
        aws: &aws::Settings,
    ) -> anyhow::Result<(Rules, Option<Temporary>)> {
        let mut rules = self.clone();
        let names_any = |configuration: Configuration| !configuration.assets().is_empty();
        if rules.assets.is_some() || !rules.configuration()?.is_some_and(names_any) {
            return Ok((rules, None));
        }
        let temporary = match rules.asset_cache {
            Some(_) => None,
            None => Some(Temporary::new().context("cannot make a folder for assets")?),
        };
        let folder = rules.asset_cache.take().or(temporary.as_ref().map(|it| it.path.clone()));
        let folder = folder.expect("it is given or temporary");
        // Nobody asks again.
        let settings = Settings { folder: folder.clone(), refresh: Duration::MAX, max_age: None };
        rules.fetch(settings, aws, &Arc::default()).await?;
        rules.assets = Some(folder);
        Ok((rules, temporary))
    }

    /// Fetches the assets that the configurations name, and opens the enrichments with them; none
    /// if there are no configurations.
    pub async fn fetch(
        &self,
        settings: Settings,
        aws: &aws::Settings,
        metrics: &Arc<Metrics>,
    ) -> anyhow::Result<Option<(Assets, Enrichments)>> {
        let Some(configuration) = self.configuration()? else { return Ok(None) };
        // Credentials are looked for only where there is a use for them: that can take seconds.
        let in_bucket = |asset: &&Asset| asset.source().starts_with("s3://");
        let s3 = match configuration.assets().iter().any(in_bucket) {
            true => Some(Aws::load(aws.clone()).await.s3()),
            false => None,
        };
        let fetcher = Fetcher::new(s3).map_err(anyhow::Error::msg)?;
        let opened = Assets::open(configuration, settings, fetcher, Arc::clone(metrics)).await;
        opened.map(Some).map_err(|error| match error {
            assets::Error::Configuration(_) => Usage(error.to_string()).into(),
            error => error.into(),
        })
    }

    /// The enrichments with their assets, from a folder that is there.
    pub fn enrichments(&self) -> Result<Arc<Enrichments>, Usage> {
        let Some(configuration) = self.configuration()? else { return Ok(Arc::default()) };
        self.open(configuration)
    }

    /// A configuration with its assets.
    pub fn open(&self, configuration: Configuration) -> Result<Arc<Enrichments>, Usage> {
        let opened = Enrichments::open(configuration, self.assets.as_deref());
        Ok(Arc::new(opened.map_err(|errors| all(&errors))?))
    }

    /// The configurations of the enrichments, with no asset opened yet. `${NAME}` in them is the
    /// environment's.
    pub fn configuration(&self) -> Result<Option<Configuration>, Usage> {
        for name in &self.allow_unsupported {
            let checked = check_allowed(name, self.enrichments.as_deref());
            checked.map_err(|why| Usage(format!("--allow-unsupported: {}", explain(&why))))?;
        }
        if let Some(folder) = &self.assets {
            places::folder(folder).map_err(|why| off("--assets", folder, &why))?;
        }
        let read = self.enrichments.as_deref().map(|folder| self.read(folder)).transpose()?;
        let Some(script) = &self.own_script else { return Ok(read) };
        let mut configuration = read.unwrap_or_default();
        let OwnScript { file, source, parameters } = script.clone();
        let added = configuration.add_script(&file, source, parameters, &self.scripts);
        added.map_err(Usage)?;
        Ok(Some(configuration))
    }

    fn read(&self, folder: &Path) -> Result<Configuration, Usage> {
        places::configurations(folder).map_err(|why| off("--enrichments", folder, &why))?;
        let options = Options {
            allow_unsupported: self.allow_unsupported.clone(),
            variables: environment(),
            peer_masking: self.peer_masking,
            scripts: self.scripts,
        };
        let configuration = Configuration::read(folder, &options).map_err(|e| all(&e))?;
        for warning in &configuration.warnings {
            tracing::warn!(warning, "enrichments");
        }
        Ok(configuration)
    }
}

/// The variables of the environment. One that is no text can be meant by no configuration.
fn environment() -> BTreeMap<String, String> {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// What is wrong with a folder that an argument names.
fn off(argument: &str, folder: &Path, why: &str) -> Usage {
    Usage(format!("{argument} {}: {why}", folder.display()))
}

/// A folder that is deleted in the end. What is open or mapped stays readable without it.
#[derive(Debug)]
pub struct Temporary {
    path: PathBuf,
}

impl Temporary {
    fn new() -> io::Result<Temporary> {
        let name = format!("snowmelt-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let path = std::env::temp_dir().join(name);
        // It must be new, and nobody else's: others may write into the folder it is in.
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Temporary { path })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Whoever clears temporary files finds what could not be deleted.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn all(errors: &[ConfigError]) -> Usage {
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    Usage(errors.join("\n"))
}
