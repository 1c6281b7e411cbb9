//! Commands in the documents: ours are run in the simulation, page by page; those of others are listed here.

use camino::Utf8Path;

use crate::fixtures::{connected, copy_folder};
use crate::golden;
use crate::ui::Repo;

/// Documents with a Korean page of the same commands.
const PAGES: [&str; 6] = ["README", "docs/architecture", "docs/ci", "docs/data", "docs/how-to", "docs/to-the-cloud"];
/// They need a network, git or tools of this machine, and are only read.
const ONLY_READ: [&str; 4] = ["charts outdated", "charts bump", "charts verify", "plan bootstrap --diff"];
const FOREIGN: [&str; 3] = ["cargo test", "export KUBECONFIG=", "kubectl "];
const EXAMPLE: &str = "cp -r docs/examples/hello apps/";

/// Lines of blocks of shell, without comments.
fn commands(page: &str) -> Vec<String> {
    let text = golden::read(page);
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).map(|line| line.split(" #").next().unwrap_or(line).trim().to_owned()).collect()
}

fn run(repo: &Repo, line: &str) {
    let words: Vec<String> = line.split(' ').map(|word| word.replace('\'', "")).collect();
    let with = |more: &'static str| words.iter().map(String::as_str).chain([more]).collect::<Vec<_>>();
    if ONLY_READ.iter().any(|only| line.starts_with(only)) {
        assert_eq!(repo.run_words("/nowhere", &with("--help")).code, 0, "{line}");
        return;
    }
    // Some only have a simulation together with other flags, and what is static has none.
    let plain: Vec<&str> = words.iter().map(String::as_str).collect();
    let ran = match repo.run_words("/nowhere", &with("--simulate")) {
        refused if refused.code == 2 => repo.run_words("/nowhere", &plain),
        ran => ran,
    };
    assert_eq!(ran.code, 0, "{line}\n{}{}", ran.out, ran.err);
}

#[test]
fn commands_of_documents_run_in_the_simulation() {
    let examples = golden::root().join("docs/examples").display().to_string();
    for page in PAGES {
        let all = commands(&format!("{page}.md"));
        assert_eq!(all, commands(&format!("{page}.ko.md")), "{page}: both languages have the same commands");
        let repo = connected();
        repo.must("render --simulate");
        for line in all {
            match line.strip_prefix("cargo xtask ") {
                Some(ours) => run(&repo, ours),
                None if line == EXAMPLE => copy_folder(Utf8Path::new(&examples), &repo.root().join("apps")),
                None => assert!(FOREIGN.iter().any(|foreign| line.starts_with(foreign)), "{page}: {line}"),
            }
        }
    }
}
