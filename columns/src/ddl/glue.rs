//! The catalog of AWS Glue: what `aws glue create-table --cli-input-json` takes.

use serde_json::{Map, Value, json};

use super::hive::{COMMENT, JSON_SERDE, properties, type_name};
use super::text::line;
use super::{Definition, Form};

/// The package of the classes that read Parquet and lines.
const PARQUET: &str = "org.apache.hadoop.hive.ql.io.parquet";

pub(super) fn input(form: Form, table: &Definition<'_>) -> String {
    let (database, name) = table.name.rsplit_once('.').unwrap_or(("default", table.name));
    let plain: fn(&str) -> String = str::to_owned;
    let columns: Vec<Value> = table
        .in_files()
        .map(|field| {
            let comment = line(field.description.as_deref().unwrap_or_default(), COMMENT);
            let ty = type_name(form, &field.ty, plain);
            json!({"Name": field.name, "Type": ty, "Comment": comment})
        })
        .collect();
    let folders: Vec<Value> = table
        .in_folders()
        .map(|(name, ty)| json!({"Name": name, "Type": type_name(form, &ty, plain)}))
        .collect();
    let parameters: Map<String, Value> =
        properties(form, table).into_iter().map(|(key, value)| (key, json!(value))).collect();
    let mut storage = reader(form);
    storage["Columns"] = json!(columns);
    storage["Location"] = json!(format!("{}/", table.folder()));
    let mut input = json!({
        "Name": name,
        "Description": line(table.comment, COMMENT),
        "TableType": "EXTERNAL_TABLE",
        "StorageDescriptor": storage,
    });
    let mut document = json!({"DatabaseName": database});
    if form == Form::Iceberg {
        // Glue writes the table's first metadata itself, and its partitions are hidden in there.
        document["OpenTableFormatInput"] =
            json!({"IcebergInput": {"MetadataOperation": "CREATE", "Version": "2"}});
    } else {
        input["PartitionKeys"] = json!(folders);
        input["Parameters"] = json!(parameters);
    }
    document["TableInput"] = input;
    format!("{document:#}\n")
}

/// The classes that read a form.
fn reader(form: Form) -> Value {
    const TEXT: &str = "org.apache.hadoop.mapred.TextInputFormat";
    const OUT: &str = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat";
    match form {
        Form::Tsv => json!({
            "InputFormat": TEXT,
            "OutputFormat": OUT,
            "SerdeInfo": {
                "SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
                "Parameters": {"field.delim": "\t", "serialization.null.format": ""},
            },
        }),
        Form::Json => json!({
            "InputFormat": TEXT,
            "OutputFormat": OUT,
            "SerdeInfo": {
                "SerializationLibrary": JSON_SERDE,
                "Parameters": {"case.insensitive": "FALSE"},
            },
        }),
        Form::Parquet | Form::Iceberg => json!({
            "InputFormat": format!("{PARQUET}.MapredParquetInputFormat"),
            "OutputFormat": format!("{PARQUET}.MapredParquetOutputFormat"),
            "SerdeInfo": {"SerializationLibrary": format!("{PARQUET}.serde.ParquetHiveSerDe")},
        }),
    }
}
