//! Who may import whom: the rooms of `xtask/src` in one order, and no arrow back.
//! Knows nothing of what a room does. The same table stands in the crate doc, where people read it.

use super::{File, Finding, rust};

/// A room, what it may import, and what it knows nothing of. A room imports only rooms above it.
const TABLE: &[(&str, &str, &str)] = &[
    ("token", "", "where values come from"),
    ("problem", "", "how it is shown"),
    ("adr", "problem", "the disk"),
    ("fleet", "problem", "YAML, commands, time, disk"),
    ("release", "fleet, problem", "rendering, fetching, applying"),
    ("tools", "fleet, release, token", "processes: it builds argv and reads text"),
    ("render", "fleet, problem, release, token", "commands, disk"),
    ("charts", "fleet, problem, release, render, token", "commands, disk: texts go in, findings and texts come out"),
    ("plan", "fleet, problem, release, render, token, tools", "time, randomness, environment, what already ran"),
    (
        "contract",
        "adr, charts, fleet, plan, problem, release, render, tools",
        "the disk, how probes are run, how a report looks",
    ),
    ("mesh", "fleet, plan, problem, render, tools", "how its questions are asked"),
    ("journal", "plan", "files"),
    ("engine", "journal, plan, token, tools", "threads, clock, terminal, what a tool means"),
    ("world", "engine, plan, problem, tools", "fleets, contracts, files of ours"),
    ("workspace", "problem, render", "what the bytes mean"),
    ("ui", "contract, engine, plan, problem, tools", "the world"),
    ("cli", "ui", "what a command does"),
    ("cmd", "everything", "how arguments are spelt"),
];

/// Crates that one room alone may name. YAML is read and written in one module.
const CRATES: &[(&str, &[&str])] = &[
    ("serde_saphyr", &["xtask/model/src/yaml.rs"]),
    ("granit_parser", &["xtask/model/src/yaml"]),
    ("console", &["xtask/src/ui"]),
    ("duct", &["xtask/src/world/host"]),
    ("indicatif", &["xtask/src/ui"]),
    ("xshell", &["xtask/src/cmd"]),
    ("clap", &["xtask/src/cli", "xtask/src/cmd", "xtask/src/ui/shell.rs"]),
];

const CRATE_DOC: &str = "xtask/src/lib.rs";

fn may_import(room: &str) -> Option<Vec<&'static str>> {
    let at = TABLE.iter().position(|row| row.0 == room)?;
    Some(match TABLE[at].1 {
        "" => vec![],
        "everything" => TABLE.iter().map(|row| row.0).collect(),
        list => list.split(", ").collect(),
    })
}

/// The room of a file, and how many `super::` lead from it to the root of the crate.
fn room(path: &str) -> Option<(&str, usize)> {
    let inside = path.strip_prefix("xtask/src/")?.strip_suffix(".rs")?;
    let room = inside.split('/').next()?;
    (!["lib", "main"].contains(&room)).then(|| (room, inside.split('/').count()))
}

/// A module of unit tests in a file of its own may use any room, as `mod tests` at the end of a file may.
fn is_unit_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

pub(super) fn arrows(files: &[File]) -> Vec<Finding> {
    let mut out = Vec::new();
    for file in files.iter().filter(|f| !is_unit_test(&f.path)) {
        let Some((room, depth)) = room(&file.path) else { continue };
        let Some(allowed) = may_import(room) else {
            out.push(file.finding(
                1,
                "imports",
                format!("no room `{room}` in the table"),
                "give it a row and its arrows",
            ));
            continue;
        };
        let code = rust::code(&file.text);
        let code = rust::without_tests(&code);
        let mut named = rust::segments(code, "crate::");
        named.extend(rust::segments(code, &"super::".repeat(depth)));
        for (line, name) in named {
            let known = TABLE.iter().any(|row| row.0 == name);
            if known && name != room && !allowed.contains(&name.as_str()) {
                let what = format!("`{room}` must not know `{name}`");
                out.push(file.finding(line, "imports", what, "let `cmd` hand the value down"));
            }
        }
    }
    out
}

pub(super) fn crates(files: &[File]) -> Vec<Finding> {
    let mut out = Vec::new();
    for file in files.iter().filter(|f| f.below(&["xtask/src/"]) && f.ends(&[".rs"]) && !is_unit_test(&f.path)) {
        let code = rust::code(&file.text);
        let code = rust::without_tests(&code);
        for (name, rooms) in CRATES.iter().filter(|(_, rooms)| !file.below(rooms)) {
            for (at, _) in code.match_indices(&format!("{name}::")) {
                if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                    continue;
                }
                let line = code[..at].matches('\n').count() + 1;
                let what = format!("`{name}` is named outside of {}", rooms.join(", "));
                out.push(file.finding(line, "crates", what, "ask that room for it"));
            }
        }
    }
    out
}

/// The table of the crate doc is this table.
pub(super) fn told_in_the_crate_doc(files: &[File]) -> Vec<Finding> {
    let Some(file) = files.iter().find(|f| f.path == CRATE_DOC) else { return vec![] };
    let told: Vec<(usize, &str)> = file.lines().filter(|(_, line)| line.starts_with("//! | `")).collect();
    let mut out = Vec::new();
    for (i, (room, may, nothing)) in TABLE.iter().enumerate() {
        let want = format!("//! | `{room}` | {} | {nothing} |", if may.is_empty() { "nothing" } else { may });
        let (line, got) = told.get(i).copied().unwrap_or((1, ""));
        if got != want {
            out.push(file.finding(line, "crate doc", format!("row {} is `{got}`", i + 1), "it should read as in tidy"));
        }
    }
    if let Some((line, _)) = told.get(TABLE.len()) {
        out.push(file.finding(*line, "crate doc", "a room that tidy does not know", "give it a row in tidy too"));
    }
    out
}

/// Every invariant of the crate doc names a test that exists, in backticks after `Guard:`.
pub(super) fn guards_exist(files: &[File]) -> Vec<Finding> {
    let Some(file) = files.iter().find(|f| f.path == CRATE_DOC) else { return vec![] };
    let mut out = Vec::new();
    for (at, _) in file.text.match_indices("Guard:") {
        let line = file.text[..at].matches('\n').count() + 1;
        let name = file.text[at..].split('`').nth(1).unwrap_or_default();
        let test = format!("fn {name}()");
        if !files.iter().any(|f| f.ends(&[".rs"]) && f.text.contains(&test)) {
            out.push(file.finding(line, "guards", format!("no test `{name}`"), "name the test that shows it"));
        }
    }
    out
}

#[test]
fn the_table_has_no_circle_and_no_arrow_back() {
    for (at, (room, ..)) in TABLE.iter().enumerate() {
        for name in may_import(room).expect("a row") {
            let place = TABLE.iter().position(|row| row.0 == name);
            assert!(place.is_some_and(|p| p < at || name == *room), "`{room}` -> `{name}` points back or nowhere");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn arrows_back_are_found_however_they_are_written() {
        let bad = "use crate::cmd;\nuse crate::{token::Token, engine::{Event, Note}};\n// crate::ui\n\
                   fn f() { super::world::x() }\n#[cfg(test)]\nmod tests {\n    use crate::engine;\n}\n";
        let deep = "use super::load;\nuse super::super::plan::Step;\nuse super::rules;\n";
        let files = [("xtask/src/plan.rs", bad), ("xtask/src/fleet/load.rs", deep), ("xtask/src/misc.rs", "")];
        let want = [
            "xtask/src/plan.rs:1 imports: `plan` must not know `cmd`",
            "xtask/src/plan.rs:2 imports: `plan` must not know `engine`",
            "xtask/src/plan.rs:4 imports: `plan` must not know `world`",
            "xtask/src/fleet/load.rs:2 imports: `fleet` must not know `plan`",
            "xtask/src/misc.rs:1 imports: no room `misc` in the table",
        ];
        check(arrows, &files, &want);
    }

    #[test]
    fn a_crate_outside_of_its_room_is_found() {
        let files =
            [("xtask/src/plan.rs", "use std::fmt;\nuse duct::cmd;\n"), ("xtask/src/world/host.rs", "use duct::cmd;")];
        check(crates, &files, &["xtask/src/plan.rs:2 crates: `duct` is named outside of xtask/src/world/host"]);
    }

    #[test]
    fn a_guard_must_be_a_test_that_exists() {
        let doc = "//! 1. It holds. Guard: `here`.\n//! 2. Does it? Guard: `nowhere`.\n";
        let files = [(CRATE_DOC, doc), ("tests/it/a.rs", "fn here() {}")];
        check(guards_exist, &files, &["xtask/src/lib.rs:2 guards: no test `nowhere`"]);
    }
}
