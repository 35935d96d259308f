//! The work of a replay, part by part: what a part became is durable before the position behind it.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use pipeline::Output;

use super::counts::count;
use super::dry::Dry;
use super::folder::{self, Folder};
use super::progress::{Position, Progress};
use super::reading::{Piece, Reading};
use super::routes::Routes;
use super::tally::Tally;
use crate::commands::enrich::Transform;
use crate::commands::enrich::account::Account;
use crate::commands::enrich::output::Destination;
use crate::exit::EXIT_FAULTS;
use crate::terminal;

/// A part is made durable when so many bytes of records are in it: large enough that what that
/// costs does not count, small enough that little is done twice, and that it fits into memory.
const PART_BYTES: usize = 4 << 20;

/// Where results go.
pub(super) enum Target {
    /// To files of a folder.
    Folder(Folder),
    /// To the routes of a configuration.
    Routes(Box<Routes>),
    /// Nowhere: it is only said what would change.
    Nowhere(Box<Dry>),
}

/// What is done so far, and what is in the making.
pub(super) struct Parts {
    target: Target,
    progress: Option<Progress>,
    position: Position,
    /// Bytes of the records of the present part.
    bytes: usize,
}

impl Parts {
    /// Goes on behind a position.
    pub(super) fn new(target: Target, progress: Option<Progress>, position: Position) -> Parts {
        Parts { target, progress, position, bytes: 0 }
    }

    /// Writes the part that was kept and not confirmed, if there is one.
    pub(super) fn confirm(&mut self) -> anyhow::Result<()> {
        let (Target::Routes(routes), Some(progress)) = (&self.target, &self.progress) else {
            return Ok(());
        };
        let Some((after, part)) = progress.kept(&self.position)? else { return Ok(()) };
        routes.write(after.parts, &part)?;
        progress.advance(&after)?;
        self.position = after;
        Ok(())
    }

    /// Where it goes on.
    pub(super) fn position(&self) -> &Position {
        &self.position
    }

    /// Processes everything that is read.
    pub(super) fn work(
        &mut self,
        transform: &Transform,
        mut reading: Reading,
        threads: usize,
        (halt, account): (&AtomicBool, &mut Account),
    ) -> anyhow::Result<()> {
        let next = || reading.piece();
        transform.all(next, threads, halt, |piece: Piece, output| {
            let output = match &piece.line {
                Some((_, line)) if !self.has_place(transform, line) => {
                    let why = "oversized: the stream of its route takes no line of its size";
                    count(&mut self.position.counts.left, why, 1);
                    output
                }
                Some(line) => transform.rewrite(line, piece.about()),
                None => output,
            };
            account.add(piece.as_ref(), &output);
            self.take(piece, output)
        })?;
        // All that was handed out has been processed.
        (self.position.place, self.position.tally) = reading.reached();
        self.position.done = !halt.load(Ordering::Relaxed);
        self.commit()
    }

    /// Whether a line that was too large once has a place.
    fn has_place(&self, transform: &Transform, line: &str) -> bool {
        match &self.target {
            Target::Routes(routes) => routes.takes(transform.settings(), line.len()),
            Target::Folder(_) | Target::Nowhere(_) => true,
        }
    }

    fn take(&mut self, piece: Piece, output: Output) -> anyhow::Result<()> {
        let counts = &mut self.position.counts;
        if piece.only_of_one && output.verdicts.len() > 1 {
            let why = "generic_error: one event of several failed, and the row does not say which: \
                       the record is in the archive";
            count(&mut counts.left, why, 1);
        } else {
            match &mut self.target {
                Target::Nowhere(dry) => dry.take(&piece, &output, counts),
                Target::Folder(folder) => {
                    counts.add(&piece, &output, None);
                    folder.take(&output);
                }
                Target::Routes(routes) => {
                    counts.add(&piece, &output, None);
                    routes.take(&output, piece.as_ref().batch.records.len());
                }
            }
        }
        self.bytes += piece.as_ref().bytes + piece.line.as_ref().map_or(0, |line| line.1.len());
        (self.position.place, self.position.tally) = (piece.place, piece.tally);
        let enough = match &self.target {
            Target::Routes(routes) => routes.part_bytes(),
            Target::Folder(_) | Target::Nowhere(_) => PART_BYTES,
        };
        if self.bytes >= enough { self.commit() } else { Ok(()) }
    }

    /// Ends the present part.
    fn commit(&mut self) -> anyhow::Result<()> {
        self.bytes = 0;
        self.position.parts += 1;
        match (&mut self.target, &self.progress) {
            (Target::Folder(folder), _) => self.position.files = folder.commit()?,
            (Target::Routes(routes), Some(progress)) => {
                let part = routes.end_of_part();
                progress.keep(&self.position, &part)?;
                routes.write(self.position.parts, &part)?;
            }
            (Target::Routes(_), None) => unreachable!("what goes to routes has a state"),
            (Target::Nowhere(_), _) => {}
        }
        self.progress.iter().try_for_each(|progress| progress.advance(&self.position))
    }

    /// Ends the replay, all of which is done.
    pub(super) fn finish(self, to: Option<&Destination>) -> anyhow::Result<ExitCode> {
        if let Target::Nowhere(dry) = self.target {
            dry.finish(&self.position.counts);
        }
        finish(to, self.progress, &self.position)
    }
}

/// Gives results their names, and says what came of it all.
pub(super) fn finish(
    to: Option<&Destination>,
    progress: Option<Progress>,
    position: &Position,
) -> anyhow::Result<ExitCode> {
    if let Some(to) = to {
        folder::finish(to, &position.files)?;
    }
    if progress.is_some() {
        terminal::tell(&position.counts.table());
    }
    match progress {
        // What is in a folder is seen there. Elsewhere only the state tells that it was done.
        Some(progress) if to.is_some() => progress.forget()?,
        _ => {}
    }
    let Tally { read, chosen, passed_over, left, damaged, damage } = &position.tally;
    for (name, count) in [("objects passed over", passed_over), ("read", read), ("chosen", chosen)]
    {
        terminal::tell(&format!("{name:<36} {count:>14}"));
    }
    for (why, count) in left.iter().chain(&position.counts.left) {
        terminal::note(&format!("snowmelt: left out: {count}, {why}"));
    }
    if *damaged == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    terminal::note(&format!("snowmelt: damaged objects, whose rest is left out: {damaged}"));
    damage.iter().for_each(|why| terminal::note(&format!("snowmelt: {why}")));
    Ok(ExitCode::from(EXIT_FAULTS))
}
