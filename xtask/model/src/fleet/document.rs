//! A TOML file read with patience: each value with its line, and every mistake noted instead of the first one.
//! Knows nothing of what the keys mean.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::nearest;
use crate::problem::Problem;

/// What was noted while reading: problems, and the line of each key by its path.
pub(crate) struct Notes {
    file: String,
    starts: Vec<usize>,
    syntax: bool,
    pub(crate) problems: Vec<Problem>,
    pub(crate) lines: BTreeMap<String, usize>,
}

/// Tables of one kind that are looked at: Cilium knows so many clusters, and no list of releases is as long. Rules
/// compare each with each, which takes minutes for thousands.
pub(crate) const MOST: usize = 255;

/// Items of a list that a message shows.
const FEW: usize = 5;

/// A kind of value: how it is called, how one looks, how it is read.
pub(crate) struct Kind<T> {
    pub(crate) want: &'static str,
    /// As it would be written; empty where no example is right for every file.
    pub(crate) example: &'static str,
    pub(crate) read: fn(&DeValue<'_>) -> Option<T>,
}

/// A value as it was written, or that it was not.
#[derive(Debug, Clone)]
pub(crate) struct Field<T> {
    /// `None` if it is missing or could not be read; the latter is already noted.
    pub(crate) value: Option<T>,
    /// Its line, or that of its table while it is missing.
    pub(crate) line: Option<usize>,
    /// Whether something stands there, readable or not.
    pub(crate) written: bool,
}

impl<T> Field<T> {
    /// The value that holds where nothing is written.
    pub(crate) fn or(mut self, default: T) -> Self {
        if !self.written {
            self.value = Some(default);
        }
        self
    }
}

/// One table of the file.
pub(crate) struct Table<'a> {
    /// As messages call it: "cluster `app1`".
    pub(crate) title: String,
    /// Where its keys stand in [`Notes::lines`]: `app1`.
    pub(crate) path: String,
    /// Where it begins; `None` if it is not in the file.
    pub(crate) line: Option<usize>,
    entries: Option<&'a DeTable<'a>>,
    typos: Vec<&'static str>,
    /// Something stands in its place that has a problem already, so that nothing in it is called missing.
    noted: bool,
}

/// Reads a text as TOML. What follows a syntax error is read as far as it can be.
pub(crate) fn parse<'t>(file: &str, text: &'t str) -> (DeTable<'t>, Notes) {
    let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect();
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut notes = Notes {
        file: file.to_owned(),
        starts,
        syntax: !errors.is_empty(),
        problems: Vec::new(),
        lines: BTreeMap::new(),
    };
    for error in errors {
        let line = error.span().map(|s| notes.line(s.start));
        let unquoted = line.filter(|_| error.message().contains("quoted"));
        let hint = unquoted.and_then(|l| quoted(text[notes.starts[l - 1]..].lines().next()?));
        let problem = Problem { hint, ..Problem::new(format!("not valid TOML: {}", error.message())) };
        notes.add(problem, line);
    }
    (table.into_inner(), notes)
}

/// The line with its value in quotes, if that is what it lacks.
fn quoted(line: &str) -> Option<String> {
    let (key, value) = line.split_once('=')?;
    let value = value.split('#').next()?.trim();
    let bare = !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || "./-_:".contains(c));
    bare.then(|| format!("{} = \"{value}\"", key.trim()))
}

impl Notes {
    /// Notes a problem at a line of this file.
    pub(crate) fn add(&mut self, problem: Problem, line: Option<usize>) {
        self.problems.push(problem.at(self.file.clone(), line));
    }

    /// All problems, in the order of the file.
    pub(crate) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|p| p.at.as_ref().and_then(|at| at.line));
        self.problems
    }

    fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|&start| start <= offset)
    }

    /// After a syntax error a key may be missing only because its line could not be read.
    fn missing(&mut self, table: &Table<'_>, key: &str, example: &str) {
        if !self.syntax {
            let problem = Problem::new(format!("`{key}` is missing in {}", table.title));
            self.add(problem.hint(format!("{key} = {example}")), table.line);
        }
    }
}

impl<'a> Table<'a> {
    /// The whole file.
    pub(crate) fn root(notes: &mut Notes, entries: &'a DeTable<'a>, known: &[&'static str]) -> Self {
        let title = "the file".to_owned();
        Table { title, path: String::new(), line: None, entries: Some(entries), typos: Vec::new(), noted: false }
            .check(notes, known)
    }

    /// A table found by [`Table::table`] or [`Table::tables`]; notes every key that is not among `known`.
    pub(crate) fn open(
        notes: &mut Notes,
        value: &'a Spanned<DeValue<'a>>,
        (title, path): (String, String),
        known: &[&'static str],
    ) -> Self {
        let line = notes.line(value.span().start);
        notes.lines.insert(path.clone(), line);
        let entries = value.get_ref().as_table();
        Table { title, path, line: Some(line), entries, typos: Vec::new(), noted: false }.check(notes, known)
    }

    /// A table that is not in the file, or stands there misspelt and is noted already.
    pub(crate) fn absent(title: &str, path: &str, noted: bool) -> Self {
        let (title, path) = (title.to_owned(), path.to_owned());
        Table { title, path, line: None, entries: None, typos: Vec::new(), noted }
    }

    fn check(mut self, notes: &mut Notes, known: &[&'static str]) -> Self {
        for key in self.entries.into_iter().flat_map(|t| t.keys()) {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let meant = nearest(name, known);
            let hint = match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            let line = notes.line(key.span().start);
            notes.add(Problem::new(format!("unknown key `{name}` in {}", self.title)).hint(hint), Some(line));
            self.typos.extend(meant);
        }
        self
    }

    /// The text of a key, before anything is checked: for the title of a table that carries its own name.
    pub(crate) fn peek<'v>(value: &'v Spanned<DeValue<'_>>, key: &str) -> Option<&'v str> {
        value.get_ref().as_table()?.get(key)?.get_ref().as_str()
    }

    /// A value that may be left out.
    pub(crate) fn may<T>(&self, notes: &mut Notes, key: &str, kind: &Kind<T>) -> Field<T> {
        let Some(found) = self.entries.and_then(|t| t.get(key)) else {
            return Field { value: None, line: self.line, written: self.noted || self.typos.contains(&key) };
        };
        let line = notes.line(found.span().start);
        notes.lines.insert(self.key_path(key), line);
        let line = Some(line);
        let value = (kind.read)(found.get_ref());
        if value.is_none() {
            let what = format!("`{key}` of {} is not {}: {}", self.title, kind.want, shown(found.get_ref()));
            let hint = (!kind.example.is_empty()).then(|| format!("{key} = {}", kind.example));
            notes.add(Problem { hint, ..Problem::new(what) }, line);
        }
        Field { value, line, written: true }
    }

    /// A value that must be there.
    pub(crate) fn must<T>(&self, notes: &mut Notes, key: &str, kind: &Kind<T>) -> Field<T> {
        let field = self.may(notes, key, kind);
        if !field.written {
            notes.missing(self, key, kind.example);
        }
        field
    }

    /// Whether a key was meant, rightly spelt or not.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.typos.contains(&key) || self.entries.is_some_and(|t| t.contains_key(key))
    }

    /// A table below this one, `[key]`.
    pub(crate) fn table(&self, notes: &mut Notes, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        let found = self.entries?.get(key)?;
        if found.get_ref().is_table() {
            return Some(found);
        }
        self.not_a_table(notes, found, &format!("[{}]", self.key_path(key)));
        None
    }

    /// The tables of an array below this one, `[[key]]`.
    pub(crate) fn tables(&self, notes: &mut Notes, key: &str, header: &str) -> Vec<&'a Spanned<DeValue<'a>>> {
        let Some(found) = self.entries.and_then(|t| t.get(key)) else { return Vec::new() };
        let Some(items) = found.get_ref().as_array() else {
            self.not_a_table(notes, found, header);
            return Vec::new();
        };
        if let Some(first) = items.get(MOST) {
            let line = notes.line(first.span().start);
            let what = format!("{} has too many {header}: {}", self.title, items.len());
            notes.add(Problem::new(what).why(format!("the most is {MOST}, and the rest is not looked at")), Some(line));
        }
        let (tables, others): (Vec<_>, Vec<_>) = items.iter().take(MOST).partition(|v| v.get_ref().is_table());
        others.into_iter().for_each(|v| self.not_a_table(notes, v, header));
        tables
    }

    fn not_a_table(&self, notes: &mut Notes, value: &Spanned<DeValue<'_>>, header: &str) {
        let line = notes.line(value.span().start);
        let what = format!("not the {header} that {} wants: {}", self.title, shown(value.get_ref()));
        notes.add(Problem::new(what).hint(header), Some(line));
    }

    fn key_path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// A value as a message shows it: what was written, or its type where that may be long.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(yes) => yes.to_string(),
        DeValue::Array(items) if items.len() <= FEW => {
            format!("[{}]", items.iter().map(|item| shown(item.get_ref())).collect::<Vec<_>>().join(", "))
        }
        other => format!("a TOML {}", other.type_str()),
    }
}
