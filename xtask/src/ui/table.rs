//! Formats rows as aligned columns.

use console::{Alignment, pad_str};

use super::format;

/// A heading and rows of as many cells. Columns of whole numbers are right-aligned.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let column = |i: usize| {
        let cells = || rows.iter().filter_map(|row| row.get(i)).map(String::as_str);
        let width = cells().chain([heading[i]]).map(format::width).max().unwrap_or(0);
        let numbers = !rows.is_empty() && cells().count() == rows.len() && cells().all(is_number);
        (width, if numbers { Alignment::Right } else { Alignment::Left })
    };
    let columns: Vec<_> = (0..heading.len()).map(column).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.zip(&columns).map(|(cell, (width, side))| pad_str(cell, *width, *side, None));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    let mut text = line(&mut heading.iter().copied());
    text.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    text
}

fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["a".to_owned(), "7".into(), "x".into()], vec!["long".into(), "-120".into(), String::new()]];
        assert_eq!(table(&["name", "n", "note"], &rows), "name     n  note\na        7  x\nlong  -120\n");
        assert_eq!(table(&["name"], &[]), "name\n");
    }
}
