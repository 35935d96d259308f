//! The rules that look at one part of a schema at a time.

use std::cmp::Ordering;

use crate::document::Value;
use crate::format::Format;
use crate::lint::{Check, Finding};
use crate::number;
use crate::pattern::{Pattern, Room};
use crate::pointer;
use crate::schema::table::Types;

/// The longest text that a Redshift column takes.
const COLUMN_LENGTH: &str = "65535";

/// Keywords that hold one schema, several by name, and several in a list.
const ONE: [&str; 4] = ["items", "additionalItems", "additionalProperties", "not"];
const NAMED: [&str; 4] = ["properties", "patternProperties", "definitions", "dependencies"];
const LISTED: [&str; 4] = ["items", "allOf", "anyOf", "oneOf"];

/// Pairs of bounds.
const BOUNDS: [(&str, &str); 4] = [
    ("minimum", "maximum"),
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
];

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
pub(super) fn walk(root: &Value<'_>, out: &mut Vec<Finding>) {
    let mut looker = Looker { root, out };
    let types = Types::allowed_by(root);
    if types != Types::OBJECT || root.get("properties").is_none() {
        let message = "expected type object, and properties, at the root";
        looker.add(Check::RootObject, "", message.to_owned());
    }
    looker.part(root, "");
}

struct Looker<'a> {
    root: &'a Value<'a>,
    out: &'a mut Vec<Finding>,
}

impl Looker<'_> {
    /// Recursion is bounded by the depth that a document may have.
    fn part(&mut self, schema: &Value<'_>, place: &str) {
        self.bounds(schema, place);
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

    fn bounds(&mut self, schema: &Value<'_>, place: &str) {
        for (least, most) in BOUNDS {
            let (Some(Value::Number(low)), Some(Value::Number(high))) =
                (schema.get(least), schema.get(most))
            else {
                continue;
            };
            if number::compare(low, high) == Ordering::Greater {
                let message = format!("{least} {low} is larger than {most} {high}");
                self.add(Check::Contradiction, place, message);
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
        for (index, value) in items(schema.get("enum")).iter().enumerate() {
            if !types.has(Types::of(value)) {
                let place = pointer::join(&pointer::join(place, "enum"), &index.to_string());
                let message = format!("{} is not of the type", value.to_json());
                self.add(Check::Contradiction, &place, message);
            }
        }
    }

    /// What the metaschema lets through and no validator can carry out.
    fn feasibility(&mut self, schema: &Value<'_>, place: &str) {
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && Pattern::new(pattern, &mut Room::default()).is_err()
        {
            let message = format!("{pattern} is not a regular expression");
            self.add(Check::Contradiction, &pointer::join(place, "pattern"), message);
        }
        for (pattern, _) in members(schema.get("patternProperties")) {
            if Pattern::new(pattern, &mut Room::default()).is_err() {
                let message = format!("{pattern} is not a regular expression");
                self.add(Check::Contradiction, &pointer::join(place, "patternProperties"), message);
            }
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str)
            && let Some(local) = target.strip_prefix('#')
            && (local.is_empty() || local.starts_with('/'))
            && pointer::find(self.root, local).is_none()
        {
            let message = format!("there is nothing at {target}");
            self.add(Check::Contradiction, &pointer::join(place, "$ref"), message);
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

    fn add(&mut self, check: Check, pointer: &str, message: String) {
        self.out.push(Finding { check, pointer: pointer.to_owned(), message });
    }
}

fn members<'a, 'v>(
    value: Option<&'a Value<'v>>,
) -> impl Iterator<Item = (&'a str, &'a Value<'v>)> + use<'a, 'v> {
    let members = match value {
        Some(Value::Object(members)) => members.as_slice(),
        _ => &[],
    };
    members.iter().map(|(name, value)| (name.as_ref(), value))
}

fn items<'a, 'v>(value: Option<&'a Value<'v>>) -> &'a [Value<'v>] {
    match value {
        Some(Value::Array(items)) => items,
        _ => &[],
    }
}
