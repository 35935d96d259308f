//! Which columns the schemas of data have, found out when data first mentions them.
//!
//! All versions of a schema's model count for its columns, as far as registries tell of them, so
//! that the columns do not depend on which version comes first. Columns once found out stay; a
//! version that is published later makes them wider when data first mentions it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use columns::{Family, Kind};
use event::{SchemaKey, SchemaVer};
use resolver::{Listed, Resolver, Unpublished};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use warehouse::{Need, Shape, Shapes};

/// How long a registry that could not be asked is not asked again: what it has no word on goes
/// where there is no column for it, rather than to be waited for by every batch.
const PAUSE: Duration = Duration::from_secs(60);

/// Finds out columns, and remembers them.
pub struct Shaping {
    resolver: Resolver,
    lists: OnceCell<Vec<Listed>>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    shapes: Shapes,
    /// Schemas that could not be had, and until when they are not asked for again.
    unavailable: HashMap<String, Instant>,
}

impl Shaping {
    /// By the schemas that a resolver finds.
    pub fn new(resolver: Resolver) -> Shaping {
        Shaping { resolver, lists: OnceCell::new(), known: Mutex::default() }
    }

    /// What is known now.
    pub fn shapes(&self) -> Shapes {
        self.known().shapes.clone()
    }

    /// Finds out what is needed. The answer knows something of each of these schemas, be it that
    /// there is no column for it.
    pub async fn find(&self, Need(uris): &Need) -> Shapes {
        let lists = self.lists.get_or_init(|| self.resolver.list()).await;
        let mut nothing = Vec::new();
        for uri in uris {
            let now = Instant::now();
            let paused = self.known().unavailable.get(uri).is_some_and(|until| now < *until);
            if paused {
                nothing.push((uri.clone(), None));
                continue;
            }
            if self.shapes().get(uri).is_some() {
                continue;
            }
            match self.of_uri(uri, lists).await {
                Ok(found) => {
                    let mut known = self.known();
                    known.shapes = known.shapes.with(found);
                }
                Err(Unavailable) => {
                    self.known().unavailable.insert(uri.clone(), Instant::now() + PAUSE);
                    nothing.push((uri.clone(), None));
                }
            }
        }
        let (known, now) = (self.known(), Instant::now());
        // What other data could not have is still of no use: a snapshot that knew nothing of it
        // would be asked for it again by whoever has both.
        let paused = known.unavailable.iter().filter(|(_, until)| now < **until);
        let paused = paused.map(|(uri, _)| (uri.clone(), None));
        known.shapes.with(paused.chain(nothing))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The columns of all versions of the model that a URI names.
    async fn of_uri(&self, uri: &str, lists: &[Listed]) -> Result<Vec<Found>, Unavailable> {
        let nothing = || Ok(vec![(uri.to_owned(), None)]);
        let Ok(key) = SchemaKey::parse(uri) else { return nothing() };
        match self.resolver.of_model(&key, lists).await {
            Ok(texts) => Ok(shapes(&key, &texts)),
            Err(Unpublished::Missing(_)) => nothing(),
            Err(Unpublished::Unavailable(_)) => Err(Unavailable),
        }
    }
}

/// What is found out of one schema, by its URI.
type Found = (String, Option<Arc<Shape>>);

/// A registry that might have it could not be asked.
struct Unavailable;

fn shapes(key: &SchemaKey, texts: &BTreeMap<SchemaVer, String>) -> Vec<Found> {
    let of_version = |version: &SchemaVer| SchemaKey { version: *version, ..key.clone() };
    let schemas: Vec<_> =
        texts.iter().map(|(version, text)| (of_version(version), text.as_str())).collect();
    let family = |kind| Family::of(kind, &schemas);
    let (events, entities) = (family(Kind::Event), family(Kind::Entity));
    let column = |family: &Option<Family>, version: &SchemaVer| {
        family.as_ref().and_then(|family| family.of_version(*version).cloned())
    };
    texts
        .keys()
        .map(|version| {
            let shape = Shape::new(column(&events, version), column(&entities, version));
            (of_version(version).to_string(), Some(Arc::new(shape)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever asks for one schema at a time ends up with both.
    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_had_is_not_asked_for_in_turns() {
        let down = r#"{"schema":"iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-1","data":{"cacheSize":500,"repositories":[{"name":"down","priority":0,"vendorPrefixes":[],"connection":{"http":{"uri":"http://127.0.0.1:1"}}}]}}"#;
        let resolver = Resolver::from_config(down, std::path::Path::new(""), None);
        let resolver = resolver.expect("it is one").with_wait(Duration::ZERO);
        let shaping = Shaping::new(resolver);
        let uri = |name: &str| format!("iglu:com.acme/{name}/jsonschema/1-0-0");
        shaping.find(&Need(vec![uri("a")])).await;
        let both = shaping.find(&Need(vec![uri("b")])).await;
        for name in ["a", "b"] {
            assert_eq!(both.get(&uri(name)), Some(None), "{name} is known to be nowhere");
        }
    }
}
