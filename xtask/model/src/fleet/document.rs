//! Reads a TOML document: every value with its line, every mistake reported instead of only the first.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::{Problem, nearest};

/// Problems found while reading, and the line of each key by its path.
pub(crate) struct Diagnostics {
    file: String,
    starts: Vec<usize>,
    syntax: bool,
    pub(crate) problems: Vec<Problem>,
    pub(crate) lines: BTreeMap<String, usize>,
}

/// Maximum number of tables in one array (Cilium's maximum of clusters). Rules compare them pairwise, which takes minutes
/// for thousands.
pub(crate) const MAX_TABLES: usize = 255;

const MAX_ITEMS: usize = 5;

/// How a value is described in messages, and how it is parsed.
pub(crate) struct FieldType<T> {
    pub(crate) expected: &'static str,
    /// As written in TOML; empty where no single example fits.
    pub(crate) example: &'static str,
    pub(crate) read: fn(&DeValue<'_>) -> Option<T>,
}

#[derive(Debug, Clone)]
pub(crate) struct Field<T> {
    /// `None` if it is missing or could not be read; the latter is already noted.
    pub(crate) value: Option<T>,
    /// Its line, or that of its table while it is missing.
    pub(crate) line: Option<usize>,
    pub(crate) written: bool,
}

impl<T> Field<T> {
    /// The default where the key is absent.
    pub(crate) fn or(mut self, default: T) -> Self {
        if !self.written {
            self.value = Some(default);
        }
        self
    }
}

pub(crate) struct Table<'a> {
    /// As messages call it: "cluster `app1`".
    pub(crate) title: String,
    /// Where its keys stand in [`Diagnostics::lines`]: `app1`.
    pub(crate) path: String,
    /// Where it begins; `None` if it is not in the file.
    pub(crate) line: Option<usize>,
    entries: Option<&'a DeTable<'a>>,
    typos: Vec<&'static str>,
    /// Reported already (for example misspelt), so that its keys are not reported missing, too.
    reported: bool,
}

/// Parses TOML, recovering after syntax errors.
pub(crate) fn parse<'t>(file: &str, text: &'t str) -> (DeTable<'t>, Diagnostics) {
    let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect();
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut diagnostics = Diagnostics {
        file: file.to_owned(),
        starts,
        syntax: !errors.is_empty(),
        problems: Vec::new(),
        lines: BTreeMap::new(),
    };
    for error in errors {
        let line = error.span().map(|s| diagnostics.line(s.start));
        let unquoted = line.filter(|_| error.message().contains("quoted"));
        let hint = unquoted.and_then(|l| quoted(text[diagnostics.starts[l - 1]..].lines().next()?));
        let problem = Problem { hint, ..Problem::new(format!("not valid TOML: {}", error.message())) };
        diagnostics.add(problem, line);
    }
    (table.into_inner(), diagnostics)
}

/// The line with its value quoted, if the missing quotes are the error.
fn quoted(line: &str) -> Option<String> {
    let (key, value) = line.split_once('=')?;
    let value = value.split('#').next()?.trim();
    let bare = !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || "./-_:".contains(c));
    bare.then(|| format!("{} = \"{value}\"", key.trim()))
}

impl Diagnostics {
    /// Diagnostics a problem at a line of this file.
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

    /// Silent after a syntax error: the key may be on the unreadable line.
    fn missing(&mut self, table: &Table<'_>, key: &str, example: &str) {
        if !self.syntax {
            let problem = Problem::new(format!("`{key}` is missing in {}", table.title));
            self.add(problem.hint(format!("{key} = {example}")), table.line);
        }
    }
}

impl<'a> Table<'a> {
    pub(crate) fn root(diagnostics: &mut Diagnostics, entries: &'a DeTable<'a>, known: &[&'static str]) -> Self {
        let title = "the file".to_owned();
        Table { title, path: String::new(), line: None, entries: Some(entries), typos: Vec::new(), reported: false }
            .check(diagnostics, known)
    }

    /// A table found by [`Table::table`] or [`Table::tables`]; diagnostics every key that is not among `known`.
    pub(crate) fn open(
        diagnostics: &mut Diagnostics,
        value: &'a Spanned<DeValue<'a>>,
        (title, path): (String, String),
        known: &[&'static str],
    ) -> Self {
        let line = diagnostics.line(value.span().start);
        diagnostics.lines.insert(path.clone(), line);
        let entries = value.get_ref().as_table();
        Table { title, path, line: Some(line), entries, typos: Vec::new(), reported: false }.check(diagnostics, known)
    }

    /// A table that is not in the file, or is misspelt and reported already.
    pub(crate) fn absent(title: &str, path: &str, reported: bool) -> Self {
        let (title, path) = (title.to_owned(), path.to_owned());
        Table { title, path, line: None, entries: None, typos: Vec::new(), reported }
    }

    fn check(mut self, diagnostics: &mut Diagnostics, known: &[&'static str]) -> Self {
        for key in self.entries.into_iter().flat_map(|t| t.keys()) {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let meant = nearest(name, known.iter().copied());
            let hint = match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            let line = diagnostics.line(key.span().start);
            diagnostics.add(Problem::new(format!("unknown key `{name}` in {}", self.title)).hint(hint), Some(line));
            self.typos.extend(meant);
        }
        self
    }

    /// The text of a key before validation: for the title of a table that has a `name`.
    pub(crate) fn peek<'v>(value: &'v Spanned<DeValue<'_>>, key: &str) -> Option<&'v str> {
        value.get_ref().as_table()?.get(key)?.get_ref().as_str()
    }

    pub(crate) fn optional<T>(&self, diagnostics: &mut Diagnostics, key: &str, kind: &FieldType<T>) -> Field<T> {
        let Some(found) = self.entries.and_then(|t| t.get(key)) else {
            return Field { value: None, line: self.line, written: self.reported || self.typos.contains(&key) };
        };
        let line = diagnostics.line(found.span().start);
        diagnostics.lines.insert(self.key_path(key), line);
        let line = Some(line);
        let value = (kind.read)(found.get_ref());
        if value.is_none() {
            let what = format!("`{key}` of {} is not {}: {}", self.title, kind.expected, shown(found.get_ref()));
            let reads = |text: &String| (kind.read)(&DeValue::String(text.as_str().into())).is_some();
            let meant = meant(found.get_ref()).into_iter().find(reads).map(|text| format!("\"{text}\""));
            let example = meant.unwrap_or_else(|| kind.example.to_owned());
            let hint = (!example.is_empty()).then(|| format!("{key} = {example}"));
            diagnostics.add(Problem { hint, ..Problem::new(what) }, line);
        }
        Field { value, line, written: true }
    }

    pub(crate) fn required<T>(&self, diagnostics: &mut Diagnostics, key: &str, kind: &FieldType<T>) -> Field<T> {
        let field = self.optional(diagnostics, key, kind);
        if !field.written {
            diagnostics.missing(self, key, kind.example);
        }
        field
    }

    /// Whether a key is present, possibly misspelt.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.typos.contains(&key) || self.entries.is_some_and(|t| t.contains_key(key))
    }

    /// A table below this one, `[key]`.
    pub(crate) fn table(&self, diagnostics: &mut Diagnostics, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        let found = self.entries?.get(key)?;
        if found.get_ref().is_table() {
            return Some(found);
        }
        self.not_a_table(diagnostics, found, &format!("[{}]", self.key_path(key)));
        None
    }

    /// The tables of an array below this one, `[[key]]`.
    pub(crate) fn tables(
        &self,
        diagnostics: &mut Diagnostics,
        key: &str,
        header: &str,
    ) -> Vec<&'a Spanned<DeValue<'a>>> {
        let Some(found) = self.entries.and_then(|t| t.get(key)) else { return Vec::new() };
        let Some(items) = found.get_ref().as_array() else {
            self.not_a_table(diagnostics, found, header);
            return Vec::new();
        };
        if let Some(first) = items.get(MAX_TABLES) {
            let line = diagnostics.line(first.span().start);
            let what = format!("{} has too many {header}: {}", self.title, items.len());
            diagnostics.add(
                Problem::new(what).why(format!("the maximum is {MAX_TABLES}; the rest is not checked")),
                Some(line),
            );
        }
        let (tables, others): (Vec<_>, Vec<_>) = items.iter().take(MAX_TABLES).partition(|v| v.get_ref().is_table());
        others.into_iter().for_each(|v| self.not_a_table(diagnostics, v, header));
        tables
    }

    fn not_a_table(&self, diagnostics: &mut Diagnostics, value: &Spanned<DeValue<'_>>, header: &str) {
        let line = diagnostics.line(value.span().start);
        let what = format!("{} expects {header}, not {}", self.title, shown(value.get_ref()));
        diagnostics.add(Problem::new(what).hint(header), Some(line));
    }

    fn key_path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// What a size or a range may have been meant to be: `4 gb` is `4G`, `4096` is `4096M`, `10.1.2/16` is `10.1.2.0/16`.
fn meant(value: &DeValue<'_>) -> Vec<String> {
    let text = match value {
        DeValue::String(text) => text.replace(' ', "").to_uppercase(),
        DeValue::Integer(number) => number.to_string(),
        _ => return vec![],
    };
    let size = text.trim_end_matches('B').trim_end_matches('I').to_owned();
    let unit = if size.len() > 3 { "M" } else { "G" };
    let (address, mask) = text.split_once('/').unwrap_or((&text, ""));
    let mask = if mask.parse::<u8>().is_ok_and(|mask| mask <= 32) { mask } else { "16" };
    vec![format!("{size}{unit}"), size, format!("{address}/{mask}"), format!("{address}.0/{mask}")]
}

/// A value as messages print it: as written, or its type where that may be long.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(yes) => yes.to_string(),
        DeValue::Array(items) if items.len() <= MAX_ITEMS => {
            format!("[{}]", items.iter().map(|item| shown(item.get_ref())).collect::<Vec<_>>().join(", "))
        }
        other => format!("a TOML {}", other.type_str()),
    }
}
