//! The schemas that registries list, and the table that they make: what `snowmelt ddl` and
//! `snowmelt dictionary` are about.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use columns::{Table, Uses};
use event::SchemaKey;
use resolver::{Resolver, Unlisted, Unpublished};

use crate::aws;
use crate::exit::{EXIT_UNAVAILABLE, Usage};
use crate::rules::Rules;
use crate::terminal;

/// Where schemas come from, and which of them are of events and entities.
#[derive(Debug, clap::Args)]
pub(super) struct Known {
    /// An Iglu resolver configuration. Without one, the embedded schemas are all there are.
    #[arg(long, value_name = "FILE")]
    resolver: Option<PathBuf>,
    /// A folder of schemas (an Iglu static registry, `schemas/` inside), asked before all others.
    #[arg(long, value_name = "DIR")]
    schemas: Option<PathBuf>,
    /// A bundle of schemas, asked before all others.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// How long a registry that cannot be asked is waited for, seconds.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    patience: u64,
    /// Which schemas are of events: `com.acme/*,*/link_click`. Others are not, then. Without this,
    /// all are that are not known to be something else.
    #[arg(long, value_name = "VENDOR/NAME", value_delimiter = ',')]
    events: Option<Vec<String>>,
    /// Which schemas are of entities, as --events.
    #[arg(long, value_name = "VENDOR/NAME", value_delimiter = ',')]
    entities: Option<Vec<String>>,
}

/// The tables that the schemas make.
pub(super) struct Tables {
    /// Of good events.
    pub(super) events: Table,
    /// Of failed ones, which have an entity that says why.
    pub(super) failed: Table,
}

impl Known {
    /// The embedded schemas, and before them those of a folder and of a bundle: all that are there
    /// without asking anybody.
    pub(super) fn at_hand(folder: PathBuf, bundle: Option<PathBuf>) -> Known {
        let (resolver, events, entities) = (None, None, None);
        Known { resolver, schemas: Some(folder), bundle, patience: 0, events, entities }
    }

    /// Asks the registries for all they list. `Err` holds the exit code, when the reasons have
    /// been told: a table that lacks columns would be worse than none.
    pub(super) fn tables(&self) -> anyhow::Result<Result<Tables, u8>> {
        for pattern in self.events.iter().chain(&self.entities).flatten() {
            if pattern.split('/').count() != 2 {
                let wrong = "is no vendor and name, such as com.acme/* or */link_click";
                return Err(Usage(format!("{pattern:?} {wrong}")).into());
            }
        }
        let rules = Rules {
            resolver: self.resolver.clone(),
            schemas: self.schemas.clone(),
            bundle: self.bundle.clone(),
            ..Rules::default()
        };
        let resolver = rules.resolver(&aws::Settings::default())?;
        let resolver = resolver.with_wait(Duration::from_secs(self.patience));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let Some(texts) = runtime.block_on(self.texts(&resolver)) else {
            return Ok(Err(EXIT_UNAVAILABLE));
        };
        let all = || texts.iter().map(|(key, text)| (key.clone(), text.as_str(), self.uses(key)));
        let is_of_failures = |key: &SchemaKey| columns::is_of_failures(&key.vendor, &key.name);
        let events = Table::of(all().filter(|(key, ..)| !is_of_failures(key)));
        Ok(Ok(Tables { events, failed: Table::of(all()) }))
    }

    /// The texts of all schemas that are of events or entities; none if one cannot be had.
    async fn texts(&self, resolver: &Resolver) -> Option<BTreeMap<SchemaKey, String>> {
        let mut texts = BTreeMap::new();
        for listed in resolver.list().await {
            let keys = match listed.keys {
                Ok(keys) => keys,
                Err(why) => {
                    terminal::note(&format!("snowmelt: {}: {why}", listed.registry));
                    if matches!(why, Unlisted::Failed(_)) {
                        return None;
                    }
                    continue;
                }
            };
            for key in keys {
                let uses = self.uses(&key);
                if key.format != "jsonschema" || !(uses.event || uses.entity) {
                    continue;
                }
                if texts.contains_key(&key) {
                    continue;
                }
                match resolver.fetch(&key).await {
                    Ok(published) => _ = texts.insert(key, published.text),
                    Err(why) => {
                        terminal::note(&format!("snowmelt: {key}: {}", said(&why)));
                        return None;
                    }
                }
            }
        }
        Some(texts)
    }

    fn uses(&self, key: &SchemaKey) -> Uses {
        let known = Uses::of(&key.vendor, &key.name);
        let path = format!("{}/{}", key.vendor, key.name);
        let asked = |patterns: &Option<Vec<String>>, known| match patterns {
            None => known,
            Some(patterns) => patterns.iter().any(|pattern| matches(pattern, &path)),
        };
        Uses {
            event: asked(&self.events, known.event),
            entity: asked(&self.entities, known.entity),
        }
    }
}

fn said(why: &Unpublished) -> &'static str {
    match why {
        Unpublished::Missing(_) => "a registry lists it and does not have it",
        Unpublished::Unavailable(_) => "no registry that may have it can be asked",
    }
}

/// Whether a text is what the pattern says, in which `*` is anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_anything() {
        for (pattern, text, expected) in [
            ("com.acme/cart", "com.acme/cart", true),
            ("com.acme/cart", "com.acme/carts", false),
            ("com.acme/*", "com.acme/cart", true),
            ("*/cart", "com.acme/cart", true),
            ("com.*/c*t", "com.acme/cart", true),
            ("com.*/c*x", "com.acme/cart", false),
            ("*/*", "com.acme/cart", true),
            ("*/cart*", "com.acme/art", false),
            ("a/ab*ba", "a/aba", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
