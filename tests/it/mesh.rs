//! `mesh-connect`: plan, overlays, and repeated runs.

use std::collections::BTreeSet;
use std::path::Path;

use model::token::Token;
use plan::mesh::{self, MeshScope};
use plan::{Plan, bootstrap, text};
use tool::helm::Helm;
use tool::{Exit, Output};

use crate::fixtures::bootstrapped;
use crate::golden;
use crate::ui::Repo;

mod choice;
mod cut;
mod faults;
mod flags;
mod moves;
mod proofs;
mod sizes;

/// Questions and acts for a fleet where every cluster answers.
pub fn whole(path: &str, helm: Helm) -> Plan {
    let (fleet, releases) = golden::load(path);
    let scope = MeshScope::all(&fleet);
    let mut files = render::files(&fleet, &releases, &golden::data()).unwrap_or_else(|p| panic!("{p:#?}"));
    let peers = render::mesh::files(&fleet, &scope.addresses(&fleet), &files);
    files.extend(peers.unwrap_or_else(|p| panic!("{p:#?}")));
    let bootstrap = bootstrap::plan(&fleet, &releases, files.clone(), helm);
    let before =
        mesh::whole(mesh::survey::plan(&fleet, &scope), mesh::readdress::plan(&fleet, bootstrap, &scope.clusters));
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
    let diagnosis = mesh::survey::whole(&fleet, &releases, &MeshScope::all(&fleet));
    let more = diagnosis.steps.iter().filter(|s| plan.step(&s.id).is_none());
    let more: String = more.map(|s| text::print_step(s) + "\n").collect();
    golden::snapshot(folder, "mesh-connect-diagnose.plan", &more, &mut seen);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let there = golden::files_below(&here.join("snapshots").join(folder));
    let stale: Vec<_> = there.iter().filter(|p| !seen.contains(p.strip_prefix(here).expect("below"))).collect();
    assert!(stale.is_empty(), "stale snapshots, delete them: {stale:#?}");
}

#[test]
fn three_clusters_are_connected() {
    snapshots("mesh", "infra/fleet.toml", &["/cilium/mesh.yaml", "/cilium/meshed.yaml"]);
}

#[test]
fn only_linked_pairs_are_connected() {
    snapshots("pairs", "tests/fleets/pairs.toml", &["/cilium/mesh.yaml"]);
}

#[test]
fn bootstrap_keeps_cilium_peers() {
    let plan = golden::plan("infra/fleet.toml", Helm::V4);
    let step = plan.step("app1/cilium").expect("a step");
    let ours = "0".repeat(32);
    let completed = |want: &plan::Expect| want.complete(|_: Token<'_>| Some(ours.clone())).expect("known").into_owned();
    let other = "f".repeat(32);
    let objects: String = step.done_when.want.rows().iter().map(|row| format!("{row}   1   5m\n")).collect();
    let row = |state: &str, rest: &str| {
        let stdout = format!(
            "{objects}kube-system   secret/sh.helm.release.v1.cilium.v2   helm.sh/release.v1   1   5m   2   {state}   {rest}\n"
        );
        Output { stdout, ..Output::of(Exit::Code(0)) }
    };
    let chosen = |output: &Output| match completed(&step.done_when.want).holds(&step.done_when.ask, output) {
        true => "kept",
        false => step
            .remedies
            .iter()
            .find(|c| completed(&c.when).holds(&step.done_when.ask, output))
            .map_or("act", |c| c.name),
    };
    let chart = "cilium-1.20.2";
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
    let keeping = step.remedies.iter().find(|c| c.name == "in a mesh").expect("a case");
    assert!(keeping.act[1].args.iter().any(|a| a == "--reset-then-reuse-values"));
    assert!(keeping.act[1].args.iter().any(|a| a.contains(",archipelago/mesh=kept,")));
    assert!(bootstrap::KUBECONFIG.ends_with("config.yaml"));
}

impl Repo {
    fn unchanged(&self, line: &str) {
        let ran = self.must(line);
        assert!(ran.err.contains("nothing to do"), "{line}\n{}", ran.err);
    }

    fn peers(&self, cluster: &str) -> Vec<String> {
        let state = self.state_json();
        let releases = &state["state"]["vms"][format!("{cluster}-cp")]["guest"]["control"]["Made"]["releases"];
        let cilium = releases.as_array().expect("releases").iter().filter(|r| r["name"] == "cilium");
        let newest = cilium.max_by_key(|r| r["number"].as_u64()).expect("a release");
        let peers = newest["values"]["clustermesh"]["config"]["clusters"].as_object();
        peers.into_iter().flatten().map(|(name, _)| name.clone()).collect()
    }
}

#[test]
fn second_mesh_connect_and_bootstrap_change_nothing() {
    let repo = bootstrapped();
    repo.must("mesh-connect --simulate --full");
    for line in ["mesh-connect --simulate", "bootstrap --simulate", "mesh-connect --simulate"] {
        repo.unchanged(line);
        let events = repo.must(&format!("{line} --format json")).out;
        assert!(!events.contains("\"mutates\":true"), "{line}\n{events}");
    }
}
