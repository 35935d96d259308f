use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_array::{Int64Array, ListArray, StringArray, StructArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field as Column, Schema, TimeUnit};
use columns::Type;
use futures_util::TryStreamExt;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::*;
use crate::Sqlite;
use crate::files::{Folder, file_io};
use crate::growing::Growing;
use crate::testing::{catalog, field, list};

fn on_disk(folder: &Path) -> Arc<dyn Catalog> {
    let (file, warehouse) = (folder.join("catalog.db"), Folder::location(folder));
    Arc::new(Sqlite::open(&file, "snowmelt", &warehouse, file_io(Arc::new(Folder))).expect("there"))
}

async fn lake(catalog: &Arc<dyn Catalog>, columns: &[Field]) -> Lake {
    Lake::open(Arc::clone(catalog), "snowmelt", "events", columns).await.expect("done")
}

fn shard() -> Shard {
    Shard::new("raw", "shardId-000000000000")
}

fn mark(epoch: u64, place: &str) -> Mark {
    Mark { epoch, place: place.to_owned() }
}

fn moved(from: &Mark, to: &Mark) -> Move {
    Move { shard: shard(), from: Some(from.clone()), to: to.clone() }
}

/// Brings a shard into another epoch, with no rows.
async fn fence(lake: &Lake, shard: &Shard, epoch: u64) -> Mark {
    let from = lake.position(shard).await.expect("done");
    let to = from.clone().unwrap_or_default().in_epoch(epoch);
    let moved = Move { shard: shard.clone(), from, to: to.clone() };
    let piece = Piece { moves: vec![moved], files: Vec::new() };
    assert!(committed(&lake.append(&[piece], &BTreeMap::new()).await.expect("done")));
    to
}

const DAY: i32 = 20_000;
const DAY_MICROS: i64 = DAY as i64 * 86_400_000_000;

fn columns() -> Vec<Field> {
    vec![
        field("event_id", Type::String),
        field("load_tstamp", Type::Timestamp),
        field("extra", Type::Struct(vec![field("a", Type::Long)])),
        field("things", list(Type::Struct(vec![field("name", Type::String)]))),
    ]
}

/// Rows with the first two columns, and others that are given.
fn rows(ids: &[&str], more: Vec<(Column, Arc<dyn Array>)>) -> RecordBatch {
    let loaded = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields = vec![
        Column::new("event_id", DataType::Utf8, true),
        Column::new("load_tstamp", loaded, true),
    ];
    let times = (0..ids.len() as i64).map(|n| DAY_MICROS + n);
    let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC");
    let ids = StringArray::from_iter_values(ids);
    let mut arrays: Vec<Arc<dyn Array>> = vec![Arc::new(ids), Arc::new(times)];
    for (field, array) in more {
        fields.push(field);
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("there")
}

/// A column of structs of one member.
fn structs(name: &str, member: &str, values: Arc<dyn Array>) -> (Column, Arc<dyn Array>) {
    let members = vec![Column::new(member, values.data_type().clone(), true)].into();
    let array = StructArray::new(members, vec![values], None);
    (Column::new(name, array.data_type().clone(), true), Arc::new(array))
}

/// A column of lists of one such struct each.
fn lists(name: &str, member: &str, values: Arc<dyn Array>) -> (Column, Arc<dyn Array>) {
    let (_, structs) = structs(name, member, values);
    let element = Arc::new(Column::new("element", structs.data_type().clone(), true));
    let mut offsets = arrow_array::builder::OffsetBufferBuilder::<i32>::new(0);
    (0..structs.len()).for_each(|_| offsets.push_length(1));
    let array = ListArray::new(element, offsets.finish(), structs, None);
    (Column::new(name, array.data_type().clone(), true), Arc::new(array))
}

async fn written(lake: &Lake, batch: &RecordBatch) -> DataFile {
    let table = lake.table().await.expect("done");
    let properties = warehouse::file::properties(1);
    let mut file = Growing::begin(&table, properties, DAY, "shard-0-1").expect("there");
    assert!(file.knows(batch.schema_ref()));
    file.add(&batch.clone().into()).expect("there");
    file.finish().await.expect("done")
}

/// The ids in the table. Of nested columns that files lack, the library's own reader knows nothing.
async fn ids(lake: &Lake) -> Vec<String> {
    let scan =
        lake.table().await.expect("done").scan().select(["event_id"]).build().expect("there");
    let batches: Vec<RecordBatch> =
        scan.to_arrow().await.expect("done").try_collect().await.expect("done");
    let columns = batches.iter().map(|batch| batch.column(0).as_string::<i32>());
    let mut ids: Vec<String> = columns.flatten().map(|id| id.expect("there").to_owned()).collect();
    ids.sort();
    ids
}

/// The fields' numbers in a file, by their paths.
async fn numbers(lake: &Lake, file: &DataFile) -> BTreeMap<String, i32> {
    let table = lake.table().await.expect("done");
    let bytes =
        table.file_io().new_input(file.file_path()).expect("there").read().await.expect("done");
    let reader = SerializedFileReader::new(bytes).expect("there");
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    fn walk(path: &str, ty: &parquet::schema::types::Type, found: &mut BTreeMap<String, i32>) {
        let path = format!("{path}{}", ty.name());
        let info = ty.get_basic_info();
        if info.has_id() {
            found.insert(path.clone(), info.id());
        }
        if ty.is_group() {
            ty.get_fields().iter().for_each(|ty| walk(&format!("{path}."), ty, found));
        }
    }
    let mut found = BTreeMap::new();
    schema.root_schema().get_fields().iter().for_each(|ty| walk("", ty, &mut found));
    found
}

fn committed(settled: &[Settled]) -> bool {
    settled.iter().all(|settled| matches!(settled, Settled::Committed))
}

#[tokio::test]
async fn what_is_appended_twice_is_there_once() {
    let folder = tempfile::tempdir().expect("there");
    let catalog = on_disk(folder.path());
    let lake = lake(&catalog, &columns()).await;
    let start = fence(&lake, &shard(), 3).await;
    assert_eq!(start, mark(3, ""));
    let file = written(&lake, &rows(&["a", "b"], Vec::new())).await;
    assert_eq!((file.record_count(), file.value_counts().len()), (2, 2));
    let piece = Piece { moves: vec![moved(&start, &mark(3, "17/0"))], files: vec![file] };
    for _ in 0..2 {
        let note = BTreeMap::from([("snowmelt.worker".to_owned(), "w-1".to_owned())]);
        assert!(committed(&lake.append(std::slice::from_ref(&piece), &note).await.expect("done")));
        assert_eq!(ids(&lake).await, ["a", "b"]);
    }
    assert_eq!(lake.positions().await.expect("done"), BTreeMap::from([(shard(), mark(3, "17/0"))]));
    let table = lake.table().await.expect("done");
    let summary =
        &table.metadata().current_snapshot().expect("there").summary().additional_properties;
    assert_eq!(summary[&shard().property()], "3/17/0");
    assert_eq!(summary["snowmelt.worker"], "w-1");
    assert_eq!(summary["total-records"], "2");
}

/// The library allows an append of nothing where there is a property to tell, and calls that a
/// work-around. That a shard comes further of which nothing is for the table stands on it.
#[tokio::test]
async fn an_append_of_nothing_makes_a_snapshot() {
    let catalog = catalog();
    let lake = lake(&catalog, &columns()).await;
    let snapshots = async || lake.table().await.expect("done").metadata().snapshots().count();
    for (epoch, number) in [(1, 1), (2, 2)] {
        fence(&lake, &shard(), epoch).await;
        assert_eq!(snapshots().await, number);
    }
}

#[tokio::test]
async fn an_owner_of_an_earlier_epoch_is_refused() {
    let catalog = catalog();
    let lake = lake(&catalog, &columns()).await;
    let old = fence(&lake, &shard(), 1).await;
    let new = fence(&lake, &shard(), 2).await;
    let piece = |from: &Mark, epoch| Piece {
        moves: vec![moved(from, &mark(epoch, "5/0"))],
        files: Vec::new(),
    };
    let settled = lake.append(&[piece(&old, 1)], &BTreeMap::new()).await.expect("done");
    let Settled::Lost(error) = &settled[0] else { panic!("{settled:?}") };
    let text = "shard raw.shardId-000000000000 is at 2/ in the table, not at 1/: \
                it is another worker's now";
    assert_eq!(error.to_string(), text);
    assert!(committed(&lake.append(&[piece(&new, 2)], &BTreeMap::new()).await.expect("done")));
    // Neither is one accepted whose shard is further than it believes.
    let behind = piece(&new, 3);
    let settled = lake.append(&[behind], &BTreeMap::new()).await.expect("done");
    assert!(matches!(settled[0], Settled::Lost(_)));
    assert_eq!(lake.positions().await.expect("done")[&shard()], mark(2, "5/0"));
}

#[tokio::test]
async fn a_lost_shard_does_not_hold_up_the_others() {
    let catalog = catalog();
    let lake = lake(&catalog, &columns()).await;
    let other = Shard::new("raw", "shardId-000000000001");
    let old = fence(&lake, &shard(), 1).await;
    let from = Some(fence(&lake, &other, 1).await);
    fence(&lake, &shard(), 2).await;
    let lost = Piece { moves: vec![moved(&old, &mark(1, "5/0"))], files: Vec::new() };
    let ours = Move { shard: other.clone(), from, to: mark(1, "7/0") };
    let ours = Piece { moves: vec![ours], files: Vec::new() };
    let settled = lake.append(&[lost, ours], &BTreeMap::new()).await.expect("done");
    assert!(matches!(settled[..], [Settled::Lost(_), Settled::Committed]), "{settled:?}");
    let expected = BTreeMap::from([(shard(), mark(2, "")), (other, mark(1, "7/0"))]);
    assert_eq!(lake.positions().await.expect("done"), expected);
}

#[tokio::test]
async fn columns_are_added_while_files_of_before_are_read_and_written() {
    let folder = tempfile::tempdir().expect("there");
    let catalog = on_disk(folder.path());
    let lake = lake(&catalog, &columns()).await;
    let things = lists("things", "name", Arc::new(StringArray::from(vec!["x"])));
    let before = written(&lake, &rows(&["a"], vec![things])).await;
    // A file that is written while others add columns is of the columns that there were.
    let late = written(&lake, &rows(&["b"], Vec::new())).await;
    let more = [
        field("extra", Type::Struct(vec![field("b", Type::Double)])),
        field("things", list(Type::Struct(vec![field("size", Type::Long)]))),
        field("whole", Type::Struct(vec![field("c", Type::Boolean), field("d", Type::Date)])),
    ];
    let (one, two) = tokio::join!(lake.evolve(&more), lake.evolve(&more));
    one.and(two).expect("done");
    lake.evolve(&more).await.expect("done");
    let table = lake.table().await.expect("done");
    let file = Growing::begin(&table, warehouse::file::properties(1), DAY, "x").expect("there");
    let unknown = [
        structs("extra", "z", Arc::new(Int64Array::from(vec![1]))).0,
        lists("things", "z", Arc::new(Int64Array::from(vec![1]))).0,
        Column::new("z", DataType::Int64, true),
    ];
    for column in unknown {
        assert!(!file.knows(&Schema::new(vec![column])));
    }
    let sizes = lists("things", "size", Arc::new(Int64Array::from(vec![7])));
    let extra = structs("extra", "a", Arc::new(Int64Array::from(vec![9])));
    let after = written(&lake, &rows(&["c"], vec![sizes, extra])).await;
    let piece = Piece {
        moves: vec![Move { shard: shard(), from: None, to: mark(0, "3/0") }],
        files: vec![before, late, after],
    };
    let files = piece.files.clone();
    assert!(committed(&lake.append(&[piece], &BTreeMap::new()).await.expect("done")));
    assert_eq!(ids(&lake).await, ["a", "b", "c"]);
    // Members are known by their numbers, which are those of the table, old and new.
    let [before, after] = [&files[0], &files[2]];
    let (before, after) = (numbers(&lake, before).await, numbers(&lake, after).await);
    let table = lake.table().await.expect("done");
    let id = |name: &str| table.metadata().current_schema().field_by_name(name).expect("there").id;
    let whole = ["event_id", "load_tstamp", "extra", "extra.a", "extra.b", "things"];
    for path in whole {
        assert_eq!(after[path], id(path), "{path}");
    }
    let element = "things.list.element";
    assert_eq!(after[element], id("things.element"));
    assert_eq!(after["things.list.element.size"], id("things.element.size"));
    for path in ["event_id", element, "things.list.element.name"] {
        assert_eq!(before[path], after[path], "{path}");
    }
    assert!(!before.contains_key("things.list.element.size"));
}

#[tokio::test]
async fn a_column_of_another_type_is_refused_by_name() {
    let catalog = catalog();
    let lake = lake(&catalog, &columns()).await;
    let other = field("extra", Type::Struct(vec![field("a", Type::String)]));
    let error = lake.evolve(&[other]).await.expect_err("refused");
    let text = "the column extra.a of snowmelt.events is long, and not string";
    assert_eq!(error.to_string(), text);
}

#[tokio::test]
async fn files_are_described_by_what_queries_leave_them_out_by() {
    let catalog = catalog();
    let lake = lake(&catalog, &columns()).await;
    let extra = structs("extra", "a", Arc::new(Int64Array::from(vec![9, 8])));
    let file = written(&lake, &rows(&["k", "b"], vec![extra])).await;
    let table = lake.table().await.expect("done");
    let id = |name: &str| table.metadata().current_schema().field_by_name(name).expect("there").id;
    let (event_id, loaded) = (id("event_id"), id("load_tstamp"));
    assert_eq!(file.lower_bounds()[&event_id], iceberg::spec::Datum::string("b"));
    assert_eq!(file.upper_bounds()[&event_id], iceberg::spec::Datum::string("k"));
    let micros = iceberg::spec::Datum::timestamptz_micros;
    assert_eq!(file.lower_bounds()[&loaded], micros(DAY_MICROS));
    assert_eq!(file.upper_bounds()[&loaded], micros(DAY_MICROS + 1));
    assert_eq!(file.lower_bounds().len(), 2);
    assert_eq!(file.null_value_counts()[&event_id], 0);
    assert!(file.file_path().contains("/data/load_tstamp_day=2024-10-04/shard-0-1-"));
    assert!(file.split_offsets().is_some_and(|offsets| offsets == [4]));
}

#[tokio::test]
async fn old_snapshots_go_and_positions_stay() {
    let folder = tempfile::tempdir().expect("there");
    let catalog = on_disk(folder.path());
    let lake = lake(&catalog, &columns()).await;
    let mut at = None;
    for n in 1..=14 {
        let file = written(&lake, &rows(&[&format!("{n:02}")], Vec::new())).await;
        let to = mark(0, &format!("{n}/0"));
        let step = Move { shard: shard(), from: at.replace(to.clone()), to };
        let piece = Piece { moves: vec![step], files: vec![file] };
        assert!(committed(&lake.append(&[piece], &BTreeMap::new()).await.expect("done")));
    }
    assert_eq!(lake.expire(0).await.expect("done"), 0);
    let later = i64::MAX / 2;
    assert_eq!(lake.expire(later).await.expect("done"), 4);
    assert_eq!(lake.expire(later).await.expect("done"), 0);
    let table = lake.table().await.expect("done");
    assert_eq!(table.metadata().snapshots().count(), 10);
    let metadata =
        std::fs::read_dir(folder.path().join("snowmelt/events/metadata")).expect("there");
    let names = metadata.map(|file| file.expect("there").file_name().into_string().expect("there"));
    assert_eq!(names.filter(|name| name.starts_with("snap-")).count(), 10);
    assert_eq!(lake.positions().await.expect("done")[&shard()], mark(0, "14/0"));
    assert_eq!(ids(&lake).await.len(), 14);
}

#[tokio::test]
async fn a_position_that_is_none_is_said() {
    let catalog = catalog();
    let lake = lake(&catalog, &columns()).await;
    let table = lake.table().await.expect("done");
    let transaction = Transaction::new(&table);
    let properties = transaction.update_table_properties();
    let properties = properties.set(shard().property(), "far".to_owned());
    properties.apply(transaction).expect("there").commit(&*catalog).await.expect("done");
    let error = lake.positions().await.expect_err("refused").to_string();
    assert!(error.contains("expected <epoch>/<place>, found \"far\""), "{error}");
}
