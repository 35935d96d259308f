//! Rules that no value satisfies.
//!
//! Not every such schema can be known, but those that people write by mistake: bounds that cross,
//! lists of values that break the rules beside them, texts too short for their format, more
//! members or items than there can be, alternatives of which none is possible.

use std::cmp::Ordering;

use crate::document::Value;
use crate::format::Format;
use crate::lint::Check;
use crate::lint::rules::{Looker, items, members};
use crate::number;
use crate::pattern::Pattern;
use crate::pointer;
use crate::schema::table::Types;
use crate::schema::{compile, report};

/// Pairs of bounds that count something.
const COUNTS: [(&str, &str); 3] =
    [("minLength", "maxLength"), ("minItems", "maxItems"), ("minProperties", "maxProperties")];

/// The largest number whose neighbours can be told apart by what follows.
const EXACT: f64 = 1e15;

impl<'a> Looker<'a> {
    /// Everything about one part that leaves no value, or none of some kind.
    pub(super) fn emptiness(&mut self, schema: &'a Value<'a>, place: &str) {
        for (least, most) in COUNTS {
            if let (Some(low), Some(high)) = (literal(schema, least), literal(schema, most))
                && number::compare(low, high) == Ordering::Greater
            {
                self.contradiction(place, format!("{least} {low} is larger than {most} {high}"));
            }
        }
        let empty = [
            numbers(schema),
            texts(schema),
            lists(schema),
            objects(schema),
            self.alternatives(schema),
        ];
        empty.into_iter().flatten().for_each(|message| self.contradiction(place, message));
        self.listed(schema, place);
    }

    fn contradiction(&mut self, place: &str, message: String) {
        self.add(Check::Contradiction, place, message);
    }

    /// Values of `enum` that the rules beside it, or the enumeration's own type, refuse.
    fn listed(&mut self, schema: &'a Value<'a>, place: &str) {
        let listed = items(schema.get("enum"));
        if listed.is_empty() {
            return;
        }
        let table = compile::compile_part(self.root, schema);
        let types = Types::allowed_by(schema);
        let place = pointer::join(place, "enum");
        for (index, value) in listed.iter().enumerate() {
            let message = if !types.has(Types::of(value)) {
                format!("{} is not of the type", value.to_json())
            } else if let Ok(findings) = report::findings(&table, value)
                && let Some(finding) = findings.first()
            {
                let keyword = finding.violation.keyword.as_deref().unwrap_or("the schema");
                format!("{} is listed, but not allowed by {keyword}", value.to_json())
            } else {
                continue;
            };
            self.contradiction(&pointer::join(&place, &index.to_string()), message);
        }
    }

    /// `allOf`, `anyOf`, `oneOf` and `not`, as far as types tell.
    fn alternatives(&self, schema: &'a Value<'a>) -> Option<String> {
        let own = self.types(schema);
        let branches = |keyword| items(schema.get(keyword));
        for branch in branches("allOf") {
            if !own.has(self.types(branch)) {
                return Some("no value has the type of a branch of allOf, too".to_owned());
            }
        }
        for keyword in ["anyOf", "oneOf"] {
            let branches = branches(keyword);
            if !branches.is_empty() && !branches.iter().any(|branch| own.has(self.types(branch))) {
                return Some(format!("no value has the type of a branch of {keyword}, too"));
            }
        }
        let one = branches("oneOf");
        let repeated = |(index, branch): (usize, &Value<'_>)| {
            one[..index].iter().any(|earlier| earlier.same(branch))
        };
        if one.len() == 2 && one.iter().enumerate().any(repeated) {
            return Some("both branches of oneOf are the same, so none is the only one".to_owned());
        }
        let not = schema.get("not").filter(|not| says_only_types(not))?;
        let left = own.0 & !Types::allowed_by(not).0;
        (left == 0).then(|| "not excludes every type that is allowed".to_owned())
    }

    fn types(&self, schema: &'a Value<'a>) -> Types {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let target = reference.and_then(|reference| compile::target(self.root, reference)?);
        // One step is enough: this looks for mistakes, not for all of them.
        let beyond = target.map_or(Types::ALL, Types::allowed_by);
        Types(Types::allowed_by(schema).0 & beyond.0)
    }
}

fn says_only_types(schema: &Value<'_>) -> bool {
    matches!(schema, Value::Object(members) if members.iter().all(|(name, _)| name == "type"))
}

fn literal<'v>(schema: &'v Value<'_>, keyword: &str) -> Option<&'v str> {
    match schema.get(keyword) {
        Some(Value::Number(literal)) => Some(literal),
        _ => None,
    }
}

fn count(schema: &Value<'_>, keyword: &str) -> Option<u64> {
    Some(literal(schema, keyword)?.parse().unwrap_or(u64::MAX))
}

fn says(schema: &Value<'_>, keyword: &str) -> bool {
    matches!(schema.get(keyword), Some(Value::Bool(true)))
}

/// Bounds with no number between them.
fn numbers(schema: &Value<'_>) -> Option<String> {
    let (low, high) = (literal(schema, "minimum")?, literal(schema, "maximum")?);
    let (no_low, no_high) = (says(schema, "exclusiveMinimum"), says(schema, "exclusiveMaximum"));
    match number::compare(low, high) {
        Ordering::Greater => return Some(format!("minimum {low} is larger than maximum {high}")),
        Ordering::Equal if no_low || no_high => {
            let keyword = if no_low { "exclusiveMinimum" } else { "exclusiveMaximum" };
            return Some(format!("minimum and maximum are {low}, which {keyword} excludes"));
        }
        _ => {}
    }
    let (Ok(from), Ok(to)) = (low.parse::<f64>(), high.parse::<f64>()) else { return None };
    if from.abs() > EXACT || to.abs() > EXACT {
        return None;
    }
    if !Types::allowed_by(schema).has(Types::FRACTION) {
        let first = if no_low { from.floor() + 1.0 } else { from.ceil() };
        let last = if no_high { to.ceil() - 1.0 } else { to.floor() };
        if first > last {
            return Some(format!("no integer is between {low} and {high}"));
        }
    }
    let step: f64 = literal(schema, "multipleOf")?.parse().ok()?;
    // A little room, so that 0.3 counts as a multiple of 0.1.
    let last = (to / step + 1e-9).floor() * step;
    let none = last < from - from.abs() * 1e-9;
    none.then(|| format!("no multiple of {step} is between {low} and {high}"))
}

/// Texts that are too short or too long for what else they must be.
fn texts(schema: &Value<'_>) -> Option<String> {
    let text = |keyword| schema.get(keyword).and_then(Value::as_str);
    let (least, most) = (count(schema, "minLength"), count(schema, "maxLength"));
    let outside = |what: &str, (shortest, longest): (u64, u64)| {
        if let Some(most) = most.filter(|most| *most < shortest) {
            return Some(format!("{what} has at least {shortest} characters, maxLength is {most}"));
        }
        let least = least.filter(|least| *least > longest)?;
        Some(format!("{what} has at most {longest} characters, minLength is {least}"))
    };
    let format = text("format").and_then(|name| Some((name, Format::named(name)?.lengths())));
    let format = format.and_then(|(name, lengths)| outside(&format!("a {name}"), lengths));
    format.or_else(|| outside("what the pattern finds", Pattern::lengths(text("pattern")?)?))
}

/// Lists of more items than there can be.
fn lists(schema: &Value<'_>) -> Option<String> {
    let least = count(schema, "minItems")?;
    let (most, why) = match schema.get("items") {
        Some(Value::Array(places))
            if matches!(schema.get("additionalItems"), Some(Value::Bool(false))) =>
        {
            (places.len() as u64, "items and additionalItems allow")
        }
        Some(item @ Value::Object(_)) if says(schema, "uniqueItems") => {
            (values(item)?, "there are different ones of")
        }
        _ => return None,
    };
    (most < least).then(|| format!("minItems is {least}, but {why} at most {most}"))
}

/// How many values a schema accepts, if that is plain: those listed, or `true`, `false`, `null`.
fn values(schema: &Value<'_>) -> Option<u64> {
    let listed = items(schema.get("enum"));
    if !listed.is_empty() {
        return Some(listed.len() as u64);
    }
    let types = Types::allowed_by(schema);
    let few = Types::NULL.with(Types::BOOLEAN);
    let count = |kind: Types, count| if types.has(kind) { count } else { 0 };
    (types.0 & !few.0 == 0).then(|| count(Types::NULL, 1) + count(Types::BOOLEAN, 2))
}

/// Objects of more members than there can be, or of members that must and must not be there.
fn objects(schema: &Value<'_>) -> Option<String> {
    let names = |keyword| items(schema.get(keyword)).iter().filter_map(Value::as_str);
    if let Some(name) = names("required").find(|name| names("notAllowed").any(|no| no == *name)) {
        return Some(format!("{name} is required and not allowed"));
    }
    let required = names("required").count() as u64;
    if let Some(most) = count(schema, "maxProperties").filter(|most| *most < required) {
        return Some(format!("{required} members are required, maxProperties is {most}"));
    }
    let closed = matches!(schema.get("additionalProperties"), Some(Value::Bool(false)));
    let least = count(schema, "minProperties")?;
    let most = members(schema.get("properties")).count() as u64;
    (closed && schema.get("patternProperties").is_none() && most < least)
        .then(|| format!("minProperties is {least}, but there are only {most} properties"))
}
