//! Kinds of faults, and a seed that decides which are enabled and which commands they are injected into.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::request::Request;
use tool::Tool;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Exit 1, nothing done.
    Fail,
    /// Everything done, and exit 1.
    FailDone,
    /// Never ends until it is killed.
    Hang,
    /// Dies midway: an init or a join is half done, a release stays pending.
    Half,
    /// Its output is truncated, with exit 0.
    Cut,
    /// The tool is killed by a foreign signal.
    Signal,
    /// A launch reports a timeout; the VM is fine.
    LaunchTimeout,
    /// A download is interrupted.
    Download,
    /// An API server refuses connections for a while.
    Refuse,
    Reboot,
    /// A VM is rebooted with another address.
    Readdress,
    Stop,
    /// A VM is deleted by someone else. Not purged: its name stays taken.
    Delete,
    /// The driving process is killed; its commands run on.
    Crash,
    /// The host is suspended for hours meanwhile. No time passes for what runs; the clocks of VMs stand still.
    Slept,
    /// Everything done and printed, and it never ends until it is killed.
    HangDone,
    /// The driving process and all its commands are killed. VMs run on.
    KillGroup,
    /// Power loss: the driving process, its commands and all VMs stop at once.
    PowerCut,
    /// A guest is so loaded that `info` and ssh give it up, for a minute.
    SlowGuest,
    /// Somebody else's `stop` of a guest that ignores it keeps Multipass from answering.
    DaemonBusy,
}

pub const KINDS: &[Kind] = &[
    Kind::Fail,
    Kind::FailDone,
    Kind::Hang,
    Kind::Half,
    Kind::Cut,
    Kind::Signal,
    Kind::LaunchTimeout,
    Kind::Download,
    Kind::Refuse,
    Kind::Reboot,
    Kind::Readdress,
    Kind::Stop,
    Kind::Delete,
    Kind::Crash,
    Kind::Slept,
    Kind::HangDone,
    Kind::KillGroup,
    Kind::PowerCut,
    Kind::SlowGuest,
    Kind::DaemonBusy,
];

impl Kind {
    pub fn applies_to(self, request: &Request) -> bool {
        let first = request.args.first().map_or("", String::as_str);
        let kubeadm = |verb: &str| request.args.windows(2).any(|w| w[0] == "kubeadm" && w[1] == verb);
        let talks =
            matches!(request.tool, Tool::Kubectl | Tool::Cilium) || request.tool == Tool::Helm && first == "upgrade";
        match self {
            Kind::Half => {
                let upgrading = request.args.iter().any(|a| a.ends_with("/node-upgrade"));
                let making =
                    upgrading || kubeadm("init") && !request.args.iter().any(|a| a == "phase") || kubeadm("join");
                making || request.tool == Tool::Helm && ["upgrade", "rollback", "uninstall"].contains(&first)
            }
            Kind::LaunchTimeout => request.tool == Tool::Multipass && first == "launch",
            Kind::Download => request.tool == Tool::Curl || request.tool == Tool::Helm && first == "pull",
            Kind::Refuse => talks,
            Kind::Reboot | Kind::Readdress | Kind::Stop | Kind::Delete => {
                talks || request.tool == Tool::Multipass && first != "version"
            }
            Kind::SlowGuest => request.tool == Tool::Multipass && ["info", "exec"].contains(&first),
            Kind::DaemonBusy => request.tool == Tool::Multipass,
            // During what takes long; a short query is suspended before or after it.
            Kind::Slept => {
                let long = ["/node-prep", "/node-upgrade", "/node-readdress"];
                let works = request.args.iter().any(|a| a == "cloud-init" || long.iter().any(|end| a.ends_with(end)));
                let makes = first == "launch" || kubeadm("init") || kubeadm("join") || works;
                request.tool == Tool::Multipass && makes
                    || request.tool == Tool::Helm && ["upgrade", "pull"].contains(&first)
            }
            // Built-in commands run inside the driving process.
            Kind::Hang | Kind::Signal => request.tool != Tool::Builtin,
            // During an action or behind it; on a query they have the effect of a hang and a crash.
            Kind::HangDone => request.tool != Tool::Builtin && !is_query(request),
            Kind::KillGroup | Kind::PowerCut => !is_query(request),
            Kind::Fail | Kind::FailDone | Kind::Cut | Kind::Crash => true,
        }
    }
}

/// Whether a command only reads, by the words of the most frequent queries.
fn is_query(request: &Request) -> bool {
    let has = |words: &[&str]| request.args.iter().any(|arg| words.contains(&arg.as_str()));
    match request.tool {
        Tool::Multipass => has(&["info", "list", "version", "/usr/local/sbin/node-state"]),
        Tool::Helm => has(&["version", "show", "template", "list", "get"]),
        Tool::Kubectl => has(&["get", "diff", "version", "logs"]) || has(&["rollout"]) && has(&["status"]),
        Tool::Cilium => !has(&["test"]),
        Tool::Builtin => has(&["machine", "dial", "sha256"]),
        Tool::Curl | Tool::Openssl | Tool::Docker => has(&["--version", "version"]),
        Tool::Tar => false,
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = KINDS.iter().find(|kind| kind.to_string() == text);
        named.copied().ok_or_else(|| format!("no kind of fault is called `{text}`"))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectedFault {
    /// The command, counted from 0.
    pub point: u64,
    pub kind: Kind,
    pub command: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    kinds: BTreeSet<Kind>,
    per_mille: u64,
    random: u64,
    single: Option<(u64, Kind)>,
    /// Records every fault that could be injected, and injects none.
    recording: bool,
    disabled: bool,
    points: u64,
    injected: Vec<InjectedFault>,
}

impl Faults {
    pub fn none() -> Self {
        Faults {
            kinds: BTreeSet::new(),
            per_mille: 0,
            random: 0,
            single: None,
            recording: false,
            disabled: true,
            points: 0,
            injected: vec![],
        }
    }

    /// The seed decides which kinds are enabled (about half of them) and how often (1 to 8 of 100 commands).
    pub fn seeded(seed: u64) -> Self {
        let mut faults = Faults { random: seed, disabled: false, ..Faults::none() };
        faults.per_mille = 10 + faults.random_below(71);
        for kind in KINDS {
            if faults.random_below(2) == 0 {
                faults.kinds.insert(*kind);
            }
        }
        faults
    }

    /// Exactly one fault, at the n-th command (from 0) if it applies to it. Which VM it affects, if any, follows from
    /// the point.
    pub fn single(point: u64, kind: Kind) -> Self {
        Faults { single: Some((point, kind)), random: point, disabled: false, ..Faults::none() }
    }

    #[must_use]
    pub fn starting_at(self, points: u64) -> Self {
        Faults { points, ..self }
    }

    /// Injects nothing; [`Faults::injected`] then lists every fault that could be injected alone.
    pub fn recording() -> Self {
        Faults { recording: true, ..Faults::none() }
    }

    pub fn disable(&mut self) {
        self.disabled = true;
    }

    pub fn points(&self) -> u64 {
        self.points
    }

    pub fn injected(&self) -> &[InjectedFault] {
        &self.injected
    }

    /// A command starts: the fault that is injected into it.
    pub(super) fn next_fault(&mut self, request: &Request) -> Option<Kind> {
        let point = self.points;
        self.points += 1;
        if self.recording {
            let fit = KINDS.iter().copied().filter(|kind| kind.applies_to(request));
            self.injected.extend(fit.map(|kind| InjectedFault { point, kind, command: request.line() }));
        }
        if self.disabled {
            return None;
        }
        let kind = match self.single {
            Some((at, kind)) => Some(kind).filter(|_| at == point),
            None => (self.random_below(1000) < self.per_mille).then(|| self.choose_kind(request)).flatten(),
        };
        let kind = kind.filter(|kind| kind.applies_to(request))?;
        self.injected.push(InjectedFault { point, kind, command: request.line() });
        Some(kind)
    }

    fn choose_kind(&mut self, request: &Request) -> Option<Kind> {
        let fit: Vec<Kind> = self.kinds.iter().copied().filter(|kind| kind.applies_to(request)).collect();
        let which = self.random_below(fit.len().max(1) as u64);
        fit.get(which as usize).copied()
    }

    /// A number below `below`, by splitmix64 (public domain, Sebastiano Vigna).
    pub(super) fn random_below(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn request(tool: Tool, line: &str) -> Request {
        let args = line.split(' ').map(str::to_owned).collect();
        Request { run: 1, tool, args, stdin: vec![], env: vec![], since: Duration::ZERO }
    }

    #[test]
    fn a_seed_always_injects_the_same_faults() {
        let run = |seed| {
            let mut faults = Faults::seeded(seed);
            let request = request(Tool::Multipass, "info a --format json");
            (0..500).filter_map(|_| faults.next_fault(&request)).collect::<Vec<_>>()
        };
        assert_eq!(run(7391), run(7391));
        assert!((0..40).any(|seed| !run(seed).is_empty()) && run(1) != run(2));
    }

    #[test]
    fn a_single_fault_is_injected_once_and_disabling_ends_all() {
        let request = request(Tool::Kubectl, "get nodes");
        let mut faults = Faults::single(2, Kind::Fail);
        assert_eq!([(); 4].map(|()| faults.next_fault(&request)), [None, None, Some(Kind::Fail), None]);
        assert_eq!((faults.points(), faults.injected().len()), (4, 1));
        let mut faults = Faults::single(0, Kind::Fail);
        faults.disable();
        assert_eq!(faults.next_fault(&request), None);
    }

    #[test]
    fn a_recording_lists_possible_faults_and_injects_none() {
        let request = request(Tool::Curl, "--version");
        let mut faults = Faults::recording();
        assert_eq!([faults.next_fault(&request), faults.next_fault(&request)], [None, None]);
        let found: Vec<_> = faults.injected().iter().map(|s| (s.point, s.kind)).collect();
        assert!(found.contains(&(0, Kind::Download)) && found.contains(&(1, Kind::Crash)), "{found:?}");
        assert!(!found.contains(&(0, Kind::Reboot)));
    }

    #[test]
    fn kinds_are_written_as_they_are_read() {
        assert_eq!(Kind::LaunchTimeout.to_string(), "launch-timeout");
        assert!(KINDS.iter().all(|kind| kind.to_string().parse() == Ok(*kind)) && "boom".parse::<Kind>().is_err());
    }

    #[test]
    fn fault_kinds_apply_only_to_commands_they_fit() {
        let init = request(Tool::Multipass, "exec -n a -- sudo kubeadm init --config f");
        let ca = request(Tool::Multipass, "exec -n a -- sudo kubeadm init phase certs ca --config f");
        assert!(Kind::Half.applies_to(&init) && !Kind::Half.applies_to(&ca));
        assert!(
            Kind::LaunchTimeout.applies_to(&request(Tool::Multipass, "launch 24.04"))
                && !Kind::LaunchTimeout.applies_to(&init)
        );
        assert!(
            Kind::Download.applies_to(&request(Tool::Helm, "pull x"))
                && !Kind::Download.applies_to(&request(Tool::Helm, "upgrade x"))
        );
        let nodes = request(Tool::Kubectl, "--kubeconfig a get nodes");
        for kind in [Kind::HangDone, Kind::KillGroup, Kind::PowerCut] {
            assert!(kind.applies_to(&init) && !kind.applies_to(&nodes), "{kind}");
        }
    }
}
