//! Tools as real processes that answer from one simulated state.
#![expect(clippy::disallowed_methods, reason = "the fake tools are processes, and these tests are about them")]

pub mod bootstrap;
mod destroy;
mod drill;
mod killed;
pub mod machine;
mod signals;

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
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_fake_tool"), folder.path().join(tool)).unwrap();
        }
        Bench(folder)
    }

    fn start(&self, tool: &str, args: &[&str], stdin: &str) -> Child {
        let mut child = Command::new(self.0.path().join(tool))
            .args(args)
            .current_dir(self.0.path())
            .env("FAKE_TOOL_STATE", self.0.path().join("state.json"))
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
fn tools_share_one_state() {
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
fn commands_run_concurrently() {
    let bench = Bench::new();
    let all = ["a", "b", "c"].map(|name| bench.launch(name));
    for mut child in all {
        assert!(child.wait().unwrap().success());
    }
    let (_, out, _) = bench.run("multipass", &["list", "--format", "json"], "");
    assert_eq!(out.matches("\"state\":\"Running\"").count(), 3, "{out}");
}

#[test]
fn kill_at_any_moment_leaves_a_whole_state() {
    let bench = Bench::new();
    for round in 0..10 {
        let mut child = bench.launch(&format!("vm{round}"));
        std::thread::sleep(Duration::from_micros(2100 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let (code, out, err) = bench.run("multipass", &["list", "--format", "json"], "");
        assert_eq!(code, 0, "round {round}: {out} {err}");
    }
    assert!(bench.0.path().join("state.json").exists());
}

#[test]
fn unknown_tool_or_missing_state_exits_99() {
    let status = Command::new(env!("CARGO_BIN_EXE_fake_tool")).stdin(Stdio::null()).stderr(Stdio::null()).status();
    assert_eq!(status.unwrap().code(), Some(99));
}
