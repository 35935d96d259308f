//! Columns as Arrow has them. Everything may be null, however a schema has it: a field that stops
//! being required could not be relaxed in a table that exists.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use columns::Type;

/// The zone of instants.
pub(crate) const UTC: &str = "UTC";

/// What the elements of lists are called.
const ELEMENT: &str = "element";

/// The Arrow schema of columns.
pub fn schema(fields: &[columns::Field]) -> SchemaRef {
    Arc::new(Schema::new(fields.iter().map(field).collect::<Vec<_>>()))
}

/// A column, or a member of one, in Arrow's words.
pub fn field(field: &columns::Field) -> Field {
    Field::new(&field.name, data_type(&field.ty), true)
}

/// A type in Arrow's words.
pub fn data_type(ty: &Type) -> DataType {
    match ty {
        Type::String | Type::Json => DataType::Utf8,
        Type::Boolean => DataType::Boolean,
        Type::Int => DataType::Int32,
        Type::Long => DataType::Int64,
        Type::Double => DataType::Float64,
        Type::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale as i8),
        Type::Date => DataType::Date32,
        Type::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        Type::Struct(members) => DataType::Struct(members.iter().map(field).collect()),
        Type::List(element) => {
            DataType::List(Arc::new(Field::new(ELEMENT, data_type(&element.ty), true)))
        }
    }
}
