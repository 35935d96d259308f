//! Keywords that are about one value: types, lists, bounds, and those that cannot be compared.

use std::cmp::Ordering;

use crate::document::Value;
use crate::evolution::{Level, Walk};
use crate::format::Format;
use crate::number;
use crate::pattern::Pattern;
use crate::schema::table::Types;

/// Lower bounds, upper bounds, and the keyword that says that the bound itself is outside.
const BOUNDS: [(&str, bool, &str); 8] = [
    ("minimum", true, "exclusiveMinimum"),
    ("maximum", false, "exclusiveMaximum"),
    ("minLength", true, ""),
    ("maxLength", false, ""),
    ("minItems", true, ""),
    ("maxItems", false, ""),
    ("minProperties", true, ""),
    ("maxProperties", false, ""),
];

/// Keywords whose values can only be the same or not.
const OPAQUE: [&str; 10] = [
    "pattern",
    "format",
    "multipleOf",
    "uniqueItems",
    "not",
    "oneOf",
    "dependencies",
    "patternProperties",
    "additionalItems",
    "notAllowed",
];

impl Walk<'_> {
    pub(super) fn types(&mut self, old: &Value<'_>, new: &Value<'_>, pointer: &str) {
        let (before, after) = (Types::allowed_by(old), Types::allowed_by(new));
        let (level, why) = match (before.0 & after.0, before == after) {
            (_, true) => return,
            (0, _) => (Level::Model, "no value has both types"),
            (both, _) if both == before.0 => (Level::Addition, "more types are allowed"),
            _ => (Level::Revision, "fewer types are allowed"),
        };
        self.add(pointer, "type", (old.get("type"), new.get("type")), level, why);
    }

    pub(super) fn enumeration(&mut self, old: &Value<'_>, new: &Value<'_>, pointer: &str) {
        let (before, after) = (old.get("enum"), new.get("enum"));
        let (level, why) = match (before, after) {
            (None, None) => return,
            (None, Some(_)) => (Level::Revision, "values are now listed"),
            (Some(_), None) => (Level::Addition, "any value is allowed now"),
            (Some(old), Some(new)) => {
                let within = |a: &Value<'_>, b: &Value<'_>| {
                    items(a).iter().all(|a| items(b).iter().any(|b| a.same(b)))
                };
                match (within(old, new), within(new, old)) {
                    (true, true) => return,
                    (true, false) => (Level::Addition, "more values are listed"),
                    _ => (Level::Revision, "a value is no longer listed"),
                }
            }
        };
        self.add(pointer, "enum", (before, after), level, why);
    }

    pub(super) fn bounds(&mut self, old: &Value<'_>, new: &Value<'_>, pointer: &str) {
        for (keyword, lower, exclusive) in BOUNDS {
            let (before, after) = (old.get(keyword), new.get(keyword));
            let excludes =
                |schema: &Value<'_>| matches!(schema.get(exclusive), Some(Value::Bool(true)));
            let order = match (before, after) {
                (Some(Value::Number(before)), Some(Value::Number(after))) => {
                    let order = number::compare(after, before);
                    // Excluding the bound is like moving it inwards by a little.
                    let inwards = excludes(new).cmp(&excludes(old));
                    let moved = if lower { inwards } else { inwards.reverse() };
                    order.then(moved)
                }
                (None, Some(_)) if lower => Ordering::Greater,
                (None, Some(_)) => Ordering::Less,
                (Some(_), None) if lower => Ordering::Less,
                (Some(_), None) => Ordering::Greater,
                _ => Ordering::Equal,
            };
            let (level, why) = match (order, lower) {
                (Ordering::Equal, _) => continue,
                _ if before.is_none() && is_implied(old, keyword, after) => {
                    (Level::Addition, "no text that was allowed is beyond it")
                }
                (Ordering::Less, true) | (Ordering::Greater, false) => {
                    (Level::Addition, "the bound is wider")
                }
                _ => (Level::Revision, "the bound is tighter"),
            };
            self.add(pointer, keyword, (before, after), level, why);
        }
    }

    pub(super) fn opaque(&mut self, old: &Value<'_>, new: &Value<'_>, pointer: &str) {
        for keyword in OPAQUE {
            let (before, after) = (old.get(keyword), new.get(keyword));
            let (level, why) = match (before, after) {
                (None, None) => continue,
                (Some(a), Some(b)) if a.same(b) => continue,
                (Some(_), Some(_)) => (Level::Revision, "the rule is another one"),
                (None, Some(_)) => (Level::Revision, "there is a new rule"),
                (Some(_), None) => (Level::Addition, "a rule is gone"),
            };
            self.add(pointer, keyword, (before, after), level, why);
        }
    }

    /// `anyOf` accepts more with each branch, `allOf` less.
    pub(super) fn combinations(&mut self, old: &Value<'_>, new: &Value<'_>, pointer: &str) {
        for (keyword, any) in [("anyOf", true), ("allOf", false)] {
            let (before, after) = (old.get(keyword), new.get(keyword));
            let within = |a: &Value<'_>, b: &Value<'_>| {
                items(a).iter().all(|a| items(b).iter().any(|b| a.same(b)))
            };
            let wider = match (before, after) {
                (None, None) => continue,
                (Some(a), Some(b)) if within(a, b) && within(b, a) => continue,
                (Some(a), Some(b)) => {
                    if any {
                        within(a, b)
                    } else {
                        within(b, a)
                    }
                }
                (None, Some(_)) => false,
                (Some(_), None) => true,
            };
            let (level, why) = match wider {
                true => (Level::Addition, "everything accepted before still is"),
                false => (Level::Revision, "a branch is new, gone or another one"),
            };
            self.add(pointer, keyword, (before, after), level, why);
        }
    }
}

/// Whether a bound on the length of texts says no more than the old format or pattern did.
fn is_implied(old: &Value<'_>, keyword: &str, bound: Option<&Value<'_>>) -> bool {
    let Some(Value::Number(bound)) = bound else { return false };
    let Ok(bound) = bound.parse::<u64>() else { return false };
    let text = |keyword| old.get(keyword).and_then(Value::as_str);
    let format = text("format").and_then(|name| Some(Format::named(name)?.lengths()));
    let pattern = text("pattern").and_then(Pattern::lengths);
    [format, pattern].into_iter().flatten().any(|(shortest, longest)| match keyword {
        "minLength" => bound <= shortest,
        "maxLength" => bound >= longest,
        _ => false,
    })
}

pub(super) fn items<'a, 'v>(value: &'a Value<'v>) -> &'a [Value<'v>] {
    match value {
        Value::Array(items) => items,
        _ => &[],
    }
}
