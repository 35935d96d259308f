//! Leases for people and for programs: a table, or JSON.

use std::fmt;
use std::time::Duration;

use lease::operator::Row;
use lease::{Lease, Position, ShardId};
use serde::Serialize;

/// Leases as they are shown.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    leases: Vec<Line>,
}

/// One lease.
#[derive(Debug, Serialize)]
struct Line {
    shard: String,
    owner: Option<String>,
    next_owner: Option<String>,
    /// Whether it was written while we looked.
    moved: bool,
    /// How long it has not been written; at least so long, if it has not moved.
    age_ms: u64,
    lag_ms: Option<u64>,
    /// In bytes per second.
    weight: u64,
    checkpoint: String,
    sub_sequence: u64,
    /// Where an `AT_TIMESTAMP` starts, in milliseconds since 1970.
    at_ms: Option<i64>,
    parents: Vec<String>,
    children: Vec<String>,
    owner_switches: u64,
    counter: u64,
    suspect: Option<String>,
}

impl Report {
    pub(super) fn of(rows: &[Row]) -> Report {
        Report { leases: rows.iter().map(line).collect() }
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and numbers are always JSON")
    }
}

fn line(row: &Row) -> Line {
    let Row { lease, age, moved } = row;
    let (checkpoint, sub_sequence) = lease.checkpoint.to_checkpoint();
    let names = |shards: &[ShardId]| shards.iter().map(ShardId::to_string).collect();
    Line {
        shard: lease.key.to_string(),
        owner: lease.owner.as_ref().map(ToString::to_string),
        next_owner: lease.next.as_ref().map(ToString::to_string),
        moved: *moved,
        age_ms: age.as_millis() as u64,
        lag_ms: lease.lag_ms,
        weight: lease.weight,
        checkpoint: checkpoint.to_owned(),
        sub_sequence,
        at_ms: match lease.checkpoint {
            Position::AtTimestamp(at) => at,
            _ => None,
        },
        parents: names(&lease.parents),
        children: names(&lease.children),
        owner_switches: lease.owner_switches,
        counter: lease.counter.0,
        suspect: lease.suspect.as_ref().map(ToString::to_string),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["SHARD", "OWNER", "AGE", "LAG", "WEIGHT", "CHECKPOINT", "PARENTS"];
        let mut rows = vec![head.map(str::to_owned)];
        rows.extend(self.leases.iter().map(|line| {
            let least = if line.moved { "" } else { ">" };
            let seconds = |ms| Duration::from_millis(ms).as_secs_f64();
            let checkpoint = match (line.sub_sequence, line.at_ms) {
                (0, None) => line.checkpoint.clone(),
                (0, Some(at)) => format!("{}/{at}", line.checkpoint),
                (sub_sequence, _) => format!("{}/{sub_sequence}", line.checkpoint),
            };
            [
                line.shard.clone(),
                line.owner.clone().unwrap_or_else(|| "-".to_owned()),
                format!("{least}{:.0}s", seconds(line.age_ms)),
                line.lag_ms.map_or_else(|| "-".to_owned(), |ms| format!("{:.1}s", seconds(ms))),
                format!("{}B/s", line.weight),
                checkpoint,
                if line.parents.is_empty() { "-".to_owned() } else { line.parents.join(",") },
            ]
        }));
        for row in &rows {
            let cells = row.iter().enumerate().map(|(column, cell)| {
                let width = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
                format!("{cell:width$}")
            });
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// A lease, and what was or would be done to it.
#[derive(Debug)]
pub(super) struct Done {
    /// As it is now.
    pub(super) lease: Lease,
    /// In words.
    pub(super) what: String,
}

pub(super) fn text(done: &[Done], meant: bool) -> String {
    let mut text = String::new();
    for Done { lease, what } in done {
        let owner = lease.owner.as_ref().map_or("nobody", |owner| owner.as_str());
        text += &format!("{}: {what} (owner {owner}, at {})\n", lease.key, lease.checkpoint);
    }
    if !meant {
        text += "nothing was changed; --yes does it\n";
    }
    text
}

pub(super) fn json(done: &[Done], meant: bool) -> String {
    let leases = done.iter().map(|Done { lease, what }| {
        serde_json::json!({
            "shard": lease.key.as_str(),
            "owner": lease.owner.as_ref().map(|owner| owner.as_str()),
            "checkpoint": lease.checkpoint.to_string(),
            "what": what,
        })
    });
    let leases: Vec<serde_json::Value> = leases.collect();
    serde_json::json!({ "changed": meant, "leases": leases }).to_string()
}
