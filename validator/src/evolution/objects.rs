//! Keywords that are about members of objects and items of lists.

use crate::document::Value;
use crate::evolution::columns::Column;
use crate::evolution::{Level, Walk, resolved, rules};
use crate::pointer;

/// What may stand under names that a schema does not mention.
enum Others<'a> {
    Anything,
    Nothing,
    Like(&'a Value<'static>),
}

impl<'a> Walk<'a> {
    pub(super) fn array(
        &mut self,
        old: &'a Value<'static>,
        new: &'a Value<'static>,
        pointer: &str,
        depth: usize,
    ) {
        let (before, after) = (old.get("items"), new.get("items"));
        let place = pointer::join(pointer, "items");
        let (level, why) = match (before, after) {
            (None, None) => return,
            (Some(old @ Value::Object(_)), Some(new @ Value::Object(_))) => {
                return self.schema(old, new, &place, depth + 1);
            }
            (Some(Value::Array(olds)), Some(Value::Array(news))) if olds.len() == news.len() => {
                for (index, (old, new)) in olds.iter().zip(news).enumerate() {
                    let place = pointer::join(&place, &index.to_string());
                    self.schema(old, new, &place, depth + 1);
                }
                return;
            }
            (Some(_), None) => (Level::Addition, "items may be anything now"),
            _ => (Level::Revision, "there is a new rule for items"),
        };
        self.add(pointer, "items", (before, after), level, why);
    }

    pub(super) fn object(
        &mut self,
        old: &'a Value<'static>,
        new: &'a Value<'static>,
        pointer: &str,
        depth: usize,
    ) {
        let place = pointer::join(pointer, "properties");
        for (name, schema) in members(new) {
            let place = pointer::join(&place, name);
            match member(old, name) {
                Some(before) => self.property(before, schema, &place, depth),
                None => self.added(old, new, name, &place),
            }
        }
        for (name, schema) in members(old).filter(|(name, _)| member(new, name).is_none()) {
            let (level, why) = match others(new) {
                Others::Nothing => (Level::Revision, "earlier data may have it"),
                Others::Anything => (Level::Addition, "any value is allowed there now"),
                Others::Like(_) => (Level::Revision, "the rule for other members applies now"),
            };
            self.add(&place, name, (Some(schema), None), level, why);
        }
        self.required(old, new, pointer);
        self.others(old, new, pointer, depth);
    }

    /// A property that both versions have.
    fn property(
        &mut self,
        old: &'a Value<'static>,
        new: &'a Value<'static>,
        place: &str,
        depth: usize,
    ) {
        let start = self.found.len();
        self.schema(old, new, place, depth + 1);
        let (old, new) = (resolved(self.old, old), resolved(self.new, new));
        let column = Column::between(old, new);
        // The column is that of the property: its first change tells of it.
        if let Some(change) = self.found.get_mut(start) {
            change.column = change.column.max(column);
        }
    }

    /// A property that is new.
    fn added(&mut self, old: &'a Value<'static>, new: &'a Value<'static>, name: &str, place: &str) {
        let schema = member(new, name);
        let required = requires(new, name);
        let (level, why) = match (others(old), required) {
            (Others::Nothing, false) => (Level::Addition, "a new member that may be left out"),
            (Others::Nothing, true) if requires(old, name) => {
                (Level::Addition, "it was required and could not be given")
            }
            (Others::Nothing, true) => (Level::Model, "no earlier data has it, and it is required"),
            (_, true) => (Level::Revision, "earlier data may lack it"),
            (Others::Anything, false) if schema.is_some_and(says_nothing) => {
                (Level::Addition, "a new member that may be anything")
            }
            (_, false) => (Level::Revision, "earlier data may have anything under this name"),
        };
        self.add(place, "", (None, schema), level, why);
        if let Some(change) = self.found.last_mut() {
            change.column = Column::Added;
        }
    }

    fn required(&mut self, old: &'a Value<'static>, new: &'a Value<'static>, pointer: &str) {
        let place = pointer::join(pointer, "required");
        let known = |name: &str| member(old, name).is_some() || member(new, name).is_none();
        for name in names(new).filter(|name| !requires(old, name) && known(name)) {
            self.note(&place, ("optional", name), Level::Revision, "earlier data may lack it");
        }
        for name in names(old).filter(|name| !requires(new, name)) {
            self.note(&place, ("required", name), Level::Addition, "it may be left out now");
        }
    }

    fn note(&mut self, place: &str, (before, name): (&str, &str), level: Level, why: &'static str) {
        let after = if before == "optional" { "required" } else { "optional" };
        self.add(place, name, (None, None), level, why);
        if let Some(change) = self.found.last_mut() {
            (change.before, change.after) = (before.to_owned(), after.to_owned());
        }
    }

    /// `additionalProperties`
    fn others(
        &mut self,
        old: &'a Value<'static>,
        new: &'a Value<'static>,
        pointer: &str,
        depth: usize,
    ) {
        const KEYWORD: &str = "additionalProperties";
        let (level, why) = match (others(old), others(new)) {
            (Others::Anything, Others::Anything) | (Others::Nothing, Others::Nothing) => return,
            (Others::Like(old), Others::Like(new)) => {
                return self.schema(old, new, &pointer::join(pointer, KEYWORD), depth + 1);
            }
            (_, Others::Anything) => (Level::Addition, "other members may be anything now"),
            (Others::Nothing, Others::Like(_)) => {
                (Level::Addition, "other members are allowed now")
            }
            (_, Others::Nothing) => (Level::Revision, "other members are no longer allowed"),
            (_, Others::Like(_)) => (Level::Revision, "there is a rule for other members now"),
        };
        self.add(pointer, KEYWORD, (old.get(KEYWORD), new.get(KEYWORD)), level, why);
    }
}

fn members<'a>(schema: &'a Value<'static>) -> impl Iterator<Item = (&'a str, &'a Value<'static>)> {
    let members = match schema.get("properties") {
        Some(Value::Object(members)) => members.as_slice(),
        _ => &[],
    };
    members.iter().map(|(name, schema)| (name.as_ref(), schema))
}

fn member<'a>(schema: &'a Value<'static>, name: &str) -> Option<&'a Value<'static>> {
    schema.get("properties")?.get(name)
}

fn names<'a>(schema: &'a Value<'static>) -> impl Iterator<Item = &'a str> {
    schema.get("required").map_or(&[][..], rules::items).iter().filter_map(Value::as_str)
}

fn requires(schema: &Value<'static>, name: &str) -> bool {
    names(schema).any(|required| required == name)
}

fn others<'a>(schema: &'a Value<'static>) -> Others<'a> {
    match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => Others::Nothing,
        Some(rule @ Value::Object(_)) if !says_nothing(rule) => Others::Like(rule),
        _ => Others::Anything,
    }
}

fn says_nothing(schema: &Value<'static>) -> bool {
    matches!(schema, Value::Object(members) if members.is_empty())
}
