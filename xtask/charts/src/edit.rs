//! Edits a TOML text by line, so that comments, order and layout are preserved. Callers load the result and compare.

#[derive(Debug, Clone)]
pub struct Lines(Vec<String>);

impl Lines {
    pub fn of(text: &str) -> Self {
        Lines(text.split_inclusive('\n').map(str::to_owned).collect())
    }

    pub fn text(&self) -> String {
        self.0.concat()
    }

    /// A line, counted from 1, trimmed. Empty if there is none.
    pub fn line(&self, number: usize) -> &str {
        number.checked_sub(1).and_then(|i| self.0.get(i)).map_or("", |line| line.trim())
    }

    /// Replaces the quoted value of a key: `version = "1.2.3" # why` keeps all but the `1.2.3`.
    /// False if the line does not contain the old value in quotes.
    pub fn replace_quoted(&mut self, number: usize, old: &str, new: &str) -> bool {
        let Some(line) = number.checked_sub(1).and_then(|i| self.0.get_mut(i)) else { return false };
        let from = line.find('=').map_or(0, |i| i + 1);
        for quote in ['"', '\''] {
            let quoted = format!("{quote}{old}{quote}");
            if let Some(at) = line[from..].find(&quoted) {
                line.replace_range(from + at..from + at + quoted.len(), &format!("\"{new}\""));
                return true;
            }
        }
        false
    }

    /// Inserts lines after a line, with its indentation.
    pub fn insert_after(&mut self, number: usize, new: &[String]) {
        let at = number.min(self.0.len());
        let before = at.checked_sub(1).and_then(|i| self.0.get_mut(i));
        let indent = before.map_or(String::new(), |line| {
            if !line.ends_with('\n') {
                line.push('\n');
            }
            line.chars().take_while(|c| *c == ' ' || *c == '\t').collect()
        });
        let line = |text: &String| if text.is_empty() { "\n".to_owned() } else { format!("{indent}{text}\n") };
        self.0.splice(at..at, new.iter().map(line));
    }

    pub fn remove(&mut self, number: usize) {
        if (1..=self.0.len()).contains(&number) {
            self.0.remove(number - 1);
        }
    }

    /// The line of the first header (`[…]`) after a line, or one more than there are lines.
    pub fn next_header(&self, number: usize) -> usize {
        (number + 1..=self.0.len()).find(|n| self.line(*n).starts_with('[')).unwrap_or(self.0.len() + 1)
    }

    /// The line of the key `"version"` in the table that begins at a line.
    pub fn row_of(&self, table: usize, version: &str) -> Option<usize> {
        let key = format!("\"{version}\"");
        (table + 1..self.next_header(table)).find(|n| self.line(*n).starts_with(&key))
    }

    /// The last key, or the header, of the table that begins at a line: comments before the next header belong to that one.
    pub fn last_key(&self, table: usize) -> usize {
        let is_key = |n: &usize| !self.line(*n).is_empty() && !self.line(*n).starts_with('#');
        (table..self.next_header(table)).rev().find(is_key).unwrap_or(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_value_is_replaced() {
        let mut lines = Lines::of("a = 1\n  version = \"1.2.3\"   # \"1.2.3\" was good\nb = '1.2.3'");
        assert!(lines.replace_quoted(2, "1.2.3", "2.0.0") && lines.replace_quoted(3, "1.2.3", "2.0.0"));
        assert_eq!(lines.text(), "a = 1\n  version = \"2.0.0\"   # \"1.2.3\" was good\nb = \"2.0.0\"");
        for (line, old) in [(1, "1.2.3"), (9, "1"), (0, "1")] {
            assert!(!lines.replace_quoted(line, old, "x"));
        }
    }

    #[test]
    fn keys_equal_to_the_value_are_not_replaced() {
        let mut lines = Lines::of("\"1.2.3\" = \"https://x/1.2.3\"\n\"a\" = \"a\"\n");
        assert!(!lines.replace_quoted(1, "1.2.3", "2.0.0") && lines.replace_quoted(2, "a", "b"));
        assert_eq!(lines.text(), "\"1.2.3\" = \"https://x/1.2.3\"\n\"a\" = \"b\"\n");
    }

    #[test]
    fn lines_are_inserted_and_removed() {
        let mut lines = Lines::of("[[chart]]\n  a = 1\n# of the next\n[[chart]]");
        assert_eq!((lines.next_header(1), lines.last_key(1), lines.next_header(4)), (4, 2, 5));
        lines.insert_after(2, &["b = 2".into()]);
        lines.insert_after(5, &["c = 3".into()]);
        lines.remove(1);
        assert_eq!(lines.text(), "  a = 1\n  b = 2\n# of the next\n[[chart]]\nc = 3\n");
    }
}
