//! The Parquet files of a table, and what their footers say: columns, rows, least and greatest
//! values. A footer is read once, however many queries follow.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use datafusion::arrow::datatypes::Schema;
use datafusion::common::{DataFusionError, Statistics};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use datafusion::parquet::file::metadata::PageIndexPolicy;
use futures_util::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::fault::Fault;
use crate::place::Place;
use crate::schema;

/// So many footers are read at a time: they wait for the disk or the network more than they work.
const AT_ONCE: usize = 32;

/// A footer ends within this many bytes of most files, so that one request reads it whole.
const FOOTER_BYTES: usize = 256 << 10;

/// A file of a table.
#[derive(Clone, Debug)]
pub(crate) struct DataFile {
    /// Where it is, and how large.
    pub(crate) meta: ObjectMeta,
    /// Keys and values of the folders that it lies in, as Hive names them.
    pub(crate) folders: BTreeMap<String, Option<String>>,
}

/// All Parquet files below a folder, in the order of their names. What begins with a point or an
/// underscore is not data: files under way, marks, logs.
pub(crate) async fn list(place: &Place, folder: &Path) -> Result<Vec<DataFile>, Fault> {
    let depth = folder.parts().count();
    let found = place.store.list(Some(folder)).try_filter(move |meta| {
        let hidden = meta.location.parts().skip(depth).any(|part| {
            let part: &str = part.as_ref();
            part.starts_with('.') || part.starts_with('_')
        });
        let wanted = !hidden && meta.location.extension() == Some("parquet");
        std::future::ready(wanted)
    });
    let found: Vec<ObjectMeta> = found
        .try_collect()
        .await
        .map_err(|error| Fault::failure(format!("{place} cannot be listed: {error}")))?;
    let mut files: Vec<_> = found
        .into_iter()
        .map(|meta| DataFile { folders: folders(&meta.location, depth), meta })
        .collect();
    files.sort_by(|a, b| a.meta.location.cmp(&b.meta.location));
    Ok(files)
}

/// What Hive calls a value that is null.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

fn folders(location: &Path, depth: usize) -> BTreeMap<String, Option<String>> {
    let parts: Vec<_> = location.parts().skip(depth).collect();
    let above = parts.len().saturating_sub(1);
    let pairs = parts[..above].iter().filter_map(|part| {
        let (key, value) = part.as_ref().split_once('=')?;
        let value = (value != HIVE_NULL).then(|| unescaped(value));
        Some((key.to_owned(), value))
    });
    pairs.collect()
}

/// A value without the escapes that keep it from being several folders.
fn unescaped(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, more @ ..] = rest {
        let escaped = (*first == b'%').then(|| more.get(..2)).flatten();
        let byte = escaped.and_then(|hex| std::str::from_utf8(hex).ok());
        match byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| value.to_owned())
}

/// What is known of files by their footers.
pub(crate) struct Footers {
    /// The footers themselves, as many as fit.
    cache: Arc<dyn FileMetadataCache>,
    /// The columns of each file, without what is not remembered of files that are gone.
    known: Mutex<HashMap<Path, (ObjectMeta, Arc<Schema>)>>,
}

impl Footers {
    /// Keeps whole footers in the engine's own memory of them.
    pub(crate) fn new(cache: Arc<dyn FileMetadataCache>) -> Footers {
        Footers { cache, known: Mutex::default() }
    }

    /// The columns of each file, read where it is not known yet.
    pub(crate) async fn schemas(
        &self,
        place: &Place,
        files: &[DataFile],
    ) -> Result<Vec<Arc<Schema>>, Fault> {
        let each = files.iter().map(|file| async move {
            if let Some(known) = self.known(&file.meta) {
                return Ok(known);
            }
            let metadata = self.footer(place, &file.meta).fetch_metadata().await;
            let metadata = metadata.map_err(|error| unreadable(place, &file.meta, &error))?;
            let about = metadata.file_metadata();
            let schema = parquet_to_arrow_schema(about.schema_descr(), about.key_value_metadata());
            let schema = schema.map_err(|error| unreadable(place, &file.meta, &error.into()))?;
            let schema = Arc::new(schema::plain(&schema));
            let known = (file.meta.clone(), Arc::clone(&schema));
            self.table().insert(file.meta.location.clone(), known);
            Ok(schema)
        });
        futures_util::stream::iter(each).boxed().buffered(AT_ONCE).try_collect().await
    }

    /// Rows, nulls, least and greatest values of each file, for the columns of a table.
    pub(crate) async fn statistics(
        &self,
        place: &Place,
        files: &[DataFile],
        columns: &Arc<Schema>,
    ) -> Result<Vec<Arc<Statistics>>, Fault> {
        let each = files.iter().map(|file| async move {
            let statistics = self.footer(place, &file.meta).fetch_statistics(columns).await;
            statistics.map(Arc::new).map_err(|error| unreadable(place, &file.meta, &error))
        });
        futures_util::stream::iter(each).boxed().buffered(AT_ONCE).try_collect().await
    }

    /// Forgets files that no table has any more.
    pub(crate) fn keep<'a>(&self, files: impl Iterator<Item = &'a DataFile>) {
        let there: HashSet<_> = files.map(|file| &file.meta.location).collect();
        self.table().retain(|path, _| there.contains(path));
    }

    fn footer<'a>(&self, place: &'a Place, meta: &'a ObjectMeta) -> DFParquetMetadata<'a> {
        DFParquetMetadata::new(place.store.as_ref(), meta)
            .with_metadata_size_hint(Some(FOOTER_BYTES))
            .with_page_index_policy(Some(PageIndexPolicy::Skip))
            .with_file_metadata_cache(Some(Arc::clone(&self.cache)))
    }

    fn known(&self, meta: &ObjectMeta) -> Option<Arc<Schema>> {
        let table = self.table();
        let (known, schema) = table.get(&meta.location)?;
        (known == meta).then(|| Arc::clone(schema))
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<Path, (ObjectMeta, Arc<Schema>)>> {
        self.known.lock().expect("nothing panics with it")
    }
}

fn unreadable(place: &Place, meta: &ObjectMeta, error: &DataFusionError) -> Fault {
    let why = error.find_root().strip_backtrace();
    let file = place.location(&meta.location);
    Fault::failure(format!("{file} is no Parquet file that can be read: {why}"))
        .hint("queries leave out files whose names begin with an underscore")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_keys_and_values() {
        let path = Path::parse("d/events/load_date=2026-11-29/event_name=a%2Fb/x=1.parquet");
        let found = folders(&path.expect("a path"), 2);
        let expected = [("event_name", "a/b"), ("load_date", "2026-11-29")];
        let expected: BTreeMap<_, _> =
            expected.map(|(key, value)| (key.to_owned(), Some(value.to_owned()))).into();
        assert_eq!(found, expected);
        let null = Path::parse("event_name=__HIVE_DEFAULT_PARTITION__/a.parquet").expect("a path");
        assert_eq!(folders(&null, 0), [("event_name".to_owned(), None)].into());
    }

    #[test]
    fn escapes_that_are_none_stay() {
        for (text, expected) in [("100%", "100%"), ("%zz", "%zz"), ("%41%", "A%"), ("%ff", "%ff")] {
            assert_eq!(unescaped(text), expected);
        }
    }
}
