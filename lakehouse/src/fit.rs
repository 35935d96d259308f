//! Batches in the shape that a table's columns have.
//!
//! Columns and members go by their names. What a batch lacks is null, what only the field's number
//! tells apart is the same; nothing is converted.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, ListArray, StructArray, new_null_array};
use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};

use warehouse::{Batch, Column};

use crate::error::{Error, Result};

/// Whether fields, by their names, are all among others, with all that is in them.
pub(crate) fn has_all(fields: &Fields, asked: &Fields) -> bool {
    let found = |name: &str| fields.iter().find(|field| field.name() == name);
    asked.iter().all(|asked| found(asked.name()).is_some_and(|field| has(field, asked)))
}

fn has(field: &Field, asked: &Field) -> bool {
    match (field.data_type(), asked.data_type()) {
        (DataType::Struct(fields), DataType::Struct(asked)) => has_all(fields, asked),
        (DataType::List(field), DataType::List(asked)) => has(field, asked),
        // Types are compared where rows are fitted.
        _ => true,
    }
}

/// A batch with its columns as a table has them.
pub(crate) fn batch(batch: &Batch, table: &Schema) -> Result<Batch> {
    let mut columns = Vec::with_capacity(batch.columns().len());
    for Column { field: asked, values, at } in batch.columns() {
        let found = table.fields().find(asked.name()).map(|(_, field)| field);
        let field = found.filter(|field| has(field, asked));
        let missing = || format!("the table has no column {:?}, or not all of it", asked.name());
        let field = field.ok_or_else(|| Error::Unusable(missing()))?;
        if !field.is_nullable() && (at.is_some() || values.null_count() > 0) {
            let name = asked.name();
            let why =
                format!("the table has a value of {name:?} in each row, and a batch does not");
            return Err(Error::Unusable(why));
        }
        let (values, at) = (fit(values, field)?, at.clone());
        columns.push(Column { field: Arc::clone(field), values, at });
    }
    Ok(Batch::new(batch.rows(), columns))
}

fn fit(array: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    let (found, wanted) = (array.data_type(), field.data_type());
    if found == wanted {
        return Ok(Arc::clone(array));
    }
    match (found, wanted) {
        (DataType::Struct(_), DataType::Struct(fields)) => members(array.as_struct(), fields),
        (DataType::List(_), DataType::List(element)) => {
            let list = array.as_list::<i32>();
            let values = fit(list.values(), element)?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            let list = ListArray::try_new(Arc::clone(element), offsets, values, nulls);
            list.map(|list| Arc::new(list) as ArrayRef).map_err(|_| unfit(field, found))
        }
        (
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)),
            DataType::Timestamp(TimeUnit::Microsecond, zone),
        ) => {
            // However the zone is called, the number is that of an instant.
            let instants = array.as_primitive::<TimestampMicrosecondType>().clone();
            Ok(Arc::new(instants.with_timezone_opt(zone.clone())))
        }
        _ => Err(unfit(field, found)),
    }
}

fn members(array: &StructArray, fields: &Fields) -> Result<ArrayRef> {
    let member = |field: &Arc<Field>| match array.column_by_name(field.name()) {
        Some(column) => fit(column, field),
        None => Ok(new_null_array(field.data_type(), array.len())),
    };
    let columns = fields.iter().map(member).collect::<Result<Vec<_>>>()?;
    let nulls = array.nulls().cloned();
    StructArray::try_new(fields.clone(), columns, nulls)
        .map(|fitted| Arc::new(fitted) as ArrayRef)
        .map_err(|error| Error::Unusable(format!("rows that do not fit the table: {error}")))
}

fn unfit(field: &Field, found: &DataType) -> Error {
    let (name, wanted) = (field.name(), field.data_type());
    Error::Unusable(format!("the column {name:?} is {wanted} in the table, and {found} in a batch"))
}
