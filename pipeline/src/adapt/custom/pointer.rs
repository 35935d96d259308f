//! Where something is in a JSON value, or in a request.

use std::fmt;

use event::json::write_string;

use super::super::tree::Json;

/// A JSON pointer, in which `*` stands for every element and every member.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer {
    text: String,
    /// The keys, as they are inside the quotes of a compact text.
    steps: Vec<String>,
}

/// Why a text is no pointer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a JSON pointer such as `/data/id`, found `{0}`")]
pub struct NoPointer(String);

impl Pointer {
    /// Reads a pointer; the empty one is the whole value.
    pub fn parse(text: &str) -> Result<Pointer, NoPointer> {
        if !text.is_empty() && !text.starts_with('/') {
            return Err(NoPointer(text.to_owned()));
        }
        let step = |step: &str| {
            let mut out = Vec::new();
            write_string(&step.replace("~1", "/").replace("~0", "~"), &mut out);
            let quoted = String::from_utf8(out).expect("a JSON string is UTF-8");
            quoted[1..quoted.len() - 1].to_owned()
        };
        Ok(Pointer { text: text.to_owned(), steps: text.split('/').skip(1).map(step).collect() })
    }

    /// The first value there.
    pub(super) fn find<'j, 'a>(&self, json: &'j Json<'a>) -> Option<&'j Json<'a>> {
        let mut at = json;
        for step in &self.steps {
            at = match at {
                Json::Object(members) if step == "*" => &members.first()?.1,
                Json::Object(members) => &members.iter().find(|(key, _)| key == step)?.1,
                Json::List(elements) if step == "*" => elements.first()?,
                Json::List(elements) => elements.get(step.parse::<usize>().ok()?)?,
                Json::Scalar(_) => return None,
            };
        }
        Some(at)
    }

    /// Changes every value there.
    pub(super) fn change<'a, E>(
        &self,
        json: &mut Json<'a>,
        change: &mut impl FnMut(&mut Json<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        walk(&self.steps, json, &mut |value| change(value))
    }

    /// Removes every member there.
    pub(super) fn remove(&self, json: &mut Json<'_>) {
        self.of_parents(json, |members, key| members.retain(|(known, _)| *known != key));
    }

    /// Gives every member there another key.
    pub(super) fn rename<'a>(&self, json: &mut Json<'a>, to: &'a str) {
        self.of_parents(json, |members, key| {
            if let Some(place) = members.iter().position(|(known, _)| *known == key) {
                members.retain({
                    let mut at = 0;
                    move |(known, _)| {
                        at += 1;
                        at - 1 == place || *known != to
                    }
                });
                let place = members.iter().position(|(known, _)| *known == key);
                members[place.expect("it was kept")].0 = to;
            }
        });
    }

    fn of_parents<'a>(
        &self,
        json: &mut Json<'a>,
        mut change: impl FnMut(&mut super::super::tree::Members<'a>, &str),
    ) {
        let Some((key, parents)) = self.steps.split_last() else { return };
        let walked: Result<(), std::convert::Infallible> = walk(parents, json, &mut |parent| {
            if let Json::Object(members) = parent {
                change(members, key);
            }
            Ok(())
        });
        let Ok(()) = walked;
    }

    /// A value at that place, objects around it.
    pub(super) fn around(&self, value: String) -> String {
        self.steps.iter().rev().fold(value, |value, step| format!("{{\"{step}\":{value}}}"))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn walk<'a, E>(
    steps: &[String],
    json: &mut Json<'a>,
    change: &mut impl FnMut(&mut Json<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let Some((step, rest)) = steps.split_first() else { return change(json) };
    match json {
        Json::Object(members) => {
            let wanted = |(key, _): &&mut (&str, Json<'a>)| step == "*" || *key == step;
            members.iter_mut().filter(wanted).try_for_each(|(_, value)| walk(rest, value, change))
        }
        Json::List(elements) if step == "*" => {
            elements.iter_mut().try_for_each(|element| walk(rest, element, change))
        }
        Json::List(elements) => {
            let place = step.parse::<usize>().ok();
            let element = place.and_then(|place| elements.get_mut(place));
            element.map_or(Ok(()), |element| walk(rest, element, change))
        }
        Json::Scalar(_) => Ok(()),
    }
}

/// Where a value of a request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the event.
    Event(Pointer),
    /// In a header.
    Header(String),
    /// In a parameter of the query string.
    Query(String),
}

impl Place {
    /// Reads `/a/pointer`, `header:Name` or `query:name`.
    pub fn parse(text: &str) -> Result<Place, NoPointer> {
        match text.split_once(':') {
            Some(("header", name)) if !name.is_empty() => Ok(Place::Header(name.to_owned())),
            Some(("query", name)) if !name.is_empty() => Ok(Place::Query(name.to_owned())),
            _ => Pointer::parse(text).map(Place::Event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::Bump;

    fn check(pointer: &str, edit: impl Fn(&Pointer, &mut Json<'_>), expected: &str) {
        let arena = Bump::new();
        let text = r#"{"a":{"b":[{"c":1},{"c":2}],"d.e":3},"x/y":4}"#;
        let mut json = Json::of(text, &arena);
        edit(&Pointer::parse(pointer).expect("a pointer"), &mut json);
        assert_eq!(json.to_string(), expected, "{pointer}");
    }

    #[test]
    fn pointers_find_what_they_point_at() {
        let arena = Bump::new();
        let json = Json::of(r#"{"a":{"b":[{"c":1},{"c":2}]},"x/y":4}"#, &arena);
        for (pointer, expected) in [
            ("/a/b/1/c", Some("2")),
            ("/a/b/*/c", Some("1")),
            ("/x~1y", Some("4")),
            ("/a/c", None),
            ("/a/b/c", None),
        ] {
            let pointer = Pointer::parse(pointer).expect("a pointer");
            assert_eq!(pointer.find(&json).map(ToString::to_string).as_deref(), expected);
        }
        assert!(Pointer::parse("a/b").is_err());
    }

    #[test]
    fn members_are_removed_and_renamed_where_they_are() {
        let remove = |pointer: &Pointer, json: &mut Json<'_>| pointer.remove(json);
        check("/a/b/*/c", remove, r#"{"a":{"b":[{},{}],"d.e":3},"x/y":4}"#);
        check("/x~1y", remove, r#"{"a":{"b":[{"c":1},{"c":2}],"d.e":3}}"#);
        check("/no", remove, r#"{"a":{"b":[{"c":1},{"c":2}],"d.e":3},"x/y":4}"#);
        let rename = |pointer: &Pointer, json: &mut Json<'_>| pointer.rename(json, "z");
        check("/a/d.e", rename, r#"{"a":{"b":[{"c":1},{"c":2}],"z":3},"x/y":4}"#);
        let over = |pointer: &Pointer, json: &mut Json<'_>| pointer.rename(json, "x/y");
        check("/a", over, r#"{"x/y":{"b":[{"c":1},{"c":2}],"d.e":3}}"#);
    }
}
