//! What a person did to a release behind our back: it is said, explained, and taken back. And how few questions it
//! takes to see it.
//! Knows nothing of how a revision is told apart; the person's commands go to the embedded world as ours do.
#![expect(clippy::disallowed_methods, reason = "tests write into the story of the embedded world")]

mod states;

use std::collections::BTreeMap;

use camino::Utf8Path;
use exec::workspace::Workspace;
use plan::engine::Engine;
use plan::journal;
use sim::{Faults, Rehearsal};
use tool::Event;
use tool::helm::Helm;
use tool::{Call, World};
use tool::{Exit, Output, Tool};
use xtask::cmd::drive::drive;

use crate::daytwo::fleet;
use crate::folder::Folder;
use crate::golden;
use crate::ui::Place;

fn space(place: &Place) -> Workspace {
    Workspace::open(place.root(), Utf8Path::new("out/simulation")).fleeting()
}

fn world(place: &Place) -> Rehearsal {
    let story = std::fs::read_to_string(place.root().join("out/simulation/world.json")).expect("a story");
    Rehearsal::load(&story, Box::new(Folder(space(place)))).expect("a story of ours")
}

/// A person types this.
pub fn types(place: &Place, line: &str) -> Output {
    let mut world = world(place);
    let args = line.split_whitespace().skip(1).map(str::to_owned).collect();
    world.start(Call { task: 1, tool: Tool::Helm, args, stdin: vec![], env: vec![] });
    let output = loop {
        match world.wait(None) {
            Event::Ended(1, output) => break output,
            Event::Interrupt => panic!("nobody interrupts"),
            _ => {}
        }
    };
    std::fs::write(place.root().join("out/simulation/world.json"), world.save()).expect("written");
    output
}

const ON_MGMT: &str = "--kubeconfig out/kube/mgmt.yaml --namespace monitoring";

fn changes(place: &Place, values: &str) {
    let archive = "out/charts/loki-18.11.0.tgz";
    let output = types(place, &format!("helm upgrade --install loki {archive} {ON_MGMT} --reuse-values {values}"));
    assert_eq!(output.exit, Exit::Code(0), "{output:?}");
}

#[test]
fn a_second_bootstrap_reads_all_releases_of_a_cluster_in_one_call() {
    let place = fleet();
    let plan = golden::plan("infra/fleet.toml", Helm::V4);
    let (mut world, mut space) = (world(&place), space(&place));
    world.with_faults(Faults::scouting());
    let facts = journal::read(&space.journal().expect("a journal")).facts;
    let engine = Engine::new(&plan, plan.ids(), facts, 8);
    let outcome = drive(&plan, engine, &mut world, &mut space, &mut |_, _| {});
    assert_eq!(outcome.kept.len(), plan.steps.len(), "{:#?}", outcome.failed.first());
    let mut asked: BTreeMap<&str, std::collections::BTreeSet<u64>> = BTreeMap::new();
    for struck in world.faults().struck() {
        for cluster in ["mgmt", "app1", "app2"] {
            let its = struck.command.contains(&format!("out/kube/{cluster}.yaml"));
            if its && struck.command.contains("owner=helm,status!=superseded") {
                asked.entry(cluster).or_default().insert(struck.point);
            }
        }
    }
    let calls: Vec<(&str, usize)> = asked.into_iter().map(|(cluster, points)| (cluster, points.len())).collect();
    assert_eq!(calls, [("app1", 1), ("app2", 1), ("mgmt", 1)]);
}

#[test]
fn an_upgrade_by_hand_is_told_with_its_keys_and_taken_back() {
    let place = fleet();
    changes(&place, "--set singleBinary.replicas=1,extra.word=hush-hush");
    let status = place.run("status --simulate");
    assert_eq!(status.code, 1);
    let row = status.out.lines().find(|line| line.contains("loki 18.11.0")).expect("a row");
    let words = "changed by hand: revision 2 of monitoring/loki is not ours, unless a repair was cut off; values that \
        differ: extra.word";
    assert!(row.ends_with(words), "{row}");
    let doctor = place.run("doctor --simulate");
    assert!(doctor.code == 1 && doctor.out.contains("values that differ: extra.word"), "{}", doctor.out);
    let again = place.run("bootstrap --simulate");
    assert_eq!(again.code, 0, "{}", again.err);
    let found = "       Found mgmt/loki changed by hand: revision 2 of monitoring/loki is not ours";
    assert!(again.err.contains(found), "{}", again.err);
    assert!(again.err.contains(" 1 done, "), "{}", again.err);
    let values = types(&place, &format!("helm get values loki {ON_MGMT} --output json")).stdout;
    for said in [&status.out, &doctor.out, &again.err, &values] {
        assert!(!said.contains("hush-hush"), "{said}");
    }
    assert_eq!(place.run("status --simulate").code, 0);
}

#[test]
fn a_rollback_by_hand_is_told_although_it_wears_our_labels() {
    let place = fleet();
    changes(&place, "--set extra.word=x");
    assert_eq!(types(&place, &format!("helm rollback loki {ON_MGMT}")).exit, Exit::Code(0));
    let status = place.run("status --simulate");
    let row = status.out.lines().find(|line| line.contains("loki 18.11.0")).expect("a row");
    assert!(
        row.contains("revision 3 of monitoring/loki is not ours") && row.ends_with("; its values are ours"),
        "{row}"
    );
    let again = place.run("bootstrap --simulate");
    assert!(again.code == 0 && again.err.contains("Found mgmt/loki changed by hand: revision 3"), "{}", again.err);
    assert!(place.run("bootstrap --simulate").err.contains("nothing to do"));
}

#[test]
fn a_release_that_was_taken_away_is_installed_anew() {
    let place = fleet();
    assert_eq!(types(&place, &format!("helm uninstall loki {ON_MGMT}")).exit, Exit::Code(0));
    let status = place.run("status --simulate");
    assert!(
        status.out.lines().any(|line| line.contains("loki 18.11.0") && line.ends_with(" missing")),
        "{}",
        status.out
    );
    assert_eq!(place.run("bootstrap --simulate").code, 0);
    assert_eq!(place.run("status --simulate").code, 0);
}

/// A worker that was purged and made anew: its node is the old one to the cluster, and its volumes are folders no more.
#[test]
fn volumes_of_a_vm_that_was_made_anew_get_their_folders_back() {
    let place = fleet();
    crate::daytwo::disturb(&place, |vms| {
        vms.as_object_mut().expect("VMs").remove("mgmt-w1").expect("a worker");
    });
    let ran = place.run("bootstrap --simulate");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let found =
        ran.err.lines().find(|line| line.contains("Found mgmt/w1/volumes gone with its VM")).expect("it is said");
    assert!(found.contains("cannot statx '/opt/local-path-provisioner/pvc-"), "{found}");
    let again = place.run("bootstrap --simulate");
    assert!(again.err.contains("nothing to do"), "{}", again.err);
    assert_eq!(place.run("status --simulate").code, 0);
    let summary = world(&place).summary();
    let ready = summary["mgmt-cp"]["cluster"]["ready"].to_string();
    assert!(ready.contains("monitoring/statefulset/loki") && ready.contains("vault/statefulset/vault"), "{ready}");
}
