//! [`Link`]: a part of a shard, as it is written down until tables have it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use iceberg::spec::{
    DataFile, deserialize_data_file_from_json as file_from_json,
    serialize_data_file_to_json as file_to_json,
};
use iceberg::table::Table;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::mark::{Mark, Shard};

/// A part of a shard: where it begins and ends, and the files that have what became of it.
///
/// As JSON: `{"shard", "from", "to", "by", "at_ms", "tables": {NAME: [{"table", "spec",
/// "file"}]}}`. `from` is null for the first one; `tables` names every table that the owner fills,
/// also those for which nothing came of the records; `file` is as Iceberg's own JSON for scan tasks
/// has it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Link {
    shard: String,
    from: Option<String>,
    to: String,
    /// Who wrote it, and a number that nobody else has: two links are never the same bytes.
    by: String,
    /// When, in milliseconds since 1970.
    at_ms: i64,
    tables: BTreeMap<String, Vec<Told>>,
}

/// A file, as it is told to whoever appends it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    /// The table's own number, which another of the same name does not have.
    table: String,
    spec: i32,
    file: Box<RawValue>,
}

/// Files by the tables that they are for, and which tables there are.
#[derive(Debug, Default)]
pub struct Appended(BTreeMap<String, Vec<Told>>);

impl Appended {
    /// No file yet, for tables of these names.
    pub fn none<'n>(tables: impl IntoIterator<Item = &'n str>) -> Appended {
        Appended(tables.into_iter().map(|name| (name.to_owned(), Vec::new())).collect())
    }

    /// Adds a file of that table.
    pub fn add(&mut self, table: &Table, file: DataFile) -> Result<()> {
        let metadata = table.metadata();
        let (spec, version) = (metadata.default_partition_spec_id(), metadata.format_version());
        let json = file_to_json(file, metadata.default_partition_type(), version);
        let json = json.map_err(|error| Error::from_iceberg("telling of a data file", error))?;
        let file = RawValue::from_string(json);
        let file = file.map_err(|error| Error::Unusable(format!("a data file: {error}")))?;
        let name = table.identifier().name().to_owned();
        self.0.entry(name).or_default().push(Told {
            table: metadata.uuid().to_string(),
            spec,
            file,
        });
        Ok(())
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}

impl Link {
    pub(crate) fn new(
        shard: &Shard,
        from: Option<&Mark>,
        to: &Mark,
        by: &str,
        at_ms: i64,
        Appended(tables): Appended,
    ) -> Link {
        let (from, to) = (from.map(Mark::to_string), to.to_string());
        let by = format!("{by}/{:032x}", fastrand::u128(..));
        Link { shard: shard.as_str().to_owned(), from, to, by, at_ms, tables }
    }

    pub(crate) fn write(&self) -> Bytes {
        serde_json::to_vec(self).expect("texts and numbers make JSON").into()
    }

    /// Reads a link, and checks that it is what its name says.
    pub(crate) fn read(at: &str, location: &str, bytes: &[u8]) -> Result<(Arc<Link>, Ends)> {
        let wrong = |why: String| Error::Unusable(format!("{location}: {why}"));
        let link: Link = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        let mark = |text: &str| text.parse::<Mark>().map_err(|error| wrong(error.to_string()));
        let from = link.from.as_deref().map(mark).transpose()?;
        let to = mark(&link.to)?;
        let name = name(&Shard::named(&link.shard), from.as_ref());
        if location.strip_prefix(at).and_then(|rest| rest.strip_prefix('/')) != Some(&*name) {
            return Err(wrong(format!("expected the link {name}, found another's place")));
        }
        Ok((Arc::new(link), Ends { from, to }))
    }

    /// The shard that it is of.
    pub(crate) fn shard(&self) -> Shard {
        Shard::named(&self.shard)
    }

    /// When it was written, in milliseconds since 1970.
    pub(crate) fn at_ms(&self) -> i64 {
        self.at_ms
    }

    /// The tables that it is for.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    /// Whether it is for a table.
    pub(crate) fn is_for(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// How many files it has for a table.
    pub(crate) fn count(&self, table: &str) -> usize {
        self.tables.get(table).map_or(0, Vec::len)
    }

    /// Its files of a table.
    pub(crate) fn files(&self, table: &Table) -> Result<Vec<DataFile>> {
        let metadata = table.metadata();
        let schema = metadata.current_schema();
        let told = self.tables.get(table.identifier().name()).into_iter().flatten();
        let uuid = metadata.uuid().to_string();
        let file = |Told { table: of, spec, file }: &Told| {
            if *of != uuid {
                let (table, shard) = (table.identifier(), &self.shard);
                return Err(Error::Unusable(format!(
                    "a link of {shard} has a file for the table {table} of the number {of}, and \
                     {uuid} is there now: to begin anew, drop all tables of the namespace and \
                     all links"
                )));
            }
            let failed = |error| Error::from_iceberg("reading what a link tells of a file", error);
            let known = metadata.partition_spec_by_id(*spec).ok_or_else(|| {
                let table = table.identifier();
                Error::Unusable(format!("{table} has no partitions of the number {spec}"))
            })?;
            let partitions = known.partition_type(schema).map_err(failed)?;
            file_from_json(file.get(), *spec, &partitions, schema).map_err(failed)
        };
        told.map(file).collect()
    }
}

/// Where a link begins and ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    /// Nowhere, of the first one.
    pub(crate) from: Option<Mark>,
    pub(crate) to: Mark,
}

/// The name of the link that continues a mark: there is one such name, so one such link.
pub(crate) fn name(shard: &Shard, from: Option<&Mark>) -> String {
    let from = match from {
        Some(mark) => mark.to_string().replace('/', "_"),
        None => "begin".to_owned(),
    };
    format!("{shard}/{from}.json")
}
