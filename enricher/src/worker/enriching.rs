//! The pipeline of a worker with its enrichments, and how new assets get into it: a batch keeps the
//! pipeline it began with, the next one takes the newest.

use std::sync::Arc;

use tokio::sync::watch;

use crate::assets::{Assets, Settings};
use crate::aws;
use crate::config;
use crate::metrics::Metrics;
use crate::rules::Rules;
use pipeline::Pipeline;

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
pub fn fixed(pipeline: impl Into<Arc<Pipeline>>) -> Newest {
    watch::channel(pipeline.into()).1
}

/// Opens what the enrichments need, after fetching it where the rules give a cache for it.
pub async fn start(
    settings: pipeline::Settings,
    rules: &Rules,
    config: &config::Enrichments,
    aws: &aws::Settings,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<(Newest, Renewal)> {
    let (assets, enrichments) = match &rules.asset_cache {
        None => (None, rules.enrichments()?),
        Some(folder) => {
            let keeping = Settings {
                folder: folder.clone(),
                refresh: config.refresh.get(),
                max_age: config.max_age.map(|age| age.get()),
            };
            let fetched = rules.fetch(keeping, aws, metrics).await?;
            fetched.map_or_else(Default::default, |(assets, open)| (Some(assets), Arc::new(open)))
        }
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
