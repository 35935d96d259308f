//! Where the results of `snowmelt enrich` go: files of a folder, or standard output.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::tables::{self, Tables};
use super::unfinished::unfinished;
use super::{Format, outcomes};
use crate::batch::Batch;
use crate::exit::Usage;
use crate::terminal;
use pipeline::{Lines, Output, Route};

/// Where results go.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Destination {
    /// A folder, made if it is not there; `-` is standard output.
    pub folder: PathBuf,
    /// How files are compressed.
    pub compression: Option<Compression>,
    /// Whether results of an earlier run may be replaced.
    pub force: bool,
}

impl Destination {
    /// Whether results go to standard output.
    pub(in crate::commands) fn is_stdout(&self) -> bool {
        self.folder == Path::new("-")
    }

    /// Results of an earlier run in the folder, whatever their form.
    pub(in crate::commands) fn earlier(&self) -> Vec<PathBuf> {
        if self.is_stdout() {
            return Vec::new();
        }
        let names = Route::ALL.into_iter().map(Route::name).chain(["outcomes"]);
        let files = names.flat_map(|name| {
            let ends = ["tsv", "jsonl"].into_iter();
            ends.flat_map(move |end| ["", ".zst", ".gz"].map(|more| format!("{name}.{end}{more}")))
        });
        let paths = files.map(|file| self.folder.join(file)).chain(tables::earlier(&self.folder));
        paths.filter(|path| path.symlink_metadata().is_ok()).collect()
    }

    /// Refuses to write over results of an earlier run, unless it was asked for.
    pub(in crate::commands) fn check(&self) -> Result<(), Usage> {
        match self.earlier().first() {
            Some(earlier) if !self.force => Err(Usage(format!(
                "{} is there already: name another folder, or --force to replace earlier results",
                earlier.display()
            ))),
            _ => Ok(()),
        }
    }
}

/// How result files are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::commands) enum Compression {
    /// Adds `.zst`.
    Zstd,
    /// Adds `.gz`.
    Gzip,
}

/// Writes outputs in the form asked for.
pub(super) enum Writer {
    /// Enriched events, and bad rows where they are wanted.
    Lines {
        /// Enriched events.
        enriched: Box<Stream>,
        /// Bad rows.
        bad: Option<Box<Stream>>,
        /// The other routes, each made when it has a line.
        others: Vec<Late>,
    },
    /// Everything that became of each record.
    Outcomes(Box<Stream>),
    /// Events and bad rows as tables.
    Tables {
        /// Events, failed events and bad rows.
        tables: Box<Tables>,
        /// The routes that are no tables, each made when it has a line.
        others: Vec<Late>,
    },
}

impl Writer {
    /// Opens the files.
    pub(super) fn open(
        format: Format,
        destination: &Destination,
        tables: impl FnOnce() -> Tables,
    ) -> anyhow::Result<Writer> {
        let on_stdout = destination.is_stdout();
        if !on_stdout {
            let folder = &destination.folder;
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        let file = |name: &str| match on_stdout {
            true => Stream::stdout(destination.compression),
            false => Stream::file(&destination.folder, name, destination.compression),
        };
        let lines = |name: &str| -> anyhow::Result<Writer> {
            Ok(Writer::Lines {
                enriched: Box::new(file(name)?),
                bad: (!on_stdout).then(|| file("bad.jsonl").map(Box::new)).transpose()?,
                others: if on_stdout { Vec::new() } else { Late::all(format, destination) },
            })
        };
        Ok(match format {
            Format::Tsv => lines("enriched.tsv")?,
            Format::Json => lines("enriched.jsonl")?,
            Format::Outcomes => Writer::Outcomes(Box::new(file("outcomes.jsonl")?)),
            Format::Iceberg => unreachable!("it has a writer of its own"),
            Format::Parquet => {
                let mut others = Late::all(format, destination);
                others.retain(|late| !late.route.is_of_events());
                Writer::Tables { tables: Box::new(tables()), others }
            }
        })
    }

    /// Writes what became of a batch whose first record has that number.
    pub(super) fn write(
        &mut self,
        first: u64,
        batch: &Batch,
        output: &Output,
    ) -> anyhow::Result<()> {
        match self {
            Writer::Lines { enriched, bad, others } => {
                enriched.write(output.enriched.as_bytes())?;
                if let Some(bad) = bad {
                    bad.write(output.bad.as_bytes())?;
                }
                others.iter_mut().try_for_each(|late| late.write(output.lines(late.route)))
            }
            Writer::Outcomes(stream) => {
                stream.write(&outcomes::lines(first, batch.records.len(), output))
            }
            Writer::Tables { tables, others } => {
                tables.write(output)?;
                others.iter_mut().try_for_each(|late| late.write(output.lines(late.route)))
            }
        }
    }

    /// How many values fit no column of a table.
    pub(super) fn misfits(&self) -> u64 {
        match self {
            Writer::Tables { tables, .. } => tables.misfits(),
            Writer::Lines { .. } | Writer::Outcomes(_) => 0,
        }
    }

    /// Completes the files, and gives them their names in place of those of an earlier run.
    pub(super) fn finish(self, destination: &Destination) -> anyhow::Result<()> {
        let files = self.close()?;
        for earlier in destination.earlier() {
            let failed = || format!("cannot replace {}", earlier.display());
            std::fs::remove_file(&earlier).with_context(failed)?;
        }
        for path in files {
            let named = || format!("cannot write {}", path.display());
            std::fs::rename(unfinished(&path), &path).with_context(named)?;
        }
        Ok(())
    }

    /// Completes the files as far as they are, which their names tell: the first so many records
    /// are in them, and nothing of others.
    pub(super) fn leave_unfinished(self) -> anyhow::Result<()> {
        self.close().map(|_| ())
    }

    /// Writes what is still in memory. Returns the files' names to be.
    fn close(self) -> anyhow::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let streams: Vec<Stream> = match self {
            Writer::Lines { enriched, bad, others } => {
                let first = [Some(*enriched), bad.map(|bad| *bad)].into_iter().flatten();
                first.chain(others.into_iter().filter_map(|late| late.stream)).collect()
            }
            Writer::Outcomes(stream) => vec![*stream],
            Writer::Tables { tables, others } => {
                files = tables.close()?;
                others.into_iter().filter_map(|late| late.stream).collect()
            }
        };
        for stream in streams {
            files.extend(stream.path.clone());
            stream.finish()?;
        }
        Ok(files)
    }
}

/// The file of a route, made only when there is something to write.
pub(super) struct Late {
    route: Route,
    suffix: &'static str,
    to: Destination,
    stream: Option<Stream>,
}

impl Late {
    fn all(format: Format, to: &Destination) -> Vec<Late> {
        let others = Route::ALL.into_iter();
        let others = others.filter(|route| !matches!(route, Route::Enriched | Route::Bad));
        let suffix = |route: Route| match format {
            Format::Tsv if route.is_of_events() => "tsv",
            _ => "jsonl",
        };
        others
            .map(|route| Late { route, suffix: suffix(route), to: to.clone(), stream: None })
            .collect()
    }

    fn write(&mut self, lines: &Lines) -> anyhow::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let name = format!("{}.{}", self.route.name(), self.suffix);
                Stream::file(&self.to.folder, &name, self.to.compression)?
            }
        };
        self.stream.insert(stream).write(lines.as_bytes())
    }
}

/// One stream of bytes on its way to a file.
pub(super) struct Stream {
    name: String,
    /// Where it will be when it is complete; standard output has no such place.
    path: Option<PathBuf>,
    sink: Sink,
}

enum Sink {
    /// For people to look at.
    Terminal(io::Stdout),
    Plain(BufWriter<Box<dyn Write>>),
    Zstd(zstd::Encoder<'static, Box<dyn Write>>),
    Gzip(flate2::write::GzEncoder<Box<dyn Write>>),
    /// Everything is written.
    Closed,
}

impl Stream {
    fn stdout(compression: Option<Compression>) -> anyhow::Result<Stream> {
        let sink = match compression {
            None if io::stdout().is_terminal() => Sink::Terminal(io::stdout()),
            _ => Sink::new(Box::new(io::stdout()), compression)?,
        };
        Ok(Stream { name: "standard output".to_owned(), path: None, sink })
    }

    fn file(folder: &Path, name: &str, compression: Option<Compression>) -> anyhow::Result<Stream> {
        let suffix = Compression::suffix(compression);
        let path = folder.join(format!("{name}{suffix}"));
        let name = path.display().to_string();
        let file = File::create(unfinished(&path));
        let file = file.with_context(|| format!("cannot write {name}"))?;
        Ok(Stream { sink: Sink::new(Box::new(file), compression)?, path: Some(path), name })
    }

    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let written = match &mut self.sink {
            Sink::Terminal(sink) => {
                let text = String::from_utf8_lossy(bytes);
                sink.write_all(terminal::harmless(&text).as_bytes())
            }
            Sink::Plain(sink) => sink.write_all(bytes),
            Sink::Zstd(sink) => sink.write_all(bytes),
            Sink::Gzip(sink) => sink.write_all(bytes),
            Sink::Closed => unreachable!("nothing is written after the end"),
        };
        self.account(written, "write")
    }

    /// A reader of standard output that went away is no failure.
    fn account(&self, written: io::Result<()>, doing: &str) -> anyhow::Result<()> {
        let written = written.with_context(|| format!("cannot {doing} {}", self.name));
        if self.path.is_none() { written.map_err(terminal::unread) } else { written }
    }

    fn finish(mut self) -> anyhow::Result<()> {
        let finished = match std::mem::replace(&mut self.sink, Sink::Closed) {
            Sink::Terminal(mut sink) => sink.flush(),
            Sink::Plain(mut sink) => sink.flush(),
            Sink::Zstd(sink) => sink.finish().and_then(|mut file| file.flush()),
            Sink::Gzip(sink) => sink.finish().and_then(|mut file| file.flush()),
            Sink::Closed => Ok(()),
        };
        self.account(finished, "complete")
    }
}

impl Compression {
    /// What is added to names.
    pub(in crate::commands) fn suffix(this: Option<Compression>) -> &'static str {
        match this {
            None => "",
            Some(Compression::Zstd) => ".zst",
            Some(Compression::Gzip) => ".gz",
        }
    }
}

impl Sink {
    fn new(file: Box<dyn Write>, compression: Option<Compression>) -> io::Result<Sink> {
        Ok(match compression {
            None => Sink::Plain(BufWriter::with_capacity(1 << 18, file)),
            // Level 1 compresses such lines as well as gzip's best, at several times its speed.
            Some(Compression::Zstd) => Sink::Zstd(zstd::Encoder::new(file, 1)?),
            Some(Compression::Gzip) => {
                Sink::Gzip(flate2::write::GzEncoder::new(file, flate2::Compression::new(6)))
            }
        })
    }
}
