//! The older paths of Micro: all events that are good, or bad, as their public documentation
//! describes them.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use event::reason::{RegistryError, RegistryHistory};
use event::{SchemaKey, convert};
use pipeline::Route;
use resolver::Unpublished;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::shapes::{self, About};
use super::{Asked, answered, json_type, question, refused, working};

/// Which good events; what is left out may be anything.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Good {
    event_type: Option<String>,
    schema: Option<String>,
    contexts: Option<Vec<String>>,
    limit: Option<usize>,
}

/// Which bad events.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bad {
    vendor: Option<String>,
    version: Option<String>,
    limit: Option<usize>,
}

impl Good {
    /// Whether an event is one of them.
    fn lets(&self, about: &About<'_>) -> bool {
        // `pv` and `page_view` are one type, as trackers and columns name it.
        let of_type = |wanted: &String| {
            wanted == about.event || convert::event_type(wanted) == Some(about.event)
        };
        let described = |wanted: &String| {
            about.event == "unstruct" && about.schema.as_deref().is_some_and(|is| same(wanted, is))
        };
        let has = |wanted: &String| about.contexts.iter().any(|is| same(wanted, is));
        self.event_type.as_ref().is_none_or(of_type)
            && self.schema.as_ref().is_none_or(described)
            && self.contexts.iter().flatten().all(has)
    }
}

impl Bad {
    fn lets(&self, vendor: Option<&str>, version: Option<&str>) -> bool {
        let same = |wanted: &Option<String>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| is == Some(wanted))
        };
        same(&self.vendor, vendor) && same(&self.version, version)
    }
}

/// Whether two names of a schema are of the same, with or without the scheme.
fn same(a: &str, b: &str) -> bool {
    let bare = |text: &str| text.strip_prefix("iglu:").unwrap_or(text).to_owned();
    bare(a) == bare(b)
}

/// How many there are.
pub(super) async fn all(State(rest): Asked) -> Result<Response, Response> {
    rest.settle().await?;
    let totals = rest.inner.store.totals();
    Ok(summary(totals.enriched, totals.bad))
}

fn summary(good: u64, bad: u64) -> Response {
    answered(json!({"total": good + bad, "good": good, "bad": bad}).to_string(), 0)
}

/// Forgets all that came so far; the files keep it.
pub(super) async fn reset(State(rest): Asked) -> Result<Response, Response> {
    rest.settle().await?;
    rest.inner.store.forget();
    Ok(summary(0, 0))
}

/// The good ones, newest first.
pub(super) async fn good(State(rest): Asked, request: Request) -> Result<Response, Response> {
    let wanted: Good = question(request).await?;
    let kept = rest.settled(&[Route::Enriched]).await?;
    let reader = shapes::Reader::new(&rest);
    let (body, left_out) = working(move || {
        reader.list(&kept, wanted.limit, |kept, payload, raw, out| {
            let line = String::from_utf8_lossy(kept.line());
            let about = About::of(&line)?;
            wanted.lets(&about).then(|| shapes::good(&line, &about, payload, raw, out)).flatten()
        })
    })
    .await;
    Ok(answered(body, left_out))
}

/// The bad ones, newest first.
pub(super) async fn bad(State(rest): Asked, request: Request) -> Result<Response, Response> {
    let wanted: Bad = question(request).await?;
    let kept = rest.settled(&[Route::Bad]).await?;
    let reader = shapes::Reader::new(&rest);
    let (body, left_out) = working(move || {
        reader.list(&kept, wanted.limit, |kept, payload, raw, out| {
            let api = payload.map(|payload| (payload.vendor, payload.version)).unzip();
            wanted.lets(api.0, api.1).then(|| shapes::bad(kept.line(), payload, raw, out))
        })
    })
    .await;
    Ok(answered(body, left_out))
}

/// A schema, or what each registry said.
pub(super) async fn iglu(
    State(rest): Asked,
    Path((vendor, name, format, version)): Path<(String, String, String, String)>,
) -> Result<Response, Response> {
    let uri = format!("iglu:{vendor}/{name}/{format}/{version}");
    let key = SchemaKey::parse(&uri).map_err(|error| refused(&format!("{uri}: {error}")))?;
    let fetched = tokio::select! {
        fetched = rest.inner.resolver.fetch(&key) => fetched,
        () = rest.inner.stop.cancelled() => {
            return Err(StatusCode::SERVICE_UNAVAILABLE.into_response());
        }
    };
    match fetched {
        Ok(published) => Ok(answered(published.text, 0)),
        Err(Unpublished::Missing(history) | Unpublished::Unavailable(history)) => {
            Ok((StatusCode::NOT_FOUND, json_type(), asked(&history)).into_response())
        }
    }
}

fn asked(history: &[RegistryHistory]) -> String {
    let error = |error: &RegistryError| match error {
        RegistryError::NotFound => json!({"error": "NotFound"}),
        RegistryError::RepoFailure(why) => json!({"error": "RepoFailure", "message": why}),
        RegistryError::ClientFailure(why) => json!({"error": "ClientFailure", "message": why}),
    };
    let registry = |of: &RegistryHistory| {
        let errors: Vec<_> = of.errors.iter().map(error).collect();
        let last = shapes::instant(of.last_attempt_ms);
        let said = json!({"errors": errors, "attempts": of.attempts, "lastAttempt": last});
        (of.repository.clone(), said)
    };
    let registries: Map<String, Value> = history.iter().map(registry).collect();
    json!({ "value": registries }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about<'a>(event: &'a str, schema: &str, contexts: &[&str]) -> About<'a> {
        About {
            event,
            schema: Some(schema.to_owned()),
            contexts: contexts.iter().map(|uri| (*uri).to_owned()).collect(),
        }
    }

    #[test]
    fn filters_are_those_of_the_documentation() {
        let screen = "iglu:com.snowplowanalytics.mobile/screen/jsonschema/1-0-0";
        let application = "iglu:com.snowplowanalytics.mobile/application/jsonschema/1-0-0";
        let example = "iglu:com.acme/example/jsonschema/1-0-0";
        let view = "iglu:com.snowplowanalytics.snowplow/page_view/jsonschema/1-0-0";
        let described = about("unstruct", example, &[screen, application, view]);
        let page_view = about("page_view", view, &[]);
        for (filter, of_described, of_page_view) in [
            (json!({}), true, true),
            (json!({"limit": null, "schema": null}), true, true),
            (json!({"event_type": "pv"}), false, true),
            (json!({"event_type": "page_view"}), false, true),
            (json!({"event_type": "ue"}), true, false),
            (json!({"schema": example}), true, false),
            // It implies a self-describing event.
            (json!({"schema": view}), false, false),
            (json!({"contexts": [screen]}), true, false),
            (json!({"contexts": [&screen[5..], &application[5..]]}), true, false),
            (json!({"contexts": [screen, example]}), false, false),
            (json!({"schema": example, "contexts": [&screen[5..]], "limit": 10}), true, false),
        ] {
            let good: Good = serde_json::from_value(filter.clone()).expect("it is a filter");
            assert_eq!(good.lets(&described), of_described, "{filter}");
            assert_eq!(good.lets(&page_view), of_page_view, "{filter}");
        }
        for (filter, expected) in [
            (json!({"vendor": "com.snowplowanalytics.snowplow", "version": "tp2"}), true),
            (json!({"version": "tp1"}), false),
            (json!({"vendor": "com.acme", "limit": 10}), false),
        ] {
            let bad: Bad = serde_json::from_value(filter.clone()).expect("it is a filter");
            let lets = bad.lets(Some("com.snowplowanalytics.snowplow"), Some("tp2"));
            assert_eq!(lets, expected, "{filter}");
        }
        let tp2 = Bad { version: Some("tp2".to_owned()), ..Bad::default() };
        assert!(!tp2.lets(None, None) && Bad::default().lets(None, None));
    }
}
