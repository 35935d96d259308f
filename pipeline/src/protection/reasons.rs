//! Reasons without what they quote.
//!
//! Words that a reason quotes are left out, and values become what may be told of them. Of what a
//! schema says against data there stay the keyword, what the schema demands, and the path as far as
//! the schema has names for it: `$.*.age` where a member is called after somebody.

use event::json::write_string;
use event::reason::{ClientError, Reason, SchemaIssue, Violation, Words};

use validator::{Lookup, Schema};

use super::{How, Shown};
use crate::parameters::Parameter;

impl Shown<'_> {
    pub(super) fn reason(&self, reason: &Reason, how: How<'_>) -> Reason {
        if let How::Keep = how {
            return reason.clone();
        }
        match reason.clone() {
            Reason::Simple { error } => Reason::Simple { error: error.withheld() },
            Reason::Input { field, value, expectation } => Reason::Input {
                value: value.and_then(|value| how.quoted(&field, &value)),
                field: how.field_name(&field),
                expectation: expectation.withheld(),
            },
            Reason::NotJson { field, value, error } => Reason::NotJson {
                value: value.and_then(|value| how.quoted(&field, &value)),
                field: how.field_name(&field),
                error: error.withheld(),
            },
            Reason::NotIglu { json, error } => Reason::NotIglu { json: how.json(&json), error },
            Reason::Iglu { schema_key, error } => {
                Reason::Iglu { error: self.client_error(&schema_key, error), schema_key }
            }
            Reason::SchemaMapping { actual, expected, expectation } => Reason::SchemaMapping {
                actual: actual.and_then(|actual| {
                    let listed = expected.iter().any(|(kind, _)| *kind == actual);
                    if listed { Some(actual) } else { how.value_of_nothing(&actual) }
                }),
                expected,
                expectation: expectation.withheld(),
            },
            kept @ Reason::CriterionMismatch { .. } => kept,
        }
    }

    fn client_error(&self, uri: &str, error: ClientError) -> ClientError {
        match error {
            ClientError::Invalid { superseded_by, violations } => ClientError::Invalid {
                superseded_by,
                violations: violations.iter().map(|found| self.violation(uri, found)).collect(),
            },
            ClientError::BadSchema { superseded_by, issues } => {
                // A schema may turn out to be bad at some place of the data.
                let path = |path: String| match self
                    .schema(uri)
                    .is_none_or(|schema| !schema.issues().is_empty())
                {
                    true => path,
                    false => self.path(uri, &path),
                };
                let show = |issue: SchemaIssue| SchemaIssue { path: path(issue.path), ..issue };
                let issues = issues.into_iter().map(show).collect();
                ClientError::BadSchema { superseded_by, issues }
            }
            kept @ ClientError::Resolution { .. } => kept,
        }
    }

    fn violation(&self, uri: &str, found: &Violation) -> Violation {
        let path = found.path.as_ref().map(|path| self.path(uri, path));
        let keyword = found.keyword.as_deref().unwrap_or_default();
        let targets: Vec<String> = match keyword {
            // The names and the types that the schema demands, and what was found is a type, too.
            "required" | "notAllowed" | "additionalProperties" => {
                let named = |name: &&String| self.mentions(uri, name);
                found.targets.iter().filter(named).cloned().collect()
            }
            // The value comes before the name of the format, but for formats that are patterns.
            "dateTime" | "uuid" => found.targets.iter().skip(1).cloned().collect(),
            "format" => match found.targets.get(1).map(String::as_str) {
                Some("email" | "duration") => found.targets.iter().skip(1).cloned().collect(),
                _ => found.targets.clone(),
            },
            "type" | "unionType" | "maxLength" | "minLength" | "maxItems" | "minItems"
            | "maxProperties" | "minProperties" | "maximum" | "minimum" | "multipleOf"
            | "pattern" | "enum" | "dependencies" | "not" | "oneOf" | "items" => {
                found.targets.clone()
            }
            _ => Vec::new(),
        };
        let place = path.as_deref().unwrap_or("the data");
        let message = match (keyword, targets.is_empty()) {
            // About the whole: it cannot be read, or is too deep.
            ("", _) => found.message.clone(),
            (_, true) => format!("{place}: breaks the rule {keyword}"),
            (_, false) => format!("{place}: breaks the rule {keyword} {}", targets.join(", ")),
        };
        Violation { message, path, keyword: found.keyword.clone(), targets }
    }

    fn schema(&self, uri: &str) -> Option<&Schema> {
        match self.schemas.get(uri) {
            Some(Lookup::Found(schema)) => Some(schema),
            _ => None,
        }
    }

    fn mentions(&self, uri: &str, name: &str) -> bool {
        self.schema(uri).is_some_and(|schema| schema.mentions(name))
    }

    /// A path of which only indexes stay, and names that the schema mentions.
    fn path(&self, uri: &str, path: &str) -> String {
        let shown = path.split('.').map(|part| {
            let (name, indexes) = part.split_at(part.find('[').unwrap_or(part.len()));
            let index = |c: char| c.is_ascii_digit() || matches!(c, '[' | ']');
            let known = matches!(name, "$" | "/") || self.mentions(uri, name);
            match known && indexes.chars().all(index) {
                true => part.to_owned(),
                false => "*".to_owned(),
            }
        });
        shown.collect::<Vec<_>>().join(".")
    }
}

impl How<'_> {
    /// The name of what is at fault, where a program gave it.
    fn field_name(&self, field: &Words) -> Words {
        let text = field.text();
        match Parameter::of(&text) {
            Some(parameter) => parameter.name().into(),
            None if field.withheld() == *field => field.clone(),
            None => Words::own(self.name(&text)),
        }
    }

    /// The value of what is at fault. It did not make it into a column, so it may be anything.
    fn quoted(&self, field: &Words, value: &str) -> Option<String> {
        match &*field.text() {
            "contentType" => Some(self.media_type(value)),
            _ => self.value_of_nothing(value),
        }
    }

    fn value_of_nothing(&self, value: &str) -> Option<String> {
        match self {
            How::Keep => Some(value.to_owned()),
            How::Withhold => None,
            How::Pseudonymise(_) => Some(self.opaque(value.as_bytes())),
        }
    }

    /// JSON in place of JSON.
    fn json(&self, json: &str) -> String {
        let mut shown = Vec::new();
        match self.value_of_nothing(json) {
            Some(text) => write_string(&text, &mut shown),
            None => shown.extend_from_slice(b"null"),
        }
        String::from_utf8(shown).expect("a JSON string is UTF-8")
    }
}
