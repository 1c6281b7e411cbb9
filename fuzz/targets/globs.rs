//! Any text behind `--only`, `--skip` and `--until`: steps, or a problem of bounded length.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use model::fleet::{self, Compatibility};
use plan::Plan;
use plan::choose::{Choice, choose};
use plan::mesh::{Scope, survey};

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let known = Compatibility::load("c.toml", include_str!("../../infra/compatibility.toml")).expect("in order");
    let fleet = fleet::load("f.toml", include_str!("../../infra/fleet.toml"), &known).expect("in order");
    survey::plan(&fleet, &Scope::all(&fleet))
});

fuzz_target!(|globs: (&str, &str, &str)| {
    let list = |glob: &str| if glob.is_empty() { vec![] } else { vec![glob.to_owned()] };
    let wish = Choice { only: list(globs.0), skip: list(globs.1), until: list(globs.2) };
    if let Err(problems) = choose(&PLAN, &wish) {
        assert!(problems.iter().all(|problem| problem.what.len() < 2_000));
    }
});
