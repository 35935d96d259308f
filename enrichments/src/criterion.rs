//! Schema criteria of configurations: `iglu:vendor/name/format/M-R-A`, where `*` stands for any.

use event::schema_key::Parts;
use event::{Entity, SchemaVer};

use crate::reader::Node;

/// A schema key in which each part of the version may be left open.
#[derive(Clone, Debug)]
pub(crate) struct Criterion {
    /// `vendor/name/format`.
    stem: String,
    version: [Option<u32>; 3],
}

impl Criterion {
    /// Reads a criterion.
    pub(crate) fn read(node: &Node<'_>) -> Option<Criterion> {
        let text = node.text()?;
        let read = || {
            let (stem, version) = text.strip_prefix("iglu:")?.rsplit_once('/')?;
            let parts: Vec<_> = version.split('-').collect();
            let part = |text: &str| match text {
                "*" => Some(None),
                number => number.parse().ok().map(Some),
            };
            let [model, revision, addition] = parts[..] else { return None };
            let version = [part(model)?, part(revision)?, part(addition)?];
            (stem.split('/').count() == 3).then(|| Criterion { stem: stem.to_owned(), version })
        };
        let criterion = read();
        if criterion.is_none() {
            node.wrong("iglu:vendor/name/format/M-R-A, where each of M, R and A may be *");
        }
        criterion
    }

    /// Whether a schema's URI satisfies it.
    pub(crate) fn matches(&self, uri: &str) -> bool {
        let Ok(key) = Parts::parse(uri) else { return false };
        self.admits(uri, key.version)
    }

    /// Whether an entity satisfies it, under the version that it is written with.
    pub(crate) fn matches_entity(&self, entity: &Entity<'_>) -> bool {
        match entity.superseded_by {
            Some(version) => self.admits(entity.uri, version),
            None => self.matches(entity.uri),
        }
    }

    fn admits(&self, uri: &str, version: SchemaVer) -> bool {
        let stem = uri.strip_prefix("iglu:").and_then(|rest| rest.rsplit_once('/'));
        let version = [version.model, version.revision, version.addition];
        stem.is_some_and(|(stem, _)| stem == self.stem)
            && self.version.iter().zip(version).all(|(w, found)| w.is_none_or(|w| w == found))
    }
}
