//! The static registry in the binary: the folder `schemas` of this repository.

use event::SchemaKey;

use crate::registry::{Answer, Asking, Listing, Registry, key_at};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The schemas in the binary.
pub(crate) struct Embedded;

impl Registry for Embedded {
    fn get<'a>(&'a self, key: &'a SchemaKey, _: Option<&'a str>) -> Asking<'a> {
        Box::pin(std::future::ready(find(key).map_or(Answer::NotFound, Answer::found)))
    }

    fn list(&self) -> Listing<'_> {
        let keys = SCHEMAS.iter().filter_map(|(path, _)| key_at(path)).collect();
        Box::pin(std::future::ready(Ok(keys)))
    }
}

fn find(key: &SchemaKey) -> Option<&'static str> {
    let path = key.path();
    let index = SCHEMAS.binary_search_by(|(known, _)| (*known).cmp(path.as_str())).ok()?;
    Some(SCHEMAS[index].1)
}
