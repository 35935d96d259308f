//! Why a bad row is one, in few words that can be counted: of what is quoted from an event only its
//! application and a schema's key, both cut short.

use event::Event;
use event::bad_row::BadKind;
use event::fields::Field;
use event::reason::{ClientError, Failure, Reason};
use event::schema_key::SchemaKey;

/// The most that is kept of a text, in bytes.
const LONGEST: usize = 100;

/// Why a bad row is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cause {
    /// The kind of the row.
    pub kind: BadKind,
    /// The first of its reasons, in a word: `validation`, or the identifier of an enrichment.
    pub reason: &'static str,
    /// The key of the schema that the first reason is about, without `iglu:`; else empty.
    pub schema: Box<str>,
    /// The application; empty where it is not known.
    pub app_id: Box<str>,
}

impl Cause {
    /// What has no reason but its kind.
    pub(crate) fn bare(kind: BadKind) -> Cause {
        Cause { kind, reason: "", schema: Box::default(), app_id: Box::default() }
    }

    /// For reasons, of an event if there is one yet.
    pub(crate) fn of_reasons(
        kind: BadKind,
        reasons: &[Reason],
        event: Option<&Event<'_>>,
    ) -> Cause {
        let (reason, schema) = reasons.first().map(word).unwrap_or_default();
        let app_id = event.and_then(|event| event.get(Field::AppId)).unwrap_or_default();
        Cause { kind, reason, schema: key(schema), app_id: short(app_id).into() }
    }

    /// For failures of enriching an event.
    pub(crate) fn of_failures(kind: BadKind, failures: &[Failure], event: &Event<'_>) -> Cause {
        let reasons = failures.first().map(|failure| std::slice::from_ref(&failure.reason));
        let cause = Cause::of_reasons(kind, reasons.unwrap_or_default(), Some(event));
        match failures.first().and_then(|failure| failure.enrichment.as_ref()) {
            // The schema of its configuration says no more than its identifier.
            Some(id) if cause.schema.is_empty() => Cause { reason: id.identifier, ..cause },
            _ => cause,
        }
    }

    /// The same for a row that became another kind.
    pub(crate) fn of_kind(self, kind: BadKind) -> Cause {
        Cause { kind, ..self }
    }
}

/// A word for a reason, and the schema it is about.
fn word(reason: &Reason) -> (&'static str, &str) {
    match reason {
        Reason::Simple { .. } => ("error", ""),
        Reason::Input { .. } => ("input", ""),
        Reason::NotJson { .. } => ("not_json", ""),
        Reason::NotIglu { .. } => ("not_iglu", ""),
        Reason::CriterionMismatch { schema_key, .. } => ("criterion_mismatch", schema_key),
        Reason::SchemaMapping { .. } => ("schema_mapping", ""),
        Reason::Iglu { schema_key, error } => {
            let word = match error {
                ClientError::Resolution { .. } => "resolution",
                ClientError::Invalid { .. } => "validation",
                ClientError::BadSchema { .. } => "bad_schema",
            };
            (word, schema_key)
        }
    }
}

/// What is a key: anything else may be anybody's words.
fn key(uri: &str) -> Box<str> {
    let is_key = uri.len() <= LONGEST && SchemaKey::parse(uri).is_ok();
    let key = uri.strip_prefix("iglu:").filter(|_| is_key);
    key.unwrap_or_default().into()
}

/// The beginning of a text.
fn short(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_names_the_first_reason_the_schema_and_the_application() {
        let mut event = Event::new();
        event.set(Field::AppId, Some("shop"));
        let reason = |schema_key: &str| Reason::Iglu {
            schema_key: schema_key.to_owned(),
            error: ClientError::Resolution { history: Vec::new() },
        };
        let kind = BadKind::SchemaViolations;
        let of = |schema: &str| Cause::of_reasons(kind, &[reason(schema)], Some(&event));
        let cause = of("iglu:com.acme/click/jsonschema/1-0-0");
        assert_eq!((cause.reason, &*cause.app_id), ("resolution", "shop"));
        assert_eq!(&*cause.schema, "com.acme/click/jsonschema/1-0-0");
        assert_eq!(&*of("jane@example.com").schema, "", "not anybody's words");
    }

    #[test]
    fn texts_are_cut_between_characters() {
        let long = "ä".repeat(80);
        assert_eq!(short(&long), "ä".repeat(50));
        assert_eq!(short("x"), "x");
    }
}
