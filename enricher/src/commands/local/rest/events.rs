//! `/events`: what became of events, as soon as there are so many of a kind. A test that asks this
//! way needs no sleep.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::Response;
use event::flat;
use pipeline::Route;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::super::store::{Filter, Kept, Page};
use super::{ANSWER_BYTES, Asked, Rest, answered, came, refused, shapes, working};

/// Seconds that a question waits unless it says otherwise, and at most.
const TIMEOUT: (u64, u64) = (10, 600);

/// Events of an answer unless the question says otherwise.
const LIMIT: usize = 1000;

/// What is asked for.
#[derive(Debug, Default)]
struct Question {
    /// So many events are waited for.
    wait: usize,
    timeout: Option<u64>,
    after: u64,
    limit: Option<usize>,
    filter: Filter,
}

/// The names of what can be asked.
const NAMES: &str = "wait, timeout, after, limit, route, app, event, schema, text";

impl Question {
    fn of(pairs: Vec<(String, String)>) -> Result<Question, String> {
        let mut question = Question::default();
        for (name, value) in pairs {
            let filter = &mut question.filter;
            match name.as_str() {
                "wait" => question.wait = number(&name, &value)?,
                "timeout" => question.timeout = Some(number(&name, &value)?),
                "after" => question.after = number(&name, &value)?,
                "limit" => question.limit = Some(number(&name, &value)?),
                "route" => {
                    let routes = value.split(',').map(route).collect::<Result<Vec<_>, _>>()?;
                    filter.routes = Some(routes);
                }
                "app" => filter.app = Some(value),
                "event" => filter.event = Some(value),
                "schema" => filter.schema = Some(value),
                "text" => filter.text = Some(value),
                other => return Err(format!("{other:?} is none of {NAMES}")),
            }
        }
        if question.timeout.is_some_and(|seconds| seconds > TIMEOUT.1) {
            return Err(format!("timeout is at most {} seconds", TIMEOUT.1));
        }
        // An incomplete event is a bad one once more: who wants it asks for it.
        let usual = || vec![Route::Enriched, Route::Bad, Route::Parked];
        question.filter.routes.get_or_insert_with(usual);
        Ok(question)
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout.unwrap_or(TIMEOUT.0))
    }
}

fn number<N: FromStr>(name: &str, value: &str) -> Result<N, String> {
    value.parse().map_err(|_| format!("{name} is a number, not {value:?}"))
}

fn route(name: &str) -> Result<Route, String> {
    let shown = [Route::Enriched, Route::Bad, Route::Incomplete, Route::Parked];
    let found = shown.into_iter().find(|route| route.name() == name);
    found.ok_or_else(|| format!("{name:?} is none of enriched, bad, incomplete, parked"))
}

/// Answers when there are so many events, when all that came is worked where none are waited for,
/// or when there was no more time.
pub(super) async fn events(
    State(rest): Asked,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response, Response> {
    let question = Question::of(pairs).map_err(|why| refused(&why))?;
    if question.wait == 0 {
        rest.settle().await?;
    }
    let found = rest.wait(&question).await;
    let (body, left_out) = working(move || answer(&question, &found)).await;
    Ok(answered(body, left_out))
}

impl Rest {
    /// The events, newest first.
    async fn wait(&self, question: &Question) -> Vec<Arc<Kept>> {
        let Question { filter, after, wait, .. } = question;
        tokio::select! {
            biased;
            found = self.inner.store.wait(filter, *after, *wait) => return found,
            () = tokio::time::sleep(question.timeout()) => {}
            () = self.inner.stop.cancelled() => {}
        }
        self.find(filter.clone(), Page { after: *after, ..Page::default() }).await
    }
}

/// The body of an answer.
#[derive(Serialize)]
struct Answer<'a> {
    /// Whether as many events came as were waited for.
    complete: bool,
    /// The newest of them, oldest first.
    events: Vec<Told<'a>>,
    /// To be given as `after`: later questions are about later events.
    next: u64,
}

/// An event and what became of it.
#[derive(Serialize)]
struct Told<'a> {
    number: u64,
    route: &'static str,
    processed: String,
    event_id: &'a str,
    app_id: &'a str,
    event_name: &'a str,
    schemas: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<Box<RawValue>>,
}

fn answer(question: &Question, found: &[Arc<Kept>]) -> (Vec<u8>, usize) {
    let next = found.iter().map(|kept| kept.number).max().unwrap_or(question.after);
    let complete = found.len() >= question.wait;
    let most = question.limit.unwrap_or(LIMIT);
    let mut bytes = 0;
    let shown = found.iter().take(most).take_while(|kept| {
        bytes += 4 * kept.line().len();
        bytes <= ANSWER_BYTES
    });
    let mut shown: Vec<_> = shown.collect();
    shown.sort_by(|a, b| came(a).cmp(&came(b)));
    let events: Vec<_> = shown.into_iter().map(|kept| told(kept)).collect();
    let left_out = found.len() - events.len();
    let answer = Answer { complete, events, next };
    (serde_json::to_vec(&answer).expect("names are texts"), left_out)
}

fn told(kept: &Kept) -> Told<'_> {
    let line = String::from_utf8_lossy(kept.line());
    let of_events = kept.route.is_of_events();
    let event = of_events.then(|| flat_json(&line)).flatten();
    let row = match of_events {
        true => None,
        false => RawValue::from_string(line.into_owned()).ok(),
    };
    Told {
        number: kept.number,
        route: kept.route.name(),
        processed: shapes::instant(kept.at_ms),
        event_id: &kept.id,
        app_id: &kept.app,
        event_name: &kept.event,
        schemas: kept.schemas.iter().map(|schema| &**schema).collect(),
        why: (!of_events).then_some(&*kept.gist),
        event,
        row,
    }
}

/// As the analytics SDKs make it; nothing of an event that they refuse.
fn flat_json(line: &str) -> Option<Box<RawValue>> {
    let mut out = Vec::new();
    flat::write_line(line, &mut out).ok()?;
    let text = String::from_utf8(out).ok()?;
    RawValue::from_string(text).or_else(|_| to_raw_value(&())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_read_or_refused_by_name() {
        let of = |query: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            Question::of(pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).collect())
        };
        let question = of("wait=3&timeout=2&route=bad,parked&app=sh*p&after=7").expect("right");
        assert_eq!((question.wait, question.after), (3, 7));
        assert_eq!(question.timeout(), Duration::from_secs(2));
        assert_eq!(question.filter.routes, Some(vec![Route::Bad, Route::Parked]));
        assert_eq!(question.filter.app.as_deref(), Some("sh*p"));
        for (query, why) in [
            ("wiat=3", "\"wiat\" is none of wait,"),
            ("wait=three", "wait is a number, not \"three\""),
            ("route=good", "\"good\" is none of enriched, bad,"),
            ("timeout=601", "at most 600 seconds"),
        ] {
            let said = of(query).expect_err("it is wrong");
            assert!(said.contains(why), "{said}");
        }
        assert_eq!(of("").expect("nothing").filter.routes.map(|all| all.len()), Some(3));
    }
}
