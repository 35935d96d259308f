//! What goes in comes out, through Parquet files.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use columns::{Element, Field as Column, SCHEMA_VERSION, Type};
use event::{Event, Field};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

mod groups;

const URI: &str = "iglu:com.acme/thing/jsonschema/1-0-0";
const EVENT: &str = "unstruct_event_com_acme_thing_1";
const ENTITY: &str = "contexts_com_acme_thing_1";

fn named(name: &str, ty: Type) -> Column {
    let keys = vec![name.to_owned()];
    Column { name: name.to_owned(), ty, nullable: true, keys, description: None }
}

fn list(ty: Type) -> Type {
    Type::List(Box::new(Element { ty, nullable: true }))
}

/// Shapes of one schema, whose data is of that type.
fn shapes(ty: &Type) -> Shapes {
    let element = match ty {
        Type::Struct(members) => {
            let version = Column { keys: Vec::new(), ..named(SCHEMA_VERSION, Type::String) };
            Type::Struct([version].into_iter().chain(members.iter().cloned()).collect())
        }
        other => other.clone(),
    };
    let (event, entity) = (named(EVENT, ty.clone()), named(ENTITY, list(element)));
    let shape = Shape::new(Some(event), Some(entity));
    Shapes::default().with([(URI.to_owned(), Some(Arc::new(shape)))])
}

fn line(fields: &[(Field, &str)]) -> String {
    let mut event = Event::new();
    fields.iter().for_each(|(field, text)| event.set(*field, Some(text)));
    let mut line = Vec::new();
    event::tsv::write(&event, &mut line);
    String::from_utf8(line).expect("UTF-8")
}

fn entities(data: &[&str]) -> String {
    let entities = data.iter().map(|data| format!("{{\"schema\":\"{URI}\",\"data\":{data}}}"));
    let entities = entities.collect::<Vec<_>>().join(",");
    format!("{{\"schema\":\"{}\",\"data\":[{entities}]}}", event::entity::CONTEXTS_URI)
}

fn self_describing(data: &str) -> String {
    let event = format!("{{\"schema\":\"{URI}\",\"data\":{data}}}");
    format!("{{\"schema\":\"{}\",\"data\":{event}}}", event::entity::UNSTRUCT_EVENT_URI)
}

/// Lines through rows, a row group and a file, and back.
fn through(shapes: &Shapes, lines: &[String]) -> RecordBatch {
    let mut rows = Rows::new(shapes.clone());
    rows.extend(lines.iter().map(String::as_str), 1_714_558_272_345).expect("all is known");
    read(&[rows.finish()])
}

fn read(batches: &[Batch]) -> RecordBatch {
    let mut bytes = Vec::new();
    file::of_batches(batches, &mut bytes, &file::properties(1)).expect("a file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes));
    let reader = reader.expect("a file").with_batch_size(1 << 20).build().expect("a reader");
    let mut batches: Vec<_> = reader.map(|batch| batch.expect("a batch")).collect();
    assert_eq!(batches.len(), 1);
    batches.remove(0)
}

/// A row of a column as JSON: absent members and null are the same.
fn value(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::Int32 => json!(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => json!(array.as_primitive::<Float64Type>().value(row)),
        DataType::Date32 => json!(array.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(..) => {
            json!(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Decimal128(..) => {
            json!(array.as_primitive::<Decimal128Type>().value(row).to_string())
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).map(|item| value(&items, item)).collect()
        }
        DataType::Struct(fields) => {
            let members = fields.iter().zip(array.as_struct().columns());
            let members = members.map(|(field, array)| (field.name().clone(), value(array, row)));
            Value::Object(members.filter(|(_, value)| !value.is_null()).collect())
        }
        other => panic!("no column is {other}"),
    }
}

fn column(batch: &RecordBatch, name: &str, row: usize) -> Value {
    batch.column_by_name(name).map_or(Value::Null, |array| value(array, row))
}

fn misfits(batch: &RecordBatch, row: usize) -> Value {
    match column(batch, columns::MISFITS, row) {
        Value::String(text) => serde_json::from_str(&text).expect("JSON"),
        other => other,
    }
}

#[test]
fn columns_of_lines_have_their_types() {
    let batch = through(
        &Shapes::default(),
        &[
            line(&[
                (Field::AppId, "shop"),
                (Field::CollectorTstamp, "2024-05-01 10:11:12.345"),
                (Field::TxnId, "7"),
                (Field::BrCookies, "1"),
                (Field::GeoLatitude, "51.5"),
                (Field::TrTotal, "12.5"),
                (Field::SeValue, "0.125"),
            ]),
            line(&[(Field::BrCookies, "0")]),
        ],
    );
    for (name, expected) in [
        ("app_id", [json!("shop"), Value::Null]),
        ("collector_tstamp", [json!(1_714_558_272_345_000_i64), Value::Null]),
        ("txn_id", [json!(7), Value::Null]),
        ("br_cookies", [json!(true), json!(false)]),
        ("geo_latitude", [json!(51.5), Value::Null]),
        ("tr_total", [json!("1250"), Value::Null]),
        ("se_value", [json!(0.125), Value::Null]),
        ("load_tstamp", [json!(1_714_558_272_345_000_i64), json!(1_714_558_272_345_000_i64)]),
        ("_misfits", [Value::Null, Value::Null]),
    ] {
        assert_eq!([column(&batch, name, 0), column(&batch, name, 1)], expected, "{name}");
    }
    assert_eq!(batch.num_columns(), 130);
}

#[test]
fn entities_of_one_schema_share_a_column_whoever_attached_them() {
    let shapes = shapes(&Type::Struct(vec![named("a", Type::Long), named("b", Type::String)]));
    let (sent, derived) = (entities(&["{\"a\":1}", "{\"b\":\"\\u00e9\\\"\"}"]), entities(&["{}"]));
    let event = self_describing("{\"b\":\"x\",\"a\":-5}");
    let fields = [
        (Field::Contexts, sent.as_str()),
        (Field::UnstructEvent, event.as_str()),
        (Field::DerivedContexts, derived.as_str()),
    ];
    let batch = through(&shapes, &[line(&[]), line(&fields), line(&fields[..1])]);
    let version = "1-0-0";
    let first = json!({"_schema_version": version, "a": 1});
    let second = json!({"_schema_version": version, "b": "é\""});
    let third = json!({"_schema_version": version});
    assert_eq!(column(&batch, ENTITY, 0), Value::Null);
    assert_eq!(column(&batch, ENTITY, 1), json!([first, second, third]));
    assert_eq!(column(&batch, ENTITY, 2), json!([first, second]));
    let events = [0, 1, 2].map(|row| column(&batch, EVENT, row));
    assert_eq!(events, [Value::Null, json!({"a": -5, "b": "x"}), Value::Null]);
}

#[test]
fn what_does_not_fit_is_kept_whole_and_leaves_nothing_behind() {
    let inner = Type::Struct(vec![named("n", Type::Int)]);
    let ty = Type::Struct(vec![named("a", list(inner)), named("s", Type::String)]);
    let data = r#"{"s":"x","a":[{"n":1},{"n":"one"}]}"#;
    let sent = entities(&["{\"s\":\"before\"}", data, "{\"s\":\"behind\"}"]);
    let event = self_describing(data);
    let fields = [
        (Field::TrTotal, "12.505"),
        (Field::Contexts, sent.as_str()),
        (Field::UnstructEvent, event.as_str()),
    ];
    let good = self_describing("{\"a\":[{\"n\":2}]}");
    let batch = through(&shapes(&ty), &[line(&fields), line(&[(Field::UnstructEvent, &good)])]);
    let member = |s: &str| json!({"_schema_version": "1-0-0", "s": s});
    assert_eq!(column(&batch, ENTITY, 0), json!([member("before"), member("behind")]));
    assert_eq!(column(&batch, EVENT, 0), Value::Null);
    assert_eq!(column(&batch, EVENT, 1), json!({"a": [{"n": 2}]}));
    assert_eq!(column(&batch, "tr_total", 0), Value::Null);
    let data: Value = serde_json::from_str(data).expect("JSON");
    let misfit = |column: &str| {
        let why = "expected a whole number of 32 bits at /a/1/n";
        json!({"column": column, "schema": URI, "data": data, "why": why})
    };
    let number = json!({
        "column": "tr_total", "schema": null, "data": "12.505",
        "why": "expected a number of up to 16 digits and two behind the point",
    });
    assert_eq!(misfits(&batch, 0), json!([misfit(ENTITY), misfit(EVENT), number]));
    assert_eq!(misfits(&batch, 1), Value::Null);
}

#[test]
fn members_without_a_column_and_schemas_without_one_are_kept() {
    let shapes = shapes(&Type::Struct(vec![named("a", Type::Long)]));
    let other = "iglu:com.acme/other/jsonschema/1-0-0";
    let shapes = shapes.with([(other.to_owned(), None)]);
    let sent = entities(&["{\"a\":1,\"more\":[2]}", "{\"a\":1,\"more\":null,\"none\":{}}"]);
    let event = self_describing("{\"x\":1}").replace(URI, other);
    let fields = [(Field::Contexts, sent.as_str()), (Field::UnstructEvent, event.as_str())];
    let batch = through(&shapes, &[line(&fields)]);
    let entity = json!({"_schema_version": "1-0-0", "a": 1});
    assert_eq!(column(&batch, ENTITY, 0), json!([entity, entity]));
    assert_eq!(
        misfits(&batch, 0),
        json!([
            {"column": ENTITY, "schema": URI, "data": {"a": 1, "more": [2]},
             "why": "the column has no room for some of its members"},
            {"column": null, "schema": other, "data": {"x": 1},
             "why": "there is no column for its schema"},
        ])
    );
}

#[test]
fn of_several_keys_the_first_that_fits_counts() {
    let mut member = named("some_key", Type::Long);
    member.keys = vec!["someKey".to_owned(), "some_key".to_owned()];
    let ty = Type::Struct(vec![member]);
    let check = |data: &str, expected: Value, kept: bool| {
        let event = self_describing(data);
        let batch = through(&shapes(&ty), &[line(&[(Field::UnstructEvent, &event)])]);
        assert_eq!(column(&batch, EVENT, 0), expected, "{data}");
        assert_eq!(!misfits(&batch, 0).is_null(), kept, "{data}");
    };
    check("{\"some_key\":1}", json!({"some_key": 1}), false);
    check("{\"some_key\":1,\"someKey\":2}", json!({"some_key": 2}), true);
    check("{\"someKey\":\"x\",\"some_key\":1}", json!({"some_key": 1}), true);
    check("{\"someKey\":null,\"some_key\":1}", json!({"some_key": 1}), false);
    check("{\"someKey\":\"x\",\"some_key\":\"y\"}", Value::Null, true);
}

#[test]
fn json_in_another_form_is_read_too_and_what_is_none_is_kept() {
    let shapes = shapes(&Type::Struct(vec![named("a", Type::Long)]));
    let spaced = self_describing("{ \"a\" : 1 }").replace(',', " , ");
    let twice = self_describing("{\"a\":1,\"a\":2}");
    let lines = ["{\"schema\":", "[]", &spaced, &twice]
        .map(|text| line(&[(Field::AppId, "x"), (Field::UnstructEvent, text)]));
    let batch = through(&shapes, &lines);
    let events = [0, 1, 2, 3].map(|row| column(&batch, EVENT, row));
    assert_eq!(events, [Value::Null, Value::Null, json!({"a": 1}), json!({"a": 2})]);
    let why = "expected self-describing JSON";
    for (row, text) in [(0, "{\"schema\":"), (1, "[]")] {
        let misfit =
            json!([{"column": "unstruct_event", "schema": null, "data": text, "why": why}]);
        assert_eq!(misfits(&batch, row), misfit);
        assert_eq!(column(&batch, "app_id", row), json!("x"));
    }
    assert_eq!([misfits(&batch, 2), misfits(&batch, 3)], [Value::Null, Value::Null]);
}

#[test]
fn lines_wait_for_the_columns_of_their_schemas() {
    let event = self_describing("{\"a\":1}");
    let lines = [line(&[(Field::AppId, "x")]), line(&[(Field::UnstructEvent, &event)])];
    let mut rows = Rows::new(Shapes::default());
    let texts = || lines.iter().map(String::as_str);
    rows.extend(texts().take(1), 0).expect("it has no schema");
    assert_eq!(rows.extend(texts(), 0), Err(Need(vec![URI.to_owned()])));
    assert_eq!((rows.len(), rows.misfits()), (1, 0));
    assert_eq!(rows.finish().rows(), 1);
    rows.set_shapes(&shapes(&Type::Struct(vec![named("a", Type::Long)])));
    rows.extend(texts(), 0).expect("it is known");
    assert_eq!(column(&rows.finish().filled(), EVENT, 1), json!({"a": 1}));
}

#[test]
fn bad_rows_tell_what_one_asks_of_them_first() {
    let row = r#"{"schema":"iglu:com.snowplowanalytics/schema_violations/jsonschema/2-0-0",
        "data":{"processor":{"artifact":"snowmelt","version":"1.0"},
        "failure":{"timestamp":"2024-05-01T10:11:12.345Z","messages":[{"schemaKey":"iglu:a/b"}]},
        "payload":{"enriched":{"app_id":"shop","event_id":null},
        "raw":{"parameters":[{"name":"eid","value":"e1"}]}}}}"#
        .replace("\n        ", "");
    let row = row.as_str();
    let mut rows = BadRows::default();
    rows.extend([row, "no JSON"], 0);
    let batch = read(&[rows.finish()]);
    for (name, expected) in [
        ("failure_tstamp", json!(1_714_558_272_345_000_i64)),
        ("kind", json!("schema_violations")),
        ("reason", json!("{\"schemaKey\":\"iglu:a/b\"}")),
        ("app_id", json!("shop")),
        ("event_id", json!("e1")),
        ("processor", json!("snowmelt-1.0")),
        ("row", json!(row)),
    ] {
        assert_eq!(column(&batch, name, 0), expected, "{name}");
    }
    assert_eq!(column(&batch, "row", 1), json!("no JSON"));
    assert_eq!(column(&batch, "kind", 1), Value::Null);
}

/// A type, and a value of it: as JSON, and as it comes out.
fn typed() -> impl Strategy<Value = (Type, Vec<(Value, Value)>)> {
    any_type().prop_flat_map(|ty| {
        let members = vec![named("root", ty.clone())];
        let values = prop::collection::vec(any_value(&ty), 0..4);
        (Just(Type::Struct(members)), values)
    })
}

fn any_type() -> impl Strategy<Value = Type> {
    let leaf = prop_oneof![
        Just(Type::String),
        Just(Type::Boolean),
        Just(Type::Int),
        Just(Type::Long),
        Just(Type::Double),
        Just(Type::Decimal { precision: 18, scale: 2 }),
        Just(Type::Date),
        Just(Type::Timestamp),
        Just(Type::Json),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(list),
            prop::collection::vec(inner, 1..4).prop_map(|types| {
                let names = ["a", "b\"é", "long_name", "d"];
                let members = names.into_iter().zip(types);
                Type::Struct(members.map(|(name, ty)| named(name, ty)).collect())
            }),
        ]
    })
}

fn any_value(ty: &Type) -> BoxedStrategy<(Value, Value)> {
    let same = |value: Value| (value.clone(), value);
    let some: BoxedStrategy<(Value, Value)> = match ty {
        Type::String => ".*".prop_map(move |text| same(json!(text))).boxed(),
        Type::Boolean => any::<bool>().prop_map(move |value| same(json!(value))).boxed(),
        Type::Int => any::<i32>().prop_map(move |value| same(json!(value))).boxed(),
        Type::Long => any::<i64>().prop_map(move |value| same(json!(value))).boxed(),
        Type::Double => prop::num::f64::NORMAL.prop_map(move |it| same(json!(it))).boxed(),
        Type::Decimal { .. } => (-10_000_i64..10_000)
            .prop_map(|units| (json!(units as f64 / 100.0), json!(units.to_string())))
            .boxed(),
        Type::Date => (-100_000_i32..100_000)
            .prop_map(|day| {
                let utc = event::Utc::from_ms(i64::from(day) * 86_400_000);
                let text = format!("{:04}-{:02}-{:02}", utc.year, utc.month, utc.day);
                (json!(text), json!(day))
            })
            .boxed(),
        Type::Timestamp => (0..4_000_000_000_000_i64)
            .prop_map(|ms| {
                let mut text = Vec::new();
                event::time::write_instant(ms, &mut text);
                (json!(String::from_utf8(text).expect("ASCII")), json!(ms * 1000))
            })
            .boxed(),
        Type::Json => prop_oneof![
            Just(json!("text")),
            Just(json!({"a": [1, null, {"b": "]"}]})),
            any::<i64>().prop_map(|number| json!(number)),
        ]
        .prop_map(|value| (value.clone(), json!(value.to_string())))
        .boxed(),
        Type::List(element) => prop::collection::vec(any_value(&element.ty), 0..4)
            .prop_map(|values| {
                let (sent, read): (Vec<_>, Vec<_>) = values.into_iter().unzip();
                (json!(sent), json!(read))
            })
            .boxed(),
        Type::Struct(members) => {
            let all = members.iter().map(|member| any_value(&member.ty)).collect::<Vec<_>>();
            let names: Vec<_> = members.iter().map(|member| member.name.clone()).collect();
            (all, any::<bool>())
                .prop_map(move |(values, backwards)| {
                    let mut pairs: Vec<_> = names.iter().cloned().zip(values).collect();
                    let read = pairs.iter().filter(|(_, (_, read))| !read.is_null());
                    let read = read.map(|(name, (_, read))| (name.clone(), read.clone()));
                    let read: Map<String, Value> = read.collect();
                    if backwards {
                        pairs.reverse();
                    }
                    let sent = pairs.into_iter().map(|(name, (sent, _))| (name, sent)).collect();
                    (Value::Object(sent), Value::Object(read))
                })
                .boxed()
        }
    };
    prop_oneof![9 => some, 1 => Just((Value::Null, Value::Null))].boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_value_comes_back((ty, values) in typed()) {
        let object = |value: &Value| match value {
            Value::Null => json!({}),
            value => json!({"root": value}),
        };
        let sent: Vec<String> =
            values.iter().map(|(sent, _)| json!({"root": sent}).to_string()).collect();
        let texts: Vec<&str> = sent.iter().map(String::as_str).collect();
        let column_of_entities = entities(&texts);
        let mut lines = vec![line(&[(Field::Contexts, column_of_entities.as_str())])];
        let events: Vec<String> = sent.iter().map(|data| self_describing(data)).collect();
        lines.extend(events.iter().map(|text| line(&[(Field::UnstructEvent, text.as_str())])));
        let batch = through(&shapes(&ty), &lines);
        for row in 0..lines.len() {
            prop_assert_eq!(misfits(&batch, row), Value::Null);
        }
        for (row, (_, read)) in values.iter().enumerate() {
            prop_assert_eq!(column(&batch, EVENT, row + 1), object(read));
        }
        let expected: Vec<Value> = values
            .iter()
            .map(|(_, read)| {
                let mut entity = object(read);
                entity["_schema_version"] = json!("1-0-0");
                entity
            })
            .collect();
        if !expected.is_empty() {
            prop_assert_eq!(column(&batch, ENTITY, 0), Value::Array(expected));
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[\\{\\}\\[\\]\",:a-e0-9\\\\ntrul.é -]{0,60}") {
        let shapes = shapes(&Type::Struct(vec![named("a", list(Type::Long))]));
        let event = self_describing(&text);
        let sent = entities(&[&text, "{\"a\":[1]}"]);
        let fields = [
            (Field::Contexts, sent.as_str()),
            (Field::UnstructEvent, event.as_str()),
            (Field::DerivedContexts, text.as_str()),
        ];
        let whole = fields.map(|(field, text)| (field, text.replace('\t', " ")));
        let whole: Vec<_> = whole.iter().map(|(field, text)| (*field, text.as_str())).collect();
        let batch = through(&shapes, &[line(&whole)]);
        prop_assert_eq!(batch.num_rows(), 1);
    }
}
