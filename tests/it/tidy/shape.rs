//! The shape of the code: door plates, sizes, widths and words.
//! Knows nothing of what is imported.

use super::{File, Finding, rust};

const LINES: usize = 400;
const FUNCTION: usize = 70;
const COLUMNS: usize = 120;

/// Words that mean "not done" or "for a moment only".
const UNDONE: &[&str] = &["TODO", "FIXME", "XXX", "dbg!", "todo!", "unimplemented!", "#[ignore"];

/// Names of rooms that say nothing.
const NAMELESS: &[&str] = &["mod", "utils", "util", "common", "helpers", "helper", "misc"];

fn is_rust(file: &&File) -> bool {
    file.ends(&[".rs"]) && file.below(&["xtask/", "tests/"])
}

/// What a person wrote and a machine reads; prose is wrapped as its author likes.
fn is_code(file: &&File) -> bool {
    is_rust(file) || file.ends(&[".toml"]) || file.below(&[".ci/", "infra/", "charts/"])
}

/// Lines that cannot be broken: an address, a row of a table, a dependency in one line of TOML.
fn is_unbreakable(file: &File, line: &str) -> bool {
    line.contains("https://") || line.contains("//! |") || file.ends(&["Cargo.toml", ".txt"])
}

/// Line 1 says the job; the first paragraph says what the room knows nothing of.
pub(super) fn doors(files: &[File]) -> Vec<Finding> {
    let mut out = Vec::new();
    for file in files.iter().filter(is_rust) {
        let paragraph: Vec<&str> = file.text.lines().take_while(|line| line.starts_with("//! ")).collect();
        if paragraph.is_empty() {
            out.push(file.finding(1, "door", "line 1 is no `//!`", "say the job of the room there"));
        } else if file.below(&["xtask/src/"]) && !paragraph.join(" ").contains("nows nothing") {
            out.push(file.finding(2, "door", "no `Knows nothing of`", "say what the room does not know"));
        }
    }
    out
}

pub(super) fn names(files: &[File]) -> Vec<Finding> {
    let stem = |file: &File| file.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
    let nameless = |file: &&File| file.path.trim_end_matches(".rs").split('/').any(|part| NAMELESS.contains(&part));
    let found = files.iter().filter(is_rust).filter(nameless);
    found
        .map(|f| f.finding(1, "names", format!("`{}` names no job", stem(f)), "a helper lives with its first user"))
        .collect()
}

pub(super) fn sizes(files: &[File]) -> Vec<Finding> {
    let mut out = Vec::new();
    for file in files.iter().filter(is_rust) {
        let lines = file.text.lines().count();
        if lines > LINES {
            out.push(file.finding(LINES + 1, "file", format!("{lines} lines"), "at most 400: it has two jobs"));
        }
        for (name, line, lines) in rust::functions(&rust::code(&file.text)) {
            if lines > FUNCTION {
                out.push(file.finding(line, "function", format!("`{name}` has {lines} lines"), "at most 70: two jobs"));
            }
        }
    }
    for file in files.iter().filter(is_code) {
        for (line, text) in file.lines().filter(|(_, text)| !is_unbreakable(file, text)) {
            let columns = text.chars().count();
            if columns > COLUMNS {
                out.push(file.finding(line, "width", format!("{columns} columns"), "at most 120"));
            }
        }
    }
    out
}

pub(super) fn words(files: &[File]) -> Vec<Finding> {
    let mut out = Vec::new();
    for file in files.iter().filter(is_code).filter(|f| !f.is_tidy_itself()) {
        for (line, text) in file.lines() {
            for word in UNDONE.iter().filter(|word| has_word(text, word)) {
                out.push(file.finding(line, "words", format!("`{word}`"), "do it now or write an issue"));
            }
        }
    }
    out
}

fn has_word(text: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let after = &text[at + word.len()..];
        let goes_on = word.ends_with(inside) && after.starts_with(inside);
        !(text[..at].ends_with(inside) || goes_on)
    })
}

/// A dry run is a printed plan: nothing below the commands may know the word.
pub(super) fn dry_run(files: &[File]) -> Vec<Finding> {
    let mut out = Vec::new();
    let rooms = ["xtask/src/cli", "xtask/src/cmd"];
    for file in files.iter().filter(|f| f.below(&["xtask/src/"]) && f.ends(&[".rs"]) && !f.below(&rooms)) {
        for (line, _) in rust::code(&file.text).lines().enumerate().filter(|(_, text)| text.contains("dry_run")) {
            out.push(file.finding(line + 1, "dry run", "a second code path", "the printed plan is the dry run"));
        }
    }
    out
}

/// A pure plan needs no filter; and what was not accepted is not kept.
pub(super) fn pure_snapshots(files: &[File]) -> Vec<Finding> {
    let mut out = Vec::new();
    for file in files.iter().filter(|f| f.below(&["tests/", "xtask/"]) && f.ends(&[".rs"]) && !f.is_tidy_itself()) {
        let code = rust::code(&file.text);
        for (line, text) in code.lines().enumerate() {
            for word in ["add_filter", "set_filters", "filters =>", "add_redaction", "redactions"] {
                if text.contains(word) {
                    out.push(file.finding(
                        line + 1,
                        "snapshots",
                        format!("`{word}`"),
                        "make what is shown pure instead",
                    ));
                }
            }
        }
    }
    for file in files.iter().filter(|f| f.ends(&[".snap", ".snap.new", ".pending-snap"])) {
        let source = file.text.lines().find_map(|line| line.strip_prefix("source: "));
        if !file.ends(&[".snap"]) {
            out.push(file.finding(1, "snapshots", "not accepted", "accept it or remove it"));
        } else if !source.is_some_and(|source| files.iter().any(|f| f.path == source || f.path.ends_with(source))) {
            let what = format!("its test is gone: {}", source.unwrap_or("no `source:`"));
            out.push(file.finding(1, "snapshots", what, "remove it"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn a_room_without_a_door_plate_is_found() {
        let files = [
            ("xtask/src/a.rs", "use std::fmt;\n"),
            ("xtask/src/b.rs", "//! Does it.\n\n//! Knows nothing of it.\n"),
            ("xtask/src/c.rs", "//! Does it.\n//! Knows nothing of it.\n"),
            ("tests/it/d.rs", "//! Shows it.\n"),
        ];
        check(
            doors,
            &files,
            &["xtask/src/a.rs:1 door: line 1 is no `//!`", "xtask/src/b.rs:2 door: no `Knows nothing of`"],
        );
    }

    #[test]
    fn nameless_rooms_are_found() {
        let files = [("xtask/src/fleet/mod.rs", ""), ("xtask/src/utils/x.rs", ""), ("xtask/src/model.rs", "")];
        let want =
            ["xtask/src/fleet/mod.rs:1 names: `mod` names no job", "xtask/src/utils/x.rs:1 names: `x` names no job"];
        check(names, &files, &want);
    }

    #[test]
    fn what_is_too_long_is_found() {
        let function = format!("//! x\nfn long() {{\n{}}}\n", "    x();\n".repeat(69));
        let wide = format!("# {}\n# https://{}\n", "é".repeat(119), "x".repeat(150));
        let files = [
            ("xtask/src/a.rs", function.as_str()),
            ("xtask/src/b.rs", &"//\n".repeat(401)),
            ("infra/fleet.toml", &wide),
            ("README.md", &wide),
        ];
        let want = [
            "xtask/src/a.rs:2 function: `long` has 71 lines",
            "xtask/src/b.rs:401 file: 401 lines",
            "infra/fleet.toml:1 width: 121 columns",
        ];
        check(sizes, &files, &want);
    }

    #[test]
    fn unfinished_work_is_found() {
        let files = [("xtask/src/a.rs", "// TODO x\nlet mastodon = TODOS;\ndbg!(x);\n"), ("README.md", "TODO")];
        check(words, &files, &["xtask/src/a.rs:1 words: `TODO`", "xtask/src/a.rs:3 words: `dbg!`"]);
    }

    #[test]
    fn a_second_path_for_dry_runs_is_found() {
        let bad = "if dry_run {}";
        check(
            dry_run,
            &[("xtask/src/cmd/a.rs", bad), ("xtask/src/plan.rs", bad)],
            &["xtask/src/plan.rs:1 dry run: a second code path"],
        );
    }

    #[test]
    fn impure_stale_and_unaccepted_snapshots_are_found() {
        let files = [
            ("tests/it/a.rs", "s.add_filter(\"x\", \"y\");"),
            ("tests/snapshots/x.snap", "---\nsource: tests/it/a.rs\n---\n"),
            ("tests/snapshots/y.snap", "---\nsource: tests/it/gone.rs\n---\n"),
            ("tests/snapshots/z.snap.new", ""),
        ];
        let want = [
            "tests/it/a.rs:1 snapshots: `add_filter`",
            "tests/snapshots/y.snap:1 snapshots: its test is gone: tests/it/gone.rs",
            "tests/snapshots/z.snap.new:1 snapshots: not accepted",
        ];
        check(pure_snapshots, &files, &want);
    }
}
