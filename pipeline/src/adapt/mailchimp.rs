//! Mailchimp: one change to a list, in a form whose names have brackets.
//!
//! `data[merges][FNAME]=x` means `{"data":{"merges":{"FNAME":"x"}}}`. What the query string has
//! goes into the data as well, under what the body has.

use std::collections::HashMap;

use bumpalo::collections::Vec as BumpVec;
use event::Bump;
use event::reason::Reason;

use super::tree::{self, Json};
use super::webhook::{ContentType, Empty, FORM, OF_THE_EVENT, Request};
use super::{Adapted, dates, find, overlay};
use crate::schema_check::Stop;
use event::map_order::in_map_order;

pub(super) fn events<'a>(request: &Request<'_, 'a>) -> Result<Adapted<'a>, Stop> {
    let arena = request.arena;
    let body = request.body(ContentType::Exactly(FORM), Empty::IsABody)?;
    let form = request.form(body).map_err(|error| Reason::input("body", Some(body), error))?;
    let Some(Some(kind)) = find(form, "type") else {
        let expectation = "no `type` parameter provided: cannot determine event type";
        return Err(Reason::input("body", Some(body), expectation).into());
    };
    let uri = request.schema(Some(kind), None)?;
    let dated = form.iter().map(|&(name, value)| match (name, value) {
        ("fired_at", Some(date)) => (name, Some(&*arena.alloc_str(&dates::reformatted(date)))),
        _ => (name, value),
    });
    let all = overlay(request.query, &dated.collect::<Vec<_>>(), arena);
    let of_the_data = in_map_order(all).into_iter().filter_map(|(name, value)| {
        value.filter(|_| !OF_THE_EVENT.contains(&name)).map(|value| (name, value))
    });
    let mut nested = Nested::default();
    for (name, value) in of_the_data {
        nested.set(&keys(name), value);
    }
    Ok(request.one(request.event_with(uri, &nested.json(arena), all)))
}

/// The keys that a name with brackets stands for.
fn keys(name: &str) -> Vec<&str> {
    /// Keys beyond these stay together: no event may be nested so deep.
    const MOST: usize = 48;
    let mut keys = Vec::new();
    let mut rest = name;
    while keys.len() < MOST
        && let Some(at) = rest.find(['[', ']'])
    {
        keys.push(&rest[..at]);
        // `][` and `]]` are one separator.
        let length =
            if rest[at..].starts_with("][") || rest[at..].starts_with("]]") { 2 } else { 1 };
        rest = &rest[at + length..];
    }
    keys.push(rest);
    while keys.len() > 1 && keys.last().is_some_and(|key| key.is_empty()) {
        keys.pop();
    }
    keys
}

/// Texts under lists of keys, to become objects in objects.
struct Nested<'a> {
    nodes: Vec<Node<'a>>,
    /// A node by its parent and its key.
    places: HashMap<(usize, &'a str), usize>,
    /// How many texts were set.
    count: usize,
}

#[derive(Default)]
struct Node<'a> {
    children: Vec<(&'a str, usize)>,
    value: Option<&'a str>,
    /// How many texts had been set when one was set here or below.
    touched: usize,
}

impl Default for Nested<'_> {
    fn default() -> Self {
        Nested { nodes: vec![Node::default()], places: HashMap::new(), count: 0 }
    }
}

impl<'a> Nested<'a> {
    /// Sets a text; what stood in its way goes.
    fn set(&mut self, keys: &[&'a str], value: &'a str) {
        self.count += 1;
        let mut at = 0;
        for (depth, key) in keys.iter().enumerate() {
            let last = depth + 1 == keys.len();
            let known = self.places.get(&(at, *key)).copied();
            let fits = |node: &usize| !last && self.nodes[*node].value.is_none();
            at = match known.filter(fits) {
                Some(node) => node,
                None => {
                    let node = self.nodes.len();
                    self.nodes.push(Node::default());
                    self.places.insert((at, key), node);
                    self.nodes[at].children.push((key, node));
                    node
                }
            };
            self.nodes[at].touched = self.count;
        }
        self.nodes[at].value = Some(value);
    }

    /// The objects, what was set last first, as they are when each is merged over those before.
    fn json(&self, arena: &'a Bump) -> Json<'a> {
        if self.count == 0 { Json::NULL } else { self.node(0, arena) }
    }

    fn node(&self, at: usize, arena: &'a Bump) -> Json<'a> {
        let node = &self.nodes[at];
        if let Some(text) = node.value {
            return Json::string(text, arena);
        }
        let mut children: Vec<_> = node
            .children
            .iter()
            .filter(|(key, child)| self.places.get(&(at, *key)) == Some(child))
            .collect();
        children.sort_by_key(|(_, child)| std::cmp::Reverse(self.nodes[*child].touched));
        let members = children
            .into_iter()
            .map(|(key, child)| (tree::escaped(key, arena), self.node(*child, arena)));
        Json::Object(BumpVec::from_iter_in(members, arena))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_brackets_are_lists_of_keys() {
        assert_eq!(keys("type"), ["type"]);
        assert_eq!(keys("data[merges][FNAME]"), ["data", "merges", "FNAME"]);
        assert_eq!(keys("a[b]c"), ["a", "b", "c"]);
        assert_eq!(keys("[a]"), ["", "a"]);
        assert_eq!(keys("a[][b]"), ["a", "", "b"]);
        assert_eq!(keys("[]"), [""]);
        assert_eq!(keys(&"[a".repeat(1000)).len(), 49);
    }

    #[test]
    fn later_texts_stand_first_and_win() {
        let arena = Bump::new();
        let mut nested = Nested::default();
        for (keys, value) in [
            (&["a", "b"][..], "1"),
            (&["c"], "2"),
            (&["a", "d"], "3"),
            (&["c", "e"], "4"),
            (&["f", "g"], "5"),
            (&["f"], "6"),
        ] {
            nested.set(keys, value);
        }
        let expected = r#"{"f":"6","c":{"e":"4"},"a":{"d":"3","b":"1"}}"#;
        assert_eq!(nested.json(&arena).to_string(), expected);
    }
}
