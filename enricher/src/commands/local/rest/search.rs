//! The newer paths of Micro: events by their columns, in an order, by pages; and counts by time.
//!
//! Failed events stand here as far as they came, with their failures as entities. What failed
//! before it was an event is no event, and is told at `/micro/bad` alone.

use std::cmp::Ordering;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use event::{Field, flat, time, tsv};
use pipeline::Route;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use super::super::store::Kept;
use super::{ANSWER_BYTES, Asked, answered, body, refused, working};
use crate::config::instant;

/// Which events, in which order, and which part of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Query {
    page: u64,
    page_size: u64,
    filters: Vec<Column>,
    #[serde(default)]
    valid_events: Option<bool>,
    #[serde(default)]
    time_range: Option<Range>,
    #[serde(default)]
    sorting: Option<Sorting>,
}

/// A column that has one of some texts in it, letters in either case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Column {
    column: String,
    #[serde(default)]
    values: Option<Vec<String>>,
    /// As it was called when there could be one only.
    #[serde(default)]
    value: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sorting {
    column: String,
    desc: bool,
}

/// From a time to another: the first is in, the last is not.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    #[serde(default)]
    start: Option<Instant>,
    #[serde(default)]
    end: Option<Instant>,
}

/// Counts in these times are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Buckets {
    buckets: Vec<Bucket>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Bucket {
    start: Instant,
    end: Instant,
}

/// A time as it was written, and what it is in milliseconds since the epoch.
#[derive(Debug)]
struct Instant {
    text: String,
    ms: i64,
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Instant, D::Error> {
        let text = String::deserialize(from)?;
        let ms = instant(&text).ok_or_else(|| {
            D::Error::custom(format!("{text:?} is no time such as 2025-01-01T00:00:00Z"))
        })?;
        Ok(Instant { text, ms })
    }
}

impl Serialize for Instant {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl Range {
    fn has(&self, ms: Option<i64>) -> bool {
        let from = |start: &Instant| ms.is_some_and(|ms| ms >= start.ms);
        let to = |end: &Instant| ms.is_some_and(|ms| ms < end.ms);
        self.start.as_ref().is_none_or(from) && self.end.as_ref().is_none_or(to)
    }
}

impl Query {
    fn routes(&self) -> &'static [Route] {
        match self.valid_events {
            None => &[Route::Enriched, Route::Incomplete],
            Some(true) => &[Route::Enriched],
            Some(false) => &[Route::Incomplete],
        }
    }

    /// The events of a page, how many pages there are, and how many events.
    fn answer(&self, kept: &[Arc<Kept>]) -> (Vec<u8>, usize) {
        let mut found: Vec<Line<'_>> = kept.iter().filter_map(|kept| Line::of(kept)).collect();
        found.retain(|line| {
            self.filters.iter().all(|filter| filter.lets(line))
                && self.time_range.as_ref().is_none_or(|range| range.has(line.ms()))
        });
        if let Some(Sorting { column, desc }) = &self.sorting {
            found.sort_by_cached_key(|line| Key(line.column(column)));
            if *desc {
                found.reverse();
            }
        }
        let size = usize::try_from(self.page_size).unwrap_or(usize::MAX);
        let skipped = usize::try_from(self.page - 1).unwrap_or(usize::MAX).saturating_mul(size);
        let (total, pages) = (found.len(), found.len().div_ceil(size));
        let (mut out, mut left_out) = (b"{\"events\":[".to_vec(), 0);
        let start = out.len();
        for line in found.into_iter().skip(skipped).take(size) {
            let before = out.len();
            if before > start {
                out.push(b',');
            }
            line.write(&mut out);
            if left_out > 0 || out.len() > ANSWER_BYTES {
                out.truncate(before);
                left_out += 1;
            }
        }
        out.extend(format!("],\"totalPages\":{pages},\"totalItems\":{total}}}").bytes());
        (out, left_out)
    }
}

impl Column {
    fn lets(&self, line: &Line<'_>) -> bool {
        let text = line.column(&self.column).unwrap_or_default().to_lowercase();
        let has = |wanted: &String| text.contains(&wanted.to_lowercase());
        self.values.iter().flatten().chain(&self.value).any(has)
    }
}

/// An enriched line.
struct Line<'k> {
    text: &'k str,
    columns: [&'k str; 131],
}

impl<'k> Line<'k> {
    fn of(kept: &'k Kept) -> Option<Line<'k>> {
        let text = std::str::from_utf8(kept.line()).ok()?;
        Some(Line { text, columns: tsv::columns(text)? })
    }

    fn ms(&self) -> Option<i64> {
        time::parse_ms(self.columns[Field::CollectorTstamp as usize])
    }

    /// The text of a column, or of a member of the event's flat JSON, which has a name for each
    /// kind of entity.
    fn column(&self, name: &str) -> Option<String> {
        if let Some(field) = Field::from_name(name) {
            let text = self.columns[field as usize];
            return (!text.is_empty()).then(|| text.to_owned());
        }
        match self.flat()?.remove(name)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }

    fn flat(&self) -> Option<Map<String, Value>> {
        let mut out = Vec::new();
        flat::write_line(self.text, &mut out).ok()?;
        serde_json::from_slice(&out).ok()
    }

    /// As the analytics SDKs make it; of an event that they refuse, its columns as texts.
    fn write(&self, out: &mut Vec<u8>) {
        let before = out.len();
        if flat::write_line(self.text, out).is_err() {
            out.truncate(before);
            let columns = event::fields::FIELDS.into_iter().zip(self.columns);
            let texts = columns.filter(|(_, text)| !text.is_empty());
            let texts: Map<String, Value> =
                texts.map(|(field, text)| (field.name().to_owned(), text.into())).collect();
            serde_json::to_writer(out, &texts).expect("memory takes it");
        }
    }
}

/// What is sorted by: nothing before numbers, numbers before texts.
struct Key(Option<String>);

impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        let number = |key: &Key| key.0.as_ref().and_then(|text| text.parse::<f64>().ok());
        match (number(self), number(other)) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            (Some(_), None) if other.0.is_some() => Ordering::Less,
            (None, Some(_)) if self.0.is_some() => Ordering::Greater,
            _ => self.0.cmp(&other.0),
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}

/// A page of events.
pub(super) async fn events(State(rest): Asked, request: Request) -> Result<Response, Response> {
    let query: Query = needed(request).await?;
    if query.page == 0 || query.page_size == 0 {
        return Err(refused("page and pageSize are 1 or more"));
    }
    let blank = |filter: &&Column| filter.values.is_none() && filter.value.is_none();
    if let Some(filter) = query.filters.iter().find(blank) {
        let column = &filter.column;
        return Err(refused(&format!("the filter of {column} needs `values`, a list of texts")));
    }
    let kept = rest.settled(query.routes()).await?;
    let (body, left_out) = working(move || query.answer(&kept)).await;
    Ok(answered(body, left_out))
}

/// How many events there are in each of some times.
pub(super) async fn timeline(State(rest): Asked, request: Request) -> Result<Response, Response> {
    let Buckets { buckets } = needed(request).await?;
    let kept = rest.settled(&[Route::Enriched, Route::Incomplete]).await?;
    let points = working(move || points(buckets, &kept)).await;
    Ok(answered(json!({ "points": points }).to_string(), 0))
}

fn points(buckets: Vec<Bucket>, kept: &[Arc<Kept>]) -> Vec<Value> {
    let times = kept.iter().filter_map(|kept| Some((kept.route, Line::of(kept)?.ms()?)));
    let times: Vec<(Route, i64)> = times.collect();
    let count = |bucket: &Bucket, route: Route| {
        let within = |ms: i64| (bucket.start.ms..bucket.end.ms).contains(&ms);
        times.iter().filter(|(of, ms)| *of == route && within(*ms)).count()
    };
    let point = |bucket: Bucket| {
        let (valid, failed) = (count(&bucket, Route::Enriched), count(&bucket, Route::Incomplete));
        json!({"validEvents": valid, "failedEvents": failed, "bucket": bucket})
    };
    buckets.into_iter().map(point).collect()
}

/// What a request has to say in its body.
async fn needed<T: DeserializeOwned>(request: Request) -> Result<T, Response> {
    serde_json::from_slice(&body(request).await?).map_err(|error| refused(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_sorts_before_numbers_and_numbers_before_texts() {
        let texts = [Some("b"), Some("10"), None, Some("9"), Some("a"), Some("-1.5")];
        let mut keys: Vec<Key> = texts.map(|text| Key(text.map(str::to_owned))).into();
        keys.sort();
        let sorted: Vec<_> = keys.iter().map(|key| key.0.as_deref()).collect();
        assert_eq!(sorted, [None, Some("-1.5"), Some("9"), Some("10"), Some("a"), Some("b")]);
    }
}
