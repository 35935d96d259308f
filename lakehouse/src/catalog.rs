//! Catalogs: who says which metadata file is a table's newest.

pub(crate) mod sqlite;
