//! The stand-in tools as real processes: one state for all, and nothing lost when one is killed.
//! Knows nothing of plans.
#![expect(clippy::disallowed_methods, reason = "the stand-ins are processes, and these tests are about them")]

mod away;
mod drill;
mod killed;
pub mod place;
mod stopped;
mod whole;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

const USER_DATA: &str = "write_files:\n- {path: /usr/local/sbin/node-prep, content: x}\n";

/// A folder with the tools in it, and a state.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for tool in ["multipass", "kubectl", "helm", "cilium", "openssl", "curl", "xtask"] {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_standin"), folder.path().join(tool)).unwrap();
        }
        Bench(folder)
    }

    fn start(&self, tool: &str, args: &[&str], stdin: &str) -> Child {
        let mut child = Command::new(self.0.path().join(tool))
            .args(args)
            .current_dir(self.0.path())
            .env("STANDIN_STATE", self.0.path().join("state.json"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A child that is killed at once does not read.
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), stdin.as_bytes());
        child
    }

    fn run(&self, tool: &str, args: &[&str], stdin: &str) -> (i32, String, String) {
        let output = self.start(tool, args, stdin).wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    fn launch(&self, name: &str) -> Child {
        self.start("multipass", &["launch", "24.04", "--name", name, "--cloud-init", "-"], USER_DATA)
    }
}

#[test]
fn the_tools_share_one_state() {
    let bench = Bench::new();
    assert!(bench.launch("a").wait().unwrap().success());
    let (code, out, _) = bench.run("multipass", &["info", "a", "--format", "json"], "");
    assert!(code == 0 && out.contains("\"state\":\"Running\""), "{out}");
    let (code, _, err) = bench.run("multipass", &["launch", "24.04", "--name", "a", "--cloud-init", "-"], USER_DATA);
    assert!(code == 2 && err.contains("already exists"), "{err}");
    let pull = ["pull", "cilium", "--repo", "https://helm.cilium.io", "--version", "1.20.0", "--destination", "out"];
    assert_eq!(bench.run("helm", &pull, "").0, 0);
    let (code, out, _) = bench.run("xtask", &["sha256", "out/cilium-1.20.0.tgz"], "");
    assert!(code == 0 && out.starts_with("c5f013912360"), "{out}");
}

#[test]
fn commands_run_beside_each_other() {
    let bench = Bench::new();
    let all = ["a", "b", "c"].map(|name| bench.launch(name));
    for mut child in all {
        assert!(child.wait().unwrap().success());
    }
    let (_, out, _) = bench.run("multipass", &["list", "--format", "json"], "");
    assert_eq!(out.matches("\"state\":\"Running\"").count(), 3, "{out}");
}

#[test]
fn a_kill_at_any_moment_leaves_a_whole_state() {
    let bench = Bench::new();
    for round in 0..30 {
        let mut child = bench.launch(&format!("vm{round}"));
        std::thread::sleep(Duration::from_micros(700 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let (code, out, err) = bench.run("multipass", &["list", "--format", "json"], "");
        assert_eq!(code, 0, "round {round}: {out} {err}");
    }
    assert!(bench.0.path().join("state.json").exists());
}

#[test]
fn without_a_state_or_under_another_name_it_does_nothing() {
    let status = Command::new(env!("CARGO_BIN_EXE_standin")).stdin(Stdio::null()).stderr(Stdio::null()).status();
    assert_eq!(status.unwrap().code(), Some(99));
}
