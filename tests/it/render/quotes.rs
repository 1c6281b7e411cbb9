//! User data as Multipass passes it on: without quotes, then read as YAML 1.1.
#![expect(clippy::disallowed_methods, reason = "tests write files of their own")]

use model::yaml::yaml11::{self, Kind};

use super::files;
use crate::run_cli;

#[test]
fn cloud_init_is_valid_without_quotes() {
    let text = &files()["mgmt/cp/cloud-init.yaml"];
    assert!(text.starts_with("#cloud-config\n"));
    let (stripped, scalars) = without_quotes(text);
    assert!(scalars.len() > 20, "{scalars:?}");
    for (plain, quoted) in &scalars {
        let before = if *quoted { Kind::Text } else { yaml11::kind(plain) };
        assert_eq!(yaml11::kind(plain), before, "`{plain}` is something else without its quotes");
    }
    // The helper itself must be able to fail.
    let (_, scalars) = without_quotes("mode: \"0755\"\nlist:\n- 'yes'\n\"on\": |\n  \"12:30\"\n");
    let changed: Vec<&str> =
        scalars.iter().filter(|(p, q)| *q && yaml11::kind(p) != Kind::Text).map(|(p, _)| &**p).collect();
    assert_eq!(changed, ["0755", "yes", "on"]);

    let Some(cloud_init) = run_cli::find("cloud-init") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text, good) in [("as-made", text, true), ("stripped", &stripped, true), ("bad", &bad_mode(text), false)]
    {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("written");
        let (liked, printed) = run_cli::run(run_cli::command(&cloud_init).args(["schema", "--config-file"]).arg(&file));
        assert_eq!(liked, good, "{name}: {printed}");
    }
}

/// A file mode as it is mostly written: octal, hence a number once its quotes are lost.
fn bad_mode(text: &str) -> String {
    text.replace("permissions: \"0o755\"", "permissions: 0755").replace("permissions: 0o755", "permissions: 0755")
}

/// The text with the quotes of every scalar taken away, and every scalar with whether it had them. Reads the block
/// style that `yaml::write` makes: one scalar a line, `key: scalar` or `- scalar`, and `|` blocks.
fn without_quotes(text: &str) -> (String, Vec<(String, bool)>) {
    let mut stripped = String::new();
    let mut scalars = Vec::new();
    let mut block: Option<usize> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        if block.is_some_and(|outer| indent > outer || line.trim().is_empty()) || line.starts_with('#') {
            stripped.extend([line, "\n"]);
            continue;
        }
        let mut rest = line.trim_start();
        let mut bare = " ".repeat(indent);
        let mut owner = indent;
        while let Some(item) = rest.strip_prefix("- ") {
            bare += "- ";
            owner += 2;
            rest = item;
        }
        for (part, mark) in split(rest) {
            let plain = part.trim_matches(['"', '\'']);
            bare.extend([plain, mark]);
            if !plain.is_empty() && !plain.starts_with('|') {
                scalars.push((plain.to_owned(), plain != part));
            }
        }
        block = rest.rsplit(' ').next().is_some_and(|last| last.starts_with('|')).then_some(owner);
        stripped.extend([bare.trim_end(), "\n"]);
    }
    (stripped, scalars)
}

/// `key: value` as its parts, each with the mark that follows it.
fn split(rest: &str) -> Vec<(&str, &str)> {
    match rest.split_once(": ") {
        Some((key, value)) => vec![(key, ": "), (value, "")],
        None => rest.strip_suffix(':').map_or(vec![(rest, "")], |key| vec![(key, ":")]),
    }
}
