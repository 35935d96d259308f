//! What of an input is replayed: by time, application, schema and reason.

use std::sync::Arc;

use pipeline::replay::{About, Criterion};

use crate::config;
use crate::exit::Usage;

/// What is replayed; nothing given means everything.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ChoiceArgs {
    /// Only what came at this time or later: milliseconds since the epoch, or
    /// 2024-05-01T10:11:12.345Z.
    #[arg(long, value_name = "TIME", value_parser = config::moment, allow_hyphen_values = true)]
    since: Option<i64>,
    /// Only what came before this time.
    #[arg(long, value_name = "TIME", value_parser = config::moment, allow_hyphen_values = true)]
    until: Option<i64>,
    /// Only events of this application, as the tracker names it. May be given for many.
    #[arg(id = "of_app", long = "app", value_name = "ID")]
    apps: Vec<String>,
    /// Only events of this schema or with an entity of it: iglu:com.acme/checkout, or
    /// iglu:com.acme/checkout/jsonschema/1-*-*. May be given for many.
    #[arg(id = "of_schema", long = "schema", value_name = "IGLU-URI", value_parser = schema)]
    schemas: Vec<Schema>,
    /// Only bad rows and parked records of this reason: schema_violations, ResolutionError, the
    /// name of an enrichment, of a field or of an endpoint, or schemas_unavailable,
    /// lookups_unavailable, killed_workers, compressed. May be given for many.
    #[arg(id = "of_reason", long = "reason", value_name = "WORD")]
    reasons: Vec<String>,
}

/// A schema as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Schema {
    text: String,
    criterion: Criterion,
}

fn schema(text: &str) -> Result<Schema, String> {
    Ok(Schema { text: text.to_owned(), criterion: Criterion::parse(text)? })
}

/// What is chosen.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    since: Option<i64>,
    until: Option<i64>,
    /// What events have to be about.
    pub(super) about: Arc<About>,
    reasons: Vec<String>,
}

impl ChoiceArgs {
    /// Refuses what chooses nothing.
    pub(super) fn check(&self) -> Result<(), String> {
        match (self.since, self.until) {
            (Some(since), Some(until)) if since >= until => {
                Err("--since: expected a time before --until".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// What is chosen.
    pub(super) fn choice(&self) -> Choice {
        let schemas = self.schemas.iter().map(|schema| schema.criterion.clone()).collect();
        let about = Arc::new(About { apps: self.apps.clone(), schemas });
        Choice { since: self.since, until: self.until, about, reasons: self.reasons.clone() }
    }

    /// The arguments in words that two runs can be compared by.
    pub(super) fn words(&self) -> Vec<String> {
        let ChoiceArgs { since, until, apps, schemas, reasons } = self;
        let times = [("--since", since), ("--until", until)].into_iter();
        let times = times.filter_map(|(name, time)| Some(format!("{name} {}", (*time)?)));
        let apps = apps.iter().map(|app| format!("--app {app}"));
        let schemas = schemas.iter().map(|schema| format!("--schema {}", schema.text));
        let reasons = reasons.iter().map(|reason| format!("--reason {reason}"));
        times.chain(apps).chain(schemas).chain(reasons).collect()
    }
}

impl Choice {
    /// Whether what came then, and is where it is for these reasons, is chosen.
    pub(super) fn takes(&self, came_ms: Option<i64>, reasons: &[String]) -> bool {
        self.in_time(came_ms)
            && (self.reasons.is_empty() || self.reasons.iter().any(|it| reasons.contains(it)))
    }

    /// Refuses to choose by reason what has none.
    pub(super) fn check_archive(&self, name: &str) -> Result<(), Usage> {
        if self.reasons.is_empty() {
            return Ok(());
        }
        Err(Usage(format!(
            "{name}: --reason is about bad rows and parked records, and here are records as they \
             came, of which nobody knows what they became"
        )))
    }

    /// Whether nothing that came from the one time to the other is chosen.
    pub(super) fn takes_nothing_of(&self, (first_ms, last_ms): (i64, i64)) -> bool {
        self.since.is_some_and(|since| last_ms < since)
            || self.until.is_some_and(|until| until <= first_ms)
    }

    /// From when on.
    pub(super) fn since_ms(&self) -> Option<i64> {
        self.since
    }

    /// Until when.
    pub(super) fn until_ms(&self) -> Option<i64> {
        self.until
    }

    /// Whether times matter.
    pub(super) fn is_by_time(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }

    /// Whether what came then is chosen. What nobody knows the time of is.
    fn in_time(&self, came_ms: Option<i64>) -> bool {
        let Some(came_ms) = came_ms else { return true };
        self.since.is_none_or(|since| since <= came_ms)
            && self.until.is_none_or(|until| came_ms < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_chosen_from_its_first_to_before_its_last_moment() {
        let choice = |since, until| ChoiceArgs { since, until, ..ChoiceArgs::default() }.choice();
        for (since, until, came, expected) in [
            (None, None, Some(5), true),
            (Some(5), None, Some(5), true),
            (Some(5), None, Some(4), false),
            (None, Some(5), Some(5), false),
            (None, Some(5), Some(4), true),
            (Some(5), Some(6), None, true),
        ] {
            let choice = choice(since, until);
            assert_eq!(choice.takes(came, &[]), expected, "{since:?} {until:?} {came:?}");
        }
        let middle = choice(Some(5), Some(9));
        for (range, nothing) in [((1, 4), true), ((1, 5), false), ((8, 9), false), ((9, 9), true)] {
            assert_eq!(middle.takes_nothing_of(range), nothing, "{range:?}");
        }
        assert!(middle.is_by_time() && !choice(None, None).is_by_time());
        let backwards = ChoiceArgs { since: Some(5), until: Some(5), ..ChoiceArgs::default() };
        assert!(backwards.check().is_err() && ChoiceArgs::default().check().is_ok());
    }
}
