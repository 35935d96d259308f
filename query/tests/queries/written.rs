//! A folder as workers of two versions of a schema leave it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::Field;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::reader::{FileReader, SerializedFileReader};
use tempfile::TempDir;

/// 2026-11-28T10:00:00Z in microseconds.
const FIRST_DAY: i64 = 1_795_860_000_000_000;
const DAY: i64 = 86_400_000_000;

pub(crate) struct Written(TempDir);

impl Written {
    pub(crate) fn new() -> Written {
        let folder = tempfile::tempdir().expect("a folder");
        write(&folder.path().join("events/load_date=2026-11-28/a.parquet"), &first_version());
        write(&folder.path().join("events/load_date=2026-11-29/b.parquet"), &second_version());
        write(&folder.path().join("failed/load_date=2026-11-29/c.parquet"), &first_version());
        Written(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A file in which a column is of another type than in the others.
pub(crate) fn differs(path: &Path) {
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    write(path, &RecordBatch::try_from_iter([("added", numbers)]).expect("it fits"));
}

pub(crate) fn rows_in(path: &Path) -> i64 {
    let file = SerializedFileReader::new(File::open(path).expect("it is there"));
    file.expect("it is Parquet").metadata().file_metadata().num_rows()
}

fn write(path: &Path, batch: &RecordBatch) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
    let file = File::create(path).expect("it can be made");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("it can be written");
    writer.write(batch).expect("it can be written");
    writer.close().expect("it can be written");
}

fn texts(of: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(of.to_vec()))
}

fn times(first: i64, steps: [i64; 3]) -> ArrayRef {
    let times = steps.map(|step| first + step).to_vec();
    Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))
}

fn structs(fields: Vec<(&str, ArrayRef)>, valid: Option<Vec<bool>>) -> ArrayRef {
    let (names, columns): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    let fields = names.iter().zip(&columns);
    let fields: Vec<Field> =
        fields.map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    Arc::new(StructArray::new(fields.into(), columns, valid.map(NullBuffer::from)))
}

fn lists(elements: ArrayRef, lengths: [usize; 3], valid: Vec<bool>) -> ArrayRef {
    let field = Arc::new(Field::new("element", elements.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Arc::new(ListArray::new(field, offsets, elements, Some(NullBuffer::from(valid))))
}

fn first_version() -> RecordBatch {
    let size: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(2), None]));
    let thing = structs(vec![("size", size)], Some(vec![true, true, false]));
    let label = structs(vec![("label", texts(&[Some("a")]))], None);
    let boxes = lists(label, [1, 0, 0], vec![true, true, false]);
    RecordBatch::try_from_iter([
        ("event_id", texts(&[Some("e1"), Some("e2"), Some("e3")])),
        ("collector_tstamp", times(FIRST_DAY, [1000, 2000, 3000])),
        ("thing", thing),
        ("boxes", boxes),
    ])
    .expect("it fits")
}

/// A column, a member of a struct and one of a list's structs more; a number that grew.
fn second_version() -> RecordBatch {
    let size: ArrayRef =
        Arc::new(Int64Array::from(vec![Some(4), Some(9_007_199_254_740_993), None]));
    let colour = texts(&[Some("red"), None, None]);
    let thing = structs(vec![("colour", colour), ("size", size)], Some(vec![true, true, false]));
    let weight: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.5), Some(2.0), None]));
    let label = texts(&[Some("b"), None, Some("c")]);
    let boxes = lists(
        structs(vec![("weight", weight), ("label", label)], None),
        [2, 1, 0],
        vec![true, true, false],
    );
    RecordBatch::try_from_iter([
        ("event_id", texts(&[Some("e4"), Some("e5"), Some("e6")])),
        ("collector_tstamp", times(FIRST_DAY + DAY, [4, 5, 6])),
        ("thing", thing),
        ("boxes", boxes),
        ("added", texts(&[Some("new"), Some("new"), Some("new")])),
    ])
    .expect("it fits")
}
