//! `node-readdress`: what changes with an address, and resuming after a kill.

use super::*;

const OLD: &str = "192.168.252.13";
pub const NEW: &str = "192.168.252.77";

/// What kubeadm's phases write: a manifest for the address in the configuration.
const KUBEADM: &str = r#"
case "$*" in
  'init phase certs '*) [ -e "$ROOT/fail" ] && exit 1
    case "$4" in apiserver) f=apiserver ;; etcd-*) f=etcd/${4#etcd-} ;; esac
    echo new >$ROOT/etc/kubernetes/pki/$f.crt; echo new >$ROOT/etc/kubernetes/pki/$f.key ;;
  'init phase control-plane all '*)
    echo "    - --advertise-address=192.168.252.77" >$ROOT/etc/kubernetes/manifests/kube-apiserver.yaml ;;
esac"#;

pub fn moved(control_plane: bool) -> Option<Node> {
    let node = Node::new()?;
    node.busy_control_plane();
    node.stub("systemctl", "");
    node.stub("kubeadm", KUBEADM);
    node.stub("openssl", "read -r said <\"${!#}\"; if [ $said = new ]; then echo IP does match certificate; fi");
    node.api(true, true);
    let flags = format!("KUBELET_KUBEADM_ARGS=\"--hostname-override=app1-cp --node-ip={OLD}\"\n");
    node.write("var/lib/kubelet/kubeadm-flags.env", &flags);
    node.write("etc/kubernetes/kubelet.conf", "    server: https://app1-api:6443\n");
    if control_plane {
        for name in ["controller-manager", "scheduler", "kubelet"] {
            node.write(&format!("etc/kubernetes/{name}.conf"), &format!("    server: https://{OLD}:6443\n"));
        }
        for pair in ["apiserver", "etcd/server", "etcd/peer"] {
            node.write(&format!("etc/kubernetes/pki/{pair}.crt"), "old\n");
            node.write(&format!("etc/kubernetes/pki/{pair}.key"), "old\n");
        }
        node.write("etc/kubernetes/admin.conf", "    server: https://app1-api:6443\n");
        node.write("etc/kubernetes/manifests/kube-apiserver.yaml", &format!("    - --advertise-address={OLD}\n"));
        node.write("etc/archipelago/init.done", "");
    }
    Some(node)
}

fn home(node: &Node) -> (String, String) {
    let state = node.state();
    let text = |field: &str| state[field].as_str().expect("text").to_owned();
    (text("advertised"), text("node_ip"))
}

#[test]
fn control_plane_readdress_rewrites_every_reference() {
    let Some(node) = moved(true) else { return };
    assert_eq!(home(&node), (OLD.to_owned(), OLD.to_owned()));
    node.calls();
    node.must("node-readdress", &[NEW], "");
    let phases: Vec<String> = node.calls().into_iter().filter(|call| call.starts_with("kubeadm")).collect();
    let printed: Vec<&str> = phases.iter().map(|call| call.split(" --config").next().expect("words")).collect();
    let want = ["certs apiserver", "certs etcd-server", "certs etcd-peer", "etcd local", "control-plane all"];
    let want: Vec<String> =
        want.iter().chain(&["upload-config kubeadm"]).map(|phase| format!("kubeadm init phase {phase}")).collect();
    assert_eq!(printed, want);
    assert_eq!(home(&node), (NEW.to_owned(), NEW.to_owned()));
    for name in ["controller-manager", "scheduler", "kubelet"] {
        assert_eq!(node.read(&format!("etc/kubernetes/{name}.conf")), format!("    server: https://{NEW}:6443\n"));
    }
    assert_eq!(node.read("etc/kubernetes/admin.conf"), "    server: https://app1-api:6443\n");
    let flags = node.read("var/lib/kubelet/kubeadm-flags.env");
    assert_eq!(flags, format!("KUBELET_KUBEADM_ARGS=\"--hostname-override=app1-cp --node-ip={NEW}\"\n"));
}

#[test]
fn repeated_readdress_renews_no_certificate() {
    let Some(node) = moved(true) else { return };
    node.must("node-readdress", &[NEW], "");
    node.calls();
    node.must("node-readdress", &[NEW], "");
    let calls = node.calls().join("\n");
    assert!(
        !calls.contains("phase certs") && node.read("var/lib/etcd/peer") == format!("https://{NEW}:2380\n"),
        "{calls}"
    );
}

#[test]
fn interrupted_readdress_is_resumed() {
    let Some(node) = moved(true) else { return };
    node.write("fail", "");
    assert_ne!(node.run("node-readdress", &[NEW], "").code, Some(0));
    assert_eq!(home(&node), (String::new(), String::new()));
    node.remove("fail");
    node.must("node-readdress", &[NEW], "");
    assert_eq!(home(&node), (NEW.to_owned(), NEW.to_owned()));
    assert_eq!(node.read("etc/kubernetes/pki/apiserver.key"), "new\n");
}

#[test]
fn unreachable_etcd_is_no_failure() {
    let Some(node) = moved(true) else { return };
    node.stub("crictl", "exit 1");
    let done = node.must("node-readdress", &[NEW], "");
    assert!(done.stderr.contains("etcd was not told"), "{}", done.stderr);
}

#[test]
fn worker_readdress_needs_no_kubeadm() {
    let Some(node) = moved(false) else { return };
    node.calls();
    node.must("node-readdress", &[NEW], "");
    let calls = node.calls().join("\n");
    assert!(calls.contains("systemctl restart kubelet") && !calls.contains("kubeadm"), "{calls}");
    assert_eq!(home(&node), (String::new(), NEW.to_owned()));
    assert_eq!(node.read("etc/kubernetes/kubelet.conf"), "    server: https://app1-api:6443\n");
}

#[test]
fn foreign_address_is_refused_before_any_change() {
    let Some(node) = moved(true) else { return };
    for (wrong, code) in [(&["10.0.0.9"][..], 1), (&[], 2), (&["x; rm -rf /"], 2), (&[NEW, NEW], 2)] {
        assert_eq!(node.run("node-readdress", wrong, "").code, Some(code), "{wrong:?}");
    }
    assert_eq!(home(&node), (OLD.to_owned(), OLD.to_owned()));
}
