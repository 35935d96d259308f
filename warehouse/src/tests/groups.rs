//! Batches and row groups whose rows have different columns.

use super::*;

#[test]
fn row_groups_with_different_columns_make_one_file() {
    let shapes = shapes(&Type::Struct(vec![named("a", Type::Long)]));
    let batch = |text: Option<&str>| {
        let text = text.map(self_describing);
        let fields: Vec<_> =
            text.iter().map(|text| (Field::UnstructEvent, text.as_str())).collect();
        let mut rows = Rows::new(shapes.clone());
        rows.extend([line(&fields).as_str()], 0).expect("all is known");
        rows.finish()
    };
    let properties = file::properties(1);
    let mut file = file::File::default();
    for batches in [[None, Some("{\"a\":1}")], [None, None], [Some("{\"a\":2}"), None]] {
        let mut group = Group::default();
        batches.into_iter().for_each(|text| group.add(&batch(text)));
        file.add(group.encode(&properties).expect("encoded"));
    }
    let mut bytes = Vec::new();
    let metadata = file.write(&mut bytes, &properties).expect("a file");
    assert_eq!(metadata.row_groups().iter().map(|group| group.num_rows()).sum::<i64>(), 6);
    let bloom = metadata.row_group(0).column(6);
    assert_eq!(bloom.column_path().string(), "event_id");
    assert!(bloom.bloom_filter_offset().is_some());
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes));
    let batches = reader.expect("a file").build().expect("a reader");
    let values: Vec<Value> = batches
        .map(|batch| batch.expect("a batch"))
        .flat_map(|batch| (0..batch.num_rows()).map(move |row| column(&batch, EVENT, row)))
        .collect();
    let (one, two) = (json!({"a": 1}), json!({"a": 2}));
    let null = Value::Null;
    assert_eq!(values, [null.clone(), one, null.clone(), null.clone(), two, null]);
}

proptest! {
    /// Columns of a few rows hold these alone until they are encoded.
    #[test]
    fn each_row_has_its_own_whoever_has_none(
        rows in prop::collection::vec((any::<Option<u8>>(), 0_usize..3, any::<bool>()), 1..40),
    ) {
        let shapes = shapes(&Type::Struct(vec![named("a", Type::Long), named("b", Type::String)]));
        let event = |row: usize, (data, entities, _): &(Option<u8>, usize, bool)| {
            let event = data.map(|a| match a {
                0..100 => "null".to_owned(),
                a => format!("{{\"a\":{a},\"b\":\"{row}\"}}"),
            });
            let entities: Vec<_> = (0..*entities).map(|n| format!("{{\"a\":{n}}}")).collect();
            (event, entities)
        };
        let mut growing = Rows::new(shapes);
        let (mut batches, mut expected) = (Vec::new(), Vec::new());
        for (row, told) in rows.iter().enumerate() {
            let (data, all) = event(row, told);
            let text = data.as_deref().map(self_describing);
            let list = entities(&all.iter().map(String::as_str).collect::<Vec<_>>());
            let mut fields = Vec::new();
            fields.extend(text.iter().map(|text| (Field::UnstructEvent, text.as_str())));
            if !all.is_empty() {
                fields.push((Field::Contexts, list.as_str()));
            }
            growing.extend([line(&fields).as_str()], 0).expect("all is known");
            // What does not fit leaves nothing behind.
            let misfit = self_describing("{\"a\":\"text\"}");
            growing.extend([line(&[(Field::UnstructEvent, &misfit)]).as_str()], 0).expect("known");
            let parse = |text: String| serde_json::from_str::<Value>(&text).expect("JSON");
            let version = |n: usize| json!({"a": n, SCHEMA_VERSION: "1-0-0"});
            let all: Value = match told.1 {
                0 => Value::Null,
                some => (0..some).map(version).collect(),
            };
            expected.extend([(data.map_or(Value::Null, parse), all), (Value::Null, Value::Null)]);
            if told.2 {
                batches.push(growing.finish());
            }
        }
        batches.push(growing.finish());
        let found = read(&batches);
        prop_assert_eq!(found.num_rows(), expected.len());
        for (row, (event, entities)) in expected.into_iter().enumerate() {
            prop_assert_eq!(column(&found, EVENT, row), event);
            prop_assert_eq!(column(&found, ENTITY, row), entities);
        }
    }
}
