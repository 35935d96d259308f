//! The columns that loaders make of properties, as far as their types go.
//!
//! One column per property and model: what a loader cannot do is change a column's type under rows
//! that are there. More room and more columns are no trouble.

use crate::document::Value;
use crate::schema::table::Types;

/// What a change means for the column of a property; the larger, the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// Nothing.
    Kept,
    /// There is one more.
    Added,
    /// It has to hold longer texts than before.
    Widened,
    /// It would need another type.
    Breaks,
}

impl Column {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Column::Kept => "kept",
            Column::Added => "added",
            Column::Widened => "widened",
            Column::Breaks => "breaks",
        }
    }

    /// What becomes of a column whose property has changed.
    pub(super) fn between(old: &Value<'_>, new: &Value<'_>) -> Column {
        if kind(old) != kind(new) {
            return Column::Breaks;
        }
        let room = |schema: &Value<'_>| match schema.get("maxLength") {
            Some(Value::Number(literal)) => literal.parse().unwrap_or(u64::MAX),
            _ => u64::MAX,
        };
        if kind(new) == "text" && room(new) > room(old) { Column::Widened } else { Column::Kept }
    }
}

/// The type of the column that a property becomes.
fn kind(schema: &Value<'_>) -> String {
    let types = Types::allowed_by(schema);
    let types = if types == Types::ALL { listed(schema) } else { types };
    // Whether it may be empty is not part of a type.
    let types = Types(types.0 & !Types::NULL.0);
    let format = schema.get("format").and_then(Value::as_str);
    match types {
        Types::BOOLEAN => "boolean".to_owned(),
        Types::INTEGER => "integer".to_owned(),
        Types::FRACTION => "double".to_owned(),
        Types::OBJECT if schema.get("properties").is_some() => "record".to_owned(),
        Types::ARRAY => match schema.get("items") {
            Some(items @ Value::Object(_)) => format!("list of {}", kind(items)),
            _ => "json".to_owned(),
        },
        Types::STRING => match format {
            Some("date-time") => "timestamp".to_owned(),
            Some("date") => "date".to_owned(),
            _ => "text".to_owned(),
        },
        types if types == Types::named("number") => "double".to_owned(),
        _ => "json".to_owned(),
    }
}

/// The types of the values that a schema lists; all if it lists none.
fn listed(schema: &Value<'_>) -> Types {
    match schema.get("enum") {
        Some(Value::Array(values)) => values.iter().map(Types::of).fold(Types(0), Types::with),
        _ => Types::ALL,
    }
}
