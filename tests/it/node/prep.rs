//! `node-prep` on a fresh Ubuntu with a flaky network.

use super::{Node, scripts};

/// A fresh Ubuntu with everything that node-prep calls; `containerd` says it is of this version.
pub fn ubuntu(containerd: &str) -> Option<Node> {
    let node = Node::new()?;
    let silent =
        ["swapoff", "systemctl", "modprobe", "sysctl", "timedatectl", "apt-get", "apt-mark", "crictl", "sleep"];
    for name in silent.into_iter().chain(["dpkg"]) {
        node.stub(name, "");
    }
    node.stub("stat", "echo cgroup2fs");
    node.stub("curl", "while [ \"$1\" != -o ]; do shift; done; echo '-----BEGIN PGP PUBLIC KEY BLOCK-----' >\"$2\"");
    let dump = "if [ \"$1\" = --config ]; then cat \"$2\"";
    node.stub("containerd", &format!("{dump}; else echo containerd github.com/containerd {containerd} x; fi"));
    let env = "K8S_MINOR=v1.35\nK8S_PATCH=1.35.7\nPAUSE_IMAGE=registry.k8s.io/pause:3.10.1\n";
    node.write("etc/archipelago/prep.env", env);
    node.write("etc/fstab", "/dev/a / ext4 x 0 0\n/swap none swap sw 0 0\n");
    for file in ["containerd-v2.toml", "containerd-v3.toml"] {
        let text = std::fs::read_to_string(scripts().join(file)).expect("text");
        node.write(&format!("etc/archipelago/{file}"), &text);
    }
    Some(node)
}

#[test]
fn preparation_runs_once() {
    let Some(node) = ubuntu("2.2.1") else { return };
    node.must("node-prep", &[], "");
    let calls = node.calls().join("\n");
    assert!(calls.contains("kubelet=1.35.7-* kubeadm=1.35.7-* kubectl=1.35.7-*"), "{calls}");
    assert!(calls.contains("apt-mark hold kubelet kubeadm kubectl containerd"), "{calls}");
    assert!(calls.contains("crictl pull registry.k8s.io/pause:3.10.1"), "{calls}");
    let config = node.read("etc/containerd/config.toml");
    assert!(
        config.contains("version = 3") && config.contains("  sandbox = 'registry.k8s.io/pause:3.10.1'"),
        "{config}"
    );
    assert!(node.read("etc/apt/sources.list.d/kubernetes.sources").contains("/core:/stable:/v1.35/deb/\nSuites: /\n"));
    assert_eq!(node.read("etc/fstab"), "/dev/a / ext4 x 0 0\n# node-prep: /swap none swap sw 0 0\n");
    assert_eq!(node.state()["prep"], "k8s=1.35.7 pause=registry.k8s.io/pause:3.10.1");
    node.calls();
    let again = node.run("node-prep", &[], "");
    assert_eq!(again.stdout, "node-prep: already done: k8s=1.35.7 pause=registry.k8s.io/pause:3.10.1\n");
    assert_eq!(node.calls(), Vec::<String>::new(), "nothing is touched twice");
}

#[test]
fn preparation_retries_on_network_errors() {
    let Some(node) = ubuntu("v1.7.34") else { return };
    // Fails twice, then works.
    let flaky = "n=$(cat $ROOT/tries 2>/dev/null || echo 0); echo $((n + 1)) >$ROOT/tries; [ $n -ge 2 ]";
    node.stub("apt-get", flaky);
    let done = node.must("node-prep", &[], "");
    assert!(done.stderr.contains("try 2 of 8 failed, next in 6s: apt-get update -q"), "{}", done.stderr);
    let config = node.read("etc/containerd/config.toml");
    assert!(config.contains("version = 2") && config.contains("  sandbox_image = \"registry.k8s.io/pause:3.10.1\""));
}

#[test]
fn unreachable_hosts_are_named_with_the_reason() {
    let Some(node) = ubuntu("2.2.1") else { return };
    let env = node.read("etc/archipelago/prep.env") + "EGRESS=pkgs.k8s.io,ghcr.io,quay.io,registry-1.docker.io\n";
    node.write("etc/archipelago/prep.env", &env);
    // As curl 8 answers.
    let curl = r#"case "$*" in
      *pkgs.k8s.io*) printf 404 ;;
      *ghcr.io*) echo 'curl: (6) Could not resolve host: ghcr.io' >&2; printf 000; exit 6 ;;
      *quay.io*) echo 'curl: (28) Failed to connect to quay.io port 443 after 10001 ms: Timeout was reached' >&2
        printf 000; exit 28 ;;
      *) printf 429 ;;
    esac"#;
    node.stub("curl", curl);
    let done = node.run("node-prep", &[], "");
    assert_eq!(done.code, Some(1));
    let first: Vec<&str> = done.stderr.lines().take(4).collect();
    let want = [
        "node-prep: cannot reach ghcr.io from here: curl: (6) Could not resolve host: ghcr.io",
        "node-prep: cannot reach quay.io from here: curl: (28) Failed to connect to quay.io port 443 after 10001 ms: \
         Timeout was reached",
        "node-prep: registry-1.docker.io limits requests from here: HTTP 429",
        "node-prep: try 1 of 8 failed, next in 3s: egress",
    ];
    assert_eq!(first, want);
    assert!(!node.calls().iter().any(|call| call.starts_with("apt-get")), "nothing is installed");
}

#[test]
fn failed_preparation_leaves_no_marker() {
    let Some(node) = ubuntu("2.2.1") else { return };
    node.stub("apt-get", "exit 100");
    let done = node.run("node-prep", &[], "");
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("gave up after 8 tries: apt-get update -q"), "{}", done.stderr);
    let pauses: Vec<String> = node.calls().into_iter().filter(|call| call.starts_with("sleep")).collect();
    assert_eq!(pauses, [3, 6, 12, 24, 48, 60, 60].map(|s| format!("sleep {s}")));
    assert_eq!(node.state()["prep"], "");
    node.stub("apt-get", "");
    node.stub("stat", "echo tmpfs");
    assert_eq!(node.run("node-prep", &[], "").code, Some(1), "cgroup v1");
    assert_eq!(node.state()["prep"], "");
    node.stub("stat", "echo cgroup2fs");
    assert_eq!(node.run("node-prep", &[], "").code, Some(0), "continues once the fault is fixed");
    node.write(
        "etc/archipelago/prep.env",
        "K8S_MINOR=v1.35\nK8S_PATCH=1.35.8\nPAUSE_IMAGE=registry.k8s.io/pause:3.10.1\n",
    );
    node.stub("containerd", "echo containerd x 2.2.1");
    assert_eq!(node.run("node-prep", &[], "").code, Some(1), "containerd did not take the configuration");
    assert_eq!(node.state()["prep"], "", "a node between two versions is not prepared");
}
