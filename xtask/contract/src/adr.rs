//! The records of decisions in `adr/`: how one is written, and what is wrong with those that are there.
//!
//! A record is `adr/0007-short-name.md`: front matter (`status`, `date`, `checks`), `# 0007: Title`, and the sections
//! Context, Decision and Consequences, in this order and none of them empty.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use model::problem::Problem;

/// What each record has, in this order.
const SECTIONS: [&str; 3] = ["Context", "Decision", "Consequences"];
/// What a record's status may be; a superseded one names its successor: `superseded by 0012`.
const STATES: [&str; 4] = ["proposed", "accepted", "rejected", "superseded by "];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// From 1. A gap is the number of a record that another one lists in `replaces`.
    pub number: u32,
    pub title: String,
    /// `proposed`, `accepted`, `rejected`, `superseded by NNNN`.
    pub status: String,
    /// `2026-11-22`.
    pub date: String,
    /// Checks of the contract that guard it: `C1`.
    pub checks: Vec<String>,
    pub file: String,
}

/// Every record, by number, if nothing is wrong. `texts` are the Markdown files of `adr/` by path, `exists` says
/// whether a path of the repository leads to something.
///
/// # Errors
/// Everything that is wrong, each with its line.
pub fn check(texts: &BTreeMap<String, String>, exists: &dyn Fn(&str) -> bool) -> Result<Vec<Record>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut records = Vec::new();
    for (file, text) in texts {
        records.extend(read(file, text, &mut problems));
        links(file, text, exists, &mut problems);
    }
    records.sort_by_key(|r| r.number);
    numbering(&records, &replaced(texts), &mut problems);
    successors(&records, &mut problems);
    if problems.is_empty() { Ok(records) } else { Err(problems) }
}

/// A new record, to be filled in: its path and its text.
///
/// # Errors
/// The title gives no file name.
pub fn draft(number: u32, title: &str, date: &str) -> Result<(String, String), Problem> {
    let words: Vec<String> =
        title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    let name = words.join("-");
    if name.is_empty() {
        return Err(Problem::new(format!("the title gives no file name: `{title}`"))
            .hint("cargo xtask adr new \"Short title\""));
    }
    let text = format!(
        "---\nstatus: proposed\ndate: {date}\nchecks: []\n---\n# {number:04}: {}\n\n## Context\nWhat forces a \
         decision, with figures and links.\n\n## Decision\nWhat is done from now on, in one sentence first.\n\n## \
         Consequences\n* What gets easier, what gets harder, and what would overturn this.\n",
        title.trim()
    );
    Ok((format!("adr/{number:04}-{name}.md"), text))
}

pub fn next(texts: &BTreeMap<String, String>) -> u32 {
    texts.keys().filter_map(|file| number_of(file)).max().unwrap_or(0) + 1
}

/// The number in `adr/0007-short-name.md`.
fn number_of(file: &str) -> Option<u32> {
    let (number, name) = Utf8Path::new(file).file_stem()?.split_once('-')?;
    let plain = |c: char| c.is_alphanumeric() || c == '-';
    (number.len() == 4 && !name.is_empty() && name.chars().all(plain)).then(|| number.parse().ok())?
}

fn read(file: &str, text: &str, problems: &mut Vec<Problem>) -> Option<Record> {
    let Some(number) = number_of(file) else {
        problems
            .push(Problem::new(format!("not a name for a record: `{file}`")).at(file, None).hint("0007-short-name.md"));
        return None;
    };
    let mut wrong = |line: usize, what: String| problems.push(Problem::new(what).at(file, Some(line)));
    let lines: Vec<&str> = text.lines().collect();
    let end = lines.iter().skip(1).position(|l| *l == "---").map(|i| i + 1);
    let Some(end) = end.filter(|_| lines[0] == "---") else {
        wrong(1, "front matter is missing: `---`, `status`, `date`, `checks`, `---`".to_owned());
        return None;
    };
    let mut field = |key: &str, valid: &dyn Fn(&str) -> bool, want: &str| {
        let found = lines[1..end].iter().position(|l| l.split_once(':').is_some_and(|(k, _)| k == key));
        let Some(at) = found else {
            wrong(1, format!("front matter lacks `{key}`: {want}"));
            return String::new();
        };
        let value = lines[at + 1].split_once(':').map_or("", |(_, v)| v).trim().to_owned();
        if !valid(&value) {
            wrong(at + 2, format!("`{key}` is not {want}: `{value}`"));
        }
        value
    };
    let status = field("status", &is_status, "proposed, accepted, rejected or `superseded by NNNN`");
    let date = field("date", &is_date, "a date as 2026-11-22");
    let checks = field("checks", &|v| checks(v).is_some(), "a list as [C1, C3]");
    let title = title(number, &lines, end, &mut wrong);
    sections(&lines, end, &mut wrong);
    Some(Record {
        number,
        title,
        status,
        date,
        checks: self::checks(&checks).unwrap_or_default(),
        file: file.to_owned(),
    })
}

fn is_status(value: &str) -> bool {
    let successor = value.strip_prefix(STATES[3]).is_some_and(|n| n.len() == 4 && n.parse::<u32>().is_ok());
    successor || STATES[..3].contains(&value)
}

fn is_date(value: &str) -> bool {
    let parts: Vec<&str> = value.split('-').collect();
    let number = |i: usize, digits: usize| parts.get(i).filter(|p| p.len() == digits)?.parse::<u32>().ok();
    let in_range = |n: Option<u32>, most: u32| n.is_some_and(|n| (1..=most).contains(&n));
    parts.len() == 3 && number(0, 4).is_some() && in_range(number(1, 2), 12) && in_range(number(2, 2), 31)
}

fn checks(value: &str) -> Option<Vec<String>> {
    let inner = value.strip_prefix('[')?.strip_suffix(']')?.trim();
    let names: Vec<String> = inner.split(',').map(|n| n.trim().to_owned()).filter(|_| !inner.is_empty()).collect();
    let is_check = |n: &String| n.strip_prefix('C').is_some_and(|d| d.parse::<u32>().is_ok());
    names.iter().all(is_check).then_some(names)
}

fn title(number: u32, lines: &[&str], end: usize, wrong: &mut dyn FnMut(usize, String)) -> String {
    let found = lines.iter().enumerate().skip(end + 1).find(|(_, l)| l.starts_with("# "));
    let Some((index, line)) = found else {
        wrong(end + 2, format!("the title is missing: `# {number:04}: …`"));
        return String::new();
    };
    match line.strip_prefix(&format!("# {number:04}: ")) {
        Some(title) => title.to_owned(),
        None => {
            wrong(index + 1, format!("the title does not begin with `# {number:04}: `: `{line}`"));
            String::new()
        }
    }
}

fn sections(lines: &[&str], end: usize, wrong: &mut dyn FnMut(usize, String)) {
    let heads: Vec<(usize, &str)> =
        lines.iter().enumerate().skip(end).filter_map(|(i, l)| Some((i, l.strip_prefix("## ")?.trim()))).collect();
    let mut after = 0;
    for section in SECTIONS {
        let Some(&(index, _)) = heads.iter().find(|(_, head)| *head == section) else {
            wrong(lines.len(), format!("section is missing: `## {section}`"));
            continue;
        };
        if index < after {
            wrong(index + 1, format!("sections stand in the order {}: `## {section}`", SECTIONS.join(", ")));
        }
        after = index;
        let body = lines[index + 1..].iter().take_while(|l| !l.starts_with("## ")).any(|l| !l.trim().is_empty());
        if !body {
            wrong(index + 1, format!("section is empty: `## {section}`"));
        }
    }
}

/// Links to files must lead somewhere; those into the web are not asked.
fn links(file: &str, text: &str, exists: &dyn Fn(&str) -> bool, problems: &mut Vec<Problem>) {
    for (index, line) in text.lines().enumerate() {
        for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
                continue;
            }
            let folder = Utf8Path::new(file).parent().unwrap_or(Utf8Path::new(""));
            if !inside(&folder.join(path)).is_some_and(|path| exists(path.as_str())) {
                problems.push(Problem::new(format!("link leads nowhere: `{target}`")).at(file, Some(index + 1)));
            }
        }
    }
}

/// A path without `..`; nothing if it leads out of the repository.
fn inside(path: &Utf8Path) -> Option<Utf8PathBuf> {
    let mut plain = Utf8PathBuf::new();
    for part in path.components() {
        match part {
            Utf8Component::Normal(name) => plain.push(name),
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir => plain.pop().then_some(())?,
            Utf8Component::RootDir | Utf8Component::Prefix(_) => return None,
        }
    }
    Some(plain)
}

/// Numbers of records that were merged into others: `replaces: [0012, 0021]` in their front matter.
fn replaced(texts: &BTreeMap<String, String>) -> BTreeSet<u32> {
    let lists = texts.values().flat_map(|text| text.lines()).filter_map(|line| line.strip_prefix("replaces: ["));
    lists.flat_map(|list| list.trim_end_matches(']').split(',').filter_map(|n| n.trim().parse().ok())).collect()
}

fn numbering(records: &[Record], replaced: &BTreeSet<u32>, problems: &mut Vec<Problem>) {
    let mut want = 1;
    for record in records {
        let number = record.number;
        if number < want {
            problems.push(Problem::new(format!("number is taken twice: {number:04}")).at(&record.file, None));
        } else if let Some(lost) = (want..number).find(|n| !replaced.contains(n)) {
            let what = format!("number is missing before {number:04}: {lost:04}");
            problems.push(Problem::new(what).at(&record.file, None));
        }
        want = number + 1;
    }
}

fn successors(records: &[Record], problems: &mut Vec<Problem>) {
    for record in records {
        let Some(by) = record.status.strip_prefix(STATES[3]) else { continue };
        let known = by.parse().is_ok_and(|by: u32| records.iter().any(|r| r.number == by && by != record.number));
        if !known {
            problems.push(
                Problem::new(format!("superseded by a record that is not there: {by}")).at(&record.file, Some(2)),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(files: &[(&str, &str)]) -> Vec<String> {
        let texts = files.iter().map(|(f, t)| (format!("adr/{f}"), (*t).to_owned())).collect();
        match check(&texts, &|path| path == "README.md") {
            Ok(_) => vec![],
            Err(problems) => {
                let at = |p: &Problem| p.at.as_ref().map(ToString::to_string).unwrap_or_default();
                problems.iter().map(|p| format!("{}: {}", at(p), p.what)).collect()
            }
        }
    }

    fn good(number: u32) -> String {
        draft(number, "A title, with 2 words", "2026-11-22").unwrap().1
    }

    #[test]
    fn a_draft_is_a_good_record() {
        let (file, text) = draft(1, "Ask the world, first!", "2026-11-22").unwrap();
        assert_eq!(file, "adr/0001-ask-the-world-first.md");
        let records = check(&BTreeMap::from([(file, text)]), &|_| false).unwrap();
        assert_eq!((records[0].title.as_str(), records[0].status.as_str()), ("Ask the world, first!", "proposed"));
        assert!(draft(1, "!?", "2026-11-22").is_err());
    }

    #[test]
    fn gaps_and_doubles_are_found() {
        let (one, three) = (good(1), good(3));
        let found = wrong(&[("0001-a.md", &one), ("0001-b.md", &one), ("0003-c.md", &three)]);
        assert_eq!(
            found,
            ["adr/0001-b.md: number is taken twice: 0001", "adr/0003-c.md: number is missing before 0003: 0002"]
        );
        let merged = one.replace("checks: []", "checks: []\nreplaces: [0002]");
        assert_eq!(wrong(&[("0001-a.md", &merged), ("0003-c.md", &three)]), [""; 0]);
        assert_eq!(next(&BTreeMap::from([("adr/0003-c.md".to_owned(), three)])), 4);
        assert!(wrong(&[("notes.md", &one)])[0].contains("not a name for a record"));
    }

    #[test]
    fn front_matter_title_and_sections_are_complete() {
        let text = good(1).replace("proposed", "maybe").replace("2026-11-22", "2026-13-01").replace("[]", "[X]");
        let found = wrong(&[("0001-a.md", &text)]);
        assert!(
            found[0].starts_with("adr/0001-a.md:2: `status` is not") && found[1].contains(":3: `date`"),
            "{found:?}"
        );
        assert!(found[2].contains(":4: `checks` is not a list as [C1, C3]: `[X]`"), "{found:?}");
        let text = good(1).replace("# 0001: ", "# ").replace("## Context", "## Why");
        let found = wrong(&[("0001-a.md", &text)]);
        assert!(
            found[0].contains(":6: the title does not begin") && found[1].contains("missing: `## Context`"),
            "{found:?}"
        );
        assert!(wrong(&[("0001-a.md", "# 0001: x\n")])[0].contains(":1: front matter is missing"));
        let text = good(1).replace("What is done from now on, in one sentence first.", "");
        assert!(wrong(&[("0001-a.md", &text)])[0].contains("section is empty: `## Decision`"));
    }

    #[test]
    fn links_into_the_repository_lead_somewhere() {
        let text = good(1) + "[a](../README.md#x) [b](https://x.org/y) [c](#d) [e](0009-no.md) [f](../../etc/passwd)\n";
        let found = wrong(&[("0001-a.md", &text)]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("`0009-no.md`") && found[1].contains("`../../etc/passwd`"));
    }

    #[test]
    fn a_successor_is_there() {
        let text = good(1).replace("proposed", "superseded by 0002");
        assert_eq!(wrong(&[("0001-a.md", &text), ("0002-b.md", &good(2))]), [""; 0]);
        assert!(wrong(&[("0001-a.md", &text)])[0].contains("not there: 0002"));
    }
}
