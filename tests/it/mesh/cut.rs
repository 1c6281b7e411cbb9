//! An answer that is cut off under a bootstrap of connected clusters, and what the next `mesh-connect` makes of it.
//! Knows nothing of how answers are judged. Found by `rehearse --command upgrade`, a seed with two cut answers.

use std::collections::BTreeMap;

use camino::Utf8Path;
use xtask::cmd::drive::drive;
use xtask::engine::{Engine, Outcome};
use xtask::plan::Plan;
use xtask::plan::choose::{Choice, choose};
use xtask::tools::helm::Helm;
use xtask::workspace::Workspace;
use xtask::world::rehearsal::{Faults, Kind, Rehearsal};

use super::Scene;
use crate::folder::Folder;
use crate::golden;

/// Brings up the Cilium release of one cluster, with what goes wrong.
fn installs(scene: &Scene, plan: &Plan, story: &str, faults: Faults) -> (Rehearsal, Outcome) {
    let out = Utf8Path::new("out/rehearsal");
    let open = || Workspace::open(scene.place.root(), out).fleeting();
    let mut world = Rehearsal::load(story, Box::new(Folder(open()))).expect("a story");
    world.with_faults(faults);
    let only = Choice { only: vec!["app1/cilium".to_owned()], ..Choice::default() };
    let engine = Engine::new(plan, choose(plan, &only).expect("a step"), BTreeMap::new(), 8);
    let outcome = drive(plan, engine, &mut world, &mut open(), &mut |_, _| {});
    (world, outcome)
}

/// Half a table of revisions has no row of the release, or none with its peers: an upgrade then takes the cluster out of
/// the mesh. Its labels must say so, or nobody would connect it again.
#[test]
fn a_cut_answer_takes_no_peer_away_unseen() {
    let scene = Scene::after(&["bootstrap --rehearse -q", "mesh-connect --rehearse -q"]);
    let (plan, story) = (golden::plan("infra/fleet.toml", Helm::V4), scene.story());
    let (calm, outcome) = installs(&scene, &plan, &story, Faults::scouting());
    assert!(outcome.done.is_empty() && outcome.failed.is_empty(), "{outcome:?}");
    let asks = |command: &str| command.contains("kube/app1.yaml") && command.contains("get secrets");
    let cuts = calm.faults().struck().iter().filter(|s| s.kind == Kind::Cut && asks(&s.command));
    let mut taken = 0;
    for cut in cuts {
        let (world, _) = installs(&scene, &plan, &story, Faults::single(cut.point, Kind::Cut));
        scene.tell(&world.save());
        taken += usize::from(scene.peers("app1").is_empty());
        scene.well("mesh-connect --rehearse -q");
        assert_eq!(scene.peers("app1"), ["app2", "mgmt"], "{}", cut.command);
    }
    assert!(taken > 0, "no cut was of consequence");
}
