//! The account at the end of a run: what was sent against what is in the output files.

use std::fmt;
use std::path::Path;

use pipeline::Route;

use super::ledger::Counts;
use crate::sink::local::Folder;
use crate::source::local::Sum;
use crate::worker::destinations::{LOCAL_TABLES, json_folder};

/// What was sent, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) sent: Sum,
    /// Records of the stream that are not worked on yet.
    pub(super) left: u64,
    pub(super) counts: Counts,
}

impl Account {
    /// Whether nothing is missing and nothing is there that should not be. Bad rows carry no id of
    /// their own, so surplus ones are repetitions; what is parked may be any of both.
    pub(super) fn adds_up(&self) -> bool {
        let surplus = self.sent.unforetold == 0 && self.counts.enriched > self.sent.good;
        self.left > 0 || ((self.missing() == 0 || self.parked() > 0) && !surplus)
    }

    fn bad(&self) -> u64 {
        self.counts.bad.values().sum()
    }

    fn parked(&self) -> u64 {
        self.counts.others.get(Route::Parked.name()).copied().unwrap_or_default()
    }

    fn foretold(&self) -> bool {
        self.sent.good + self.sent.bad > 0
    }

    fn missing(&self) -> u64 {
        let enriched = self.sent.good.saturating_sub(self.counts.enriched);
        enriched + self.sent.bad.saturating_sub(self.bad())
    }

    fn duplicates(&self) -> u64 {
        match self.sent.unforetold {
            0 => self.counts.repeated + self.bad().saturating_sub(self.sent.bad),
            // Nobody knows how many bad rows there should be.
            _ => self.counts.repeated,
        }
    }

    fn verdict(&self) -> &'static str {
        match (self.left, self.adds_up()) {
            (0, true) if self.parked() > 0 => {
                "some records wait in parked/ for what could not be asked: a schema registry, or\n\
                 a look-up. Take them up with `snowmelt enrich`"
            }
            (0, true) if self.sent.unforetold > 0 => "all that was received is in the outputs",
            (0, true) => "adds up: every event sent is in the outputs",
            (0, false) => "DOES NOT ADD UP",
            _ => "stopped early: run again with the same --dir to go on",
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, count: u64| writeln!(f, "{name:<18} {count:>10}");
        if self.sent.unforetold > 0 {
            row("requests received", self.sent.unforetold)?;
        }
        if self.foretold() || self.sent.unforetold == 0 {
            row("events sent", self.sent.good + self.sent.bad)?;
            row("  to be enriched", self.sent.good)?;
            row("  to be bad rows", self.sent.bad)?;
        }
        row("enriched", self.counts.enriched)?;
        row("bad rows", self.bad())?;
        for (kind, count) in &self.counts.bad {
            writeln!(f, "  {count:>7} {kind}")?;
        }
        let mut row = |name: &str, count: u64| writeln!(f, "{name:<18} {count:>10}");
        for (route, lines) in &self.counts.others {
            row(route, *lines)?;
        }
        row("duplicates", self.duplicates())?;
        if self.left == 0 && self.sent.unforetold == 0 && self.parked() == 0 {
            row("missing", self.missing())?;
        } else if self.left > 0 {
            writeln!(f, "not worked on yet  {:>10} records", self.left)?;
        }
        writeln!(f, "output files       {:>10}", self.counts.objects)?;
        f.write_str(self.verdict())
    }
}

/// What can be looked at, of each route that has anything, and what to do next.
pub(super) fn next(dir: &Path) -> anyhow::Result<String> {
    let (folder, place) = (Folder::new(dir), dir.display());
    let mut said = format!("outputs, a folder for each in {place}, and the newest file of each:");
    let folders = Route::ALL.map(|route| [route.name().to_owned(), json_folder(route)]);
    for name in folders.concat() {
        if let Some(newest) = folder.objects(&name)?.last() {
            said += &format!("\n  zstd -dc {} | head -n 1", newest.display());
        }
    }
    if dir.join(LOCAL_TABLES).join("events").is_dir() {
        said += &format!(
            "\n\
             SQL: snowmelt query --data {place}/{LOCAL_TABLES} 'SELECT count(*) FROM events'"
        );
    }
    said += &format!(
        "\n\
         again, with other events: the same command; all over: --reset\n\
         schemas of your own:      {place}/schemas/VENDOR/NAME/jsonschema/1-0-0\n\
         with your own payloads:   snowmelt enrich --input FILE --output DIR\n\
         with your own streams:    snowmelt init DIR"
    );
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_output_is_in_the_account_and_what_waits_is_no_loss() {
        let sent = Sum { records: 9, good: 9, bad: 1, unforetold: 0 };
        let bad = [("schema_violations".to_owned(), 1)].into();
        let counts = Counts { enriched: 9, bad, objects: 3, ..Counts::default() };
        let mut account = Account { sent, left: 0, counts };
        assert!(account.adds_up() && account.to_string().ends_with("is in the outputs"));
        account.counts.enriched = 8;
        assert!(
            !account.adds_up() && account.to_string().contains("missing                     1")
        );
        account.counts.others = [("parked".to_owned(), 1), ("incomplete".to_owned(), 4)].into();
        let said = account.to_string();
        assert!(account.adds_up() && said.contains("wait in parked/"), "{said}");
        assert!(said.contains("parked                      1\n"), "{said}");
        assert!(said.contains("incomplete                  4\n"), "{said}");
        assert!(said.lines().all(|line| line.len() <= 80), "{said}");
        account.counts.enriched = 10;
        assert!(!account.adds_up(), "there is more than was sent");
    }
}
