//! That the mesh is shown to carry what it is for: requests, counts of nodes, secrets, metrics and logs.
//! Knows nothing of how it was connected.

use serde_json::Value;
use sim::{Mishap, Stage};

use super::Scene;

/// What is withheld, and the step that must not hold then.
type Withheld = (fn(&mut Stage), &'static str);

const WITHHELD: [Withheld; 6] = [
    (|s| s.befall("app1", Mishap::Withholds("external-secrets".into())), "app1/mesh/secrets"),
    (|s| s.befall("app2", Mishap::Withholds("prometheus-agent".into())), "app2/mesh/metrics"),
    (|s| s.befall("app1", Mishap::Withholds("promtail".into())), "app1/mesh/logs"),
    (|s| s.befall("app2", Mishap::Lossy), "app2/mesh/to-vault"),
    (|s| s.befall("app2", Mishap::Forgets), "app2/mesh/nodes"),
    (|s| s.befall("app1", Mishap::Unsynced), "app1/mesh/connected"),
];

#[test]
fn each_proof_can_fail_and_leaves_a_sysdump() {
    let scene = Scene::after(&["bootstrap --simulate"]);
    let story = scene.story();
    for (fault, step) in WITHHELD {
        scene.tell(&story);
        scene.arrange(fault);
        let ran = scene.place.run("mesh-connect --simulate");
        assert_eq!(ran.code, 1, "{step}\n{}", ran.err);
        assert!(ran.err.contains(&format!("step `{step}` failed")), "{step}\n{}", ran.err);
        let (_, kept) = ran.err.split_once("Kept out/simulation/").unwrap_or_default();
        let file = kept.split(',').next().expect("a name");
        assert!(scene.holds(file) && file.ends_with(".zip"), "{step}: `{file}`\n{}", ran.err);
    }
}

#[test]
fn figures_are_told_for_each_workload_cluster() {
    let scene = Scene::after(&["bootstrap --simulate"]);
    let ran = scene.well("mesh-connect --simulate --full");
    for cluster in ["app1", "app2"] {
        let figures = "secret store ready, 42 samples of up in five minutes, 42 log lines in five minutes";
        assert!(ran.err.contains(&format!("Arrived from {cluster}: {figures}")), "{}", ran.err);
    }
    for pair in ["mgmt and app1", "mgmt and app2", "app1 and app2"] {
        assert!(ran.err.contains(&format!("Passed {pair}")), "{}", ran.err);
    }
    let ran = scene.well("mesh-connect --simulate --format json");
    let event = ran.out.lines().find(|line| line.contains("\"event\":\"mesh\"")).expect("an event");
    let event: Value = serde_json::from_str(event).expect("JSON");
    assert_eq!(event["figures"]["app2"]["samples of up in five minutes"], 42);
    assert_eq!((&event["figures"]["app1"]["secret store ready"], &event["links"]), (&Value::Bool(true), &3.into()));
}

#[test]
fn the_long_test_says_where_more_is_kept() {
    let scene = Scene::after(&["bootstrap --simulate", "mesh-connect --simulate"]);
    scene.arrange(|s| s.befall("app2", Mishap::FullTest));
    let ran = scene.place.run("mesh-connect --simulate --full");
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("Passed mgmt and app1"), "{}", ran.err);
    for pair in ["mgmt-app2", "app1-app2"] {
        assert!(ran.err.contains(&format!("out/simulation/sysdump-{pair}.zip")), "{}", ran.err);
        assert!(scene.holds(&format!("sysdump-{pair}.zip")), "{pair}");
    }
}
