//! What a MariaDB gives.

use anyhow::Result;
use enrichments::lookup::Value;
use tests::databases::{Database, Kind};

use crate::{Asked, settings, spelled, started, text};

async fn check(database: &Database, sql: &str, values: &[Value], expected: &str) {
    let asked = Asked::new(&database.asks(database.port, sql, |_| {}), &settings());
    for _ in 0..2 {
        assert_eq!(asked.text(values).await, expected, "{sql} with {values:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_has_a_peers_form() -> Result<()> {
    let Some(database) = started(Kind::MariaDb).await? else { return Ok(()) };
    let columns = [
        ("b", "BOOLEAN", "TRUE", "true"),
        ("t", "TINYINT", "5", "5"),
        ("i", "INT", "-3", "-3"),
        ("u", "BIGINT UNSIGNED", "18446744073709551615", "18446744073709551615"),
        ("f", "FLOAT", "1.5", "1.5"),
        ("d", "DOUBLE", "0.1", "0.1"),
        ("n", "DECIMAL(10,2)", "12.50", "12.50"),
        ("c", "VARCHAR(9)", "'Jörg'", "\"Jörg\""),
        ("e", "ENUM('x','y')", "'y'", "\"y\""),
        ("j", "JSON", "'{\"a\": 1}'", "\"{\\\"a\\\": 1}\""),
        ("x", "VARBINARY(9)", "X'00ff'", "\"0x00ff\""),
        ("o", "BIT(1)", "b'1'", "true"),
        ("y", "YEAR", "1980", "\"1980-01-01T00:00:00.000Z\""),
        ("da", "DATE", "'1980-06-12'", "\"1980-06-12T00:00:00.000Z\""),
        ("dt", "DATETIME(3)", "'1980-06-12 10:11:12.5'", "\"1980-06-12T10:11:12.500\""),
        ("ts", "TIMESTAMP(3) NULL", "'1980-06-12 10:11:12.5'", "\"1980-06-12 10:11:12.5\""),
        ("ti", "TIME", "'10:11:12'", "\"10:11:12\""),
    ];
    for (name, of, value, form) in columns {
        database.admin(&format!("CREATE TABLE t_{name} ({name} {of})")).await?;
        database.admin(&format!("INSERT INTO t_{name} VALUES ({value}), (NULL)")).await?;
        let expected = format!("{{\"{name}\":{form}}} {{\"{name}\":null}}");
        check(&database, &format!("SELECT {name} FROM t_{name}"), &[], &expected).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_compared_as_texts() -> Result<()> {
    let Some(database) = started(Kind::MariaDb).await? else { return Ok(()) };
    database.admin("CREATE TABLE codes (code VARCHAR(9), n BIGINT, flag BOOLEAN)").await?;
    database.admin("INSERT INTO codes VALUES ('00123', 7, TRUE), ('123', 8, FALSE)").await?;
    let by_code = "SELECT n FROM codes WHERE code = ? # ?";
    check(&database, by_code, &[spelled("00123")], r#"{"n":7}"#).await;
    check(&database, by_code, &[text("123")], r#"{"n":8}"#).await;
    check(&database, "SELECT n FROM codes WHERE flag = ?", &[spelled("True")], r#"{"n":7}"#).await;
    check(&database, "SELECT code FROM codes WHERE n = ?", &[text("8")], r#"{"code":"123"}"#).await;
    let values = [Value::Integer(2), Value::Float(0.5_f64.to_bits())];
    check(&database, "SELECT ? + ? AS v", &values, r#"{"v":2.5}"#).await;
    let why = "failed: ERROR 1146 (42S02): Table 'postgres.nope' doesn't exist";
    check(&database, "SELECT * FROM nope", &[], why).await;
    check(&database, "DELETE FROM codes", &[], "failed: the statement gives no rows").await;
    check(&database, "SELECT count(*) AS n FROM codes", &[], r#"{"n":2}"#).await;
    Ok(())
}
