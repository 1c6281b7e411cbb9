//! One answer to every question of `status`, `doctor` and the mesh: judged, and told without moving a cursor.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use model::fleet::{self, Compatibility, Fleet};
use mesh::{self, Survey};
use plan::Plan;
use plan::mesh::{Scope, survey};
use plan::survey::overview::overview;
use plan::survey::{Answer, Answers, State};
use model::release::{self, Releases};
use tool::{Exit, Output};
use xtask::ui::problem;
use xtask::ui::shell::Paint;

struct Wanted {
    fleet: Fleet,
    releases: Releases,
    scope: Scope,
    asked: Plan,
}

static WANTED: LazyLock<Wanted> = LazyLock::new(|| {
    let known = Compatibility::load("c.toml", include_str!("../../infra/compatibility.toml")).expect("in order");
    let fleet = fleet::load("f.toml", include_str!("../../infra/fleet.toml"), &known).expect("in order");
    let releases = release::load("r.toml", include_str!("../../charts/releases.toml"), &fleet).expect("in order");
    let scope = Scope::all(&fleet);
    let asked = survey::plan(&fleet, &scope);
    Wanted { fleet, releases, scope, asked }
});

fuzz_target!(|input: (bool, &str)| {
    let (ok, stdout) = input;
    let Wanted { fleet, releases, scope, asked } = &*WANTED;
    let output = Output { stdout: stdout.to_owned(), ..Output::of(Exit::Code(i32::from(!ok))) };
    let nodes = fleet.clusters.iter().flat_map(|c| c.nodes.iter().map(move |n| format!("{}/{}", c.name, n.name)));
    let ids = nodes.flat_map(|node| ["launch", "prep", "join", "init"].map(|step| format!("{node}/{step}")));
    let ids = ids.chain(fleet.clusters.iter().map(|c| format!("{}/nodes", c.name)));
    let state = if ok { State::So } else { State::Unknown("x".into()) };
    let answer = Answer { at: Duration::ZERO, output: Some(output.clone()), state };
    let answers: Answers = ids.map(|id| (id, answer.clone())).collect();
    let _ = xtask::ui::status::json(&overview(fleet, releases, &answers), &contract::Report::default());
    let answers = asked.steps.iter().map(|step| (step.id.clone(), output.clone())).collect();
    let found = mesh::judge(&Survey { fleet, scope, answers: &answers, facts: &BTreeMap::new() });
    let problems: Vec<_> = found.into_iter().map(|finding| finding.problem).collect();
    let said = problem::all(&problems, Paint::default());
    assert!(!said.contains(|c: char| c.is_control() && c != '\n'), "{said:?}");
});
