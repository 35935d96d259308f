//! The columns of the warehouse: from the JSON Schemas of events and entities to a tree of typed
//! fields, and from that tree to whatever names the columns elsewhere (DDL, a dictionary).
//!
//! [`Family`] makes the columns of the versions of one schema, [`always`] those that every event
//! has, [`Table`] a table of both; [`fits`] and [`cast`] say which values columns hold, and
//! [`MISFITS`] is where the others go.
//!
//! Pure: no I/O, no clock. Reading schemas is the caller's, filling columns is `warehouse`'s.

mod atomic;
pub mod cast;
mod combine;
pub mod ddl;
pub mod dictionary;
mod family;
mod field;
mod merge;
mod misfit;
mod names;
mod normal;
mod number;
mod schema;
mod shape;
mod table;
mod uses;

pub use atomic::{LOAD_TSTAMP, always, atomic, bad_row};
pub use cast::{Unfit, fits};
pub use family::{Family, Recovered, SCHEMA_VERSION};
pub use field::{Element, Field, Type};
pub use merge::{Breaking, merge};
pub use misfit::{MISFITS, misfits};
pub use names::{Kind, column, recovered};
pub use shape::field;
pub use table::Table;
pub use uses::{Uses, is_of_failures};
