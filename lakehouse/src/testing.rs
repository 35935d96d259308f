//! What tests of this crate have in common.

use std::sync::Arc;

use columns::{Element, Field, Type};
use iceberg::Catalog;
use iceberg::io::FileIO;

use crate::Sqlite;

/// A field of that name and type.
pub(crate) fn field(name: &str, ty: Type) -> Field {
    let name = name.to_owned();
    Field { keys: vec![name.clone()], name, ty, nullable: true, description: None }
}

/// A list.
pub(crate) fn list(ty: Type) -> Type {
    Type::List(Box::new(Element { ty, nullable: false }))
}

/// A catalog of which nothing stays.
pub(crate) fn catalog() -> Arc<dyn Catalog> {
    let io = FileIO::new_with_memory();
    Arc::new(Sqlite::in_memory("snowmelt", "memory:///w", io).expect("nothing is in its way"))
}
