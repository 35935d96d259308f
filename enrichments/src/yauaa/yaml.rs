//! Reading a file of rules: YAML in which every scalar is a text.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;
use saphyr_parser::{Event, Parser};

/// A node of a document, with the line it starts in, from 1.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) line: u32,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// How deep lists and maps may stand in one another.
const MOST_DEPTH: usize = 32;

/// Reads the first document of a text; none if the text is empty. A comment may follow a value in
/// quotes at once, which YAML forbids and the library's reader of it allows.
pub(super) fn read(text: &str) -> Result<Option<Node>, String> {
    read_strictly(text).or_else(|error| {
        static GLUED: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"(?m)^([^'#\n]+: *'[^'\n]*')#").expect("written here"));
        match GLUED.replace_all(text, "${1} #") {
            Cow::Owned(mended) => read_strictly(&mended).map_err(|_| error),
            Cow::Borrowed(_) => Err(error),
        }
    })
}

fn read_strictly(text: &str) -> Result<Option<Node>, String> {
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: HashMap::new() };
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(None),
            (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
            (event, line) => return reader.node(event, line, 0).map(Some),
        }
    }
}

struct Reader<'t> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    anchors: HashMap<usize, Node>,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, u32), String> {
        let next = self.parser.next().ok_or("the text ends early")?;
        let (event, span) = next.map_err(|error| error.to_string())?;
        Ok((event, u32::try_from(span.start.line()).unwrap_or(u32::MAX)))
    }

    fn node(&mut self, event: Event<'t>, line: u32, depth: usize) -> Result<Node, String> {
        if depth > MOST_DEPTH {
            return Err(format!("line {line}: nested too deep"));
        }
        let (anchor, value) = match event {
            Event::Scalar(text, _, anchor, _) => (anchor, Value::Text(text.into_owned())),
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                return known.ok_or_else(|| format!("line {line}: an alias of nothing"));
            }
            Event::SequenceStart(anchor, _) => {
                let mut list = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break (anchor, Value::List(list)),
                        (event, line) => list.push(self.node(event, line, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(anchor, _) => {
                let mut map = Vec::new();
                loop {
                    match self.next()? {
                        (Event::MappingEnd, _) => break (anchor, Value::Map(map)),
                        (Event::Scalar(key, ..), _) => {
                            let (event, line) = self.next()?;
                            map.push((key.into_owned(), self.node(event, line, depth + 1)?));
                        }
                        (_, line) => return Err(format!("line {line}: a key that is no text")),
                    }
                }
            }
            _ => return Err(format!("line {line}: no value")),
        };
        let node = Node { line, value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }
}

impl Node {
    pub(super) fn text(&self) -> Result<&str, String> {
        match &self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.unlike("a text")),
        }
    }

    pub(super) fn list(&self) -> Result<&[Node], String> {
        match &self.value {
            Value::List(list) => Ok(list),
            _ => Err(self.unlike("a list")),
        }
    }

    pub(super) fn map(&self) -> Result<&[(String, Node)], String> {
        match &self.value {
            Value::Map(map) => Ok(map),
            _ => Err(self.unlike("a map")),
        }
    }

    pub(super) fn texts(&self) -> Result<impl Iterator<Item = Result<&str, String>>, String> {
        Ok(self.list()?.iter().map(Node::text))
    }

    fn unlike(&self, expected: &str) -> String {
        let found = match &self.value {
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        };
        format!("line {}: expected {expected}, found {found}", self.line)
    }
}
