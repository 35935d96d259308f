//! Plans a statement and runs it, within bounds of memory, time and rows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::common::config::Dialect;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use futures_util::StreamExt;
use tokio::time::Instant;

use crate::catalog::{Catalog, Tables};
use crate::dictionary::Dictionary;
use crate::fault::Fault;
use crate::files::Footers;
use crate::place::Place;
use crate::statement;

/// What a query may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Memory of all queries together, in bytes. Sorting and grouping that need more go on in files
    /// of the system's temporary folder, which may hold [`SPILL`] times as much.
    pub(crate) memory: usize,
    /// How long one may take.
    pub(crate) time: Option<Duration>,
    /// How many threads work on one.
    pub(crate) threads: usize,
}

/// How many times the memory may lie in temporary files.
const SPILL: u64 = 4;

/// Footers of files are kept up to so many bytes, besides the memory of queries.
const FOOTERS: usize = 64 << 20;

/// So many rows are handed on at a time.
const BATCH_ROWS: usize = 8192;

/// Answers statements over one place.
pub(crate) struct Engine {
    catalog: Catalog,
    runtime: Arc<RuntimeEnv>,
    limits: Limits,
}

impl Engine {
    /// Over a place.
    pub(crate) fn new(place: Place, limits: Limits) -> Result<Engine, Fault> {
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::OsTmpDirectory)
            .with_max_temp_directory_size(SPILL * limits.memory as u64);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(limits.memory)))
            .with_disk_manager_builder(disk)
            .with_metadata_cache_limit(FOOTERS)
            .build_arc()
            .map_err(|error| Fault::of(&error, ""))?;
        runtime.register_object_store(place.url.as_ref(), Arc::clone(&place.store));
        let footers = Footers::new(runtime.cache_manager.get_file_metadata_cache());
        Ok(Engine { catalog: Catalog::new(place, footers), runtime, limits })
    }

    /// The tables as they are now.
    pub(crate) async fn tables(&self) -> Result<Tables, Fault> {
        self.catalog.tables().await
    }

    /// What the dictionary beside the tables says of their columns.
    pub(crate) async fn dictionary(&self) -> Dictionary {
        self.catalog.dictionary().await
    }

    /// Whether there is anything to ask.
    pub(crate) async fn check(&self) -> Result<(), Fault> {
        self.catalog.check().await
    }

    /// Plans a statement and begins to run it; so many rows are answered at most.
    pub(crate) async fn run(&self, sql: &str, rows: Option<usize>) -> Result<Answer, Fault> {
        let began = Instant::now();
        let ends = self.limits.time.map(|time| began + time);
        let late = self.limits.time.map(late);
        let beginning = self.begin(sql, rows);
        let (plan, stream) = match ends {
            None => beginning.await?,
            Some(ends) => tokio::time::timeout_at(ends, beginning)
                .await
                .map_err(|_| late.clone().expect("there is an end"))??,
        };
        let sql = sql.to_owned();
        Ok(Answer {
            sql,
            plan,
            stream,
            began,
            ends,
            late,
            most: rows,
            rows: 0,
            cut: false,
            done: false,
        })
    }

    async fn begin(&self, sql: &str, rows: Option<usize>) -> Result<Begun, Fault> {
        statement::check_size(sql)?;
        let of = |error: DataFusionError| Fault::of(&error, sql);
        let state = SessionContext::new_with_config_rt(self.config(), Arc::clone(&self.runtime));
        // Statements that are none are refused before a table is looked at.
        let parsed = state.state().sql_to_statement(sql, &Dialect::Generic).map_err(of)?;
        statement::check_kind(&parsed)?;
        let tables = self.tables().await?;
        for (name, table) in tables.tables {
            state.register_table(name.as_str(), table).map_err(of)?;
        }
        let session = state.state();
        let plan = session.statement_to_plan(parsed).await.map_err(of)?;
        let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false);
        reads.with_allow_statements(false).verify_plan(&plan).map_err(of)?;
        let plan = bounded(plan, rows).map_err(of)?;
        let physical = session.create_physical_plan(&plan).await.map_err(of)?;
        let context = Arc::new(TaskContext::from(&session));
        let stream = execute_stream(Arc::clone(&physical), context).map_err(of)?;
        Ok((physical, stream))
    }

    fn config(&self) -> SessionConfig {
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema("snowmelt", "public")
            .with_information_schema(true)
            .with_target_partitions(self.limits.threads)
            .with_batch_size(BATCH_ROWS);
        let options = config.options_mut();
        options.sql_parser.collect_spans = true;
        options.execution.parquet.metadata_size_hint = Some(256 << 10);
        options.execution.time_zone = Some("UTC".to_owned());
        config
    }
}

/// One row more than is wanted, which tells that there are more; what is sorted is then sorted
/// only as far.
fn bounded(plan: LogicalPlan, rows: Option<usize>) -> Result<LogicalPlan, DataFusionError> {
    let whole = matches!(
        plan,
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)
    );
    match rows.filter(|_| !whole) {
        None => Ok(plan),
        Some(rows) => LogicalPlanBuilder::from(plan).limit(0, Some(rows + 1))?.build(),
    }
}

type Begun = (Arc<dyn ExecutionPlan>, SendableRecordBatchStream);

fn late(time: Duration) -> Fault {
    Fault::limit(format!("the query took longer than {} s", time.as_secs_f64()))
        .hint("ask for fewer columns, a part of the time, or allow more by `--seconds`")
}

/// What comes of a statement, as far as it has come. Dropping it ends the work.
pub(crate) struct Answer {
    sql: String,
    plan: Arc<dyn ExecutionPlan>,
    stream: SendableRecordBatchStream,
    began: Instant,
    ends: Option<Instant>,
    late: Option<Fault>,
    most: Option<usize>,
    rows: usize,
    cut: bool,
    done: bool,
}

/// What an answer took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// Rows of the answer.
    pub(crate) rows: usize,
    /// Whether there were more than may be answered.
    pub(crate) cut: bool,
    /// Files that were planned to be read.
    pub(crate) files: usize,
    /// Bytes that were read of them.
    pub(crate) bytes: usize,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Answer {
    /// Its columns.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// The next rows.
    pub(crate) async fn next(&mut self) -> Option<Result<RecordBatch, Fault>> {
        loop {
            if self.done {
                return None;
            }
            let next = match self.ends {
                None => self.stream.next().await,
                Some(ends) => match tokio::time::timeout_at(ends, self.stream.next()).await {
                    Ok(next) => next,
                    Err(_) => {
                        self.done = true;
                        return self.late.clone().map(Err);
                    }
                },
            };
            let batch = match next {
                None => {
                    self.done = true;
                    return None;
                }
                Some(Err(error)) => {
                    self.done = true;
                    return Some(Err(Fault::of(&error, &self.sql)));
                }
                Some(Ok(batch)) => batch,
            };
            let left = self.most.map_or(usize::MAX, |most| most - self.rows);
            self.cut |= batch.num_rows() > left;
            self.done |= self.cut;
            let batch = batch.slice(0, batch.num_rows().min(left));
            self.rows += batch.num_rows();
            if batch.num_rows() > 0 {
                return Some(Ok(batch));
            }
        }
    }

    /// What it took so far.
    pub(crate) fn account(&self) -> Account {
        let (mut files, mut bytes) = (BTreeSet::new(), 0);
        scanned(self.plan.as_ref(), &mut files, &mut bytes);
        Account {
            rows: self.rows,
            cut: self.cut,
            files: files.len(),
            bytes,
            took: self.began.elapsed(),
        }
    }
}

/// The files that a plan reads, and the bytes that it has read of them.
fn scanned(plan: &dyn ExecutionPlan, files: &mut BTreeSet<String>, bytes: &mut usize) {
    if let Some(scan) = plan.downcast_ref::<DataSourceExec>()
        && let Some(config) = scan.data_source().downcast_ref::<FileScanConfig>()
    {
        let all = config.file_groups.iter().flat_map(|group| group.files());
        files.extend(all.map(|file| file.object_meta.location.to_string()));
        let read = plan.metrics().and_then(|metrics| metrics.sum_by_name("bytes_scanned"));
        *bytes += read.map_or(0, |read| read.as_usize());
    }
    for child in plan.children() {
        scanned(child.as_ref(), files, bytes);
    }
}
