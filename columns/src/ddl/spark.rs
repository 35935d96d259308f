//! Apache Spark, whose types are Hive's by other names.

use super::text::{escaped, line, list, path, ticked};
use super::{Definition, Form};
use crate::field::{Field, Type};

pub(super) fn statement(form: Form, table: &Definition<'_>) -> String {
    let name = path(table.name, ticked);
    let column = |name: &str, ty: &Type, about: Option<&str>| {
        let comment = about.map(|about| format!(" COMMENT {}", escaped(&line(about, 1000))));
        format!("{} {}{}", ticked(name), type_name(form, ty), comment.unwrap_or_default())
    };
    let in_files =
        table.in_files().map(|field| column(&field.name, &field.ty, field.description.as_deref()));
    let mut columns: Vec<String> = in_files.collect();
    let by = if form == Form::Iceberg {
        "\nPARTITIONED BY (days(`load_tstamp`))".to_owned()
    } else {
        columns.extend(table.in_folders().map(|(name, ty)| column(name, &ty, None)));
        let folders: Vec<String> = table.partitions.iter().map(|name| ticked(name)).collect();
        match folders.is_empty() {
            true => String::new(),
            false => format!("\nPARTITIONED BY ({})", folders.join(", ")),
        }
    };
    let mut sql = format!(
        "CREATE TABLE IF NOT EXISTS {name} (\n{}\n)\n{}{by}\nLOCATION {}\nCOMMENT {};\n",
        list(columns),
        reader(form),
        escaped(table.folder()),
        escaped(&line(table.comment, 1000)),
    );
    if form != Form::Iceberg && !table.partitions.is_empty() {
        sql.push_str(&format!("MSCK REPAIR TABLE {name};\n"));
    }
    sql
}

fn reader(form: Form) -> &'static str {
    match form {
        Form::Tsv => {
            "USING csv\nOPTIONS (sep '\\t', header 'false', quote '', nullValue '',\n  \
             timestampFormat 'yyyy-MM-dd HH:mm:ss.SSS')"
        }
        Form::Json => "USING json",
        Form::Parquet => "USING parquet",
        Form::Iceberg => "USING iceberg",
    }
}

fn type_name(form: Form, ty: &Type) -> String {
    match (form, ty) {
        // As in the line: 0 and 1, which are no truth values to Spark.
        (Form::Tsv, Type::Boolean) => "INT".to_owned(),
        // As in flat JSON, whose keys are not the fields' names.
        (Form::Json, Type::Struct(_) | Type::List(_)) => "STRING".to_owned(),
        (_, Type::String | Type::Json) => "STRING".to_owned(),
        (_, Type::Boolean) => "BOOLEAN".to_owned(),
        (_, Type::Int) => "INT".to_owned(),
        (_, Type::Long) => "BIGINT".to_owned(),
        (_, Type::Double) => "DOUBLE".to_owned(),
        (_, Type::Decimal { precision, scale }) => format!("DECIMAL({precision}, {scale})"),
        (_, Type::Date) => "DATE".to_owned(),
        (_, Type::Timestamp) => "TIMESTAMP".to_owned(),
        (_, Type::List(element)) => format!("ARRAY<{}>", type_name(form, &element.ty)),
        (_, Type::Struct(fields)) => {
            let member =
                |field: &Field| format!("{}: {}", ticked(&field.name), type_name(form, &field.ty));
            format!("STRUCT<{}>", fields.iter().map(member).collect::<Vec<_>>().join(", "))
        }
    }
}
