//! Rows of a result as JSON objects, within bounds.
//!
//! A value is written as a peer writes it: numbers and truth values as such, texts as strings, and
//! the text form of everything else as the JSON that it is, or else as a string. Of columns with
//! one name the last counts, in the place of the first.

use event::{Bump, json};

use super::Names;

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'c> {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A float; those that are no numbers become null.
    Float(f64),
    /// A text, never looked into.
    Text(&'c str),
    /// The text form of something else: JSON if it is, or else a string.
    Form(&'c str),
}

impl Cell<'_> {
    fn write(self, out: &mut Vec<u8>) {
        match self {
            Cell::Null => out.extend_from_slice(b"null"),
            Cell::Boolean(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            Cell::Integer(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Cell::Float(value) if value.is_finite() => {
                out.extend_from_slice(event::convert::float64_text(value).as_bytes());
            }
            Cell::Float(_) => out.extend_from_slice(b"null"),
            Cell::Text(text) => json::write_string(text, out),
            Cell::Form(text) => match json::compact(text, &Bump::new()) {
                Ok(compact) => out.extend_from_slice(compact.as_bytes()),
                Err(_) => json::write_string(text, out),
            },
        }
    }
}

/// The columns of a result, as properties.
#[derive(Clone, Debug)]
pub struct Columns {
    /// The name of each property as it is written, and the column that it is of.
    properties: Vec<(Vec<u8>, usize)>,
}

impl Columns {
    /// Names the columns of a result by their labels.
    pub fn new<'l>(labels: impl IntoIterator<Item = &'l str>, names: Names) -> Columns {
        let mut properties: Vec<(Vec<u8>, usize)> = Vec::new();
        for (index, label) in labels.into_iter().enumerate() {
            let mut name = Vec::with_capacity(label.len() + 3);
            json::write_string(&names.of(label), &mut name);
            name.push(b':');
            match properties.iter_mut().find(|(earlier, _)| *earlier == name) {
                Some((_, column)) => *column = index,
                None => properties.push((name, index)),
            }
        }
        Columns { properties }
    }
}

/// How much of a result is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// At most so many of them.
    pub rows: usize,
    /// Bytes, as JSON.
    pub bytes: usize,
}

/// Rows taken so far.
#[derive(Debug)]
pub struct Rows {
    columns: Columns,
    bounds: Bounds,
    bytes: usize,
    rows: Vec<Box<str>>,
}

/// A result has more than is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SQL Query Enrichment: the result has more than {1} {0}")]
pub struct TooMuch(&'static str, usize);

impl Rows {
    /// No rows of a result with these columns.
    pub fn new(columns: Columns, bounds: Bounds) -> Rows {
        Rows { columns, bounds, bytes: 0, rows: Vec::new() }
    }

    /// Takes a row, given by what writes the value of a column.
    pub fn push<E: From<TooMuch>>(
        &mut self,
        mut value: impl FnMut(usize, &mut dyn FnMut(Cell<'_>)) -> Result<(), E>,
    ) -> Result<(), E> {
        let Bounds { rows, bytes } = self.bounds;
        if self.rows.len() == rows {
            return Err(TooMuch("rows", rows).into());
        }
        let mut out = vec![b'{'];
        for (name, column) in &self.columns.properties {
            if out.len() > 1 {
                out.push(b',');
            }
            out.extend_from_slice(name);
            value(*column, &mut |cell| cell.write(&mut out))?;
        }
        out.push(b'}');
        self.bytes += out.len();
        if self.bytes > bytes {
            return Err(TooMuch("bytes", bytes).into());
        }
        let row = String::from_utf8(out).expect("names and values are written as JSON");
        self.rows.push(row.into());
        Ok(())
    }

    /// How many there are.
    #[allow(clippy::len_without_is_empty, reason = "whether there are none is for the end to say")]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows, each a JSON object.
    pub fn finish(self) -> Vec<Box<str>> {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(labels: &[&str], names: Names, bounds: Bounds, cells: &[Vec<Cell<'_>>]) -> Vec<String> {
        let columns = Columns::new(labels.iter().copied(), names);
        let mut rows = Rows::new(columns, bounds);
        for row in cells {
            let pushed = rows.push(|column, write| {
                write(row[column]);
                Ok::<(), TooMuch>(())
            });
            if let Err(error) = pushed {
                return vec![error.to_string()];
            }
        }
        rows.finish().into_iter().map(String::from).collect()
    }

    #[test]
    fn values_are_written_as_a_peer_writes_them() {
        let check = |cell: Cell<'_>, expected: &str| {
            let found = rows(&["v"], Names::AsIs, Bounds { rows: 1, bytes: 99 }, &[vec![cell]]);
            assert_eq!(found, [format!("{{\"v\":{expected}}}")]);
        };
        check(Cell::Null, "null");
        check(Cell::Boolean(true), "true");
        check(Cell::Integer(i64::MIN), "-9223372036854775808");
        check(Cell::Float(1.5), "1.5");
        check(Cell::Float(1e10), "1.0E10");
        check(Cell::Float(f64::NAN), "null");
        check(Cell::Float(f64::INFINITY), "null");
        check(Cell::Text("12"), "\"12\"");
        check(Cell::Text("a\"\n"), "\"a\\\"\\n\"");
        check(Cell::Form("12.50"), "12.50");
        check(Cell::Form("{\"b\": null, \"a\": 1.0}"), "{\"b\":null,\"a\":1.0}");
        check(Cell::Form("1980-06-12"), "\"1980-06-12\"");
        check(Cell::Form("{1,2}"), "\"{1,2}\"");
        check(Cell::Form(""), "\"\"");
    }

    #[test]
    fn of_columns_with_one_name_the_last_counts_in_the_place_of_the_first() {
        let cells = [vec![Cell::Integer(1), Cell::Integer(2), Cell::Integer(3)]];
        let bounds = Bounds { rows: 1, bytes: 99 };
        let found = rows(&["a", "b", "a"], Names::AsIs, bounds, &cells);
        assert_eq!(found, [r#"{"a":3,"b":2}"#]);
        let found = rows(&["x_a", "b", "xA"], Names::CamelCase, bounds, &cells);
        assert_eq!(found, [r#"{"xA":3,"b":2}"#]);
    }

    #[test]
    fn a_result_is_bounded() {
        let cells = vec![vec![Cell::Integer(1)]; 3];
        let check = |bounds, expected: &str| {
            assert_eq!(rows(&["a"], Names::AsIs, bounds, &cells)[0], expected);
        };
        check(Bounds { rows: 3, bytes: 21 }, r#"{"a":1}"#);
        let more = "SQL Query Enrichment: the result has more than ";
        check(Bounds { rows: 2, bytes: 99 }, &format!("{more}2 rows"));
        check(Bounds { rows: 3, bytes: 20 }, &format!("{more}20 bytes"));
    }
}
