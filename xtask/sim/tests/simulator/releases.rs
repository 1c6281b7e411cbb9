//! Helm 3 and 4: downloads, installs, and interrupted runs.

use super::*;

const UP: &str = "helm upgrade --install cilium out/charts/cilium-1.20.0.tgz --kubeconfig app1.yaml \
    --namespace kube-system --values - --labels archipelago/chart=cilium-1.20.0,archipelago/values=abc";
const ROWS: &str = "kubectl --kubeconfig app1.yaml get secrets --all-namespaces \
    --selector owner=helm,name=cilium,status!=superseded \
    --label-columns name,version,status,archipelago/chart,archipelago/values --no-headers";

fn rows(sim: &mut Fixture) -> Vec<Vec<String>> {
    let out = sim.ok(ROWS);
    out.lines().map(|l| l.split_whitespace().skip(5).map(str::to_owned).collect()).collect()
}

fn labelled(level: &str) -> String {
    let labels = format!("pod-security.kubernetes.io/enforce: {level}");
    format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: kube-system, labels: {{{labels}}}}}}}")
}

fn fixture() -> Fixture {
    let mut sim = Fixture::with_control_plane();
    sim.pull_cilium();
    sim
}

#[test]
fn a_release_is_installed_once_and_nodes_become_ready() {
    let mut sim = fixture();
    assert!(sim.run_with_stdin(UP, "{}").ok());
    assert_eq!(rows(&mut sim), [["cilium", "1", "deployed", "cilium-1.20.0", "abc"]]);
    let wait = "kubectl --kubeconfig app1.yaml wait --for condition=Ready nodes --all --timeout 5m";
    sim.ok(wait);
    sim.ok("kubectl --kubeconfig app1.yaml rollout status daemonset/cilium --namespace kube-system --timeout 5m");
    sim.ok("kubectl --kubeconfig app1.yaml wait --for create crd/ciliumloadbalancerippools.cilium.io --timeout 60s");
    sim.ok("kubectl --kubeconfig app1.yaml rollout status deployment/coredns --namespace kube-system --timeout 5m");
    let status = sim.ok("cilium status --output json --interactive=false");
    assert!(status.contains("\"tunnel-protocol\": \"vxlan\"") && status.contains("\"errors\": {}"));
    assert!(sim.run_with_stdin(UP, "{}").ok());
    assert_eq!(rows(&mut sim)[0][1], "2");
    assert!(sim.world.unknown().is_empty(), "{:?}", sim.world.unknown());
}

#[test]
fn a_wrong_api_address_keeps_the_agents_down() {
    let mut sim = fixture();
    assert!(sim.run_with_stdin(UP, "{k8sServiceHost: 10.9.9.9}").ok());
    sim.fails("kubectl --kubeconfig app1.yaml wait --for condition=Ready nodes --all --timeout 5m", 1, "timed out");
}

#[test]
fn waiting_names_unready_workloads_and_leaves_failed() {
    let mut sim = fixture();
    let apply = "kubectl --kubeconfig app1.yaml apply --server-side --filename -";
    sim.run_with_stdin(apply, &labelled("baseline"));
    let wait = format!("{UP} --wait --timeout 20s");
    sim.fails_with_stdin(
        &wait,
        "{}",
        1,
        "resource DaemonSet/kube-system/cilium not ready. status: InProgress, message: Current: 0/1",
    );
    assert_eq!(rows(&mut sim)[0][2], "failed");
    sim.run_with_stdin(apply, &labelled("privileged"));
    assert!(sim.run_with_stdin(&format!("{UP} --wait --timeout 5m"), "{}").ok());
    assert_eq!(rows(&mut sim)[1][2], "deployed");
}

#[test]
fn killed_in_the_first_install_only_uninstall_helps() {
    let mut sim = fixture();
    let task = sim.start(UP, "{}");
    sim.advance(3);
    sim.world.kill(task, true);
    sim.wait_for(task);
    assert_eq!(rows(&mut sim)[0][2], "pending-install");
    sim.fails_with_stdin(
        UP,
        "{}",
        1,
        "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
    );
    sim.fails("helm rollback cilium --namespace kube-system", 1, "release has no 0 version");
    sim.ok("helm uninstall cilium --namespace kube-system");
    assert!(sim.run_with_stdin(UP, "{}").ok());
}

#[test]
fn killed_in_an_upgrade_rollback_helps_and_labels_stick() {
    let mut sim = fixture();
    assert!(sim.run_with_stdin(UP, "{}").ok());
    let bare = UP.split(" --labels").next().unwrap();
    let task = sim.start(bare, "{}");
    sim.advance(3);
    sim.fails_with_stdin(UP, "{}", 1, "another operation");
    sim.world.kill(task, true);
    sim.wait_for(task);
    assert_eq!(rows(&mut sim)[1][2..], ["pending-upgrade", "cilium-1.20.0", "abc"]);
    sim.ok("helm rollback cilium --namespace kube-system");
    assert_eq!(rows(&mut sim).last().unwrap()[1..3], ["3", "deployed"]);
    assert!(sim.run_with_stdin(UP, "{}").ok());
    let task = sim.start(UP, "{}");
    sim.advance(3);
    sim.world.kill(task, false);
    let output = sim.wait_for(task);
    assert!(output.stdout.contains("Release cilium has been cancelled.") && output.exit == Exit::Code(1));
    assert_eq!(rows(&mut sim).last().unwrap()[2], "failed");
    assert!(sim.run_with_stdin(UP, "{}").ok());
}

/// A rollback starts and ends during an upgrade; the newest revision stays in force (upstream).
#[test]
fn an_upgrade_that_ends_late_leaves_a_later_revision_deployed() {
    let mut sim = fixture();
    assert!(sim.run_with_stdin(UP, "{}").ok());
    let late = sim.start(UP, "{}");
    sim.advance(1);
    sim.ok("helm rollback cilium --namespace kube-system");
    assert!(sim.wait_for(late).ok());
    let rows = rows(&mut sim);
    assert_eq!(rows.last().unwrap()[1..3], ["3", "deployed"]);
}

/// Helm 3 leaves what a cancelled upgrade wrote until a rollback; Helm 4 does not (both measured).
#[test]
fn helm_3_keeps_the_changes_of_a_cancelled_upgrade() {
    for (version, stays) in [("4.1.4", false), ("3.18.0", true)] {
        let mut machine = Machine::default();
        machine.tools.insert("helm".into(), version.into());
        let mut sim = Fixture::on(machine, Faults::none()).control_plane();
        sim.pull_cilium();
        assert!(sim.run_with_stdin(UP, "{}").ok());
        let task = sim.start(UP, "{nodeSelector: {gone: 'yes'}}");
        sim.advance(3);
        sim.world.kill(task, false);
        sim.wait_for(task);
        let wait = format!("{UP} --wait --timeout 5m");
        assert_eq!(sim.run_with_stdin(&wait, "{}").ok(), !stays, "Helm {version}");
        if stays {
            sim.fails_with_stdin(&wait, "{}", 1, "Error: UPGRADE FAILED: context deadline exceeded");
            sim.ok("helm rollback cilium 1 --namespace kube-system");
            assert!(sim.run_with_stdin(&wait, "{}").ok());
        }
    }
}

#[test]
fn a_killed_rollback_or_uninstall_can_be_begun_again() {
    for (verb, left) in [("rollback", "pending-rollback"), ("uninstall", "uninstalling")] {
        let mut sim = fixture();
        for _ in 0..2 {
            assert!(sim.run_with_stdin(UP, "{}").ok());
        }
        let line = format!("helm {verb} cilium --kubeconfig app1.yaml --namespace kube-system");
        let task = sim.start(&line, "");
        sim.advance(3);
        sim.world.kill(task, false);
        sim.wait_for(task);
        assert_eq!(rows(&mut sim).last().unwrap()[2], left);
        assert!(!sim.run_with_stdin(UP, "{}").ok(), "no upgrade in that state");
        sim.ok(&line);
        assert!(sim.run_with_stdin(UP, "{}").ok());
    }
}

#[test]
fn deleting_the_pending_secret_unlocks_too() {
    let mut sim = fixture();
    let task = sim.start(UP, "{}");
    sim.advance(3);
    sim.world.kill(task, true);
    sim.ok("kubectl --kubeconfig app1.yaml delete secret --namespace kube-system \
         --selector owner=helm,name=cilium,status=pending-install");
    assert!(sim.run_with_stdin(UP, "{}").ok());
}

#[test]
fn the_server_may_go_away_under_a_running_helm() {
    let mut sim = fixture();
    let task = sim.start(UP, "{}");
    sim.advance(2);
    let now = sim.world.now();
    sim.world.state_mut().apply_vm_fault(Kind::Stop, 0, now);
    let output = sim.wait_for(task);
    assert!(output.stderr.contains("kubernetes cluster unreachable"), "{output:?}");
    sim.ok("multipass start app1-cp");
    sim.advance(60);
    assert_eq!(rows(&mut sim)[0][2], "pending-install");
}

#[test]
fn values_that_helm_refuses_are_refused() {
    let mut sim = fixture();
    sim.fails_with_stdin(
        &UP.replace("1.20.0.tgz", "1.20.9.tgz"),
        "",
        1,
        "Error: path \"out/charts/cilium-1.20.9.tgz\" not found",
    );
    sim.fails_with_stdin(&UP.replace("kube-system", "nons"), "", 1, "namespaces \"nons\" not found");
    sim.fails_with_stdin(UP, "a: [", 1, "failed to parse -: error converting YAML to JSON");
    sim.fails_with_stdin(&UP.replace("archipelago/chart=", "status="), "", 1, "system reserved label name");
    sim.fails_with_stdin(&format!("{UP} --atomic"), "", 1, "Error: unknown flag: --atomic");
    sim.fails_with_stdin(
        UP,
        "gatewayAPI: {enabled: true, gatewayClass: {create: 'true'}}",
        1,
        "no matches for kind \"GatewayClass\"",
    );
    sim.fails("helm frob", 1, "unknown command \"frob\"");
    sim.fails(
        "helm pull nosuch --repo https://helm.cilium.io --version 1.0.0",
        1,
        "chart \"nosuch\" version \"1.0.0\" not found",
    );
    sim.fails("helm pull oci://ghcr.io/nobody/cilium --version 1.0.0", 1, "ghcr.io/nobody/cilium:1.0.0: not found");
    sim.disk.0.borrow_mut().0.insert("bad.tgz".into(), b"<html>".to_vec());
    sim.fails("helm upgrade --install x bad.tgz --kubeconfig app1.yaml", 1, "does not appear to be a gzipped archive");
}

#[test]
fn helm_3_knows_other_flags_and_hides_pending() {
    let mut machine = Machine::default();
    machine.tools.insert("helm".into(), "3.18.0".into());
    let mut sim = Fixture::on(machine, Faults::none());
    assert_eq!(sim.ok("helm version --template {{.Version}}"), "v3.18.0");
    for flag in ["--rollback-on-failure", "--force-conflicts", "--server-side=true"] {
        sim.fails(&format!("{UP} {flag}"), 1, "Error: unknown flag: --");
    }
    sim.fails(&format!("{UP} --atomic"), 1, "Error: Kubernetes cluster unreachable");
}

#[test]
fn digests_are_those_that_are_published_unless_the_file_is_damaged() {
    let mut sim = fixture();
    let path = "own sha256 out/charts/cilium-1.20.0.tgz";
    assert_eq!(sim.ok(path).trim(), "c5f013912360d1a334f44ef25f36da59ba3414cdb48f466ee12d0c4fdff27883");
    sim.disk.0.borrow_mut().0.insert("out/charts/cilium-1.20.0.tgz".into(), b"half".to_vec());
    assert_eq!(sim.ok(path).trim(), "a11ae06469c63740d7b0ecf802f282a0d46e94f31a654dfcd3c0dc6dc277f904");
    sim.fails("own sha256 nothing", 1, "no such file");
    sim.fails("own mint x", 2, "not a command of the simulator");
    assert!(sim.ok("own machine").contains("memory_bytes"));
    let ip = sim.ip("app1-cp");
    sim.ok(&format!("own dial {ip} 22"));
    sim.fails(&format!("own dial {ip} 80"), 1, "refused");
    sim.fails("own dial 192.168.252.200 22", 1, "no route");
}
