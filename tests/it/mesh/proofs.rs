//! Traffic through the mesh is tested: requests, nodes, secrets, metrics, logs.

use serde_json::{Value, json};
use sim::{Condition, SimState};

use crate::fixtures::{bootstrapped, connected};
use crate::manual_changes::types;

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

/// Names of annotations, new and old, and their defaults (upstream: `pkg/annotation`).
#[test]
fn a_service_reaches_other_clusters_as_its_annotations_say() {
    let repo = connected();
    let state = repo.state();
    let curl = "kubectl --kubeconfig out/kube/app1.yaml exec --namespace sample deployment/sample -- curl \
                http://thanos-receive.monitoring.svc.cluster.local:19291/";
    let [global, older] = ["service.cilium.io/global", "io.cilium/global-service"];
    let [shared, older_shared] = ["service.cilium.io/shared", "io.cilium/shared-service"];
    let both = json!({ global: "true" });
    for (here, there, arrives) in [
        (json!({ global: "true", shared: "false" }), both.clone(), true),
        (json!({ older: "True" }), json!({ older: "true" }), true),
        (json!({}), both.clone(), false),
        (json!({ shared: "true" }), both.clone(), false),
        // The first name counts, whatever the older one says.
        (json!({ global: "false", older: "true" }), both.clone(), false),
        (both.clone(), json!({ global: "true", shared: "false" }), false),
        (both.clone(), json!({ older: "true", older_shared: "false" }), false),
        (both, json!({}), false),
    ] {
        repo.set_state(&state);
        repo.edit_vms(|vms| {
            let objects = &mut vms["app1-cp"]["guest"]["control"]["Made"]["objects"];
            objects["service/monitoring/thanos-receive"]["metadata"]["annotations"] = here.clone();
            let releases = vms["mgmt-cp"]["guest"]["control"]["Made"]["releases"].as_array_mut().expect("releases");
            for release in releases.iter_mut().filter(|release| release["name"] == "thanos") {
                release["values"]["receive"]["service"]["annotations"] = there.clone();
            }
        });
        let answer = types(&repo, curl);
        assert_eq!(answer.ok(), arrives, "{here} and {there}: {answer:?}");
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
