//! A truncated output during a bootstrap of connected clusters (found by seed 15 of upgrades).

use std::collections::BTreeMap;

use camino::Utf8Path;
use exec::driver::drive;
use exec::workspace::Workspace;
use plan::Plan;
use plan::choose::{Choice, choose};
use plan::engine::{Engine, Outcome};
use sim::{Faults, Kind, SimWorld};
use tool::helm::Helm;

use crate::fixtures::connected;
use crate::golden;
use crate::ui::Repo;
use crate::workdir::WorkDir;

/// Brings up the Cilium release of one cluster, with what goes wrong.
fn installs(repo: &Repo, plan: &Plan, state: &str, faults: Faults) -> (SimWorld, Outcome) {
    let out = Utf8Path::new("out/simulation");
    let open = || Workspace::open(repo.root(), out).without_fsync();
    let mut world = SimWorld::load(state, Box::new(WorkDir(open()))).expect("saved state");
    world.with_faults(faults);
    let only = Choice { only: vec!["app1/cilium".to_owned()], ..Choice::default() };
    let engine = Engine::new(plan, choose(plan, &only).expect("a step"), BTreeMap::new(), 8);
    let outcome = drive(plan, engine, &mut world, &mut open(), &mut |_, _| {});
    (world, outcome)
}

fn tables(world: &SimWorld) -> Vec<u64> {
    let asks = |command: &str| command.contains("kube/app1.yaml") && command.contains("get secrets,");
    let injected = world.faults().injected().iter();
    let points: Vec<u64> = injected.filter(|s| s.kind == Kind::Cut && asks(&s.command)).map(|s| s.point).collect();
    assert!(!points.is_empty(), "no command lists the releases");
    points
}

/// Peers stay; or labels show that they are gone: they are sticky, and by those of its peers nothing would connect the
/// cluster again.
#[test]
fn truncated_output_removes_no_peer_unnoticed() {
    let repo = connected();
    let (plan, state) = (golden::plan("infra/fleet.toml", Helm::V4), repo.state());
    let (calm, outcome) = installs(&repo, &plan, &state, Faults::recording());
    assert!(outcome.done.is_empty() && outcome.failed.is_empty(), "{outcome:?}");
    for point in tables(&calm) {
        let (world, _) = installs(&repo, &plan, &state, Faults::single(point, Kind::Cut));
        repo.set_state(&world.save());
        repo.must("mesh-connect --simulate -q");
        assert_eq!(repo.peers("app1"), ["app2", "mgmt"]);
    }
}

#[test]
fn missing_output_triggers_no_upgrade() {
    let repo = connected();
    let (plan, state) = (golden::plan("infra/fleet.toml", Helm::V4), repo.state());
    let (calm, _) = installs(&repo, &plan, &state, Faults::recording());
    for point in tables(&calm) {
        for kind in [Kind::Fail, Kind::FailDone, Kind::Signal, Kind::Hang] {
            let (_, outcome) = installs(&repo, &plan, &state, Faults::single(point, kind));
            let nothing = outcome.done.is_empty() && outcome.failed.is_empty();
            assert!(nothing, "{kind}: {:?} {:?}", outcome.done, outcome.failed);
        }
    }
}
