//! What a PostgreSQL gives.

use anyhow::Result;
use enrichments::lookup::Value;
use lookups::database::{Settings, Statements};
use tests::databases::{Database, Kind};

use crate::{Asked, settings, spelled, started, text};

async fn check(database: &Database, sql: &str, values: &[Value], expected: &str) {
    for statements in [Statements::Prepared, Statements::Unnamed] {
        let settings = Settings { statements, ..settings() };
        let asked = Asked::new(&database.asks(database.port, sql, |_| {}), &settings);
        // The second question finds what the first has left behind.
        for _ in 0..2 {
            let found = asked.text(values).await;
            assert_eq!(found, expected, "{statements:?}: {sql} with {values:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_has_a_peers_form() -> Result<()> {
    let Some(database) = started(Kind::Postgres).await? else { return Ok(()) };
    let forms = [
        ("c_bool", "true"),
        ("c_int2", "2"),
        ("c_int4", "3"),
        ("c_int8", "9007199254740993"),
        ("c_real", "1.5"),
        ("c_double", "0.1"),
        ("c_numeric", "12.50"),
        ("c_text", "\"text\""),
        ("c_varchar", "\"vc\""),
        ("c_char", "\"ch   \""),
        ("c_date", "\"1980-06-12T00:00:00.000Z\""),
        ("c_ts", "\"1980-06-12 10:11:12.5\""),
        ("c_tstz", "\"1980-06-12 10:11:12.0\""),
        ("c_time", "\"10:11:12\""),
        ("c_uuid", "\"5bd9d4cf-6a9b-4c5b-8f0a-0d9d4a0a7b11\""),
        ("c_json", "{\"a\":[1,2.50]}"),
        ("c_jsonb", "{\"a\":1.0,\"b\":null}"),
        ("c_ints", "\"{1,2}\""),
        ("c_texts", "\"{a,\\\"b c\\\"}\""),
        ("c_bytea", "\"\\\\x00ff\""),
        ("c_interval", "\"1 days\""),
        ("c_inet", "\"10.0.0.1\""),
        ("'10.0.0.0/8'::inet", "\"10.0.0.0/8\""),
        ("'::1'::inet", "\"::1\""),
        ("'10.0.0.1'::cidr", "\"10.0.0.1/32\""),
        ("'12.34'::money", "\"$12.34\""),
        ("B'101'", "\"101\""),
        ("point '(1,2)'", "\"(1,2)\""),
        ("ROW(1, 'a')", "\"(1,a)\""),
    ];
    for (column, form) in forms {
        let sql = format!("SELECT {column} AS v FROM kinds WHERE k = 1; -- one");
        check(&database, &sql, &[], &format!("{{\"v\":{form}}}")).await;
    }
    for column in forms.map(|(column, _)| column).iter().filter(|it| it.starts_with("c_")) {
        let sql = format!("SELECT {column} AS v FROM kinds WHERE k = 2");
        check(&database, &sql, &[], "{\"v\":null}").await;
    }
    // Readable and other columns side by side, and labels that need quotes.
    let sql = "SELECT c_int4 AS \"a\"\"b\", c_inet, c_int4 AS c_inet FROM kinds WHERE k = 1";
    check(&database, sql, &[], "{\"a\\\"b\":3,\"c_inet\":3}").await;
    let sql = "SELECT c_real, c_double FROM kinds WHERE k = 3";
    check(&database, sql, &[], "{\"c_real\":null,\"c_double\":null}").await;
    database.admin("CREATE TYPE mood AS ENUM ('happy'); CREATE DOMAIN age AS int").await?;
    check(&database, "SELECT 'happy'::mood AS m, 5::age AS a", &[], r#"{"m":"happy","a":5}"#).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_fit_the_types_of_their_places() -> Result<()> {
    let Some(database) = started(Kind::Postgres).await? else { return Ok(()) };
    database.admin("CREATE TABLE codes (code text, n bigint, at date)").await?;
    database.admin("INSERT INTO codes VALUES ('00123', 7, '2024-05-01')").await?;
    database.admin("GRANT ALL ON codes TO enr").await?;
    // Where a peer's type is taken, the result is a peer's.
    check(&database, "SELECT ?::text AS t", &[spelled("00123")], r#"{"t":"123"}"#).await;
    check(&database, "SELECT ?::text AS t", &[spelled("TRUE")], r#"{"t":"true"}"#).await;
    check(
        &database,
        "SELECT ? + 0 AS v",
        &[Value::Single(51.5142_f32.to_bits())],
        "{\"v\":51.514198303222656}",
    )
    .await;
    check(&database, "SELECT ? + 1 AS v", &[Value::Integer(5)], r#"{"v":6}"#).await;
    // Where it is not, the value is read as what the place needs.
    let by_code = "SELECT n FROM codes WHERE code = ?";
    check(&database, by_code, &[spelled("00123")], r#"{"n":7}"#).await;
    check(&database, by_code, &[spelled("123")], "").await;
    check(&database, by_code, &[Value::Integer(5)], "").await;
    let by_number = "SELECT code FROM codes WHERE n = ? AND at = ?";
    let values = [text("7"), text("2024-05-01")];
    check(&database, by_number, &values, r#"{"code":"00123"}"#).await;
    // Where neither helps, bad rows say what a peer says.
    let why = "failed: org.postgresql.util.PSQLException: ERROR: operator does not exist: \
               bigint = character varying\n  Hint: No operator matches the given name and \
               argument types. You might need to add explicit type casts.\n  Position: 32";
    check(&database, "SELECT code FROM codes WHERE n = ?", &[text("u1")], why).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_refuses_fails_the_question_alone() -> Result<()> {
    let Some(database) = started(Kind::Postgres).await? else { return Ok(()) };
    let failed = "failed: org.postgresql.util.PSQLException: ";
    let said = format!("{failed}ERROR: division by zero");
    check(&database, "SELECT 1/0 AS v", &[], &said).await;
    let said = format!("{failed}ERROR: relation \"nope\" does not exist\n  Position: 15");
    check(&database, "SELECT * FROM nope", &[], &said).await;
    // A statement without rows is not executed where that can be known beforehand.
    let sql = database.asks(database.port, "UPDATE users SET num = 0", |_| {});
    let asked = Asked::new(&sql, &settings());
    let said = format!("{failed}No results were returned by the query.");
    assert_eq!(asked.text(&[]).await, said);
    check(&database, "SELECT num FROM users WHERE id = 'u1'", &[], r#"{"num":1}"#).await;
    // What was prepared for a table that has changed is prepared anew.
    let asked =
        Asked::new(&database.asks(database.port, "SELECT * FROM empty_t", |_| {}), &settings());
    assert_eq!(asked.text(&[]).await, "");
    database.admin("ALTER TABLE empty_t ADD b text; INSERT INTO empty_t VALUES (1, 'b')").await?;
    assert_eq!(asked.text(&[]).await, r#"{"a":1,"b":"b"}"#);
    Ok(())
}
