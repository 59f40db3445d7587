//! Tables for people: a header, aligned columns, and a word where there is nothing.

use std::fmt::Write as _;

/// Rows of one list.
pub(super) struct TextTable<const COLUMNS: usize> {
    header: [&'static str; COLUMNS],
    /// What is said of a list without rows.
    empty: &'static str,
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> TextTable<COLUMNS> {
    /// Without rows yet.
    pub(super) fn new(header: [&'static str; COLUMNS], empty: &'static str) -> Self {
        Self {
            header,
            empty,
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: [String; COLUMNS]) {
        // A cell that is no single line would look like several rows.
        self.rows
            .push(cells.map(|cell| cell.replace(char::is_control, "?")));
    }

    /// All of it, each line with its end.
    pub(super) fn text(&self) -> String {
        if self.rows.is_empty() {
            return format!("{}\n", self.empty);
        }
        let header = self.header.map(str::to_owned);
        let lines = || std::iter::once(&header).chain(&self.rows);
        let widths: Vec<_> = (0..COLUMNS)
            .map(|column| {
                let widths = lines().map(|cells| cells[column].chars().count());
                // One long value does not push the others off the screen.
                widths.filter(|width| *width <= WIDEST).max().unwrap_or_default()
            })
            .collect();
        let mut text = String::new();
        for cells in lines() {
            let mut line = String::new();
            for (cell, width) in cells.iter().zip(widths.iter().copied()) {
                let _ = write!(line, "{cell:width$}  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// How wide a column gets for the sake of its longest value.
const WIDEST: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_nothing_is_a_word() {
        let mut table = TextTable::new(["SID", "STATE", "NAME"], "There are no accounts.");
        assert_eq!(table.text(), "There are no accounts.\n");
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        table.row(row(["AC1", "active", "Team\nLedger"]));
        table.row(row(["AC22", "", &"x".repeat(60)]));
        table.row(row(["AC3", "suspended", "Käse"]));
        let lines = [
            "SID   STATE      NAME",
            "AC1   active     Team?Ledger",
            &format!("AC22             {}", "x".repeat(60)),
            "AC3   suspended  Käse",
        ];
        assert_eq!(table.text(), lines.join("\n") + "\n");
    }
}
