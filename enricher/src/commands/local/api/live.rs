//! Server-sent events: how the run stands, once a second, and that there are new events, as soon as
//! there are, but not more often than anybody can see.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::{Answer, Api, Parts, Refused};
use crate::commands::local::beats::Beat;

/// New events are told of at most so often.
const PAUSE: Duration = Duration::from_millis(200);

/// So many seconds of each shard are told at first.
const SECONDS: usize = 60;

/// One page that listens.
struct Listener {
    parts: Arc<Parts>,
    beats: watch::Receiver<Beat>,
    newest: watch::Receiver<u64>,
    greeted: bool,
    _place: OwnedSemaphorePermit,
}

/// Tells until the run stops taking events.
pub(super) async fn live(State(Api(parts)): State<Api>) -> Answer {
    let room = Arc::clone(&parts.listeners);
    let full = |_| Refused(StatusCode::SERVICE_UNAVAILABLE, "too many pages are open".to_owned());
    let place = room.try_acquire_owned().map_err(full)?;
    let (beats, newest) = (parts.beats.subscribe(), parts.store.newest());
    let listener = Listener { parts, beats, newest, greeted: false, _place: place };
    let events = stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    let answer: Response = Sse::new(events).keep_alive(KeepAlive::default()).into_response();
    Ok(answer)
}

impl Listener {
    async fn next(&mut self) -> Option<Event> {
        if !self.greeted {
            self.greeted = true;
            return Some(self.greeting());
        }
        let stop = self.parts.stop.clone();
        tokio::select! {
            () = stop.cancelled() => None,
            changed = self.beats.changed() => {
                changed.ok()?;
                Event::default().event("beat").json_data(&*self.beats.borrow_and_update()).ok()
            }
            changed = self.newest.changed() => {
                changed.ok()?;
                tokio::time::sleep(PAUSE).await;
                let newest = *self.newest.borrow_and_update();
                let store = &self.parts.store;
                let told = json!({"newest": newest, "totals": store.totals(), "kept": store.len()});
                Event::default().event("newest").json_data(told).ok()
            }
        }
    }

    /// What a page needs to begin with.
    fn greeting(&self) -> Event {
        let Parts { store, pulse, dir, .. } = &*self.parts;
        let program = crate::process::this_program();
        let told = json!({
            "version": program.version,
            "dir": dir.display().to_string(),
            "newest": *self.newest.borrow(),
            "totals": store.totals(),
            "kept": store.len(),
            "seconds": pulse.seconds(),
            "shards": pulse.shards(SECONDS),
        });
        Event::default().event("hello").json_data(told).expect("JSON can be written")
    }
}
