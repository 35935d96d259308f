//! The field tree: what a column, or a part of one, is called, holds and is read from.

use std::fmt;

/// One column, or one member of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in the table, in snake case.
    pub name: String,
    /// What it holds.
    pub ty: Type,
    /// Whether its schema lets it be absent or null. Tables declare every nested field optional
    /// all the same: a field that stops being required could not be relaxed later.
    pub nullable: bool,
    /// The keys of JSON that it is read from, in alphabetical order: more than one where the names
    /// of several are the same in snake case. Its value is the first that fits.
    pub keys: Vec<String>,
    /// What its schema, or the event's documentation, says of it.
    pub description: Option<String>,
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Text.
    String,
    /// True or false.
    Boolean,
    /// A whole number of 32 bits, signed.
    Int,
    /// A whole number of 64 bits, signed.
    Long,
    /// A floating-point number of 64 bits.
    Double,
    /// A decimal number.
    Decimal {
        /// How many digits it has at most: 9, 18 or 38.
        precision: u8,
        /// How many of them are behind the point.
        scale: u8,
    },
    /// A day without time or zone.
    Date,
    /// An instant, counted in microseconds, UTC.
    Timestamp,
    /// Any JSON, kept as its text: strings stand in it with their quotes.
    Json,
    /// Named members; at least one.
    Struct(Vec<Field>),
    /// Any number of values of one type.
    List(Box<Element>),
}

/// What a list holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The type of each.
    pub ty: Type,
    /// Whether one may be null.
    pub nullable: bool,
}

/// Types in words, with the names of members: `list<struct<id:long,price:decimal(9,2)>>`.
impl fmt::Display for Type {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::String => out.write_str("string"),
            Type::Boolean => out.write_str("boolean"),
            Type::Int => out.write_str("int"),
            Type::Long => out.write_str("long"),
            Type::Double => out.write_str("double"),
            Type::Decimal { precision, scale } => write!(out, "decimal({precision},{scale})"),
            Type::Date => out.write_str("date"),
            Type::Timestamp => out.write_str("timestamp"),
            Type::Json => out.write_str("json"),
            Type::List(element) => write!(out, "list<{}>", element.ty),
            Type::Struct(fields) => {
                out.write_str("struct<")?;
                for (index, field) in fields.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "," };
                    write!(out, "{separator}{}:{}", field.name, field.ty)?;
                }
                out.write_str(">")
            }
        }
    }
}
