//! A table to look at. Widths come of the first rows; a longer value later is cut, too.

use std::io::{self, Write};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;

use crate::values;

/// So many rows are looked at for widths before any is written.
const FIRST: usize = 1000;

/// The widest cell, in characters.
const WIDEST: usize = 60;

/// Collects rows until it knows the widths.
pub(crate) struct Grid {
    names: Vec<String>,
    /// Numbers stand to the right.
    right: Vec<bool>,
    first: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
}

impl Grid {
    /// With these columns.
    pub(crate) fn new(columns: &SchemaRef) -> Grid {
        let names = columns.fields().iter().map(|field| shown(field.name())).collect();
        let right = columns.fields().iter().map(|field| field.data_type().is_numeric()).collect();
        Grid { names, right, first: Vec::new(), widths: None }
    }

    /// Takes rows, and writes them once the widths are known.
    pub(crate) fn write(&mut self, batch: &RecordBatch, out: &mut impl Write) -> io::Result<()> {
        for row in 0..batch.num_rows() {
            let cell = |column: &datafusion::arrow::array::ArrayRef| {
                let mut cell = String::new();
                values::plain(column.as_ref(), row, &mut cell);
                shown(&cell)
            };
            let cells: Vec<String> = batch.columns().iter().map(cell).collect();
            match &self.widths {
                Some(widths) => self.line(&cells, widths, out)?,
                None => self.first.push(cells),
            }
            if self.widths.is_none() && self.first.len() == FIRST {
                self.begin(out)?;
            }
        }
        Ok(())
    }

    /// Writes what is still held back.
    pub(crate) fn end(mut self, out: &mut impl Write) -> io::Result<()> {
        match self.widths {
            Some(_) => Ok(()),
            None => self.begin(out),
        }
    }

    fn begin(&mut self, out: &mut impl Write) -> io::Result<()> {
        let first = std::mem::take(&mut self.first);
        let widest = |column: usize| {
            let cells = first.iter().map(|cells| width(&cells[column]));
            cells.max().unwrap_or(0).max(width(&self.names[column]))
        };
        let widths: Vec<usize> = (0..self.names.len()).map(widest).collect();
        self.line(&self.names, &widths, out)?;
        let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        self.line(&rules, &widths, out)?;
        for cells in &first {
            self.line(cells, &widths, out)?;
        }
        self.widths = Some(widths);
        Ok(())
    }

    fn line(&self, cells: &[String], widths: &[usize], out: &mut impl Write) -> io::Result<()> {
        let mut line = String::new();
        for (at, (cell, most)) in cells.iter().zip(widths).enumerate() {
            if at > 0 {
                line.push_str("  ");
            }
            let gap = " ".repeat(most.saturating_sub(width(cell)));
            match self.right[at] {
                true => line.extend([gap.as_str(), cell]),
                false => line.extend([cell, gap.as_str()]),
            }
        }
        writeln!(out, "{}", line.trim_end())
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// A value in one line, without anything that a terminal obeys, and not too long.
fn shown(text: &str) -> String {
    let mut cell = String::new();
    for (at, letter) in text.chars().enumerate() {
        if at == WIDEST {
            cell.pop();
            cell.push('\u{2026}');
            break;
        }
        let unseen = matches!(letter, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}');
        match letter {
            '\n' | '\t' | '\r' => cell.push(' '),
            letter if letter.is_control() || unseen => {
                cell.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            letter => cell.push(letter),
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
    use std::sync::Arc;

    fn grid(texts: Vec<&str>) -> String {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..texts.len() as i64));
        let texts: ArrayRef = Arc::new(StringArray::from(texts));
        let batch = RecordBatch::try_from_iter([("n", numbers), ("text", texts)]).expect("fits");
        let mut grid = Grid::new(&batch.schema());
        let mut out = Vec::new();
        grid.write(&batch, &mut out).expect("memory");
        grid.end(&mut out).expect("memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn columns_are_aligned_and_nothing_moves_the_terminal() {
        let long = "x".repeat(80);
        let out = grid(vec!["a\u{1b}[2J", "b\nc", &long]);
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines[0], "n  text");
        assert_eq!(lines[2], "0  a\\u001b[2J");
        assert_eq!(lines[3], "1  b c");
        assert_eq!(lines[4].chars().count(), 3 + WIDEST);
        assert!(lines[4].ends_with('\u{2026}'));
    }

    #[test]
    fn rows_after_the_first_ones_are_written_as_they_come() {
        let out = grid(vec!["a"; FIRST + 5]);
        assert_eq!(out.lines().count(), FIRST + 7);
    }
}
