//! The program: arguments in, an answer on standard output, words about it on standard error, and
//! an exit code.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::arguments::Arguments;
use crate::aws::Access;
use crate::engine::{Account, Answer, Engine, Limits};
use crate::fault::{Fault, Kind};
use crate::output::{Format, Writer};
use crate::place::Place;
use crate::said::say;
use crate::schema;
use crate::serve;

/// Arguments or a statement that cannot be understood.
const EXIT_USAGE: u8 = 64;

/// The stack of a thread. Planning goes as deep as a statement nests; only what is used of a stack
/// takes memory.
const STACK: usize = 128 << 20;

/// How long what still runs at the end may take to let go.
const ENDING: Duration = Duration::from_millis(500);

/// Runs the program with the arguments of the process.
pub(crate) fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return match error.use_stderr() {
                true => ExitCode::from(EXIT_USAGE),
                false => ExitCode::SUCCESS,
            };
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads())
        .thread_stack_size(STACK)
        .enable_all()
        .build()
        .expect("threads can be started");
    // On one of the runtime's threads, for their stacks.
    let ended = runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(chosen(arguments));
        tasks.join_next().await.expect("there is one")
    });
    // What reads standard input may wait for ever; what a query left is removed in time.
    runtime.shutdown_timeout(ENDING);
    match ended {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => ended_with(&error),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Planning holds a thread: the page answers others meanwhile, whatever the machine.
fn threads() -> usize {
    cores().max(4)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get())
}

async fn chosen(arguments: Arguments) -> anyhow::Result<()> {
    let access = Access {
        region: arguments.region.clone(),
        endpoint: arguments.endpoint_url.clone(),
        warehouse: arguments.warehouse.clone(),
    };
    let place = Place::open(&arguments.data, &access).await?;
    let threads = arguments.threads.map(usize::from);
    let seconds = arguments.seconds.or(arguments.serve.then_some(serve::SECONDS));
    let limits = Limits {
        memory: arguments.memory,
        time: seconds.map(Duration::from_secs),
        threads: threads.unwrap_or_else(cores),
    };
    let folder = place.folder.clone();
    let engine = Engine::new(place, limits)?;
    if arguments.serve {
        return serve::serve(engine, limits, folder, &arguments).await;
    }
    match arguments.tables {
        true => list(&engine).await,
        false => {
            let sql = arguments.sql.clone().expect("clap wants it");
            answer(&engine, &arguments, sql).await
        }
    }
}

/// The tables and their columns.
async fn list(engine: &Engine) -> anyhow::Result<()> {
    use datafusion::catalog::TableProvider;
    engine.check().await?;
    let (all, dictionary) = (engine.tables().await?, engine.dictionary().await);
    let mut out = BufWriter::new(io::stdout());
    for (name, table) in all.tables {
        let (rows, files, bytes) = (table.rows(), table.files(), megabytes(table.bytes() as usize));
        writeln!(out, "{name}: {rows} rows in {files} files, {bytes} MB")?;
        for column in table.schema().fields() {
            let of = (name.clone(), column.name().clone());
            let about = all.descriptions.get(&of).or(dictionary.get(column.name()));
            let about = about.map_or("", String::as_str);
            let line = format!("  {}  {}  {about}", of.1, schema::spelled(column.data_type()));
            writeln!(out, "{}", line.trim_end())?;
        }
    }
    Ok(out.flush()?)
}

async fn answer(engine: &Engine, arguments: &Arguments, sql: String) -> anyhow::Result<()> {
    let sql = match sql.as_str() {
        "-" => standard_input()?,
        _ => sql,
    };
    // A place that holds nothing may be the wrong one; who asks for no table does not mind.
    if schema::TABLES.iter().any(|table| sql.to_lowercase().contains(table)) {
        engine.check().await?;
    }
    let explained = |fault: Fault| Explained { excerpt: fault.excerpt(&sql), fault };
    let answer =
        engine.run(&sql, arguments.rows.map(|rows| rows as usize)).await.map_err(explained)?;
    let account = match &arguments.output {
        Some(file) => {
            let part = part_of(file);
            let written = async {
                let out = BufWriter::new(named(&part, File::create(&part))?);
                let format = arguments.format.unwrap_or_else(|| by_name(file));
                let account = write(answer, format, out).await?;
                named(file, std::fs::rename(&part, file))?;
                anyhow::Ok(account)
            };
            written.await.inspect_err(|_| drop(std::fs::remove_file(&part)))?
        }
        None => {
            let terminal = io::stdout().is_terminal();
            let format = arguments.format.unwrap_or(match terminal {
                true => Format::Table,
                false => Format::Csv,
            });
            if terminal && format == Format::Parquet {
                let why = "Parquet is not for terminals: `--output FILE` writes it to a file";
                return Err(Fault::mistake(why).into());
            }
            write(answer, format, BufWriter::new(io::stdout())).await?
        }
    };
    if !arguments.quiet {
        say(&told(&account));
    }
    Ok(())
}

async fn write<W: Write + Send>(
    mut answer: Answer,
    format: Format,
    out: W,
) -> anyhow::Result<Account> {
    let mut writer = Writer::new(format, &answer.schema(), out)?;
    while let Some(batch) = answer.next().await {
        writer.write(&batch?)?;
    }
    writer.end()?;
    Ok(answer.account())
}

fn told(account: &Account) -> String {
    let Account { rows, cut, files, bytes, took } = account;
    let more = if *cut { ", and there are more" } else { "" };
    let plural = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    format!(
        "{}{more}; scanned {}, {} MB, in {:.3} s",
        plural(*rows, "row"),
        plural(*files, "file"),
        megabytes(*bytes),
        took.as_secs_f64()
    )
}

/// Megabytes to a hundredth.
fn megabytes(bytes: usize) -> String {
    format!("{:.2}", bytes as f64 / 1e6)
}

fn standard_input() -> anyhow::Result<String> {
    let mut sql = String::new();
    let read = io::stdin().read_to_string(&mut sql);
    read.map_err(|error| Fault::mistake(format!("standard input cannot be read: {error}")))?;
    Ok(sql)
}

/// The format that a file's name says.
fn by_name(file: &Path) -> Format {
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("json") => Format::Json,
        Some("ndjson" | "jsonl") => Format::Ndjson,
        Some("parquet") => Format::Parquet,
        Some("txt") => Format::Table,
        _ => Format::Csv,
    }
}

fn part_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    file.with_file_name(name)
}

fn named<T>(file: &Path, outcome: io::Result<T>) -> Result<T, Fault> {
    outcome.map_err(|error| Fault::failure(format!("{}: {error}", file.display())))
}

/// A fault with the line of the statement that it is about.
#[derive(Debug, thiserror::Error)]
#[error("{fault}")]
struct Explained {
    fault: Fault,
    excerpt: Option<String>,
}

/// Says what failed, and chooses the exit code. A reader that went away is no failure.
fn ended_with(error: &anyhow::Error) -> ExitCode {
    let closed = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    if closed.into_iter().any(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    let explained = error.downcast_ref::<Explained>();
    let fault = explained.map(|explained| &explained.fault).or(error.downcast_ref::<Fault>());
    let Some(fault) = fault else {
        say(&format!("snowmelt query: {error:#}"));
        return ExitCode::FAILURE;
    };
    let at = match fault.place {
        Some(place) => format!("line {}, column {}: ", place.line, place.column),
        None => String::new(),
    };
    let mut lines = format!("snowmelt query: {at}{}", fault.message);
    let excerpt = explained.and_then(|explained| explained.excerpt.as_ref());
    for more in excerpt.into_iter().chain(&fault.hint) {
        lines.push('\n');
        lines.push_str(more);
    }
    say(&lines);
    match fault.kind {
        Kind::Mistake => ExitCode::from(EXIT_USAGE),
        Kind::Limit | Kind::Failure => ExitCode::FAILURE,
    }
}
