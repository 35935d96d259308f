//! The enriched line: 131 texts joined by tabs, no trailing newline, unset fields empty.

use crate::event::Event;
use crate::fields::COUNT;

/// Appends the event as one line without its newline.
pub fn write(event: &Event<'_>, out: &mut Vec<u8>) {
    let text: usize = event.iter().map(|(_, value)| value.map_or(0, str::len)).sum();
    let start = out.len();
    // All tabs first, so that an unset field is one step and no write: most are unset.
    out.resize(start + text + COUNT - 1, b'\t');
    let line = &mut out[start..];
    let mut at = 0;
    for (_, value) in event.iter() {
        if let Some(value) = value {
            line[at..at + value.len()].copy_from_slice(value.as_bytes());
            at += value.len();
        }
        at += 1;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::{FIELDS, Field};

    #[test]
    fn a_line_has_all_columns_in_order() {
        let mut event = Event::new();
        let mut out = Vec::new();
        write(&event, &mut out);
        assert_eq!(out, "\t".repeat(130).into_bytes());

        event.set(Field::AppId, Some("first é"));
        event.set(Field::TrueTstamp, Some("last"));
        out.clear();
        write(&event, &mut out);
        let line = String::from_utf8(out).expect("UTF-8");
        let columns = columns(&line).expect("131 columns");
        for (field, text) in FIELDS.into_iter().zip(columns) {
            assert_eq!(text, event.get(field).unwrap_or_default());
        }
    }

    #[test]
    fn other_numbers_of_columns_are_no_line() {
        assert_eq!(columns(&"\t".repeat(129)), None);
        assert_eq!(columns(&"\t".repeat(131)), None);
    }
}
