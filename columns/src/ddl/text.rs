//! Names and texts as engines quote them.

/// The names of a table, quoted one by one.
pub(super) fn path(name: &str, quote: fn(&str) -> String) -> String {
    name.split('.').map(quote).collect::<Vec<_>>().join(".")
}

/// A name in backticks.
pub(super) fn ticked(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A name in double quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in single quotes, doubled within, as in standard SQL.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A text in single quotes where a backslash escapes.
pub(super) fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n");
    format!("'{text}'")
}

/// A description in one line of at most so many characters.
pub(super) fn line(text: &str, most: usize) -> String {
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain: String = plain.chars().filter(|c| !c.is_control()).collect();
    if plain.chars().count() <= most {
        return plain;
    }
    let cut: String = plain.chars().take(most - 1).collect();
    format!("{}…", cut.trim_end())
}

/// Lines with commas between.
pub(super) fn list(lines: impl IntoIterator<Item = String>) -> String {
    let lines: Vec<String> = lines.into_iter().map(|line| format!("  {line}")).collect();
    lines.join(",\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_name_or_a_text_early() {
        assert_eq!(ticked("a`b"), "`a``b`");
        assert_eq!(quoted(r#"a"b"#), r#""a""b""#);
        assert_eq!(path("db.t x", quoted), r#""db"."t x""#);
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(escaped("it's \\ \n"), "'it\\'s \\\\ \\n'");
        assert_eq!(line(" a\n\tb\u{7} ", 10), "a b");
        assert_eq!(line("four words of text", 9), "four wor…");
    }
}
