//! `upgrade` in the simulator: order, refusals, what it leaves unchanged.
#![expect(clippy::disallowed_methods, reason = "tests write fleets and simulated state")]

use serde_json::{Value, json};

use crate::fixtures::{bootstrapped, connected};
use crate::golden;
use crate::ui::{Repo, settings};

fn pinned(repo: &Repo, version: &str) {
    let pause = if version.starts_with("1.35.") { "3.10.1" } else { "3.10.2" };
    let text = golden::read("infra/fleet.toml").replace("1.35.7", version).replace("3.10.1", pause);
    std::fs::write(repo.root().join("to.toml"), text).expect("written");
}

/// What was run, by step: each command that changes something.
fn acts(out: &str) -> Vec<(String, String)> {
    let events = out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    events.filter(|e| e["mutates"] == json!(true)).map(|e| (text(&e["step"]), text(&e["command"]))).collect()
}

#[test]
fn upgrade_plan_matches_its_snapshot() {
    let ran = Repo::new().run("plan upgrade --full --only app1/current");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let ours = |step: &str| {
        let id = step.split(' ').next().unwrap_or_default();
        let what = id.rsplit('/').next().unwrap_or_default();
        id.starts_with("app1/")
            && (id.matches('/').count() == 2 || ["nodes", "allowed", "etcd", "current"].contains(&what))
    };
    let steps: Vec<&str> = ran.out.split("\n\n").filter(|step| ours(step)).collect();
    settings().bind(|| insta::assert_snapshot!("upgrade.plan", steps.join("\n\n")));
}

#[test]
fn a_cluster_of_one_node_is_down_while_it_is_drained() {
    let repo = Repo::new();
    let text = golden::read("infra/fleet.toml");
    let (before, app1) = text.split_once("name = \"app1\"").expect("app1");
    let (own, _) = app1.split_once("[[cluster.node]]\nname = \"w1\"").expect("a worker");
    let one = format!("{before}name = \"app1\"{}", own.replace("memory = \"3G\"", "memory = \"6G\""));
    std::fs::write(repo.root().join("one.toml"), &one).expect("written");
    std::fs::write(repo.root().join("to.toml"), one.replace("1.35.7", "1.35.8")).expect("written");
    repo.must("up --simulate --fleet one.toml");
    let warning = "     Warning app1-cp is the only node of app1: its pods are down while it is drained\n";
    let ran = repo.must("upgrade --simulate --fleet to.toml");
    assert_eq!(ran.err.matches("is the only node of").count(), ran.err.matches(warning).count());
    assert!(ran.err.contains(warning), "{}", ran.err);
}

#[test]
fn matching_versions_are_unchanged() {
    let repo = connected();
    let ran = repo.run("upgrade --simulate --format json");
    assert_eq!((ran.code, acts(&ran.out)), (0, vec![]), "{}", ran.err);
}

#[test]
fn nodes_are_upgraded_in_order_platform_first() {
    let repo = connected();
    pinned(&repo, "1.35.8");
    let ran = repo.run("upgrade --simulate --fleet to.toml");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let printed: Vec<&str> = ran.err.lines().filter(|line| line.trim_start().starts_with("Changes")).collect();
    settings().bind(|| insta::assert_snapshot!("upgrade-changes", printed.join("\n")));
    let repo = connected();
    pinned(&repo, "1.35.8");
    let acts = acts(&repo.run("upgrade --simulate --fleet to.toml --format json").out);
    let nodes = ["mgmt/cp", "mgmt/w1", "app1/cp", "app1/w1", "app2/cp", "app2/w1"];
    let of: Vec<&str> = acts.iter().filter_map(|(step, _)| nodes.into_iter().find(|n| step.starts_with(n))).collect();
    let mut order = of.clone();
    order.dedup();
    assert_eq!(order, nodes, "no node is touched before the one before it is done");
    let at = |step: &str, part: &str| {
        let found = acts.iter().position(|(id, command)| id == step && command.contains(part));
        found.unwrap_or_else(|| panic!("{step}: {part}: {acts:#?}"))
    };
    let way = [
        at("app1/cp/kubeadm", "node-prep kubeadm"),
        at("app1/cp/control-plane", "node-upgrade v1.35.8"),
        at("app1/cp/drain", "annotate"),
        at("app1/cp/drain", " drain "),
        at("app1/cp/kubelet", "node-prep"),
        at("app1/cp/restart", "restart kubelet"),
        at("app1/cp/uncordon", " uncordon "),
        at("app1/w1/kubeadm", "node-prep kubeadm"),
        at("app1/w1/drain", " drain "),
        at("app1/w1/kubelet", "kubeadm upgrade node"),
        at("app1/w1/uncordon", "archipelago/upgrade-"),
        at("app2/cp/kubeadm", "node-prep kubeadm"),
    ];
    assert!(way.is_sorted(), "{way:?}");
    // Draining the platform recreated the pod of Vault, and a new one is sealed.
    assert!(at("mgmt/vault/unseal", "unseal") < at("app1/cp/kubeadm", "node-prep kubeadm"));
    repo.must("status --simulate --fleet to.toml");
    let again = repo.run("upgrade --simulate --fleet to.toml --format json");
    assert_eq!((again.code, self::acts(&again.out)), (0, vec![]));
    repo.must("doctor --simulate --fleet to.toml");
}

/// A new kubelet must not run beside an old API server.
#[test]
fn bootstrap_upgrades_no_node() {
    let repo = bootstrapped();
    pinned(&repo, "1.35.8");
    let ran = repo.run("bootstrap --simulate --fleet to.toml -q --only */prep --format json");
    assert_eq!((ran.code, acts(&ran.out)), (1, vec![]), "{}", ran.err);
    assert!(ran.err.contains("cargo xtask upgrade"), "{}", ran.err);
    assert!(repo.run("doctor --simulate --fleet to.toml").out.contains("cargo xtask upgrade --simulate"));
}

#[test]
fn the_next_minor_needs_a_containerd_that_it_runs_on() {
    let repo = connected();
    pinned(&repo, "1.36.4");
    repo.must("fleet check --fleet to.toml");
    repo.edit_vms(|vms| vms["app2-w1"]["guest"]["containerd"] = json!("1.7.28"));
    let ran = repo.run("upgrade --simulate --fleet to.toml --format json");
    assert_eq!((ran.code, acts(&ran.out)), (1, vec![]), "nothing is touched on any cluster");
    let why = "expected a version in >=2.2.0, got 1.7.28";
    assert!(ran.err.contains(why) && ran.err.contains("--only-upgrade --yes containerd"), "{}", ran.err);
    repo.edit_vms(|vms| vms["app2-w1"]["guest"]["containerd"] = json!("2.2.1"));
    let ran = repo.run("upgrade --simulate --fleet to.toml --format json");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(acts(&ran.out).iter().any(|(step, did)| step == "app2/w1/kubelet" && did.contains("kubeadm upgrade node")));
    repo.must("status --simulate --fleet to.toml");
}

#[test]
fn version_skew_is_refused() {
    for (runs, why) in [
        ("v1.35.9", "expected a version in >=1.34.0, <=1.35.7, got 1.35.9"),
        ("v1.33.4", "expected a version in >=1.34.0, <=1.35.7, got 1.33.4"),
    ] {
        let repo = connected();
        repo.edit_vms(|vms| vms["app2-cp"]["guest"]["control"]["Made"]["version"] = json!(runs));
        let ran = repo.run("upgrade --simulate --format json");
        assert_eq!((ran.code, acts(&ran.out)), (1, vec![]), "nothing is touched on any cluster: {runs}");
        assert!(ran.err.contains(why) && ran.err.contains("app2/allowed"), "{}", ran.err);
    }
}

/// The first moved pod would lose the agent's backlog.
#[test]
fn cluster_with_undelivered_samples_is_not_drained() {
    let repo = bootstrapped();
    pinned(&repo, "1.35.8");
    let ran = repo.run("upgrade --simulate --fleet to.toml --format json");
    assert_eq!(ran.code, 1, "it was never connected");
    assert!(ran.err.contains("app1/cp/delivered"), "{}", ran.err);
    let acts = acts(&ran.out);
    assert!(acts.iter().any(|(step, _)| step == "mgmt/w1/uncordon"), "the platform sends to itself: {acts:?}");
    assert!(!acts.iter().any(|(step, _)| step.ends_with("/drain") && step.starts_with("app")), "{acts:?}");
    assert!(!acts.iter().any(|(step, _)| step.starts_with("app2/cp/kubeadm")), "the next cluster waits");
}

#[test]
fn manually_cordoned_node_stays_cordoned() {
    let repo = connected();
    pinned(&repo, "1.35.8");
    repo.edit_vms(|vms| vms["app1-cp"]["guest"]["control"]["Made"]["cordoned"] = json!(["app1-w1"]));
    let ran = repo.run("upgrade --simulate --fleet to.toml --format json");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let acts = acts(&ran.out);
    let has = |part: &str| acts.iter().any(|(_, command)| command.contains(part));
    assert!(has(" drain app1-cp") && !has(" drain app1-w1") && !has("uncordon app1-w1"), "{acts:?}");
    let state = repo.state_json();
    let cluster = &state["state"]["vms"]["app1-cp"]["guest"]["control"]["Made"];
    assert_eq!((&cluster["cordoned"], &cluster["annotations"]), (&json!(["app1-w1"]), &json!({})));
}

#[test]
fn bare_pods_and_budgets_block_a_drain() {
    let repo = connected();
    pinned(&repo, "1.35.8");
    let bare = json!({ "kind": "Pod", "metadata": { "name": "mine", "namespace": "sample" }, "spec": { "nodeName": "app1-cp" } });
    repo.edit_vms(|vms| vms["app1-cp"]["guest"]["control"]["Made"]["objects"]["pod/sample/mine"] = bare);
    let ran = repo.run("upgrade --simulate --fleet to.toml -q");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("declare no controller (use --force to override): sample/mine"), "{}", ran.err);
    let budget = json!({ "metadata": { "name": "b", "namespace": "sample" },
        "spec": { "minAvailable": 9, "selector": { "matchLabels": { "app": "sample" } } } });
    repo.edit_vms(|vms| {
        let objects = &mut vms["app1-cp"]["guest"]["control"]["Made"]["objects"];
        objects.as_object_mut().expect("objects").remove("pod/sample/mine");
        objects["poddisruptionbudget/sample/b"] = budget;
    });
    let ran = repo.run("upgrade --simulate --fleet to.toml -q");
    assert!(ran.code == 1 && ran.err.contains("global timeout reached: 300s"), "{}", ran.err);
    repo.edit_vms(|vms| {
        let objects = &mut vms["app1-cp"]["guest"]["control"]["Made"]["objects"];
        objects.as_object_mut().expect("objects").remove("poddisruptionbudget/sample/b");
    });
    let ran = repo.run("upgrade --simulate --fleet to.toml -q");
    assert_eq!(ran.code, 0, "and goes on when the obstacle is gone: {}", ran.err);
}

#[test]
fn slow_steps_of_upgrade_start_and_mesh_connect_show_their_cause() {
    let repo = connected();
    pinned(&repo, "1.35.8");
    let pending = |repo: &Repo, vm: &str, namespace: &str| {
        let pod = json!({ "kind": "Pod", "metadata": { "name": "mine", "namespace": namespace }, "spec": {},
            "status": { "phase": "Pending" } });
        let key = format!("pod/{namespace}/mine");
        repo.edit_vms(|vms| vms[vm]["guest"]["control"]["Made"]["objects"][key] = pod);
    };
    pending(&repo, "mgmt-cp", "monitoring");
    let ran = repo.run("upgrade --simulate --fleet to.toml");
    let slow = |part: &str| ran.err.lines().any(|line| line.contains("Still running") && line.contains(part));
    assert!(slow("mgmt/cp/uncordon (mine Pending"), "{}", ran.err);
    let repo = connected();
    repo.edit_vms(|vms| vms["app1-cp"]["power"] = json!("Stuck"));
    let ran = repo.run("start --simulate");
    let cause = "; cause: info failed: ssh connection failed: 'No route to host'";
    assert!(ran.code == 1 && ran.err.contains(cause), "{}", ran.err);
    let repo = connected();
    pending(&repo, "app2-cp", "kube-system");
    repo.edit_stage(|stage| stage.inject("app2", sim::Condition::Unsynced));
    let ran = repo.run("mesh-connect --simulate");
    assert!(ran.code == 1 && ran.err.contains("; cause: mine Pending"), "{}", ran.err);
}

/// Found by a sweep: kubeadm renews the certificate that kubelets are shown, and by a late clock it is not valid
/// yet.
#[test]
fn worker_with_a_late_clock_accepts_a_renewed_certificate() {
    let repo = connected();
    pinned(&repo, "1.35.8");
    repo.delay_clock("app2-w1", 6 * 3600);
    let ran = repo.run("upgrade --simulate --fleet to.toml -q");
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[test]
fn nodes_with_older_scripts_get_current_ones() {
    let repo = bootstrapped();
    repo.edit_vms(|vms| {
        let guest = &mut vms["app1-w1"]["guest"];
        guest["files"]["/usr/local/sbin/node-state"] = json!("older");
        guest["scripts"] = json!("");
    });
    assert!(repo.run("doctor --simulate").out.contains("app1-w1: older scripts"));
    let ran = repo.must("bootstrap --simulate --format json");
    let acts = acts(&ran.out);
    assert!(acts.iter().all(|(step, _)| step == "app1/w1/prep") && acts[0].1.contains("sudo awk"), "{acts:?}");
    assert!(!repo.run("bootstrap --simulate --format json").out.contains("\"running\""));
}

#[test]
fn single_node_is_upgraded_in_place() {
    let repo = Repo::new();
    let two = golden::read("tests/fleets/one.toml").replace("memory = \"4G\"", "memory = \"8G\"");
    let one = two.split_once("\n[[cluster.node]]\nname = \"w1\"").expect("a worker").0;
    std::fs::write(repo.root().join("one.toml"), one).expect("written");
    std::fs::write(repo.root().join("to.toml"), one.replace("1.35.7", "1.35.8")).expect("written");
    repo.must("bootstrap --simulate -q --fleet one.toml");
    let ran = repo.must("upgrade --simulate --fleet to.toml --format json");
    let acts = acts(&ran.out);
    let has = |part: &str| acts.iter().any(|(_, command)| command.contains(part));
    assert!(has("node-upgrade v1.35.8") && has("restart kubelet") && !has(" drain ") && !has("cordon"), "{acts:?}");
}
