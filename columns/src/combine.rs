//! Two schemas in one: [`narrow`] allows what both allow, [`widen`] what either does. Neither is
//! exact: the rules are those that schema-ddl makes columns by.

use std::collections::{BTreeMap, BTreeSet};

use crate::schema::{Extra, Items, Schema, Types};

/// A schema for what both allow.
pub(crate) fn narrow(one: &Schema, other: &Schema) -> Schema {
    let first = |a: &Option<String>, b: &Option<String>| a.clone().or_else(|| b.clone());
    Schema {
        types: either(one.types, other.types, |a, b| Types(a.0 & b.0)),
        format: first(&one.format, &other.format),
        multiple_of: either(one.multiple_of.clone(), other.multiple_of.clone(), Ord::min),
        minimum: either(one.minimum.clone(), other.minimum.clone(), Ord::max),
        maximum: either(one.maximum.clone(), other.maximum.clone(), Ord::min),
        literals: either(one.literals.clone(), other.literals.clone(), |a, b| {
            a.into_iter().filter(|literal| b.contains(literal)).collect()
        }),
        items: either(one.items.clone(), other.items.clone(), |a, b| each_of(&a, &b, narrow)),
        additional_items: extra(&one.additional_items, &other.additional_items),
        properties: either(one.properties.clone(), other.properties.clone(), |mut a, b| {
            for (key, part) in b {
                let part = match a.get(&key) {
                    Some(same) => narrow(same, &part),
                    None => part,
                };
                a.insert(key, part);
            }
            a
        }),
        additional_properties: extra(&one.additional_properties, &other.additional_properties),
        required: either(one.required.clone(), other.required.clone(), |a, b| {
            a.union(&b).cloned().collect()
        }),
        one_of: one.one_of.clone().or_else(|| other.one_of.clone()),
        any_of: one.any_of.clone().or_else(|| other.any_of.clone()),
        description: first(&one.description, &other.description),
        examples: examples(one, other),
    }
}

/// A schema for what either allows.
pub(crate) fn widen(one: &Schema, other: &Schema) -> Schema {
    let pair = Pair(one, other);
    let numeric = Types::NUMBER.or(Types::INTEGER);
    Schema {
        types: one.types.zip(other.types).map(|(a, b)| a.or(b)),
        format: pair.of(Types::STRING, |it| &it.format, same),
        multiple_of: pair.of(numeric, |it| &it.multiple_of, same),
        minimum: pair.of(numeric, |it| &it.minimum, |a, b| Some(a.min(b).clone())),
        maximum: pair.of(numeric, |it| &it.maximum, |a, b| Some(a.max(b).clone())),
        literals: one.literals.as_ref().zip(other.literals.as_ref()).map(|(a, b)| {
            let mut all = a.clone();
            all.extend(b.iter().filter(|literal| !a.contains(literal)).cloned());
            all
        }),
        items: pair.of(Types::ARRAY, |it| &it.items, |a, b| Some(each_of(a, b, widen))),
        additional_items: pair.of(Types::ARRAY, |it| &it.additional_items, wide_extra),
        properties: wide_properties(pair),
        additional_properties: pair.of(Types::OBJECT, |it| &it.additional_properties, wide_extra),
        required: pair.of(
            Types::OBJECT,
            |it| &it.required,
            |a, b| Some(a.intersection(b).cloned().collect::<BTreeSet<_>>()),
        ),
        one_of: None,
        any_of: wide_alternatives(one, other),
        description: one.description.clone().filter(|_| one.description == other.description),
        examples: examples(one, other),
    }
}

/// Two schemas, to be widened.
#[derive(Clone, Copy)]
struct Pair<'a>(&'a Schema, &'a Schema);

impl<'a> Pair<'a> {
    /// A keyword that speaks of some types: if only one side permits those, it is that side's; if
    /// both do, it stays where both have it, as `combine` says.
    fn of<T>(
        self,
        types: Types,
        keyword: impl Fn(&'a Schema) -> &'a Option<T>,
        combine: impl FnOnce(&'a T, &'a T) -> Option<T>,
    ) -> Option<T>
    where
        T: Clone + 'a,
    {
        let permits = |schema: &Schema| schema.types.is_none_or(|all| all.meets(types));
        match (permits(self.0), permits(self.1)) {
            (false, false) => None,
            (true, false) => keyword(self.0).clone(),
            (false, true) => keyword(self.1).clone(),
            (true, true) => combine(keyword(self.0).as_ref()?, keyword(self.1).as_ref()?),
        }
    }
}

fn either<T>(one: Option<T>, other: Option<T>, both: impl FnOnce(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(both(one, other)),
        (one, other) => one.or(other),
    }
}

fn same<T: Clone + PartialEq>(one: &T, other: &T) -> Option<T> {
    (one == other).then(|| one.clone())
}

/// Items of two lists. Tuples are gone by then; one that is not could be anything.
fn each_of(one: &Items, other: &Items, combine: fn(&Schema, &Schema) -> Schema) -> Items {
    Items::Each(Box::new(match (one, other) {
        (Items::Each(one), Items::Each(other)) => combine(one, other),
        _ => Schema::default(),
    }))
}

fn extra(one: &Option<Extra>, other: &Option<Extra>) -> Option<Extra> {
    either(one.clone(), other.clone(), |one, other| match (one, other) {
        (Extra::Allowed(false), _) | (_, Extra::Allowed(false)) => Extra::Allowed(false),
        (Extra::Allowed(true), extra) | (extra, Extra::Allowed(true)) => extra,
        (Extra::Each(one), Extra::Each(other)) => Extra::Each(Box::new(narrow(&one, &other))),
    })
}

fn wide_extra(one: &Extra, other: &Extra) -> Option<Extra> {
    Some(match (one, other) {
        (Extra::Allowed(true), _) | (_, Extra::Allowed(true)) => Extra::Allowed(true),
        (Extra::Allowed(false), extra) | (extra, Extra::Allowed(false)) => extra.clone(),
        (Extra::Each(one), Extra::Each(other)) => Extra::Each(Box::new(widen(one, other))),
    })
}

fn wide_properties(pair: Pair<'_>) -> Option<BTreeMap<String, Schema>> {
    let Pair(one, other) = pair;
    let permits = |schema: &Schema| schema.types.is_none_or(|all| all.meets(Types::OBJECT));
    match (permits(one), permits(other)) {
        (false, false) => return None,
        (true, false) => return one.properties.clone(),
        (false, true) => return other.properties.clone(),
        (true, true) => {}
    }
    let (none, empty) = (BTreeMap::new(), BTreeMap::new());
    let (ones, others) =
        (one.properties.as_ref().unwrap_or(&none), other.properties.as_ref().unwrap_or(&empty));
    let keys: BTreeSet<&String> = ones.keys().chain(others.keys()).collect();
    let all: BTreeMap<String, Schema> = keys
        .into_iter()
        .map(|key| {
            let part = match (ones.get(key), others.get(key)) {
                (Some(one), Some(other)) => widen(one, other),
                (Some(part), None) => beside(&other.additional_properties, part),
                (None, Some(part)) => beside(&one.additional_properties, part),
                (None, None) => Schema::default(),
            };
            (key.clone(), part)
        })
        .collect();
    (!all.is_empty()).then_some(all)
}

/// A property that the other side does not name: what the other allows unnamed counts too.
fn beside(extra: &Option<Extra>, part: &Schema) -> Schema {
    match extra {
        Some(Extra::Each(each)) => widen(each, part),
        Some(Extra::Allowed(false)) => part.clone(),
        Some(Extra::Allowed(true)) | None => Schema::default(),
    }
}

/// Alternatives of both sides; without any on one side, anything is allowed.
fn wide_alternatives(one: &Schema, other: &Schema) -> Option<Vec<Schema>> {
    if one.alternatives().next().is_none() || other.alternatives().next().is_none() {
        return None;
    }
    let mut all: Vec<Schema> = Vec::new();
    for alternative in one.alternatives().chain(other.alternatives()) {
        if !all.contains(alternative) {
            all.push(alternative.clone());
        }
    }
    Some(all)
}

fn examples(one: &Schema, other: &Schema) -> Vec<String> {
    let mut all = one.examples.clone();
    all.extend(other.examples.iter().filter(|it| !one.examples.contains(it)).cloned());
    all
}
