//! A table with aligned columns, given out a page at a time so that a million lines need not be kept.

/// Rows that wait to be aligned. Columns only grow wider from page to page.
#[derive(Debug, Default)]
pub(in crate::cli) struct Table {
    widths: Vec<usize>,
    rows: Vec<Vec<String>>,
}

/// The widest that a column makes all its rows: a longer cell pushes only its own row.
const WIDEST: usize = 60;

/// How many rows make a page.
const PAGE: usize = 200;

impl Table {
    /// A table that begins with a line of headings.
    pub(in crate::cli) fn headed(headings: &[&str]) -> Self {
        let mut table = Self::default();
        table.row(headings.iter().map(|heading| (*heading).to_owned()).collect());
        table
    }

    /// Adds a row; its cells are shown as they are, so they must be escaped already.
    pub(in crate::cli) fn row(&mut self, cells: Vec<String>) {
        for (at, cell) in cells.iter().enumerate() {
            let width = width(cell).min(WIDEST);
            match self.widths.get_mut(at) {
                Some(widest) => *widest = width.max(*widest),
                None => self.widths.push(width),
            }
        }
        self.rows.push(cells);
    }

    /// The lines so far, if they make a page.
    pub(in crate::cli) fn page(&mut self) -> Vec<String> {
        if self.rows.len() < PAGE { Vec::new() } else { self.lines() }
    }

    /// The lines so far.
    pub(in crate::cli) fn lines(&mut self) -> Vec<String> {
        let rows = std::mem::take(&mut self.rows);
        rows.iter().map(|cells| self.line(cells)).collect()
    }

    fn line(&self, cells: &[String]) -> String {
        let mut line = String::new();
        for (at, cell) in cells.iter().enumerate() {
            if at > 0 {
                line.push_str("  ");
            }
            line.push_str(cell);
            let room = self.widths.get(at).copied().unwrap_or_default();
            line.extend(std::iter::repeat_n(' ', room.saturating_sub(width(cell))));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// How many columns of a terminal a text takes: one a character, two for the wide scripts of East Asia and for pictures,
/// none for marks that combine. A table of a few ranges, not all of Unicode: a name that it gets wrong is off by a column.
pub(in crate::cli) fn width(text: &str) -> usize {
    text.chars()
        .map(|c| match u32::from(c) {
            0x0300..=0x036f
            | 0x1ab0..=0x1aff
            | 0x1dc0..=0x1dff
            | 0x20d0..=0x20ff
            | 0xfe00..=0xfe0f
            | 0xfe20..=0xfe2f => 0,
            0x1100..=0x115f
            | 0x2e80..=0x303e
            | 0x3041..=0xa4cf
            | 0xac00..=0xd7a3
            | 0xf900..=0xfaff
            | 0xfe30..=0xfe6f
            | 0xff00..=0xff60
            | 0xffe0..=0xffe6
            | 0x1f300..=0x1faff
            | 0x20000..=0x3fffd => 2,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_what_a_terminal_shows() {
        let mut table = Table::headed(&["PATH", "STATE"]);
        table.row(vec!["a.fbx".into(), "synced".into()]);
        table.row(vec!["人形.fbx".into(), "held".into()]);
        table.row(vec!["u\u{308}.fbx".into(), String::new()]);
        assert_eq!(table.lines(), ["PATH      STATE", "a.fbx     synced", "人形.fbx  held", "u\u{308}.fbx"]);
    }

    #[test]
    fn one_long_name_does_not_widen_the_whole_table() {
        let mut table = Table::default();
        table.row(vec!["x".repeat(255), "synced".into()]);
        table.row(vec!["short".into(), "held".into()]);
        let lines = table.lines();
        assert_eq!(lines[0].len(), 255 + 2 + 6);
        assert_eq!(lines[1].len(), WIDEST + 2 + 4);
    }

    #[test]
    fn a_page_is_given_out_when_it_is_full() {
        let mut table = Table::default();
        for _ in 1..PAGE {
            table.row(vec!["a".into()]);
            assert!(table.page().is_empty());
        }
        table.row(vec!["a".into()]);
        assert_eq!(table.page().len(), PAGE);
        assert!(table.lines().is_empty());
    }
}
