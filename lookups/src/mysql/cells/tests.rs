use super::*;

fn check(column: &Column, value: Value, expected: Cell<'_>) {
    let mut count = 0;
    write(column, &value, &mut |cell| {
        assert_eq!(cell, expected, "{value:?} of {column:?}");
        count += 1;
    });
    assert_eq!(count, 1);
}

fn bytes(text: &str) -> Value {
    Value::Bytes(text.as_bytes().to_vec())
}

#[test]
fn numbers_are_numbers_and_booleans_what_stands_for_them() {
    let of = Column::new;
    let long = of(ColumnType::MYSQL_TYPE_LONGLONG);
    check(&long, Value::NULL, Cell::Null);
    check(&long, Value::Int(-5), Cell::Integer(-5));
    check(&long, Value::UInt(u64::MAX), Cell::Form("18446744073709551615"));
    let tiny = of(ColumnType::MYSQL_TYPE_TINY);
    check(&tiny.clone().with_column_length(4), Value::Int(1), Cell::Integer(1));
    check(&tiny.clone().with_column_length(1), Value::Int(1), Cell::Boolean(true));
    let unsigned = tiny.with_column_length(1).with_flags(ColumnFlags::UNSIGNED_FLAG);
    check(&unsigned, Value::Int(1), Cell::Integer(1));
    let bit = of(ColumnType::MYSQL_TYPE_BIT).with_character_set(BINARY);
    check(&bit.clone().with_column_length(1), Value::Bytes(vec![0]), Cell::Boolean(false));
    check(&bit.with_column_length(8), Value::Bytes(vec![65]), Cell::Text("0x41"));
    check(&of(ColumnType::MYSQL_TYPE_FLOAT), Value::Float(1.5), Cell::Float(1.5));
    check(&of(ColumnType::MYSQL_TYPE_DOUBLE), Value::Double(0.1), Cell::Float(0.1));
    let decimal = of(ColumnType::MYSQL_TYPE_NEWDECIMAL);
    check(&decimal, bytes("12.50"), Cell::Form("12.50"));
    check(&decimal, bytes("0.0000001"), Cell::Form("1E-7"));
}

#[test]
fn texts_are_texts_and_bytes_only_where_they_can_be_read() {
    let text = Column::new(ColumnType::MYSQL_TYPE_VAR_STRING).with_character_set(45);
    check(&text, bytes("{\"a\": 1}"), Cell::Text("{\"a\": 1}"));
    let binary = Column::new(ColumnType::MYSQL_TYPE_BLOB).with_character_set(BINARY);
    check(&binary, bytes("Jörg"), Cell::Text("Jörg"));
    check(&binary, Value::Bytes(vec![0, 255]), Cell::Text("0x00ff"));
    check(&binary, Value::Bytes(vec![0, 65]), Cell::Text("0x0041"));
    let json = Column::new(ColumnType::MYSQL_TYPE_JSON).with_character_set(BINARY);
    check(&json, bytes("[1,\n2]"), Cell::Text("[1,\n2]"));
}

#[test]
fn each_type_of_moments_has_its_form() {
    let moment = |second, micros| Value::Date(1980, 6, 12, 10, 11, second, micros);
    let timestamp = Column::new(ColumnType::MYSQL_TYPE_TIMESTAMP);
    check(&timestamp, moment(12, 500_000), Cell::Form("1980-06-12 10:11:12.5"));
    check(&timestamp, moment(0, 0), Cell::Form("1980-06-12 10:11:00.0"));
    let datetime = Column::new(ColumnType::MYSQL_TYPE_DATETIME);
    check(&datetime, moment(12, 500_000), Cell::Form("1980-06-12T10:11:12.500"));
    check(&datetime, moment(12, 1), Cell::Form("1980-06-12T10:11:12.000001"));
    check(&datetime, moment(12, 0), Cell::Form("1980-06-12T10:11:12"));
    check(&datetime, moment(0, 0), Cell::Form("1980-06-12T10:11"));
    check(&datetime, Value::Date(0, 0, 0, 0, 0, 0, 0), Cell::Null);
    let date = Column::new(ColumnType::MYSQL_TYPE_DATE);
    check(&date, Value::Date(1980, 6, 12, 0, 0, 0, 0), Cell::Text("1980-06-12T00:00:00.000Z"));
    let year = Column::new(ColumnType::MYSQL_TYPE_YEAR);
    check(&year, Value::UInt(1980), Cell::Text("1980-01-01T00:00:00.000Z"));
    let time = Column::new(ColumnType::MYSQL_TYPE_TIME);
    check(&time, Value::Time(false, 0, 10, 11, 12, 5), Cell::Form("10:11:12"));
    check(&time, Value::Time(true, 1, 2, 3, 4, 0), Cell::Form("-26:03:04"));
}
