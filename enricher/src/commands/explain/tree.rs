//! An account as a tree of lines, one for each value, indented below what it belongs to.

use event::fields::FIELDS;
use serde_json::Value;

use crate::terminal::{self, Look};

/// Longer values are cut: the whole ones are in the JSON form.
const WIDEST: usize = 160;

/// The lines of a value; members without a value only where `all` are asked for.
pub(super) fn text(value: &Value, all: bool) -> String {
    let mut value = value.clone();
    if !all {
        leave_out_nothing(&mut value);
    }
    let mut lines = Vec::new();
    members(&value, 0, &mut lines);
    lines.join("\n")
}

/// Enriched lines taken apart, so that every column stands with its name.
pub(super) fn by_column(became: &mut Value) {
    for one in became.as_array_mut().into_iter().flatten() {
        let Some(line) = one.get("enriched").and_then(Value::as_str) else { continue };
        let columns = event::tsv::columns(line).expect("a line has all columns");
        let value = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
        let named = FIELDS.iter().map(|field| (field.name(), value(columns[*field as usize])));
        one["enriched"] = named.map(|(name, value)| (name.to_owned(), value)).collect();
    }
}

/// Prints the lines; the outermost names stand out.
pub(super) fn print(text: &str) {
    for line in text.split('\n') {
        let look = if line.starts_with(' ') { Look::Plain } else { Look::Heading };
        terminal::line_as(look, line);
    }
}

fn leave_out_nothing(value: &mut Value) {
    match value {
        // That a value went is something that happened.
        Value::Object(object) if object.contains_key("was") => {}
        Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            object.values_mut().for_each(leave_out_nothing);
        }
        Value::Array(array) => array.iter_mut().for_each(leave_out_nothing),
        _ => {}
    }
}

fn members(value: &Value, depth: usize, lines: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object.iter().filter(|(name, _)| *name != "micros") {
                member(name, value, depth, lines);
            }
        }
        Value::Array(array) => {
            for (index, value) in array.iter().enumerate() {
                member(&(index + 1).to_string(), value, depth, lines);
            }
        }
        scalar => lines.push(format!("{}{}", "  ".repeat(depth), shown(scalar))),
    }
}

fn member(name: &str, value: &Value, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    if let (Some(was), Some(is)) = (value.get("was"), value.get("is")) {
        return lines.push(format!("{indent}{name}: {} → {}", shown(was), shown(is)));
    }
    let micros = value.get("micros").map_or(String::new(), |micros| format!("  ({micros} µs)"));
    match value {
        Value::Object(_) | Value::Array(_) => {
            lines.push(format!("{indent}{name}{micros}"));
            members(value, depth + 1, lines);
        }
        scalar => lines.push(format!("{indent}{name}: {}", shown(scalar))),
    }
}

pub(super) fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    // An enriched line is easier to look at with its empty columns folded.
    let text = text.split('\t').filter(|column| !column.is_empty()).collect::<Vec<_>>().join(" | ");
    // What was sent must not look like lines of this account.
    let text = text.replace('\n', "\\n");
    match text.char_indices().nth(WIDEST) {
        None => text,
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_stand_below_what_they_belong_to() {
        let value = json!({
            "step": {"micros": 1.5, "geo_city": "Milton", "ip": {"was": "1.2.3.4", "is": "1.2.x.x"}},
            "events": [{"a": null, "b": 0}],
        });
        let step = "step  (1.5 µs)\n  geo_city: Milton\n  ip: 1.2.3.4 → 1.2.x.x";
        let all = format!("{step}\nevents\n  1\n    a: nothing\n    b: 0");
        assert_eq!(text(&value, true), all);
        assert_eq!(text(&value, false), format!("{step}\nevents\n  1\n    b: 0"));
    }
}
