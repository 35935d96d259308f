//! What a new version of a schema means for data and warehouse columns that are there already.
//!
//! SchemaVer promises: after an ADDITION all earlier data still fits, after a REVISION some may no
//! longer fit, after a MODEL none has to. [`compare`] finds out which of them a change is.
//! Where that cannot be decided (a pattern became another one) some data may no longer fit.
//! Descriptions, titles, defaults and examples mean nothing to data.

mod columns;
mod objects;
mod rules;
mod values;

use std::collections::HashSet;

use event::SchemaVer;

use crate::document::{self, Value};
use crate::pointer;
use crate::schema::DEPTH_LIMIT;
pub use columns::Column;

/// How far a schema is followed through its own parts and references.
const FOLLOW_LIMIT: usize = 100;

/// How much of a part of a schema is shown, characters.
const QUOTE: usize = 60;

/// What a change means for earlier data; the larger, the more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    Same,
    /// All of it still fits.
    Addition,
    /// Some may no longer fit.
    Revision,
    /// None, or next to none, still fits.
    Model,
}

/// One change of meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// JSON pointer into the schema.
    pub pointer: String,
    /// What stood there.
    pub before: String,
    /// What stands there now.
    pub after: String,
    /// What it means for earlier data.
    pub level: Level,
    /// Why it means that.
    pub why: &'static str,
    /// What it means for the column of that property.
    pub column: Column,
}

/// All changes from one version to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// In the order of the newer schema.
    pub changes: Vec<Change>,
}

/// Whether a version number keeps its promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What the numbers say.
    pub declared: Level,
    /// What they have to say at least.
    pub needed: Level,
    /// What is wrong with the numbers, if anything is.
    pub fault: Option<String>,
}

/// Compares two versions of a schema; `None` if one of the texts is not JSON.
pub fn compare(old: &str, new: &str) -> Option<Comparison> {
    let read = |text| document::parse(text, DEPTH_LIMIT).ok().map(meaning);
    let (old, new) = (read(old)?, read(new)?);
    let mut walk = Walk { old: &old, new: &new, seen: HashSet::new(), found: Vec::new() };
    walk.schema(&old, &new, "", 0);
    Some(Comparison { changes: walk.found })
}

impl Level {
    /// As SchemaVer calls it.
    pub fn name(self) -> &'static str {
        match self {
            Level::Same => "nothing",
            Level::Addition => "ADDITION",
            Level::Revision => "REVISION",
            Level::Model => "MODEL",
        }
    }

    /// What the step from one version to another declares.
    fn declared(old: SchemaVer, new: SchemaVer) -> Level {
        if old.model != new.model {
            Level::Model
        } else if old.revision != new.revision {
            Level::Revision
        } else if old.addition != new.addition {
            Level::Addition
        } else {
            Level::Same
        }
    }
}

impl Comparison {
    /// What all changes together mean for earlier data.
    pub fn level(&self) -> Level {
        self.changes.iter().map(|change| change.level).max().unwrap_or(Level::Same)
    }

    /// What they mean for columns at worst.
    pub fn column(&self) -> Column {
        self.changes.iter().map(|change| change.column).max().unwrap_or(Column::Kept)
    }

    /// Whether the step from one version to the other says what the changes are. To say more than
    /// needed is no fault; every published change of the text needs a version of its own.
    pub fn judge(&self, old: SchemaVer, new: SchemaVer) -> Judgement {
        let declared = Level::declared(old, new);
        let breaks = self.column() == Column::Breaks;
        let needed = if breaks { Level::Model } else { self.level() };
        let fault = if new <= old {
            Some(format!("{new} is not newer than {old}"))
        } else if declared >= needed {
            None
        } else if breaks && declared >= self.level() {
            Some("a warehouse column would break, which only a MODEL may do".to_owned())
        } else {
            let (declared, needed) = (declared.name(), needed.name());
            Some(format!("the version says {declared}, but the change is a {needed}"))
        };
        Judgement { declared, needed, fault }
    }
}

/// A walk over two schemas at once.
struct Walk<'a> {
    old: &'a Value<'static>,
    new: &'a Value<'static>,
    /// Pairs of parts that were compared, by their places in memory: references may be circular.
    seen: HashSet<(usize, usize)>,
    found: Vec<Change>,
}

impl<'a> Walk<'a> {
    fn schema(
        &mut self,
        old: &'a Value<'static>,
        new: &'a Value<'static>,
        pointer: &str,
        depth: usize,
    ) {
        let (start, whole) = (self.found.len(), (old, new));
        // What stands beside a reference applies, too: a value has to fit both.
        let (mut old, mut new) = (old, new);
        for _ in 0..FOLLOW_LIMIT {
            let next = (target(self.old, old), target(self.new, new));
            if next.0.is_none() && next.1.is_none() {
                break;
            }
            let beside = |schema, next: Option<_>| next.map_or(&EMPTY, |_| schema);
            self.parts(beside(old, next.0), beside(new, next.1), pointer, depth);
            (old, new) = (next.0.unwrap_or(old), next.1.unwrap_or(new));
        }
        if !old.same(new) || old.to_json().contains("\"$ref\"") {
            self.parts(old, new, pointer, depth);
        }
        self.spare(start, whole);
    }

    /// Takes back what was said of some data that may no longer fit, where there are few values
    /// that the old part allowed, and the new one allows them all.
    fn spare(&mut self, start: usize, (old, new): (&'a Value<'static>, &'a Value<'static>)) {
        let strict = |change: &Change| change.level > Level::Addition;
        if !self.found[start..].iter().any(strict)
            || !values::all_still_fit((self.old, old), (self.new, new))
        {
            return;
        }
        for change in self.found[start..].iter_mut().filter(|change| strict(change)) {
            change.level = Level::Addition;
            change.why = "each value that was allowed still is";
        }
    }

    /// Compares keyword by keyword; a reference itself is none.
    fn parts(
        &mut self,
        old: &'a Value<'static>,
        new: &'a Value<'static>,
        pointer: &str,
        depth: usize,
    ) {
        let pair = (std::ptr::from_ref(old) as usize, std::ptr::from_ref(new) as usize);
        if !self.seen.insert(pair) {
            return;
        }
        if depth >= FOLLOW_LIMIT {
            return self.add(pointer, "", (None, None), Level::Revision, "too deep to compare");
        }
        self.types(old, new, pointer);
        self.enumeration(old, new, pointer);
        self.bounds(old, new, pointer);
        self.opaque(old, new, pointer);
        self.combinations(old, new, pointer);
        self.array(old, new, pointer, depth);
        self.object(old, new, pointer, depth);
    }

    fn add(
        &mut self,
        pointer: &str,
        keyword: &str,
        (before, after): (Option<&Value<'_>>, Option<&Value<'_>>),
        level: Level,
        why: &'static str,
    ) {
        self.found.push(Change {
            pointer: if keyword.is_empty() {
                pointer.to_owned()
            } else {
                pointer::join(pointer, keyword)
            },
            before: shown(before),
            after: shown(after),
            level,
            why,
            column: Column::Kept,
        });
    }
}

fn shown(value: Option<&Value<'_>>) -> String {
    let text = value.map_or_else(|| "absent".to_owned(), Value::to_json);
    match text.char_indices().nth(QUOTE) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// A schema that says nothing.
static EMPTY: Value<'static> = Value::Object(Vec::new());

/// Where local references lead in the end, or the schema itself.
fn resolved<'a>(root: &'a Value<'static>, schema: &'a Value<'static>) -> &'a Value<'static> {
    let follow = |schema: &&'a Value<'static>| target(root, schema);
    std::iter::successors(Some(schema), follow).take(FOLLOW_LIMIT).last().unwrap_or(schema)
}

/// Where a local reference leads.
fn target<'a>(root: &'a Value<'static>, schema: &'a Value<'static>) -> Option<&'a Value<'static>> {
    let reference = schema.get("$ref").and_then(Value::as_str)?;
    pointer::find(root, reference.strip_prefix('#')?)
}

/// A schema without what means nothing to data.
fn meaning(schema: Value<'_>) -> Value<'static> {
    match schema.into_owned() {
        Value::Object(members) => {
            let silent = |name: &str, value: &Value<'_>| match name {
                "description" | "title" | "$comment" => matches!(value, Value::String(_)),
                // A property of one of these names is a schema, an object.
                "default" => !matches!(value, Value::Object(_)),
                "examples" => matches!(value, Value::Array(_)),
                _ => false,
            };
            let kept = members.into_iter().filter(|(name, value)| !silent(name, value));
            Value::Object(kept.map(|(name, value)| (name, meaning(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(meaning).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests;
