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
