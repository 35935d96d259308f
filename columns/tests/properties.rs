//! What holds for columns whatever the schemas are.

use columns::{
    Family, Field, Kind, MISFITS, SCHEMA_VERSION, Table, Type, Uses, field, fits, merge,
};
use event::SchemaKey;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A schema, and a value that is valid under it.
fn schema_and_value() -> impl Strategy<Value = (Value, Value)> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(|n| {
            (json!({"type": "integer", "minimum": i32::MIN, "maximum": i32::MAX}), json!(n))
        }),
        any::<i64>().prop_map(|n| (json!({"type": "integer"}), json!(n))),
        (-1e300..1e300).prop_map(|n: f64| (json!({"type": ["number", "null"]}), json!(n))),
        (-999_999_i64..=999_999).prop_map(|cents| {
            let number: Value = serde_json::from_str(&format!("{}e-2", cents)).expect("a number");
            let bounds = json!({"type": "number", "multipleOf": 0.01, "minimum": -10000,
                "maximum": 10000});
            (bounds, number)
        }),
        any::<bool>().prop_map(|b| (json!({"type": "boolean"}), json!(b))),
        ".{0,8}".prop_map(|text| (json!({"type": "string"}), json!(text))),
        (0_u32..=9999, 1_u32..=12, 1_u32..=28).prop_map(|(year, month, day)| {
            let text = format!("{year:04}-{month:02}-{day:02}");
            (json!({"type": "string", "format": "date"}), json!(text))
        }),
        (1_u32..=28, 0_u32..=23, 0_u32..=999).prop_map(|(day, hour, milli)| {
            let text = format!("2024-02-{day:02}T{hour:02}:00:59.{milli:03}-07:30");
            (json!({"type": ["string", "null"], "format": "date-time"}), json!(text))
        }),
        Just((json!({"type": "string"}), Value::Null)),
        prop_oneof![Just(json!(1)), Just(json!("a")), Just(json!([{}]))]
            .prop_map(|value| (json!({"type": ["integer", "string", "array"]}), value)),
    ];
    leaf.prop_recursive(3, 24, 5, |part| {
        let members = prop::collection::btree_map("[a-c][A-Z_-]?", part.clone(), 1..5);
        prop_oneof![
            part.prop_map(|(schema, value)| {
                (json!({"type": "array", "items": schema}), json!([value, value]))
            }),
            members.prop_map(|members| {
                let (mut schemas, mut values) = (json!({}), json!({"unknown": 1}));
                for (key, (schema, value)) in members {
                    schemas[&key] = schema;
                    values[&key] = value;
                }
                (json!({"type": "object", "properties": schemas}), values)
            }),
        ]
    })
}

fn key(version: &str) -> SchemaKey {
    SchemaKey::parse(&format!("iglu:com.acme/thing/jsonschema/{version}")).expect("an Iglu URI")
}

/// Whether a table with `old` only needs more fields to become one with `new`.
fn extends(new: &Type, old: &Type) -> bool {
    match (new, old) {
        (Type::Struct(news), Type::Struct(olds)) => {
            news.len() >= olds.len()
                && news.iter().zip(olds).all(|(new, old)| {
                    new.name == old.name
                        && (new.nullable || !old.nullable)
                        && old.keys.iter().all(|key| new.keys.contains(key))
                        && extends(&new.ty, &old.ty)
                })
        }
        (Type::List(new), Type::List(old)) => extends(&new.ty, &old.ty),
        (new, old) => new == old,
    }
}

/// Whether two keys of one object share a name, so that only one of them has a place.
fn has_shared_names(ty: &Type) -> bool {
    match ty {
        Type::Struct(fields) => {
            fields.iter().any(|field| field.keys.len() > 1 || has_shared_names(&field.ty))
        }
        Type::List(element) => has_shared_names(&element.ty),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_valid_value_of_a_simple_schema_fits_its_column((schema, value) in schema_and_value()) {
        let Some(field) = field("x", &schema.to_string()) else { return Ok(()) };
        prop_assume!(!has_shared_names(&field.ty));
        prop_assert_eq!(fits(&value, &field.ty), Ok(()));
    }

    #[test]
    fn any_text_is_a_schema_of_some_column(text in "\\PC{0,40}|[\\[\\]{}\",:a0]{0,24}") {
        if let Some(field) = field("x", &text) {
            prop_assert!(fits(&Value::Null, &field.ty).is_ok());
        }
    }

    #[test]
    fn a_version_more_only_adds(
        versions in prop::collection::vec(schema_and_value(), 1..5),
        entity in any::<bool>(),
    ) {
        let kind = if entity { Kind::Entity } else { Kind::Event };
        let texts: Vec<String> = versions.iter().map(|(schema, _)| schema.to_string()).collect();
        let schemas: Vec<(SchemaKey, &str)> = texts.iter().enumerate()
            .map(|(addition, text)| (key(&format!("1-0-{addition}")), text.as_str())).collect();
        let of = |schemas: &[(SchemaKey, &str)]| Family::of(kind, schemas).expect("a family");
        let (fewer, all) = (of(&schemas[..(schemas.len() - 1).max(1)]), of(&schemas));
        if let (Some(old), Some(new)) = (&fewer.column, &all.column) {
            prop_assert!(extends(&new.ty, &old.ty), "{:?} is no more than {:?}", new, old);
        }
        prop_assert!(all.recovered.starts_with(&fewer.recovered));
        // The order in which they are given is not what counts.
        let mut backwards = schemas.clone();
        backwards.reverse();
        let again = of(&backwards);
        prop_assert_eq!(&again.column, &all.column);
        prop_assert_eq!(&again.recovered, &all.recovered);
        let mut names: Vec<&str> = all.fields().map(|field| field.name.as_str()).collect();
        names.dedup();
        prop_assert_eq!(names.len(), all.fields().count());
    }

    #[test]
    fn merging_again_changes_nothing(
        (one, _) in schema_and_value(), (other, _) in schema_and_value(),
    ) {
        let column = |schema: &Value| field("x", &schema.to_string());
        let (Some(one), Some(other)) = (column(&one), column(&other)) else { return Ok(()) };
        prop_assert_eq!(merge(&one, &one), Ok(one.clone()));
        if let Ok(merged) = merge(&one, &other) {
            prop_assert_eq!(merge(&merged, &other).map(|field| field.ty), Ok(merged.ty.clone()));
            prop_assert_eq!(merge(&merged, &one).map(|field| field.ty), Ok(merged.ty));
        }
    }
}

#[test]
fn a_breaking_version_has_a_column_of_its_own() {
    let text = r#"{"type": "object", "properties": {"n": {"type": "string"}},
        "description": "A thing."}"#;
    let number = r#"{"type": "object", "properties": {"n": {"type": "integer"}}}"#;
    let more = r#"{"type": "object", "properties": {"n": {"type": "string"}, "m": {}}}"#;
    let schemas = [(key("1-1-0"), more), (key("1-0-1"), number), (key("1-0-0"), text)];
    let family = Family::of(Kind::Event, &schemas).expect("a family");
    let column = family.column.as_ref().expect("a column");
    assert_eq!(column.name, "unstruct_event_com_acme_thing_1");
    assert_eq!(column.ty.to_string(), "struct<n:string,m:json>");
    assert_eq!(column.description.as_deref(), Some("A thing."));
    let [recovered] = family.recovered.as_slice() else { panic!("one version breaks") };
    // Names are stored in tables: this one is never to change.
    let name = "unstruct_event_com_acme_thing_1_recovered_1_0_1_90e4e51b";
    assert_eq!(recovered.field.name, name);
    assert_eq!(recovered.why.to_string(), "/n is string and would become long");
    for (version, expected) in [("1-0-0", &column.name), ("1-0-1", &recovered.field.name)] {
        let found = family.of_version(key(version).version).map(|field| &field.name);
        assert_eq!(found, Some(expected), "{version}");
    }
}

#[test]
fn entities_are_lists_that_begin_with_their_version() {
    let told = |schema: &str| {
        let schemas = [(key("2-0-0"), schema)];
        let family = Family::of(Kind::Entity, &schemas).expect("a family");
        family.column.expect("a column").ty.to_string()
    };
    let version = format!("{SCHEMA_VERSION}:string");
    for (schema, expected) in [
        (r#"{"type": "object", "properties": {"a": {"type": "boolean"}}}"#, ",a:boolean"),
        (r#"{"type": "object", "additionalProperties": false}"#, ""),
        (r#"{"type": "object", "properties": {"_schemaVersion": {}, "b": {}}}"#, ",b:json"),
    ] {
        assert_eq!(told(schema), format!("list<struct<{version}{expected}>>"));
    }
    assert_eq!(told(r#"{"type": "object"}"#), "list<json>");
    let closed = [(key("2-0-0"), r#"{"type": "object", "additionalProperties": false}"#)];
    let event = Family::of(Kind::Event, &closed).expect("a family");
    assert_eq!(event.column, None, "an event that cannot say anything");
}

#[test]
fn a_table_has_the_columns_of_every_event_first() {
    let schema = r#"{"type": "object", "properties": {"a": {"type": "string"}}}"#;
    let both = Uses { event: true, entity: true };
    let entity = Uses { event: false, entity: true };
    let other = SchemaKey::parse("iglu:com.Acme/Thing/jsonschema/1-0-3").expect("an Iglu URI");
    let table = Table::of([
        (key("2-0-0"), schema, entity),
        (key("1-0-1"), schema, both),
        (key("1-0-0"), schema, both),
        (other, schema, entity),
    ]);
    let fields: Vec<Field> = table.fields();
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names[0], "app_id");
    assert_eq!(
        names[128..],
        [
            "load_tstamp",
            MISFITS,
            "contexts_com_acme_thing_1",
            "contexts_com_acme_thing_2",
            "unstruct_event_com_acme_thing_1",
        ]
    );
    let family = table.family("contexts_com_acme_thing_1").expect("a family");
    assert_eq!(family.versions.len(), 3, "a vendor in another case has the same column");
}
