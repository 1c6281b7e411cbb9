//! The list of hostile inputs and process cases is about tests that exist: `tests/ADVERSARIAL.md`.
//! Knows nothing of what they show.

use std::collections::BTreeSet;

use crate::golden;

const LIST: &str = "tests/ADVERSARIAL.md";

/// Names of tests in backticks, as the last column of a row has them, with the line of the row.
fn named(list: &str) -> Vec<(usize, String)> {
    let headings = |line: &str, heading: &str| line.starts_with(&format!("## {heading}"));
    let rows = list.lines().enumerate().skip_while(|(_, line)| !headings(line, "Texts"));
    let rows = rows.take_while(|(_, line)| !headings(line, "Fuzz targets"));
    let rows = rows.filter(|(_, line)| line.starts_with("| ") && !line.starts_with("| case"));
    rows.flat_map(|(number, line)| {
        let last = line.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let names: Vec<(usize, String)> =
            last.split('`').skip(1).step_by(2).map(|name| (number + 1, name.to_owned())).collect();
        assert!(!names.is_empty(), "{LIST}:{}: a row without a test", number + 1);
        names
    })
    .collect()
}

/// Every function that is a test, in all of the repository's Rust.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in ["tests/it", "xtask/src"] {
        for path in golden::files_below(&golden::root().join(folder)) {
            let text = golden::read(path.strip_prefix(golden::root()).expect("below").to_str().expect("UTF-8"));
            let names = text.match_indices("fn ").filter_map(|(at, _)| text[at + 3..].split_once('('));
            found.extend(names.map(|(name, _)| name.to_owned()).filter(|name| !name.contains(char::is_whitespace)));
        }
    }
    found
}

#[test]
fn every_row_names_tests_that_exist() {
    let (list, tests) = (golden::read(LIST), tests());
    let named = named(&list);
    assert!(named.len() > 40, "{} rows", named.len());
    for (line, name) in &named {
        assert!(tests.contains(name), "{LIST}:{line}: no test is called `{name}`");
    }
    let listed: BTreeSet<&str> = named.iter().map(|(_, name)| name.as_str()).collect();
    for target in golden::files_below(&golden::root().join("fuzz/targets")) {
        let name = target.file_stem().and_then(|stem| stem.to_str()).expect("UTF-8");
        assert!(list.contains(&format!("| `{name}` |")), "{LIST} has no row for the fuzz target `{name}`");
    }
    let here = ["texts", "lengths", "names", "folders", "processes", "asleep", "secrets", "terminal"];
    for file in here.map(|name| format!("tests/it/hostile/{name}.rs")) {
        let text = golden::read(&file);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for pair in lines.windows(2).filter(|pair| pair[0] == "#[test]") {
            let name = pair[1].trim_start_matches("fn ").split('(').next().unwrap_or_default();
            assert!(listed.contains(name), "{LIST} has no row for {file}: `{name}`");
        }
    }
}
