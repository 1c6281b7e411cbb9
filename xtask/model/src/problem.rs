//! A thing the user can mend: what could not be done, where, why, and how to go on.
//! Knows nothing of how it is shown (`ui::problem` does that).

use std::fmt;

/// A place in a file that a person wrote.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// Path as the user would type it, relative to the repository.
    pub file: String,
    /// Line, counted from 1. `None` means the file as a whole.
    pub line: Option<usize>,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => write!(f, "{}", self.file),
        }
    }
}

/// One problem, in the anatomy of every message: `error: what`, `--> at`, `why:`, `hint:`.
///
/// `what` is a lowercase phrase without a full stop, the value last, names in backticks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// What could not be done.
    pub what: String,
    /// Where it is written.
    pub at: Option<At>,
    /// The reason, in one sentence; names the ADR that decided it where there is one.
    pub why: Option<String>,
    /// One mend that can be pasted.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem that so far only says what could not be done.
    pub fn new(what: impl Into<String>) -> Self {
        Problem { what: what.into(), at: None, why: None, hint: None }
    }

    /// Says where it is written.
    #[must_use]
    pub fn at(mut self, file: impl Into<String>, line: Option<usize>) -> Self {
        self.at = Some(At { file: file.into(), line });
        self
    }

    /// Says why.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// Says how to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The name a person most likely meant, if one is near enough: at most a third of its letters differ.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().map(|name| (distance(given, name), name)).min()?;
    (near.0 <= near.1.chars().count().max(3) / 3).then_some(near.1)
}

/// Letters to insert, remove or replace to make one word of the other (Levenshtein), row by row.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let known = ["memory", "cpus", "disk"];
        assert_eq!(nearest("memroy", known), Some("memory"));
        assert_eq!(nearest("cpu", known), Some("cpus"));
        assert_eq!(nearest("network", known), None);
    }
}
