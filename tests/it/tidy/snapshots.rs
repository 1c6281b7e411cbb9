//! Snapshots show values as they are: no filter, no redaction, no file without a test, nothing unaccepted.

use super::{File, Finding};

pub(super) fn unfiltered(files: &[File]) -> Vec<Finding> {
    let mut out = Vec::new();
    for file in files.iter().filter(|f| f.below(&["tests/", "xtask/"]) && f.ends(&[".rs"]) && !f.is_tidy_itself()) {
        for (line, text) in file.lines() {
            for word in ["add_filter", "set_filters", "filters =>", "add_redaction", "redactions"] {
                if text.contains(word) {
                    out.push(file.finding(line, "snapshots", format!("`{word}`"), "make the value pure instead"));
                }
            }
        }
    }
    out
}

pub(super) fn accepted(files: &[File]) -> Vec<Finding> {
    let mut out = Vec::new();
    for file in files.iter().filter(|f| f.ends(&[".snap", ".snap.new", ".pending-snap"])) {
        let source = file.text.lines().find_map(|line| line.strip_prefix("source: "));
        if !file.ends(&[".snap"]) {
            out.push(file.finding(1, "snapshots", "not accepted", "accept it or remove it"));
        } else if !source.is_some_and(|source| files.iter().any(|f| f.path == source || f.path.ends_with(source))) {
            let what = format!("no such test file: {}", source.unwrap_or("no `source:`"));
            out.push(file.finding(1, "snapshots", what, "remove it"));
        }
    }
    out
}

#[test]
fn filtered_stale_and_unaccepted_snapshots_are_found() {
    let files = [
        ("tests/it/a.rs", "s.add_filter(\"x\", \"y\");"),
        ("tests/snapshots/x.snap", "---\nsource: tests/it/a.rs\n---\n"),
        ("tests/snapshots/y.snap", "---\nsource: tests/it/gone.rs\n---\n"),
        ("tests/snapshots/z.snap.new", ""),
    ];
    super::check(unfiltered, &files, &["tests/it/a.rs:1 snapshots: `add_filter`"]);
    let want = [
        "tests/snapshots/y.snap:1 snapshots: no such test file: tests/it/gone.rs",
        "tests/snapshots/z.snap.new:1 snapshots: not accepted",
    ];
    super::check(accepted, &files, &want);
}
