//! The static registry in the binary.

use event::SchemaKey;

use crate::registry::{Answer, Asking, Listing, Registry};

/// The schemas in the binary.
pub(crate) struct Embedded;

impl Registry for Embedded {
    fn get<'a>(&'a self, key: &'a SchemaKey, _: Option<&'a str>) -> Asking<'a> {
        let text = validator::embedded::text(key);
        Box::pin(std::future::ready(text.map_or(Answer::NotFound, Answer::found)))
    }

    fn list(&self) -> Listing<'_> {
        Box::pin(std::future::ready(Ok(validator::embedded::keys().collect())))
    }
}
