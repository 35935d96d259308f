//! JSON in compact form as a flat list of nodes, to find texts in it and print it with others.
//!
//! Nodes stand in the order of the text, a node before what it contains; each knows where its
//! contents end. Nothing recurses, so depth costs no stack.

use event::Bump;

/// A JSON text with its nodes.
#[derive(Debug)]
pub(crate) struct Tree<'j> {
    text: &'j str,
    nodes: Vec<Node>,
}

/// The number of a node.
pub(crate) type Id = usize;

#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    /// Where the name stands with its quotes, if the node is a member of an object.
    key: (usize, usize),
    start: usize,
    end: usize,
    /// The first node that is not inside this one.
    after: Id,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    Text,
    Number,
    /// `true`, `false` or `null`.
    Literal,
}

impl<'j> Tree<'j> {
    /// Reads JSON in compact form.
    pub(crate) fn parse(text: &'j str) -> Tree<'j> {
        let bytes = text.as_bytes();
        let mut nodes: Vec<Node> = Vec::new();
        let mut open: Vec<Id> = Vec::new();
        let (mut at, mut key) = (0, (0, 0));
        while let Some(&byte) = bytes.get(at) {
            let start = at;
            let kind = match byte {
                b'{' => Kind::Object,
                b'[' => Kind::Array,
                b'}' | b']' => {
                    at += 1;
                    let Some(closed) = open.pop() else { break };
                    nodes[closed].end = at;
                    nodes[closed].after = nodes.len();
                    continue;
                }
                b',' => {
                    at += 1;
                    continue;
                }
                b'"' => {
                    at = text_end(bytes, at);
                    if bytes.get(at) == Some(&b':') {
                        key = (start, at);
                        at += 1;
                        continue;
                    }
                    Kind::Text
                }
                b'-' | b'0'..=b'9' => Kind::Number,
                _ => Kind::Literal,
            };
            match kind {
                Kind::Object | Kind::Array => {
                    open.push(nodes.len());
                    at += 1;
                }
                Kind::Text => {}
                Kind::Number | Kind::Literal => {
                    let rest = &bytes[at..];
                    let length = rest.iter().position(|b| matches!(b, b',' | b'}' | b']'));
                    at += length.unwrap_or(rest.len());
                }
            }
            nodes.push(Node { kind, key, start, end: at, after: nodes.len() + 1 });
            key = (0, 0);
        }
        Tree { text, nodes }
    }

    /// What a node is.
    pub(crate) fn kind(&self, id: Id) -> Kind {
        self.nodes[id].kind
    }

    /// The text of a node as it stands.
    pub(crate) fn raw(&self, id: Id) -> &'j str {
        &self.text[self.nodes[id].start..self.nodes[id].end]
    }

    /// The name of a member as it stands, with its quotes; empty for what is none.
    pub(crate) fn key(&self, id: Id) -> &'j str {
        &self.text[self.nodes[id].key.0..self.nodes[id].key.1]
    }

    /// The members or elements of a node.
    pub(crate) fn children(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        let after = self.nodes[id].after;
        let mut next = id + 1;
        std::iter::from_fn(move || {
            let child = (next < after).then_some(next)?;
            next = self.nodes[child].after;
            Some(child)
        })
    }

    /// A node and everything inside it, outermost first.
    pub(crate) fn descendants(&self, id: Id) -> std::ops::Range<Id> {
        id..self.nodes[id].after
    }

    /// Where each element stands in its array, for all nodes.
    pub(crate) fn positions(&self) -> Vec<usize> {
        let mut positions = vec![0; self.nodes.len()];
        for id in 0..self.nodes.len() {
            if self.kind(id) == Kind::Array {
                for (position, element) in self.children(id).enumerate() {
                    positions[element] = position;
                }
            }
        }
        positions
    }

    /// Whether there is anything at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The texts among some nodes and those directly in the arrays among them, each once.
    pub(crate) fn texts(&self, found: &[Id]) -> Vec<Id> {
        let mut texts = Vec::new();
        for &id in found {
            let elements = (self.kind(id) == Kind::Array).then(|| self.children(id));
            for text in std::iter::once(id).chain(elements.into_iter().flatten()) {
                if self.kind(text) == Kind::Text && !texts.contains(&text) {
                    texts.push(text);
                }
            }
        }
        texts
    }

    /// Prints the tree with some texts replaced (in their order) by others that need no escapes,
    /// and with numbers in the form of [`number`].
    pub(crate) fn print<'a>(&self, replaced: &[(Id, &str)], arena: &'a Bump) -> &'a str {
        self.written(replaced, number, arena)
    }

    fn written<'a>(
        &self,
        replaced: &[(Id, &str)],
        number: impl Fn(&str) -> Option<String>,
        arena: &'a Bump,
    ) -> &'a str {
        let size = self.text.len() + replaced.iter().map(|(_, text)| text.len()).sum::<usize>();
        let mut out = bumpalo::collections::String::with_capacity_in(size, arena);
        let mut replaced = replaced.iter().peekable();
        let mut copied = 0;
        for (id, node) in self.nodes.iter().enumerate() {
            if let Some((_, text)) = replaced.next_if(|(wanted, _)| *wanted == id) {
                out.push_str(&self.text[copied..node.start]);
                out.push('"');
                out.push_str(text);
                out.push('"');
                copied = node.end;
            } else if node.kind == Kind::Number
                && let Some(number) = number(&self.text[node.start..node.end])
            {
                out.push_str(&self.text[copied..node.start]);
                out.push_str(&number);
                copied = node.end;
            }
        }
        out.push_str(&self.text[copied..]);
        out.into_bump_str()
    }
}

/// JSON with its numbers as a running peer prints them after reading them once.
pub(crate) fn respelled<'a>(text: &'a str, arena: &'a Bump) -> &'a str {
    let exponent = |w: &[u8]| w[0].is_ascii_digit() && matches!(w[1], b'e' | b'E');
    if text.as_bytes().windows(2).any(|w| exponent(w) || w == b"-0") {
        Tree::parse(text).written(&[], once_read, arena)
    } else {
        text
    }
}

/// A number with an exponent or a negative zero as the JVM's decimals print it. `None` for all
/// others, which stay.
fn once_read(text: &str) -> Option<String> {
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let zero = mantissa.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let sign = if zero { "" } else { sign };
    if unsigned == mantissa {
        return (zero && text.len() > unsigned.len()).then(|| unsigned.to_owned());
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = [whole, fraction].concat();
    let digits = all.trim_start_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    let scale = fraction.len() as i64 - exponent.parse::<i64>().ok()?;
    Some(format!("{sign}{}", decimal(digits, scale)))
}

/// `digits` times ten to the power of minus `scale`, as the JVM prints it.
fn decimal(digits: &str, scale: i64) -> String {
    let adjusted = digits.len() as i64 - 1 - scale;
    if scale < 0 || adjusted < -6 {
        let (first, rest) = digits.split_at(1);
        let rest = if rest.is_empty() { String::new() } else { format!(".{rest}") };
        let exponent = if adjusted == 0 { String::new() } else { format!("E{adjusted:+}") };
        return format!("{first}{rest}{exponent}");
    }
    let point = digits.len() as i64 - scale;
    match usize::try_from(point) {
        _ if scale == 0 => digits.to_owned(),
        Ok(point) if point > 0 => format!("{}.{}", &digits[..point], &digits[point..]),
        _ => format!("0.{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
    }
}

fn text_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    bytes.len()
}

/// A number as a running peer prints it after hashing: no trailing zeros, whole numbers without
/// exponent, others as decimals of the JVM. `None` for plain integers, which stay.
fn number(text: &str) -> Option<String> {
    /// Whole numbers beyond keep their exponent: nobody means their digits.
    const MOST_DIGITS: i64 = 400;
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    if unsigned != "0" && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i64 = exponent.parse().ok()?;
    let all = [whole, fraction].concat();
    let digits = all.trim_start_matches('0').trim_end_matches('0');
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    let dropped = all.trim_start_matches('0').len() - digits.len();
    // The value is `digits` times ten to the power of minus `scale`.
    let scale = fraction.len() as i64 - exponent - dropped as i64;
    let adjusted = digits.len() as i64 - 1 - scale;
    if scale <= 0 && adjusted < MOST_DIGITS {
        return Some(format!("{sign}{digits}{}", "0".repeat(scale.unsigned_abs() as usize)));
    }
    Some(format!("{sign}{}", decimal(digits, scale)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_a_peer_prints_them() {
        for (text, expected) in [
            ("1.50", "1.5"),
            ("1.0", "1"),
            ("-0.0", "0"),
            ("-0", "0"),
            ("100000.0", "100000"),
            ("1e5", "100000"),
            ("1e-7", "1E-7"),
            ("1e-07", "1E-7"),
            ("12.5e-8", "1.25E-7"),
            ("0.000001", "0.000001"),
            ("-0.10", "-0.1"),
            ("1.1", "1.1"),
            ("123456789012345678901234567890.5", "123456789012345678901234567890.5"),
            ("1e999", "1E+999"),
        ] {
            assert_eq!(number(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(number("9007199254740993"), None);
        assert_eq!(number("-12"), None);
    }

    #[test]
    fn numbers_that_are_read_and_written_once_keep_their_digits() {
        for (text, expected) in [
            ("1e-07", "1E-7"),
            ("1.50e2", "150"),
            ("1.50e1", "15.0"),
            ("1e5", "1E+5"),
            ("10e-1", "1.0"),
            ("-2.5E+10", "-2.5E+10"),
            ("-0.0", "0.0"),
            ("-0", "0"),
            ("0e5", "0E+5"),
            ("-0e0", "0"),
            ("0.00e-5", "0E-7"),
            ("1.10", "1.10"),
            ("\"1e5\"", "\"1e5\""),
        ] {
            assert_eq!(respelled(text, &Bump::new()), expected, "{text}");
        }
        let text = r#"{"a":[1e-07,"x"],"b":-0.0,"c":1.50}"#;
        assert_eq!(respelled(text, &Bump::new()), r#"{"a":[1E-7,"x"],"b":0.0,"c":1.50}"#);
    }

    #[test]
    fn a_tree_knows_what_contains_what_and_prints_itself() {
        let text = r#"{"a":["x",{"b":"q\"]"},[]],"c":null,"d":1.50}"#;
        let tree = Tree::parse(text);
        let raw: Vec<_> = tree.children(0).map(|id| (tree.key(id), tree.raw(id))).collect();
        let a = r#"["x",{"b":"q\"]"},[]]"#;
        assert_eq!(raw, [("\"a\"", a), ("\"c\"", "null"), ("\"d\"", "1.50")]);
        assert_eq!(tree.descendants(1).count(), 5);
        assert_eq!(tree.texts(&[1, 2, 3]), [2]);
        let printed = tree.print(&[(2, "h")], &Bump::new()).to_owned();
        assert_eq!(printed, r#"{"a":["h",{"b":"q\"]"},[]],"c":null,"d":1.5}"#);
    }
}
