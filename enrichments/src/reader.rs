//! Walking a configuration's JSON while noting every mistake with its pointer.
//!
//! A [`Node`] is a place in the JSON that may be missing. Asking it for a value of some type gives
//! that value, or notes an error and gives nothing; the walk goes on, so that one reading finds
//! all mistakes. Texts of the form `${NAME}` are replaced by the caller's variables.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::assets::Asset;
use crate::mistake::ConfigError;

/// A place in a configuration.
#[derive(Clone)]
pub(crate) struct Node<'v> {
    value: Option<&'v Value>,
    pointer: String,
    file: &'v Path,
    variables: &'v BTreeMap<String, String>,
    errors: &'v RefCell<Vec<ConfigError>>,
}

impl<'v> Node<'v> {
    /// The whole of a file.
    pub(crate) fn root(
        value: &'v Value,
        file: &'v Path,
        variables: &'v BTreeMap<String, String>,
        errors: &'v RefCell<Vec<ConfigError>>,
    ) -> Node<'v> {
        Node { value: Some(value), pointer: String::new(), file, variables, errors }
    }

    /// The file's name, for warnings.
    pub(crate) fn file(&self) -> String {
        self.file.display().to_string()
    }

    /// A member of an object; missing if there is none.
    pub(crate) fn field(&self, name: &str) -> Node<'v> {
        let value = self.value.and_then(|value| value.get(name));
        self.child(&name.replace('~', "~0").replace('/', "~1"), value)
    }

    fn child(&self, name: &str, value: Option<&'v Value>) -> Node<'v> {
        let pointer = format!("{}/{name}", self.pointer);
        Node { value, pointer, ..self.clone() }
    }

    /// Whether something other than null stands here.
    pub(crate) fn is_present(&self) -> bool {
        self.value.is_some_and(|value| !value.is_null())
    }

    /// This node if something stands here.
    pub(crate) fn present(self) -> Option<Node<'v>> {
        self.is_present().then_some(self)
    }

    /// Notes that something else should stand here.
    pub(crate) fn wrong(&self, expected: &str) {
        self.wrong_because(expected, self.value.map_or_else(|| "nothing".to_owned(), shown));
    }

    /// Notes that something else should stand here, naming no value.
    pub(crate) fn wrong_because(&self, expected: &str, found: String) {
        self.errors.borrow_mut().push(ConfigError {
            file: self.file.to_owned(),
            pointer: self.pointer.clone(),
            expected: expected.to_owned(),
            found,
        });
    }

    /// A text, with what it refers to in its place.
    pub(crate) fn text(&self) -> Option<String> {
        let Some(text) = self.value.and_then(Value::as_str) else {
            self.wrong("a text");
            return None;
        };
        self.resolve(text)
    }

    /// A text that must not be printed.
    pub(crate) fn secret(&self) -> Option<String> {
        let Some(text) = self.value.and_then(Value::as_str) else {
            self.wrong_because("a text", self.value.map_or("nothing", kind).to_owned());
            return None;
        };
        self.resolve(text)
    }

    /// Whether a text is a reference to something that stands elsewhere.
    pub(crate) fn is_reference(&self) -> bool {
        let text = self.value.and_then(Value::as_str).unwrap_or_default();
        text.starts_with("${") && text.ends_with('}')
    }

    /// Replaces a reference by what it refers to: `${NAME}`, or `${file:PATH}` for the content of
    /// a file without its last line break.
    fn resolve(&self, text: &str) -> Option<String> {
        let Some(name) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else {
            return Some(text.to_owned());
        };
        if let Some(path) = name.strip_prefix("file:") {
            let read = std::fs::read_to_string(path);
            if let Err(error) = &read {
                self.wrong_because(&format!("{path} to be readable"), error.to_string());
            }
            return read.ok().map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
        }
        let value = self.variables.get(name);
        if value.is_none() {
            self.wrong_because(&format!("the variable {name} to be set"), "nothing".to_owned());
        }
        value.cloned()
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self) -> Option<bool> {
        let flag = self.value.and_then(Value::as_bool);
        if flag.is_none() {
            self.wrong("true or false");
        }
        flag
    }

    /// A whole number between two bounds.
    pub(crate) fn number(&self, least: u64, most: u64) -> Option<u64> {
        let number = self.value.and_then(Value::as_u64).filter(|n| (least..=most).contains(n));
        if number.is_none() {
            self.wrong(&format!("a whole number from {least} to {most}"));
        }
        number
    }

    /// One of some texts.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.value.and_then(Value::as_str).unwrap_or_default();
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.wrong(&format!("one of {}", names.join(", ")));
        }
        found
    }

    /// The elements of an array.
    pub(crate) fn elements(&self) -> Option<Vec<Node<'v>>> {
        let Some(array) = self.value.and_then(Value::as_array) else {
            self.wrong("a list");
            return None;
        };
        let child = |(index, value)| self.child(&format!("{index}"), Some(value));
        Some(array.iter().enumerate().map(child).collect())
    }

    /// The members of an object, in their order.
    pub(crate) fn members(&self) -> Option<Vec<(&'v str, Node<'v>)>> {
        let Some(object) = self.value.and_then(Value::as_object) else {
            self.wrong("an object");
            return None;
        };
        Some(object.keys().map(|name| (name.as_str(), self.field(name))).collect())
    }

    /// An object, whole.
    pub(crate) fn object(&self) -> Option<&'v Value> {
        let object = self.value.filter(|value| value.is_object());
        if object.is_none() {
            self.wrong("an object");
        }
        object
    }

    /// An array of texts.
    pub(crate) fn texts(&self) -> Option<Vec<String>> {
        self.elements()?.iter().map(Node::text).collect()
    }

    /// Notes every member of an object whose name is not among those known.
    pub(crate) fn only(&self, known: &[&str]) -> Option<()> {
        for (name, node) in self.members()? {
            if !known.contains(&name) {
                let expected = match known {
                    [] => "no field here".to_owned(),
                    _ => format!("a known field ({})", known.join(", ")),
                };
                node.wrong_because(&expected, format!("{name:?}"));
            }
        }
        Some(())
    }

    /// An asset that the configuration need not name.
    pub(crate) fn default_asset(&self, (database, uri): (&str, &str)) -> Asset {
        let (file, pointer) = (self.file.to_owned(), self.pointer.clone());
        Asset { database: database.to_owned(), uri: uri.to_owned(), file, pointer }
    }

    /// An object that names an asset by `database` and `uri`.
    pub(crate) fn asset(&self) -> Option<Asset> {
        let database = self.field("database").text();
        let uri = self.field("uri").text();
        let (database, uri) = (database?, uri?);
        if database.is_empty() || database.contains(['/', '\\']) || database.starts_with('.') {
            self.field("database").wrong("a file's name without its folder");
            return None;
        }
        let (file, pointer) = (self.file.to_owned(), format!("{}/database", self.pointer));
        Some(Asset { database, uri, file, pointer })
    }
}

/// A value in a message: short ones in full, long ones by their kind.
fn shown(value: &Value) -> String {
    /// Longer than any URI of a schema, shorter than two lines.
    const LONGEST: usize = 120;
    let text = value.to_string();
    if text.len() <= LONGEST { text } else { kind(value).to_owned() }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
