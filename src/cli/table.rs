//! Rows and columns, for people (aligned) and for spreadsheets (CSV). Both are safe to look at whatever is in them.

use std::borrow::Cow;

use super::{Failure, output};

use crate::events::Escaped;

/// Which edge of a column its cells stand at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Column widths, which only grow: a table that is printed in parts keeps its shape as well as it can.
#[derive(Debug, Clone)]
pub struct Layout {
    columns: Vec<(String, Align)>,
    widths: Vec<usize>,
}

impl Layout {
    pub fn new<N: AsRef<str>>(columns: &[(N, Align)]) -> Self {
        let columns: Vec<_> = columns.iter().map(|(name, align)| (name.as_ref().to_owned(), *align)).collect();
        let widths = columns.iter().map(|(name, _)| width(name)).collect();
        Self { columns, widths }
    }

    /// The header, as a row.
    pub fn header(&self) -> Vec<String> {
        self.columns.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Makes room for these rows.
    pub fn fit(&mut self, rows: &[Vec<String>]) {
        for row in rows {
            for (widest, cell) in self.widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(&Escaped(cell).to_string()));
            }
        }
    }

    /// One row as a line, with no blanks at its end. An empty cell is a dash.
    pub fn line(&self, row: &[String]) -> String {
        let mut line = String::new();
        for (((_, align), widest), cell) in self.columns.iter().zip(&self.widths).zip(row) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            let cell = if cell.is_empty() { "-".to_owned() } else { Escaped(cell).to_string() };
            let blanks = " ".repeat(widest.saturating_sub(width(&cell)));
            match align {
                Align::Left => line.extend([cell, blanks]),
                Align::Right => line.extend([blanks, cell]),
            }
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }
}

/// Columns of a terminal, as far as one can tell without asking it: characters.
fn width(text: &str) -> usize {
    text.chars().count()
}

/// One row as a line of CSV, quoted as RFC 4180 says, but ended by a line feed alone: scripts read this more often than
/// spreadsheets do, which take both. Control characters are spelt out, and a cell that a spreadsheet would take for a
/// formula gets an apostrophe before it.
/// Writes rows under their columns, aligned or as CSV.
pub fn write_rows(columns: &[&str], rows: &[Vec<String>], is_csv: bool) -> Result<(), Failure> {
    let names = columns.iter().map(|name| (name.to_uppercase(), Align::Left));
    let mut layout = Layout::new(&names.collect::<Vec<_>>());
    layout.fit(rows);
    let header = if is_csv { columns.iter().map(|name| (*name).to_owned()).collect() } else { layout.header() };
    output::write(|out| {
        std::iter::once(&header).chain(rows).try_for_each(|row| {
            let line = if is_csv { csv_line(row) } else { layout.line(row) };
            out.write_all(line.as_bytes())
        })
    })
}

pub fn csv_line(row: &[String]) -> String {
    let cells: Vec<_> = row.iter().map(|cell| csv_cell(cell)).collect();
    cells.join(",") + "\n"
}

fn csv_cell(cell: &str) -> Cow<'_, str> {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if !formula && !cell.contains(|c: char| matches!(c, '"' | ',' | ';') || crate::events::steers(c)) {
        return Cow::Borrowed(cell);
    }
    let apostrophe = if formula { "'" } else { "" };
    Cow::Owned(format!("\"{apostrophe}{}\"", Escaped(cell).to_string().replace('"', "\"\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let mut layout = Layout::new(&[("COUNT", Align::Right), ("MODEL", Align::Left), ("END", Align::Left)]);
        let rows = [row(&["7", "Gerät\x1b[2J", "x"]), row(&["123456", "", ""])];
        layout.fit(&rows);
        let lines: String = [layout.header()].iter().chain(&rows).map(|row| layout.line(row)).collect();
        assert_eq!(lines, " COUNT  MODEL           END\n     7  Gerät\\u{1b}[2J  x\n123456  -               -\n");
    }

    #[test]
    fn csv_is_quoted_and_runs_nothing() {
        let line = csv_line(&row(&["plain", "a,b", "say \"hi\"", "=cmd|' /C calc'!A0", "-1+1", "\tx\ny", ""]));
        assert_eq!(line, "plain,\"a,b\",\"say \"\"hi\"\"\",\"'=cmd|' /C calc'!A0\",\"'-1+1\",\"'\\tx\\ny\",\n");
    }
}
