//! Athena, and the types of Hive that Glue has too.

use super::text::{line, list, path, ticked};
use super::{Definition, Form};
use crate::field::{Field, Type};

/// The most characters of a comment in the catalog of Glue.
pub(super) const COMMENT: usize = 250;

/// What reads flat JSON.
pub(super) const JSON_SERDE: &str = "org.openx.data.jsonserde.JsonSerDe";

pub(super) fn athena(form: Form, table: &Definition<'_>) -> String {
    let name = path(table.name, ticked);
    let columns = list(table.in_files().map(|field| {
        let ty = type_name(form, &field.ty, ticked);
        format!("{} {ty}{}", ticked(&field.name), comment(field.description.as_deref()))
    }));
    let about = comment(Some(table.comment));
    if form == Form::Iceberg {
        return format!(
            "-- A worker makes its own table, in the catalog of Glue, where Athena finds it.\n\
             -- This is for one that something else fills: its instants (UTC) have no zone.\n\
             CREATE TABLE IF NOT EXISTS {name} (\n{columns}\n)\n\
             PARTITIONED BY (day(`load_tstamp`))\nLOCATION {}\n\
             TBLPROPERTIES ('table_type' = 'ICEBERG', 'format' = 'parquet');\n",
            text(&format!("{}/", table.folder())),
        );
    }
    let folders: Vec<String> = table
        .in_folders()
        .map(|(name, ty)| format!("{} {}", ticked(name), type_name(form, &ty, ticked)))
        .collect();
    let by = match folders.is_empty() {
        true => String::new(),
        false => format!("\nPARTITIONED BY ({})", folders.join(", ")),
    };
    let properties: Vec<String> = properties(form, table)
        .into_iter()
        .map(|(key, value)| format!("{} = {}", text(&key), text(&value)))
        .collect();
    let mut sql = format!(
        "CREATE EXTERNAL TABLE IF NOT EXISTS {name} (\n{columns}\n){}{by}\n{}\nLOCATION {}\n\
         TBLPROPERTIES (\n{}\n);\n",
        about.replacen(" COMMENT", "\nCOMMENT", 1),
        row_format(form),
        text(&format!("{}/", table.folder())),
        list(properties),
    );
    if !folders.is_empty() && !is_projected(table) {
        sql.push_str(&format!("MSCK REPAIR TABLE {name};\n"));
    }
    sql
}

/// The type of Hive that reads what files of that form hold.
pub(super) fn type_name(form: Form, ty: &Type, quote: fn(&str) -> String) -> String {
    match (form, ty) {
        // As in the line: 0 and 1, which are no truth values to a text.
        (Form::Tsv, Type::Boolean) => "tinyint".to_owned(),
        // As in flat JSON: with a T and a Z, which sort as they should.
        (Form::Json, Type::Timestamp) => "string".to_owned(),
        // As in flat JSON, whose keys are not the fields' names.
        (Form::Json, Type::Struct(_) | Type::List(_)) => "string".to_owned(),
        (_, Type::String | Type::Json) => "string".to_owned(),
        (_, Type::Boolean) => "boolean".to_owned(),
        (_, Type::Int) => "int".to_owned(),
        (_, Type::Long) => "bigint".to_owned(),
        (_, Type::Double) => "double".to_owned(),
        (_, Type::Decimal { precision, scale }) => format!("decimal({precision},{scale})"),
        (_, Type::Date) => "date".to_owned(),
        (_, Type::Timestamp) => "timestamp".to_owned(),
        (_, Type::List(element)) => format!("array<{}>", type_name(form, &element.ty, quote)),
        (_, Type::Struct(fields)) => {
            let member = |field: &Field| {
                format!("{}:{}", quote(&field.name), type_name(form, &field.ty, quote))
            };
            format!("struct<{}>", fields.iter().map(member).collect::<Vec<_>>().join(","))
        }
    }
}

/// Properties of the table: how days are found without asking the catalog, where days are all.
pub(super) fn properties(form: Form, table: &Definition<'_>) -> Vec<(String, String)> {
    let own = match form {
        Form::Tsv => [("classification", "csv"), ("serialization.null.format", "")].to_vec(),
        Form::Json => [("classification", "json")].to_vec(),
        Form::Parquet | Form::Iceberg => [("classification", "parquet")].to_vec(),
    };
    let mut all: Vec<(String, String)> =
        own.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    if let [day] = table.partitions
        && is_projected(table)
    {
        let template = format!("{}/{day}=${{{day}}}/", table.folder());
        all.extend([
            ("projection.enabled".to_owned(), "true".to_owned()),
            (format!("projection.{day}.type"), "date".to_owned()),
            (format!("projection.{day}.format"), "yyyy-MM-dd".to_owned()),
            (format!("projection.{day}.range"), "2020-01-01,NOW".to_owned()),
            ("storage.location.template".to_owned(), template),
        ]);
    }
    all
}

/// Whether folders are days alone, which can be counted instead of listed.
fn is_projected(table: &Definition<'_>) -> bool {
    let days: Vec<_> = table.in_folders().collect();
    matches!(days.as_slice(), [(_, Type::Date)])
}

fn row_format(form: Form) -> String {
    match form {
        Form::Tsv => "ROW FORMAT DELIMITED FIELDS TERMINATED BY '\\t' LINES TERMINATED BY '\\n'\n\
                      STORED AS TEXTFILE"
            .to_owned(),
        Form::Json => format!(
            "ROW FORMAT SERDE {}\nWITH SERDEPROPERTIES ('case.insensitive' = 'FALSE')\n\
             STORED AS TEXTFILE",
            text(JSON_SERDE)
        ),
        Form::Parquet | Form::Iceberg => "STORED AS PARQUET".to_owned(),
    }
}

fn comment(description: Option<&str>) -> String {
    description.map_or_else(String::new, |it| format!(" COMMENT {}", text(&line(it, COMMENT))))
}

/// A text for Athena's DDL, which does not document how a quote is escaped: none is in it.
fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "’").replace('\\', "/"))
}
