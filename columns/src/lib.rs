//! The columns of the warehouse: from the JSON Schemas of events and entities to a tree of typed
//! fields, and from that tree to whatever names the columns elsewhere (DDL, a dictionary).
//!
//! Pure: no I/O, no clock. Reading schemas is the caller's, filling columns is `warehouse`'s.

mod field;
mod names;

pub use field::{Element, Field, Type};
pub use names::{Kind, column};
