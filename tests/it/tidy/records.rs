//! What is written for people holds: ADRs are whole and paired with checks, links lead somewhere, and README and
//! CHANGELOG know the commands and the version. Knows nothing of what a decision says.

use std::collections::BTreeMap;

use super::{File, Finding};

const CHECKS: &[&str] = &["C1", "C2", "C3", "C4", "C5"];
/// These show how a record is named, and name none.
const EXAMPLES: &[&str] = &["xtask/src/adr", "xtask/src/cmd/adr"];
const STATES: &[&str] = &["proposed", "accepted", "superseded", "rejected"];

fn is_adr(file: &&File) -> bool {
    file.below(&["adr/"]) && file.ends(&[".md"])
}

/// The number in the file name.
fn number(file: &File) -> Option<usize> {
    file.path.strip_prefix("adr/")?.get(..4)?.parse().ok()
}

/// A line of the front matter: `checks: [C1]` gives `[C1]`.
fn field<'a>(file: &'a File, name: &str) -> Option<&'a str> {
    let front = file.text.strip_prefix("---\n")?.split("\n---\n").next()?;
    front.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn checks(file: &File) -> Vec<&str> {
    let list = field(file, "checks").unwrap_or_default().trim_matches(['[', ']']);
    list.split(',').map(str::trim).filter(|c| !c.is_empty()).collect()
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let digits = |part: &&str| part.bytes().all(|b| b.is_ascii_digit());
    parts.iter().map(|p| p.len()).eq([4, 2, 2]) && parts.iter().all(digits)
}

/// Numbers without gaps, front matter, title and the three sections.
pub(super) fn adrs(files: &[File]) -> Vec<Finding> {
    let mut out = Vec::new();
    for (i, file) in files.iter().filter(is_adr).enumerate() {
        let mut say = |what: String, mend| out.push(file.finding(1, "adr", what, mend));
        if number(file) != Some(i + 1) {
            say(format!("number {:04} is missing or twice", i + 1), "records are numbered without gaps");
        }
        if !field(file, "status").is_some_and(|s| STATES.contains(&s)) {
            say("status is none of ours".into(), "proposed, accepted, superseded or rejected");
        }
        if !field(file, "date").is_some_and(is_date) {
            say("no date".into(), "write `date: 2026-11-22`");
        }
        if field(file, "checks").is_none() {
            say("no checks".into(), "write `checks: []` or the clauses it founds");
        }
        let title = format!("\n# {:04}: ", number(file).unwrap_or(0));
        for part in [title.as_str(), "\n## Context\n", "\n## Decision\n", "\n## Consequences\n"] {
            if !file.text.contains(part) {
                say(format!("no `{}`", part.trim()), "every record has these parts");
            }
        }
    }
    out
}

/// Every clause of the contract is founded by exactly one record, and no record founds another.
pub(super) fn claims(files: &[File]) -> Vec<Finding> {
    let mut by: BTreeMap<&str, Vec<&File>> = CHECKS.iter().map(|c| (*c, vec![])).collect();
    let adrs: Vec<&File> = files.iter().filter(is_adr).collect();
    let Some(first) = adrs.first() else { return vec![] };
    let mut out = Vec::new();
    for file in &adrs {
        for check in checks(file) {
            match by.get_mut(check) {
                Some(files) => files.push(file),
                None => out.push(file.finding(1, "adr", format!("no clause {check}"), "the contract has C1 to C5")),
            }
        }
    }
    for (check, by) in by {
        match by[..] {
            [_] => {}
            [] => out.push(first.finding(1, "adr", format!("no record founds {check}"), "name it in `checks`")),
            [.., last] => out.push(last.finding(1, "adr", format!("{check} has two records"), "one of them decides")),
        }
    }
    out
}

/// `ADR-0007` in any file, and `adr/0007-….md`, is a record that exists.
pub(super) fn mentions(files: &[File]) -> Vec<Finding> {
    let known: Vec<usize> = files.iter().filter(is_adr).filter_map(number).collect();
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

/// Relative links in prose lead to a file or folder of the repository.
pub(super) fn links(files: &[File]) -> Vec<Finding> {
    let mut out = Vec::new();
    for file in files.iter().filter(|f| f.ends(&[".md"])) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, text) in file.lines() {
            for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let path = target.split('#').next().unwrap_or_default().trim_end_matches('/');
                if path.is_empty() || target.contains("://") {
                    continue;
                }
                let whole = if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") };
                let inside = format!("{whole}/");
                if !files.iter().any(|f| f.path == whole || f.path.starts_with(&inside)) {
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
    let Some(cli) = files.iter().find(|f| f.path == "xtask/src/cli.rs") else { return vec![] };
    let commands = subcommands(&cli.text);
    let mut out = Vec::new();
    for file in files.iter().filter(|f| f.below(&["README"]) && !commands.is_empty()) {
        let rows: Vec<(usize, &str)> = file.lines().filter_map(|(line, text)| Some((line, row(text)?))).collect();
        let told: Vec<&str> = rows.iter().map(|(_, name)| *name).collect();
        if told != commands {
            let what = format!("its table has {}, the command line {}", told.join(" "), commands.join(" "));
            out.push(file.finding(
                rows.first().map_or(1, |r| r.0),
                "commands",
                what,
                "one row per command, in that order",
            ));
        }
    }
    out
}

/// `| `bootstrap [flags]` | … |` gives `bootstrap`.
fn row(line: &str) -> Option<&str> {
    let name = line.strip_prefix("| `cargo xtask ")?.split(['`', ' ']).next()?;
    (!name.is_empty()).then_some(name)
}

/// Names of the variants of the enum that derives `Subcommand`, as clap spells them.
fn subcommands(cli: &str) -> Vec<String> {
    let Some((_, body)) = cli.split_once("Subcommand)]").and_then(|(_, rest)| rest.split_once("{\n")) else {
        return vec![];
    };
    let variants = body.lines().take_while(|line| !line.starts_with('}'));
    let name = |line: &str| {
        let line = line.strip_prefix("    ")?;
        let name: String = line.chars().take_while(|c| c.is_alphanumeric()).collect();
        line.starts_with(|c: char| c.is_ascii_uppercase()).then(|| kebab(&name))
    };
    variants.filter_map(name).collect()
}

fn kebab(name: &str) -> String {
    let parts = name.char_indices().map(|(i, c)| match c {
        _ if i > 0 && c.is_ascii_uppercase() => format!("-{}", c.to_ascii_lowercase()),
        _ => c.to_ascii_lowercase().to_string(),
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    const GOOD: &str = "---\nstatus: accepted\ndate: 2026-11-22\nchecks: [C1, C2, C3, C4, C5]\n---\n# 0001: X\n\n\
                        ## Context\n\n## Decision\n\n## Consequences\n";

    #[test]
    fn a_record_with_gaps_is_found() {
        let bad = "---\nstatus: maybe\ndate: 22.11.2026\n---\n# 0001: X\n\n## Context\n## Decision\n";
        let want = [
            "adr/0003-x.md:1 adr: number 0002 is missing or twice",
            "adr/0003-x.md:1 adr: status is none of ours",
            "adr/0003-x.md:1 adr: no date",
            "adr/0003-x.md:1 adr: no checks",
            "adr/0003-x.md:1 adr: no `# 0003:`",
            "adr/0003-x.md:1 adr: no `## Consequences`",
        ];
        check(adrs, &[("adr/0001-x.md", GOOD), ("adr/0003-x.md", bad)], &want);
    }

    #[test]
    fn each_clause_has_one_record() {
        let other = "---\nchecks: [C5, C9]\n---\n";
        let want = ["adr/0002-x.md:1 adr: no clause C9", "adr/0002-x.md:1 adr: C5 has two records"];
        check(claims, &[("adr/0001-x.md", GOOD), ("adr/0002-x.md", other)], &want);
        check(claims, &[("adr/0001-x.md", &GOOD.replace(", C5", ""))], &["adr/0001-x.md:1 adr: no record founds C5"]);
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
        let cli = "#[derive(clap::Subcommand)]\npub enum Verb {\n    /// A.\n    Bootstrap(Run),\n\
                   \x20   MeshConnect {\n        x: u8,\n    },\n}\n";
        let good = "| `cargo xtask bootstrap [--rehearse]` | x |\n| `cargo xtask mesh-connect` | y |\n";
        let files = [("xtask/src/cli.rs", cli), ("README.md", good), ("README.ko.md", "| `cargo xtask bootstrap` |")];
        let want = ["README.ko.md:1 commands: its table has bootstrap, the command line bootstrap mesh-connect"];
        check(commands, &files, &want);
    }
}
