//! Diagnostics: what could not be done, where, why, and one fix. `ui::problem` renders them.

use std::fmt;

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

/// One problem, printed as `error: what`, `--> at`, `why:`, `hint:`.
///
/// `what` is a lowercase phrase without a full stop, the value last, names in backticks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub what: String,
    pub at: Option<At>,
    /// The reason, in one sentence, with its ADR where there is one.
    pub why: Option<String>,
    pub hint: Option<String>,
}

impl Problem {
    pub fn new(what: impl Into<String>) -> Self {
        Problem { what: what.into(), at: None, why: None, hint: None }
    }

    #[must_use]
    pub fn at(mut self, file: impl Into<String>, line: Option<usize>) -> Self {
        self.at = Some(At { file: file.into(), line });
        self
    }

    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The known word that a misspelt one most likely stands for: at most a third of its letters differ. Case and `-`/`_` are
/// ignored.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if given.len() > 64 {
        return None;
    }
    let normalise = |s: &str| s.to_lowercase().replace('-', "_");
    let given = normalise(given);
    let distance = |name: &str| strsim::osa_distance(&given, &normalise(name));
    let (best, distance) = known.into_iter().map(|name| (name, distance(name))).min_by_key(|(_, d)| *d)?;
    (distance <= (given.chars().count().max(best.chars().count()) / 3).max(1)).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn typos_are_recognised_and_other_words_are_not() {
        let known = ["memory", "cpus", "disk", "name", "pod_cidr", "service_cidr"];
        for (given, expected) in [
            ("memroy", Some("memory")),
            ("cpu", Some("cpus")),
            ("podcidr", Some("pod_cidr")),
            ("Pod-CIDR", Some("pod_cidr")),
            ("nmae", Some("name")),
            ("network", None),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, known), expected, "{given}");
        }
    }
}
