//! Edits of a TOML text by line, so that comments, order and layout stay as a person made them.
//! Knows nothing of what the keys mean; whoever edits reads the result back and compares.

/// A text as lines that keep their line breaks.
#[derive(Debug, Clone)]
pub struct Lines(Vec<String>);

impl Lines {
    /// Cuts a text into lines.
    pub fn of(text: &str) -> Self {
        Lines(text.split_inclusive('\n').map(str::to_owned).collect())
    }

    /// The whole text again.
    pub fn text(&self) -> String {
        self.0.concat()
    }

    /// A line, counted from 1, without its line break and the space around it. Empty where there is none.
    pub fn line(&self, number: usize) -> &str {
        number.checked_sub(1).and_then(|i| self.0.get(i)).map_or("", |line| line.trim())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Puts another text between the quotes of a value: `version = "1.2.3" # why` keeps all but the `1.2.3`.
    /// False if the line does not hold the old text in quotes.
    pub fn quoted(&mut self, number: usize, old: &str, new: &str) -> bool {
        let Some(line) = number.checked_sub(1).and_then(|i| self.0.get_mut(i)) else { return false };
        let from = line.find('=').map_or(0, |i| i + 1);
        for quote in ['"', '\''] {
            let written = format!("{quote}{old}{quote}");
            if let Some(at) = line[from..].find(&written) {
                line.replace_range(from + at..from + at + written.len(), &format!("\"{new}\""));
                return true;
            }
        }
        false
    }

    /// Puts lines behind a line, indented as it is.
    pub fn insert_after(&mut self, number: usize, fresh: &[String]) {
        let at = number.min(self.0.len());
        let before = at.checked_sub(1).and_then(|i| self.0.get_mut(i));
        let indent = before.map_or(String::new(), |line| {
            if !line.ends_with('\n') {
                line.push('\n');
            }
            line.chars().take_while(|c| *c == ' ' || *c == '\t').collect()
        });
        let line = |text: &String| if text.is_empty() { "\n".to_owned() } else { format!("{indent}{text}\n") };
        self.0.splice(at..at, fresh.iter().map(line));
    }

    /// Takes a line away.
    pub fn remove(&mut self, number: usize) {
        if (1..=self.0.len()).contains(&number) {
            self.0.remove(number - 1);
        }
    }

    /// The number of the first header (`[…]`) behind a line, or one more than there are lines.
    pub fn next_header(&self, number: usize) -> usize {
        (number + 1..=self.0.len()).find(|n| self.line(*n).starts_with('[')).unwrap_or(self.0.len() + 1)
    }

    /// The last line from `first` up to, and without, `end` that holds a key or a header: comments before the next
    /// header belong to that one.
    pub fn last_key(&self, first: usize, end: usize) -> usize {
        let says = |n: &usize| !self.line(*n).is_empty() && !self.line(*n).starts_with('#');
        (first..end).rev().find(says).unwrap_or(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_changes_and_nothing_around_it() {
        let mut lines = Lines::of("a = 1\n  version = \"1.2.3\"   # \"1.2.3\" was good\nb = '1.2.3'");
        assert!(lines.quoted(2, "1.2.3", "2.0.0") && lines.quoted(3, "1.2.3", "2.0.0"));
        assert_eq!(lines.text(), "a = 1\n  version = \"2.0.0\"   # \"1.2.3\" was good\nb = \"2.0.0\"");
        assert!(!lines.quoted(1, "1.2.3", "x") && !lines.quoted(9, "1", "x") && !lines.quoted(0, "1", "x"));
    }

    #[test]
    fn a_key_that_looks_like_the_value_stays() {
        let mut lines = Lines::of("\"1.2.3\" = \"https://x/1.2.3\"\n\"a\" = \"a\"\n");
        assert!(!lines.quoted(1, "1.2.3", "2.0.0") && lines.quoted(2, "a", "b"));
        assert_eq!(lines.text(), "\"1.2.3\" = \"https://x/1.2.3\"\n\"a\" = \"b\"\n");
    }

    #[test]
    fn lines_come_and_go() {
        let mut lines = Lines::of("[[chart]]\n  a = 1\n# of the next\n[[chart]]");
        assert_eq!((lines.next_header(1), lines.last_key(1, 4), lines.next_header(4)), (4, 2, 5));
        lines.insert_after(2, &["b = 2".into()]);
        lines.insert_after(5, &["c = 3".into()]);
        lines.remove(1);
        assert_eq!(lines.text(), "  a = 1\n  b = 2\n# of the next\n[[chart]]\nc = 3\n");
    }
}
