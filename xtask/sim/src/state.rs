//! What the simulated tools see and change: VMs, what is inside them, clusters, releases. A value that can be saved.
//! Knows nothing of the tools, of events, processes or faults; time comes in with every question.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::conditions::Condition;
use crate::net::Net;
use serde::{Deserialize, Serialize};

use crate::catalog::{self, Chart, UNKNOWN_CHART};
use crate::request::{Request, Response, failure};
use crate::timings;
use crate::vms::{Control, Idle, Job, Power, Vm, Vms, Work, Worker};
use tool::Output;

/// The machine that everything runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// `linux` or `macos`.
    pub os: String,
    /// `x86_64` or `aarch64`.
    pub arch: String,
    /// Cores.
    pub cpus: u32,
    /// RAM, in bytes.
    pub memory_bytes: u64,
    /// Free disk where VMs are kept, in bytes.
    pub free_disk_bytes: u64,
    /// Networks of its interfaces.
    pub networks: Vec<String>,
    /// The network that Multipass gives VMs their addresses from.
    pub vm_network: Net,
    /// Version of each installed tool, by the name of its executable. What is not here is not installed.
    pub tools: BTreeMap<String, String>,
}

impl Default for Machine {
    /// The machine of ADR-0001 with every tool, in the versions whose behaviour was measured.
    fn default() -> Self {
        let tools = [
            ("multipass", "1.16.3"),
            ("kubectl", "1.35.2"),
            ("helm", "4.1.4"),
            ("cilium", "0.19.7"),
            ("openssl", "3.0.19"),
            ("curl", "8.5.0"),
            ("tar", "3.5.3"), // bsdtar
            ("docker", "28.3.0"),
        ];
        Machine {
            os: "macos".into(),
            arch: "aarch64".into(),
            cpus: 12,
            memory_bytes: 64 << 30,
            free_disk_bytes: 400 << 30,
            networks: vec!["127.0.0.0/8".into(), "192.168.1.0/24".into()],
            vm_network: Net(ipnet::Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 252, 0), 24)),
            tools: tools.map(|(name, version)| (name.to_owned(), version.to_owned())).into(),
        }
    }
}

/// The whole simulated world.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimState {
    pub(super) machine: Machine,
    pub(super) vms: Vms,
    pub(super) image_cached: bool,
    /// Addresses given so far.
    pub(super) leases: u32,
    /// Runs, certificate authorities: numbers that are never used twice.
    pub(super) serial: u64,
    /// What jobs inside VMs said to the commands that started them.
    pub(super) results: BTreeMap<u64, Output>,
    /// How often a VM of each name was made.
    pub(super) launches: BTreeMap<String, u32>,
    /// Launches that have made their VM.
    pub(super) launched: BTreeSet<u64>,
    /// Digest of each file that the outside world offers, where it is known.
    pub(super) published: BTreeMap<String, String>,
    /// Addresses of charts that it was not taught.
    #[serde(default)]
    pub(super) unknown_charts: BTreeSet<String>,
    /// Hosts of the outside world that have no name any more.
    #[serde(default)]
    pub(super) unresolvable_hosts: BTreeSet<String>,
    /// Clusters in which nothing more happens, by the VM they are on.
    #[serde(skip)]
    pub(super) idle: BTreeMap<String, Idle>,
    /// Until when API servers refuse connections, by the VM they are on.
    pub(super) refusing: BTreeMap<String, Duration>,
    /// Runs of Helm that have made their revision.
    pub(super) helm_started: BTreeSet<u64>,
    /// Runs of Helm that have made their release's objects.
    #[serde(default)]
    pub(super) helm_applied: BTreeSet<u64>,
    /// Services of the machine's own Docker that run.
    pub(super) services: BTreeSet<String>,
    /// What is wrong with clusters beyond what commands bring about, by cluster.
    pub(super) conditions: BTreeMap<String, Vec<Condition>>,
    /// Command lines that no simulated tool knows.
    pub(super) unknown: Vec<String>,
    /// For how many seconds the machine slept: its clock shows them, and no time of a run does.
    #[serde(default)]
    pub(super) slept_seconds: u64,
}

impl SimState {
    /// A machine with tools and nothing else.
    pub fn new(machine: Machine) -> Self {
        SimState { machine, published: catalog::published_digests(), ..SimState::default() }
    }

    /// Says what digest the outside world's copy of a file has (`cilium-1.20.0.tgz`), on top of those it knows.
    #[must_use]
    pub fn publishing(mut self, file: &str, sha256: &str) -> Self {
        self.published.insert(file.to_owned(), sha256.to_owned());
        self
    }

    /// Says that the outside world has a chart at this address (`https://charts.test/tiny`), on top of those it knows.
    #[must_use]
    pub fn with_unknown_chart(mut self, address: &str) -> Self {
        self.unknown_charts.insert(address.to_owned());
        self
    }

    /// What a chart makes, as far as it is known.
    pub(super) fn chart(&self, name: &str) -> Option<&'static Chart> {
        let unsupported = || self.unknown_charts.iter().any(|address| address.rsplit('/').next() == Some(name));
        catalog::find(name).or_else(|| unsupported().then_some(&UNKNOWN_CHART))
    }

    /// Without this host of the outside world.
    #[must_use]
    pub fn without(mut self, host: &str) -> Self {
        self.unresolvable_hosts.insert(host.to_owned());
        self
    }

    /// The host of an address, if it cannot be found.
    pub(super) fn unresolvable_host(&self, url: &str) -> Option<&String> {
        let host = url.split("://").nth(1)?.split(['/', ':']).next()?;
        self.unresolvable_hosts.get(host)
    }

    pub(super) fn is_helm3(&self) -> bool {
        self.machine.tools.get("helm").is_some_and(|version| version.starts_with('3'))
    }

    /// A number for the next run of a command.
    pub fn next_run(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Command lines that were asked and no simulated tool knows. A test of a plan wants this empty.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// The machine slept: its own clock has gone on, every guest's that ran is behind by this many seconds.
    pub fn sleep(&mut self, seconds: u64) {
        self.slept_seconds += seconds;
        self.vms.values_mut().filter(|vm| vm.power == Power::Running).for_each(|vm| vm.lag += seconds);
    }

    /// What the clock of the machine shows: seconds since 1970.
    pub(super) fn clock(&self, now: Duration) -> u64 {
        timings::EPOCH + now.as_secs() + self.slept_seconds
    }

    /// The same of a VM.
    pub(super) fn clock_of(&self, name: &str, now: Duration) -> u64 {
        self.clock_with(name, self.vms.get(name).map_or(0, |vm| vm.lag), now)
    }

    /// The same where it is known how far it is behind.
    pub(super) fn clock_with(&self, name: &str, lag: u64, now: Duration) -> u64 {
        (self.clock(now) + self.clock_ahead(name)).saturating_sub(lag)
    }

    /// How often a VM of each name was made.
    pub fn launches(&self) -> &BTreeMap<String, u32> {
        &self.launches
    }

    /// Remembers a command line that no simulated tool knows, and answers as given.
    pub(super) fn unsupported(&mut self, request: &Request, output: Output) -> Output {
        let line = format!("{}  ({})", request.line(), output.stderr.lines().next().unwrap_or_default());
        if !self.unknown.contains(&line) {
            self.unknown.push(line);
        }
        output
    }

    /// Puts a job into a guest; whoever asked waits for it.
    pub(super) fn start_job(
        &mut self,
        vm: &str,
        request: &Request,
        work: Work,
        now: Duration,
        takes: Duration,
    ) -> Response {
        let next = now + takes;
        if let Some(vm) = self.vms.get_mut(vm) {
            vm.guest.jobs.push(Job { run: request.run, work, began: now, next, then_touch: None });
        }
        Response::Pending(takes)
    }

    /// The next free address of the VM network: `.11` first, never the gateway.
    pub(super) fn next_address(&mut self) -> Ipv4Addr {
        self.leases += 1;
        let first = u32::from(self.machine.vm_network.network());
        Ipv4Addr::from(first + 10 + self.leases % 240)
    }

    /// The power of a VM goes away, with everything that ran in it.
    pub(super) fn power_off(&mut self, name: &str, now: Duration) {
        let Some(vm) = self.vms.get_mut(name).filter(|vm| vm.power == Power::Running) else { return };
        vm.power = Power::Stopped;
        vm.power_changed_at = now;
        let jobs = std::mem::take(&mut vm.guest.jobs);
        for job in jobs {
            match job.work {
                // cloud-init's own run comes back with the next boot only through `node-prep`.
                Work::Prep | Work::Reset | Work::Register | Work::Readdress(_) | Work::Kubeadm | Work::Apply(_) => {}
                Work::Init(_) => vm.guest.control = Control::Partial,
                Work::Join(..) => vm.guest.worker = Worker::Partial,
            }
            if job.run != 0 {
                self.results.insert(job.run, failure(255, ""));
            }
        }
    }

    /// A stopped VM boots.
    pub(super) fn power_on(&mut self, name: &str, now: Duration) {
        let Some(vm) = self.vms.get_mut(name).filter(|vm| vm.power == Power::Stopped) else { return };
        vm.power = Power::Running;
        vm.power_changed_at = now + timings::BOOT;
        vm.initialised = vm.power_changed_at + timings::CLOUD_INIT;
        vm.boots += 1;
        // A machine that boots reads the clock of its host (assumption: QEMU's RTC follows it).
        vm.lag = 0;
        vm.guest.running.clear();
        if vm.guest.worker == Worker::Joined {
            let next = vm.power_changed_at + timings::KUBELET;
            vm.guest.jobs.push(Job { run: 0, work: Work::Register, began: now, next, then_touch: None });
        }
        if let Control::Made(cluster) = &mut vm.guest.control {
            cluster.api_from = vm.power_changed_at + timings::API_AFTER_BOOT;
        }
    }

    /// The running VM that has this address.
    pub(super) fn vm_at(&self, ip: Ipv4Addr) -> Option<(&String, &Vm)> {
        self.vms.iter().find(|(_, vm)| vm.ip == ip && vm.power == Power::Running)
    }
}
