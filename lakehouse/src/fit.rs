//! Record batches in the shape that a table's columns have.
//!
//! Columns and members go by their names. What a batch lacks is null, what only the field's number
//! tells apart is the same; nothing is converted.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{
    Array, ArrayRef, ListArray, RecordBatch, RecordBatchOptions, StructArray, new_null_array,
};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use crate::error::{Error, Result};

/// Those columns of a table that a batch has, as the table has them.
pub(crate) fn target(table: &Schema, batch: &Schema) -> Result<SchemaRef> {
    let column = |field: &Arc<Field>| match table.field_with_name(field.name()) {
        Ok(column) => Ok(Arc::new(column.clone())),
        Err(_) => Err(Error::Unusable(format!("the table has no column {:?}", field.name()))),
    };
    let fields = batch.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

/// A batch in the shape of a schema.
pub(crate) fn batch(batch: &RecordBatch, target: &SchemaRef) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
        Some(column) => fit(column, field),
        None => Ok(new_null_array(field.data_type(), rows)),
    };
    let columns = target.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let fitted = RecordBatch::try_new_with_options(Arc::clone(target), columns, &options);
    fitted.map_err(|error| Error::Unusable(format!("rows that do not fit the table: {error}")))
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
