//! Multipass 1.16: its command lines, states, JSON paths and quirks.

use std::time::Duration;

use serde_json::Value;

use super::MachineState::{Deleted, Restarting, Running, Starting, Stopped, Stopping, Suspended, Suspending, Unknown};
use super::{HostCheck, MachineInfo, MachineState, Remedy};
use model::fleet::Node;
use tool::answer::VM_ABSENT;
use tool::extract::json;
use tool::{Command, Expect, Output, Tool};

/// Names of states in `info` (client sources of 1.16.3).
const STATES: [(&str, MachineState); 9] = [
    ("Running", MachineState::Running),
    ("Starting", MachineState::Starting),
    ("Restarting", MachineState::Restarting),
    ("Delayed Shutdown", MachineState::Stopping),
    ("Stopped", MachineState::Stopped),
    ("Suspending", MachineState::Suspending),
    ("Suspended", MachineState::Suspended),
    ("Deleted", MachineState::Deleted),
    ("Unknown", MachineState::Unknown),
];

/// A boot passes through `Unknown` until the daemon knows an address, and through `Starting`. `stop --force` meanwhile
/// can leave a VM that only a restart of the daemon mends, so it waits for as long as `start` itself does (seen on 1.16.3).
const BOOT: Duration = Duration::from_secs(300);

pub(super) const RESTART_DAEMON: &str = "macOS: sudo launchctl kickstart -k system/com.canonical.multipassd · Linux: \
     sudo snap restart multipass   # if its state never changes: suspends running VMs and resumes them";

/// User data is read with yaml-cpp and written again without comments and quotes.
pub(super) const LOSES_QUOTES: &str =
    "Multipass drops quotes from user-data before cloud-init reads it (canonical/multipass#4176)";

/// By mDNS on macOS, and by the DNS of Multipass on Linux.
pub(super) fn dns_names(vm: &str) -> Vec<String> {
    ["local", "multipass"].map(|domain| format!("{vm}.{domain}")).into()
}

pub(super) fn host_check() -> HostCheck {
    HostCheck {
        ask: Command::ask(Tool::Multipass, ["version", "--format", "json"]),
        version_at: "/multipass",
        ready: Expect::JsonPresent("/multipassd".into()),
        // What the client says alone is no answer; why it is alone stands in what the next command says.
        otherwise: list(),
        install: "macOS: brew install --cask multipass · Linux: sudo snap install multipass",
    }
}

/// What helps where the daemon refuses or cannot be reached (texts of 1.16.3). The certificate is missing until it has run
/// once.
pub(super) fn service_hint(output: &Output) -> Option<&'static str> {
    let start = "macOS: sudo launchctl kickstart -k system/com.canonical.multipassd · Linux: sudo snap start multipass";
    let hints = [
        ("is not authenticated", "multipass authenticate"),
        ("cannot connect to the multipass socket", start),
        ("multipass_root_cert.pem", start),
    ];
    hints.into_iter().find(|(text, _)| output.stderr.contains(text)).map(|(_, hint)| hint)
}

/// By name: asking for all VMs stalls on a dead one, which alone took 34 s (canonical/multipass#3645).
pub(super) fn info(vm: &str) -> Command {
    Command::ask(Tool::Multipass, ["info", vm, "--format", "json"])
}

/// All VMs, by what the daemon knows: without `--no-ipv4` it goes by ssh into every one (seen on 1.16.3).
pub(super) fn list() -> Command {
    Command::ask(Tool::Multipass, ["list", "--no-ipv4", "--format", "json"])
}

pub(super) fn address_pointer(vm: &str) -> String {
    format!("/info/{vm}/ipv4/0")
}

pub(super) fn has_address(vm: &str) -> [Expect; 2] {
    let at = address_pointer(vm);
    [Expect::JsonPresent(at.clone()), Expect::Json(at, "N/A".into()).negated()]
}

pub(super) fn is(vm: &str, state: &MachineState) -> Expect {
    let word = match state {
        MachineState::Absent => return Expect::All(vec![Expect::Exit(0).negated(), Expect::Stderr(VM_ABSENT.into())]),
        MachineState::NoAnswer => return Expect::Unanswered,
        state => word(state),
    };
    Expect::Json(format!("/info/{vm}/state"), word.to_owned())
}

/// The same in the answer to [`list`].
pub(super) fn is_listed(vm: &str, state: &MachineState) -> Expect {
    match state {
        MachineState::Absent => Expect::JsonEach(format!("/list/name={vm}/name"), vm.to_owned()).negated(),
        state => Expect::JsonEach(format!("/list/name={vm}/state"), word(state).to_owned()),
    }
}

fn word(state: &MachineState) -> &str {
    match state {
        MachineState::Other(word) => word,
        known => STATES.iter().find(|(_, state)| state == known).map_or("", |(word, _)| word),
    }
}

pub(super) fn read(vm: &str, output: &Output) -> MachineInfo {
    let document = json(&output.stdout).unwrap_or_default();
    let mut rows = document["list"].as_array().into_iter().flatten();
    let info = rows.find(|row| row["name"] == vm).unwrap_or(&document["info"][vm]);
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let usage = |of: &Value| Some((number(&of["used"])?, number(&of["total"])?));
    let state = match info["state"].as_str().unwrap_or_default() {
        "" if output.stderr.contains(VM_ABSENT) || document["list"].is_array() => MachineState::Absent,
        "" => MachineState::NoAnswer,
        word => {
            let known = STATES.into_iter().find(|(name, _)| *name == word);
            known.map_or_else(|| MachineState::Other(word.to_owned()), |(_, state)| state)
        }
    };
    MachineInfo {
        state,
        address: info["ipv4"][0].as_str().map(str::to_owned),
        memory: usage(&info["memory"]),
        disk: info["disks"].as_object().and_then(|disks| usage(disks.values().next()?)),
    }
}

/// While an image is downloaded or copied the VM exists for no other command, even if its client is gone (1.16.3).
const PREPARING: &str = "is being prepared|already exists";

/// User data comes by stdin: a snap cannot read our files (canonical/multipass#3693). The exit code does not depend on
/// cloud-init, and after a timeout the VM lives on.
pub(super) fn launch(vm: &str, node: &Node, image: &str, user_data: &str) -> Command {
    let (cpus, memory, disk) = (node.cpus.to_string(), node.memory.to_string(), node.disk.to_string());
    let sizes = ["--cpus", &cpus, "--memory", &memory, "--disk", &disk];
    let args = ["launch", image, "--name", vm].into_iter().chain(sizes);
    let command = Command::act(Tool::Multipass, args.chain(["--timeout", "900", "--cloud-init", "-"]));
    command.stdin_file(user_data).under_way(PREPARING)
}

/// The daemon serves one request at a time while it stops, clones, suspends or makes a snapshot (seen on 1.16.3).
pub(super) fn blocks(command: &Command) -> bool {
    const BLOCKING: [&str; 6] = ["stop", "delete", "suspend", "clone", "snapshot", "restore"];
    command.args.first().is_some_and(|subcommand| BLOCKING.contains(&subcommand.as_str()))
}

pub(super) fn start(vm: &str) -> Command {
    Command::act(Tool::Multipass, ["start", vm])
}

pub(super) fn stop(vm: &str) -> Command {
    Command::act(Tool::Multipass, ["stop", vm])
}

fn kill(vm: &str) -> Command {
    Command::act(Tool::Multipass, ["stop", "--force", vm])
}

pub(super) fn recover(vm: &str) -> Command {
    Command::act(Tool::Multipass, ["recover", vm])
}

/// Never `purge` alone: it takes every deleted VM of the user's machine.
pub(super) fn delete(vm: &str) -> Command {
    Command::act(Tool::Multipass, ["delete", "--purge", vm])
}

/// Hangs on an open stdin (canonical/multipass#2079), which is always closed. `-n`: without it the client maps the host's working directory first, and with `-d` it joins the arguments unquoted
/// (1.16.3 `exec.cpp`).
pub(super) fn exec(vm: &str, args: &[&str]) -> Vec<String> {
    ["exec", "-n", vm, "--"].iter().chain(args).map(|arg| (*arg).to_owned()).collect()
}

pub(super) fn guest_of(command: &Command) -> Option<&str> {
    let words: Vec<&str> = command.args.iter().map(String::as_str).take(3).collect();
    if let ["exec", "-n", vm] = words[..] { Some(vm) } else { None }
}

pub(super) fn shown_running(want: &Expect) -> Option<&str> {
    match want {
        Expect::All(wants) => wants.iter().find_map(shown_running),
        Expect::Json(pointer, state) if *state == word(&Running) => {
            pointer.strip_prefix("/info/")?.strip_suffix("/state")
        }
        _ => None,
    }
}

/// One that is being prepared is not there yet.
pub(super) fn unreachable(info: &Output) -> Option<String> {
    info.reason().filter(|reason| !info.ok() && !reason.contains(VM_ABSENT))
}

type Is = fn(&str, &MachineState) -> Expect;

fn one_of(vm: &str, is: Is, states: &[MachineState]) -> Expect {
    Expect::Any(states.iter().map(|state| is(vm, state)).collect())
}

fn remedy(name: &'static str, when: Expect, after: Duration, act: Vec<Command>) -> Remedy {
    Remedy { name, when, after, act }
}

pub(super) fn start_remedies(vm: &str) -> Vec<Remedy> {
    let now = Duration::ZERO;
    let one_of = |states| one_of(vm, is, states);
    vec![
        remedy("stopped", one_of(&[Stopped, Suspended]), now, vec![start(vm)]),
        remedy("deleted", is(vm, &Deleted), now, vec![recover(vm), start(vm)]),
        remedy("unknown", is(vm, &Unknown), BOOT, vec![kill(vm), start(vm)]),
        remedy("on its way", one_of(&[Running, Starting, Restarting, Stopping, Suspending]), now, vec![]),
        // It is asked over ssh, which takes more than five seconds or fails.
        remedy("slow", is_listed(vm, &Running), now, vec![]),
    ]
}

/// A VM that boots is not stopped: that is refused, or waits for 300 s and fails (seen on 1.16.3).
pub(super) fn stop_remedies(vm: &str) -> Vec<Remedy> {
    let one_of = |states| one_of(vm, is_listed, states);
    vec![
        remedy("booting", one_of(&[Unknown, Starting, Restarting]), BOOT, vec![kill(vm)]),
        remedy("on its way", one_of(&[Stopping, Suspending]), Duration::ZERO, vec![]),
    ]
}

/// Forced by itself, but the daemon was seen to crash over a VM whose boot it waited for (1.16.3).
pub(super) fn delete_remedies(vm: &str) -> Vec<Remedy> {
    vec![remedy("booting", one_of(vm, is_listed, &[Unknown, Starting, Restarting]), BOOT, vec![delete(vm)])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use tool::Exit;

    fn answer(state: &str) -> Output {
        let stdout = format!(
            r#"{{"errors":[],"info":{{"a":{{"state":"{state}","ipv4":["10.0.0.7","10.1.0.1"],
            "disks":{{"sda1":{{"total":"100","used":"7"}}}},"memory":{{"total":200,"used":30}}}}}}}}"#
        );
        Output { stdout, ..Output::of(Exit::Code(0)) }
    }

    fn refusal(stderr: &str) -> Output {
        Output { stderr: stderr.into(), ..Output::of(Exit::Code(2)) }
    }

    #[test]
    fn every_state_is_read_and_expected_by_the_same_word() {
        for (word, state) in STATES.into_iter().chain([("Hibernating", MachineState::Other("Hibernating".into()))]) {
            assert_eq!(read("a", &answer(word)).state, state);
            assert!(is("a", &state).holds(&info("a"), &answer(word)), "{word}");
            assert!(!is("a", &state).holds(&info("a"), &answer("else")), "{word}");
        }
    }

    #[test]
    fn absence_differs_from_no_answer() {
        let absent = refusal("info failed: The following errors occurred:\ninstance \"a\" does not exist\n");
        let slow = refusal("info failed: failed to obtain exit status: timed out after 5000 ms\n");
        for (output, state, other) in [
            (&absent, MachineState::Absent, MachineState::NoAnswer),
            (&slow, MachineState::NoAnswer, MachineState::Absent),
        ] {
            assert_eq!(read("a", output).state, state);
            let answered = output.no_answer(&info("a")).is_none();
            assert_eq!(answered, state == MachineState::Absent);
            assert!(!is("a", &other).holds(&info("a"), output));
        }
        assert_eq!(read("a", &Output::of(Exit::Code(0))), MachineInfo::default());
    }

    #[test]
    fn address_memory_and_disk_are_read() {
        let info = read("a", &answer("Running"));
        assert_eq!(
            (info.address.as_deref(), info.memory, info.disk),
            (Some("10.0.0.7"), Some((30, 200)), Some((7, 100)))
        );
        assert!(has_address("a").iter().all(|want| want.holds(&super::info("a"), &answer("Running"))));
        let without = Output { stdout: answer("Unknown").stdout.replace("10.0.0.7", "N/A"), ..answer("") };
        assert!(!has_address("a").iter().all(|want| want.holds(&super::info("a"), &without)));
    }
}
