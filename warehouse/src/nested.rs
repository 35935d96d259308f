//! The column of an event or an entity.

use std::sync::Arc;

use arrow_schema::FieldRef;
use columns::{Kind, SCHEMA_VERSION};

use crate::arrow;
use crate::buffer::{Buffer, Items, Values};
use crate::fill::{self, Misfit, Read};
use crate::json::Json;

/// A column that grows.
pub(crate) struct Nested {
    pub(crate) field: FieldRef,
    pub(crate) buffer: Buffer,
    /// The bytes of a row that has nothing.
    pub(crate) width: usize,
    /// Which member of an entity tells its version.
    version: Option<usize>,
}

impl Nested {
    pub(crate) fn new(field: &columns::Field, kind: Kind) -> Nested {
        let buffer = Buffer::new(&field.ty);
        let version = match (&buffer.values, kind) {
            (Values::List(items), Kind::Entity) => match &items.element.values {
                Values::Struct(members) => members.named(SCHEMA_VERSION),
                _ => None,
            },
            _ => None,
        };
        let width = arrow::null_bytes(&field.ty);
        Nested { field: Arc::new(arrow::field(field)), buffer, width, version }
    }

    /// Reads data into a row, of which it may have some already. What does not fit leaves nothing.
    pub(crate) fn read(
        &mut self,
        row: usize,
        uri: &str,
        json: &mut Json<'_>,
    ) -> Result<Read, Misfit> {
        let begun = self.buffer.len() > row;
        self.buffer.pad(row);
        if let Values::List(items) = &mut self.buffer.values {
            let start = items.end();
            let read = element(items, self.version, uri, json);
            match (&read, begun) {
                (Err(_), _) => items.element.truncate(start),
                (Ok(_), true) => items.extend(start + 1),
                (Ok(_), false) => items.close(start + 1),
            }
            if read.is_ok() && !begun {
                self.buffer.added();
            }
            return read;
        }
        if begun {
            return Err(Misfit { expected: "one event", path: Vec::new() });
        }
        let read = fill::value(&mut self.buffer, true, json);
        if read.is_err() {
            self.buffer.truncate(row);
        }
        read
    }
}

fn element(
    items: &mut Items,
    version: Option<usize>,
    uri: &str,
    json: &mut Json<'_>,
) -> Result<Read, Misfit> {
    let start = items.end();
    let Values::Struct(members) = &mut items.element.values else {
        items.element.pad(start);
        let read = fill::value(&mut items.element, true, json)?;
        items.element.pad(start + 1);
        return Ok(read);
    };
    let read = fill::object(members, start, json)?;
    if let Some(version) = version {
        let buffer = &mut members.all[version].buffer;
        if let Values::Text(texts) = &mut buffer.values {
            let version = uri.rsplit('/').next().unwrap_or_default();
            // Rows before this one have theirs, as every element is an entity.
            texts.push_with(|out| out.extend_from_slice(version.as_bytes()));
            buffer.added();
        }
    }
    items.element.added();
    Ok(read)
}
