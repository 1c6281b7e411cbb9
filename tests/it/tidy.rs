//! Rules of the repository that the compiler cannot check: data files, snapshots, documents, dependencies.

mod crates;
mod data;
mod records;
mod snapshots;
mod tree;

use std::fmt;

/// A tracked file; the path is relative to the repository.
pub(crate) struct File {
    path: String,
    text: String,
}

impl File {
    fn new(path: &str, text: &str) -> Self {
        File { path: path.into(), text: text.into() }
    }

    /// Its lines, counted from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(i, line)| (i + 1, line))
    }

    fn ends(&self, endings: &[&str]) -> bool {
        endings.iter().any(|ending| self.path.ends_with(ending))
    }

    fn below(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }

    /// These rules name what they forbid, so words are not looked for in them.
    fn is_tidy_itself(&self) -> bool {
        self.below(&["tests/it/tidy"])
    }

    fn finding(&self, line: usize, rule: &'static str, what: impl Into<String>, fix: &'static str) -> Finding {
        Finding { path: self.path.clone(), line, rule, what: what.into(), fix }
    }
}

pub(crate) struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    what: String,
    fix: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}; {}", self.path, self.line, self.rule, self.what, self.fix)
    }
}

type Rule = fn(&[File]) -> Vec<Finding>;

const RULES: &[Rule] = &[
    snapshots::unfiltered,
    snapshots::accepted,
    data::placeholders,
    data::places,
    data::lock_sources,
    data::sources,
    records::adrs,
    records::mentions,
    records::cases,
    records::links,
    records::changelog,
    records::commands,
];

#[test]
fn repository_follows_its_rules() {
    let files = tree::files();
    let found: Vec<String> = RULES.iter().flat_map(|rule| rule(&files)).map(|f| f.to_string()).collect();
    assert!(found.is_empty(), "{} findings\n{}", found.len(), found.join("\n"));
}

#[test]
fn finding_names_place_rule_and_fix() {
    let finding = File::new("a.rs", "").finding(3, "width", "121 columns", "at most 120");
    assert_eq!(finding.to_string(), "a.rs:3: width: 121 columns; at most 120");
}

/// Asserts that a rule finds exactly these lines in a bad sample.
fn check(rule: Rule, files: &[(&str, &str)], want: &[&str]) {
    let files: Vec<File> = files.iter().map(|(path, text)| File::new(path, text)).collect();
    let got: Vec<String> =
        rule(&files).iter().map(|f| format!("{}:{} {}: {}", f.path, f.line, f.rule, f.what)).collect();
    assert_eq!(got, want);
}
