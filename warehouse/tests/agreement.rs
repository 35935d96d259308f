//! Rows hold what `columns::fits` says that columns hold, and nothing else.

use std::sync::Arc;

use columns::{Element, Field, Type, fits};
use event::Event;
use proptest::prelude::*;
use serde_json::{Value, json};
use warehouse::{Rows, Shape, Shapes};

const URI: &str = "iglu:com.acme/thing/jsonschema/1-0-0";

fn member(ty: Type) -> Type {
    let keys = vec!["v".to_owned()];
    Type::Struct(vec![Field { name: "v".to_owned(), ty, nullable: true, keys, description: None }])
}

/// How many values of a row did not fit.
fn misfits(ty: &Type, data: &Value) -> u64 {
    let field = Field {
        name: "unstruct_event_com_acme_thing_1".to_owned(),
        ty: ty.clone(),
        nullable: true,
        keys: Vec::new(),
        description: None,
    };
    let shape = Arc::new(Shape::new(Some(field), None));
    let mut rows = Rows::new(Shapes::default().with([(URI.to_owned(), Some(shape))]));
    let uri = event::entity::UNSTRUCT_EVENT_URI;
    let json = json!({"schema": uri, "data": {"schema": URI, "data": data}}).to_string();
    let mut event = Event::new();
    event.set(event::Field::UnstructEvent, Some(&json));
    let mut line = Vec::new();
    event::tsv::write(&event, &mut line);
    let line = std::str::from_utf8(&line).expect("UTF-8");
    rows.extend([line], 0).expect("its schema is known");
    rows.misfits()
}

fn any_type() -> impl Strategy<Value = Type> {
    let decimal = |precision, scale| Type::Decimal { precision, scale };
    let leaf = prop::sample::select(vec![
        Type::String,
        Type::Boolean,
        Type::Int,
        Type::Long,
        Type::Double,
        decimal(9, 2),
        decimal(18, 0),
        decimal(38, 10),
        Type::Date,
        Type::Timestamp,
        Type::Json,
    ]);
    prop_oneof![
        4 => leaf.clone(),
        1 => leaf.prop_map(|ty| Type::List(Box::new(Element { ty, nullable: true }))),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let numbers = prop_oneof![
        any::<i64>().prop_map(|number| json!(number)),
        any::<i32>().prop_map(|number| json!(number)),
        any::<u64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        (-99_999_i64..=99_999).prop_map(|cents| json!(cents as f64 / 100.0)),
        (-9_i64..=9).prop_map(|whole| json!(whole as f64)),
        (0_u32..=30).prop_map(|power| json!(10_f64.powi(power as i32))),
    ];
    let texts = prop_oneof![
        "[a-z]{0,3}",
        "20[0-9]{2}-[01][0-9]-[0-3][0-9]",
        "20[0-9]{2}-0[1-9]-[0-2][0-9][Tt ][0-2][0-9]:[0-5][0-9](:[0-6][0-9])?(\\.[0-9]{0,10})?([Zz]|[+-][01][0-9]:[0-5][0-9])?",
    ];
    let leaf = prop_oneof![
        6 => numbers,
        4 => texts.prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(1, 4, 3, |part| prop::collection::vec(part, 0..3).prop_map(Value::from))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn rows_hold_what_fits(ty in any_type(), value in any_value()) {
        let (ty, data) = (member(ty), json!({"v": value}));
        let fitting = fits(&data, &ty);
        prop_assert_eq!(misfits(&ty, &data) == 0, fitting.is_ok(), "{} as {}: {:?}", data, ty, fitting);
    }
}
