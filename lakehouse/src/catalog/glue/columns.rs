//! A table's columns as Glue has them: in the types of Hive.

use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
use serde_json::{Value, json};

/// The most characters of a comment.
const COMMENT: usize = 255;

/// The most characters of a type. A column of a longer one is told as text: engines read the
/// table's own metadata.
const TYPE: usize = 131_072;

pub(super) fn of(schema: &Schema) -> Vec<Value> {
    schema.as_struct().fields().iter().map(|field| column(field)).collect()
}

fn column(field: &NestedField) -> Value {
    let ty = Some(hive(&field.field_type)).filter(|ty| ty.len() <= TYPE);
    let mut column = json!({
        "Name": field.name,
        "Type": ty.as_deref().unwrap_or("string"),
        "Parameters": {
            "iceberg.field.id": field.id.to_string(),
            "iceberg.field.optional": (!field.required).to_string(),
            "iceberg.field.current": "true",
        },
    });
    if let Some(text) = &field.doc {
        column["Comment"] = json!(text.chars().take(COMMENT).collect::<String>());
    }
    column
}

fn hive(ty: &Type) -> String {
    match ty {
        Type::Primitive(ty) => primitive(ty),
        Type::List(list) => format!("array<{}>", hive(&list.element_field.field_type)),
        Type::Map(map) => {
            let (key, value) = (&map.key_field.field_type, &map.value_field.field_type);
            format!("map<{},{}>", hive(key), hive(value))
        }
        Type::Struct(fields) => {
            let member =
                |field: &NestedField| format!("{}:{}", field.name, hive(&field.field_type));
            let members: Vec<String> = fields.fields().iter().map(|field| member(field)).collect();
            format!("struct<{}>", members.join(","))
        }
    }
}

fn primitive(ty: &PrimitiveType) -> String {
    let name = match ty {
        PrimitiveType::Boolean => "boolean",
        PrimitiveType::Int => "int",
        PrimitiveType::Long => "bigint",
        PrimitiveType::Float => "float",
        PrimitiveType::Double => "double",
        PrimitiveType::Date => "date",
        PrimitiveType::Timestamp | PrimitiveType::Timestamptz => "timestamp",
        PrimitiveType::TimestampNs | PrimitiveType::TimestamptzNs => "timestamp",
        PrimitiveType::Fixed(_) | PrimitiveType::Binary => "binary",
        PrimitiveType::Decimal { precision, scale } => {
            return format!("decimal({precision},{scale})");
        }
        _ => "string",
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use columns::{Field, Type as Ty};

    use super::*;
    use crate::schema::schema;
    use crate::testing::{field, list};

    #[test]
    fn columns_have_types_of_hive() {
        let member = |name: &str, ty: Ty| -> Field { field(name, ty) };
        let home = Ty::Struct(vec![member("city", Ty::String), member("built", Ty::Date)]);
        let fields = [
            field("n", Ty::Int),
            field("many", Ty::Long),
            field("at", Ty::Timestamp),
            field("price", Ty::Decimal { precision: 18, scale: 2 }),
            field("json", Ty::Json),
            field("homes", list(home)),
            field("ok", Ty::Boolean),
            field("x", Ty::Double),
        ];
        let told = of(&schema(&fields).expect("there"));
        let types: Vec<_> = told.iter().map(|column| column["Type"].as_str()).collect();
        let expected = [
            "int",
            "bigint",
            "timestamp",
            "decimal(18,2)",
            "string",
            "array<struct<city:string,built:date>>",
            "boolean",
            "double",
        ];
        assert_eq!(types, expected.map(Some));
        assert_eq!(told[0]["Parameters"]["iceberg.field.optional"], "true");
    }
}
