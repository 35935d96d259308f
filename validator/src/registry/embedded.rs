//! The static registry in the binary: the folder `schemas` of this repository.

use event::SchemaKey;

use crate::registry::{Answer, Asking, Registry};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The schemas in the binary.
pub(crate) struct Embedded;

impl Registry for Embedded {
    fn get<'a>(&'a self, key: &'a SchemaKey) -> Asking<'a> {
        let answer = find(key).map_or(Answer::NotFound, |text| Answer::Found(text.to_owned()));
        Box::pin(std::future::ready(answer))
    }
}

fn find(key: &SchemaKey) -> Option<&'static str> {
    let path = key.path();
    let index = SCHEMAS.binary_search_by(|(known, _)| (*known).cmp(path.as_str())).ok()?;
    Some(SCHEMAS[index].1)
}
