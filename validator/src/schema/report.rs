//! Walks a tree and writes down everything that is wrong with it, in the peer's form.
//!
//! The same rules as [`super::scan`], which only says yes or no. Per value the members of
//! `properties` come first, then the other keywords in alphabetical order. When no branch of
//! `anyOf` or `oneOf` accepts a value, the reports of all branches are given.

use event::reason::Violation;

use crate::document::Value;
use crate::number::{self, Literal};
use crate::pointer;
use crate::schema::table::{
    ArrayRules, Dependency, Entry, InPlace, Items, Needs, Node, NodeId, ObjectRules, Rest, Table,
    Types,
};

/// How many violations one document is reported with. No more fit into a bad row of a megabyte, as
/// each takes 64 bytes at least, and a document of a megabyte could have a hundred thousand.
const LIMIT: usize = 16_384;

/// What is wrong with a value; an error if the schema has a fault where the value reached it.
pub(crate) fn report(table: &Table, value: &Value<'_>) -> Result<Vec<Violation>, Fault> {
    let mut violations: Vec<_> =
        findings(table, value)?.into_iter().map(|finding| finding.violation).collect();
    without_repeats(&mut violations);
    Ok(violations)
}

/// As [`report`], with places that are not ambiguous; what two branches say is there twice.
pub(crate) fn findings(table: &Table, value: &Value<'_>) -> Result<Vec<Finding>, Fault> {
    let mut reporter = Reporter {
        table,
        path: "$".to_owned(),
        pointer: String::new(),
        found: Vec::new(),
        in_branch_of_one: false,
    };
    reporter.value(0, value)?;
    Ok(reporter.found)
}

/// A violation and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// As bad rows report it.
    pub(crate) violation: Violation,
    /// JSON pointer to the value that breaks the rule.
    pub(crate) pointer: String,
}

/// A part of the schema that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where in the data it was reached.
    pub(crate) path: String,
    /// What is wrong.
    pub(crate) message: String,
}

struct Reporter<'a> {
    table: &'a Table,
    path: String,
    pointer: String,
    found: Vec<Finding>,
    /// Whether the value is held against a branch of `oneOf`, where the peer says less.
    in_branch_of_one: bool,
}

impl<'a> Reporter<'a> {
    fn value(&mut self, id: NodeId, value: &Value<'_>) -> Result<(), Fault> {
        let node = self.table.node(id);
        if let Some(fault) = &node.fault {
            return Err(Fault { path: self.path.clone(), message: fault.to_string() });
        }
        if node.trivial || self.found.len() >= LIMIT {
            return Ok(());
        }
        match value {
            Value::Object(members) => {
                self.object(node, members, value)?;
                if let Some(rules) = node.array.as_deref() {
                    self.repeats(node, rules, members.iter().map(|(_, member)| member));
                }
            }
            Value::Array(items) => self.array(node, items)?,
            Value::String(text) => self.string(node, text),
            Value::Number(literal) => self.number(node, literal),
            Value::Null | Value::Bool(_) => {}
        }
        for rule in &node.in_place {
            self.in_place(node, rule, value)?;
        }
        self.enumeration(node, value);
        self.types(node, value);
        Ok(())
    }

    fn object(
        &mut self,
        node: &'a Node,
        members: &[(std::borrow::Cow<'_, str>, Value<'_>)],
        value: &Value<'_>,
    ) -> Result<(), Fault> {
        let Some(rules) = node.object.as_deref() else { return Ok(()) };
        self.properties(rules, value)?;
        for (name, member) in members {
            self.member(node, rules, name, member)?;
        }
        for dependency in &rules.dependencies {
            self.dependency(node, rules, dependency, value)?;
        }
        self.object_counts(node, rules, members.len() as u64);
        for name in rules.not_allowed.iter().filter(|name| value.get(name).is_some()) {
            let targets = vec![name.to_string()];
            let subject = format!("{}.{name}", self.path);
            self.add_of(
                node,
                "notAllowed",
                &subject,
                "is not allowed but it is in the data",
                targets,
            );
        }
        if rules.read_only {
            self.add(node, "readOnly", "is a readonly field, it cannot be changed", Vec::new());
        }
        for entry in rules.entries.iter().filter(|entry| entry.required) {
            if value.get(&entry.name).is_none() {
                let subject = format!("{}.{}", self.path, entry.name);
                let targets = vec![entry.name.to_string()];
                self.add_of(node, "required", &subject, "is missing but it is required", targets);
            }
        }
        Ok(())
    }

    fn properties(&mut self, rules: &'a ObjectRules, value: &Value<'_>) -> Result<(), Fault> {
        let (start, in_branch) = (self.found.len(), self.in_branch_of_one);
        let lacks = |entry: &Entry| entry.required && value.get(&entry.name).is_none();
        let given_up = in_branch && rules.entries.iter().any(lacks);
        for entry in &rules.entries {
            let Some(id) = entry.node else { continue };
            if let Some(member) = value.get(&entry.name) {
                self.in_branch_of_one = false;
                self.at_member(&entry.name, |reporter| reporter.value(id, member))?;
                self.in_branch_of_one = in_branch;
            } else if given_up {
                // The branch is not meant, so what is wrong with the others is not told.
                self.found.truncate(start);
                break;
            }
        }
        Ok(())
    }

    /// `patternProperties` and `additionalProperties`.
    fn member(
        &mut self,
        node: &'a Node,
        rules: &'a ObjectRules,
        name: &str,
        member: &Value<'_>,
    ) -> Result<(), Fault> {
        let listed = rules.names.find(name.as_bytes());
        let mut mentioned = listed.is_some_and(|index| rules.entries[index].node.is_some());
        for (pattern, id) in &rules.patterns {
            if pattern.is_match(name) {
                mentioned = true;
                self.at_member(name, |reporter| reporter.value(*id, member))?;
            }
        }
        if mentioned || ObjectRules::is_exempt(name) {
            return Ok(());
        }
        match rules.additional {
            Rest::Any => {}
            Rest::Node(id) => self.at_member(name, |reporter| reporter.value(id, member))?,
            Rest::None => {
                let subject = format!("{}.{name}", self.path);
                let message = "is not defined in the schema and the schema does not allow \
                               additional properties";
                self.add_of(node, "additionalProperties", &subject, message, vec![name.into()]);
            }
        }
        Ok(())
    }

    fn dependency(
        &mut self,
        node: &'a Node,
        rules: &'a ObjectRules,
        dependency: &'a Dependency,
        value: &Value<'_>,
    ) -> Result<(), Fault> {
        let has = |index: usize| value.get(&rules.entries[index].name).is_some();
        if !has(dependency.entry) {
            return Ok(());
        }
        match &dependency.needs {
            Needs::Node(id) => self.value(*id, value),
            Needs::Entries(needed) => {
                if !needed.iter().all(|index| has(*index)) {
                    let text = &rules.dependencies_text;
                    let message = format!("has an error with dependencies {text}");
                    self.add(node, "dependencies", &message, vec![text.to_string()]);
                }
                Ok(())
            }
        }
    }

    fn object_counts(&mut self, node: &Node, rules: &ObjectRules, length: u64) {
        if let Some(max) = rules.max.filter(|max| length > *max) {
            let message = format!("may only have a maximum of {max} properties");
            self.add(node, "maxProperties", &message, vec![max.to_string()]);
        }
        if length < rules.min {
            let message = format!("should have a minimum of {} properties", rules.min);
            self.add(node, "minProperties", &message, vec![rules.min.to_string()]);
        }
    }

    fn array(&mut self, node: &'a Node, items: &[Value<'_>]) -> Result<(), Fault> {
        let Some(rules) = node.array.as_deref() else { return Ok(()) };
        if !matches!(rules.items, Items::Any) {
            for (index, item) in items.iter().enumerate() {
                match rules.rest_at(index) {
                    Rest::Any => {}
                    Rest::Node(id) => self.at_item(index, |reporter| reporter.value(id, item))?,
                    Rest::None => {
                        let subject = format!("{}[{index}]", self.path);
                        let message = "no validator found at this index";
                        self.add_of(node, "items", &subject, message, vec![index.to_string()]);
                    }
                }
            }
        }
        let length = items.len() as u64;
        if let Some(max) = rules.max.filter(|max| length > *max) {
            let message = format!("there must be a maximum of {max} items in the array");
            self.add(node, "maxItems", &message, vec![max.to_string()]);
        }
        if length < rules.min {
            let message = format!("there must be a minimum of {} items in the array", rules.min);
            self.add(node, "minItems", &message, vec![rules.min.to_string()]);
        }
        self.repeats(node, rules, items.iter());
        Ok(())
    }

    fn string(&mut self, node: &Node, text: &str) {
        let Some(rules) = node.string.as_deref() else { return };
        if let Some((name, format)) = &rules.format
            && !format.accepts(text)
        {
            let (keyword, message, targets) = format.report(name, text);
            self.add(node, keyword, &message, targets);
        }
        let length = text.chars().count() as u64;
        if let Some(max) = rules.max.filter(|max| length > *max) {
            let message = format!("may only be {max} characters long");
            self.add(node, "maxLength", &message, vec![max.to_string()]);
        }
        if length < rules.min {
            let message = format!("must be at least {} characters long", rules.min);
            self.add(node, "minLength", &message, vec![rules.min.to_string()]);
        }
        if let Some((source, pattern)) = &rules.pattern
            && !pattern.is_match(text)
        {
            let message = format!("does not match the regex pattern {source}");
            self.add(node, "pattern", &message, vec![source.to_string()]);
        }
    }

    fn number(&mut self, node: &Node, literal: &str) {
        use std::cmp::Ordering::{Greater, Less};
        let Some(rules) = node.number.as_deref() else { return };
        // Where an integer is wanted the peer compares what is before the point.
        let integral =
            node.texts.types.as_ref().is_some_and(|(n, list)| &**n == "integer" && !list);
        let whole = (integral && !number::is_integer(literal)).then(|| whole(literal)).flatten();
        let read = Literal::at_start_of(whole.as_deref().unwrap_or(literal));
        if let Some(max) = rules.max.as_ref().filter(|max| !max.accepts(&read, Less)) {
            let message = format!("must have a maximum value of {}", max.literal);
            self.add(node, "maximum", &message, vec![max.literal.to_string()]);
        }
        if let Some(min) = rules.min.as_ref().filter(|min| !min.accepts(&read, Greater)) {
            let message = format!("must have a minimum value of {}", min.literal);
            self.add(node, "minimum", &message, vec![min.literal.to_string()]);
        }
        if let Some(divisor) = rules.multiple_of.filter(|_| !rules.accepts_multiple(literal)) {
            let divisor = number::print_double(divisor);
            let message = format!("must be multiple of {divisor}");
            self.add(node, "multipleOf", &message, vec![divisor]);
        }
    }

    fn in_place(&mut self, node: &Node, rule: &'a InPlace, value: &Value<'_>) -> Result<(), Fault> {
        match rule {
            InPlace::Reference(id) => self.value(*id, value),
            InPlace::All(ids) => ids.iter().try_for_each(|id| self.value(*id, value)),
            InPlace::Any(ids) => self.any(ids.iter().copied(), value).map(|_| ()),
            InPlace::One(branches) => self.one(node, branches, value),
            InPlace::Not(id, text) => {
                if self.branch(*id, value)?.is_empty() {
                    let message = format!("should not be valid to the schema {text}");
                    self.add(node, "not", &message, vec![text.to_string()]);
                }
                Ok(())
            }
        }
    }

    /// Adds the violations of all branches unless one of them has none.
    fn any(&mut self, ids: impl Iterator<Item = NodeId>, value: &Value<'_>) -> Result<(), Fault> {
        let mut all = Vec::new();
        for id in ids {
            let found = self.branch(id, value)?;
            if found.is_empty() {
                return Ok(());
            }
            all.extend(found);
        }
        self.found.extend(all);
        Ok(())
    }

    /// `oneOf`. When no branch accepts the value, members that are missing are told only if
    /// nothing else is wrong, and those too many only if nothing but they is left.
    fn one(
        &mut self,
        node: &Node,
        branches: &'a [(NodeId, Box<str>)],
        value: &Value<'_>,
    ) -> Result<(), Fault> {
        let (mut all, mut accepted) = (Vec::new(), 0);
        for (id, _) in branches {
            self.in_branch_of_one = true;
            let found = self.branch(*id, value)?;
            accepted += usize::from(found.is_empty());
            all.extend(found);
        }
        self.in_branch_of_one = false;
        if accepted > 1 {
            let texts: String = branches.iter().map(|(_, text)| text.as_ref()).collect();
            let message = format!(
                "should be valid to one and only one of schema, \
                 but more than one are valid: {texts}"
            );
            self.add(node, "oneOf", &message, vec![texts]);
        } else if accepted == 0 {
            for keyword in ["required", "additionalProperties"] {
                let is = |finding: &Finding| finding.violation.keyword.as_deref() == Some(keyword);
                if !all.iter().all(is) {
                    all.retain(|finding| !is(finding));
                }
            }
            self.found.extend(all);
        }
        Ok(())
    }

    /// What one branch says of the value.
    fn branch(&mut self, id: NodeId, value: &Value<'_>) -> Result<Vec<Finding>, Fault> {
        let before = std::mem::take(&mut self.found);
        let result = self.value(id, value);
        let found = std::mem::replace(&mut self.found, before);
        result.map(|()| found)
    }

    /// `uniqueItems`, which the peer also asks of the members of an object.
    fn repeats<'v, 'd: 'v>(
        &mut self,
        node: &Node,
        rules: &ArrayRules,
        values: impl Iterator<Item = &'v Value<'d>>,
    ) {
        if !rules.accepts_repeats(values) {
            self.add(node, "uniqueItems", "the items in the array must be unique", Vec::new());
        }
    }

    fn enumeration(&mut self, node: &Node, value: &Value<'_>) {
        let Some(listed) = node.enumeration.as_deref() else { return };
        if !listed.has(value) {
            let text = &listed.text;
            let message = format!("does not have a value in the enumeration {text}");
            self.add(node, "enum", &message, vec![text.to_string()]);
        }
    }

    fn types(&mut self, node: &Node, value: &Value<'_>) {
        let Some((expected, list)) = &node.texts.types else { return };
        if node.types.has(Types::of(value)) {
            return;
        }
        let found = type_name(value);
        let targets = vec![found.to_owned(), expected.to_string()];
        if *list {
            let message = format!("{found} found, but {expected} is required");
            self.add(node, "unionType", &message, targets);
        } else {
            self.add(node, "type", &format!("{found} found, {expected} expected"), targets);
        }
    }

    /// Adds a violation whose message is about the value itself.
    fn add(&mut self, node: &Node, keyword: &str, message: &str, targets: Vec<String>) {
        let subject = self.path.clone();
        self.add_of(node, keyword, &subject, message, targets);
    }

    fn add_of(
        &mut self,
        node: &Node,
        keyword: &str,
        subject: &str,
        message: &str,
        targets: Vec<String>,
    ) {
        if self.found.len() >= LIMIT {
            return;
        }
        let custom = node.texts.messages.iter().find(|(of, _)| of.as_ref() == keyword);
        let violation = Violation {
            message: custom
                .map_or_else(|| format!("{subject}: {message}"), |(_, text)| text.to_string()),
            path: Some(self.path.clone()),
            keyword: Some(keyword.to_owned()),
            targets,
        };
        self.found.push(Finding { violation, pointer: self.pointer.clone() });
    }

    fn at_member<T>(&mut self, name: &str, walk: impl FnOnce(&mut Self) -> T) -> T {
        let (length, pointer_length) = (self.path.len(), self.pointer.len());
        self.path.push('.');
        self.path.push_str(name);
        pointer::push(&mut self.pointer, name);
        let result = walk(self);
        self.path.truncate(length);
        self.pointer.truncate(pointer_length);
        result
    }

    fn at_item<T>(&mut self, index: usize, walk: impl FnOnce(&mut Self) -> T) -> T {
        let (length, pointer_length) = (self.path.len(), self.pointer.len());
        self.path.push_str(&format!("[{index}]"));
        pointer::push(&mut self.pointer, &index.to_string());
        let result = walk(self);
        self.path.truncate(length);
        self.pointer.truncate(pointer_length);
        result
    }
}

fn type_name(value: &Value<'_>) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(literal) if number::is_integer(literal) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A number without what is behind its point.
fn whole(literal: &str) -> Option<String> {
    let value: f64 = literal.parse().ok()?;
    // Beyond that, the bound decides the same way with or without a fraction.
    (value.abs() < 1e15).then(|| format!("{}", value.trunc() as i64))
}

/// Keeps the first of equal violations.
fn without_repeats(violations: &mut Vec<Violation>) {
    let mut seen = std::collections::BTreeSet::new();
    let first: Vec<bool> = violations.iter().map(|violation| seen.insert(violation)).collect();
    drop(seen);
    let mut first = first.into_iter();
    violations.retain(|_| first.next().unwrap_or(false));
}
