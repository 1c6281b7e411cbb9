//! The scripts of `infra/node/`, run against a folder as a node's disk with fake commands.
#![expect(clippy::disallowed_methods, reason = "builds the folder that stands for a node's disk, and starts scripts")]

mod certificates;
mod kills;
mod prep;
mod readdress;
mod run;
mod upgrade;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use render::cloud_init::SCRIPTS;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::run_cli;

/// A node: its disk, and the commands it has in front of the machine's own. Every call of a fake tool is noted.
struct Node(TempDir);

struct Done {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Node {
    /// `None` where the machine has not what the scripts need on Ubuntu anyway.
    fn new() -> Option<Node> {
        for name in ["bash", "flock", "awk", "timeout", "sha256sum"] {
            run_cli::find(name)?;
        }
        let node = Node(tempfile::tempdir().expect("a folder"));
        node.write("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 app1-cp app1-cp\n");
        // Another test's fake tool may be running on this machine.
        node.stub("pgrep", "exit 1");
        node.stub("systemctl", "exit 3");
        Some(node)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join("root").join(file)
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap_or_default()
    }

    fn has(&self, file: &str) -> bool {
        self.path(file).exists()
    }

    fn remove(&self, file: &str) {
        std::fs::remove_file(self.path(file)).expect("was there");
    }

    /// A command of the node. `$ROOT` is its disk.
    fn stub(&self, name: &str, body: &str) {
        let path = self.0.path().join("bin").join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        let log = self.0.path().join("calls");
        let text = format!("#!/bin/bash\nROOT=$ARCHIPELAGO_ROOT\necho \"{name} $*\" >>{}\n{body}\n", log.display());
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("allowed");
    }

    /// The calls of fake tools since last asked.
    fn calls(&self) -> Vec<String> {
        let log = self.0.path().join("calls");
        let calls = std::fs::read_to_string(&log).unwrap_or_default().lines().map(str::to_owned).collect();
        std::fs::write(&log, "").expect("written");
        calls
    }

    /// `crictl` of a control plane that hosts a whole cluster's pods.
    fn busy_control_plane(&self) {
        self.stub("hostname", "if [ \"$*\" = -I ]; then echo 192.168.252.77 10.101.0.34; else echo app1-cp; fi");
        self.stub("crictl", &format!(". '{}/fixtures/node/crictl'", env!("CARGO_MANIFEST_DIR")));
        self.write("var/lib/etcd/member/wal", "x");
    }

    fn command(&self, script: &str, args: &[&str]) -> Command {
        let mut command = run_cli::command("bash");
        command.arg(scripts().join(script)).args(args).env("ARCHIPELAGO_ROOT", self.path(""));
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.0.path().join("bin").display()));
        command
    }

    fn run(&self, script: &str, args: &[&str], stdin: &str) -> Done {
        finish(&mut self.command(script, args), stdin)
    }

    fn must(&self, script: &str, args: &[&str], stdin: &str) -> Done {
        let done = self.run(script, args, stdin);
        assert_eq!(done.code, Some(0), "{script} {args:?}: {}", done.stderr);
        done
    }

    /// What `node-state` says; it must be one line of JSON whatever the node looks like.
    fn state(&self) -> Value {
        let done = self.run("node-state", &["app1-api"], "");
        assert_eq!((done.code, done.stdout.lines().count()), (Some(0), 1), "{}{}", done.stdout, done.stderr);
        serde_json::from_str(&done.stdout).expect("JSON")
    }

    /// An API server that answers `/readyz` and has, or has not, what the last phase of `kubeadm init` leaves.
    fn api(&self, ready: bool, configured: bool) {
        let body = format!("case \"$*\" in */readyz) {ready} ;; */kubeadm-config|*/coredns) {configured} ;; esac");
        self.stub("kubectl", &body);
    }
}

fn finish(command: &mut Command, stdin: &str) -> Done {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("bash starts");
    // A script that refuses its arguments may be gone before it reads.
    let _ = child.stdin.take().expect("a pipe").write_all(stdin.as_bytes());
    let done = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Done { code: done.status.code(), stdout: text(done.stdout), stderr: text(done.stderr) }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").join("infra/node")
}

#[test]
fn scripts_pass_shellcheck() {
    let Some(bash) = run_cli::find("bash") else { return };
    let shellcheck = run_cli::find("shellcheck");
    let fakes = ["crictl", "kill"].map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/node").join(name));
    for file in SCRIPTS.iter().map(|script| scripts().join(script)).chain(fakes) {
        let (good, printed) = run_cli::run(run_cli::command(&bash).arg("-n").arg(&file));
        assert!(good, "{printed}");
        if let Some(shellcheck) = &shellcheck {
            let (good, printed) = run_cli::run(run_cli::command(shellcheck).arg(&file));
            assert!(good, "{printed}");
        }
    }
}

#[test]
fn kept_file_is_whole_and_private() {
    let Some(node) = Node::new() else { return };
    let done = node.run("node-keep", &["/etc/archipelago/kubeadm-init.yaml"], "token: value\n");
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), ""), "{}", done.stderr);
    assert_eq!(node.read("etc/archipelago/kubeadm-init.yaml"), "token: value\n");
    let mode = std::fs::metadata(node.path("etc/archipelago/kubeadm-init.yaml")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(node.run("node-keep", &["/etc/archipelago/kubeadm-init.yaml"], "").code, Some(2));
    assert_eq!(
        node.read("etc/archipelago/kubeadm-init.yaml"),
        "token: value\n",
        "nothing takes the place of something"
    );
    for wrong in ["/etc/passwd", "/etc/archipelago/../passwd", "/etc/archipelago/a/b", ""] {
        assert_eq!(node.run("node-keep", &[wrong], "x").code, Some(2), "{wrong}");
    }
}

/// kubeadm goes on in the node after the process that started it is gone.
#[test]
fn running_kubeadm_is_not_disturbed() {
    let Some(node) = Node::new() else { return };
    node.api(false, false);
    node.stub("pgrep", "[ \"$*\" = '-x kubeadm' ]");
    let state = node.state();
    assert_eq!((&state["control_plane"], &state["worker"]), (&json!("busy"), &json!("busy")));
}

#[test]
fn state_of_a_fresh_node() {
    let Some(node) = Node::new() else { return };
    node.api(false, false);
    let mut state = node.state();
    assert!(state["clock"].take().as_u64().is_some_and(|clock| clock > 1_700_000_000));
    assert!(state["free_mib"].take().is_u64() && state["scripts"].take().is_string());
    let want = json!({
        "prep": "", "api_address": "", "ca_hash": "", "control_plane": "none", "sealed": false,
        "worker": "none", "advertised": "", "node_ip": "", "kubelet": "", "clock": null,
        "kubeadm": "", "version": "", "upgrade": "", "running": "", "certificates_days": null, "kubelet_days": null, "scripts": null, "free_mib": null,
    });
    assert_eq!(state, want);
    node.stub("kubelet", "echo Kubernetes v1.35.7");
    node.write("var/lib/archipelago/prep.done", "k8s=1.35.7 pause=registry.k8s.io/pause:3.10.1\n");
    node.write("etc/hosts", "127.0.0.1 localhost # app1-api\n192.168.64.10 app1-apix\n192.168.64.11 x app1-api # c\n");
    let state = node.state();
    assert_eq!(state["kubelet"], "v1.35.7");
    assert_eq!(state["prep"], "k8s=1.35.7 pause=registry.k8s.io/pause:3.10.1");
    assert_eq!(state["api_address"], "192.168.64.11");
}

#[test]
fn state_never_breaks_its_json() {
    let Some(node) = Node::new() else { return };
    node.write("var/lib/archipelago/prep.done", "a\"b\\c\u{7}\nsecond\n");
    node.write("etc/kubernetes/pki/ca.crt", "not a certificate");
    node.remove("etc/hosts");
    let state = node.state();
    assert_eq!((&state["prep"], &state["ca_hash"], &state["api_address"]), (&json!("abc"), &json!(""), &json!("")));
    let done = node.must("node-state", &[], "");
    assert!(serde_json::from_str::<Value>(&done.stdout).is_ok());
}

#[test]
fn state_of_a_control_plane_through_its_life() {
    let Some(node) = Node::new() else { return };
    let control_plane = || node.state()["control_plane"].as_str().expect("text").to_owned();
    node.api(false, false);
    node.write("etc/kubernetes/pki/ca.crt", "");
    node.write("etc/kubernetes/pki/ca.key", "key");
    assert_eq!(control_plane(), "none", "a CA alone");
    node.write("etc/kubernetes/manifests/etcd.yaml", "x");
    assert_eq!(control_plane(), "partial", "no admin.conf yet");
    node.write("etc/kubernetes/admin.conf", "x");
    assert_eq!(control_plane(), "partial", "the API never came");
    node.api(true, false);
    assert_eq!(control_plane(), "partial", "died before its configuration was kept");
    node.api(true, true);
    assert_eq!(control_plane(), "up", "not sealed yet");
    node.write("etc/archipelago/init.done", "");
    assert_eq!((control_plane().as_str(), &node.state()["sealed"]), ("up", &json!(true)));
    node.api(false, false);
    assert_eq!(control_plane(), "booting");
    node.calls();
    node.state();
    let asked: Vec<String> = node.calls().into_iter().filter(|call| call.starts_with("kubectl")).collect();
    assert_eq!(asked.len(), 1, "a silent API is asked once: {asked:?}");
    assert!(asked[0].contains("--server https://127.0.0.1:6443 --request-timeout 3s get --raw /readyz"), "{asked:?}");
    node.remove("etc/kubernetes/admin.conf");
    node.remove("etc/kubernetes/manifests/etcd.yaml");
    assert_eq!(control_plane(), "partial", "sealed, but nothing is there");
}

#[test]
fn state_of_a_worker_through_its_life() {
    let Some(node) = Node::new() else { return };
    node.api(false, false);
    let worker = || node.state()["worker"].as_str().expect("text").to_owned();
    assert_eq!(worker(), "none");
    node.write("etc/kubernetes/pki/ca.crt", "x");
    assert_eq!(worker(), "partial");
    node.write("etc/kubernetes/bootstrap-kubelet.conf", "x");
    node.write("etc/kubernetes/kubelet.conf", "x");
    assert_eq!(worker(), "partial", "the bootstrap is not over");
    node.remove("etc/kubernetes/bootstrap-kubelet.conf");
    assert_eq!(worker(), "joined");
    assert_eq!(node.state()["control_plane"], "none");
}

#[test]
fn ca_hash_is_of_the_public_key() {
    let Some(node) = Node::new() else { return };
    let Some(openssl) = run_cli::find("openssl") else { return };
    node.write("etc/kubernetes/pki/ca.crt", "");
    let certificate = node.path("etc/kubernetes/pki/ca.crt");
    let (key, public) = (node.path("ca.key"), node.path("ca.der"));
    let request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x"];
    let made =
        run_cli::run(run_cli::command(&openssl).args(request).arg("-keyout").arg(&key).arg("-out").arg(&certificate));
    assert!(made.0, "{}", made.1);
    let der = ["pkey", "-pubout", "-outform", "der", "-in"];
    assert!(run_cli::run(run_cli::command(&openssl).args(der).arg(&key).arg("-out").arg(&public)).0);
    let (_, sum) = run_cli::run(run_cli::command("sha256sum").arg(&public));
    let want = format!("sha256:{}", sum.split(' ').next().expect("a digest"));
    assert_eq!(node.state()["ca_hash"], want);
}

#[test]
fn a_name_has_one_address() {
    let Some(node) = Node::new() else { return };
    let hosts = |node: &Node, ip: &str| {
        node.must("node-hosts", &[ip, "app1-api"], "");
        node.read("etc/hosts")
    };
    let base = "127.0.0.1 localhost\n127.0.1.1 app1-cp app1-cp\n";
    assert_eq!(hosts(&node, "10.0.0.1"), format!("{base}10.0.0.1 app1-api\n"));
    assert_eq!(hosts(&node, "10.0.0.1"), format!("{base}10.0.0.1 app1-api\n"), "again");
    assert_eq!(hosts(&node, "10.0.0.2"), format!("{base}10.0.0.2 app1-api\n"), "a new address");
    let mixed =
        "# app1-api\n10.0.0.9\tapp1-api other  # why app1-api\n10.0.0.8 app1-api\n10.0.0.7 app1-api.x\n::1 ip6\n";
    node.write("etc/hosts", mixed);
    let want = "# app1-api\n10.0.0.9 other # why app1-api\n10.0.0.7 app1-api.x\n::1 ip6\n10.0.0.3 app1-api\n";
    assert_eq!(hosts(&node, "10.0.0.3"), want);
    let left: Vec<_> = std::fs::read_dir(node.path("etc")).expect("there").collect();
    assert_eq!(left.len(), 1, "no half-written file stays: {left:?}");
    for wrong in [&["10.0.0.1"][..], &["x", "app1-api"], &["10.0.0.1", "a b"], &["10.0.0.1", "a", "b"]] {
        assert_eq!(node.run("node-hosts", wrong, "").code, Some(2), "{wrong:?}");
    }
    assert_eq!(node.read("etc/hosts"), want, "wrong use changes nothing");
}

const KUBEADM_RESET: &str = "rm -f $ROOT/etc/kubernetes/manifests/*\nrm -rf $ROOT/etc/kubernetes/pki $ROOT/var/lib/etcd/member\nrm -f $ROOT/etc/kubernetes/*.conf";

fn initialised() -> Option<Node> {
    let node = Node::new()?;
    for file in ["pki/ca.crt", "pki/ca.key", "pki/apiserver.crt", "admin.conf", "manifests/etcd.yaml"] {
        node.write(&format!("etc/kubernetes/{file}"), file);
    }
    node.write("etc/archipelago/init.done", "");
    node.write("etc/cni/net.d/05-cilium.conflist", "");
    node.api(false, false);
    Some(node)
}

#[test]
fn a_reset_keeps_the_ca_of_a_control_plane() {
    let Some(node) = initialised() else { return };
    node.stub("kubeadm", KUBEADM_RESET);
    for _ in 0..2 {
        node.must("node-reset", &[], "");
        assert_eq!(node.read("etc/kubernetes/pki/ca.crt"), "pki/ca.crt");
        assert_eq!(node.read("etc/kubernetes/pki/ca.key"), "pki/ca.key");
        let state = node.state();
        assert_eq!((&state["control_plane"], &state["sealed"]), (&json!("none"), &json!(false)));
        assert!(!node.has("etc/cni/net.d/05-cilium.conflist"));
        assert!(!node.has("var/lib/archipelago/ca"), "no second copy of a private key stays");
    }
    let mode = std::fs::metadata(node.path("etc/kubernetes/pki/ca.key")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(node.calls()[0].starts_with("kubeadm reset --force --cri-socket unix://"));
}

#[test]
fn a_reset_of_a_worker_leaves_no_ca() {
    let Some(node) = Node::new() else { return };
    node.stub("kubeadm", "rm -f $ROOT/etc/kubernetes/*.conf");
    node.write("etc/kubernetes/pki/ca.crt", "x");
    node.write("etc/kubernetes/kubelet.conf", "x");
    node.must("node-reset", &[], "");
    assert_eq!(node.state()["worker"], "none", "kubeadm join refuses a ca.crt that is there");
}

#[test]
fn failed_reset_is_completed_by_the_script() {
    let Some(node) = initialised() else { return };
    node.stub("kubeadm", "exit 1");
    node.stub("systemctl", "");
    node.stub("crictl", "case \"$*\" in *'pods --quiet') echo one; echo two ;; esac");
    node.must("node-reset", &[], "");
    assert_eq!(node.state()["control_plane"], "none");
    assert_eq!(node.read("etc/kubernetes/pki/ca.key"), "pki/ca.key");
    let calls = node.calls().join("\n");
    assert!(calls.contains("systemctl stop kubelet") && calls.contains("rmp --force two"), "{calls}");
}

#[test]
fn killed_reset_keeps_the_ca() {
    let (Some(node), Some(_)) = (initialised(), run_cli::find("ps")) else { return };
    // Killed together with the shell around it, after kubeadm has removed the CA.
    node.stub("kubeadm", &format!("{KUBEADM_RESET}\nkill -9 $(ps -o ppid= -p $PPID) $PPID"));
    assert_ne!(node.run("node-reset", &[], "").code, Some(0));
    assert!(!node.has("etc/kubernetes/pki/ca.key"));
    node.stub("kubeadm", "");
    node.must("node-reset", &[], "");
    assert_eq!(node.read("etc/kubernetes/pki/ca.key"), "pki/ca.key");
}

#[test]
fn token_is_made_when_the_api_is_up() {
    let Some(node) = initialised() else { return };
    let kept = "kept=$ROOT/applied; case \"$*\" in */readyz) ;; *apply*) cat >$kept ;; esac";
    node.stub("kubectl", kept);
    let done = node.must("node-token", &["arc002"], "a123456789bcdefg\n");
    let calls = node.calls().join("\n");
    assert!(
        calls.contains("apply --server-side --force-conflicts --field-manager archipelago --filename -"),
        "{calls}"
    );
    assert!(
        !calls.contains("a123456789bcdefg") && !done.stdout.contains("a123456789bcdefg"),
        "a secret is never shown"
    );
    let text = node.read("applied");
    let applied = model::yaml::parse("applied", &text).expect("YAML").remove(0).value;
    assert_eq!(applied["metadata"]["name"], "bootstrap-token-arc002");
    assert_eq!(applied["type"], "bootstrap.kubernetes.io/token");
    assert_eq!(applied["data"]["token-secret"], "YTEyMzQ1Njc4OWJjZGVmZw==");
    assert_eq!(applied["data"]["usage-bootstrap-signing"], "dHJ1ZQ==");
}

#[test]
fn token_does_not_wait_for_the_api() {
    let Some(node) = Node::new() else { return };
    node.stub("kubectl", "exit 1");
    assert_eq!(node.run("node-token", &["arc002"], "a123456789bcdefg").code, Some(0), "no control plane yet");
    assert_eq!(node.calls(), Vec::<String>::new());
    node.write("etc/kubernetes/admin.conf", "x");
    assert_eq!(node.run("node-token", &["arc002"], "a123456789bcdefg").code, Some(0), "the API is silent");
    node.stub("kubectl", "case \"$*\" in *apply*) exit 1 ;; esac");
    assert_ne!(node.run("node-token", &["arc002"], "a123456789bcdefg").code, Some(0), "the API refuses");
    for (args, secret) in [(&["arc2"][..], "a123456789bcdefg"), (&["arc002"], "short"), (&["arc002"], ""), (&[], "")] {
        assert_eq!(node.run("node-token", args, secret).code, Some(2), "{args:?} {secret}");
    }
}
