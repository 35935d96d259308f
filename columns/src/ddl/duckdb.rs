//! DuckDB: views over files, with the columns of schemas that no file has yet.

use super::text::{line, list, literal, path, quoted};
use super::{Definition, Form};
use crate::field::{Field, Type};

/// The most bytes of a line: an event with everything in it.
const LINE: u32 = 16 << 20;

pub(super) fn statement(form: Form, table: &Definition<'_>) -> String {
    let name = path(table.name, quoted);
    let files = |ends: &str| match table.location.contains('*') {
        true => literal(table.location),
        false => literal(&format!("{}/**/*.{ends}", table.folder())),
    };
    let hive = match table.partitions.is_empty() {
        true => "",
        false => ", hive_partitioning = true",
    };
    let select = match form {
        Form::Iceberg => format!(
            "SELECT * FROM iceberg_scan({}, allow_moved_paths = true)",
            literal(table.folder())
        ),
        Form::Tsv => format!(
            "SELECT * FROM read_csv({}, delim = '\\t', header = false, quote = '', escape = '',\n  \
             nullstr = '', max_line_size = {LINE}{hive}, columns = {{\n{}\n}})",
            files("tsv*"),
            columns(form, table),
        ),
        Form::Json => format!(
            "SELECT * FROM read_json({}, format = 'newline_delimited',\n  \
             maximum_object_size = {LINE}{hive}, columns = {{\n{}\n}})",
            files("json*"),
            columns(form, table),
        ),
        Form::Parquet => format!(
            "SELECT\n{}\nWHERE false\nUNION ALL BY NAME\n\
             SELECT * FROM read_parquet({}, union_by_name = true{hive})",
            list(table.in_files().map(|field| {
                format!("NULL::{} AS {}", type_name(form, &field.ty), quoted(&field.name))
            })),
            files("parquet"),
        ),
    };
    let mut sql = String::new();
    if let Some((schema, _)) = table.name.rsplit_once('.') {
        sql.push_str(&format!("CREATE SCHEMA IF NOT EXISTS {};\n", path(schema, quoted)));
    }
    if form == Form::Iceberg {
        sql.push_str(
            "INSTALL iceberg;\nLOAD iceberg;\nSET unsafe_enable_version_guessing = true;\n",
        );
    }
    let select = select.replace("'\\t'", "'\t'");
    sql.push_str(&format!("CREATE OR REPLACE VIEW {name} AS\n{select};\n"));
    sql.push_str(&format!("COMMENT ON VIEW {name} IS {};\n", literal(&line(table.comment, 1000))));
    // An Iceberg table has its own columns and what is said of them.
    let described = table.in_files().filter(|_| form != Form::Iceberg);
    for (field, about) in described.filter_map(|it| Some((it, it.description.as_deref()?))) {
        let column = format!("{name}.{}", quoted(&field.name));
        sql.push_str(&format!("COMMENT ON COLUMN {column} IS {};\n", literal(&line(about, 1000))));
    }
    sql
}

fn columns(form: Form, table: &Definition<'_>) -> String {
    list(
        table.in_files().map(|field| {
            format!("{}: {}", literal(&field.name), literal(&type_name(form, &field.ty)))
        }),
    )
}

fn type_name(form: Form, ty: &Type) -> String {
    match (form, ty) {
        (Form::Tsv | Form::Json, Type::Struct(_) | Type::List(_) | Type::Json) => "JSON".to_owned(),
        (_, Type::String | Type::Json) => "VARCHAR".to_owned(),
        (_, Type::Boolean) => "BOOLEAN".to_owned(),
        (_, Type::Int) => "INTEGER".to_owned(),
        (_, Type::Long) => "BIGINT".to_owned(),
        (_, Type::Double) => "DOUBLE".to_owned(),
        (_, Type::Decimal { precision, scale }) => format!("DECIMAL({precision}, {scale})"),
        (_, Type::Date) => "DATE".to_owned(),
        (Form::Tsv | Form::Json, Type::Timestamp) => "TIMESTAMP".to_owned(),
        (_, Type::Timestamp) => "TIMESTAMPTZ".to_owned(),
        (_, Type::List(element)) => format!("{}[]", type_name(form, &element.ty)),
        (_, Type::Struct(fields)) => {
            let member =
                |field: &Field| format!("{} {}", quoted(&field.name), type_name(form, &field.ty));
            format!("STRUCT({})", fields.iter().map(member).collect::<Vec<_>>().join(", "))
        }
    }
}
