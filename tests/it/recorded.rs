//! What real tools answered, held against the simulator: exit code, streams, and the shape of what they print.
//!
//! `tests/recorded/cli.jsonl` has a line per tool, subcommand and exit code: argv (of `guest`, where it ran in a machine),
//! exit, stdout and stderr (null: both were recorded as one stream), seconds, the state to replay it in, and commands
//! before it. Of long JSON the structure is kept, of what was `cut` its begin. Recorded with Kubernetes 1.35, Helm 4.1.4,
//! cilium-cli 0.19.7 and Cilium 1.20 on two meshed clusters. Durations are not compared: the machine was loaded.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};
use tool::helm::Helm;
use tool::{Exit, Output, Stdin};

use crate::fixtures::connected;
use crate::golden::{self, read};
use crate::manual_changes::replay;
use crate::ui::Repo;

#[derive(Deserialize)]
struct Recording {
    argv: Vec<String>,
    exit: i32,
    stdout: String,
    stderr: Option<String>,
    #[serde(default)]
    state: String,
    #[serde(default)]
    before: Vec<String>,
    /// A generated file that it reads.
    stdin: Option<String>,
    guest: Option<String>,
    #[serde(default)]
    cut: bool,
}

fn state(name: &str) -> Repo {
    let repo = connected();
    let workloads = "/mgmt-cp/guest/control/Made/workloads";
    match name {
        "connected" => {}
        // Of the platform's pods none is ready.
        "platform-starts" => repo.edit_vms(|vms| {
            let workloads = vms.pointer_mut(workloads).and_then(Value::as_object_mut).expect("workloads");
            workloads.values_mut().for_each(|workload| workload["placed"] = json!([]));
        }),
        other => panic!("no state {other}"),
    }
    repo
}

/// Words of a command, what differs, and why that is accepted. One that is no longer needed fails the test.
const ACCEPTED: &[(&str, &str, &str)] = &[
    (
        "df -P -k /data",
        "stdout: NAME NUMBER",
        "the file system has the name of a device here, and was an overlay there",
    ),
    ("cilium clustermesh status", "stderr: 0 lines", "its warnings about Services of type NodePort are left out"),
    ("get services --all", "targetPort text", "a port or its name; the recording is cut before the first name"),
    ("get deployments,statefulsets,daemonsets", "rollingUpdate/max", "a number or a share; it is cut before a number"),
    ("cilium-health status", "/status text", "a probe without an error has no status in the real answer"),
];

/// Of JSON: paths with the type of what is there, list entries as one. Of text: its lines, each word by its kind.
fn shape(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match serde_json::from_str::<Value>(text) {
        Ok(value) if !value.is_number() => paths("", &value, &mut found),
        _ => found.extend(text.lines().filter(|line| !line.trim().is_empty()).map(line_shape)),
    }
    found
}

fn paths(at: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| paths(&format!("{at}/{}", kind(key)), value, found)),
        Value::Array(list) => list.iter().for_each(|value| paths(&format!("{at}/*"), value, found)),
        Value::Null => {}
        Value::Bool(_) => drop(found.insert(format!("{at} boolean"))),
        Value::Number(_) => drop(found.insert(format!("{at} number"))),
        Value::String(_) => drop(found.insert(format!("{at} text"))),
    }
}

/// Keys that are names or addresses count as one.
fn kind(key: &str) -> &str {
    if key.contains(|c: char| c.is_ascii_digit()) || ["mgmt", "app1"].contains(&key) { "NAME" } else { key }
}

/// Words stay where they are a sentence; names, numbers, addresses and times do not.
fn line_shape(line: &str) -> String {
    let word = |word: &str| match word {
        _ if word.starts_with(['"', '\'', '<', '/']) || word.contains(['/', '.', ':', '-']) => "NAME".to_owned(),
        _ if word.contains(|c: char| c.is_ascii_digit()) => "NUMBER".to_owned(),
        _ => word.to_owned(),
    };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// What the simulator prints and the real tool does not.
fn differences(recording: &Recording, simulated: &Output) -> Vec<String> {
    let real = recording;
    let mut found = Vec::new();
    if simulated.exit != Exit::Code(real.exit) {
        found.push(format!("exit {:?}, real {}: {}", simulated.exit, real.exit, simulated.stderr.trim()));
    }
    let merged = format!("{}{}", simulated.stdout, simulated.stderr);
    let streams = match &real.stderr {
        Some(stderr) => vec![("stdout", &real.stdout, &simulated.stdout), ("stderr", stderr, &simulated.stderr)],
        None => vec![("output", &real.stdout, &merged)],
    };
    for (stream, real, simulated) in streams {
        let (real, simulated) = (shape(real), shape(simulated));
        if real.is_empty() != simulated.is_empty() {
            found.push(format!("{stream}: {} lines, real {}", simulated.len(), real.len()));
        }
        let path = |what: &str| what.rsplit_once(' ').map(|(path, _)| format!("{path} ")).unwrap_or_default();
        let known = |what: &&String| !recording.cut || real.iter().any(|other| other.starts_with(&path(what)));
        found.extend(simulated.difference(&real).filter(known).map(|what| format!("{stream}: {what}")));
    }
    found
}

/// What the questions of the live tier read, by their argv.
fn inputs() -> BTreeMap<Vec<String>, String> {
    let (fleet, releases) = golden::load(golden::FLEET);
    let (data, plan) = (golden::data(), golden::plan(golden::FLEET, Helm::V4));
    let state = contract::RenderedState::gather(&fleet, &releases, &data, &plan.files).expect("a state");
    let clusters: Vec<String> = fleet.clusters.iter().map(|c| c.name.clone()).collect();
    let asked = contract::live::plan(&fleet, &clusters, &state).steps.into_iter().map(|step| step.done_when.ask);
    asked.filter_map(|ask| if let Stdin::Text(text) = ask.stdin { Some((ask.args, text)) } else { None }).collect()
}

#[test]
fn simulator_answers_as_the_real_tools_did() {
    let (inputs, plan) = (inputs(), golden::plan(golden::FLEET, Helm::V4));
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for line in read("tests/recorded/cli.jsonl").lines() {
        let real: Recording = serde_json::from_str(line).expect("a recording");
        let place = state(&real.state);
        let split = |line: &String| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for before in &real.before {
            let done = replay(&place, &split(before), "");
            assert_eq!(done.exit, Exit::Code(0), "{before}: {done:?}");
        }
        let text = inputs.get(&real.argv[1..]).cloned().unwrap_or_default();
        let stdin = real.stdin.as_ref().map_or(text, |file| plan.files[file].clone());
        let shown = real.argv.join(" ");
        let outside = real.guest.iter().flat_map(|vm| ["multipass", "exec", "-n", vm, "--"]).map(str::to_owned);
        let argv: Vec<String> = outside.chain(real.argv.iter().cloned()).collect();
        for found in differences(&real, &replay(&place, &argv, &stdin)) {
            let accepted = ACCEPTED.iter().position(|(of, what, _)| shown.contains(of) && found.contains(what));
            match accepted {
                Some(index) => drop(used.insert(index)),
                None => wrong.push(format!("{shown}\n    {found}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let unused: Vec<_> = (0..ACCEPTED.len()).filter(|index| !used.contains(index)).map(|i| ACCEPTED[i]).collect();
    assert!(unused.is_empty(), "no longer needed: {unused:?}");
    assert!(ACCEPTED.len() <= 5, "the list only gets shorter: correct the simulator");
}

/// What `--record` writes is read as the recordings here are, and holds nothing secret.
#[test]
fn a_recording_is_replayable_and_holds_no_secret() {
    let repo = Repo::new();
    repo.must("bootstrap --simulate -q --record made");
    repo.must("status --simulate --record seen");
    let text = |folder: &str| repo.read(&format!("{folder}/commands.jsonl"));
    let secrets = repo.simulated("secrets");
    let secrets = secrets.read_dir_utf8().expect("a folder").map(|entry| entry.expect("an entry").into_path());
    let secrets: Vec<String> = secrets.map(|path| repo.read(path.as_str()).trim().to_owned()).collect();
    let patterns = ["PRIVATE KEY", "-----BEGIN", "LS0tLS1CRUdJ", "hvs."].map(str::to_owned);
    for text in [text("made"), text("seen")] {
        let leaked: Vec<&String> = secrets.iter().chain(&patterns).filter(|secret| text.contains(*secret)).collect();
        assert!(leaked.is_empty() && text.lines().count() > 100 && secrets.len() > 5, "{leaked:?}");
    }
    for line in text("seen").lines() {
        let real: Recording = serde_json::from_str(line).expect("a recording");
        let asks = ["helm", "kubectl", "cilium", "multipass", "curl", "openssl"].contains(&&*real.argv[0]);
        if asks && line.contains("\"stdin_bytes\":0") && !line.contains("<private>") {
            let found = differences(&real, &replay(&repo, &real.argv, ""));
            assert!(found.is_empty(), "{:?}: {found:?}", real.argv);
        }
    }
}
