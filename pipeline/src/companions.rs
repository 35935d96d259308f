//! What goes along with a verdict: the event about what pseudonymisation replaced, and the failed
//! event in the shape of an enriched one, for whoever wants to look at it in the warehouse.

use event::bad_row::Stamp;
use event::json::{self, write_string};
use event::reason::{ClientError, Failure, Reason};
use event::{Bump, Entity, Event, Field, time};

use super::failed::Failed;
use super::protection::Masked;
use super::road::Passage;
use super::writer::Writer;
use super::{Format, Route, identity};

const FAILURE_URI: &str = "iglu:com.snowplowanalytics.snowplow/failure/jsonschema/1-0-0";

impl Writer<'_> {
    /// Writes the event that tells what was pseudonymised in another, if there is anything to tell.
    pub(super) fn pii<'a>(&mut self, passage: &Passage<'a>, arena: &'a Bump) {
        let Passage { event: parent, changes, origin, index, .. } = passage;
        if changes.is_empty() || !self.pipeline.settings.pii_events {
            return;
        }
        let id = &*arena.alloc_str(&identity::pii_event_id(*origin, *index));
        let now = time::format_ms(self.stamp.now_ms, arena);
        let event = self.pipeline.enrichments.pii_event(parent, changes, id, now, arena);
        if let Some(mut event) = event {
            if self.pipeline.settings.tag.is_some() {
                event.set(Field::EtlTags, parent.get(Field::EtlTags));
            }
            self.companion(Route::Pii, &event);
        }
    }

    /// Writes a failed event as far as it got, with its failures as entities beside those of
    /// `derived`, which were validated. What is invalid is not in its columns.
    pub(super) fn incomplete<'a>(&mut self, why: Why<'_>, failed: Failed<'_, 'a>, arena: &'a Bump) {
        if !self.pipeline.settings.incomplete {
            return;
        }
        let protected = self.shown();
        let tell =
            |by, reason: &Reason| failure(by, &protected.unquoted(reason), self.stamp, arena);
        let data: Vec<&str> = match why {
            Why::Reasons(reasons) => reasons.iter().map(|reason| tell(None, reason)).collect(),
            Why::Failures(failures) => failures
                .iter()
                .map(|f| tell(f.enrichment.as_ref().map(|id| id.identifier), &f.reason))
                .collect(),
        };
        let failures: Vec<Entity<'a>> =
            data.into_iter().map(|data| Entity::new(FAILURE_URI, data)).collect();
        let mut event = failed.event.clone();
        if failed.masked == Masked::No {
            // Hashed with the rest of the event.
            let derived = Some(failed.derived).filter(|derived| !derived.is_empty());
            let column = derived.map(|derived| event::entity::envelope(derived, arena));
            event.set(Field::DerivedContexts, column);
        }
        let (headers, unproven) = (failed.raw.payload.headers, failed.unproven);
        let mut shown = protected.incomplete_event(&event, failed.masked, unproven, headers, arena);
        let column = joined(&failures, shown.get(Field::DerivedContexts), arena);
        shown.set(Field::DerivedContexts, Some(column));
        for field in failed.invalid {
            shown.set(*field, None);
        }
        self.companion(Route::Incomplete, &shown);
    }

    /// A companion that cannot be written costs nothing but itself.
    fn companion(&mut self, route: Route, event: &Event<'_>) {
        let settings = &self.pipeline.settings;
        let lines = self.output.lines_mut(route);
        let written = lines.push_with(|out| match settings.format {
            Format::Tsv => {
                event::tsv::write(event, out);
                true
            }
            Format::Json => event::flat::write(event, out).is_ok(),
        });
        if !written || self.json(route, event).is_err() {
            self.output.lines_mut(route).pop();
        } else if self.longest(route) > self.pipeline.settings.line_bytes_max {
            self.set_aside(route);
        }
    }
}

/// The column of these entities and of those in another.
fn joined<'a>(entities: &[Entity<'a>], column: Option<&str>, arena: &'a Bump) -> &'a str {
    let others = column.and_then(|column| json::member(column, "data"));
    let others = others.and_then(|list| list.strip_prefix('[')?.strip_suffix(']'));
    let both = event::entity::envelope(entities, arena);
    match (others.filter(|others| !others.is_empty()), both.strip_suffix("]}")) {
        (Some(others), Some(open)) => arena.alloc_str(&format!("{open},{others}]}}")),
        _ => both,
    }
}

/// The columns of JSON that these reasons are about; all of them where one says of nothing else.
pub(super) fn invalid(reasons: &[Reason], event: &Event<'_>) -> Vec<Field> {
    let mut invalid = Vec::new();
    for reason in reasons {
        for column in [Field::Contexts, Field::UnstructEvent] {
            let about = match reason {
                Reason::Iglu { schema_key, .. } | Reason::CriterionMismatch { schema_key, .. } => {
                    event.get(column).is_some_and(|text| text.contains(schema_key.as_str()))
                }
                _ => true,
            };
            if about && !invalid.contains(&column) {
                invalid.push(column);
            }
        }
    }
    if invalid.is_empty() {
        invalid.extend([Field::Contexts, Field::UnstructEvent]);
    }
    invalid
}

/// Why an event is incomplete.
#[derive(Clone, Copy)]
pub(super) enum Why<'r> {
    Reasons(&'r [Reason]),
    Failures(&'r [Failure]),
}

/// The data of a failure's entity. It quotes no value.
fn failure<'a>(by: Option<&str>, reason: &Reason, stamp: Stamp<'_>, arena: &'a Bump) -> &'a str {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(b"{\"failureType\":");
    write_string(kind(reason), &mut out);
    out.extend_from_slice(b",\"errors\":[");
    for (index, (message, source)) in errors(by, reason).iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",{\"message\":" } else { b"{\"message\":" });
        write_string(message, &mut out);
        out.extend_from_slice(b",\"source\":");
        write_string(source, &mut out);
        out.push(b'}');
    }
    out.push(b']');
    if let Reason::Iglu { schema_key, .. } | Reason::CriterionMismatch { schema_key, .. } = reason {
        out.extend_from_slice(b",\"schema\":");
        write_string(schema_key, &mut out);
    }
    out.extend_from_slice(b",\"timestamp\":\"");
    time::write_instant(stamp.now_ms, &mut out);
    out.extend_from_slice(b"\",\"componentName\":");
    write_string(&stamp.processor.artifact, &mut out);
    out.extend_from_slice(b",\"componentVersion\":");
    write_string(&stamp.processor.version, &mut out);
    out.push(b'}');
    arena.alloc_str(std::str::from_utf8(&out).expect("made of texts"))
}

fn kind(reason: &Reason) -> &'static str {
    match reason {
        Reason::Simple { .. } => "EnrichmentError",
        Reason::Input { .. } => "InputError",
        Reason::NotJson { .. } => "NotJSON",
        Reason::NotIglu { .. } => "NotIglu",
        Reason::CriterionMismatch { .. } => "CriterionMismatch",
        Reason::Iglu { error: ClientError::Resolution { .. }, .. } => "ResolutionError",
        Reason::Iglu { .. } => "ValidationError",
        Reason::SchemaMapping { .. } => "SchemaMapping",
    }
}

/// Messages, each with where it comes from.
fn errors(by: Option<&str>, reason: &Reason) -> Vec<(String, String)> {
    let by = by.unwrap_or("event");
    let one = |message: &str, source: &str| vec![(message.to_owned(), source.to_owned())];
    match reason {
        Reason::Simple { error } => one(&error.text(), by),
        Reason::Input { field, expectation, .. } => one(&expectation.text(), &field.text()),
        Reason::NotJson { field, error, .. } => one(&error.text(), &field.text()),
        Reason::NotIglu { .. } => one("not a self-describing JSON", by),
        Reason::CriterionMismatch { criterion, .. } => one(&format!("expected {criterion}"), by),
        Reason::Iglu { error: ClientError::Invalid { violations, .. }, .. } => violations
            .iter()
            .map(|v| (v.message.clone(), v.path.clone().unwrap_or_else(|| by.to_owned())))
            .collect(),
        Reason::Iglu { error: ClientError::BadSchema { issues, .. }, .. } => {
            issues.iter().map(|issue| (issue.message.clone(), issue.path.clone())).collect()
        }
        Reason::Iglu { error: ClientError::Resolution { history }, .. } => {
            history.iter().map(|h| ("not found".to_owned(), h.repository.clone())).collect()
        }
        Reason::SchemaMapping { expectation, .. } => one(&expectation.text(), by),
    }
}
