//! Documents: ADRs are complete and paired with clauses, links resolve, README and CHANGELOG match the command line.

use clap::CommandFactory;
use model::problem::{At, Problem};
use xtask::cli::Cli;

use super::{File, Finding};

/// These show how a record is named, and name none.
const EXAMPLES: &[&str] = &["xtask/contract/src/adr", "xtask/src/cmd/adr"];

fn is_adr(file: &&File) -> bool {
    file.below(&["adr/"]) && file.ends(&[".md"])
}

pub(super) fn adrs(files: &[File]) -> Vec<Finding> {
    let texts = |folder| files.iter().filter(move |f| f.below(&[folder])).map(|f| (f.path.clone(), f.text.clone()));
    let records = texts("adr/").filter(|(path, _)| path.ends_with(".md")).collect();
    let problems = match contract::adr::check(&records, &|path| leads_somewhere(files, path)) {
        Ok(records) => contract::adr_links::check(&records),
        Err(problems) => problems,
    };
    let finding = |problem: Problem| {
        let at = problem.at.unwrap_or(At { file: "adr".into(), line: None });
        File::new(&at.file, "").finding(at.line.unwrap_or(1), "adr", problem.what, "cargo xtask adr check")
    };
    problems.into_iter().map(finding).collect()
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
                        "write it or correct the number",
                    ));
                }
            }
            if file.below(EXAMPLES) {
                continue;
            }
            for path in text.split("adr/").skip(1).filter_map(|rest| rest.split_once(".md")).map(|(name, _)| name) {
                let whole = format!("adr/{path}.md");
                if path.starts_with(|c: char| c.is_ascii_digit()) && !files.iter().any(|f| f.path == whole) {
                    out.push(file.finding(line, "adr", format!("no record {whole}"), "correct the path"));
                }
            }
        }
    }
    out
}

fn leads_somewhere(files: &[File], path: &str) -> bool {
    let inside = format!("{path}/");
    files.iter().any(|f| f.path == path || f.path.starts_with(&inside))
}

/// Each test that the list of adversarial cases names exists.
pub(super) fn cases(files: &[File]) -> Vec<Finding> {
    let exists = |name: &str| files.iter().any(|f| f.ends(&[".rs"]) && f.text.contains(&format!("fn {name}(")));
    let mut out = Vec::new();
    for file in files.iter().filter(|f| f.path == "tests/ADVERSARIAL.md") {
        for (line, text) in file.lines().filter(|(_, text)| text.starts_with("| ")) {
            let tests = text.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
            let names = tests.split('`').skip(1).step_by(2).filter(|name| name.contains('_'));
            let gone = names.filter(|name| !exists(name));
            out.extend(gone.map(|name| file.finding(line, "cases", format!("no test `{name}`"), "correct the name")));
        }
    }
    out
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
                    out.push(file.finding(line, "links", format!("broken link `{target}`"), "correct the link"));
                }
            }
        }
    }
    out
}

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
    check_commands(files, &cli.get_subcommands().map(|command| command.get_name()).collect::<Vec<_>>())
}

fn check_commands(files: &[File], commands: &[&str]) -> Vec<Finding> {
    let mut out = Vec::new();
    for file in files.iter().filter(|f| f.below(&["README"])) {
        let rows: Vec<(usize, &str)> = file.lines().filter_map(|(line, text)| Some((line, row(text)?))).collect();
        if !rows.iter().map(|(_, name)| name).eq(commands) {
            let listed: Vec<&str> = rows.iter().map(|(_, name)| *name).collect();
            let what = format!("its table has {}, the command line {}", listed.join(" "), commands.join(" "));
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

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    const GOOD: &str = "---\nstatus: accepted\ndate: 2026-11-22\nchecks: [C1, C2, C3, C4, C5]\n---\n# 0001: X\n\n\
                        ## Context\nx\n## Decision\nx\n## Consequences\nx\n";

    #[test]
    fn problem_of_an_adr_is_a_finding() {
        let bad = GOOD.replace("accepted", "maybe");
        let want =
            ["adr/0001-x.md:2 adr: `status` is not proposed, accepted, rejected or `superseded by NNNN`: `maybe`"];
        check(adrs, &[("adr/0001-x.md", &bad)], &want);
    }

    #[test]
    fn dangling_mentions_and_links_are_found() {
        let text = "ADR-0001 ADR-0009 [a](adr/0001-x.md#b) [c](adr) [d](gone.md) [e](https://x) adr/0002-y.md";
        let files = [("adr/0001-x.md", GOOD), ("README.md", text)];
        check(mentions, &files, &["README.md:1 adr: no record ADR-0009", "README.md:1 adr: no record adr/0002-y.md"]);
        check(links, &files, &["README.md:1 links: broken link `gone.md`"]);
    }

    #[test]
    fn version_without_a_changelog_section_is_found() {
        let files = [("Cargo.toml", "version = \"0.2.0\"\n"), ("CHANGELOG.md", "## [0.1.0]\n")];
        check(changelog, &files, &["CHANGELOG.md:1 changelog: no `## [0.2.0]`"]);
    }

    #[test]
    fn command_missing_in_the_readme_is_found() {
        let rule = |files: &[File]| check_commands(files, &["bootstrap", "mesh-connect"]);
        let good = "| `cargo xtask bootstrap [--simulate]` | x |\n| `cargo xtask mesh-connect` | y |\n";
        let files = [("README.md", good), ("README.ko.md", "| `cargo xtask bootstrap` |")];
        let want = ["README.ko.md:1 commands: its table has bootstrap, the command line bootstrap mesh-connect"];
        check(rule, &files, &want);
    }
}
