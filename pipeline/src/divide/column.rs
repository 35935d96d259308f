//! What a line tells of itself: the columns that conditions and folders may name.
//!
//! A line of events has its 131 columns. A bad row has as many of them as the event in it had, and
//! `kind`, which is what its schema calls it; of a request that never became an event, `app_id` and
//! `platform` are its parameters. A parked record has its reason as `kind`, and a text that was too
//! large the route that it was for.

use std::collections::HashMap;

use event::Field;
use serde_json::Value;

use crate::Route;

/// Something that a line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Column {
    /// A column of enriched events.
    Field(Field),
    /// What a bad row, or a parked record, is about.
    Kind,
}

impl Column {
    /// A column of the lines of a route. The error says what is wrong with the name.
    pub(super) fn named(name: &str, route: Route) -> Result<Column, String> {
        let field = Field::from_name(name).map(Column::Field);
        let kind = (name == "kind").then_some(Column::Kind);
        let column = match route {
            Route::Raw => {
                let what = "records are archived as they came: nothing is known of their columns";
                return Err(what.to_owned());
            }
            Route::Parked | Route::Oversized if kind.is_none() => {
                let name = route.name();
                return Err(format!("lines of `{name}` have no column but `kind`"));
            }
            Route::Bad | Route::Parked | Route::Oversized => kind.or(field),
            Route::Enriched | Route::Pii | Route::Incomplete => field,
        };
        column.ok_or_else(|| format!("unknown column `{name}`"))
    }

    /// How many columns of a line have to be found.
    fn needs(self) -> usize {
        match self {
            Column::Field(field) => field as usize + 1,
            Column::Kind => 0,
        }
    }
}

/// How far into a line one must look for some columns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reach(usize);

impl Reach {
    pub(super) fn add(&mut self, column: Column) {
        self.0 = self.0.max(column.needs());
    }

    pub(super) fn max(self, other: Reach) -> Reach {
        Reach(self.0.max(other.0))
    }
}

/// The columns of a line.
pub(super) enum Seen<'l> {
    /// Of a line of events: the line, and where each column ends.
    Event { line: &'l [u8], ends: &'l [usize] },
    /// Of a line of JSON.
    Row { kind: String, columns: HashMap<Field, String> },
}

impl<'l> Seen<'l> {
    /// All columns of a line. `ends` is room that is used again.
    #[cfg(test)]
    pub(super) fn of(route: Route, line: &'l [u8], ends: &'l mut Vec<usize>) -> Seen<'l> {
        Seen::within(route, Reach(usize::MAX), line, ends)
    }

    /// The columns of a line as far as somebody wants to know them.
    pub(super) fn within(
        route: Route,
        reach: Reach,
        line: &'l [u8],
        ends: &'l mut Vec<usize>,
    ) -> Seen<'l> {
        if !route.is_of_events() {
            return row(route, line);
        }
        ends.clear();
        ends.extend(memchr::memchr_iter(b'\t', line).take(reach.0));
        if ends.len() < reach.0 {
            ends.push(line.len());
        }
        Seen::Event { line, ends }
    }

    /// A column's text; empty where it is not set.
    pub(super) fn text(&self, column: Column) -> &[u8] {
        match (self, column) {
            (Seen::Event { line, ends }, Column::Field(field)) => {
                let at = field as usize;
                let start = at.checked_sub(1).map_or(Some(0), |n| ends.get(n).map(|end| end + 1));
                start.zip(ends.get(at)).map_or(&[], |(start, end)| &line[start..*end])
            }
            (Seen::Row { columns, .. }, Column::Field(field)) => {
                columns.get(&field).map_or(&[], |text| text.as_bytes())
            }
            (Seen::Row { kind, .. }, Column::Kind) => kind.as_bytes(),
            (Seen::Event { .. }, Column::Kind) => &[],
        }
    }
}

/// What a line of JSON tells.
fn row(route: Route, line: &[u8]) -> Seen<'static> {
    let row: Value = serde_json::from_slice(line).unwrap_or_default();
    let (kind, columns) = match route {
        Route::Bad => {
            let schema = row["schema"].as_str().unwrap_or_default();
            (schema.split('/').nth(1).unwrap_or_default(), of_bad_row(&row["data"]["payload"]))
        }
        Route::Parked => {
            let reason = row["reason"].as_object().and_then(|reason| reason.keys().next());
            (reason.map_or("", String::as_str), HashMap::new())
        }
        _ => (row["route"].as_str().unwrap_or_default(), HashMap::new()),
    };
    Seen::Row { kind: kind.to_owned(), columns }
}

fn of_bad_row(payload: &Value) -> HashMap<Field, String> {
    const PARAMETERS: [(&str, Field); 2] = [("aid", Field::AppId), ("p", Field::Platform)];
    let mut columns = HashMap::new();
    let raw = payload.get("raw").unwrap_or(payload);
    for list in [&raw["parameters"], &raw["querystring"]] {
        for parameter in list.as_array().into_iter().flatten() {
            let (name, value) = (parameter["name"].as_str(), parameter["value"].as_str());
            let field = PARAMETERS.iter().find(|(known, _)| Some(*known) == name);
            if let (Some((_, field)), Some(value)) = (field, value) {
                columns.insert(*field, value.to_owned());
            }
        }
    }
    for (name, value) in payload["enriched"].as_object().into_iter().flatten() {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if let Some(field) = Field::from_name(name) {
            columns.insert(field, text);
        }
    }
    columns
}
