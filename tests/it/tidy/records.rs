//! What is written for people holds: ADRs are whole and paired with checks, links lead somewhere, and README and
//! CHANGELOG know the commands and the version. Knows nothing of what a decision says.

use std::collections::BTreeMap;

use clap::CommandFactory;
use model::problem::{At, Problem};
use xtask::cli::Cli;

use super::{File, Finding};

const CHECKS: &[&str] = &["C1", "C2", "C3", "C4", "C5"];
/// These show how a record is named, and name none.
const EXAMPLES: &[&str] = &["xtask/src/adr", "xtask/src/cmd/adr"];

fn is_adr(file: &&File) -> bool {
    file.below(&["adr/"]) && file.ends(&[".md"])
}

/// What `cargo xtask adr check` says: numbers, front matter, title, sections, links.
pub(super) fn adrs(files: &[File]) -> Vec<Finding> {
    let texts = files.iter().filter(is_adr).map(|f| (f.path.clone(), f.text.clone())).collect();
    let Err(problems) = contract::adr::check(&texts, &|path| leads_somewhere(files, path)) else { return vec![] };
    let finding = |problem: Problem| {
        let at = problem.at.unwrap_or(At { file: "adr".into(), line: None });
        File::new(&at.file, "").finding(at.line.unwrap_or(1), "adr", problem.what, "cargo xtask adr check")
    };
    problems.into_iter().map(finding).collect()
}

/// Every clause of the contract is founded by exactly one record, and no record founds another.
pub(super) fn claims(files: &[File]) -> Vec<Finding> {
    let texts = files.iter().filter(is_adr).map(|f| (f.path.clone(), f.text.clone())).collect();
    let Ok(records) = contract::adr::check(&texts, &|_| true) else { return vec![] };
    let mut by: BTreeMap<&str, Vec<&str>> = CHECKS.iter().map(|c| (*c, vec![])).collect();
    let mut out = Vec::new();
    let mut say = |file: &str, what: String, mend| out.push(File::new(file, "").finding(4, "adr", what, mend));
    for record in &records {
        for check in &record.checks {
            match by.get_mut(check.as_str()) {
                Some(files) => files.push(&record.file),
                None => say(&record.file, format!("no clause {check}"), "the contract has C1 to C5"),
            }
        }
    }
    for (check, by) in by {
        match by[..] {
            [_] => {}
            [] => say("adr/0001-platform-in-mgmt.md", format!("no record founds {check}"), "name it in `checks`"),
            [.., last] => say(last, format!("{check} has two records"), "one of them decides"),
        }
    }
    out
}

/// Every clause has its record, its rules and its tests, and no record names a check that is not there.
pub(super) fn paired(files: &[File]) -> Vec<Finding> {
    let texts = files.iter().filter(is_adr).map(|f| (f.path.clone(), f.text.clone())).collect();
    let Ok(records) = contract::adr::check(&texts, &|_| true) else { return vec![] };
    let tests = files.iter().filter(|f| f.below(&["tests/it/contract"]));
    let tests = tests.map(|f| (f.path.clone(), f.text.clone())).collect();
    let mut out = Vec::new();
    for problem in contract::pairing::check(&records, &tests) {
        let at = problem.at.unwrap_or(At { file: "adr".into(), line: None });
        let file = File::new(&at.file, "");
        out.push(file.finding(at.line.unwrap_or(1), "pairing", problem.what, "cargo xtask adr check"));
    }
    for clause in contract::Clause::ALL {
        let stem = format!("xtask/src/contract/{}_", clause.to_string().to_lowercase());
        if !files.iter().any(|f| f.path.starts_with(&stem) && f.path.ends_with(".rs")) {
            let file = File::new("xtask/src/contract.rs", "");
            out.push(file.finding(1, "pairing", format!("no room `{stem}….rs`"), "each clause is one file"));
        }
    }
    out
}

/// `ADR-0007` in any file, and `adr/0007-….md`, is a record that exists.
pub(super) fn mentions(files: &[File]) -> Vec<Finding> {
    let known: Vec<usize> = files.iter().filter(is_adr).filter_map(|f| f.path.get(4..8)?.parse().ok()).collect();
    let mut out = Vec::new();
    for file in files.iter().filter(|f| !f.is_tidy_itself()) {
        for (line, text) in file.lines() {
            for digits in text.split("ADR-").skip(1).filter_map(|rest| rest.get(..4)) {
                if digits.parse().is_ok_and(|n: usize| !known.contains(&n)) {
                    out.push(file.finding(
                        line,
                        "adr",
                        format!("no record ADR-{digits}"),
                        "write it or mend the number",
                    ));
                }
            }
            if file.below(EXAMPLES) {
                continue;
            }
            for path in text.split("adr/").skip(1).filter_map(|rest| rest.split_once(".md")).map(|(name, _)| name) {
                let whole = format!("adr/{path}.md");
                if path.starts_with(|c: char| c.is_ascii_digit()) && !files.iter().any(|f| f.path == whole) {
                    out.push(file.finding(line, "adr", format!("no record {whole}"), "mend the path"));
                }
            }
        }
    }
    out
}

/// Whether there is a file or a folder of that name.
fn leads_somewhere(files: &[File], path: &str) -> bool {
    let inside = format!("{path}/");
    files.iter().any(|f| f.path == path || f.path.starts_with(&inside))
}

/// Relative links in prose lead to a file or folder of the repository.
pub(super) fn links(files: &[File]) -> Vec<Finding> {
    let mut out = Vec::new();
    for file in files.iter().filter(|f| f.ends(&[".md"]) && !is_adr(f)) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, text) in file.lines() {
            for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let path = target.split('#').next().unwrap_or_default().trim_end_matches('/');
                if path.is_empty() || target.contains("://") {
                    continue;
                }
                let (folder, path) = match path.strip_prefix("../") {
                    Some(path) => (folder.rsplit_once('/').map_or("", |(above, _)| above), path),
                    None => (folder, path),
                };
                let whole = if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") };
                if !leads_somewhere(files, &whole) {
                    out.push(file.finding(line, "links", format!("`{target}` leads nowhere"), "mend the link"));
                }
            }
        }
    }
    out
}

/// The version of the workspace has a section.
pub(super) fn changelog(files: &[File]) -> Vec<Finding> {
    let text = |path: &str| files.iter().find(|f| f.path == path);
    let (Some(cargo), Some(log)) = (text("Cargo.toml"), text("CHANGELOG.md")) else { return vec![] };
    let version = cargo.text.lines().find_map(|line| line.strip_prefix("version = "));
    let heading = format!("## [{}]", version.unwrap_or_default().trim_matches('"'));
    let missing = !log.text.contains(&heading);
    missing
        .then(|| log.finding(1, "changelog", format!("no `{heading}`"), "say what is new for a user"))
        .into_iter()
        .collect()
}

/// Each README has one table row per command, in the order of `--help`.
pub(super) fn commands(files: &[File]) -> Vec<Finding> {
    let cli = Cli::command();
    told(files, &cli.get_subcommands().map(|command| command.get_name()).collect::<Vec<_>>())
}

fn told(files: &[File], commands: &[&str]) -> Vec<Finding> {
    let mut out = Vec::new();
    for file in files.iter().filter(|f| f.below(&["README"])) {
        let rows: Vec<(usize, &str)> = file.lines().filter_map(|(line, text)| Some((line, row(text)?))).collect();
        if !rows.iter().map(|(_, name)| name).eq(commands) {
            let told: Vec<&str> = rows.iter().map(|(_, name)| *name).collect();
            let what = format!("its table has {}, the command line {}", told.join(" "), commands.join(" "));
            out.push(file.finding(rows.first().map_or(1, |r| r.0), "commands", what, "one row per command, in order"));
        }
    }
    out
}

/// `| `bootstrap [flags]` | … |` gives `bootstrap`.
fn row(line: &str) -> Option<&str> {
    let name = line.strip_prefix("| `cargo xtask ")?.split(['`', ' ']).next()?;
    (!name.is_empty()).then_some(name)
}

/// What `cargo xtask ci` runs, `.ci/run` runs too, to the letter.
pub(super) fn same_checks(files: &[File]) -> Vec<Finding> {
    let file = |path: &str| files.iter().find(|f| f.path == path);
    let (Some(here), Some(there)) = (file("xtask/src/cmd/ci.rs"), file(".ci/run")) else { return vec![] };
    let commands =
        here.lines().filter_map(|(line, text)| Some((line, text.split("cmd!(sh, \"").nth(1)?.split('"').next()?)));
    let missing = commands.filter(|(_, command)| !there.lines().any(|(_, text)| text.ends_with(command)));
    let say =
        |(line, command)| here.finding(line, "ci", format!("`{command}` is not in .ci/run"), "one list of checks");
    missing.map(say).collect()
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    const GOOD: &str = "---\nstatus: accepted\ndate: 2026-11-22\nchecks: [C1, C2, C3, C4, C5]\n---\n# 0001: X\n\n\
                        ## Context\nx\n## Decision\nx\n## Consequences\nx\n";

    #[test]
    fn what_the_adr_check_says_is_a_finding() {
        let bad = GOOD.replace("accepted", "maybe");
        let want =
            ["adr/0001-x.md:2 adr: `status` is not proposed, accepted, rejected or `superseded by NNNN`: `maybe`"];
        check(adrs, &[("adr/0001-x.md", &bad)], &want);
    }

    #[test]
    fn each_clause_has_one_record() {
        let other = GOOD.replace("0001", "0002").replace("[C1, C2, C3, C4, C5]", "[C5, C9]");
        let want = ["adr/0002-x.md:4 adr: no clause C9", "adr/0002-x.md:4 adr: C5 has two records"];
        check(claims, &[("adr/0001-x.md", GOOD), ("adr/0002-x.md", &other)], &want);
        let want = ["adr/0001-platform-in-mgmt.md:4 adr: no record founds C5"];
        check(claims, &[("adr/0001-x.md", &GOOD.replace(", C5", ""))], &want);
    }

    #[test]
    fn a_clause_without_a_test_is_found() {
        let adrs = contract::Clause::ALL.map(|c| (c.adr(), c.to_string()));
        let mut files: Vec<(String, String)> = Vec::new();
        for (path, check) in &adrs {
            let digits = &path[4..8];
            let text = GOOD.replace("0001", digits).replace("[C1, C2, C3, C4, C5]", &format!("[{check}]"));
            match files.iter_mut().find(|(known, _)| known == path) {
                Some((_, text)) => *text = text.replace("[C1]", &format!("[C1, {check}]")),
                None => files.push(((*path).to_owned(), text)),
            }
        }
        for digits in ["0002", "0004"] {
            let text = GOOD.replace("0001", digits).replace("[C1, C2, C3, C4, C5]", "[]");
            files.push((format!("adr/{digits}-x.md"), text));
        }
        let rooms = ["c1_a", "c2_a", "c3_a", "c4_a", "c5_a"].map(|room| format!("xtask/src/contract/{room}.rs"));
        files.extend(rooms.map(|path| (path, String::new())));
        files.push(("tests/it/contract.rs".into(), "fn c1_x fn c2_x fn c3_x fn c5_x".into()));
        let files: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
        let want = "tests/it/contract.rs:1 pairing: no test shows that C4 holds and what breaks it";
        check(paired, &files, &[want]);
    }

    #[test]
    fn mentions_and_links_lead_somewhere() {
        let text = "ADR-0001 ADR-0009 [a](adr/0001-x.md#b) [c](adr) [d](gone.md) [e](https://x) adr/0002-y.md";
        let files = [("adr/0001-x.md", GOOD), ("README.md", text)];
        check(mentions, &files, &["README.md:1 adr: no record ADR-0009", "README.md:1 adr: no record adr/0002-y.md"]);
        check(links, &files, &["README.md:1 links: `gone.md` leads nowhere"]);
    }

    #[test]
    fn a_version_without_a_section_is_found() {
        let files = [("Cargo.toml", "version = \"0.2.0\"\n"), ("CHANGELOG.md", "## [0.1.0]\n")];
        check(changelog, &files, &["CHANGELOG.md:1 changelog: no `## [0.2.0]`"]);
    }

    #[test]
    fn a_command_that_the_readme_does_not_know_is_found() {
        let rule = |files: &[File]| told(files, &["bootstrap", "mesh-connect"]);
        let good = "| `cargo xtask bootstrap [--simulate]` | x |\n| `cargo xtask mesh-connect` | y |\n";
        let files = [("README.md", good), ("README.ko.md", "| `cargo xtask bootstrap` |")];
        let want = ["README.ko.md:1 commands: its table has bootstrap, the command line bootstrap mesh-connect"];
        check(rule, &files, &want);
    }

    #[test]
    fn a_check_that_ci_does_not_run_is_found() {
        let code = "vec![(\"fmt\", cmd!(sh, \"cargo fmt\")),\n(\"x\", cmd!(sh, \"cargo x 1..2\"))]";
        let files = [("xtask/src/cmd/ci.rs", code), (".ci/run", "part fmt 60 cargo fmt\npart x 60 cargo x 1..20\n")];
        check(same_checks, &files, &["xtask/src/cmd/ci.rs:2 ci: `cargo x 1..2` is not in .ci/run"]);
    }
}
