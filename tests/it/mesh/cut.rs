//! An answer that is cut off under a bootstrap of connected clusters, and what the next `mesh-connect` makes of it.
//! Knows nothing of how answers are judged. Found by seed 15 of `simulate --command upgrade`.

use std::collections::BTreeMap;

use camino::Utf8Path;
use exec::workspace::Workspace;
use plan::Plan;
use plan::choose::{Choice, choose};
use plan::engine::{Engine, Outcome};
use sim::{Faults, Kind, Rehearsal};
use tool::helm::Helm;
use xtask::cmd::drive::drive;

use super::Scene;
use crate::folder::Folder;
use crate::golden;

/// Brings up the Cilium release of one cluster, with what goes wrong.
fn installs(scene: &Scene, plan: &Plan, story: &str, faults: Faults) -> (Rehearsal, Outcome) {
    let out = Utf8Path::new("out/simulation");
    let open = || Workspace::open(scene.place.root(), out).fleeting();
    let mut world = Rehearsal::load(story, Box::new(Folder(open()))).expect("a story");
    world.with_faults(faults);
    let only = Choice { only: vec!["app1/cilium".to_owned()], ..Choice::default() };
    let engine = Engine::new(plan, choose(plan, &only).expect("a step"), BTreeMap::new(), 8);
    let outcome = drive(plan, engine, &mut world, &mut open(), &mut |_, _| {});
    (world, outcome)
}

/// Points at which the table of revisions is asked for.
fn tables(world: &Rehearsal) -> Vec<u64> {
    let asks = |command: &str| command.contains("kube/app1.yaml") && command.contains("get secrets");
    let struck = world.faults().struck().iter();
    let points: Vec<u64> = struck.filter(|s| s.kind == Kind::Cut && asks(&s.command)).map(|s| s.point).collect();
    assert!(!points.is_empty(), "nobody asks");
    points
}

/// The story with nothing but Cilium's own rows in the table of a cluster, so that a cut goes through them.
fn alone(story: &str) -> String {
    let mut story: serde_json::Value = serde_json::from_str(story).expect("JSON");
    let releases = &mut story["stage"]["vms"]["app1-cp"]["guest"]["control"]["Made"]["releases"];
    releases.as_array_mut().expect("releases").retain(|release| release["name"] == "cilium");
    story.to_string()
}

/// Half a table has no row of the release, or none with its peers: an upgrade then takes the cluster out of the mesh.
/// Its labels must say so: they are sticky, and by those of its peers nobody would connect it again.
#[test]
fn a_cut_answer_takes_no_peer_away_unseen() {
    let scene = Scene::after(&["bootstrap --simulate -q", "mesh-connect --simulate -q"]);
    let (plan, whole) = (golden::plan("infra/fleet.toml", Helm::V4), scene.story());
    let story = alone(&whole);
    let (calm, outcome) = installs(&scene, &plan, &story, Faults::scouting());
    assert!(outcome.done.is_empty() && outcome.failed.is_empty(), "{outcome:?}");
    for point in tables(&calm) {
        let (world, _) = installs(&scene, &plan, &story, Faults::single(point, Kind::Cut));
        scene.tell(&world.save());
        assert!(scene.peers("app1").is_empty(), "the cut was of no consequence");
        scene.well("mesh-connect --simulate -q");
        assert_eq!(scene.peers("app1"), ["app2", "mgmt"]);
    }
}

/// Whoever gets no answer does not take it for an empty table.
#[test]
fn no_answer_is_no_reason_to_upgrade() {
    let scene = Scene::after(&["bootstrap --simulate -q", "mesh-connect --simulate -q"]);
    let (plan, story) = (golden::plan("infra/fleet.toml", Helm::V4), scene.story());
    let (calm, _) = installs(&scene, &plan, &story, Faults::scouting());
    for point in tables(&calm) {
        for kind in [Kind::Fail, Kind::FailDone, Kind::Signal, Kind::Hang] {
            let (_, outcome) = installs(&scene, &plan, &story, Faults::single(point, kind));
            let nothing = outcome.done.is_empty() && outcome.failed.is_empty();
            assert!(nothing, "{kind}: {:?} {:?}", outcome.done, outcome.failed);
        }
    }
}
