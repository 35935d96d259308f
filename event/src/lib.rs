//! The vocabulary of the pipeline: what a record is called at each step between the bytes a
//! collector wrote and the line an analyst queries.
//!
//! In the order a record meets them: [`payload::CollectorPayload`] (decoded by [`thrift`]), then
//! [`raw_event::RawEvent`] (what an adapter makes of it), then [`event::Event`] (the canonical
//! event, 131 [`fields`]) with its [`entity::Entity`]s, and at the end a line ([`tsv`], [`flat`])
//! or a bad row ([`bad_row`]).
//!
//! Everything here is pure: no I/O, no clock, no randomness. Texts are borrowed from the record or
//! from a [`bumpalo::Bump`] arena that the caller resets per payload, so the types carry one
//! lifetime, `'a`, for both.

pub mod bad_row;
pub mod base64;
pub mod calendar;
pub mod charset;
pub mod convert;
pub mod entity;
pub mod event;
pub mod fields;
pub mod flat;
pub mod json;
pub mod map_order;
pub mod payload;
pub mod query;
pub mod raw_event;
pub mod reason;
pub mod schema_key;
pub mod thrift;
pub mod time;
pub mod tsv;
pub mod url;

pub use bumpalo::Bump;
pub use calendar::Utc;
pub use entity::Entity;
pub use event::Event;
pub use fields::{Field, Kind};
pub use payload::CollectorPayload;
pub use raw_event::RawEvent;
pub use reason::{ClientError, Failure, Reason};
pub use schema_key::{Criterion, SchemaKey, SchemaVer};
