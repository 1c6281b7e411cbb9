//! Every script, killed before each of its commands and of its tools' commands, then run again.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;

use super::*;

/// What is on a disk: mode and text of every file.
fn files(root: &Path) -> BTreeSet<String> {
    let mut folders = vec![root.to_owned()];
    let mut files = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
            let (path, kind) = (entry.path(), entry.metadata().expect("metadata"));
            if kind.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("text");
            let name = path.strip_prefix(root).expect("below it").display();
            files.insert(format!("{name} {:o} {text}", kind.permissions().mode() & 0o777));
        }
    }
    files
}

impl Node {
    fn files(&self) -> BTreeSet<String> {
        let own = self.path("").to_string_lossy().into_owned();
        files(&self.path("")).into_iter().map(|file| file.replace(&own, "/")).collect()
    }

    /// What `node-state` says of what does not change by itself.
    fn settled_state(&self) -> Value {
        let mut state = self.state();
        for field in ["clock", "free_mib"] {
            state[field].take();
        }
        state
    }

    fn count(&self) -> PathBuf {
        self.0.path().join("count")
    }

    /// Runs a script that is killed before a command; see `fixtures/node/kill`.
    fn run_and_kill(&self, at: usize, (script, args, stdin): Script) -> Done {
        std::fs::write(self.count(), "0\n").expect("written");
        let mut command = self.command(script, args);
        command.process_group(0).env("BASH_ENV", Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/node/kill"));
        finish(command.env("KILL_AT", at.to_string()).env("KILL_COUNT", self.count()), stdin)
    }
}

/// Its name, arguments and stdin.
type Script = (&'static str, &'static [&'static str], &'static str);

/// Whenever it is killed, the next run ends as an undisturbed one does; and `node-state` reports what it reports after
/// that only if nothing is left to do. Of commands before which the disk is the same, the first is enough.
fn converges_after_every_kill(node: impl Fn() -> Option<Node>, script: Script) {
    let Some(undisturbed) = node() else { return };
    let before = undisturbed.settled_state();
    assert_eq!(undisturbed.run_and_kill(0, script).code, Some(0), "{script:?}");
    let (after, want) = (undisturbed.settled_state(), undisturbed.files());
    let same = |node: &Node, when: String| {
        let (files, script) = (node.files(), script.0);
        let differs: Vec<_> = files.symmetric_difference(&want).collect();
        assert!(differs.is_empty(), "{script}, {when}: {differs:#?}");
    };
    let commands = std::fs::read_to_string(undisturbed.count()).expect("text").trim().parse().expect("a number");
    let disk = |at: &usize| files(&undisturbed.0.path().join(format!("count.{at}")));
    let mut disks = BTreeSet::new();
    let differing: Vec<usize> = (1..=commands).filter(|at| disks.insert(disk(at))).collect();
    assert!(commands > 7, "{script:?}: {commands} commands");
    for at in differing {
        let node = node().expect("as before");
        // The commands of a pipeline are counted in any order, so the last ones may not be reached.
        if node.run_and_kill(at, script).code.is_some() {
            same(&node, "not killed".into());
            continue;
        }
        let command = std::fs::read_to_string(node.count()).expect("its command");
        if before != after && node.settled_state() == after {
            same(&node, format!("killed before {command}and reported as done"));
        }
        node.must(script.0, script.1, script.2);
        same(&node, format!("killed before {command}"));
    }
}

#[test]
fn small_scripts() {
    let kept = || {
        let node = Node::new()?;
        node.write("etc/archipelago/kubeadm-join.yaml", "older\n");
        Some(node)
    };
    converges_after_every_kill(kept, ("node-keep", &["/etc/archipelago/kubeadm-join.yaml"], "newer\n"));
    converges_after_every_kill(Node::new, ("node-hosts", &["192.168.252.13", "app1-api"], ""));
    let token = || {
        let node = initialised()?;
        node.stub("kubectl", "case \"$*\" in *apply*) sed s/expiration.*// >$ROOT/applied ;; esac");
        Some(node)
    };
    converges_after_every_kill(token, ("node-token", &["arc002"], "a123456789bcdefg\n"));
}

#[test]
fn resets() {
    for kubeadm in [KUBEADM_RESET, "exit 1"] {
        let node = || {
            let node = initialised()?;
            node.stub("kubeadm", kubeadm);
            node.stub("systemctl", "");
            node.busy_control_plane();
            Some(node)
        };
        converges_after_every_kill(node, ("node-reset", &[], ""));
    }
    let worker = || {
        let node = Node::new()?;
        node.stub("kubeadm", "rm -f $ROOT/etc/kubernetes/*.conf");
        for file in ["kubernetes/pki/ca.crt", "kubernetes/kubelet.conf", "cni/net.d/05-cilium.conflist"] {
            node.write(&format!("etc/{file}"), "x");
        }
        Some(node)
    };
    converges_after_every_kill(worker, ("node-reset", &[], ""));
}

#[test]
fn readdressing() {
    for control_plane in [true, false] {
        converges_after_every_kill(|| readdress::moved(control_plane), ("node-readdress", &[readdress::NEW], ""));
    }
}

#[test]
fn upgrades() {
    let node = || {
        let node = upgrade::control_plane()?;
        node.write("var/lib/archipelago/etcd-before-v1.35.5.db", "older\n");
        Some(node)
    };
    converges_after_every_kill(node, ("node-upgrade", &["v1.35.7"], ""));
}

#[test]
fn renewals() {
    for expired in [true, false] {
        converges_after_every_kill(|| certificates::control_plane(expired), ("node-renew", &[], ""));
    }
}

#[test]
fn preparation() {
    converges_after_every_kill(|| prep::ubuntu("2.2.1"), ("node-prep", &[], ""));
    converges_after_every_kill(|| prep::ubuntu("2.2.1"), ("node-prep", &["kubeadm"], ""));
}
