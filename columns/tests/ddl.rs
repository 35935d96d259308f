//! The statements of `ddl`, held to recorded ones: `SNOWMELT_RECORD=1` records them anew, for a
//! person to read. `tests/ddl.py` has engines and parsers read those of a whole table.

use std::path::PathBuf;

use columns::ddl::{Definition, Engine, Form, define};
use columns::{Field, Table, Uses, atomic, bad_row};
use event::SchemaKey;

const ENGINES: [(Engine, &str); 7] = [
    (Engine::Athena, "athena"),
    (Engine::Glue, "glue"),
    (Engine::Redshift, "redshift"),
    (Engine::Snowflake, "snowflake"),
    (Engine::Bigquery, "bigquery"),
    (Engine::Duckdb, "duckdb"),
    (Engine::Spark, "spark"),
];

const FORMS: [(Form, &str); 4] = [
    (Form::Tsv, "tsv"),
    (Form::Json, "json"),
    (Form::Parquet, "parquet"),
    (Form::Iceberg, "iceberg"),
];

/// A schema with every type, and a description that means to end a text early.
const CART: &str = r#"{"type": "object", "description": "A user's \"cart\"; --\n`x` \\' /* */",
    "properties": {"totalPrice": {"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 9999},
    "items": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"},
    "order": {"type": "integer"}, "gift": {"type": "boolean"}}}}, "due": {"type": "string",
    "format": "date"}, "seen": {"type": "string", "format": "date-time"}, "ratio": {"type": "number"},
    "count": {"type": "integer", "minimum": 0, "maximum": 9}, "any": {}}}"#;

fn cart() -> Table {
    let key = SchemaKey::parse("iglu:com.acme/cart/jsonschema/1-0-0").expect("an Iglu URI");
    Table::of([(key, CART, Uses { event: true, entity: true })])
}

/// Some columns of each kind that a form has.
fn some(form: Form) -> Vec<Field> {
    const SOME: [&str; 6] =
        ["app_id", "collector_tstamp", "tr_total", "br_cookies", "contexts", "event_name"];
    let fields = match form {
        Form::Tsv => atomic(),
        Form::Json => cart().flat(),
        Form::Parquet | Form::Iceberg => cart().fields(),
    };
    let kept =
        |name: &str| SOME.contains(&name) || name.contains("com_acme") || name == "load_tstamp";
    fields.into_iter().filter(|field| kept(&field.name)).collect()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/ddl")
}

#[test]
fn statements_are_those_that_were_read() {
    let records = std::env::var_os("SNOWMELT_RECORD").is_some();
    for (engine, engine_name) in ENGINES {
        for (form, form_name) in FORMS {
            let partitions = match form {
                Form::Parquet => vec!["load_date".to_owned()],
                Form::Json => vec!["load_date".to_owned(), "event_name".to_owned()],
                Form::Tsv | Form::Iceberg => Vec::new(),
            };
            let found = define(
                engine,
                form,
                &Definition {
                    name: "snowmelt.events",
                    comment: "It's a table.",
                    fields: &some(form),
                    location: "s3://bucket/events/",
                    partitions: &partitions,
                },
            );
            let ends = if engine == Engine::Glue { "json" } else { "sql" };
            let path = folder().join(format!("{engine_name}.{form_name}.{ends}"));
            if records {
                std::fs::write(&path, &found).expect("written");
            }
            let recorded = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(found, recorded, "{}", path.display());
        }
    }
}

#[test]
fn a_line_keeps_its_columns_whatever_its_folders_are_named() {
    let of = |partitions: &[&str]| {
        let partitions: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        let table = Definition {
            name: "events",
            comment: "Events.",
            fields: &atomic(),
            location: "s3://bucket/events",
            partitions: &partitions,
        };
        ENGINES.map(|(engine, _)| define(engine, Form::Tsv, &table))
    };
    assert_eq!(of(&["load_date", "event_name"]), of(&["load_date"]));
    assert_ne!(of(&["load_date"]), of(&[]));
}

#[test]
fn a_row_that_is_bad_has_two_columns() {
    let names: Vec<String> = bad_row().into_iter().map(|field| field.name).collect();
    assert_eq!(names, ["schema", "data"]);
}
