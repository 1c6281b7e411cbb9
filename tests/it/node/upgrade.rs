//! `node-upgrade`, kubeadm alone, and replacement of older scripts.

use std::io::Write;
use std::process::Stdio;

use ::tool::awk;
use render::cloud_init::{BUNDLE, SCRIPTS};
use serde_json::json;

use super::{Node, scripts};
use crate::{golden, run_cli};

const APPLY: &str = "kubeadm upgrade apply --yes v1.35.7";

/// A control plane of v1.35.6.
pub fn control_plane() -> Option<Node> {
    let node = Node::new()?;
    manifests(&node, ["v1.35.6"; 3]);
    node.busy_control_plane();
    node.stub("kubeadm", "");
    Some(node)
}

/// `kubeadm upgrade apply` to v1.35.7, which writes one manifest after another.
pub fn applying() -> String {
    "sed -i s/:v1.35.6/:v1.35.7/ $ROOT/etc/kubernetes/manifests/kube-apiserver.yaml
    sed -i s/:v1.35.6/:v1.35.7/ $ROOT/etc/kubernetes/manifests/kube-controller-manager.yaml
    sed -i s/:v1.35.6/:v1.35.7/ $ROOT/etc/kubernetes/manifests/kube-scheduler.yaml"
        .to_owned()
}

fn manifests(node: &Node, versions: [&str; 3]) {
    for (name, version) in ["apiserver", "controller-manager", "scheduler"].iter().zip(versions) {
        let text = format!("spec:\n  containers:\n  - image: registry.k8s.io/kube-{name}:{version}\n");
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
fn failed_upgrade_is_reported() {
    let Some(node) = control_plane() else { return };
    node.stub("kubeadm", "exit 1");
    assert_ne!(node.run("node-upgrade", &["v1.35.7"], "").code, Some(0));
    manifests(&node, ["v1.35.7"; 3]);
    assert_eq!(node.state()["version"], "", "its end is not known");
    node.stub("kubeadm", "");
    node.must("node-upgrade", &["v1.35.7"], "");
    assert_eq!(node.state()["version"], "v1.35.7");
    manifests(&node, ["v1.35.7", "v1.35.7", "v1.35.6"]);
    assert_eq!(node.state()["version"], "", "half of one and half of another");
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
