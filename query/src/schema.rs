//! One schema for files that were written over time: columns and members of structs appear, and
//! what a file does not have is null in it.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};

/// What tables are called, and the folders that they lie in.
pub(crate) const TABLES: [&str; 3] = ["events", "failed", "bad"];

/// Two files say different things of a column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{column} is {first} in one file and {second} in another")]
pub(crate) struct Differs {
    /// The column, and the members that lead to what differs.
    pub(crate) column: String,
    /// What it was so far.
    pub(crate) first: DataType,
    /// What it is in the file that differs.
    pub(crate) second: DataType,
}

/// The schema without anything but names and types; everything may be null, since a file may not
/// have it. Keys of dictionaries are how a file is written, not what is in it.
pub(crate) fn plain(schema: &Schema) -> Schema {
    Schema::new(plain_fields(schema.fields()))
}

fn plain_fields(fields: &Fields) -> Fields {
    fields.iter().map(|field| plain_field(field)).collect()
}

fn plain_field(field: &Field) -> FieldRef {
    Arc::new(Field::new(field.name(), plain_type(field.data_type()), true))
}

fn plain_type(ty: &DataType) -> DataType {
    match ty {
        DataType::Struct(fields) => DataType::Struct(plain_fields(fields)),
        DataType::List(element) | DataType::LargeList(element) => {
            DataType::List(plain_field(&element.as_ref().clone().with_name("element")))
        }
        DataType::Dictionary(_, value) => plain_type(value),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        // Iceberg spells the zone as an offset, files of Parquet by its name.
        DataType::Timestamp(unit, Some(zone)) if ["+00:00", "Z", "Etc/UTC"].contains(&&**zone) => {
            DataType::Timestamp(*unit, Some("UTC".into()))
        }
        other => other.clone(),
    }
}

/// All columns of both, the first's first; the types of those that both have are united.
pub(crate) fn unite(first: &Schema, second: &Schema) -> Result<Schema, Differs> {
    Ok(Schema::new(unite_fields("", first.fields(), second.fields())?))
}

fn unite_fields(above: &str, first: &Fields, second: &Fields) -> Result<Fields, Differs> {
    let mut all: Vec<FieldRef> = first.iter().cloned().collect();
    for field in second {
        match all.iter_mut().find(|known| known.name() == field.name()) {
            None => all.push(Arc::clone(field)),
            Some(known) if known.data_type() == field.data_type() => {}
            Some(known) => {
                let name = match above {
                    "" => field.name().clone(),
                    above => format!("{above}.{}", field.name()),
                };
                let ty = unite_types(&name, known.data_type(), field.data_type())?;
                *known = Arc::new(Field::new(known.name(), ty, true));
            }
        }
    }
    Ok(all.into())
}

/// The type that holds what both hold, without losing anything.
fn unite_types(name: &str, first: &DataType, second: &DataType) -> Result<DataType, Differs> {
    use DataType as T;
    Ok(match (first, second) {
        (same, other) if same == other => same.clone(),
        (T::Null, known) | (known, T::Null) => known.clone(),
        (T::Struct(a), T::Struct(b)) => T::Struct(unite_fields(name, a, b)?),
        (T::List(a), T::List(b)) => {
            let ty = unite_types(&format!("{name}[]"), a.data_type(), b.data_type())?;
            T::List(Arc::new(Field::new(a.name(), ty, true)))
        }
        (a, b) if rank(a).is_some() && rank(b).is_some() => match rank(a) > rank(b) {
            true => a.clone(),
            false => b.clone(),
        },
        (T::Float32, T::Float64) | (T::Float64, T::Float32) => T::Float64,
        (T::Decimal128(p, s), T::Decimal128(q, r)) if s == r => T::Decimal128(*p.max(q), *s),
        (T::Timestamp(a, zone), T::Timestamp(b, other)) if zone == other => {
            T::Timestamp(finer(*a, *b), zone.clone())
        }
        (a, b) => {
            let (column, first, second) = (name.to_owned(), a.clone(), b.clone());
            return Err(Differs { column, first, second });
        }
    })
}

/// Whole numbers by what they hold.
fn rank(ty: &DataType) -> Option<u8> {
    match ty {
        DataType::Int8 => Some(0),
        DataType::Int16 => Some(1),
        DataType::Int32 => Some(2),
        DataType::Int64 => Some(3),
        _ => None,
    }
}

fn finer(a: TimeUnit, b: TimeUnit) -> TimeUnit {
    a.max(b)
}

/// How a column's type is written for people: as SQL has it, structs with their members.
pub(crate) fn spelled(ty: &DataType) -> String {
    match ty {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            "unsigned".to_owned()
        }
        DataType::Float16 | DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => format!("decimal({p}, {s})"),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time".to_owned(),
        DataType::Interval(_) | DataType::Duration(_) => "interval".to_owned(),
        DataType::Struct(fields) => {
            let members = fields.iter();
            let members =
                members.map(|field| format!("{} {}", field.name(), spelled(field.data_type())));
            format!("struct({})", members.collect::<Vec<_>>().join(", "))
        }
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::FixedSizeList(element, _) => format!("{}[]", spelled(element.data_type())),
        DataType::Dictionary(_, value) => spelled(value),
        other => other.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: &[(&str, DataType)]) -> Schema {
        Schema::new(
            fields.iter().map(|(name, ty)| Field::new(*name, ty.clone(), true)).collect::<Vec<_>>(),
        )
    }

    fn list(ty: DataType) -> DataType {
        DataType::List(Arc::new(Field::new("element", ty, true)))
    }

    fn of(fields: &[(&str, DataType)]) -> DataType {
        DataType::Struct(schema(fields).fields().clone())
    }

    #[test]
    fn columns_and_members_that_appear_are_appended() {
        use DataType::{Int32, Int64, Utf8};
        let old =
            schema(&[("a", Utf8), ("s", of(&[("x", Int32)])), ("l", list(of(&[("y", Utf8)])))]);
        let new = schema(&[
            ("l", list(of(&[("z", Utf8), ("y", Utf8)]))),
            ("b", Utf8),
            ("s", of(&[("x", Int64), ("w", Utf8)])),
        ]);
        let expected = schema(&[
            ("a", Utf8),
            ("s", of(&[("x", Int64), ("w", Utf8)])),
            ("l", list(of(&[("y", Utf8), ("z", Utf8)]))),
            ("b", Utf8),
        ]);
        assert_eq!(unite(&old, &new), Ok(expected));
    }

    #[test]
    fn one_zone_has_one_name() {
        let at = |zone: &str| {
            let ty = DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into()));
            plain(&schema(&[("t", ty)]))
        };
        assert_eq!(unite(&at("+00:00"), &at("UTC")), Ok(at("UTC")));
        assert!(unite(&at("+01:00"), &at("UTC")).is_err());
    }

    #[test]
    fn what_cannot_be_united_names_the_member() {
        let old = schema(&[("s", of(&[("x", list(DataType::Utf8))]))]);
        let new = schema(&[("s", of(&[("x", list(DataType::Int32))]))]);
        let error = unite(&old, &new).expect_err("text is no number");
        assert_eq!(error.column, "s.x[]");
    }

    #[test]
    fn a_united_schema_has_all_of_both_and_uniting_it_again_changes_nothing() {
        use DataType::{Boolean, Float32, Float64, Int16, Int32, Int64, Utf8};
        let types = [
            Utf8,
            Boolean,
            Int16,
            Int32,
            Int64,
            Float32,
            Float64,
            list(Utf8),
            list(Int32),
            of(&[("a", Int32)]),
            of(&[("a", Int64), ("b", Utf8)]),
            list(of(&[("c", Utf8)])),
        ];
        for a in &types {
            for b in &types {
                let (first, second) = (schema(&[("c", a.clone())]), schema(&[("c", b.clone())]));
                let Ok(both) = unite(&first, &second) else {
                    assert!(unite(&second, &first).is_err(), "{a} {b}");
                    continue;
                };
                assert_eq!(unite(&both, &first), Ok(both.clone()), "{a} {b}");
                assert_eq!(unite(&both, &second), Ok(both.clone()), "{a} {b}");
            }
        }
    }

    #[test]
    fn types_are_spelled_for_people() {
        let ty = list(of(&[("a", DataType::Int64), ("b", list(DataType::Utf8))]));
        assert_eq!(spelled(&ty), "struct(a bigint, b text[])[]");
    }
}
