//! Statements that make tables of files known to engines: one for each engine and form of files,
//! all from the same fields.
//!
//! What a statement declares is what the files hold. Where an engine cannot read a value as what it
//! is (Hive reads no `1` as true, no `T` within a timestamp), it is declared as what can be read.
//! Names are quoted as the engine quotes them, texts escaped; no engine gets a field that is not
//! nullable, since those of files never are.

mod bigquery;
mod duckdb;
mod glue;
mod hive;
mod redshift;
mod snowflake;
mod spark;
mod text;

use crate::field::{Field, Type};

/// What is to know a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Amazon Athena: its DDL is Hive's.
    Athena,
    /// The catalog of AWS Glue: input of `aws glue create-table`.
    Glue,
    /// Amazon Redshift: Spectrum for what it reads in place, native tables for JSON.
    Redshift,
    /// Snowflake: external tables on a stage.
    Snowflake,
    /// BigQuery: external tables.
    Bigquery,
    /// DuckDB: views.
    Duckdb,
    /// Apache Spark.
    Spark,
}

/// What files hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines of 131 columns with tabs between.
    Tsv,
    /// One object of JSON a line.
    Json,
    /// Files of Parquet.
    Parquet,
    /// An Iceberg table.
    Iceberg,
}

/// A table to be made known.
#[derive(Clone, Copy, Debug)]
pub struct Definition<'a> {
    /// Its name, with those of schema or database in front: `snowmelt.events`.
    pub name: &'a str,
    /// What it holds, for people.
    pub comment: &'a str,
    /// Its columns, in the order of the lines where there are lines.
    pub fields: &'a [Field],
    /// The folder of its files, or their bucket and prefix.
    pub location: &'a str,
    /// The names that the folders below have, `load_date` for `load_date=2024-05-01`.
    pub partitions: &'a [String],
}

/// The statement, or the document, that makes a table known.
pub fn define(engine: Engine, form: Form, table: &Definition<'_>) -> String {
    // The columns of a line are counted, so none of them can be read from folders instead.
    let is_column = |name: &&String| table.fields.iter().any(|field| field.name == **name);
    let partitions: Vec<String> = table
        .partitions
        .iter()
        .filter(|name| form != Form::Tsv || !is_column(name))
        .cloned()
        .collect();
    let table = &Definition { partitions: &partitions, ..*table };
    match engine {
        Engine::Athena => hive::athena(form, table),
        Engine::Glue => glue::input(form, table),
        Engine::Redshift => redshift::statement(form, table),
        Engine::Snowflake => snowflake::statement(form, table),
        Engine::Bigquery => bigquery::statement(form, table),
        Engine::Duckdb => duckdb::statement(form, table),
        Engine::Spark => spark::statement(form, table),
    }
}

impl<'a> Definition<'a> {
    /// The columns that are in the files: folders are read for the others.
    fn in_files(&self) -> impl Iterator<Item = &'a Field> {
        let partitions = self.partitions;
        self.fields.iter().filter(move |field| !partitions.contains(&field.name))
    }

    /// The columns that folders have, with their types: days are dates.
    fn in_folders(&self) -> impl Iterator<Item = (&'a str, Type)> {
        let fields = self.fields;
        self.partitions.iter().map(move |name| {
            let known = fields.iter().find(|field| field.name == *name);
            let ty = match known {
                Some(field) => field.ty.clone(),
                None if name.ends_with("_date") => Type::Date,
                None => Type::String,
            };
            (name.as_str(), ty)
        })
    }

    /// The location without the slash it may end with.
    fn folder(&self) -> &'a str {
        self.location.trim_end_matches('/')
    }
}
