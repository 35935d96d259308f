//! Violations for people who will mend the data: where, what was expected, what is there.
//!
//! The report of bad rows has the peer's words and paths, in which a name with a dot cannot be
//! told from two names. An explanation says the same with a JSON pointer and with the value found.

use event::reason::{SchemaIssue, Violation};

use crate::document::{self, ParseError, Value};
use crate::pointer;
use crate::schema::report::Finding;
use crate::schema::{DEPTH_LIMIT, Schema};

/// How much of a value is shown, characters.
const QUOTE: usize = 80;

/// One thing wrong with some data.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Explanation {
    /// JSON pointer to the value, or to where a value is missing.
    pub pointer: String,
    /// The keyword of the schema that says no; empty where the text itself cannot be read.
    pub keyword: String,
    /// What the schema wants there.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// The words of bad rows.
    pub message: String,
}

impl Schema {
    /// Everything that is wrong with JSON text, ordered by place; or what is wrong with the schema,
    /// so that nothing can be said of data.
    pub fn explain(&self, json: &str) -> Result<Vec<Explanation>, Vec<SchemaIssue>> {
        let value = match document::parse(json, DEPTH_LIMIT) {
            Ok(value) => value,
            Err(why) => return self.issues_or(vec![unreadable(json, why)]),
        };
        let findings = self.findings(&value)?;
        let mut explanations: Vec<Explanation> =
            findings.iter().map(|finding| explained(finding, &value)).collect();
        explanations.sort();
        explanations.dedup();
        Ok(explanations)
    }

    fn issues_or(&self, all: Vec<Explanation>) -> Result<Vec<Explanation>, Vec<SchemaIssue>> {
        match self.issues() {
            [] => Ok(all),
            issues => Err(issues.to_vec()),
        }
    }
}

fn unreadable(json: &str, why: ParseError) -> Explanation {
    let found = match why {
        ParseError::TooDeep => format!("more than {DEPTH_LIMIT} levels"),
        ParseError::Syntax(at) => {
            let rest = json.as_bytes().get(at..).unwrap_or_default();
            format!("byte {at}: {:?}", cut(&String::from_utf8_lossy(rest), QUOTE / 4))
        }
    };
    Explanation {
        pointer: String::new(),
        keyword: String::new(),
        expected: format!("JSON of at most {DEPTH_LIMIT} levels"),
        message: "not JSON, or too deep".to_owned(),
        found,
    }
}

fn explained(finding: &Finding, root: &Value<'_>) -> Explanation {
    let Violation { message, keyword, targets, .. } = &finding.violation;
    let keyword = keyword.clone().unwrap_or_default();
    // Some rules of an object or a list are about one member of it.
    let inner = match keyword.as_str() {
        "required" | "additionalProperties" | "notAllowed" | "items" => targets.first(),
        _ => None,
    };
    let place = inner.map(|name| pointer::join(&finding.pointer, name));
    let place = place.unwrap_or_else(|| finding.pointer.clone());
    let value = pointer::find(root, &place);
    Explanation {
        expected: expected(&keyword, targets, message),
        found: value.map_or_else(|| "nothing".to_owned(), |value| found(&keyword, value)),
        message: message.clone(),
        pointer: place,
        keyword,
    }
}

/// What a rule wants; what else but its own words where those say it best.
fn expected(keyword: &str, targets: &[String], message: &str) -> String {
    let target = |index: usize| targets.get(index).map_or("", String::as_str);
    match keyword {
        "type" => target(1).to_owned(),
        "unionType" => format!("one of {}", target(1)),
        "required" => "a value".to_owned(),
        "additionalProperties" | "notAllowed" | "items" => "nothing".to_owned(),
        "maxLength" => format!("at most {} characters", target(0)),
        "minLength" => format!("at least {} characters", target(0)),
        "maxItems" => format!("at most {} items", target(0)),
        "minItems" => format!("at least {} items", target(0)),
        "maxProperties" => format!("at most {} members", target(0)),
        "minProperties" => format!("at least {} members", target(0)),
        "uniqueItems" => "no item twice".to_owned(),
        "maximum" => format!("at most {}", target(0)),
        "minimum" => format!("at least {}", target(0)),
        "multipleOf" => format!("a multiple of {}", target(0)),
        "pattern" => format!("a match of {}", target(0)),
        "enum" => format!("one of {}", target(0)),
        "dateTime" => format!("a {}", target(1)),
        "uuid" => "a uuid".to_owned(),
        // Two formats name the value first, the others themselves.
        "format" => match target(1) {
            format @ ("email" | "duration") => format!("format {format}"),
            _ => format!("format {}", target(0)),
        },
        _ => message.split_once(": ").map_or(message, |(_, rest)| rest).to_owned(),
    }
}

/// A value: its type, the size that the rule is about, its beginning.
fn found(keyword: &str, value: &Value<'_>) -> String {
    let size = match (keyword, value) {
        ("maxLength" | "minLength", Value::String(text)) => {
            format!(" of {} characters", text.chars().count())
        }
        ("maxItems" | "minItems", Value::Array(items)) => format!(" of {} items", items.len()),
        ("maxProperties" | "minProperties", Value::Object(members)) => {
            format!(" of {} members", members.len())
        }
        _ => String::new(),
    };
    let kind = match value {
        Value::Null => return "null".to_owned(),
        Value::Bool(value) => return format!("boolean {value}"),
        Value::Number(text) if crate::number::is_integer(text) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!("{kind}{size} {}", cut(&value.to_json(), QUOTE))
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_names_place_expectation_and_finding() {
        let schema = Schema::compile(
            r#"{"type":"object","properties":{
            "a.b":{"type":"array","items":{"type":["string","null"],"maxLength":2}},
            "n":{"type":"integer","maximum":5},"d":{"format":"date-time"},"e":{"format":"email"},
            "t":{"items":[{}],"additionalItems":false},"r/s":{}},
            "required":["r/s"],"additionalProperties":false}"#,
        );
        let json = r#"{"a.b":["xyz",1],"n":7.0,"d":"x","e":"y","x":{"k":[1]},"t":[1,2]}"#;
        let found = schema.explain(json).expect("the schema is good");
        let found: Vec<_> = found
            .iter()
            .map(|e| {
                let Explanation { pointer, keyword, expected, found, .. } = e;
                format!("{pointer} {keyword}: expected {expected}, found {found}")
            })
            .collect();
        assert_eq!(
            found,
            [
                r#"/a.b/0 maxLength: expected at most 2 characters, found string of 3 characters "xyz""#,
                "/a.b/1 unionType: expected one of [string, null], found integer 1",
                r#"/d dateTime: expected a date-time, found string "x""#,
                r#"/e format: expected format email, found string "y""#,
                "/n maximum: expected at most 5, found number 7.0",
                "/n type: expected integer, found number 7.0",
                "/r~1s required: expected a value, found nothing",
                "/t/1 items: expected nothing, found integer 2",
                r#"/x additionalProperties: expected nothing, found object {"k":[1]}"#,
            ]
        );
        assert_eq!(schema.explain(r#"{"r/s":1}"#), Ok(Vec::new()));
        let found = schema.explain("{\"a\" 1}").expect("the schema is good");
        assert_eq!(found[0].found, r#"byte 5: "1}""#);
        assert!(Schema::compile(r#"{"type":"x"}"#).explain("1").is_err());
    }
}
