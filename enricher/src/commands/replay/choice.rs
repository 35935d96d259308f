//! What of an input is replayed: by time, application, schema and reason.

use std::sync::Arc;

use pipeline::replay::{About, Criterion};

use crate::config;

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
        Choice { since: self.since, until: self.until, about }
    }

    /// The arguments in words that two runs can be compared by.
    pub(super) fn words(&self) -> Vec<String> {
        let ChoiceArgs { since, until, apps, schemas } = self;
        let times = [("--since", since), ("--until", until)].into_iter();
        let times = times.filter_map(|(name, time)| Some(format!("{name} {}", (*time)?)));
        let apps = apps.iter().map(|app| format!("--app {app}"));
        let schemas = schemas.iter().map(|schema| format!("--schema {}", schema.text));
        times.chain(apps).chain(schemas).collect()
    }
}

impl Choice {
    /// Whether what came then is chosen. What nobody knows the time of is.
    pub(super) fn takes(&self, came_ms: Option<i64>) -> bool {
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
            assert_eq!(choice.takes(came), expected, "{since:?} {until:?} {came:?}");
        }
        let backwards = ChoiceArgs { since: Some(5), until: Some(5), ..ChoiceArgs::default() };
        assert!(backwards.check().is_err() && ChoiceArgs::default().check().is_ok());
    }
}
