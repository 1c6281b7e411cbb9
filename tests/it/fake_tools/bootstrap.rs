//! `bootstrap` with fake tools: idempotence, bad archives, secrets.
#![expect(clippy::disallowed_methods, reason = "looks at what a process left on disk")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use regex::Regex;
use serde_json::Value;
use sim::{Machine, SimState};

use super::machine::{FakeMachine, baseline};
use crate::fixtures::connected;

/// Arguments of commands that change something, each between spaces.
const CHANGING: &str = " (launch|start|stop|recover|delete|install|kubeadm|touch|restart|apply|patch|upgrade|uninstall\
    |rollback|pull|req) |/node-(prep|hosts|reset|token|keep)|vault (write|operator (init|unseal)|kv put)";

fn is_changing(asked: &Value) -> bool {
    let args = asked["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let line: String = args.map(|arg| format!(" {arg} ")).collect();
    // `--output` of kubectl and cilium is a format, of others a file.
    let prints = asked["tool"] == "kubectl" || asked["tool"] == "cilium";
    Regex::new(CHANGING).expect("a pattern").is_match(&line) || line.contains(" --output ") && !prints
}

#[test]
fn second_bootstrap_through_real_processes_changes_nothing() {
    let machine = FakeMachine::bootstrapped();
    let end = &baseline().end;
    for (vm, cluster) in [("mgmt-cp", "mgmt"), ("app1-cp", "app1"), ("app2-cp", "app2")] {
        let nodes = &end[vm]["cluster"]["nodes"];
        assert_eq!(end[vm]["cluster"]["name"], cluster);
        assert_eq!(
            (nodes[vm].as_bool(), nodes[format!("{cluster}-w1")].as_bool()),
            (Some(true), Some(true)),
            "{nodes}"
        );
    }
    let asked = machine.asked();
    assert!(asked.iter().any(is_changing), "the first run has changed something");
    let second = machine.must("bootstrap --format json");
    let events: Vec<Value> = second.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let acts: Vec<_> = events.iter().filter(|event| event["mutates"] == true || event["event"] == "done").collect();
    assert!(acts.is_empty() && !events.is_empty(), "the second run has something to do: {acts:?}");
    let all = machine.asked();
    let acts: Vec<_> = all[asked.len()..].iter().filter(|asked| is_changing(asked)).collect();
    assert!(acts.is_empty() && all.len() > asked.len(), "the second run changes something: {acts:?}");
    assert_eq!(machine.end(), *end);
}

/// The client writes it to stdout while it starts a machine that does not run (seen on 1.16.3).
#[test]
fn json_behind_a_spinner_is_refused_for_that_reason_and_acted_on_by_nothing() {
    let machine = FakeMachine::bootstrapped();
    let (here, real) = (machine.root().join("bin/multipass"), machine.root().join("real/multipass"));
    fs::create_dir(machine.root().join("real")).unwrap();
    fs::rename(&here, &real).unwrap();
    let spinner = r"\033[2K\033[0A\033[0EStarting app1-cp |\033[2K\033[0A\033[0E";
    let script = format!("case \"$*\" in *node-state*) printf '{spinner}' ;; esac\nexec {real} \"$@\"");
    fs::write(&here, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&here, Permissions::from_mode(0o755)).unwrap();
    let before = machine.asked().len();
    let ran = machine.run("bootstrap --only app1/cp/prep");
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    for words in ["did not complete: stdout has text before its JSON: ", "Starting app1-cp", "Retrying"] {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
    assert!(!machine.asked()[before..].iter().any(is_changing), "{}", ran.err);
}

/// Words of commands that make a machine or put something onto a cluster.
const MAKING: &[&str] = &["launch", "apply", "upgrade"];

#[test]
fn bad_archive_is_reported_with_its_line_before_any_change() {
    let other = "f".repeat(64);
    let stage = || SimState::new(Machine::default());
    let down = "cannot download what `cilium` is installed from: `cilium-1.20.2.tgz`";
    let differs = "digest mismatch for `cilium`: `cilium-1.20.2.tgz`";
    for (stage, words) in [
        (stage().without("helm.cilium.io"), [down, "lookup helm.cilium.io: no such host"]),
        (stage().publishing("cilium-1.20.2.tgz", &other), [differs, "got  ffffffff"]),
    ] {
        let machine = FakeMachine::in_world(stage);
        let ran = machine.run("bootstrap");
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        for word in words.iter().chain(&["--> charts/releases.toml:", "hint"]) {
            assert!(ran.err.contains(word), "no {word:?} in {}", ran.err);
        }
        let makes = |asked: &Value| {
            let args = asked["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
            args.into_iter().any(|arg| MAKING.contains(&arg))
        };
        let asked = machine.asked();
        assert!(!asked.iter().any(makes), "nothing is made");
        let pulls = asked.iter().filter(|a| a["args"][0] == "pull" && a.to_string().contains("cilium")).count();
        assert_eq!(pulls, if words[0] == differs { 1 } else { 4 }, "another digest is not downloaded again");
    }
}

/// No secret is in a record, a log, an argument or on a stream of this machine, and none can be read by others.
pub fn check_secrets(machine: &FakeMachine, runs: usize) {
    let secrets: Vec<(String, String)> = machine
        .below("out/secrets")
        .into_iter()
        .map(|path| (path.to_string(), std::fs::read_to_string(path).unwrap().trim().to_owned()))
        .collect();
    assert!(secrets.len() >= 14 && secrets.iter().all(|(_, value)| value.len() >= 16), "{}", secrets.len());
    let streams = (0..runs).flat_map(|run| [format!("stdout.{run}"), format!("stderr.{run}")]);
    let files = ["out/journal.jsonl", "state.asked"].map(str::to_owned).into_iter().chain(streams);
    let logs = machine.below("out/logs").into_iter().map(|path| path.strip_prefix(machine.root()).unwrap().to_string());
    let files: Vec<String> = files.chain(logs).collect();
    assert!(files.len() > 40, "logs of every step: {}", files.len());
    for file in files {
        let text = machine.text(&file);
        for (name, value) in &secrets {
            assert!(!text.contains(value.as_str()), "{name} is in {file}");
        }
    }
    for folder in ["out/secrets", "out/kube"] {
        for path in machine.below(folder).into_iter().chain([machine.root().join(folder)]) {
            let data = path.metadata().unwrap();
            let want = if data.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(data.permissions().mode() & 0o777, want, "{path}");
        }
    }
}

#[test]
fn no_later_command_leaks_a_secret() {
    let machine = FakeMachine::from_simulation(&connected().root().join("out/simulation"));
    for line in ["stop", "start -v", "mesh-connect --format json", "doctor --explain", "verify-contract --live"] {
        let ran = machine.run(line);
        // A second of ours is many of the fake tools': under load the doctor finds their clocks behind.
        let found = line.starts_with("doctor") && ran.out.contains("the clock of");
        assert_eq!(ran.code, Some(i32::from(found)), "{line}: {}{}", ran.out, ran.err);
    }
    assert!(machine.asked().len() > 300);
    check_secrets(&machine, 5);
}
