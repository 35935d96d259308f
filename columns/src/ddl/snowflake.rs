//! Snowflake: external tables whose columns are expressions over what a file has. The location is
//! a stage, or a place for which one has to be made; a stage's name begins with `@`.

use super::text::{escaped, line, list, path, quoted};
use super::{Definition, Form};
use crate::field::{Field, Type};

pub(super) fn statement(form: Form, table: &Definition<'_>) -> String {
    let name = path(table.name, plain);
    if form == Form::Iceberg {
        let (namespace, own) = table.name.rsplit_once('.').unwrap_or(("snowmelt", table.name));
        return format!(
            "-- The external volume and the integration of the catalog have to be made before.\n\
             CREATE ICEBERG TABLE IF NOT EXISTS {name}\n  EXTERNAL_VOLUME = 'snowmelt'\n  \
             CATALOG = 'snowmelt'\n  CATALOG_NAMESPACE = {}\n  CATALOG_TABLE_NAME = {}\n  \
             COMMENT = {};\n",
            escaped(namespace),
            escaped(own),
            escaped(table.comment),
        );
    }
    let (before, stage) = stage(table);
    let folders = table.in_folders().map(|(name, ty)| {
        let part = format!("{name}=");
        let value =
            format!("split_part(split_part(metadata$filename, {}, 2), '/', 1)", escaped(&part));
        let ty = type_name(&ty);
        format!("{} {ty} AS ({value}::{ty})", plain(name))
    });
    let mut number = 0;
    let columns = table.fields.iter().filter_map(|field| {
        number += 1;
        if table.partitions.contains(&field.name) {
            return None;
        }
        let value = value(form, field, number);
        let about = line(field.description.as_deref().unwrap_or_default(), 1000);
        let comment = match about.is_empty() {
            true => String::new(),
            false => format!(" COMMENT {}", escaped(&about)),
        };
        Some(format!("{} {} AS ({value}){comment}", plain(&field.name), type_name(&field.ty)))
    });
    let columns = list(folders.chain(columns).collect::<Vec<_>>());
    let by = match table.partitions {
        [] => String::new(),
        names => {
            let names: Vec<String> = names.iter().map(|name| plain(name)).collect();
            format!("\nPARTITION BY ({})", names.join(", "))
        }
    };
    format!(
        "{before}CREATE EXTERNAL TABLE IF NOT EXISTS {name} (\n{columns}\n){by}\n\
         LOCATION = {stage}\n\
         AUTO_REFRESH = FALSE\nFILE_FORMAT = ({})\nCOMMENT = {};\n",
        file_format(form),
        escaped(table.comment),
    )
}

/// What has to be there for a location, and how it is named then.
fn stage(table: &Definition<'_>) -> (String, String) {
    let folder = table.folder();
    if folder.starts_with('@') {
        return (String::new(), format!("{folder}/"));
    }
    let name = format!("{}_files", table.name.rsplit('.').next().unwrap_or(table.name));
    let stage = plain(&name);
    let made = format!(
        "-- The storage integration has to be made before, by an administrator.\n\
         CREATE STAGE IF NOT EXISTS {stage}\n  URL = {}\n  STORAGE_INTEGRATION = snowmelt;\n",
        escaped(&format!("{folder}/"))
    );
    (made, format!("@{stage}/"))
}

/// The expression of a column: the place of a line's column, or the name of a file's.
fn value(form: Form, field: &Field, number: usize) -> String {
    let ty = type_name(&field.ty);
    match (form, &field.ty) {
        (Form::Tsv, Type::Json) => format!("parse_json(value:c{number}::varchar)"),
        (Form::Tsv, _) => format!("value:c{number}::varchar::{ty}"),
        (Form::Parquet, Type::Json) => {
            format!("parse_json(value:{}::varchar)", quoted(&field.name))
        }
        _ => format!("value:{}::{ty}", quoted(&field.name)),
    }
}

fn file_format(form: Form) -> &'static str {
    match form {
        Form::Tsv => {
            "TYPE = CSV FIELD_DELIMITER = '\\t' NULL_IF = ('') EMPTY_FIELD_AS_NULL = TRUE \
             ESCAPE = NONE ESCAPE_UNENCLOSED_FIELD = NONE"
        }
        Form::Json => "TYPE = JSON",
        Form::Parquet | Form::Iceberg => "TYPE = PARQUET",
    }
}

fn type_name(ty: &Type) -> String {
    match ty {
        Type::String => "varchar".to_owned(),
        Type::Boolean => "boolean".to_owned(),
        Type::Int | Type::Long => "number(38,0)".to_owned(),
        Type::Double => "float".to_owned(),
        Type::Decimal { precision, scale } => format!("number({precision},{scale})"),
        Type::Date => "date".to_owned(),
        Type::Timestamp => "timestamp_ntz".to_owned(),
        Type::Json | Type::Struct(_) | Type::List(_) => "variant".to_owned(),
    }
}

/// A name as it is, if it can be: quoted ones are of another case than what people write.
fn plain(name: &str) -> String {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_plain = begins && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_plain { name.to_owned() } else { quoted(name) }
}
