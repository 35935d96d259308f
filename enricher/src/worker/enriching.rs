//! The pipeline of a worker with its enrichments, and how new assets get into it: a batch keeps the
//! pipeline it began with, the next one takes the newest.

use std::sync::Arc;

use enrichments::Enrichments;
use tokio::sync::watch;

use crate::assets::{Assets, Error, Settings, source::Fetcher};
use crate::aws::Aws;
use crate::commands::Usage;
use crate::commands::rules::Rules;
use crate::config;
use crate::metrics::Metrics;
use crate::pipeline::{self, Pipeline};

/// Hands out the newest pipeline.
pub type Newest = watch::Receiver<Arc<Pipeline>>;

/// Makes a new pipeline when assets change.
pub struct Renewal {
    settings: pipeline::Settings,
    newest: watch::Sender<Arc<Pipeline>>,
    /// None where nothing is fetched.
    assets: Option<Assets>,
}

/// A pipeline that is never renewed.
pub fn fixed(pipeline: Pipeline) -> Newest {
    watch::channel(Arc::new(pipeline)).1
}

/// Fetches and opens what the enrichments need.
pub async fn start(
    settings: pipeline::Settings,
    rules: &Rules,
    config: &config::Enrichments,
    aws: &Aws,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<(Newest, Renewal)> {
    let (assets, enrichments) = match &config.cache {
        None => (None, rules.enrichments()?),
        Some(folder) => fetched(folder.clone(), rules, config, aws, metrics).await?,
    };
    if enrichments.emits_pii() && !settings.pii_events {
        tracing::warn!(
            "emitEvent is on and [pii] is not configured: nothing is told of pseudonyms"
        );
    }
    let pipeline = Pipeline::new(settings.clone(), enrichments);
    let (sender, newest) = watch::channel(Arc::new(pipeline));
    Ok((newest, Renewal { settings, newest: sender, assets }))
}

async fn fetched(
    folder: std::path::PathBuf,
    rules: &Rules,
    config: &config::Enrichments,
    aws: &Aws,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<(Option<Assets>, Arc<Enrichments>)> {
    let Some(configuration) = rules.configuration()? else { return Ok((None, Arc::default())) };
    let settings = Settings {
        folder,
        refresh: config.refresh.get(),
        max_age: config.max_age.map(|age| age.get()),
    };
    let fetcher = Fetcher::new(Some(aws.s3())).map_err(anyhow::Error::msg)?;
    let opened = Assets::open(configuration, settings, fetcher, Arc::clone(metrics)).await;
    let (assets, enrichments) = opened.map_err(|error| match error {
        Error::Configuration(_) => Usage(error.to_string()).into(),
        error => anyhow::Error::from(error),
    })?;
    Ok((Some(assets), Arc::new(enrichments)))
}

impl Renewal {
    /// Looks after the assets for ever.
    pub async fn keep_fresh(self) -> ! {
        let Some(assets) = self.assets else {
            loop {
                std::future::pending::<()>().await;
            }
        };
        let (settings, newest) = (self.settings, self.newest);
        let never = assets.keep_fresh(|enrichments| {
            let pipeline = Pipeline::new(settings.clone(), Arc::new(enrichments));
            newest.send_replace(Arc::new(pipeline));
        });
        never.await
    }
}
