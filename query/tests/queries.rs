//! The program on folders of Parquet files that were written over time: the same questions as an
//! analyst would ask, and what must not be possible.

#[path = "queries/written.rs"]
mod written;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use written::Written;

fn asked(data: &Path, arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_snowmelt-query"));
    program.arg("--data").arg(data).args(arguments).output().expect("the program starts")
}

/// The rows of an answer.
fn rows(data: &Path, sql: &str) -> Vec<Value> {
    let output = asked(data, &["--format", "json", "--threads", "2", sql]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{sql}\n{said}");
    serde_json::from_slice(&output.stdout).expect("the answer is JSON")
}

/// What is said of a statement that has no answer, and the exit code.
fn refused(data: &Path, sql: &str) -> (String, i32) {
    let output = asked(data, &["--format", "csv", sql]);
    assert!(!output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stdout));
    assert!(output.stdout.is_empty(), "{sql}");
    let said = String::from_utf8(output.stderr).expect("it is text");
    (said, output.status.code().expect("it ends by itself"))
}

#[test]
fn files_of_different_times_are_one_table() {
    let data = Written::new();
    let counted = rows(data.path(), "SELECT count(*) AS n, count(added) AS added FROM events");
    assert_eq!(counted, [json!({"n": 6, "added": 3})]);
    // Nothing was written to it yet, and its columns are known all the same.
    assert_eq!(rows(data.path(), "SELECT reason, \"row\" FROM bad"), Vec::<Value>::new());
    let all = rows(
        data.path(),
        "SELECT event_id, added, thing['size'] AS size, thing['colour'] AS colour, boxes
         FROM events ORDER BY event_id",
    );
    let expected = [
        json!({"event_id": "e1", "added": null, "size": 1, "colour": null,
               "boxes": [{"label": "a", "weight": null}]}),
        json!({"event_id": "e2", "added": null, "size": 2, "colour": null, "boxes": []}),
        json!({"event_id": "e3", "added": null, "size": null, "colour": null, "boxes": null}),
        json!({"event_id": "e4", "added": "new", "size": 4, "colour": "red",
               "boxes": [{"label": "b", "weight": 0.5}, {"label": null, "weight": 2.0}]}),
        json!({"event_id": "e5", "added": "new", "size": 9007199254740993i64, "colour": null,
               "boxes": [{"label": "c", "weight": null}]}),
        json!({"event_id": "e6", "added": "new", "size": null, "colour": null, "boxes": null}),
    ];
    assert_eq!(all, expected);
}

#[test]
fn members_that_only_newer_files_have_can_be_asked_for() {
    let data = Written::new();
    let by = |sql: &str| rows(data.path(), sql);
    assert_eq!(
        by("SELECT event_id FROM events WHERE thing.colour = 'red'"),
        [json!({"event_id": "e4"})]
    );
    assert_eq!(
        by("SELECT count(*) AS n FROM events WHERE thing['colour'] IS NULL"),
        [json!({"n": 5})]
    );
    assert_eq!(
        by("SELECT event_id FROM events WHERE thing IS NULL ORDER BY 1"),
        [json!({"event_id": "e3"}), json!({"event_id": "e6"})]
    );
    assert_eq!(
        by("SELECT b['label'] AS label, sum(b['weight']) AS weight
            FROM (SELECT unnest(boxes) AS b FROM events) GROUP BY 1 ORDER BY 1 NULLS LAST"),
        [
            json!({"label": "a", "weight": null}),
            json!({"label": "b", "weight": 0.5}),
            json!({"label": "c", "weight": null}),
            json!({"label": null, "weight": 2.0}),
        ]
    );
}

#[test]
fn folders_are_columns_and_files_of_other_days_are_left_out() {
    let data = Written::new();
    let by_day = "SELECT load_date, count(*) AS n FROM events GROUP BY 1 ORDER BY 1";
    let expected =
        [json!({"load_date": "2026-11-28", "n": 3}), json!({"load_date": "2026-11-29", "n": 3})];
    assert_eq!(rows(data.path(), by_day), expected);
    let one = "SELECT sum(length(event_id)) AS n FROM events WHERE load_date = DATE '2026-11-29'";
    assert_eq!(rows(data.path(), one), [json!({"n": 6})]);
}

#[test]
fn answers_are_read_by_others() {
    let data = Written::new();
    let sql = "SELECT event_id, collector_tstamp, thing, added FROM events
               WHERE event_id IN ('e1', 'e4') ORDER BY 1";
    let csv = asked(data.path(), &["--format", "csv", sql]);
    let expected = "event_id,collector_tstamp,thing,added\n\
        e1,2026-11-28T10:00:00.001Z,\"{\"\"size\"\":1,\"\"colour\"\":null}\",\n\
        e4,2026-11-29T10:00:00.000004Z,\"{\"\"size\"\":4,\"\"colour\"\":\"\"red\"\"}\",new\n";
    assert_eq!(String::from_utf8(csv.stdout).expect("text"), expected);
    let said = String::from_utf8(csv.stderr).expect("text");
    assert!(said.starts_with("2 rows; scanned 2 files, 0.0"), "{said}");
    let file = data.path().join("answer.parquet");
    let name = file.to_str().expect("text");
    assert!(asked(data.path(), &["--output", name, sql]).status.success());
    assert!(!data.path().join("answer.parquet.part").exists());
    assert_eq!(written::rows_in(&file), 2);
    let table = asked(
        data.path(),
        &["--format", "table", "SELECT event_id, 1 AS n FROM events ORDER BY 1 LIMIT 1"],
    );
    assert_eq!(String::from_utf8_lossy(&table.stdout), "event_id  n\n--------  -\ne1        1\n");
}

#[test]
fn only_queries_are_answered() {
    let data = Written::new();
    let outside = data.path().join("outside.csv");
    std::fs::write(&outside, "a\n1\n").expect("it can be written");
    let outside = outside.display();
    for sql in [
        "CREATE TABLE t AS SELECT 1".to_owned(),
        "CREATE VIEW v AS SELECT 1".to_owned(),
        format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{outside}'"),
        "DROP TABLE events".to_owned(),
        "INSERT INTO events SELECT * FROM events".to_owned(),
        "DELETE FROM events".to_owned(),
        "UPDATE events SET event_id = 'x'".to_owned(),
        format!("COPY (SELECT 1) TO '{outside}' STORED AS CSV"),
        format!("COPY events TO '{outside}'"),
        format!("EXPLAIN ANALYZE COPY (SELECT 1) TO '{outside}' STORED AS CSV"),
        "SET datafusion.execution.batch_size = 1".to_owned(),
        "RESET datafusion.execution.batch_size".to_owned(),
        "SELECT * INTO t FROM events".to_owned(),
        "PREPARE p AS SELECT 1".to_owned(),
        "BEGIN".to_owned(),
        "SELECT 1; SELECT 2".to_owned(),
        format!("SELECT * FROM '{outside}'"),
        format!("SELECT * FROM read_csv('{outside}')"),
        format!("SELECT * FROM read_parquet('{outside}')"),
        "SELECT * FROM parquet_metadata('x')".to_owned(),
        "".to_owned(),
    ] {
        let (said, code) = refused(data.path(), &sql);
        assert_eq!(code, 64, "{sql}: {said}");
    }
    let kept = std::fs::read_to_string(data.path().join("outside.csv")).expect("it is there");
    assert_eq!(kept, "a\n1\n");
    for sql in ["SHOW TABLES", "DESCRIBE events", "EXPLAIN SELECT 1", "SELECT 1 -- a remark"] {
        assert!(!rows(data.path(), sql).is_empty(), "{sql}");
    }
}

#[test]
fn mistakes_are_shown_where_they_are_with_what_was_meant() {
    let data = Written::new();
    for (sql, expected) in [
        (
            "SELECT event_id,\n  colector_tstamp FROM events",
            "snowmelt query: line 2, column 3: there is no column colector_tstamp\n    \
             colector_tstamp FROM events\n    ^\ndid you mean collector_tstamp?\n",
        ),
        ("SELECT FROM WHERE", "snowmelt query: line 1, column 13: "),
        (
            "SELECT * FROM event",
            "snowmelt query: line 1, column 15: there is no table event\n  SELECT * FROM event\n  \
             \u{20}             ^\nthere are events, failed, bad\n",
        ),
        (
            "SELECT lengthh(event_id) FROM events",
            "snowmelt query: line 1, column 8: there is no function lengthh\n  \
             SELECT lengthh(event_id) FROM events\n         ^\ndid you mean length?\n",
        ),
        ("SELECT thing['colou'] FROM events", "snowmelt query: "),
        ("SELECT sum(event_id) FROM events", "snowmelt query: "),
    ] {
        let (said, code) = refused(data.path(), sql);
        assert_eq!(code, 64, "{sql}: {said}");
        assert!(said.starts_with(expected), "{sql}:\n{said}\nexpected\n{expected}");
    }
}

#[test]
fn limits_are_kept_and_named() {
    let data = Written::new();
    let many = "SELECT count(*) FROM generate_series(1, 100000000000) a";
    let late = asked(data.path(), &["--seconds", "1", "--threads", "1", many]);
    let said = String::from_utf8_lossy(&late.stderr).into_owned();
    assert_eq!(late.status.code(), Some(1), "{said}");
    assert!(said.contains("longer than 1 s"), "{said}");
    let wide = "SELECT array_agg(repeat('x', 1000) || value) FROM generate_series(1, 1000000)";
    let large = asked(data.path(), &["--memory", "20MB", "--threads", "1", wide]);
    let said = String::from_utf8_lossy(&large.stderr).into_owned();
    assert_eq!(large.status.code(), Some(1), "{said}");
    assert!(said.contains("more memory than it may have"), "{said}");
    let some = asked(
        data.path(),
        &["--rows", "2", "--format", "csv", "SELECT event_id FROM events ORDER BY 1"],
    );
    assert_eq!(String::from_utf8_lossy(&some.stdout), "event_id\ne1\ne2\n");
    let said = String::from_utf8_lossy(&some.stderr).into_owned();
    assert!(said.starts_with("2 rows, and there are more; "), "{said}");
}

#[test]
fn a_statement_that_nests_as_deeply_as_is_allowed_is_answered() {
    let data = Written::new();
    let sum = format!("SELECT 1{} AS n", " + 1".repeat(400));
    assert_eq!(rows(data.path(), &sum), [json!({"n": 401})]);
    let or = "event_id = 'e1' OR ".repeat(940);
    let filtered = format!("SELECT count(*) AS n FROM events WHERE {or} event_id = 'e2'");
    assert_eq!(rows(data.path(), &filtered), [json!({"n": 2})]);
    let union = "SELECT 1 UNION ALL ".repeat(150);
    let sum = format!("SELECT count(*) AS n FROM ({union} SELECT 1)");
    assert_eq!(rows(data.path(), &sum), [json!({"n": 151})]);
    let (said, _) = refused(data.path(), &format!("SELECT {}1", "(".repeat(200)));
    assert!(said.starts_with("snowmelt query: "), "{said}");
}

#[test]
fn what_cannot_be_read_is_named() {
    let data = Written::new();
    let broken = data.path().join("events/load_date=2026-11-29/broken.parquet");
    std::fs::write(&broken, "this is no Parquet").expect("it can be written");
    let (said, code) = refused(data.path(), "SELECT 1 FROM events");
    assert_eq!(code, 1);
    assert!(said.contains("broken.parquet is no Parquet file"), "{said}");
    // Files under way have other names.
    std::fs::rename(&broken, broken.with_file_name("_broken.parquet")).expect("it is renamed");
    assert_eq!(rows(data.path(), "SELECT count(*) AS n FROM events"), [json!({"n": 6})]);
    let differs = data.path().join("events/differs.parquet");
    written::differs(&differs);
    let (said, code) = refused(data.path(), "SELECT 1 FROM events");
    assert_eq!(code, 1);
    assert!(said.contains("table events: added is "), "{said}");
    let empty = tempfile::tempdir().expect("a folder");
    let (said, code) = refused(empty.path(), "SELECT 1 FROM events");
    assert_eq!(code, 64);
    assert!(said.contains("holds nothing to ask yet"), "{said}");
}
