//! Helm 3 and 4: downloads, installs, and what a killed one leaves.
//! Knows nothing of the other tools.

use super::*;

const UP: &str = "helm upgrade --install cilium out/charts/cilium-1.20.0.tgz --kubeconfig app1.yaml \
    --namespace kube-system --values - --labels archipelago/chart=cilium-1.20.0,archipelago/values=abc";
const ROWS: &str = "kubectl --kubeconfig app1.yaml get secrets --all-namespaces \
    --selector owner=helm,name=cilium,status!=superseded \
    --label-columns name,version,status,archipelago/chart,archipelago/values --no-headers";

fn rows(scene: &mut Scene) -> Vec<Vec<String>> {
    let out = scene.ok(ROWS);
    out.lines().map(|l| l.split_whitespace().skip(5).map(str::to_owned).collect()).collect()
}

fn labelled(level: &str) -> String {
    let labels = format!("pod-security.kubernetes.io/enforce: {level}");
    format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: kube-system, labels: {{{labels}}}}}}}")
}

fn scene() -> Scene {
    let mut scene = Scene::clustered();
    scene.pull_cilium();
    scene
}

#[test]
fn a_release_is_installed_once_and_nodes_become_ready() {
    let mut scene = scene();
    assert!(scene.fed(UP, "{}").ok());
    assert_eq!(rows(&mut scene), [["cilium", "1", "deployed", "cilium-1.20.0", "abc"]]);
    let wait = "kubectl --kubeconfig app1.yaml wait --for condition=Ready nodes --all --timeout 5m";
    scene.ok(wait);
    scene.ok("kubectl --kubeconfig app1.yaml rollout status daemonset/cilium --namespace kube-system --timeout 5m");
    scene.ok("kubectl --kubeconfig app1.yaml wait --for create crd/ciliumloadbalancerippools.cilium.io --timeout 60s");
    scene.ok("kubectl --kubeconfig app1.yaml rollout status deployment/coredns --namespace kube-system --timeout 5m");
    let status = scene.ok("cilium status --output json --interactive=false");
    assert!(status.contains("\"tunnel-protocol\": \"vxlan\"") && status.contains("\"errors\": {}"));
    assert!(scene.fed(UP, "{}").ok());
    assert_eq!(rows(&mut scene)[0][1], "2");
    assert!(scene.world.unknown().is_empty(), "{:?}", scene.world.unknown());
}

#[test]
fn a_wrong_api_address_keeps_the_agents_down() {
    let mut scene = scene();
    assert!(scene.fed(UP, "{k8sServiceHost: 10.9.9.9}").ok());
    scene.no("kubectl --kubeconfig app1.yaml wait --for condition=Ready nodes --all --timeout 5m", 1, "timed out");
}

#[test]
fn waiting_names_what_is_not_ready_and_leaves_failed() {
    let mut scene = scene();
    let apply = "kubectl --kubeconfig app1.yaml apply --server-side --filename -";
    scene.fed(apply, &labelled("baseline"));
    let wait = format!("{UP} --wait --timeout 20s");
    scene.no_fed(
        &wait,
        "{}",
        1,
        "resource DaemonSet/kube-system/cilium not ready. status: InProgress, message: Current: 0/1",
    );
    assert_eq!(rows(&mut scene)[0][2], "failed");
    scene.fed(apply, &labelled("privileged"));
    assert!(scene.fed(&format!("{UP} --wait --timeout 5m"), "{}").ok());
    assert_eq!(rows(&mut scene)[1][2], "deployed");
}

#[test]
fn killed_in_the_first_install_only_uninstall_helps() {
    let mut scene = scene();
    let task = scene.start(UP, "{}");
    scene.pass(3);
    scene.world.kill(task, true);
    scene.end(task);
    assert_eq!(rows(&mut scene)[0][2], "pending-install");
    scene.no_fed(UP, "{}", 1, "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress");
    scene.no("helm rollback cilium --namespace kube-system", 1, "release has no 0 version");
    scene.ok("helm uninstall cilium --namespace kube-system");
    assert!(scene.fed(UP, "{}").ok());
}

#[test]
fn killed_in_an_upgrade_rollback_helps_and_labels_stick() {
    let mut scene = scene();
    assert!(scene.fed(UP, "{}").ok());
    let bare = UP.split(" --labels").next().unwrap();
    let task = scene.start(bare, "{}");
    scene.pass(3);
    scene.no_fed(UP, "{}", 1, "another operation");
    scene.world.kill(task, true);
    scene.end(task);
    assert_eq!(rows(&mut scene)[1][2..], ["pending-upgrade", "cilium-1.20.0", "abc"]);
    scene.ok("helm rollback cilium --namespace kube-system");
    assert_eq!(rows(&mut scene).last().unwrap()[1..3], ["3", "deployed"]);
    assert!(scene.fed(UP, "{}").ok());
    let task = scene.start(UP, "{}");
    scene.pass(3);
    scene.world.kill(task, false);
    let output = scene.end(task);
    assert!(output.stdout.contains("Release cilium has been cancelled.") && output.exit == Exit::Code(1));
    assert_eq!(rows(&mut scene).last().unwrap()[2], "failed");
    assert!(scene.fed(UP, "{}").ok());
}

/// Someone rolls back while an upgrade is under way, and ends first: the newest stays the one in force (upstream).
#[test]
fn an_upgrade_that_ends_late_leaves_a_later_revision_deployed() {
    let mut scene = scene();
    assert!(scene.fed(UP, "{}").ok());
    let late = scene.start(UP, "{}");
    scene.pass(1);
    scene.ok("helm rollback cilium --namespace kube-system");
    assert!(scene.end(late).ok());
    let rows = rows(&mut scene);
    assert_eq!(rows.last().unwrap()[1..3], ["3", "deployed"]);
}

/// Told to stop while it wrote other values: Helm 3 leaves what those wrote, until a rollback takes it off. Helm 4 does
/// not (both measured).
#[test]
fn what_a_cancelled_upgrade_wrote_stays_with_helm_3() {
    for (version, stays) in [("4.1.4", false), ("3.18.0", true)] {
        let mut scene = scene();
        scene.world.stage_mut().machine.tools.insert("helm".into(), version.into());
        assert!(scene.fed(UP, "{}").ok());
        let task = scene.start(UP, "{nodeSelector: {gone: 'yes'}}");
        scene.pass(3);
        scene.world.kill(task, false);
        scene.end(task);
        let wait = format!("{UP} --wait --timeout 5m");
        assert_eq!(scene.fed(&wait, "{}").ok(), !stays, "Helm {version}");
        if stays {
            scene.no_fed(&wait, "{}", 1, "Error: UPGRADE FAILED: context deadline exceeded");
            scene.ok("helm rollback cilium 1 --namespace kube-system");
            assert!(scene.fed(&wait, "{}").ok());
        }
    }
}

/// A rollback and an uninstall that are killed, however politely, stay where they were (upstream).
#[test]
fn a_killed_rollback_or_uninstall_can_be_begun_again() {
    for (verb, left) in [("rollback", "pending-rollback"), ("uninstall", "uninstalling")] {
        let mut scene = scene();
        for _ in 0..2 {
            assert!(scene.fed(UP, "{}").ok());
        }
        let line = format!("helm {verb} cilium --kubeconfig app1.yaml --namespace kube-system");
        let task = scene.start(&line, "");
        scene.pass(3);
        scene.world.kill(task, false);
        scene.end(task);
        assert_eq!(rows(&mut scene).last().unwrap()[2], left);
        assert!(!scene.fed(UP, "{}").ok(), "nobody can upgrade it in that state");
        scene.ok(&line);
        assert!(scene.fed(UP, "{}").ok());
    }
}

#[test]
fn deleting_the_pending_secret_unlocks_too() {
    let mut scene = scene();
    let task = scene.start(UP, "{}");
    scene.pass(3);
    scene.world.kill(task, true);
    scene.ok("kubectl --kubeconfig app1.yaml delete secret --namespace kube-system \
         --selector owner=helm,name=cilium,status=pending-install");
    assert!(scene.fed(UP, "{}").ok());
}

#[test]
fn the_server_may_go_away_under_a_running_helm() {
    let mut scene = scene();
    let task = scene.start(UP, "{}");
    scene.pass(2);
    let now = scene.world.now();
    scene.world.stage_mut().halt("app1-cp", now);
    let output = scene.end(task);
    assert!(output.stderr.contains("kubernetes cluster unreachable"), "{output:?}");
    scene.ok("multipass start app1-cp");
    scene.pass(60);
    assert_eq!(rows(&mut scene)[0][2], "pending-install");
}

#[test]
fn what_helm_refuses_is_refused() {
    let mut scene = scene();
    scene.no_fed(
        &UP.replace("1.20.0.tgz", "1.20.9.tgz"),
        "",
        1,
        "Error: path \"out/charts/cilium-1.20.9.tgz\" not found",
    );
    scene.no_fed(&UP.replace("kube-system", "nons"), "", 1, "namespaces \"nons\" not found");
    scene.no_fed(UP, "a: [", 1, "failed to parse -: error converting YAML to JSON");
    scene.no_fed(&UP.replace("archipelago/chart=", "status="), "", 1, "system reserved label name");
    scene.no_fed(&format!("{UP} --atomic"), "", 1, "Error: unknown flag: --atomic");
    scene.no_fed(
        UP,
        "gatewayAPI: {enabled: true, gatewayClass: {create: 'true'}}",
        1,
        "no matches for kind \"GatewayClass\"",
    );
    scene.no("helm frob", 1, "unknown command \"frob\"");
    scene.no(
        "helm pull nosuch --repo https://helm.cilium.io --version 1.0.0",
        1,
        "chart \"nosuch\" version \"1.0.0\" not found",
    );
    scene.no("helm pull oci://ghcr.io/nobody/cilium --version 1.0.0", 1, "ghcr.io/nobody/cilium:1.0.0: not found");
    scene.disk.0.borrow_mut().0.insert("bad.tgz".into(), b"<html>".to_vec());
    scene.no("helm upgrade --install x bad.tgz --kubeconfig app1.yaml", 1, "does not appear to be a gzipped archive");
}

#[test]
fn helm_3_knows_other_flags_and_hides_pending() {
    let mut machine = Machine::default();
    machine.tools.insert("helm".into(), "3.18.0".into());
    let mut scene = Scene::on(machine, Faults::none());
    assert_eq!(scene.ok("helm version --template {{.Version}}"), "v3.18.0");
    for flag in ["--rollback-on-failure", "--force-conflicts", "--server-side=true"] {
        scene.no(&format!("{UP} {flag}"), 1, "Error: unknown flag: --");
    }
    scene.no(&format!("{UP} --atomic"), 1, "Error: Kubernetes cluster unreachable");
}

#[test]
fn digests_are_those_that_are_published_unless_the_file_is_damaged() {
    let mut scene = scene();
    let path = "own sha256 out/charts/cilium-1.20.0.tgz";
    assert_eq!(scene.ok(path).trim(), "c5f013912360d1a334f44ef25f36da59ba3414cdb48f466ee12d0c4fdff27883");
    scene.disk.0.borrow_mut().0.insert("out/charts/cilium-1.20.0.tgz".into(), b"half".to_vec());
    assert_eq!(scene.ok(path).trim(), pki::sha256(b"half"));
    scene.no("own sha256 nothing", 1, "no such file");
    scene.no("own mint x", 2, "not the world's");
    assert!(scene.ok("own machine").contains("memory_bytes"));
    let ip = scene.ip("app1-cp");
    scene.ok(&format!("own dial {ip} 22"));
    scene.no(&format!("own dial {ip} 80"), 1, "refused");
    scene.no("own dial 192.168.252.200 22", 1, "no route");
}
