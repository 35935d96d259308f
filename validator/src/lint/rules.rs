//! The rules that look at one part of a schema at a time.

use std::cmp::Ordering;

use crate::document::Value;
use crate::format::Format;
use crate::lint::{Check, Finding};
use crate::number;
use crate::pattern::{Pattern, Refusal, Room};
use crate::pointer;
use crate::schema::compile;
use crate::schema::table::Types;

/// The longest text that a Redshift column takes.
const COLUMN_LENGTH: &str = "65535";

/// Keywords that hold one schema, several by name, and several in a list.
const ONE: [&str; 4] = ["items", "additionalItems", "additionalProperties", "not"];
const NAMED: [&str; 4] = ["properties", "patternProperties", "definitions", "dependencies"];
const LISTED: [&str; 4] = ["items", "allOf", "anyOf", "oneOf"];

/// Keywords that say something of values of these types only.
const APPLIES: [(&str, &str, &[&str]); 4] = [
    (
        "number",
        "numbers",
        &["minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"],
    ),
    ("string", "strings", &["minLength", "maxLength", "pattern", "format"]),
    ("array", "arrays", &["items", "additionalItems", "minItems", "maxItems", "uniqueItems"]),
    (
        "object",
        "objects",
        &[
            "properties",
            "additionalProperties",
            "required",
            "minProperties",
            "maxProperties",
            "patternProperties",
            "dependencies",
        ],
    ),
];

/// Looks at every part of a schema that the metaschema accepts.
pub(super) fn walk<'a>(root: &'a Value<'a>, out: &'a mut Vec<Finding>) {
    let mut looker = Looker { root, out };
    let types = Types::allowed_by(root);
    if types != Types::OBJECT || root.get("properties").is_none() {
        let message = "expected type object, and properties, at the root";
        looker.add(Check::RootObject, "", message.to_owned());
    }
    looker.part(root, "");
}

pub(super) struct Looker<'a> {
    pub(super) root: &'a Value<'a>,
    out: &'a mut Vec<Finding>,
}

impl<'a> Looker<'a> {
    /// Recursion is bounded by the depth that a document may have.
    fn part(&mut self, schema: &'a Value<'a>, place: &str) {
        self.emptiness(schema, place);
        self.applicability(schema, place);
        self.feasibility(schema, place);
        self.advice(schema, place);
        self.properties(schema, place);
        for keyword in ONE {
            if let Some(inner @ Value::Object(_)) = schema.get(keyword) {
                self.part(inner, &pointer::join(place, keyword));
            }
        }
        for keyword in NAMED {
            let place = pointer::join(place, keyword);
            for (name, inner) in members(schema.get(keyword)) {
                if matches!(inner, Value::Object(_)) {
                    self.part(inner, &pointer::join(&place, name));
                }
            }
        }
        for keyword in LISTED {
            let place = pointer::join(place, keyword);
            for (index, inner) in items(schema.get(keyword)).iter().enumerate() {
                self.part(inner, &pointer::join(&place, &index.to_string()));
            }
        }
    }

    fn applicability(&mut self, schema: &Value<'_>, place: &str) {
        let types = Types::allowed_by(schema);
        for (name, plural, keywords) in APPLIES {
            if types.has(Types::named(name)) {
                continue;
            }
            for keyword in keywords.iter().filter(|keyword| schema.get(keyword).is_some()) {
                let message = format!("{keyword} is about {plural}, which type does not allow");
                self.add(Check::Contradiction, &pointer::join(place, keyword), message);
            }
        }
    }

    /// What the metaschema lets through and no validator can carry out.
    fn feasibility(&mut self, schema: &Value<'_>, place: &str) {
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
            self.expression(pattern, &pointer::join(place, "pattern"));
        }
        let patterns = pointer::join(place, "patternProperties");
        for (pattern, _) in members(schema.get("patternProperties")) {
            self.expression(pattern, &pointer::join(&patterns, pattern));
        }
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str)
            && compile::target(self.root, reference).is_none()
        {
            let message = format!("there is nothing at {reference}");
            self.add(Check::Contradiction, &pointer::join(place, "$ref"), message);
        }
        if let Some(fault) = compile::fatal_keyword(schema) {
            self.add(Check::Contradiction, place, fault.into());
        }
        let closed = matches!(schema.get("additionalProperties"), Some(Value::Bool(false)));
        if !closed || schema.get("patternProperties").is_some() {
            return;
        }
        for name in items(schema.get("required")).iter().filter_map(Value::as_str) {
            if schema.get("properties").is_none_or(|named| named.get(name).is_none()) {
                let message = format!("{name} is required, but not among the properties");
                self.add(Check::Contradiction, &pointer::join(place, "required"), message);
            }
        }
    }

    fn expression(&mut self, pattern: &str, place: &str) {
        let why = match Pattern::new(pattern, &mut Room::default()) {
            Ok(_) => return,
            Err(Refusal::Malformed(why)) => format!("is not a regular expression: {why}"),
            Err(Refusal::TooLarge) => "takes more memory than an expression may".to_owned(),
        };
        self.add(Check::Contradiction, place, format!("{pattern} {why}"));
    }

    fn advice(&mut self, schema: &Value<'_>, place: &str) {
        let has = |keyword: &str| schema.get(keyword).is_some();
        let named = has("type");
        let types = Types::allowed_by(schema);
        if let Some(format) = schema.get("format").and_then(Value::as_str)
            && Format::named(format).is_none()
        {
            let message = format!("nothing is checked of format {format}");
            self.add(Check::UnknownFormats, &pointer::join(place, "format"), message);
        }
        let unbounded = !has("minimum") || !has("maximum");
        if named && types.has(Types::named("number")) && unbounded && !has("enum") {
            let message = "expected minimum and maximum, which choose the column's type";
            self.add(Check::NumericMinMax, place, message.to_owned());
        }
        let bounded = ["maxLength", "enum", "format"].into_iter().any(has);
        if named && types.has(Types::STRING) && !bounded {
            let message = "expected maxLength, enum or format, which choose the column's width";
            self.add(Check::StringLength, place, message.to_owned());
        }
        if let Some(Value::Number(length)) = schema.get("maxLength")
            && number::compare(length, COLUMN_LENGTH) == Ordering::Greater
        {
            let message = format!("more than {COLUMN_LENGTH}, the widest column of Redshift");
            self.add(Check::StringLength, &pointer::join(place, "maxLength"), message);
        }
    }

    /// What is to be said of properties as such.
    fn properties(&mut self, schema: &Value<'_>, place: &str) {
        let place = pointer::join(place, "properties");
        let required = |name: &str| {
            items(schema.get("required")).iter().any(|item| item.as_str() == Some(name))
        };
        for (name, property) in members(schema.get("properties")) {
            let place = pointer::join(&place, name);
            if property.get("description").is_none() {
                self.add(Check::Description, &place, "expected a description".to_owned());
            }
            let optional = property.get("type").is_some() && !required(name);
            if optional && !Types::allowed_by(property).has(Types::NULL) {
                let message = "may be left out, so null should be allowed, too";
                self.add(Check::OptionalNull, &place, message.to_owned());
            }
        }
    }

    pub(super) fn add(&mut self, check: Check, pointer: &str, message: String) {
        self.out.push(Finding { check, pointer: pointer.to_owned(), message });
    }
}

pub(super) fn members<'a, 'v>(
    value: Option<&'a Value<'v>>,
) -> impl Iterator<Item = (&'a str, &'a Value<'v>)> + use<'a, 'v> {
    let members = match value {
        Some(Value::Object(members)) => members.as_slice(),
        _ => &[],
    };
    members.iter().map(|(name, value)| (name.as_ref(), value))
}

pub(super) fn items<'a, 'v>(value: Option<&'a Value<'v>>) -> &'a [Value<'v>] {
    match value {
        Some(Value::Array(items)) => items,
        _ => &[],
    }
}
