//! `mesh-connect` whole: its plan and overlays as snapshots, what each fault is told as, and what a run leaves.
//! Knows nothing of how answers are judged; every command runs in this process, in the embedded world.

use std::collections::BTreeSet;
use std::path::Path;

use xtask::plan::mesh::{self, Scope};
use xtask::plan::{Plan, bootstrap, check, text};
use xtask::render;
use xtask::token::Token;
use xtask::tools::helm::Helm;
use xtask::tools::{Exit, Output, Tool};
use xtask::world::rehearsal::{MemoryDisk, Mishap, Rehearsal, Stage};

use crate::golden;
use crate::ui::Place;

/// Questions and acts for a fleet where every cluster answers.
fn whole(path: &str, helm: Helm) -> Plan {
    let (fleet, releases) = golden::load(path);
    let scope = Scope::all(&fleet);
    let mut files = render::files(&fleet, &releases, &golden::data()).unwrap_or_else(|p| panic!("{p:#?}"));
    let peers = render::mesh::files(&fleet, &scope.addresses(&fleet), &files);
    files.extend(peers.unwrap_or_else(|p| panic!("{p:#?}")));
    mesh::whole(mesh::survey::plan(&fleet, &scope), mesh::plan(&fleet, &releases, files, helm, &scope))
}

fn snapshots(folder: &str, fleet: &str, files: &[&str]) {
    let plan = whole(fleet, Helm::V4);
    let mut seen = BTreeSet::new();
    golden::snapshot(folder, "mesh-connect.plan", &text::print(&plan), &mut seen);
    for (path, text) in plan.files.iter().filter(|(path, _)| files.iter().any(|end| path.ends_with(end))) {
        golden::snapshot(folder, path, text, &mut seen);
    }
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

/// Flags of cilium-cli 0.19.7 (`--help`), without those of every command.
const CILIUM: [(&[&str], &[&str]); 5] = [
    (&["version"], &["--client"]),
    (&["status"], &["--ignore-warnings", "--interactive", "--output", "--verbose", "--wait", "--wait-duration"]),
    (&["clustermesh", "status"], &["--output", "--wait", "--wait-duration"]),
    (
        &["connectivity", "test"],
        &["--multi-cluster", "--hubble", "--flow-validation", "--timeout", "--test", "--test-concurrency"],
    ),
    (&["sysdump"], &["--output-filename", "--quick", "--logs-since-time", "--worker-count"]),
];
const CILIUM_GLOBAL: [&str; 5] = ["--context", "--kubeconfig", "--namespace", "--helm-release-name", "--as"];
/// Flags of `helm upgrade`, `rollback` and the rest that 3.18 and 4.1 share, and the one that only 4 knows.
const HELM: [&str; 15] = [
    "--kubeconfig",
    "--namespace",
    "--values",
    "--labels",
    "--history-max",
    "--install",
    "--wait",
    "--timeout",
    "--reset-values",
    "--reset-then-reuse-values",
    "--ignore-not-found",
    "--template",
    "--repo",
    "--version",
    "--destination",
];

#[test]
fn every_flag_is_known_to_the_tools() {
    let cilium = xtask::tools::cilium::Cilium::with("x");
    let mut all = vec![cilium.connectivity("a", "b"), cilium.sysdump("a", "b")];
    for plan in [whole("infra/fleet.toml", Helm::V3), golden::plan("infra/fleet.toml", Helm::V3)] {
        for step in plan.steps {
            all.push(step.done_when.ask);
            all.extend(step.instead.into_iter().flat_map(|case| case.act).chain(step.act).chain(step.undo));
        }
    }
    let known = |tool: Tool, args: &[String]| -> Vec<&str> {
        let begins = |words: &[&str]| words.iter().zip(args).all(|(word, arg)| word == arg);
        let own = CILIUM.iter().find(|(words, _)| begins(words)).map_or(&[][..], |(_, flags)| *flags);
        if tool == Tool::Helm { HELM.to_vec() } else { own.iter().chain(&CILIUM_GLOBAL).copied().collect() }
    };
    let mut count = 0;
    for command in all.iter().filter(|c| [Tool::Helm, Tool::Cilium].contains(&c.tool)) {
        for arg in command.args.iter().filter(|a| a.starts_with('-') && *a != "-") {
            let flag = arg.split('=').next().unwrap_or(arg);
            assert!(known(command.tool, &command.args).contains(&flag), "{flag} in {command}");
            count += 1;
        }
        assert!(!command.args.iter().any(|a| a == "--wait") || command.tool == Tool::Helm, "{command}");
    }
    assert!(count > 100, "{count}");
}

/// Which case a bootstrap takes for a row of a release: one that is in a mesh stays in it.
#[test]
fn a_bootstrap_does_not_disconnect() {
    let plan = golden::plan("infra/fleet.toml", Helm::V4);
    let step = plan.step("app1/cilium").expect("a step");
    let ours = "0".repeat(32);
    let completed = |want: &xtask::plan::Want| want.complete(|_: Token<'_>| Some(ours.clone())).expect("known");
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
        let scene = Scene { place: Place::new() };
        commands.iter().for_each(|line| scene.well(line));
        scene
    }

    fn well(&self, line: &str) {
        let ran = self.place.run(line);
        assert_eq!(ran.code, 0, "{line}\n{}", ran.err);
    }

    #[expect(clippy::disallowed_methods, reason = "a test arranges the story between two commands")]
    fn story(&self) -> String {
        std::fs::read_to_string(self.place.root().join("out/rehearsal/world.json")).expect("a story")
    }

    #[expect(clippy::disallowed_methods, reason = "a test arranges the story between two commands")]
    fn tell(&self, story: &str) {
        std::fs::write(self.place.root().join("out/rehearsal/world.json"), story).expect("a story");
    }

    fn arrange(&self, change: impl FnOnce(&mut Stage)) {
        let mut world = Rehearsal::load(&self.story(), Box::new(MemoryDisk::default())).expect("a story");
        change(world.stage_mut());
        self.tell(&world.save());
    }
}

/// What is arranged, and how the most likely cause begins.
type Fault = (fn(&mut Stage), &'static str);

/// Faults that stop a run before it changes anything.
const IN_THE_WAY: [Fault; 8] = [
    (|s| s.befall("app2", Mishap::OtherAuthority), "mgmt and app2 trust different authorities"),
    (|s| s.befall("app1", Mishap::ClusterId(0)), "app1 runs with cluster id 0, the fleet says 2"),
    (
        |s| s.befall("app2", Mishap::PodRanges("10.101.0.0/16".parse().expect("a network"))),
        "pod ranges overlap: 10.101.0.0/24 of app1-cp and 10.101.0.0/24 of app2-cp",
    ),
    (|s| s.befall("app1", Mishap::Port(32379)), "mgmt and app1 have the same mesh port: 32379"),
    (
        |s| s.befall("app2", Mishap::Tunnel("geneve".into())),
        "clusters carry packets in different ways: tunnel geneve on app2; tunnel vxlan on mgmt, app1",
    ),
    (|s| s.befall("app1", Mishap::NoAgents), "app1 has no Cilium agent"),
    (|s| s.befall("app2", Mishap::Clock(300)), "clocks are 30"),
    (|s| s.befall("app2", Mishap::NoCertificates), "app2 has no certificates for its peers yet"),
];

/// Faults that a run gets around, mends or shows.
const OTHERS: [Fault; 4] = [
    (|s| s.switch_off("app2-cp"), "app2 is away: its API server does not answer"),
    (|s| s.interrupt_upgrade("app1", "cilium"), "the Cilium release of app1 is stuck: pending-upgrade"),
    (|s| s.move_worker("app1-w1"), "mgmt looks for app1 at an old address: "),
    (|s| s.befall("app1", Mishap::Deaf), "KVStoreMesh of app1 is not connected with mgmt"),
];

#[test]
fn each_fault_has_its_own_sentence() {
    let scene = Scene::after(&["bootstrap --rehearse", "mesh-connect --rehearse"]);
    let story = scene.story();
    let good = scene.place.run("mesh-connect --rehearse --diagnose");
    assert!(good.err.contains("the mesh is as the fleet says"), "{}", good.err);
    for (fault, sentence) in IN_THE_WAY.iter().chain(&OTHERS) {
        scene.tell(&story);
        scene.arrange(fault);
        let ran = scene.place.run("mesh-connect --rehearse --diagnose");
        let cause = ran.err.lines().find(|l| l.starts_with("error: most likely cause: ")).unwrap_or_default();
        assert!(cause.contains(&format!("most likely cause: {sentence}")), "{sentence}\n{}", ran.err);
        assert_eq!(ran.code, 1, "{sentence}");
    }
    for (fault, sentence) in &IN_THE_WAY {
        scene.tell(&story);
        scene.arrange(fault);
        let ran = scene.place.run("mesh-connect --rehearse");
        assert!(ran.code == 1 && ran.err.contains(&format!("error: {sentence}")), "{sentence}\n{}", ran.err);
        assert!(ran.err.contains("nothing was changed") && !ran.err.contains("Started"), "{sentence}\n{}", ran.err);
    }
}

#[test]
fn a_second_run_changes_nothing_and_a_bootstrap_keeps_the_mesh() {
    let scene = Scene::after(&["bootstrap --rehearse"]);
    let first = scene.place.run("mesh-connect --rehearse --full");
    assert_eq!(first.code, 0, "{}", first.err);
    for said in ["from app1: ", "from app2: ", "mgmt, app1, app2: 3 links", "Passed app1 and app2"] {
        assert!(first.err.contains(said), "{said}\n{}", first.err);
    }
    for line in ["mesh-connect --rehearse", "bootstrap --rehearse", "mesh-connect --rehearse"] {
        let again = scene.place.run(line);
        assert!(again.code == 0 && again.err.contains("nothing to do"), "{line}\n{}", again.err);
    }
}

#[test]
fn a_cluster_that_is_away_is_skipped_and_joins_later() {
    let scene = Scene::after(&["bootstrap --rehearse"]);
    scene.arrange(|s| s.switch_off("app2-cp"));
    let ran = scene.place.run("mesh-connect --rehearse");
    assert!(ran.code == 0 && ran.err.contains("Skipping app2 is away"), "{}", ran.err);
    assert!(ran.err.contains("Connected mgmt, app1: 1 link"), "{}", ran.err);
    scene.well("bootstrap --rehearse");
    let ran = scene.place.run("mesh-connect --rehearse");
    assert!(ran.code == 0 && ran.err.contains("mgmt, app1, app2: 3 links"), "{}", ran.err);
}

#[test]
fn addresses_that_drifted_and_a_half_upgrade_are_mended() {
    let scene = Scene::after(&["bootstrap --rehearse", "mesh-connect --rehearse"]);
    for fault in [|s: &mut Stage| s.move_worker("app1-w1"), |s: &mut Stage| s.interrupt_upgrade("app1", "cilium")] {
        scene.arrange(fault);
        let ran = scene.place.run("mesh-connect --rehearse");
        assert!(ran.code == 0 && ran.err.contains("/mesh/peers in "), "{}", ran.err);
        let ran = scene.place.run("mesh-connect --rehearse");
        assert!(ran.code == 0 && ran.err.contains("nothing to do"), "{}", ran.err);
    }
}

#[test]
fn what_does_not_arrive_fails_with_a_cause_and_a_sysdump() {
    let scene = Scene::after(&["bootstrap --rehearse"]);
    scene.arrange(|s| s.befall("app2", Mishap::Lossy));
    let ran = scene.place.run("mesh-connect --rehearse");
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("step `app2/mesh/to-vault` failed"), "{}", ran.err);
    assert!(ran.err.contains("Kept out/sysdump-"), "{}", ran.err);
}

#[test]
fn only_names_clusters() {
    let scene = Scene::after(&["bootstrap --rehearse"]);
    let ran = scene.place.run("mesh-connect --rehearse --only app1,app2");
    assert!(ran.code == 0 && ran.err.contains("Connected app1, app2: 1 link"), "{}", ran.err);
    let ran = scene.place.run("mesh-connect --rehearse --only app1,ap2");
    assert!(ran.code == 2 && ran.err.contains("the fleet has no cluster `ap2`"), "{}", ran.err);
    let ran = scene.place.run("mesh-connect --rehearse --only app1");
    assert!(ran.code == 2 && ran.err.contains("a mesh needs two clusters"), "{}", ran.err);
}

#[test]
fn killed_anywhere_it_arrives() {
    let scene = Scene { place: Place::new() };
    scene.well("rehearse --command mesh-connect --seeds 1..12");
}
