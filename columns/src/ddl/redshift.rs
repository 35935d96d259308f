//! Redshift: Spectrum for what it reads in place. It has no comments on columns of external tables,
//! so descriptions are comments of the statement.

use super::text::{line, literal, path, quoted};
use super::{Definition, Form};
use crate::field::{Field, Type};

/// The most bytes of a text.
const TEXT: &str = "varchar(65535)";

pub(super) fn statement(form: Form, table: &Definition<'_>) -> String {
    match form {
        Form::Iceberg => external_schema(table),
        Form::Json => native(table),
        Form::Tsv | Form::Parquet => external(form, table),
    }
}

/// Iceberg tables are read by the name that a catalog has for them.
fn external_schema(table: &Definition<'_>) -> String {
    let (schema, name) = table.name.rsplit_once('.').unwrap_or(("snowmelt", table.name));
    format!(
        "-- {}\n-- The table is read from the catalog of Glue, as {}.\n\
         CREATE EXTERNAL SCHEMA IF NOT EXISTS {}\nFROM DATA CATALOG DATABASE {}\n\
         IAM_ROLE default;\n",
        line(table.comment, 200),
        path(&format!("{schema}.{name}"), quoted),
        path(schema, quoted),
        literal(schema),
    )
}

fn external(form: Form, table: &Definition<'_>) -> String {
    let name = path(table.name, quoted);
    let columns = columns(table.in_files().map(|field| (field, type_name(form, &field.ty))));
    let folders: Vec<String> = table
        .in_folders()
        .map(|(name, ty)| format!("{} {}", quoted(name), type_name(form, &ty)))
        .collect();
    let by = match folders.is_empty() {
        true => String::new(),
        false => format!("\nPARTITIONED BY ({})", folders.join(", ")),
    };
    let location = format!("{}/", table.folder());
    let (format, properties) = match form {
        Form::Tsv => (
            "ROW FORMAT DELIMITED FIELDS TERMINATED BY '\\t'\nSTORED AS TEXTFILE",
            "\nTABLE PROPERTIES ('serialization.null.format' = '')",
        ),
        _ => ("STORED AS PARQUET", ""),
    };
    let mut sql = format!(
        "-- {}\nCREATE EXTERNAL TABLE {name} (\n{columns}\n){by}\n{format}\nLOCATION \
         {}{properties};\n",
        line(table.comment, 200),
        literal(&location),
    );
    for partition in table.partitions.iter().take(1) {
        sql.push_str(&format!(
            "-- Each folder has to be made known, or its partition by a crawler:\n\
             -- ALTER TABLE {name} ADD IF NOT EXISTS PARTITION ({} = '…') LOCATION {};\n",
            quoted(partition),
            literal(&format!("{location}{partition}=…/")),
        ));
    }
    sql
}

/// Objects of JSON have keys that are no names of fields, which `SUPER` keeps and Spectrum does
/// not: so they are loaded, not read in place.
fn native(table: &Definition<'_>) -> String {
    let name = path(table.name, quoted);
    let columns = columns(table.fields.iter().map(|field| {
        let ty = match field.ty {
            Type::Struct(_) | Type::List(_) | Type::Json => "super".to_owned(),
            ref ty => type_name(Form::Json, ty),
        };
        (field, ty)
    }));
    format!(
        "-- {}\nCREATE TABLE IF NOT EXISTS {name} (\n{columns}\n);\n\
         COPY {name} FROM {}\nFORMAT JSON 'auto' TIMEFORMAT 'auto' IAM_ROLE default;\n",
        line(table.comment, 200),
        literal(&format!("{}/", table.folder())),
    )
}

/// Columns, each with its description behind it.
fn columns<'a>(columns: impl Iterator<Item = (&'a Field, String)>) -> String {
    let mut columns = columns.peekable();
    let mut lines = Vec::new();
    while let Some((field, ty)) = columns.next() {
        let comma = if columns.peek().is_some() { "," } else { "" };
        let about = field.description.as_deref().map(|about| format!(" -- {}", line(about, 200)));
        lines.push(format!("  {} {ty}{comma}{}", quoted(&field.name), about.unwrap_or_default()));
    }
    lines.join("\n")
}

fn type_name(form: Form, ty: &Type) -> String {
    match ty {
        Type::Boolean if form == Form::Tsv => "smallint".to_owned(),
        Type::String | Type::Json => TEXT.to_owned(),
        Type::Boolean => "boolean".to_owned(),
        Type::Int => "int".to_owned(),
        Type::Long => "bigint".to_owned(),
        Type::Double => "double precision".to_owned(),
        Type::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        Type::Date => "date".to_owned(),
        Type::Timestamp => "timestamp".to_owned(),
        Type::List(element) => format!("array<{}>", type_name(form, &element.ty)),
        Type::Struct(fields) => {
            let member =
                |field: &Field| format!("{}:{}", quoted(&field.name), type_name(form, &field.ty));
            format!("struct<{}>", fields.iter().map(member).collect::<Vec<_>>().join(", "))
        }
    }
}
