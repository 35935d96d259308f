//! The enriched line: 131 texts joined by tabs, no trailing newline, unset fields empty.

use crate::event::Event;
use crate::fields::COUNT;

/// Appends the event as one line without its newline.
pub fn write(event: &Event<'_>, out: &mut Vec<u8>) {
    let text: usize = event.iter().map(|(_, value)| value.map_or(0, str::len)).sum();
    out.reserve(text + COUNT);
    for (field, value) in event.iter() {
        if field as usize != 0 {
            out.push(b'\t');
        }
        out.extend_from_slice(value.unwrap_or_default().as_bytes());
    }
}

/// The texts of a line, which must have all 131.
pub fn columns(line: &str) -> Option<[&str; COUNT]> {
    let mut columns = [""; COUNT];
    let mut texts = line.split('\t');
    for column in &mut columns {
        *column = texts.next()?;
    }
    texts.next().is_none().then_some(columns)
}
