//! Traffic through the mesh is tested: requests, nodes, secrets, metrics, logs.

use serde_json::Value;
use sim::{Condition, SimState};

use crate::fixtures::{bootstrapped, connected};

/// What is withheld, and the step that must not hold then.
type Withheld = (fn(&mut SimState), &'static str);

const WITHHELD: [Withheld; 6] = [
    (|s| s.inject("app1", Condition::CutOff("external-secrets".into())), "app1/mesh/secrets"),
    (|s| s.inject("app2", Condition::CutOff("prometheus-agent".into())), "app2/mesh/metrics"),
    (|s| s.inject("app1", Condition::CutOff("promtail".into())), "app1/mesh/logs"),
    (|s| s.inject("app2", Condition::PacketsLost), "app2/mesh/to-vault"),
    (|s| s.inject("app2", Condition::MissingRemoteNode), "app2/mesh/nodes"),
    (|s| s.inject("app1", Condition::Unsynced), "app1/mesh/connected"),
];

#[test]
fn failed_traffic_test_saves_a_sysdump() {
    let repo = bootstrapped();
    let state = repo.state();
    for (fault, step) in WITHHELD {
        repo.set_state(&state);
        repo.edit_stage(fault);
        let ran = repo.run("mesh-connect --simulate");
        assert_eq!(ran.code, 1, "{step}\n{}", ran.err);
        assert!(ran.err.contains(&format!("step `{step}` failed")), "{step}\n{}", ran.err);
        let (_, saved) = ran.err.split_once("Saved sysdump out/simulation/").unwrap_or_default();
        let file = saved.lines().next().expect("a name");
        assert!(repo.simulated(file).exists() && file.ends_with(".zip"), "{step}: `{file}`\n{}", ran.err);
    }
}

#[test]
fn figures_are_printed_for_each_workload_cluster() {
    let repo = bootstrapped();
    let ran = repo.must("mesh-connect --simulate --full");
    for cluster in ["app1", "app2"] {
        let figures = "secret store ready, 42 samples of up in five minutes, 42 log lines in five minutes";
        assert!(ran.err.contains(&format!("Received from {cluster}: {figures}")), "{}", ran.err);
    }
    for pair in ["mgmt and app1", "mgmt and app2", "app1 and app2"] {
        assert!(ran.err.contains(&format!("Passed {pair}")), "{}", ran.err);
    }
    let ran = repo.must("mesh-connect --simulate --format json");
    let event = ran.out.lines().find(|line| line.contains("\"event\":\"mesh\"")).expect("an event");
    let event: Value = serde_json::from_str(event).expect("JSON");
    assert_eq!(event["figures"]["app2"]["samples of up in five minutes"], 42);
    assert_eq!((&event["figures"]["app1"]["secret store ready"], &event["links"]), (&Value::Bool(true), &3.into()));
}

#[test]
fn full_test_names_its_log() {
    let repo = connected();
    repo.edit_stage(|s| s.inject("app2", Condition::ConnectivityTestFails));
    let ran = repo.run("mesh-connect --simulate --full");
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("Passed mgmt and app1"), "{}", ran.err);
    for pair in ["mgmt-app2", "app1-app2"] {
        assert!(ran.err.contains(&format!("out/simulation/sysdump-{pair}.zip")), "{}", ran.err);
        assert!(repo.simulated(&format!("sysdump-{pair}.zip")).exists(), "{pair}");
    }
}
