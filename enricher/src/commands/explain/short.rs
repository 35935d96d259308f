//! What is said of a record that failed: the verdicts, and for each but the good ones why.

use serde_json::Value;

use super::tree::shown;
use super::why::{Fault, Why, Wrong};
use crate::terminal::{self, Look};

/// What is said of an event that became one.
const WELL: &str = "nothing failed";

/// Where the rest is.
const MORE: &str = "every step: --all";

/// The lines; `None` where nothing failed.
pub(super) fn text(why: &[Option<Why>]) -> Option<String> {
    if why.iter().all(Option::is_none) {
        return None;
    }
    let mut lines = Vec::new();
    for (number, one) in (1..).zip(why) {
        let which = match why.len() {
            1 => String::new(),
            all => format!("{number} of {all}: "),
        };
        match one {
            None => lines.push(format!("{which}{WELL}")),
            Some(Why { verdict, faults }) => {
                let verdict =
                    if verdict == "parked" { verdict.clone() } else { format!("bad, {verdict}") };
                lines.push(format!("{which}{verdict}"));
                faults.iter().for_each(|fault| add(fault, &mut lines));
            }
        }
    }
    lines.push(MORE.to_owned());
    Some(lines.join("\n"))
}

/// Prints the lines; verdicts stand out.
pub(super) fn print(text: &str) {
    for line in text.split('\n') {
        let look = match line {
            line if line.starts_with(' ') || line == MORE => Look::Plain,
            line if line.ends_with(WELL) => Look::Good,
            _ => Look::Bad,
        };
        terminal::line_as(look, line);
    }
}

fn add(fault: &Fault, lines: &mut Vec<String>) {
    let heading = match (&fault.schema, &fault.within) {
        (Some(schema), Some(within)) => Some(format!("{} in {}", quoted(schema), quoted(within))),
        (None, None) => None,
        (one, other) => one.as_deref().or(other.as_deref()).map(quoted),
    };
    let indent = if heading.is_some() { "    " } else { "  " };
    lines.extend(heading.map(|heading| format!("  {heading}")));
    for Wrong { at, expected, found, message } in &fault.wrong {
        let at = match at.as_deref() {
            None => String::new(),
            Some("") => "(root): ".to_owned(),
            Some(at) => format!("{}: ", quoted(at)),
        };
        let expected = expected.as_deref().map(|it| format!("expected {}", quoted(it)));
        let found = found.as_deref().map(|it| format!("found {}", quoted(it)));
        let message = message.as_deref().map(quoted);
        let said: Vec<String> = message.into_iter().chain(expected).chain(found).collect();
        lines.push(format!("{indent}{at}{}", said.join(", ")));
    }
    if let Some(nearest) = &fault.nearest {
        lines.push(format!("{indent}{} would accept it", quoted(nearest)));
    }
}

fn quoted(text: &str) -> String {
    shown(&Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::why;
    use super::*;

    struct Nobody;

    impl why::Judge for Nobody {
        fn explain(&self, _: &str, _: &str) -> Vec<validator::Explanation> {
            Vec::new()
        }

        fn nearest(&self, _: &str, _: &str) -> Option<String> {
            None
        }
    }

    #[test]
    fn what_a_bad_row_says_is_not_said_to_be_expected() {
        let message = serde_json::json!({
            "field": "type", "value": "lost", "expectation": "no schema associated with it"
        });
        let row = serde_json::json!({"data": {"failure": {"messages": [message]}, "payload": {}}});
        let became = serde_json::json!([{"adapter_failures": row}]);
        let said = text(&why::of(&became, &Nobody)).expect("it failed");
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines[1], "  type: no schema associated with it, found lost");
    }
}
