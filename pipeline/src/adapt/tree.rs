//! JSON as a tree, for the adapters that look into it and change it.
//!
//! A tree is made of a text in compact form and borrows from it: scalars and keys stay as they are
//! written, quotes and escapes included. What lies deeper than anything that can become an event is
//! one scalar, whatever it is, so neither reading nor changing a tree recurses further.

use std::fmt;

use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use event::Bump;
use event::json::{unescape, value_length, write_string};

use event::map_order;

/// Containers nested deeper are not looked into. A self-describing event may be nested 40 deep.
const DEEPEST: usize = 48;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json<'a> {
    /// A string, a number, `true`, `false` or `null`, as its text.
    Scalar(&'a str),
    /// An array.
    List(BumpVec<'a, Json<'a>>),
    /// An object: keys as their texts without the quotes.
    Object(Members<'a>),
}

/// The members of an object, in their order; keys are unique.
pub(super) type Members<'a> = BumpVec<'a, (&'a str, Json<'a>)>;

impl<'a> Json<'a> {
    /// `null`.
    pub(super) const NULL: Json<'static> = Json::Scalar("null");

    /// The tree of a text in compact form.
    pub(super) fn of(text: &'a str, arena: &'a Bump) -> Json<'a> {
        Reader { text, at: 0, arena }.value(0)
    }

    /// A text, quoted and escaped.
    pub(super) fn string(text: &str, arena: &'a Bump) -> Json<'a> {
        Json::Scalar(quoted(text, arena))
    }

    /// A string, or `null`.
    pub(super) fn optional(text: Option<&str>, arena: &'a Bump) -> Json<'a> {
        text.map_or(Json::NULL, |text| Json::string(text, arena))
    }

    /// The member of that key, which must need no escaping.
    pub(super) fn get(&self, key: &str) -> Option<&Json<'a>> {
        let Json::Object(members) = self else { return None };
        members.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// The text of a string.
    pub(super) fn text(&self, arena: &'a Bump) -> Option<&'a str> {
        match self {
            Json::Scalar(raw) if raw.starts_with('"') => unescape(raw, arena),
            _ => None,
        }
    }

    /// The text of a string, a number or a truth value.
    pub(super) fn scalar_text(&self, arena: &'a Bump) -> Option<&'a str> {
        match self {
            Json::Scalar("null") => None,
            Json::Scalar(raw) if raw.starts_with(['{', '[']) => None,
            Json::Scalar(raw) => self.text(arena).or(Some(raw)),
            Json::List(_) | Json::Object(_) => None,
        }
    }

    /// The whole number that this is: a number without a fraction, or a string of one.
    pub(super) fn whole_number(&self) -> Option<i64> {
        let Json::Scalar(raw) = self else { return None };
        match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(inside) => whole_number(inside),
            None => whole_number(raw),
        }
    }

    /// Removes a member.
    pub(super) fn without(mut self, key: &str) -> Json<'a> {
        if let Json::Object(members) = &mut self {
            members.retain(|(known, _)| *known != key);
        }
        self
    }

    /// Changes every member of every object, with its key, and leaves out those of which `change`
    /// makes nothing. What `change` has made is not looked into; what it passes on is.
    pub(super) fn map(
        self,
        lists: Lists,
        arena: &'a Bump,
        change: &impl Fn(&'a str, Json<'a>) -> Change<'a>,
    ) -> Json<'a> {
        match self {
            Json::Object(members) => {
                let count = members.len();
                let mut mapped = BumpVec::with_capacity_in(count, arena);
                for (key, value) in members {
                    match change(key, value) {
                        Change::Made(key, value) => mapped.push((key, value)),
                        Change::Inside(value) => {
                            let inside = lists == Lists::Inside || !matches!(value, Json::List(_));
                            let value =
                                if inside { value.map(lists, arena, change) } else { value };
                            mapped.push((key, value));
                        }
                        Change::Dropped => {}
                    }
                }
                // A map that has lost members keeps the order of the one that it was.
                map_order::sort_of(count, &mut mapped, |(key, _)| key_hash(key, arena));
                Json::Object(unique(mapped, arena))
            }
            Json::List(elements) => {
                let mapped = elements.into_iter().map(|element| element.map(lists, arena, change));
                Json::List(BumpVec::from_iter_in(mapped, arena))
            }
            scalar => scalar,
        }
    }

    /// Appends the text in compact form.
    pub(super) fn write(&self, out: &mut BumpString<'_>) {
        match self {
            Json::Scalar(raw) => out.push_str(raw),
            Json::List(elements) => {
                out.push('[');
                for (index, element) in elements.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    element.write(out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    out.push_str(if index > 0 { ",\"" } else { "\"" });
                    out.push_str(key);
                    out.push_str("\":");
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arena = Bump::new();
        let mut text = BumpString::new_in(&arena);
        self.write(&mut text);
        f.write_str(&text)
    }
}

/// Whether a change goes on inside lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lists {
    /// It does.
    Inside,
    /// Lists that are members stay as they are.
    Kept,
}

/// What becomes of a member.
pub(super) enum Change<'a> {
    /// This key and value.
    Made(&'a str, Json<'a>),
    /// It stays under its key, and is looked into.
    Inside(Json<'a>),
    /// Nothing.
    Dropped,
}

/// Of members with equal keys the last value, in the place of the first.
pub(super) fn unique<'a>(members: Members<'a>, arena: &'a Bump) -> Members<'a> {
    /// Up to here comparing all with all is cheaper than a set; beyond, it would be quadratic.
    const COMPARED: usize = 32;
    let twice = if members.len() <= COMPARED {
        (1..members.len()).any(|i| members[..i].iter().any(|(key, _)| *key == members[i].0))
    } else {
        let mut seen = std::collections::HashSet::with_capacity(members.len());
        !members.iter().all(|(key, _)| seen.insert(*key))
    };
    if !twice {
        return members;
    }
    let mut places = std::collections::HashMap::new();
    let mut kept: Members<'a> = BumpVec::with_capacity_in(members.len(), arena);
    for (key, value) in members {
        match places.get(key) {
            Some(&place) => {
                let place: usize = place;
                kept[place].1 = value;
            }
            None => {
                places.insert(key, kept.len());
                kept.push((key, value));
            }
        }
    }
    kept
}

/// An object laid over another: what the upper one has wins, and objects that both have are laid
/// over each other in their turn.
pub(super) fn merged<'a>(under: Json<'a>, over: Json<'a>) -> Json<'a> {
    match (under, over) {
        (Json::Object(under), Json::Object(mut over)) => {
            let places = over.iter().enumerate().map(|(place, (key, _))| (*key, place));
            let places: std::collections::HashMap<&str, usize> = places.collect();
            for (key, value) in under {
                match places.get(key) {
                    Some(&place) => {
                        let above = std::mem::replace(&mut over[place].1, Json::NULL);
                        over[place].1 = merged(value, above);
                    }
                    None => over.push((key, value)),
                }
            }
            Json::Object(over)
        }
        (_, over) => over,
    }
}

/// A JSON string with its quotes.
pub(super) fn quoted<'a>(text: &str, arena: &'a Bump) -> &'a str {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(text, &mut out);
    arena.alloc_str(std::str::from_utf8(&out).expect("a JSON string is UTF-8"))
}

/// The inside of a JSON string.
pub(super) fn escaped<'a>(text: &str, arena: &'a Bump) -> &'a str {
    let quoted = quoted(text, arena);
    &quoted[1..quoted.len() - 1]
}

/// The hash of a key as it is without its escapes.
pub(super) fn key_hash(key: &str, arena: &Bump) -> u32 {
    if !key.contains('\\') {
        return map_order::text_hash(key);
    }
    let mut raw = BumpString::with_capacity_in(key.len() + 2, arena);
    raw.push('"');
    raw.push_str(key);
    raw.push('"');
    map_order::text_hash(unescape(&raw, arena).unwrap_or_default())
}

/// The value of a JSON number without a fraction that fits 64 bits, in whatever way it is written.
fn whole_number(text: &str) -> Option<i64> {
    /// More digits than the largest such number has.
    const LONGEST: i64 = 20;
    let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            // An exponent too large to be read is beyond every bound below, but for a zero.
            let beyond = if exponent.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
            let exponent = exponent.strip_prefix('+').unwrap_or(exponent);
            (mantissa, exponent.parse().unwrap_or(beyond).clamp(i64::MIN / 2, i64::MAX / 2))
        }
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    let all = format!("{whole}{fraction}");
    let significant = all.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    let trailing = all.len() - all.trim_end_matches('0').len();
    let power = exponent - fraction.len() as i64 + trailing as i64;
    if power < 0 || power + significant.len() as i64 > LONGEST {
        return None;
    }
    let value = significant.parse::<i128>().ok()? * 10_i128.pow(power as u32);
    i64::try_from(if negative { -value } else { value }).ok()
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    arena: &'a Bump,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Json<'a> {
        match self.text.as_bytes()[self.at] {
            b'{' if depth < DEEPEST => {
                let mut members = BumpVec::new_in(self.arena);
                self.at += 1;
                while self.text.as_bytes()[self.at] != b'}' {
                    self.skip(b',');
                    let key = self.scalar();
                    self.skip(b':');
                    members.push((&key[1..key.len() - 1], self.value(depth + 1)));
                }
                self.at += 1;
                Json::Object(members)
            }
            b'[' if depth < DEEPEST => {
                let mut elements = BumpVec::new_in(self.arena);
                self.at += 1;
                while self.text.as_bytes()[self.at] != b']' {
                    self.skip(b',');
                    elements.push(self.value(depth + 1));
                }
                self.at += 1;
                Json::List(elements)
            }
            _ => Json::Scalar(self.scalar()),
        }
    }

    /// The whole value that begins here.
    fn scalar(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let length = value_length(rest);
        self.at += length;
        &rest[..length]
    }

    fn skip(&mut self, mark: u8) {
        self.at += usize::from(self.text.as_bytes()[self.at] == mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_print_as_the_text_they_are_made_of() {
        let arena = Bump::new();
        let deep = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
        for text in
            ["{}", "[]", "1.50", r#""a\"b""#, r#"{"a\\":[1,{"b":null}],"":{"é":"x"}}"#, &deep]
        {
            assert_eq!(Json::of(text, &arena).to_string(), text);
        }
    }

    #[test]
    fn whole_numbers_are_whole_however_they_are_written() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("0e99999999999999999999", Some(0)),
            ("1700000000", Some(1_700_000_000)),
            ("1.70e9", Some(1_700_000_000)),
            ("17000e-2", Some(170)),
            ("10.0", Some(10)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("1e400000000000000000000", None),
            ("1e-400000000000000000000", None),
            ("1.5", None),
            ("01", None),
            ("+1", None),
            ("1.", None),
            ("1e", None),
            ("", None),
            (" 1", None),
        ] {
            assert_eq!(whole_number(text), expected, "{text}");
        }
    }

    #[test]
    fn of_members_with_equal_keys_the_last_value_stays_in_the_first_place() {
        let arena = Bump::new();
        let text = r#"{"a":1,"b":2,"c":3}"#;
        let rename = |key, value| match key {
            "c" => Change::Made("a", value),
            _ => Change::Inside(value),
        };
        let mapped = Json::of(text, &arena).map(Lists::Inside, &arena, &rename);
        assert_eq!(mapped.to_string(), r#"{"a":3,"b":2}"#);
    }
}
