//! From a configuration line to its decision: its comment, the rules that read it, the ADRs that name it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Clause, Read};
use model::problem::At;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub at: At,
    pub line: String,
    pub comment: String,
    pub guards: BTreeSet<(Clause, String)>,
    /// ADRs: those of the clauses, those that the comment names, those that name the key.
    pub records: BTreeSet<String>,
}

/// Explains `file:line`, a file (its guarded lines), or a key (wherever it is set).
pub fn find(
    query: &str,
    data: &BTreeMap<String, String>,
    adrs: &BTreeMap<String, String>,
    reads: &[Read],
) -> Vec<Explanation> {
    let places = places(query, data, reads);
    places.into_iter().filter_map(|(file, line)| explain(&file, line, data, adrs, reads)).collect()
}

fn places(query: &str, data: &BTreeMap<String, String>, reads: &[Read]) -> BTreeSet<(String, usize)> {
    if let Some((file, line)) = query.rsplit_once(':').and_then(|(f, l)| Some((f, l.parse().ok()?))) {
        return BTreeSet::from([(file.to_owned(), line)]);
    }
    let lines = |of: &dyn Fn(&Read) -> bool| -> BTreeSet<(String, usize)> {
        let hits = reads.iter().filter(|r| of(r)).filter_map(|r| Some((r.at.file.clone(), r.at.line?)));
        hits.collect()
    };
    if data.contains_key(query) {
        return lines(&|r| r.at.file == query);
    }
    let suffix = format!(".{query}");
    let mut found = lines(&|r| r.path == query || r.path.ends_with(&suffix));
    let within = |path: &str| path.starts_with(&format!("{query}.")) || path.contains(&format!(".{query}."));
    let below = lines(&|r| within(&r.path));
    for (file, text) in data {
        let set = |line: &str| sets(line, query);
        found.extend(text.lines().enumerate().filter(|(_, l)| set(l)).map(|(i, _)| (file.clone(), i + 1)));
    }
    // A rule may have looked for a key where it is not set: then its line is the table above.
    found.retain(|(file, line)| {
        let key = query.rsplit('.').next().unwrap_or(query);
        data.get(file).and_then(|t| t.lines().nth(line - 1)).is_some_and(|l| l.contains(key))
    });
    found.extend(below);
    found
}

/// Whether a line sets a key: `key: …`, `key = …`, `- --key=…`.
fn sets(line: &str, key: &str) -> bool {
    let (line, wanted) = (line.trim_start(), key.trim_start_matches("--"));
    let set = self::key(line);
    !line.starts_with('#') && (set == wanted || set.strip_suffix(wanted).is_some_and(|rest| rest.ends_with('.')))
}

fn explain(
    file: &str,
    number: usize,
    data: &BTreeMap<String, String>,
    adrs: &BTreeMap<String, String>,
    reads: &[Read],
) -> Option<Explanation> {
    let lines: Vec<&str> = data.get(file)?.lines().collect();
    let line = lines.get(number.checked_sub(1)?)?.trim().to_owned();
    let comment = comment(&lines, number - 1);
    let here = |r: &&Read| r.at.file == file && r.at.line == Some(number);
    let guards: BTreeSet<(Clause, String)> = reads.iter().filter(here).map(|r| (r.clause, r.rule.clone())).collect();
    let mut records: BTreeSet<String> = guards.iter().map(|(clause, _)| clause.adr().to_owned()).collect();
    let key = key(&line);
    for (path, text) in adrs {
        let digits = path.get(4..8).unwrap_or_default();
        let named = comment.contains(&format!("ADR-{digits}")) || comment.contains(&format!("adr/{digits}"));
        let names_it = key.len() > 3 && (text.contains(&format!("`{key}")) || text.contains(&format!("{key}`")));
        if named || names_it {
            records.insert(path.clone());
        }
    }
    Some(Explanation { at: At { file: file.to_owned(), line: Some(number) }, line, comment, guards, records })
}

/// The comment block right above a line, and what stands behind the line itself.
fn comment(lines: &[&str], index: usize) -> String {
    let above = lines[..index].iter().rev().map(|l| l.trim()).take_while(|l| l.starts_with('#'));
    let mut words: Vec<String> = above.map(|l| l.trim_start_matches('#').trim().to_owned()).collect();
    words.reverse();
    let behind = lines[index].split_once(" # ").map(|(_, behind)| behind.trim().to_owned());
    words.extend(behind);
    words.join(" ").trim().to_owned()
}

/// The key that a line sets, without list marks and dashes.
fn key(line: &str) -> &str {
    let line = line.trim_start_matches("- ").trim_start_matches("--").trim_start_matches('"');
    line.split([':', '=', '"']).next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(file: &str, text: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(file.to_owned(), text.to_owned())])
    }

    #[test]
    fn a_line_leads_to_its_comment_its_guards_and_its_records() {
        let data =
            texts("charts/x/values.yaml", "# Said in ADR-0005.\n# Two lines.\nrouting: tunnel\nother: 1 # why\n");
        let mut adrs = texts("adr/0005-cilium-vxlan.md", "x");
        adrs.insert("adr/0009-simulator.md".into(), "about `other: 1`".into());
        let at = At { file: "charts/x/values.yaml".into(), line: Some(3) };
        let read = Read { at, path: "routing".into(), clause: Clause::named("C5").unwrap(), rule: "c5.tunnel".into() };
        for query in ["routing", "charts/x/values.yaml:3", "charts/x/values.yaml"] {
            let answers = find(query, &data, &adrs, std::slice::from_ref(&read));
            assert_eq!(answers.len(), 1, "{query}");
            assert_eq!(answers[0].comment, "Said in ADR-0005. Two lines.");
            assert_eq!(answers[0].guards.len(), 1);
            assert_eq!(answers[0].records.iter().collect::<Vec<_>>(), ["adr/0005-cilium-vxlan.md"]);
        }
        let other = &find("other", &data, &adrs, &[])[0];
        assert_eq!((other.comment.as_str(), other.records.len()), ("why", 1));
        assert!(
            find("nothing", &data, &adrs, &[]).is_empty()
                && find("charts/x/values.yaml:99", &data, &adrs, &[]).is_empty()
        );
    }
}
