//! JSONPath in the dialect of configurations: names, unions, wildcards, indexes, slices, deep
//! scans and filters, with the liberties that Goessner's and Jayway's syntax take (`$.['a','b']`,
//! `$.a-b`). What cannot be followed is refused when the path is read.

mod filter;

use std::cmp::Reverse;

use crate::tree::{Id, Kind, Tree};
use filter::Filter;

/// A path into JSON.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
struct Step {
    /// Whether it is taken from everything below, not only from here.
    deep: bool,
    select: Select,
}

#[derive(Clone, Debug)]
enum Select {
    /// Names as they stand in JSON, with quotes and escapes.
    Names(Vec<String>),
    All,
    Indexes(Vec<i64>),
    Slice(Option<i64>, Option<i64>),
    Filter(Filter),
}

impl Path {
    /// Reads a path of pseudonymisation; the error says what cannot be followed.
    pub(crate) fn parse(text: &str) -> Result<Path, String> {
        let text = text.trim_end_matches(' ');
        // The length of what was found is not a value; what was found counts.
        let path = [".length()", ".size()"].iter().find_map(|f| text.strip_suffix(f));
        Path::plain(path.unwrap_or(text))
    }

    /// Reads a path of a look-up, which knows no functions.
    pub(crate) fn plain(text: &str) -> Result<Path, String> {
        let text = text.trim_end_matches(' ');
        let rest = text.strip_prefix('$').ok_or("it does not start with $")?;
        let (path, rest) = Path::steps(rest, "")?;
        if rest.is_empty() { Ok(path) } else { Err(format!("{rest:?} means nothing there")) }
    }

    /// Reads steps up to something that is none; `ends` are characters that end a name.
    fn steps<'t>(text: &'t str, ends: &str) -> Result<(Path, &'t str), String> {
        let (mut steps, mut rest) = (Vec::new(), text);
        loop {
            let (deep, after) = match (rest.strip_prefix(".."), rest.strip_prefix('.')) {
                (Some(after), _) => (true, after),
                (None, Some(after)) => (false, after),
                (None, None) if rest.starts_with('[') => (false, rest),
                (None, None) => return Ok((Path { steps }, rest)),
            };
            let (select, after) = match after.strip_prefix('[') {
                Some(inside) => bracket(inside)?,
                None => name(after, ends)?,
            };
            steps.push(Step { deep, select });
            rest = after;
        }
    }

    /// The nodes that the path finds; the root alone is nothing.
    pub(crate) fn find(&self, tree: &Tree<'_>) -> Vec<Id> {
        if self.steps.is_empty() || tree.is_empty() { Vec::new() } else { self.from(0, tree) }
    }

    /// The values that the path finds in compact JSON, where the root is one.
    pub(crate) fn values<'j>(&self, json: &'j str) -> Vec<&'j str> {
        if self.steps.is_empty() {
            return vec![json];
        }
        let tree = Tree::parse(json);
        self.find(&tree).into_iter().map(|id| tree.raw(id)).collect()
    }

    /// The same nodes in the order in which a peer changes them: by name or position, the last
    /// first, but as they come where the path ends in a list of names.
    pub(crate) fn find_in_turn(&self, tree: &Tree<'_>) -> Vec<Id> {
        let mut found = self.find(tree);
        let last = self.steps.last().map(|step| &step.select);
        if found.len() < 2 || matches!(last, Some(Select::Names(names)) if names.len() > 1) {
            return found;
        }
        let positions = tree.positions();
        if found.iter().all(|id| tree.key(*id).is_empty()) {
            found.sort_by_key(|id| Reverse(positions[*id]));
        } else {
            let name = |id: Id| match tree.key(id) {
                "" => positions[id].to_string(),
                key => key.trim_matches('"').to_owned(),
            };
            found.sort_by_cached_key(|id| Reverse(name(*id)));
        }
        found
    }

    /// The nodes found from some node.
    fn from(&self, start: Id, tree: &Tree<'_>) -> Vec<Id> {
        let mut found = vec![start];
        for step in &self.steps {
            let mut next = Vec::new();
            for id in found {
                let starts = if step.deep { tree.descendants(id) } else { id..id + 1 };
                for id in starts {
                    step.select.take(id, tree, &mut next);
                }
            }
            found = next;
        }
        found
    }
}

impl Select {
    fn take(&self, id: Id, tree: &Tree<'_>, found: &mut Vec<Id>) {
        let kind = tree.kind(id);
        let array = kind == Kind::Array;
        match self {
            Select::Names(names) if kind == Kind::Object => {
                for name in names {
                    found.extend(tree.children(id).filter(|child| tree.key(*child) == name));
                }
            }
            Select::All => found.extend(tree.children(id)),
            Select::Indexes(indexes) if array => {
                let elements: Vec<Id> = tree.children(id).collect();
                let at = |index: &i64| usize::try_from(absolute(*index, elements.len())).ok();
                found.extend(indexes.iter().filter_map(at).filter_map(|at| elements.get(at)));
            }
            Select::Slice(from, to) if array => {
                let elements: Vec<Id> = tree.children(id).collect();
                let bound = |index: i64| {
                    let index = absolute(index, elements.len()).max(0);
                    usize::try_from(index).unwrap_or_default().min(elements.len())
                };
                let from = from.map_or(0, bound);
                let to = to.map_or(elements.len(), bound);
                found.extend(elements.get(from..to).unwrap_or_default());
            }
            Select::Filter(filter) if array => {
                found.extend(tree.children(id).filter(|id| filter.holds(*id, tree)));
            }
            Select::Filter(filter) if kind == Kind::Object => {
                found.extend(Some(id).filter(|id| filter.holds(*id, tree)));
            }
            Select::Names(_) | Select::Indexes(_) | Select::Slice(..) | Select::Filter(_) => {}
        }
    }
}

/// An index from the start, of one that may count from the end.
fn absolute(index: i64, length: usize) -> i64 {
    if index < 0 { index + i64::try_from(length).unwrap_or(i64::MAX) } else { index }
}

fn name<'t>(text: &'t str, ends: &str) -> Result<(Select, &'t str), String> {
    let ends = |c: char| matches!(c, '.' | '[' | '(' | ' ') || ends.contains(c);
    let (name, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
    match name {
        "" => Err("a name is missing".to_owned()),
        _ if rest.starts_with('(') => Err(format!("the function {name} is not known")),
        "*" => Ok((Select::All, rest)),
        name => Ok((Select::Names(vec![quoted(name)]), rest)),
    }
}

/// The selection in brackets, after the opening one.
fn bracket(text: &str) -> Result<(Select, &str), String> {
    let text = text.trim_start();
    if let Some(rest) = text.strip_prefix('?') {
        let (filter, rest) = Filter::parse(rest.trim_start())?;
        return Ok((Select::Filter(filter), closed(rest)?));
    }
    if text.starts_with(['\'', '"']) {
        return names(text);
    }
    let (inside, rest) = text.split_once(']').ok_or("a bracket is not closed")?;
    let inside = inside.trim();
    let number = |text: &str| match text.trim().parse::<i64>() {
        Ok(number) => Ok(number),
        Err(_) => Err(format!("{:?} is no index", text.trim())),
    };
    let bound = |text: &str| match text.trim() {
        "" => Ok(None),
        text => number(text).map(Some),
    };
    let select = match (inside, inside.split_once(':')) {
        ("*", _) => Select::All,
        (_, Some((from, to))) => {
            // A step between elements means nothing, as for a peer.
            let (to, step) = to.split_once(':').unwrap_or((to, ""));
            bound(step)?;
            match (bound(from)?, bound(to)?) {
                (None, None) => return Err("a slice needs a bound".to_owned()),
                (from, to) => Select::Slice(from, to),
            }
        }
        _ => Select::Indexes(inside.split(',').map(number).collect::<Result<_, _>>()?),
    };
    Ok((select, rest))
}

/// Quoted names separated by commas.
fn names(text: &str) -> Result<(Select, &str), String> {
    let (mut names, mut rest) = (Vec::new(), text);
    loop {
        let (name, after) = string(rest)?;
        names.push(quoted(&name));
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None => return Ok((Select::Names(names), closed(rest)?)),
        }
    }
}

/// A text in quotes of either kind, and what follows it.
fn string(text: &str) -> Result<(String, &str), String> {
    let mut characters = text.chars();
    let quote =
        characters.next().filter(|c| matches!(c, '\'' | '"')).ok_or("a quote is missing")?;
    let mut string = String::new();
    loop {
        match characters.next().ok_or("a quote is not closed")? {
            c if c == quote => return Ok((string, characters.as_str())),
            '\\' => string.extend(characters.next()),
            c => string.push(c),
        }
    }
}

fn closed(text: &str) -> Result<&str, String> {
    Ok(text.trim_start().strip_prefix(']').ok_or("a bracket is not closed")?)
}

/// A name as it stands in JSON.
fn quoted(name: &str) -> String {
    let mut out = Vec::with_capacity(name.len() + 2);
    event::json::write_string(name, &mut out);
    String::from_utf8(out).expect("made of text")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: &str = r#"{"email":"john","emails":["a","b"],"name":{"first":"John","nick":null},"age":42,"friends":[{"email":"f1@x","n":1},{"email":"f2@x","n":2},{"n":3}],"note":"","a-b":"dash","with space":"sp"}"#;

    fn find(path: &str) -> Vec<&'static str> {
        let tree = Tree::parse(PERSON);
        let path = Path::parse(path).expect(path);
        path.find(&tree).into_iter().map(|id| tree.raw(id)).collect()
    }

    #[test]
    fn what_is_found_is_changed_from_the_last_to_the_first() {
        let data = r#"{"b":"1","a":["2","3",{"b":"4"}],"c":"5"}"#;
        let tree = Tree::parse(data);
        for (text, expected) in [
            ("$.*", &["\"5\"", "\"1\""][..]),
            ("$.a[*]", &["\"3\"", "\"2\""]),
            ("$['b','c']", &["\"1\"", "\"5\""]),
            ("$..b", &["\"1\"", "\"4\""]),
            ("$.a[0:2]", &["\"3\"", "\"2\""]),
        ] {
            let path = Path::parse(text).expect(text);
            let found = path.find_in_turn(&tree).into_iter();
            let texts = found.filter(|id| tree.kind(*id) == Kind::Text).map(|id| tree.raw(id));
            assert_eq!(texts.collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn paths_find_what_a_peer_finds() {
        for (path, expected) in [
            ("$", &[][..]),
            ("$.email", &[r#""john""#]),
            ("$.email  ", &[r#""john""#]),
            ("$.email[?(!(@.x))]", &[]),
            ("$.Email", &[]),
            ("$['email']", &[r#""john""#]),
            ("$[\"email\"]", &[r#""john""#]),
            ("$.['email','nope','age']", &[r#""john""#, "42"]),
            ("$.a-b", &[r#""dash""#]),
            ("$['with space']", &[r#""sp""#]),
            ("$.name.nick", &["null"]),
            ("$.email.sub", &[]),
            ("$.emails", &[r#"["a","b"]"#]),
            ("$.emails.length()", &[r#"["a","b"]"#]),
            ("$.emails[*]", &[r#""a""#, r#""b""#]),
            ("$.emails[-1:]", &[r#""b""#]),
            ("$.emails[-1]", &[r#""b""#]),
            ("$.emails[:1]", &[r#""a""#]),
            ("$.emails[1,0,7]", &[r#""b""#, r#""a""#]),
            ("$.emails[5:9]", &[]),
            ("$.friends.email", &[]),
            ("$.friends[*].email", &[r#""f1@x""#, r#""f2@x""#]),
            ("$.friends[1].email", &[r#""f2@x""#]),
            ("$..email", &[r#""john""#, r#""f1@x""#, r#""f2@x""#]),
            ("$..['n']", &["1", "2", "3"]),
            ("$.friends[?(@.n==2)].email", &[r#""f2@x""#]),
            ("$.friends[?(@.n > 1 && @.email)].n", &["2"]),
            ("$.friends[?(!@.email || @.n < 2)].n", &["1", "3"]),
            ("$.friends[?(@.email =~ /F1.*/i)].email", &[r#""f1@x""#]),
            ("$.friends[?(@.email == 'f2@x')].n", &["2"]),
            ("$.friends[?(@['email'] != \"f2@x\")].n", &["1", "3"]),
            ("$.friends[0:2:2].n", &["1", "2"]),
            ("$.friends[1::1].n", &["2", "3"]),
        ] {
            assert_eq!(find(path), expected, "{path}");
        }
        assert_eq!(find("$.*").len(), 8);
        assert_eq!(find("$..*").len(), 20);
    }

    #[test]
    fn filters_hold_where_a_peer_says_so() {
        let data = r#"[{"e":"f1","n":1,"z":""},{"e":"f2","n":2,"z":"zz"},{"n":3,"b":true,"z":null},{"e":"1"}]"#;
        let tree = Tree::parse(data);
        let elements: Vec<Id> = tree.children(0).collect();
        for (condition, expected) in [
            ("@.n == '2'", &[1][..]),
            ("@.n == '1.0'", &[0]),
            ("@.e == 1", &[3]),
            ("@.n != '2'", &[0, 2, 3]),
            ("@.n < '2'", &[]),
            ("@.n === 2", &[1]),
            ("@.n === '2'", &[]),
            ("@.n !== '2'", &[0, 1, 2, 3]),
            ("@.z == null", &[2, 3]),
            ("@.q == null", &[0, 1, 2, 3]),
            ("@.q != null", &[]),
            ("@.q <= 1", &[]),
            ("@.e in ['f1','q']", &[0]),
            ("@.e  IN  [ \"f1\" , 'f2', ]", &[0, 1]),
            ("@.e nin ['f1','q']", &[1, 2, 3]),
            ("@.n in [1,'2']", &[0, 1]),
            ("@.b in [true]", &[2]),
            ("@.z in [null]", &[2, 3]),
            ("@.e in []", &[]),
            ("@.q in ['x']", &[]),
            ("@.q nin ['x']", &[0, 1, 2, 3]),
            ("@.e in ['f1', 'f2'] && @.n == 2", &[1]),
            ("!(@.e in ['f1', 'f2'])", &[2, 3]),
            ("@.e contains 'f'", &[0, 1]),
            ("@.e contains @.z", &[0]),
            ("'f1x' contains @.e", &[0, 3]),
            ("@.n contains '1'", &[]),
            ("@.q contains 'x'", &[]),
            ("@.e size 2", &[0, 1]),
            ("@.z size 0", &[0]),
            ("@.z size -1", &[]),
            ("@.z size 2.9", &[1]),
            ("@.n size 1", &[]),
            ("@.z empty true", &[0]),
            ("@.z empty false", &[1]),
            ("@.q empty true", &[]),
        ] {
            let path = Path::parse(&format!("$[?({condition})]")).expect(condition);
            let held = path.find(&tree).into_iter();
            let places = held.filter_map(|id| elements.iter().position(|element| *element == id));
            assert_eq!(places.collect::<Vec<_>>(), expected, "{condition}");
        }
    }

    /// Where a peer finds nothing, or everything.
    #[test]
    fn filters_look_into_arrays_and_objects() {
        for (path, expected) in [
            ("$[?(@.emails contains 'b')].age", &["42"][..]),
            ("$[?(@.emails contains 'c')].age", &[]),
            ("$[?(@.emails size 2)].age", &["42"]),
            ("$[?(@.friends empty true)].age", &[]),
            ("$[?(@.name empty false)].age", &["42"]),
        ] {
            assert_eq!(find(path), expected, "{path}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        for path in [
            "",
            "email",
            "$email",
            "$.[[",
            "$ .email",
            " $.email",
            "$.",
            "$..",
            "$.a.",
            "$[",
            "$['a",
            "$['a'",
            "$[a]",
            "$.a[?(@.b]",
            "$.a[?(@.b in 'x')]",
            "$.a[?(@.b in ['x')]",
            "$.a[?(@.b in [@.c])]",
            "$.a[?(@.b in['x'])]",
            "$.a[?(@.b size 'x')]",
            "$.a[?(@.b empty null)]",
            "$.a[?(@.b anyof ['x'])]",
            "$.a[::2]",
            "$.a[1:2:x]",
            "$.sum()",
            "$.a[?(@.b =~ /[/)]",
            "$[?()]",
            "$.a[?(@.b==)]",
        ] {
            assert!(Path::parse(path).is_err(), "{path}");
        }
        let deep = format!("$[?({}@.a)]", "(".repeat(1000));
        assert!(Path::parse(&deep).is_err());
    }
}
