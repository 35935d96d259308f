//! Schemas as tables can follow them: without tuples, without open objects beside named
//! properties, without alternatives.
//!
//! These are the rules of schema-ddl, so columns are the same that a peer's loaders make. Data that
//! is valid may then not fit, which [`crate::fits`] finds: properties of two alternatives together
//! with types that neither would have alone, or items behind a tuple's end.

use std::collections::BTreeMap;

use crate::combine::{narrow, widen};
use crate::schema::{Extra, Items, Schema, Types};

/// The schema that columns follow.
pub(crate) fn normal(schema: &Schema) -> Schema {
    without_alternatives(&closed(&without_tuples(schema)))
}

/// Lists of one kind of item: what a tuple's are, in one.
fn without_tuples(schema: &Schema) -> Schema {
    let items = match (&schema.items, &schema.additional_items) {
        (None, _) => None,
        (Some(Items::Each(each)), _) => Some(without_tuples(each)),
        (Some(Items::Tuple(tuple)), Some(Extra::Each(more))) => {
            let first = more.as_ref().clone();
            Some(tuple.iter().map(without_tuples).fold(first, |all, item| widen(&all, &item)))
        }
        (Some(Items::Tuple(tuple)), _) => {
            tuple.iter().map(without_tuples).reduce(|all, item| widen(&all, &item))
        }
    };
    let rest = Schema { items: None, additional_items: None, ..schema.clone() };
    let schema = each_part(&rest, without_tuples);
    let items = items.map(|items| Items::Each(Box::new(items)));
    Schema { items, ..schema }
}

/// Objects that name a property have no others.
fn closed(schema: &Schema) -> Schema {
    let mut schema = each_part(schema, closed);
    let is_object = schema.types.is_some_and(|types| types.meets(Types::OBJECT));
    if is_object && names_a_property(&schema) {
        schema.additional_properties = Some(Extra::Allowed(false));
    }
    schema
}

fn names_a_property(schema: &Schema) -> bool {
    schema.properties.as_ref().is_some_and(|properties| !properties.is_empty())
        || schema.alternatives().any(names_a_property)
}

/// Each alternative, narrowed by what stands around it, and all of them in one.
fn without_alternatives(schema: &Schema) -> Schema {
    let rest = Schema { one_of: None, any_of: None, ..schema.clone() };
    let around = each_part(&rest, without_alternatives);
    let alternatives = schema.alternatives().map(without_alternatives);
    let narrowed = alternatives.map(|alternative| narrow(&around, &alternative));
    narrowed.reduce(|all, one| widen(&all, &one)).unwrap_or(around)
}

/// The schema with what it is made of changed.
fn each_part(schema: &Schema, change: fn(&Schema) -> Schema) -> Schema {
    let list = |schemas: &Vec<Schema>| schemas.iter().map(change).collect();
    let extra = |extra: &Extra| match extra {
        Extra::Allowed(allowed) => Extra::Allowed(*allowed),
        Extra::Each(each) => Extra::Each(Box::new(change(each))),
    };
    let properties = schema.properties.as_ref().map(|properties| {
        let changed = properties.iter().map(|(key, part)| (key.clone(), change(part)));
        changed.collect::<BTreeMap<_, _>>()
    });
    Schema {
        items: schema.items.as_ref().map(|items| match items {
            Items::Each(each) => Items::Each(Box::new(change(each))),
            Items::Tuple(tuple) => Items::Tuple(list(tuple)),
        }),
        additional_items: schema.additional_items.as_ref().map(extra),
        properties,
        additional_properties: schema.additional_properties.as_ref().map(extra),
        one_of: schema.one_of.as_ref().map(list),
        any_of: schema.any_of.as_ref().map(list),
        ..schema.clone()
    }
}
