//! From the text of a schema to a [`Table`].
//!
//! Only schemas that passed the metaschema come here, so a keyword of the wrong shape cannot
//! happen and is ignored. What cannot be carried out (a reference to nowhere, a malformed
//! expression) makes a fault of its node: it harms only data that reaches it.

use std::borrow::Cow;

use hashbrown::HashMap;

use crate::document::Value;
use crate::format::Format;
use crate::pattern::{Pattern, Refusal, Room};
use crate::schema::loops;
use crate::schema::names::Names;
use crate::schema::table::{
    ArrayRules, Bound, Dependency, Entry, Enumeration, InPlace, Items, Needs, Node, NodeId,
    NumberRules, ObjectRules, Rest, StringRules, Table, Texts, Types,
};

/// Names per object that can be watched for; a `u64` has as many bits.
const BITS: usize = 64;

/// Keywords that the peer takes for its own and then fails on.
const FATAL_KEYWORDS: [&str; 4] = ["edits", "crossEdits", "uuid", "dateTime"];

/// Compiles a schema that passed the metaschema.
pub(crate) fn compile(root: &Value<'_>) -> Table {
    compile_part(root, root)
}

/// As [`compile`], a part of a schema, whose references are relative to the root.
pub(crate) fn compile_part<'a>(root: &'a Value<'a>, part: &'a Value<'a>) -> Table {
    let mut compiler =
        Compiler { root, schemas: Vec::new(), known: HashMap::default(), room: Room::default() };
    compiler.node(part);
    let mut table = Table::default();
    // Building a node may add schemas to the list; nothing recurses.
    while let Some(schema) = compiler.schemas.get(table.nodes.len()) {
        table.nodes.push(compiler.build(schema));
    }
    loops::break_loops(&mut table);
    mark_trivial(&mut table);
    table.faulty = table.nodes.iter().any(|node| node.fault.is_some());
    table
}

struct Compiler<'a> {
    root: &'a Value<'a>,
    /// Every schema object met so far, by the index of its node.
    schemas: Vec<&'a Value<'a>>,
    /// The nodes of schema objects met so far, by their place in memory.
    known: HashMap<*const Value<'a>, NodeId, foldhash::fast::RandomState>,
    /// What is left for patterns.
    room: Room,
}

impl<'a> Compiler<'a> {
    /// The node of a schema object.
    fn node(&mut self, schema: &'a Value<'a>) -> NodeId {
        if let Some(id) = self.known.get(&std::ptr::from_ref(schema)) {
            return *id;
        }
        let id = NodeId::try_from(self.schemas.len()).expect("a schema is far smaller");
        self.known.insert(std::ptr::from_ref(schema), id);
        self.schemas.push(schema);
        id
    }

    fn build(&mut self, schema: &'a Value<'a>) -> Node {
        let mut node = Node::anything();
        types(schema, &mut node);
        node.texts.messages = messages(schema);
        node.enumeration = enumeration(schema).map(Box::new);
        node.fault = fatal_keyword(schema);
        let mut rules = (|| {
            node.string = string_rules(schema, &mut self.room)?.map(Box::new);
            node.object = self.object_rules(schema)?.map(Box::new);
            Ok(())
        })();
        node.number = number_rules(schema).map(Box::new);
        node.array = self.array_rules(schema).map(Box::new);
        if node.array.as_ref().is_some_and(|rules| rules.unique) && node.types.has(Types::OBJECT) {
            // Of objects it asks that no two members have the same value: only a tree tells.
            node.object.get_or_insert_default().wide = true;
        }
        if rules.is_ok() {
            rules = self.in_place(schema, &mut node.in_place);
        }
        if let Err(fault) = rules {
            node.fault.get_or_insert(fault);
        }
        node
    }

    fn nodes(&mut self, schemas: &'a Value<'a>) -> Vec<NodeId> {
        array(schemas).iter().map(|schema| self.node(schema)).collect()
    }

    fn in_place(&mut self, schema: &'a Value<'a>, out: &mut Vec<InPlace>) -> Result<(), Box<str>> {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str)
            && let Some(target) = self.reference(reference)?
        {
            out.push(InPlace::Reference(target));
        }
        if let Some(schemas) = schema.get("allOf") {
            out.push(InPlace::All(self.nodes(schemas)));
        }
        if let Some(schemas) = schema.get("anyOf") {
            out.push(InPlace::Any(self.nodes(schemas)));
        }
        if let Some(schema) = schema.get("not") {
            let text = format!("\"not\" : {}", schema.to_json());
            out.push(InPlace::Not(self.node(schema), text.into()));
        }
        if let Some(schemas) = schema.get("oneOf") {
            let branch = |schema: &'a Value<'a>| (self.node(schema), schema.to_json().into());
            out.push(InPlace::One(array(schemas).iter().map(branch).collect()));
        }
        Ok(())
    }

    /// The node that a `$ref` leads to; `None` where the peer accepts everything.
    fn reference(&mut self, reference: &str) -> Result<Option<NodeId>, Box<str>> {
        let nowhere = || format!("Reference {reference} cannot be resolved").into_boxed_str();
        let target = target(self.root, reference).ok_or_else(nowhere)?;
        Ok(target.map(|target| self.node(target)))
    }

    fn array_rules(&mut self, schema: &'a Value<'a>) -> Option<ArrayRules> {
        let rest = match schema.get("additionalItems") {
            Some(Value::Bool(false)) => Rest::None,
            Some(schema @ Value::Object(_)) => Rest::Node(self.node(schema)),
            _ => Rest::Any,
        };
        let rules = ArrayRules {
            items: match schema.get("items") {
                Some(schema @ Value::Object(_)) => Items::All(self.node(schema)),
                Some(schemas @ Value::Array(_)) => Items::Tuple(self.nodes(schemas), rest),
                _ => Items::Any,
            },
            min: count(schema, "minItems").unwrap_or(0),
            max: count(schema, "maxItems"),
            unique: matches!(schema.get("uniqueItems"), Some(Value::Bool(true))),
        };
        let says_nothing = matches!(rules.items, Items::Any)
            && rules.min == 0
            && rules.max.is_none()
            && !rules.unique;
        (!says_nothing).then_some(rules)
    }

    fn object_rules(&mut self, schema: &'a Value<'a>) -> Result<Option<ObjectRules>, Box<str>> {
        let keywords = [
            "properties",
            "patternProperties",
            "additionalProperties",
            "required",
            "minProperties",
            "maxProperties",
            "dependencies",
            "notAllowed",
            "readOnly",
        ];
        if !keywords.iter().any(|keyword| schema.get(keyword).is_some()) {
            return Ok(None);
        }
        let mut entries = Entries::default();
        for (name, schema) in members(schema.get("properties")) {
            let node = self.node(schema);
            entries.entry(name).node = Some(node);
        }
        for name in strings(schema.get("required")) {
            entries.entry(name).required = true;
        }
        for name in strings(schema.get("notAllowed")) {
            entries.entry(name).not_allowed = true;
        }
        let mut rules = ObjectRules {
            additional: match schema.get("additionalProperties") {
                Some(Value::Bool(false)) => Rest::None,
                Some(schema @ Value::Object(_)) => Rest::Node(self.node(schema)),
                _ => Rest::Any,
            },
            min: count(schema, "minProperties").unwrap_or(0),
            max: count(schema, "maxProperties"),
            not_allowed: strings(schema.get("notAllowed")).map(Into::into).collect(),
            read_only: matches!(schema.get("readOnly"), Some(Value::Array(_))),
            dependencies: self.dependencies(schema, &mut entries),
            dependencies_text: dependencies_text(schema),
            ..ObjectRules::default()
        };
        for (pattern, schema) in members(schema.get("patternProperties")) {
            let compiled = expression(pattern, &mut self.room)?;
            rules.patterns.push((compiled, self.node(schema)));
        }
        entries.finish(&mut rules);
        Ok(Some(rules))
    }

    fn dependencies(&mut self, schema: &'a Value<'a>, entries: &mut Entries) -> Vec<Dependency> {
        let mut dependencies = Vec::new();
        for (name, needs) in members(schema.get("dependencies")) {
            let needs = match needs {
                Value::Array(_) => {
                    Needs::Entries(strings(Some(needs)).map(|name| entries.index(name)).collect())
                }
                schema => Needs::Node(self.node(schema)),
            };
            dependencies.push(Dependency { entry: entries.index(name), needs });
        }
        dependencies
    }
}

/// The entries of one object while they are collected.
#[derive(Default)]
struct Entries {
    entries: Vec<Entry>,
    by_name: HashMap<Box<str>, usize, foldhash::fast::RandomState>,
}

impl Entries {
    fn index(&mut self, name: &str) -> usize {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        self.by_name.insert(name.into(), self.entries.len());
        let name = name.into();
        self.entries.push(Entry { name, node: None, required: false, bit: 0, not_allowed: false });
        self.entries.len() - 1
    }

    fn entry(&mut self, name: &str) -> &mut Entry {
        let index = self.index(name);
        &mut self.entries[index]
    }

    /// Gives a bit to every name that is watched for, and moves into the rules.
    fn finish(mut self, rules: &mut ObjectRules) {
        let mut watched: Vec<usize> =
            (0..self.entries.len()).filter(|index| self.entries[*index].required).collect();
        for dependency in &rules.dependencies {
            watched.push(dependency.entry);
            if let Needs::Entries(needed) = &dependency.needs {
                watched.extend(needed);
            }
        }
        let mut used = 0;
        for index in watched {
            let entry = &mut self.entries[index];
            if entry.bit == 0 && used < BITS {
                entry.bit = 1 << used;
                used += 1;
            }
            rules.wide |= entry.bit == 0;
            if entry.required {
                rules.required |= entry.bit;
            }
        }
        rules.names = Names::new(self.entries.iter().map(|entry| entry.name.clone()).collect());
        rules.entries = self.entries;
    }
}

fn types(schema: &Value<'_>, node: &mut Node) {
    let names: Vec<&str> = match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(list @ Value::Array(_)) => strings(Some(list)).collect(),
        _ => return,
    };
    let nullable = matches!(schema.get("nullable"), Some(Value::Bool(true)));
    let null = if nullable { Types::NULL } else { Types(0) };
    node.types = names.iter().fold(null, |types, name| types.with(Types::named(name)));
    let list = matches!(schema.get("type"), Some(Value::Array(_)));
    let text = if list { format!("[{}]", names.join(", ")) } else { names.concat() };
    node.texts = Texts { types: Some((text.into(), list)), messages: Vec::new() };
}

fn messages(schema: &Value<'_>) -> Vec<(Box<str>, Box<str>)> {
    let texts = members(schema.get("message"));
    texts.filter_map(|(keyword, text)| Some((keyword.into(), text.as_str()?.into()))).collect()
}

fn enumeration(schema: &Value<'_>) -> Option<Enumeration> {
    let Some(Value::Array(values)) = schema.get("enum") else { return None };
    let (strings, others): (Vec<_>, Vec<_>) =
        values.iter().partition(|value| matches!(value, Value::String(_)));
    let strings = strings.into_iter().filter_map(Value::as_str).map(Into::into).collect();
    let mut printed: Vec<Cow<'_, str>> = values.iter().map(print).collect();
    let mut others: Vec<_> = others.into_iter().cloned().map(Value::into_owned).collect();
    if matches!(schema.get("nullable"), Some(Value::Bool(true))) {
        printed.push(Cow::Borrowed("null"));
        others.push(Value::Null);
    }
    Some(Enumeration {
        strings: Names::new(strings),
        others,
        text: format!("[{}]", printed.join(", ")).into(),
    })
}

/// A listed value as the peer's message prints it: containers as nothing.
fn print<'a>(value: &'a Value<'_>) -> Cow<'a, str> {
    match value {
        Value::String(text) | Value::Number(text) => Cow::Borrowed(text.as_ref()),
        Value::Array(_) | Value::Object(_) => Cow::Borrowed(""),
        other => Cow::Owned(other.to_json()),
    }
}

/// What the peer fails on wherever it stands.
pub(crate) fn fatal_keyword(schema: &Value<'_>) -> Option<Box<str>> {
    let keyword = FATAL_KEYWORDS.iter().find(|keyword| schema.get(keyword).is_some())?;
    Some(format!("No suitable validator for {keyword}").into())
}

fn string_rules(schema: &Value<'_>, room: &mut Room) -> Result<Option<StringRules>, Box<str>> {
    let text = |keyword| schema.get(keyword).and_then(Value::as_str);
    let mut rules = StringRules {
        min: count(schema, "minLength").unwrap_or(0),
        max: count(schema, "maxLength"),
        ..StringRules::default()
    };
    if let Some(pattern) = text("pattern") {
        let compiled = expression(pattern, room)?;
        rules.pattern = Some((pattern.into(), compiled));
    }
    rules.format = text("format").and_then(|name| Some((name.into(), Format::named(name)?)));
    let says_nothing =
        rules.min == 0 && rules.max.is_none() && rules.pattern.is_none() && rules.format.is_none();
    Ok((!says_nothing).then_some(rules))
}

/// A compiled expression, or what is wrong with the schema for its sake.
fn expression(pattern: &str, room: &mut Room) -> Result<Pattern, Box<str>> {
    Pattern::new(pattern, room).map_err(|refusal| match refusal {
        Refusal::Malformed(_) => format!("{pattern} is not a valid regular expression").into(),
        Refusal::TooLarge => {
            format!("{pattern} takes more memory than expressions of a schema may").into()
        }
    })
}

fn number_rules(schema: &Value<'_>) -> Option<NumberRules> {
    let literal = |keyword| match schema.get(keyword) {
        Some(Value::Number(literal)) => Some(literal.as_ref()),
        _ => None,
    };
    let bound = |keyword, exclusive| {
        let exclusive = matches!(schema.get(exclusive), Some(Value::Bool(true)));
        literal(keyword).map(|literal| Bound::new(literal, exclusive))
    };
    let rules = NumberRules {
        min: bound("minimum", "exclusiveMinimum"),
        max: bound("maximum", "exclusiveMaximum"),
        multiple_of: literal("multipleOf").and_then(|literal| literal.parse().ok()),
    };
    let says_nothing = rules.min.is_none() && rules.max.is_none() && rules.multiple_of.is_none();
    (!says_nothing).then_some(rules)
}

fn dependencies_text(schema: &Value<'_>) -> Box<str> {
    let lists = members(schema.get("dependencies")).filter_map(|(name, needs)| match needs {
        Value::Array(_) => {
            let names: Vec<&str> = strings(Some(needs)).collect();
            Some(format!("{name}=[{}]", names.join(", ")))
        }
        _ => None,
    });
    format!("{{{}}}", lists.collect::<Vec<_>>().join(", ")).into()
}

/// What a reference leads to: a part of this schema, or another one, which nobody fetches and which
/// accepts everything (the inner `None`). `None` if it leads nowhere.
pub(crate) fn target<'a>(root: &'a Value<'a>, reference: &str) -> Option<Option<&'a Value<'a>>> {
    if let Some(fragment) = reference.strip_prefix('#') {
        return find(root, fragment).map(Some);
    }
    let remote = reference.starts_with("http://") || reference.starts_with("https://");
    match reference.split_once('#') {
        None | Some((_, "")) if remote => Some(None),
        _ => None,
    }
}

/// The part of a schema that the fragment of a reference names: a JSON pointer or an `id`.
fn find<'a>(root: &'a Value<'a>, fragment: &str) -> Option<&'a Value<'a>> {
    if fragment.is_empty() {
        return Some(root);
    }
    let Some(pointer) = fragment.strip_prefix('/') else {
        return find_id(root, fragment);
    };
    let mut value = root;
    for token in pointer.split('/') {
        let token = percent_decoded(token).replace("~1", "/").replace("~0", "~");
        value = match value {
            Value::Array(items) => items.get(token.parse::<usize>().ok()?)?,
            value => value.get(&token)?,
        };
    }
    matches!(value, Value::Object(_)).then_some(value)
}

/// The first object, in document order, whose `id` is this fragment.
fn find_id<'a>(value: &'a Value<'a>, fragment: &str) -> Option<&'a Value<'a>> {
    let id = value.get("id").and_then(Value::as_str).and_then(|id| id.strip_prefix('#'));
    if id == Some(fragment) {
        return Some(value);
    }
    match value {
        Value::Object(members) => members.iter().find_map(|(_, value)| find_id(value, fragment)),
        Value::Array(items) => items.iter().find_map(|value| find_id(value, fragment)),
        _ => None,
    }
}

fn percent_decoded(token: &str) -> String {
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn array<'a>(value: &'a Value<'a>) -> &'a [Value<'a>] {
    match value {
        Value::Array(items) => items,
        _ => &[],
    }
}

fn members<'a>(value: Option<&'a Value<'a>>) -> impl Iterator<Item = (&'a str, &'a Value<'a>)> {
    let members = match value {
        Some(Value::Object(members)) => members.as_slice(),
        _ => &[],
    };
    members.iter().map(|(name, value)| (name.as_ref(), value))
}

fn strings<'a>(value: Option<&'a Value<'a>>) -> impl Iterator<Item = &'a str> {
    value.map_or(&[][..], array).iter().filter_map(Value::as_str)
}

/// A count; larger than anything if it does not fit.
fn count(schema: &Value<'_>, keyword: &str) -> Option<u64> {
    match schema.get(keyword) {
        Some(Value::Number(literal)) => Some(literal.parse().unwrap_or(u64::MAX)),
        _ => None,
    }
}

fn mark_trivial(table: &mut Table) {
    for node in &mut table.nodes {
        node.trivial = node.types == Types::ALL
            && node.fault.is_none()
            && node.enumeration.is_none()
            && node.string.is_none()
            && node.number.is_none()
            && node.array.is_none()
            && node.object.is_none()
            && node.in_place.is_empty();
    }
}
