//! The column of an event or an entity.

use std::sync::Arc;

use arrow_schema::FieldRef;
use columns::{Kind, SCHEMA_VERSION};

use crate::arrow;
use crate::batch::Column;
use crate::buffer::{Buffer, Items, Values};
use crate::fill::{self, Misfit, Read};
use crate::json::Json;

/// A column that grows.
pub(crate) struct Nested {
    pub(crate) field: FieldRef,
    /// Of the rows that have something.
    buffer: Buffer,
    /// Which these are.
    rows: Vec<u32>,
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
        Nested { field: Arc::new(arrow::field(field)), buffer, rows: Vec::new(), version }
    }

    /// Whether no row has something.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The bytes of memory it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.buffer.bytes() + self.rows.len() * size_of::<u32>()
    }

    /// Cuts it back to so many rows.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.rows.truncate(self.rows.partition_point(|row| (*row as usize) < rows));
        self.buffer.truncate(self.rows.len());
    }

    /// What it has of so many rows, and it is empty again.
    pub(crate) fn finish(&mut self, rows: usize) -> Column {
        let at = std::mem::take(&mut self.rows);
        let values = self.buffer.finish(at.len());
        let at = (at.len() < rows).then(|| at.into());
        Column { field: Arc::clone(&self.field), values, at }
    }

    /// Reads data into a row, of which it may have some already. What does not fit leaves nothing.
    pub(crate) fn read(
        &mut self,
        row: usize,
        uri: &str,
        json: &mut Json<'_>,
    ) -> Result<Read, Misfit> {
        let row = u32::try_from(row).expect("rows are taken out long before they are so many");
        let begun = self.rows.last() == Some(&row);
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
                self.rows.push(row);
            }
            return read;
        }
        if begun {
            return Err(Misfit { expected: "one event", path: Vec::new() });
        }
        let read = fill::value(&mut self.buffer, true, json);
        match read {
            // Null leaves nothing.
            Ok(_) if self.buffer.len() == self.rows.len() => {}
            Ok(_) => self.rows.push(row),
            Err(_) => self.buffer.truncate(self.rows.len()),
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
