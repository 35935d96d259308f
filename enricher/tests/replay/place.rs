//! A folder with records and archives, in which commands are run.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use pipeline::archive::Archived;

pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Place {
        Place(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.at(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("UTF-8")
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("it is ours");
        fs::write(path, bytes).expect("it is ours");
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snowmelt"));
        command.current_dir(self.0.path()).args(args);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary runs")
    }

    /// Runs a command that has to end with a code; what it said.
    pub(crate) fn check(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        said
    }

    /// So many synthetic records, of which some are bad.
    pub(crate) fn records(&self, count: usize, bad: &str) -> Vec<Vec<u8>> {
        // A payload has a few events.
        let events = (count * 12).to_string();
        let to = ["--seed", "7", "--now", "0", "--output", "records.bin"];
        let args = [&["generate", "--events", &events, "--bad", bad][..], &to].concat();
        self.check(&args, 0);
        let bytes = self.read("records.bin");
        let mut rest = bytes.as_slice();
        let mut records = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk() {
            let (record, after) = after.split_at(u32::from_be_bytes(*length) as usize);
            records.push(record.to_vec());
            rest = after;
        }
        assert!(records.len() >= count, "{} records", records.len());
        records.truncate(count);
        let end = records.iter().map(|record| record.len() + 4).sum();
        self.write("records.bin", &bytes[..end]);
        records
    }

    /// Records as an archive has them: in turns from two shards, some packed in turns, one each
    /// second from 0 on.
    pub(crate) fn archive(&self, records: &[Vec<u8>], per_object: usize) -> usize {
        let objects = records.chunks(per_object).enumerate();
        for (number, records) in objects.clone() {
            let mut bytes = Vec::new();
            for (index, data) in records.iter().enumerate() {
                let at = number * per_object + index;
                let record = Archived {
                    stream: "raw",
                    shard: ["shard-1", "shard-2"][index / 50 % 2],
                    sequence: &at.to_string(),
                    sub_sequence: (at % 3) as u64,
                    arrived_ms: Some(at as i64 * 1_000),
                    partition_key: "",
                    data,
                };
                record.write(&mut bytes);
            }
            let name = format!("raw/date=1970-01-01/hour=00/{number:05}.records");
            match number % 2 {
                0 => self
                    .write(&format!("{name}.zst"), zstd::encode_all(&*bytes, 1).expect("packed")),
                _ => self.write(&name, bytes),
            }
        }
        objects.count()
    }
}

/// How the closing table has a count.
pub(crate) fn row(name: &str, count: usize) -> String {
    format!("{name:<36} {count:>14}")
}
