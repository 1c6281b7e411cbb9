//! Any text as `infra/fleet.toml`: a fleet, or problems that each name the file and one of its lines.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use model::fleet::{self, Compatibility};
use xtask::ui::problem;
use xtask::ui::shell::Paint;

static KNOWN: LazyLock<Compatibility> = LazyLock::new(|| {
    Compatibility::load("c.toml", include_str!("../../infra/compatibility.toml")).expect("the table is in order")
});

fuzz_target!(|text: &str| {
    let Err(problems) = fleet::load("f.toml", text, &KNOWN) else { return };
    let lines = text.matches('\n').count() + 1;
    assert!(!problems.is_empty());
    for problem in &problems {
        let at = problem.at.as_ref().expect("a place");
        assert!(at.file == "f.toml" && at.line.is_none_or(|line| (1..=lines).contains(&line)), "{problem:?}");
    }
    let said = problem::all(&problems, Paint::default());
    assert!(!said.contains(|c: char| c.is_control() && c != '\n'), "{said:?}");
});
