//! What a run's workers go by: the command line, and the configuration of a worker where one is
//! given. Of that counts what is about data; where a fleet reads and writes does not, here.

use std::path::{Path, PathBuf};

use resolver::Resolver;

use super::Args;
use crate::exit::Usage;
use crate::rules::Rules;
use crate::worker::build;
use crate::worker::plan::Plan;
use crate::{aws, config};

/// What workers go by.
pub(super) struct Settings {
    pub(super) pipeline: pipeline::Settings,
    pub(super) rules: Rules,
    pub(super) enrichments: config::Enrichments,
    pub(super) lookups: config::Lookups,
    aws: aws::Settings,
    /// How long unknown schemas wait, if a configuration says so.
    wait: Option<std::time::Duration>,
}

impl Settings {
    /// What the arguments come to. Writes enrichments to begin with where nobody named any.
    pub(super) fn of(args: &Args) -> anyhow::Result<Settings> {
        let mut settings = match &args.config {
            Some(file) => Settings::of_file(file)?,
            None => Settings {
                // Who tries things out wants to see all that there is to see.
                pipeline: pipeline::Settings {
                    incomplete: true,
                    ..pipeline::Settings::new(crate::process::this_program())
                },
                rules: Rules::default(),
                enrichments: config::Enrichments::default(),
                lookups: config::Lookups::default(),
                aws: aws::Settings::default(),
                wait: None,
            },
        };
        settings.rules = over(settings.rules, args.rules.clone());
        settings.pipeline.stream = "local".to_owned();
        // Whoever looks at a failed event wants to see it as far as it came.
        settings.pipeline.incomplete = true;
        if args.json {
            settings.pipeline.json =
                pipeline::Route::ALL.into_iter().filter(|route| route.is_of_events()).collect();
        }
        args.tolerance.apply(&mut settings.pipeline);
        let (dir, rules) = (&args.dir, &mut settings.rules);
        if rules.enrichments.is_none() {
            super::super::init::enrichments(dir, None)?;
            rules.enrichments = Some(dir.join("enrichments"));
            rules.assets.get_or_insert_with(|| dir.join("assets"));
        } else if rules.assets.is_none() {
            rules.asset_cache.get_or_insert_with(|| dir.join("asset-cache"));
        }
        Ok(settings)
    }

    fn of_file(file: &Path) -> Result<Settings, Usage> {
        let config = config::load(file).map_err(|error| Usage(error.to_string()))?;
        let plan = Plan::of(&config, "local")?;
        let rules = build::rules(&config);
        let wait = Some(config.schemas.wait());
        let aws = build::aws(&config.aws);
        let config::Config { enrichments, lookups, .. } = config;
        Ok(Settings { pipeline: plan.pipeline, rules, enrichments, lookups, aws, wait })
    }

    /// The registries: the folder that is named, or the run's own, is asked before all others.
    pub(super) fn resolver(&self, dir: &Path) -> anyhow::Result<(Resolver, PathBuf)> {
        let resolver = self.rules.resolver(&self.aws)?;
        let resolver = match self.wait {
            Some(wait) => resolver.with_wait(wait),
            None => resolver,
        };
        if let Some(folder) = &self.rules.schemas {
            return Ok((resolver, folder.join("schemas")));
        }
        let schemas = dir.join("schemas");
        std::fs::create_dir_all(&schemas)?;
        Ok((resolver.with_folder(dir), schemas))
    }
}

/// A configuration's rules, where the command line does not say otherwise.
fn over(file: Rules, line: Rules) -> Rules {
    let assets_named = line.assets.is_some() || line.asset_cache.is_some();
    let allow = [file.allow_unsupported, line.allow_unsupported].concat();
    Rules {
        resolver: line.resolver.or(file.resolver),
        schemas: line.schemas.or(file.schemas),
        bundle: line.bundle.or(file.bundle),
        enrichments: line.enrichments.or(file.enrichments),
        assets: if assets_named { line.assets } else { file.assets },
        asset_cache: if assets_named { line.asset_cache } else { file.asset_cache },
        allow_unsupported: allow,
        peer_masking: line.peer_masking || file.peer_masking,
        // Here a script that cannot be evaluated is something to be looked at.
        scripts: line.scripts,
        own_script: line.own_script,
    }
}
