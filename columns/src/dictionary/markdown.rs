//! The dictionary as Markdown.

use super::{Column, Entry};

/// The dictionary as Markdown: a table of what every event has, and one for each other column.
pub fn markdown(columns: &[Column]) -> String {
    let (always, typed): (Vec<&Column>, Vec<&Column>) =
        columns.iter().partition(|column| column.entry.schemas.is_empty());
    let mut out = "# Columns\n\n## Every event\n\n".to_owned();
    table(&mut out, always.iter().map(|column| &column.entry));
    for column in typed {
        let Entry { path, ty, description, schemas, .. } = &column.entry;
        out.push_str(&format!("\n## {}\n\n", code(path)));
        if let Some(description) = description {
            out.push_str(&format!("{}\n\n", text(description)));
        }
        let uris: Vec<String> = schemas.iter().map(|uri| code(uri)).collect();
        out.push_str(&format!("A {ty}, of {}.\n", uris.join(", ")));
        if !column.fields.is_empty() {
            out.push('\n');
            table(&mut out, column.fields.iter());
        }
    }
    out
}

fn table<'a>(out: &mut String, entries: impl Iterator<Item = &'a Entry>) {
    out.push_str(
        "| column | type | may be null | what it says | examples |\n|---|---|---|---|---|\n",
    );
    for entry in entries {
        let examples: Vec<String> = entry.examples.iter().map(|example| code(example)).collect();
        out.push_str(&format!(
            "| {} | {} | {} | {} | {} |\n",
            code(&entry.path),
            entry.ty,
            if entry.nullable { "yes" } else { "no" },
            text(entry.description.as_deref().unwrap_or_default()),
            examples.join(", "),
        ));
    }
}

/// A text in one line, in which no sign means anything.
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '&') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A text as code, which may hold backticks; in a table, a bar is escaped even there.
fn code(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_schemas_say_stays_text() {
        assert_eq!(text("a|b\n<script> *x* `y`"), "a\\|b \\<script\\> \\*x\\* \\`y\\`");
        assert_eq!(code("a|b"), "`a\\|b`");
        assert_eq!(code("`a``b"), "``` `a``b ```");
    }
}
