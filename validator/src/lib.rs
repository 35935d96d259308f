//! Validates self-describing JSON against schemas.
//!
//! A [`Schema`] is compiled once and then checks compact JSON texts. What is known of schemas at
//! one moment is a [`Schemas`], an immutable snapshot that any thread reads without a lock. Each
//! answer in it is a [`Lookup`]: found, missing (every eligible registry said so) or unavailable
//! (no verdict on the data). Some schemas are [`embedded`]. [`lint`] and [`evolution`] judge
//! schemas instead of data.
//!
//! Pure: registries are asked by the crate `resolver`.
//!
//! What becomes of an event whose schema is missing or unavailable is the caller's decision.

mod document;
pub mod embedded;
pub mod evolution;
mod explanation;
mod format;
pub mod lint;
mod number;
mod pattern;
mod pointer;
mod schema;
mod schemas;

pub use explanation::Explanation;
pub use schema::{Schema, superseding_version};
pub use schemas::{Known, Lookup, Schemas};
