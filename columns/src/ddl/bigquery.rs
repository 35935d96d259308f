//! BigQuery: external tables. On S3 they need a connection of BigQuery Omni, named after the table.

use super::text::{escaped, line, list, path, ticked};
use super::{Definition, Form};
use crate::field::{Field, Type};

/// The most characters of a description.
const DESCRIPTION: usize = 1000;

pub(super) fn statement(form: Form, table: &Definition<'_>) -> String {
    let name = path(table.name, ticked);
    let folder = table.folder();
    let connection = match folder.starts_with("s3://") {
        true => "\nWITH CONNECTION `aws-us-east-1.snowmelt`",
        false => "",
    };
    let about = format!("description = {}", escaped(&line(table.comment, DESCRIPTION)));
    if form == Form::Iceberg {
        return format!(
            "-- The newest file of the table's metadata, which changes with every commit.\n\
             CREATE EXTERNAL TABLE IF NOT EXISTS {name}{connection}\nOPTIONS (\n{}\n);\n",
            list([
                "format = 'ICEBERG'".to_owned(),
                format!("uris = [{}]", escaped(&format!("{folder}/metadata/….metadata.json"))),
                about,
            ])
        );
    }
    let columns = list(table.in_files().map(|field| {
        let about = field.description.as_deref().unwrap_or_default();
        let options = match about.is_empty() {
            true => String::new(),
            false => format!(" OPTIONS (description = {})", escaped(&line(about, DESCRIPTION))),
        };
        format!("{} {}{options}", ticked(&field.name), type_name(form, &field.ty))
    }));
    let folders: Vec<String> = table
        .in_folders()
        .map(|(name, ty)| format!("{} {}", ticked(name), type_name(form, &ty)))
        .collect();
    let by = match folders.is_empty() {
        true => String::new(),
        false => format!("\nWITH PARTITION COLUMNS ({})", folders.join(", ")),
    };
    let mut options = reader(form);
    options.push(format!("uris = [{}]", escaped(&format!("{folder}/*"))));
    if !folders.is_empty() {
        options.push(format!("hive_partition_uri_prefix = {}", escaped(folder)));
    }
    options.push(about);
    format!(
        "CREATE EXTERNAL TABLE IF NOT EXISTS {name} (\n{columns}\n){by}{connection}\n\
         OPTIONS (\n{}\n);\n",
        list(options)
    )
}

fn reader(form: Form) -> Vec<String> {
    let options: &[&str] = match form {
        Form::Tsv => &["format = 'CSV'", "field_delimiter = '\\t'", "quote = ''"],
        Form::Json => &["format = 'NEWLINE_DELIMITED_JSON'", "ignore_unknown_values = TRUE"],
        Form::Parquet | Form::Iceberg => &["format = 'PARQUET'", "enable_list_inference = TRUE"],
    };
    options.iter().map(|&option| option.to_owned()).collect()
}

fn type_name(form: Form, ty: &Type) -> String {
    match (form, ty) {
        (Form::Json, Type::Struct(_) | Type::List(_) | Type::Json) => "JSON".to_owned(),
        (_, Type::String | Type::Json) => "STRING".to_owned(),
        (_, Type::Boolean) => "BOOL".to_owned(),
        (_, Type::Int | Type::Long) => "INT64".to_owned(),
        (_, Type::Double) => "FLOAT64".to_owned(),
        // A NUMERIC has 29 digits before the point and 9 behind it.
        (_, &Type::Decimal { precision, scale }) => {
            let is_numeric = scale <= 9 && precision - scale <= 29;
            let name = if is_numeric { "NUMERIC" } else { "BIGNUMERIC" };
            format!("{name}({precision}, {scale})")
        }
        (_, Type::Date) => "DATE".to_owned(),
        (_, Type::Timestamp) => "TIMESTAMP".to_owned(),
        (_, Type::List(element)) => format!("ARRAY<{}>", type_name(form, &element.ty)),
        (_, Type::Struct(fields)) => {
            let member =
                |field: &Field| format!("{} {}", ticked(&field.name), type_name(form, &field.ty));
            format!("STRUCT<{}>", fields.iter().map(member).collect::<Vec<_>>().join(", "))
        }
    }
}
