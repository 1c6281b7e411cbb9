//! What goes wrong, and when: kinds of faults, and a seed that decides which are on and which commands they strike.
//! Knows nothing of how a fault is carried out.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ask::Ask;
use tool::Tool;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Exit 1, nothing done.
    Fail,
    /// Everything done, and exit 1.
    FailDone,
    /// Never ends, until it is killed.
    Hang,
    /// Dies in the middle: an init or a join is half made, a release stays pending.
    Half,
    /// Its output is cut off in the middle, with exit 0.
    Cut,
    /// The tool is killed by a signal that nobody of us sent.
    Signal,
    /// A launch says that it timed out; the VM is fine.
    LaunchTimeout,
    /// A download breaks off.
    Download,
    /// An API server refuses connections for a while.
    Refuse,
    /// A VM is rebooted.
    Reboot,
    /// A VM is rebooted and gets another address.
    Readdress,
    /// A VM is stopped.
    Stop,
    /// A VM is deleted behind our back. Not purged: its name stays taken.
    Delete,
    /// Our own process is killed; its commands go on alone.
    Crash,
    /// The machine sleeps for hours in the middle of it. No time passes for what runs; the clocks of VMs stand still.
    Slept,
    /// Everything done and said, and it never ends until it is killed.
    HangDone,
    /// Our own process is killed and every command of it, in the middle of what they do. VMs run on.
    KillGroup,
    /// The machine loses its power: our process, its commands and all VMs are gone at once.
    PowerCut,
}

/// All kinds, for exhaustive tests.
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
];

impl Kind {
    /// Whether this kind can strike that command at all.
    pub fn fits(self, ask: &Ask) -> bool {
        let first = ask.args.first().map_or("", String::as_str);
        let kubeadm = |verb: &str| ask.args.windows(2).any(|w| w[0] == "kubeadm" && w[1] == verb);
        let talks = matches!(ask.tool, Tool::Kubectl | Tool::Cilium) || ask.tool == Tool::Helm && first == "upgrade";
        match self {
            Kind::Half => {
                let upgrading = ask.args.iter().any(|a| a.ends_with("/node-upgrade"));
                let making = upgrading || kubeadm("init") && !ask.args.iter().any(|a| a == "phase") || kubeadm("join");
                making || ask.tool == Tool::Helm && ["upgrade", "rollback", "uninstall"].contains(&first)
            }
            Kind::LaunchTimeout => ask.tool == Tool::Multipass && first == "launch",
            Kind::Download => ask.tool == Tool::Curl || ask.tool == Tool::Helm && first == "pull",
            Kind::Refuse => talks,
            Kind::Reboot | Kind::Readdress | Kind::Stop | Kind::Delete => {
                talks || ask.tool == Tool::Multipass && first != "version"
            }
            // In the middle of what takes long; a short question sleeps before or after.
            Kind::Slept => {
                let long = ["/node-prep", "/node-upgrade", "/node-readdress"];
                let works = ask.args.iter().any(|a| a == "cloud-init" || long.iter().any(|end| a.ends_with(end)));
                let makes = first == "launch" || kubeadm("init") || kubeadm("join") || works;
                ask.tool == Tool::Multipass && makes || ask.tool == Tool::Helm && ["upgrade", "pull"].contains(&first)
            }
            // Acts of our own run inside our own process.
            Kind::Hang | Kind::Signal => ask.tool != Tool::Own,
            // In the middle of what is done, or behind it; of a question they leave what a hang and a crash leave.
            Kind::HangDone => ask.tool != Tool::Own && !asks(ask),
            Kind::KillGroup | Kind::PowerCut => !asks(ask),
            Kind::Fail | Kind::FailDone | Kind::Cut | Kind::Crash => true,
        }
    }
}

/// Whether a command is a question and no more, by the words of those that are asked most.
fn asks(ask: &Ask) -> bool {
    let has = |words: &[&str]| ask.args.iter().any(|arg| words.contains(&arg.as_str()));
    match ask.tool {
        Tool::Multipass => has(&["info", "list", "version", "/usr/local/sbin/node-state"]),
        Tool::Helm => has(&["version", "show", "template", "list", "get"]),
        Tool::Kubectl => has(&["get", "diff", "version", "logs"]) || has(&["rollout"]) && has(&["status"]),
        Tool::Cilium => !has(&["test"]),
        Tool::Own => has(&["machine", "dial", "sha256"]),
        Tool::Curl | Tool::Openssl | Tool::Docker => has(&["--version", "version"]),
        Tool::Tar => false,
    }
}

/// As it is written: `launch-timeout`.
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

/// A fault that struck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Struck {
    /// Which command, counted from 0.
    pub point: u64,
    /// What.
    pub kind: Kind,
    /// The command line it struck.
    pub command: String,
}

/// Which faults are on, and when they strike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    kinds: BTreeSet<Kind>,
    /// Of a thousand commands, how many are struck.
    per_mille: u64,
    random: u64,
    single: Option<(u64, Kind)>,
    /// Notes what could strike, and strikes nothing.
    scouting: bool,
    calm: bool,
    points: u64,
    struck: Vec<Struck>,
}

impl Faults {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Faults {
            kinds: BTreeSet::new(),
            per_mille: 0,
            random: 0,
            single: None,
            scouting: false,
            calm: true,
            points: 0,
            struck: vec![],
        }
    }

    /// The seed decides which kinds are on (about half of them) and how often they strike (1 to 8 of 100 commands).
    pub fn seeded(seed: u64) -> Self {
        let mut faults = Faults { random: seed, calm: false, ..Faults::none() };
        faults.per_mille = 10 + faults.roll(71);
        for kind in KINDS {
            if faults.roll(2) == 0 {
                faults.kinds.insert(*kind);
            }
        }
        faults
    }

    /// Exactly one fault: at the n-th command (from 0), if it fits that command. Which VM it strikes, if it is one that
    /// strikes a VM, follows from the point.
    pub fn single(point: u64, kind: Kind) -> Self {
        Faults { single: Some((point, kind)), random: point, calm: false, ..Faults::none() }
    }

    /// The same, as if so many commands had been met already.
    #[must_use]
    pub fn after(self, points: u64) -> Self {
        Faults { points, ..self }
    }

    /// Nothing goes wrong, and [`Faults::struck`] has every fault that could have struck alone.
    pub fn scouting() -> Self {
        Faults { scouting: true, ..Faults::none() }
    }

    /// From now on nothing goes wrong.
    pub fn calm(&mut self) {
        self.calm = true;
    }

    /// Commands met so far: places where a fault could strike.
    pub fn points(&self) -> u64 {
        self.points
    }

    /// What struck.
    pub fn struck(&self) -> &[Struck] {
        &self.struck
    }

    /// A command starts: the fault that strikes it, if one does.
    pub(super) fn strike(&mut self, ask: &Ask) -> Option<Kind> {
        let point = self.points;
        self.points += 1;
        if self.scouting {
            let fit = KINDS.iter().copied().filter(|kind| kind.fits(ask));
            self.struck.extend(fit.map(|kind| Struck { point, kind, command: ask.line() }));
        }
        if self.calm {
            return None;
        }
        let kind = match self.single {
            Some((at, kind)) => Some(kind).filter(|_| at == point),
            None => (self.roll(1000) < self.per_mille).then(|| self.pick(ask)).flatten(),
        };
        let kind = kind.filter(|kind| kind.fits(ask))?;
        self.struck.push(Struck { point, kind, command: ask.line() });
        Some(kind)
    }

    fn pick(&mut self, ask: &Ask) -> Option<Kind> {
        let fit: Vec<Kind> = self.kinds.iter().copied().filter(|kind| kind.fits(ask)).collect();
        let which = self.roll(fit.len().max(1) as u64);
        fit.get(which as usize).copied()
    }

    /// A number below `below`, by splitmix64 (public domain, Sebastiano Vigna).
    pub(super) fn roll(&mut self, below: u64) -> u64 {
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

    fn ask(tool: Tool, line: &str) -> Ask {
        let args = line.split(' ').map(str::to_owned).collect();
        Ask { run: 1, tool, args, stdin: vec![], env: vec![], since: Duration::ZERO }
    }

    #[test]
    fn a_seed_always_strikes_the_same_commands() {
        let run = |seed| {
            let mut faults = Faults::seeded(seed);
            let ask = ask(Tool::Multipass, "info a --format json");
            (0..500).filter_map(|_| faults.strike(&ask)).collect::<Vec<_>>()
        };
        assert_eq!(run(7391), run(7391));
        assert!((0..40).any(|seed| !run(seed).is_empty()) && run(1) != run(2));
    }

    #[test]
    fn a_single_fault_strikes_once_and_calm_ends_all() {
        let ask = ask(Tool::Kubectl, "get nodes");
        let mut faults = Faults::single(2, Kind::Fail);
        assert_eq!([(); 4].map(|()| faults.strike(&ask)), [None, None, Some(Kind::Fail), None]);
        assert_eq!((faults.points(), faults.struck().len()), (4, 1));
        let mut faults = Faults::single(0, Kind::Fail);
        faults.calm();
        assert_eq!(faults.strike(&ask), None);
    }

    #[test]
    fn a_scout_names_what_could_strike_and_strikes_nothing() {
        let ask = ask(Tool::Curl, "--version");
        let mut faults = Faults::scouting();
        assert_eq!([faults.strike(&ask), faults.strike(&ask)], [None, None]);
        let found: Vec<_> = faults.struck().iter().map(|s| (s.point, s.kind)).collect();
        assert!(found.contains(&(0, Kind::Download)) && found.contains(&(1, Kind::Crash)), "{found:?}");
        assert!(!found.contains(&(0, Kind::Reboot)));
    }

    #[test]
    fn kinds_are_written_as_they_are_read() {
        assert_eq!(Kind::LaunchTimeout.to_string(), "launch-timeout");
        assert!(KINDS.iter().all(|kind| kind.to_string().parse() == Ok(*kind)) && "boom".parse::<Kind>().is_err());
    }

    #[test]
    fn kinds_strike_only_commands_they_fit() {
        let init = ask(Tool::Multipass, "exec -n a -- sudo kubeadm init --config f");
        let ca = ask(Tool::Multipass, "exec -n a -- sudo kubeadm init phase certs ca --config f");
        assert!(Kind::Half.fits(&init) && !Kind::Half.fits(&ca));
        assert!(Kind::LaunchTimeout.fits(&ask(Tool::Multipass, "launch 24.04")) && !Kind::LaunchTimeout.fits(&init));
        assert!(Kind::Download.fits(&ask(Tool::Helm, "pull x")) && !Kind::Download.fits(&ask(Tool::Helm, "upgrade x")));
        let nodes = ask(Tool::Kubectl, "--kubeconfig a get nodes");
        for kind in [Kind::HangDone, Kind::KillGroup, Kind::PowerCut] {
            assert!(kind.fits(&init) && !kind.fits(&nodes), "{kind}");
        }
    }
}
