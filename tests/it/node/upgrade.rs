//! `node-upgrade`, kubeadm alone, and replacement of older scripts.

use std::io::Write;
use std::process::Stdio;

use ::tool::awk;
use render::cloud_init::{BUNDLE, SCRIPTS};
use serde_json::json;

use super::{Node, scripts};
use crate::{golden, run_cli};

const APPLY: &str = "kubeadm upgrade apply --yes --config ";
/// What kubeadm 1.35 writes into manifests: images, and probes for as long as its configuration gives the control plane
/// (10 s each). It makes a new one of etcd where it upgrades etcd.
const KUBEADM: &str = r#"
if [ "$*" = 'config images list --kubernetes-version v1.35.7' ]; then
  printf 'registry.k8s.io/%s\n' kube-apiserver:v1.35.7 coredns/coredns:v1.13.1 pause:3.10.1 etcd:3.6.6-0
  exit
fi
[ "$3 $4" = '--yes --config' ] || exit 1
minutes=$(awk '$1 == "controlPlaneComponentHealthCheck:" { print $2 + 0 }' "$5")
probes=$((${minutes:-4} * 6))
manifests=$ROOT/etc/kubernetes/manifests
sed -i "s/:v1.35.6/:$6/; s/Threshold: .*/Threshold: $probes/" $manifests/kube-apiserver.yaml
sed -i "s/:v1.35.6/:$6/; s/Threshold: .*/Threshold: $probes/" $manifests/kube-controller-manager.yaml
sed -i "s/:v1.35.6/:$6/; s/Threshold: .*/Threshold: $probes/" $manifests/kube-scheduler.yaml
if ! grep -q 'etcdUpgrade: false' "$5"; then sed -i "s/$/ # made by $6/" $manifests/etcd.yaml; fi"#;

/// A control plane of v1.35.6.
pub fn control_plane() -> Option<Node> {
    let node = Node::new()?;
    manifests(&node, ["v1.35.6"; 3]);
    node.busy_control_plane();
    node.stub("kubeadm", KUBEADM);
    let etcd = "    image: registry.k8s.io/etcd:3.6.6-0\n    startupProbe:\n      failureThreshold: 36\n";
    node.write("etc/kubernetes/manifests/etcd.yaml", etcd);
    let plan = golden::plan("infra/fleet.toml", ::tool::helm::Helm::V4);
    node.write("etc/archipelago/kubeadm-upgrade.yaml", &plan.files["app1/cp/kubeadm-upgrade.yaml"]);
    Some(node)
}

fn manifests(node: &Node, versions: [&str; 3]) {
    for (name, version) in ["apiserver", "controller-manager", "scheduler"].iter().zip(versions) {
        let text = format!("  - image: registry.k8s.io/kube-{name}:{version}\n      failureThreshold: 36\n");
        node.write(&format!("etc/kubernetes/manifests/kube-{name}.yaml"), &text);
    }
}

#[test]
fn a_control_plane_is_upgraded_after_a_snapshot() {
    let Some(node) = control_plane() else { return };
    assert_eq!(node.state()["version"], "v1.35.6");
    node.calls();
    node.must("node-upgrade", &["v1.35.7"], "");
    let calls = node.calls();
    let at =
        |part: &str| calls.iter().position(|call| call.contains(part)).unwrap_or_else(|| panic!("{part}: {calls:?}"));
    assert!(at("crictl exec d87ad8dad571") < at(APPLY), "{calls:?}");
    assert_eq!(node.read("var/lib/archipelago/etcd-before-v1.35.7.db"), "db\n");
    assert!(!node.has("var/lib/archipelago/upgrade") && !node.has("var/lib/etcd/archipelago.db"));
    let again = node.run("node-upgrade", &["v1.35.7"], "");
    let calls = node.calls().join("\n");
    assert!(again.code == Some(0) && calls.contains(APPLY) && !calls.contains("snapshot"), "{calls}");
    node.must("node-upgrade", &["v1.35.8"], "");
    assert!(!node.has("var/lib/archipelago/etcd-before-v1.35.7.db"), "one is kept");
}

#[test]
fn a_patch_upgrade_changes_images_alone() {
    let manifest = |node: &Node, name: &str| node.read(&format!("etc/kubernetes/manifests/{name}.yaml"));
    let names = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"];
    let Some(node) = control_plane() else { return };
    let before = names.map(|name| manifest(&node, name).replace("v1.35.6", "v1.35.7"));
    node.must("node-upgrade", &["v1.35.7"], "");
    assert_eq!(names.map(|name| manifest(&node, name)), before);
    // Where the image of etcd is another one, kubeadm upgrades it.
    let Some(node) = control_plane() else { return };
    node.write("etc/kubernetes/manifests/etcd.yaml", "    image: registry.k8s.io/etcd:3.6.6-01\n");
    node.must("node-upgrade", &["v1.35.7"], "");
    assert!(manifest(&node, "etcd").contains("made by v1.35.7"));
}

#[test]
fn failed_upgrade_is_reported() {
    let Some(node) = control_plane() else { return };
    let state = || {
        let state = node.state();
        [state["version"].clone(), state["upgrade"].clone()]
    };
    node.stub("kubeadm", "exit 1");
    assert_ne!(node.run("node-upgrade", &["v1.35.7"], "").code, Some(0));
    assert_eq!(state(), ["v1.35.6", "v1.35.7"]);
    manifests(&node, ["v1.35.7", "v1.35.7", "v1.35.6"]);
    assert_eq!(state(), ["v1.35.6,v1.35.7", "v1.35.7"]);
    node.stub("kubeadm", KUBEADM);
    node.must("node-upgrade", &["v1.35.7"], "");
    assert_eq!(state(), ["v1.35.7", ""]);
}

#[test]
fn without_a_snapshot_nothing_is_upgraded() {
    let Some(node) = control_plane() else { return };
    // The only etcd that is left is clustermesh-apiserver's.
    node.stub("hostname", "echo app1-cp3");
    let done = node.run("node-upgrade", &["v1.35.7"], "");
    assert_eq!(done.code, Some(1));
    assert_eq!(done.stderr, "node-etcd: pod kube-system/etcd-app1-cp3 has no running container\n");
    assert!(!node.calls().join("\n").contains("kubeadm") && node.state()["version"] == "v1.35.6");
}

#[test]
fn upgrade_on_a_worker_is_refused() {
    let Some(node) = Node::new() else { return };
    assert_eq!(node.run("node-upgrade", &["v1.35.7"], "").code, Some(1));
    for wrong in [&["1.35.7"][..], &["v1.35"], &["v1.35.7;x"], &["--force"], &[]] {
        assert_eq!(node.run("node-upgrade", wrong, "").code, Some(2), "{wrong:?}");
    }
    assert_eq!(node.state()["version"], "");
}

#[test]
fn kubeadm_is_upgraded_alone() {
    let Some(node) = super::prep::ubuntu("2.2.1") else { return };
    node.write("var/lib/archipelago/prep.done", "k8s=1.35.6 pause=registry.k8s.io/pause:3.10.1\n");
    node.must("node-prep", &["kubeadm"], "");
    let calls = node.calls().join("\n");
    assert!(calls.contains(" kubeadm=1.35.7-*") && calls.contains("apt-mark hold kubeadm"), "{calls}");
    assert!(!calls.contains("kubelet") && !calls.contains("restart"), "{calls}");
    assert_eq!(node.state()["prep"], "k8s=1.35.6 pause=registry.k8s.io/pause:3.10.1", "the kubelet is what it was");
    node.stub("dpkg-query", "[ \"$*\" = '--show --showformat ${Version} kubeadm' ] && printf 1.35.7-1.1");
    assert_eq!(node.state()["kubeadm"], "v1.35.7");
    assert_eq!(node.run("node-prep", &["kubelet"], "").code, Some(2));
}

/// `awk` as the node runs it, in another folder than the real one.
fn replace(node: &Node, bundle: &str) -> bool {
    let folder = node.path("usr/local/sbin");
    std::fs::create_dir_all(&folder).expect("made");
    let program = awk::REPLACE_SCRIPTS.replace("/usr/local/sbin", folder.to_str().expect("UTF-8"));
    let mut command = run_cli::command("awk");
    let mut child = command.arg(program).stdin(Stdio::piped()).spawn().expect("awk starts");
    let _ = child.stdin.take().expect("a pipe").write_all(bundle.as_bytes());
    child.wait().expect("it ends").success()
}

#[test]
fn scripts_of_an_older_checkout_are_replaced() {
    let Some(node) = Node::new() else { return };
    let bundle = golden::plan("infra/fleet.toml", ::tool::helm::Helm::V4).files[BUNDLE].clone();
    let digest = |text: &str| {
        let file = node.path("text");
        std::fs::write(&file, text).expect("written");
        let (_, printed) = run_cli::run(run_cli::command("sha256sum").arg(&file));
        printed.split(' ').next().expect("a digest")[..32].to_owned()
    };
    node.write("usr/local/sbin/node-state", "older\n");
    node.write("usr/local/sbin/node-exporter", "somebody else's\n");
    assert_ne!(node.state()["scripts"], json!(digest(&bundle)));
    assert!(!replace(&node, &bundle[..bundle.len() / 2]), "a bundle that was cut off");
    assert!(!replace(&node, "#: ../x\nx\n#: end\n") && !replace(&node, ""));
    assert_eq!(node.read("usr/local/sbin/node-state"), "older\n");
    assert!(replace(&node, &bundle));
    for name in SCRIPTS {
        let (there, here) = (node.path(&format!("usr/local/sbin/{name}")), scripts().join(name));
        assert_eq!(std::fs::read(&there).expect("there"), std::fs::read(here).expect("here"), "{name}");
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(there).expect("there").permissions().mode() & 0o777, 0o755);
    }
    assert_eq!(node.state()["scripts"], json!(digest(&bundle)), "what is asked is what was sent");
    assert_eq!(node.read("usr/local/sbin/node-exporter"), "somebody else's\n");
    assert!(node.state()["free_mib"].as_u64().is_some_and(|free| free > 0));
}
