//! Words on standard error.

use std::io::Write;

/// Writes a line, or several, that may quote a statement: nothing in them is obeyed by a terminal.
pub(crate) fn say(text: &str) {
    let obeyed = |c: char| c.is_control() && c != '\n';
    let _ = writeln!(std::io::stderr(), "{}", text.replace(obeyed, " "));
}
