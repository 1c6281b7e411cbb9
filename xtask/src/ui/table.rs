//! Rows of words as columns that stand below each other, for what is asked for as data.
//! Knows nothing of what the words mean.

/// A table: a heading and rows of as many cells. A column of whole numbers stands to the right.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heading[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let numbers: Vec<bool> =
        (0..heading.len()).map(|c| !rows.is_empty() && rows.iter().all(|r| is_number(r, c))).collect();
    let line = |cells: Vec<&str>| {
        let cell = |(i, text): (usize, &str)| {
            let space = " ".repeat(widths[i].saturating_sub(text.chars().count()));
            if numbers[i] { format!("{space}{text}") } else { format!("{text}{space}") }
        };
        let cells: Vec<String> = cells.into_iter().enumerate().map(cell).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    let mut text = line(heading.to_vec());
    text.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    text
}

fn is_number(row: &[String], column: usize) -> bool {
    let cell = row.get(column).map_or("", |cell| cell.strip_prefix('-').unwrap_or(cell));
    !cell.is_empty() && cell.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [vec!["a".to_owned(), "7".into(), "x".into()], vec!["long".into(), "-120".into(), String::new()]];
        assert_eq!(table(&["name", "n", "note"], &rows), "name     n  note\na        7  x\nlong  -120\n");
        assert_eq!(table(&["name"], &[]), "name\n");
    }
}
