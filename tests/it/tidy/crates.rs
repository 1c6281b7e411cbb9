//! Dependency ceiling and licences of every crate.

use super::tree;

/// Every alternative that a crate offers must be among them.
const LICENCES: &[&str] =
    &["MIT", "Apache-2.0", "LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Unicode-3.0", "Unlicense", "Zlib"];

fn unaccepted(licence: &str) -> Vec<&str> {
    let words = licence.split(|c: char| c.is_whitespace() || "()/".contains(c)).filter(|w| !w.is_empty());
    words.filter(|w| !["OR", "AND", "WITH"].contains(w) && !LICENCES.contains(w)).collect()
}

/// `Ceiling: 79 crates` in an ADR.
fn ceiling(record: &str) -> Option<usize> {
    record.split_once("Ceiling: ")?.1.split(' ').next()?.parse().ok()
}

#[test]
fn first_build_stays_within_its_dependency_ceiling() {
    let records = tree::files().into_iter().filter(|f| f.below(&["adr/"]));
    let ceilings = records.filter_map(|f| Some((ceiling(&f.text)?, f.path)));
    let [(ceiling, record)] =
        <[_; 1]>::try_from(ceilings.collect::<Vec<_>>()).expect("one ADR has `Ceiling: N crates`");
    let crates = tree::crates("xtask", "normal,build");
    let names: Vec<&str> = crates.iter().map(|(name, _)| name.as_str()).collect();
    let list = names.join(", ");
    assert!(names.len() <= ceiling, "{} crates, {record} allows {ceiling}; give the reason there: {list}", names.len());
    let parsers = names.iter().filter(|name| name.starts_with("syn ")).count();
    assert_eq!(parsers, 1, "one `syn` is enough: {list}");
}

#[test]
fn every_licence_is_permissive() {
    let crates = tree::crates("tests", "normal,build,dev");
    let bad: Vec<String> = crates
        .iter()
        .filter(|(_, licence)| licence.is_empty() || !unaccepted(licence).is_empty())
        .map(|(name, licence)| format!("{name}: `{licence}`"))
        .collect();
    assert!(crates.len() > 50 && bad.is_empty(), "of {} crates: {}", crates.len(), bad.join(", "));
}

#[test]
fn licence_expressions_are_read_word_by_word() {
    assert!(unaccepted("(Apache-2.0 OR MIT) AND BSD-3-Clause").is_empty());
    assert!(unaccepted("Apache-2.0 WITH LLVM-exception OR MIT/Zlib").is_empty());
    assert_eq!(unaccepted("MIT OR GPL-3.0-only"), ["GPL-3.0-only"]);
    assert_eq!(ceiling("* Ceiling: 61 crates, one `syn`."), Some(61));
}
