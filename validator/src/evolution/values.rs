//! Parts of a schema that allow so few values that each can be tried.

use crate::document::Value;
use crate::evolution::{resolved, rules};
use crate::schema::table::{Table, Types};
use crate::schema::{compile, report};

/// How many integers in a row are tried.
const RANGE: i64 = 256;

/// A root, and a part of it.
type Part<'a> = (&'a Value<'static>, &'a Value<'static>);

/// Whether the old part allows few values, and the new one allows each of them.
pub(super) fn all_still_fit(old: Part<'_>, new: Part<'_>) -> bool {
    let Some(values) = values(old) else { return false };
    let table = compile::compile_part(new.0, new.1);
    !values.is_empty() && values.iter().all(|value| fits(&table, value))
}

/// The values that a part allows, if they are few.
fn values((root, part): Part<'_>) -> Option<Vec<Value<'static>>> {
    let candidates = candidates(resolved(root, part)).or_else(|| candidates(part))?;
    let table = compile::compile_part(root, part);
    Some(candidates.into_iter().filter(|value| fits(&table, value)).collect())
}

fn fits(table: &Table, value: &Value<'_>) -> bool {
    report::findings(table, value).is_ok_and(|findings| findings.is_empty())
}

/// Among these are all values that a schema allows.
fn candidates(schema: &Value<'static>) -> Option<Vec<Value<'static>>> {
    let nothing = || vec![Value::Null];
    if let Some(listed) = schema.get("enum") {
        // `nullable` adds one that is not listed.
        return Some(rules::items(listed).iter().cloned().chain(nothing()).collect());
    }
    let types = Types::allowed_by(schema);
    let bound = |keyword| match schema.get(keyword) {
        Some(Value::Number(literal)) => literal.parse::<i64>().ok(),
        _ => None,
    };
    let mut candidates = nothing();
    if types.has(Types::BOOLEAN) {
        candidates.extend([Value::Bool(true), Value::Bool(false)]);
    }
    if types.has(Types::INTEGER) {
        let (least, most) = (bound("minimum")?, bound("maximum")?);
        (most.checked_sub(least)? < RANGE).then_some(())?;
        candidates.extend((least..=most).map(|value| Value::Number(value.to_string().into())));
    }
    let few = Types::NULL.with(Types::BOOLEAN).with(Types::INTEGER);
    (types.0 & !few.0 == 0).then_some(candidates)
}
