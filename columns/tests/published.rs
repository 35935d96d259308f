//! The cases that schema-ddl publishes, as data, and rules that hold for all schemas.

use columns::{Element, Field, Type, field, fits, merge};
use serde_json::Value;

/// The type, with what is nullable and which keys are read.
fn told(ty: &Type, nullable: bool) -> String {
    let mark = if nullable { "?" } else { "" };
    match ty {
        Type::List(element) => format!("list<{}>{mark}", told(&element.ty, element.nullable)),
        Type::Struct(fields) => {
            let fields = fields.iter().map(|field| {
                let keys = if field.keys == [field.name.clone()] {
                    String::new()
                } else {
                    format!("={}", field.keys.join("|"))
                };
                format!("{}{keys}:{}", field.name, told(&field.ty, field.nullable))
            });
            format!("struct<{}>{mark}", fields.collect::<Vec<_>>().join(","))
        }
        ty => format!("{ty}{mark}"),
    }
}

/// Reads what [`told`] writes.
fn read(text: &mut &str) -> (Type, bool) {
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let word = text[..end].to_owned();
    *text = &text[end..];
    let ty = match word.as_str() {
        "list" => {
            expect(text, "<");
            let (ty, nullable) = read(text);
            expect(text, ">");
            Type::List(Box::new(Element { ty, nullable }))
        }
        "struct" => {
            let mut fields = Vec::new();
            expect(text, "<");
            while !text.starts_with('>') {
                let (name, rest) = text.split_once(':').expect("a field");
                let (name, keys) = name.split_once('=').unwrap_or((name, name));
                let keys = keys.split('|').map(str::to_owned).collect();
                *text = rest;
                let (ty, nullable) = read(text);
                fields.push(Field { name: name.to_owned(), ty, nullable, keys, description: None });
                *text = text.strip_prefix(',').unwrap_or(text);
            }
            expect(text, ">");
            Type::Struct(fields)
        }
        "decimal" => {
            expect(text, "(");
            let (digits, rest) = text.split_once(')').expect("digits");
            let (precision, scale) = digits.split_once(',').expect("a scale");
            *text = rest;
            let digits = |digits: &str| digits.parse().expect("a number");
            Type::Decimal { precision: digits(precision), scale: digits(scale) }
        }
        "string" => Type::String,
        "boolean" => Type::Boolean,
        "int" => Type::Int,
        "long" => Type::Long,
        "double" => Type::Double,
        "date" => Type::Date,
        "timestamp" => Type::Timestamp,
        "json" => Type::Json,
        other => panic!("{other:?} is no type"),
    };
    let nullable = text.starts_with('?');
    *text = text.strip_prefix('?').unwrap_or(text);
    (ty, nullable)
}

fn expect(text: &mut &str, sign: &str) {
    *text = text.strip_prefix(sign).unwrap_or_else(|| panic!("{sign} before {text}"));
}

#[derive(serde::Deserialize)]
struct Typed {
    case: String,
    schema: Box<serde_json::value::RawValue>,
    #[serde(rename = "type")]
    ty: Option<String>,
}

#[test]
fn schemas_have_the_published_types() {
    let cases: Vec<Typed> =
        serde_json::from_str(include_str!("published/types.json")).expect("cases");
    for Typed { case, schema, ty } in cases {
        let found = field("x", schema.get()).map(|field| told(&field.ty, field.nullable));
        assert_eq!(found, ty, "{case}");
    }
}

#[test]
fn keys_have_the_published_names() {
    let cases: Vec<(String, String)> =
        serde_json::from_str(include_str!("published/names.json")).expect("cases");
    for (key, name) in cases {
        let schema = serde_json::json!({"type": "object", "properties": {&key: {}}}).to_string();
        let Some(Type::Struct(fields)) = field("x", &schema).map(|field| field.ty) else {
            panic!("{key} makes no struct")
        };
        assert_eq!(
            (fields[0].name.as_str(), fields[0].keys.as_slice()),
            (name.as_str(), &[key][..])
        );
    }
}

#[derive(serde::Deserialize)]
struct Merge {
    case: String,
    old: Value,
    new: Value,
    #[serde(rename = "type")]
    ty: Option<String>,
    breaks: Option<String>,
}

#[test]
fn versions_merge_as_published() {
    const LEAN: &str = r#"{"type": "object", "properties": {"stringKey": {"type": "string"},
        "objectKey": {"type": "object", "properties": {"nestedKey1": {"type": "string"},
        "nestedKey2": {"type": ["integer", "null"]}, "nestedKey3": {"type": "boolean"}}}}}"#;
    let column = |schema: &Value| match schema {
        Value::String(_) => field("x", LEAN).expect("a column"),
        schema => field("x", &schema.to_string()).expect("a column"),
    };
    let cases: Vec<Merge> =
        serde_json::from_str(include_str!("published/merges.json")).expect("cases");
    for Merge { case, old, new, ty, breaks } in cases {
        let found = merge(&column(&old), &column(&new));
        let found = found.map(|field| told(&field.ty, field.nullable));
        let found = found.map_err(|why| why.to_string());
        assert_eq!(found, ty.ok_or_else(|| breaks.unwrap_or_default()), "{case}");
    }
}

#[derive(serde::Deserialize)]
struct Fits {
    case: String,
    #[serde(rename = "type")]
    ty: String,
    value: Value,
    fits: bool,
    ours: Option<bool>,
    because: Option<String>,
}

#[test]
fn values_fit_as_published() {
    let cases: Vec<Fits> =
        serde_json::from_str(include_str!("published/fits.json")).expect("cases");
    for Fits { case, ty, value, fits: published, ours, because } in cases {
        assert_eq!(ours.is_some(), because.is_some(), "{case}: a difference has a reason");
        assert_ne!(ours, Some(published), "{case}: a difference is one");
        let (parsed, nullable) = read(&mut ty.as_str());
        assert_eq!(told(&parsed, nullable), ty);
        let found = fits(&value, &parsed);
        assert_eq!(found.is_ok(), ours.unwrap_or(published), "{case}: {value} as {ty}: {found:?}");
    }
}
