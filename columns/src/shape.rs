//! The type of the column that a schema makes: the table of rules.
//!
//! | the schema, made [`normal`] | the type |
//! |---|---|
//! | an object with a property that has a type | [`Type::Struct`], members sorted by name |
//! | an object without, that may have any member | [`Type::Json`] |
//! | an object without, that may not | none at all |
//! | an array whose `items` is a schema | [`Type::List`] of that |
//! | an array without | [`Type::List`] of [`Type::Json`] |
//! | a string of format `date` | [`Type::Date`] |
//! | a string of format `date-time` | [`Type::Timestamp`] |
//! | a boolean | [`Type::Boolean`] |
//! | a string | [`Type::String`] |
//! | an integer, or a number with a whole `multipleOf`: bounds within 32 bits | [`Type::Int`] |
//! | … within 64 bits, or not both bounds are known | [`Type::Long`] |
//! | … of at most 38 digits | [`Type::Decimal`] without a scale |
//! | a number with a fractional `multipleOf` and bounds, of at most 38 digits | [`Type::Decimal`] |
//! | any other number | [`Type::Double`] |
//! | an `enum` of numbers | the smallest of these that holds them |
//! | an `enum` of strings | [`Type::String`] |
//! | anything else: several types, no type | [`Type::Json`] |
//!
//! The first that is true counts. `null` beside a type changes the type as little as `enum` beside
//! one does.

use std::collections::BTreeMap;

use crate::field::{Element, Field, Type};
use crate::names;
use crate::normal::normal;
use crate::number::{MAX_DIGITS, Number};
use crate::schema::{Extra, Items, Literal, Schema, Types};

/// What a schema makes of a column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shape {
    pub(crate) ty: Type,
    /// Whether the schema allows `null` itself.
    pub(crate) nullable: bool,
    pub(crate) description: Option<String>,
}

/// The field of that name that one schema makes, given its text; none if it is an object that
/// cannot have members. It is nullable as far as the schema itself allows `null`.
pub fn field(name: &str, schema: &str) -> Option<Field> {
    let Shape { ty, nullable, description } = shape(&Schema::read(schema))?;
    Some(Field { name: name.to_owned(), ty, nullable, keys: vec![name.to_owned()], description })
}

/// The column of a schema; none if it is an object that cannot have members.
pub(crate) fn shape(schema: &Schema) -> Option<Shape> {
    of_normal(&normal(schema))
}

fn of_normal(schema: &Schema) -> Option<Shape> {
    let (ty, nullable) = match schema.types {
        Some(types) if types.is(Types::OBJECT) => (object(schema)?, types.nullable()),
        Some(types) if types.is(Types::ARRAY) => (array(schema)?, types.nullable()),
        _ => scalar(schema),
    };
    Some(Shape { ty, nullable, description: schema.description.clone() })
}

fn object(schema: &Schema) -> Option<Type> {
    let required = |key: &String| schema.required.as_ref().is_some_and(|all| all.contains(key));
    let mut fields: BTreeMap<String, Field> = BTreeMap::new();
    // In the order of keys, so of several with one name the first says what the field is.
    for (key, part) in schema.properties.iter().flatten() {
        let Some(shape) = of_normal(part) else { continue };
        let name = names::snake(key);
        if let Some(field) = fields.get_mut(&name) {
            field.keys.push(key.clone());
            continue;
        }
        let nullable = shape.nullable || !required(key);
        let keys = vec![key.clone()];
        let Shape { ty, description, .. } = shape;
        fields.insert(name.clone(), Field { name, ty, nullable, keys, description });
    }
    match schema.additional_properties {
        _ if !fields.is_empty() => Some(Type::Struct(fields.into_values().collect())),
        Some(Extra::Allowed(false)) => None,
        _ => Some(Type::Json),
    }
}

fn array(schema: &Schema) -> Option<Type> {
    let element = match &schema.items {
        Some(Items::Each(each)) => {
            let Shape { ty, nullable, .. } = of_normal(each)?;
            Element { ty, nullable }
        }
        _ => Element { ty: Type::Json, nullable: true },
    };
    Some(Type::List(Box::new(element)))
}

/// The type of what is neither object nor array, and whether it may be null.
fn scalar(schema: &Schema) -> (Type, bool) {
    let Some(types) = schema.types else {
        return schema.literals.as_deref().map_or((Type::Json, true), listed);
    };
    let numeric = Types::NUMBER.or(Types::INTEGER);
    let ty = if types.is(Types::STRING) {
        match schema.format.as_deref() {
            Some("date") => Type::Date,
            Some("date-time") => Type::Timestamp,
            _ => Type::String,
        }
    } else if types.is(Types::BOOLEAN) {
        Type::Boolean
    } else if types.is(Types::INTEGER) {
        whole(schema)
    } else if types.is(Types::NUMBER) || types.is(numeric) {
        match &schema.multiple_of {
            Some(multiple) if multiple.is_whole() => whole(schema),
            Some(multiple) => fraction(multiple, schema),
            None => Type::Double,
        }
    } else if let Some(literals) = &schema.literals {
        return listed(literals);
    } else {
        Type::Json
    };
    (ty, types.nullable())
}

fn whole(schema: &Schema) -> Type {
    let (Some(minimum), Some(maximum)) = (&schema.minimum, &schema.maximum) else {
        return Type::Long;
    };
    let within = |low: i64, high: i64| *minimum >= low.into() && *maximum <= high.into();
    if within(i32::MIN.into(), i32::MAX.into()) {
        Type::Int
    } else if within(i64::MIN, i64::MAX) {
        Type::Long
    } else {
        decimal(minimum.whole_digits().max(maximum.whole_digits()), 0)
    }
}

fn fraction(multiple: &Number, schema: &Schema) -> Type {
    let (Some(minimum), Some(maximum)) = (&schema.minimum, &schema.maximum) else {
        return Type::Double;
    };
    decimal(minimum.whole_digits().max(maximum.whole_digits()), multiple.scale())
}

/// A decimal with so many digits before the point and behind it: 9, 18 or 38 in all, which are
/// what fits the integers of 32, 64 and 128 bits.
fn decimal(whole_digits: i64, scale: i64) -> Type {
    let digits = whole_digits.saturating_add(scale).max(scale);
    let precision = match digits {
        ..=9 => 9,
        10..=18 => 18,
        19..=MAX_DIGITS => 38,
        _ => return Type::Double,
    };
    Type::Decimal { precision, scale: u8::try_from(scale).expect("it is at most 38") }
}

/// The type of an `enum`, and whether one of its values is `null`.
fn listed(literals: &[Literal]) -> (Type, bool) {
    let nullable = literals.contains(&Literal::Null);
    let mut values = literals.iter().filter(|literal| **literal != Literal::Null);
    let numbers: Option<Vec<&Number>> = values
        .clone()
        .map(|literal| match literal {
            Literal::Number(number) => Some(number),
            _ => None,
        })
        .collect();
    let ty = match numbers {
        Some(numbers) => of_numbers(&numbers),
        None if values.all(|literal| matches!(literal, Literal::String(_))) => Type::String,
        None => Type::Json,
    };
    (ty, nullable)
}

fn of_numbers(numbers: &[&Number]) -> Type {
    let scale = numbers.iter().map(|number| number.scale()).max().unwrap_or(0);
    let largest = numbers.iter().map(|number| number.abs()).max().unwrap_or_else(|| 0.into());
    if scale == 0 && largest <= i64::from(i32::MAX).into() {
        Type::Int
    } else if scale == 0 && largest <= i64::MAX.into() {
        Type::Long
    } else {
        decimal(largest.whole_digits(), scale)
    }
}
