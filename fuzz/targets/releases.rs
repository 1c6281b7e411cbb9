//! Any text as `charts/releases.toml`, for the default fleet: a list, or problems that each name the file and a line.
//! What is read is edited as `charts lock` and `charts bump` do.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use charts::lock;
use model::fleet::{self, Compatibility, Fleet};
use model::release;

static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    let known = Compatibility::load("c.toml", include_str!("../../infra/compatibility.toml")).expect("in order");
    fleet::load("f.toml", include_str!("../../infra/fleet.toml"), &known).expect("the fleet is in order")
});

fuzz_target!(|text: &str| {
    match release::load("r.toml", text, &FLEET) {
        Ok(releases) => {
            for name in lock::unlocked(&releases) {
                let _ = lock::lock(text, &releases, &FLEET, &name, &"0".repeat(64));
            }
        }
        Err(problems) => {
            let lines = text.matches('\n').count() + 1;
            for problem in &problems {
                let at = problem.at.as_ref().expect("a place");
                assert!(at.file == "r.toml" && at.line.is_none_or(|line| (1..=lines).contains(&line)), "{problem:?}");
            }
        }
    }
});
