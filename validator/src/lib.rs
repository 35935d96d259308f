//! Validates self-describing JSON against schemas from Iglu registries.
//!
//! A [`Resolver`] asks the registries, in the peer's order, and keeps what they said; it is the
//! only part that does I/O. What is known at one moment is a [`Schemas`], an immutable snapshot
//! that any thread reads without a lock. Each answer is a [`Lookup`]: found, missing (every
//! eligible registry said so) or unavailable (no verdict on the data). A [`Schema`] is compiled
//! once and then checks compact JSON texts.
//!
//! What becomes of an event whose schema is missing or unavailable is the caller's decision.

mod document;
pub mod evolution;
mod explanation;
mod format;
pub mod lint;
mod number;
mod pattern;
mod pointer;
mod registry;
mod schema;
mod schemas;

mod resolver;

pub use explanation::Explanation;
pub use registry::{Answer, Asking, Listing, Registry, SCHEMA_LIMIT, Unlisted, key_at};
pub use resolver::{
    BucketPlace, BundleError, ConfigError, Figures, Listed, OpenBucket, Published, Pulled,
    RegistryFigures, Resolver, Unpublished, distance,
};
pub use schema::Schema;
pub use schemas::{Lookup, Schemas};
