//! How far a replay has come, in a small folder: what it is about, written once, and its position,
//! written anew after each part. Both appear whole or not at all, so whoever runs the same command
//! after a crash goes on where the last whole part ended.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::routes::Written;
use super::tally::{Place, Tally};
use crate::exit::Usage;

const PLAN: &str = "plan.json";
const POSITION: &str = "position.json";
const PART: &str = "part.json";
const LOCK: &str = "lock";

/// The version of these files.
const VERSION: u32 = 1;

/// What a replay is about. It never changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    version: u32,
    /// Tells this replay from all others.
    pub(super) id: String,
    /// When it began, in milliseconds since 1970: the time that is stamped on what it makes.
    pub(super) begun_ms: i64,
    /// The arguments that decide what comes of it.
    arguments: Vec<String>,
    /// What is read, in order, by names and sizes: what comes later is no part of it.
    pub(super) objects: Vec<(String, Option<u64>)>,
}

/// How far it has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Position {
    /// Everything before this place is done.
    pub(super) place: Place,
    /// How many parts are done.
    pub(super) parts: u64,
    /// Files in the making, by how many bytes of them count.
    pub(super) files: BTreeMap<String, u64>,
    /// What was met so far.
    pub(super) tally: Tally,
    /// What was, and what became of it.
    pub(super) counts: Counts,
    /// Whether all is done.
    pub(super) done: bool,
}

/// The folder.
pub(super) struct Progress {
    folder: PathBuf,
    /// Held as long as the replay runs.
    _lock: File,
}

/// Whether a replay was begun in a folder.
pub(super) fn is_begun(folder: &Path) -> bool {
    folder.join(PLAN).exists()
}

impl Progress {
    /// Takes the folder, which nobody else may be using.
    pub(super) fn take(folder: &Path) -> anyhow::Result<Progress> {
        let failed = || format!("cannot use {}", folder.display());
        std::fs::create_dir_all(folder).with_context(failed)?;
        let lock = File::create(folder.join(LOCK)).with_context(failed)?;
        lock.try_lock()
            .map_err(|_| Usage(format!("{}: another replay is using it", folder.display())))?;
        Ok(Progress { folder: folder.to_owned(), _lock: lock })
    }

    /// What was begun here, and how far it has come; `None` if nothing was.
    pub(super) fn begun(&self) -> anyhow::Result<Option<(Plan, Position)>> {
        let Some(plan) = self.read::<Plan>(PLAN)? else { return Ok(None) };
        if plan.version != VERSION {
            let (folder, version) = (self.folder.display(), plan.version);
            let why = format!("{folder}: expected a replay of version {VERSION}, found {version}");
            return Err(Usage(why).into());
        }
        Ok(Some((plan, self.read(POSITION)?.unwrap_or_default())))
    }

    /// Begins anew: what was here is forgotten.
    pub(super) fn begin(&self, plan: &Plan) -> anyhow::Result<()> {
        // A plan without a position is at its beginning; a position without a plan is nothing.
        for file in [PLAN, POSITION, PART] {
            match std::fs::remove_file(self.folder.join(file)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("{}", self.folder.display()));
                }
                _ => {}
            }
        }
        self.write(PLAN, plan)
    }

    /// Everything before the position is durable.
    pub(super) fn advance(&self, position: &Position) -> anyhow::Result<()> {
        self.write(POSITION, position)
    }

    /// Keeps a part that goes somewhere else, and the position that is behind it then.
    pub(super) fn keep(&self, position: &Position, part: &Written) -> anyhow::Result<()> {
        self.write(PART, &(position, part))
    }

    /// The part that was kept, unless the position is behind it already.
    pub(super) fn kept(&self, position: &Position) -> anyhow::Result<Option<(Position, Written)>> {
        let kept = self.read::<(Position, Written)>(PART)?;
        Ok(kept.filter(|(after, _)| after.parts > position.parts))
    }

    /// Removes the folder, whose replay has nothing left to do.
    pub(super) fn forget(self) -> anyhow::Result<()> {
        let failed = || format!("cannot remove {}", self.folder.display());
        std::fs::remove_dir_all(&self.folder).with_context(failed)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<T>> {
        let path = self.folder.join(name);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let read = serde_json::from_slice(&text);
        let read = read.map_err(|why| Usage(format!("{}: {why}", path.display())))?;
        Ok(Some(read))
    }

    fn write(&self, name: &str, what: &impl Serialize) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        let text = serde_json::to_vec(what).expect("texts and numbers make JSON");
        write(&path, &text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Writes a file that is there whole or as it was before, whatever happens to the machine.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file = File::create(&unfinished)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

impl Plan {
    /// A replay that begins now.
    pub(super) fn new(
        arguments: Vec<String>,
        objects: Vec<(String, Option<u64>)>,
        begun_ms: i64,
    ) -> Plan {
        let id = format!("{begun_ms:x}-{:04x}", fastrand::u16(..));
        Plan { version: VERSION, id, begun_ms, arguments, objects }
    }

    /// Refuses to go on with what was not asked for.
    pub(super) fn check(&self, arguments: &[String], folder: &Path) -> Result<(), Usage> {
        if self.arguments == arguments {
            return Ok(());
        }
        Err(Usage(format!(
            "{} has the beginning of another replay, `{}`: run that to its end, or begin anew with \
             --force",
            folder.display(),
            self.arguments.join(" ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_is_found_as_it_was_left() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("state");
        let progress = Progress::take(&folder).expect("nobody else has it");
        assert!(Progress::take(&folder).is_err(), "two at a time");
        assert!(progress.begun().expect("it can be read").is_none());
        let plan = Plan::new(vec!["--app a".to_owned()], vec![("x".to_owned(), Some(3))], 7);
        progress.begin(&plan).expect("it can be written");
        let (found, position) = progress.begun().expect("it can be read").expect("it was begun");
        assert_eq!((found.id, position.place), (plan.id.clone(), Place::default()));
        let place = Place { entries: 4, ..Place::beginning_of(1) };
        let position = Position { place: place.clone(), parts: 2, ..Position::default() };
        progress.advance(&position).expect("it can be written");
        // Half a file of an attempt that was cut off is no position.
        std::fs::write(folder.join("position.unfinished"), "{").expect("it is ours");
        let (_, found) = progress.begun().expect("it can be read").expect("it was begun");
        assert_eq!((found.place, found.parts), (place, 2));
        assert!(plan.check(&["--app a".to_owned()], &folder).is_ok());
        assert!(plan.check(&["--app b".to_owned()], &folder).is_err());
        progress.begin(&plan).expect("it can be written");
        let (_, found) = progress.begun().expect("it can be read").expect("it was begun");
        assert_eq!(found.place, Place::default(), "a new one begins at the beginning");
        progress.forget().expect("it is ours");
        assert!(!folder.exists());
    }
}
