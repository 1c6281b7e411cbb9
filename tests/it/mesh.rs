//! `mesh-connect` whole: its plan and overlays as snapshots, what each fault is told as, and what a run leaves.
//! Knows nothing of how answers are judged; every command runs in this process, in the embedded world.

use std::collections::BTreeSet;
use std::path::Path;

use model::token::Token;
use plan::mesh::{self, Scope};
use plan::{Plan, bootstrap, check, text};
use sim::{MemoryDisk, Rehearsal, Stage};
use tool::helm::Helm;
use tool::{Exit, Output};

use crate::ui::{Place, Ran};
use crate::{golden, story};

mod choice;
mod cut;
mod faults;
mod flags;
mod moves;
mod proofs;
mod sizes;

/// Questions and acts for a fleet where every cluster answers.
fn whole(path: &str, helm: Helm) -> Plan {
    let (fleet, releases) = golden::load(path);
    let scope = Scope::all(&fleet);
    let mut files = render::files(&fleet, &releases, &golden::data()).unwrap_or_else(|p| panic!("{p:#?}"));
    let peers = render::mesh::files(&fleet, &scope.addresses(&fleet), &files);
    files.extend(peers.unwrap_or_else(|p| panic!("{p:#?}")));
    let bootstrap = bootstrap::plan(&fleet, &releases, files.clone(), helm);
    let before = mesh::whole(mesh::survey::plan(&fleet, &scope), mesh::home::plan(&fleet, bootstrap, &scope.clusters));
    mesh::whole(before, mesh::plan(&fleet, &releases, files, helm, &scope))
}

fn snapshots(folder: &str, fleet: &str, files: &[&str]) {
    let plan = whole(fleet, Helm::V4);
    let mut seen = BTreeSet::new();
    golden::snapshot(folder, "mesh-connect.plan", &text::print(&plan), &mut seen);
    for (path, text) in plan.files.iter().filter(|(path, _)| files.iter().any(|end| path.ends_with(end))) {
        golden::snapshot(folder, path, text, &mut seen);
    }
    let (fleet, releases) = golden::load(fleet);
    let diagnosis = mesh::survey::whole(&fleet, &releases, &Scope::all(&fleet));
    let more = diagnosis.steps.iter().filter(|s| plan.step(&s.id).is_none());
    let more: String = more.map(|s| text::print_step(s) + "\n").collect();
    golden::snapshot(folder, "mesh-connect-diagnose.plan", &more, &mut seen);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let there = golden::files_below(&here.join("snapshots").join(folder));
    let stale: Vec<_> = there.iter().filter(|p| !seen.contains(p.strip_prefix(here).expect("below"))).collect();
    assert!(stale.is_empty(), "stale snapshots, delete them: {stale:#?}");
}

#[test]
fn three_clusters_know_each_other() {
    snapshots("mesh", "infra/fleet.toml", &["/cilium/mesh.yaml", "/cilium/meshed.yaml"]);
}

#[test]
fn linked_pairs_alone() {
    snapshots("pairs", "tests/fleets/pairs.toml", &["/cilium/mesh.yaml"]);
}

#[test]
fn the_mesh_plan_is_sound() {
    for fleet in ["infra/fleet.toml", "tests/fleets/pairs.toml", "tests/fleets/wide.toml"] {
        for helm in [Helm::V3, Helm::V4] {
            assert_eq!(check::check(&whole(fleet, helm)), Vec::<String>::new(), "{fleet}");
        }
    }
}

/// Which case a bootstrap takes for a row of a release: one that is in a mesh stays in it.
#[test]
fn a_bootstrap_does_not_disconnect() {
    let plan = golden::plan("infra/fleet.toml", Helm::V4);
    let step = plan.step("app1/cilium").expect("a step");
    let ours = "0".repeat(32);
    let completed = |want: &plan::Want| want.complete(|_: Token<'_>| Some(ours.clone())).expect("known").into_owned();
    let other = "f".repeat(32);
    let row = |state: &str, rest: &str| {
        let stdout = format!(
            "kube-system   sh.helm.release.v1.cilium.v2   helm.sh/release.v1   1   5m   2   {state}   {rest}\n"
        );
        Output { stdout, ..Output::of(Exit::Code(0)) }
    };
    let chosen = |output: &Output| match completed(&step.done_when.want).holds(output) {
        true => "kept",
        false => step.instead.iter().find(|c| completed(&c.when).holds(output)).map_or("act", |c| c.name),
    };
    let chart = "cilium-1.20.0";
    for (state, rest, want) in [
        ("deployed", format!("{chart}   {ours}   2"), "kept"),
        ("deployed", format!("{chart}   {ours}   2   {other}"), "kept"),
        ("deployed", format!("{chart}   {other}   2   {other}"), "in a mesh"),
        ("deployed", format!("{chart}   {other}   2   kept"), "in a mesh"),
        ("failed", format!("{chart}   {ours}   2   {other}"), "in a mesh"),
        ("deployed", format!("{chart}   {other}   2"), "act"),
        ("deployed", format!("{chart}   {ours}   1   {other}"), "changed by hand in a mesh"),
        ("deployed", format!("{chart}   {ours}   1"), "changed by hand"),
        ("pending-upgrade", format!("{chart}   {ours}   2   {other}"), "pending upgrade of a mesh"),
        ("pending-upgrade", format!("{chart}   {ours}   2"), "pending upgrade"),
        ("pending-install", format!("{chart}   {ours}   2"), "pending install"),
    ] {
        assert_eq!(chosen(&row(state, &rest)), want, "{state} {rest}");
    }
    let keeping = step.instead.iter().find(|c| c.name == "in a mesh").expect("a case");
    assert!(keeping.act[1].args.iter().any(|a| a == "--reset-then-reuse-values"));
    assert!(keeping.act[1].args.iter().any(|a| a.contains(",archipelago/mesh=kept,")));
    assert!(bootstrap::KUBECONFIG.ends_with("config.yaml"));
}

/// A place with a story in it.
struct Scene {
    place: Place,
}

impl Scene {
    /// After these commands, each of which must go well.
    fn after(commands: &[&str]) -> Self {
        let (place, rest) = match commands {
            ["bootstrap --simulate", "mesh-connect --simulate", rest @ ..] => (story::connected(), rest),
            ["bootstrap --simulate", rest @ ..] => (story::brought_up(), rest),
            rest => (Place::new(), rest),
        };
        let scene = Scene { place };
        rest.iter().for_each(|line| drop(scene.well(line)));
        scene
    }

    fn well(&self, line: &str) -> Ran {
        let ran = self.place.run(line);
        assert_eq!(ran.code, 0, "{line}\n{}", ran.err);
        ran
    }

    /// Nothing is left to do.
    fn rests(&self, line: &str) {
        let ran = self.well(line);
        assert!(ran.err.contains("nothing to do"), "{line}\n{}", ran.err);
    }

    #[expect(clippy::disallowed_methods, reason = "a test arranges the story between two commands")]
    fn story(&self) -> String {
        std::fs::read_to_string(self.place.root().join("out/simulation/world.json")).expect("a story")
    }

    #[expect(clippy::disallowed_methods, reason = "a test arranges the story between two commands")]
    fn tell(&self, story: &str) {
        std::fs::write(self.place.root().join("out/simulation/world.json"), story).expect("a story");
    }

    /// Whether a file is below the folder that a rehearsal writes to.
    fn holds(&self, file: &str) -> bool {
        self.place.root().join("out/simulation").join(file).exists()
    }

    /// The peers that a cluster's release names.
    fn peers(&self, cluster: &str) -> Vec<String> {
        let story: serde_json::Value = serde_json::from_str(&self.story()).expect("JSON");
        let releases = &story["stage"]["vms"][format!("{cluster}-cp")]["guest"]["control"]["Made"]["releases"];
        let cilium = releases.as_array().expect("releases").iter().filter(|r| r["name"] == "cilium");
        let newest = cilium.max_by_key(|r| r["number"].as_u64()).expect("a release");
        let peers = newest["values"]["clustermesh"]["config"]["clusters"].as_object();
        peers.into_iter().flatten().map(|(name, _)| name.clone()).collect()
    }

    fn arrange(&self, change: impl FnOnce(&mut Stage)) {
        let mut world = Rehearsal::load(&self.story(), Box::new(MemoryDisk::default())).expect("a story");
        change(world.stage_mut());
        self.tell(&world.save());
    }
}

#[test]
fn a_second_run_changes_nothing_and_a_bootstrap_keeps_the_mesh() {
    let scene = Scene::after(&["bootstrap --simulate"]);
    let first = scene.place.run("mesh-connect --simulate --full");
    assert_eq!(first.code, 0, "{}", first.err);
    for line in ["mesh-connect --simulate", "bootstrap --simulate", "mesh-connect --simulate"] {
        scene.rests(line);
        let events = scene.well(&format!("{line} --format json")).out;
        assert!(!events.contains("\"mutates\":true"), "{line}\n{events}");
    }
}

#[test]
fn killed_anywhere_it_arrives() {
    let scene = Scene { place: Place::new() };
    scene.well("simulate --command mesh-connect --seeds 1..12");
}
