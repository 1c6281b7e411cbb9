//! Days that certificates have left, and `node-renew`.

use super::*;

/// What kubeadm's commands write, each with the name of what wrote it.
const KUBEADM: &str = r#"
kubernetes=$ROOT/etc/kubernetes
case "$*" in
  'certs renew all --config '*)
    echo renewed >$kubernetes/pki/apiserver.crt
    echo renewed >$kubernetes/admin.conf ;;
  'init phase kubeconfig kubelet --config '*) [ -e $kubernetes/kubelet.conf ] || echo embedded >$kubernetes/kubelet.conf ;;
  'init phase kubelet-finalize all --config '*) echo file >$kubernetes/kubelet.conf ;;
  *) exit 1 ;;
esac"#;

/// A certificate that is valid for this many days.
fn certificate(days: u32) -> Option<String> {
    let openssl = run_cli::find("openssl")?;
    let folder = tempfile::tempdir().expect("a folder");
    let (key, file) = (folder.path().join("key"), folder.path().join("crt"));
    let days = days.to_string();
    let request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x"];
    let mut command = run_cli::command(openssl);
    command.args(request).args(["-days", &days]).arg("-keyout").arg(key).arg("-out").arg(&file);
    assert!(run_cli::run(&mut command).0);
    Some(std::fs::read_to_string(file).expect("text"))
}

const KUBELET: &str = "var/lib/kubelet/pki/kubelet-client-current.pem";

#[test]
fn state_has_the_days_of_the_first_certificate_that_expires() {
    let Some(node) = Node::new() else { return };
    let (Some(month), Some(year)) = (certificate(30), certificate(365)) else { return };
    let days = || {
        let state = node.state();
        // Whole days, rounded down, of certificates that are made a moment before: 365 of 365 within the same second.
        [&state["certificates_days"], &state["kubelet_days"]].map(|days| match days.as_u64() {
            Some(days @ (30 | 365)) => json!(days - 1),
            _ => days.clone(),
        })
    };
    assert_eq!(days(), [Value::Null, Value::Null]);
    node.write("etc/kubernetes/pki/apiserver.crt", &year);
    node.write("etc/kubernetes/pki/etcd/peer.crt", &year);
    node.write("etc/kubernetes/pki/ca.crt", &month);
    node.write(KUBELET, &year);
    assert_eq!(days(), [json!(364), json!(364)], "authorities are made for ten years");
    let client = node.path("client");
    std::fs::write(&client, &month).expect("written");
    let (_, coded) = run_cli::run(run_cli::command("base64").arg("--wrap=0").arg(client));
    node.write("etc/kubernetes/scheduler.conf", &format!("  user:\n    client-certificate-data: {coded}\n"));
    assert_eq!(days(), [json!(29), json!(364)]);
    // A date beyond the end of all of them.
    node.stub("date", "if [ \"$*\" = +%s ]; then echo 4000000000; else /bin/date \"$@\"; fi");
    assert_eq!(days(), [json!(0), json!(0)]);
}

pub fn control_plane(expired: bool) -> Option<Node> {
    let node = Node::new()?;
    node.busy_control_plane();
    node.api(true, true);
    node.stub("kubeadm", KUBEADM);
    node.stub("systemctl", "case \"$*\" in is-active*) exit 3 ;; esac");
    node.stub("openssl", if expired { "exit 1" } else { "" });
    for file in ["pki/apiserver.crt", "admin.conf", "kubelet.conf", "manifests/kube-apiserver.yaml"] {
        node.write(&format!("etc/kubernetes/{file}"), "old\n");
    }
    node.write(KUBELET, "old\n");
    Some(node)
}

#[test]
fn renewal_restarts_the_static_pods_and_no_other_container() {
    let Some(node) = control_plane(false) else { return };
    node.must("node-renew", &[], "");
    let stops: Vec<String> = node.calls().into_iter().filter(|call| call.starts_with("crictl stop")).collect();
    let ids: Vec<&str> = stops.iter().flat_map(|call| call.split(' ').skip(4)).map(|id| &id[..4]).collect();
    // etcd with the sidecar of its pod, API server, controller manager, scheduler.
    assert_eq!(ids, ["3333", "d87a", "dfa5", "2fd1", "8276"]);
    assert_eq!(node.read("etc/kubernetes/pki/apiserver.crt"), "renewed\n");
    assert_eq!(node.read("etc/kubernetes/kubelet.conf"), "old\n", "a kubelet renews its own");
    let Some(worker) = Node::new() else { return };
    assert_eq!(worker.run("node-renew", &[], "").code, Some(1));
}

#[test]
fn expired_kubelet_of_a_control_plane_gets_a_certificate() {
    let Some(node) = control_plane(true) else { return };
    node.must("node-renew", &[], "");
    assert_eq!(node.read("etc/kubernetes/kubelet.conf"), "file\n");
    assert!(!node.has(KUBELET), "the kubelet writes it again");
    let calls = node.calls();
    let at = |part: &str| calls.iter().position(|call| call.contains(part)).unwrap_or_else(|| panic!("{part}"));
    let order =
        ["certs renew all", "kubeconfig kubelet", "systemctl restart kubelet", "crictl stop", "kubelet-finalize"];
    assert!(order.map(at).is_sorted(), "{calls:?}");
}
