//! Schemas as texts, for those who look at registries: fetching, listing, bundling, and finding the
//! version that would accept some data.
//!
//! Nothing here touches what the resolver remembers.

use std::collections::BTreeMap;
use std::io::{self, Write};

use event::reason::RegistryHistory;
use event::{SchemaKey, SchemaVer};
use tokio::task::JoinSet;
use validator::Schema;

use crate::Resolver;
use crate::book::Asked;
use crate::registry::Unlisted;
use crate::registry::bundle::write_line;
use crate::settle::Reply;

/// How many versions are asked for where registries give no lists.
const PROBES: u32 = 100;

/// How many keys are asked for at the same time.
const TASKS: usize = 64;

/// A schema as a registry publishes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The registry's name.
    pub registry: String,
    /// The schema.
    pub text: String,
    /// The version that superseded it, with its schema.
    pub newer: Option<(SchemaVer, String)>,
}

/// Why a schema cannot be had; with what each registry said.
#[derive(Clone, Debug, PartialEq)]
pub enum Unpublished {
    /// No registry has it.
    Missing(Vec<RegistryHistory>),
    /// A registry that might have it could not be asked.
    Unavailable(Vec<RegistryHistory>),
}

/// What one registry lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub registry: String,
    /// The keys, or why there are none.
    pub keys: Result<Vec<SchemaKey>, Unlisted>,
}

/// What became of pulling schemas.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pulled {
    /// Schemas written, with those that superseded others.
    pub written: usize,
    /// Keys that could not be had, and why.
    pub failed: Vec<(SchemaKey, Unpublished)>,
}

impl Resolver {
    /// Asks the registries for the text of a schema, waiting as data would.
    pub async fn fetch(&self, key: &SchemaKey) -> Result<Published, Unpublished> {
        let inner = &self.inner;
        match inner.ask_patiently(key).await {
            Reply::Found(texts) => {
                let registry = inner.registries[texts.registry()].name.clone();
                Ok(Published { registry, text: texts.asked_for, newer: texts.newer })
            }
            Reply::Unchanged => unreachable!("nothing was known of it"),
            Reply::Nothing(errors) => Err(Unpublished::Missing(inner.history(errors, &[]))),
            Reply::Unreachable(errors) => Err(Unpublished::Unavailable(inner.history(errors, &[]))),
        }
    }

    /// Writes the schemas of these keys as a bundle, sorted, together with those that superseded
    /// them.
    pub async fn pull(&self, keys: &[SchemaKey], out: &mut impl Write) -> io::Result<Pulled> {
        let mut left: Vec<SchemaKey> = keys.to_vec();
        left.sort();
        left.dedup();
        let mut tasks = JoinSet::new();
        let (mut texts, mut pulled) = (BTreeMap::new(), Pulled::default());
        loop {
            while tasks.len() < TASKS
                && let Some(key) = left.pop()
            {
                let resolver = self.clone();
                tasks.spawn(async move { (resolver.fetch(&key).await, key) });
            }
            let Some(ended) = tasks.join_next().await else { break };
            match ended.unwrap_or_else(|why| std::panic::resume_unwind(why.into_panic())) {
                (Ok(Published { text, newer, .. }), key) => {
                    if let Some((version, text)) = newer {
                        texts.insert(SchemaKey { version, ..key.clone() }, text);
                    }
                    texts.insert(key, text);
                }
                (Err(why), key) => pulled.failed.push((key, why)),
            }
        }
        pulled.failed.sort_by(|(a, _), (b, _)| a.cmp(b));
        pulled.written = texts.len();
        for (key, text) in texts {
            write_line(&key, &text, out)?;
        }
        Ok(pulled)
    }

    /// Every key that data asked for and that is remembered, sorted.
    pub fn asked(&self) -> Vec<Asked> {
        let mut asked = self.inner.book().asked(|registry| {
            let registry = self.inner.registries.get(registry);
            registry.map(|registry| registry.name.clone()).unwrap_or_default()
        });
        asked.sort_by(|a, b| a.key.cmp(&b.key));
        asked
    }

    /// Asks every registry what it has.
    pub async fn list(&self) -> Vec<Listed> {
        let mut all = Vec::new();
        for registry in &self.inner.registries {
            let mut keys = registry.list().await;
            if let Ok(keys) = &mut keys {
                keys.sort();
                keys.dedup();
            }
            all.push(Listed { registry: registry.name.clone(), keys });
        }
        all
    }

    /// The schemas of the key's model as texts, by version: those that registries list, that of the
    /// key itself, and where a registry gives no list those that follow one another without gaps.
    /// What cannot be had is left out, but if it is the key's own.
    pub async fn of_model(
        &self,
        key: &SchemaKey,
        listed: &[Listed],
    ) -> Result<BTreeMap<SchemaVer, String>, Unpublished> {
        let mut texts = BTreeMap::from([(key.version, self.fetch(key).await?.text)]);
        let known = listed.iter().filter_map(|listed| listed.keys.as_ref().ok()).flatten();
        // Gathered first: what is awaited below has to be able to move between threads.
        let known: Vec<_> = known.filter(|other| other.is_of_model(key)).collect();
        for other in known {
            self.add_text(other, &mut texts).await;
        }
        if listed.iter().any(|listed| listed.keys.is_err()) {
            let (mut revision, mut addition) = (0, 0);
            for _ in 0..PROBES {
                let version = SchemaVer::new(key.version.model, revision, addition);
                let next = SchemaKey { version, ..key.clone() };
                match self.add_text(&next, &mut texts).await {
                    true => addition += 1,
                    false if addition > 0 => (revision, addition) = (revision + 1, 0),
                    false => break,
                }
            }
        }
        Ok(texts)
    }

    /// Asks for a text that is not there yet; tells whether it is there then.
    async fn add_text(&self, key: &SchemaKey, texts: &mut BTreeMap<SchemaVer, String>) -> bool {
        if !texts.contains_key(&key.version)
            && let Ok(published) = self.fetch(key).await
        {
            texts.insert(key.version, published.text);
        }
        texts.contains_key(&key.version)
    }

    /// The version of a schema nearest to this one that accepts the data: of the same model if
    /// there is one, and newer rather than older.
    pub async fn nearest(&self, key: &SchemaKey, json: &str) -> Option<SchemaKey> {
        let mut versions = self.versions(key).await;
        versions.retain(|version| *version != key.version);
        versions.sort_by_key(|version| distance(key.version, *version));
        for version in versions {
            let other = SchemaKey { version, ..key.clone() };
            if let Ok(published) = self.fetch(&other).await
                && Schema::compile(&published.text).check(json).is_ok()
            {
                return Some(other);
            }
        }
        None
    }

    /// The versions of a schema that are known to exist.
    async fn versions(&self, key: &SchemaKey) -> Vec<SchemaVer> {
        let mut versions = Vec::new();
        let mut complete = true;
        for listed in self.list().await {
            let Ok(keys) = listed.keys else {
                complete = false;
                continue;
            };
            let of_it = keys.into_iter().filter(|other| {
                (&other.vendor, &other.name, &other.format) == (&key.vendor, &key.name, &key.format)
            });
            versions.extend(of_it.map(|key| key.version));
        }
        if !complete {
            versions.extend(self.probe(key).await);
        }
        versions.sort();
        versions.dedup();
        versions
    }

    /// Asks for one version after the other, as they are numbered without gaps.
    async fn probe(&self, key: &SchemaKey) -> Vec<SchemaVer> {
        let mut found = Vec::new();
        let (mut model, mut revision, mut addition) = (1, 0, 0);
        for _ in 0..PROBES {
            let version = SchemaVer::new(model, revision, addition);
            let there = self.fetch(&SchemaKey { version, ..key.clone() }).await.is_ok();
            if there {
                found.push(version);
                addition += 1;
            } else if addition > 0 {
                (revision, addition) = (revision + 1, 0);
            } else if revision > 0 || model <= key.version.model {
                (model, revision) = (model + 1, 0);
            } else {
                break;
            }
        }
        found
    }
}

/// How far apart two versions are; of two as far, the newer is nearer.
pub fn distance(from: SchemaVer, to: SchemaVer) -> (u32, u32, u32, bool) {
    let model = from.model.abs_diff(to.model);
    let revision = from.revision.abs_diff(to.revision);
    (model, revision, from.addition.abs_diff(to.addition), to < from)
}
