//! An account as a tree of lines, one for each value, indented below what it belongs to.

use serde_json::Value;

/// Longer values are cut: the whole ones are in the JSON form.
const WIDEST: usize = 160;

/// The lines of a value.
pub(super) fn text(value: &Value) -> String {
    let mut lines = Vec::new();
    members(value, 0, &mut lines);
    lines.join("\n")
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

fn shown(value: &Value) -> String {
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
            "events": [{"a": null}],
        });
        let expected = "step  (1.5 µs)\n  geo_city: Milton\n  ip: 1.2.3.4 → 1.2.x.x\nevents\n  1\n    a: nothing";
        assert_eq!(text(&value), expected);
    }
}
