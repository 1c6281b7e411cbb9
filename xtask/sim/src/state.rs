//! The serialisable state of the simulated machine: tools, VMs and what is inside of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::conditions::Condition;
use crate::prelude::*;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::catalog::{self, Chart, UNKNOWN_CHART};
use crate::vms::{Control, Idle, Job, Power, Vm, Vms, Work, Worker};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub os: String,
    pub arch: String,
    pub cpus: u32,
    pub memory_bytes: u64,
    pub free_disk_bytes: u64,
    pub networks: Vec<String>,
    pub vm_network: Ipv4Net,
    pub tools: BTreeMap<String, String>,
    #[serde(default)]
    pub multipassd: Daemon,
    /// Hosts that VMs get nothing from, each with curl's reason or `429`.
    #[serde(default)]
    pub unreachable: BTreeMap<String, String>,
}

/// Whether Multipass's client can work with its daemon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Daemon {
    #[default]
    Up,
    Down,
    NotAuthenticated,
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
            multipassd: Daemon::Up,
            unreachable: BTreeMap::new(),
            memory_bytes: 64 << 30,
            free_disk_bytes: 400 << 30,
            networks: vec!["127.0.0.0/8".into(), "192.168.1.0/24".into()],
            vm_network: Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 252, 0), 24),
            tools: tools.map(|(name, version)| (name.to_owned(), version.to_owned())).into(),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimState {
    pub(super) machine: Machine,
    pub(super) vms: Vms,
    pub(super) image_cached: bool,
    pub(super) leases: u32,
    /// Counter for unique numbers: runs, certificate authorities.
    pub(super) serial: u64,
    /// Output of ended jobs in VMs, by the run that started them.
    pub(super) results: BTreeMap<u64, Output>,
    pub(super) launches: BTreeMap<String, u32>,
    pub(super) launched: BTreeSet<u64>,
    /// VMs whose image is being downloaded or copied, and until when. They are there for no command but `launch`.
    pub(super) preparing: BTreeMap<String, (Vm, Duration)>,
    /// The run that keeps Multipass from answering any other, and until when.
    pub(super) daemon_busy: Option<(u64, Duration)>,
    /// Guests that are too slow for `info` and ssh, and until when.
    pub(super) slow: BTreeMap<String, Duration>,
    /// Runs of `start` and `exec` that have started a VM.
    pub(super) started_here: BTreeSet<u64>,
    /// sha256 of files that upstream servers offer.
    pub(super) published: BTreeMap<String, String>,
    /// Addresses of published charts that are not in `data/charts.toml`, with the objects that they are said to bring.
    pub(super) unknown_charts: BTreeMap<String, BTreeSet<String>>,
    pub(super) unresolvable_hosts: BTreeSet<String>,
    /// Clusters without pending work, by the VM of the control plane.
    #[serde(skip)]
    pub(super) idle: BTreeMap<String, Idle>,
    /// Until when an API server refuses connections, by VM.
    pub(super) refusing: BTreeMap<String, Duration>,
    /// Runs of Helm that have created their revision.
    pub(super) helm_started: BTreeSet<u64>,
    /// Runs of Helm that have created their objects.
    pub(super) helm_applied: BTreeSet<u64>,
    pub(super) services: BTreeSet<String>,
    pub(super) conditions: BTreeMap<String, Vec<Condition>>,
    pub(super) unknown: Vec<String>,
    /// Suspended seconds: the host's clock includes them, the time of a run does not.
    pub(super) slept_seconds: u64,
}

impl SimState {
    pub fn new(machine: Machine) -> Self {
        SimState { machine, published: catalog::published_digests(), ..SimState::default() }
    }

    /// Here and not by the caller's serde: generic code is optimised as the package is that uses it first.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// # Errors
    /// What is wrong with the JSON.
    pub fn from_json(text: &[u8]) -> Result<SimState, String> {
        serde_json::from_slice(text).map_err(|e| e.to_string())
    }

    /// Adds a published file: `cilium-1.20.0.tgz`.
    #[must_use]
    pub fn publishing(mut self, file: &str, sha256: &str) -> Self {
        self.published.insert(file.to_owned(), sha256.to_owned());
        self
    }

    /// Adds a published chart by its address, `https://charts.test/tiny`, with the objects that it brings as a table of
    /// kubectl names them: `default deployment.apps/tiny`.
    #[must_use]
    pub fn with_unknown_chart(mut self, address: &str, objects: BTreeSet<String>) -> Self {
        self.unknown_charts.insert(address.to_owned(), objects);
        self
    }

    pub(super) fn objects_of_chart(&self, name: &str) -> Vec<(String, Value)> {
        let known = self.unknown_charts.iter().find(|(address, _)| address.rsplit('/').next() == Some(name));
        let object = |row: &String| {
            let (namespace, object) = row.split_once(' ').unwrap_or(("", row));
            let (kind, name) = object.split_once('/').unwrap_or_default();
            let kind = kind.split('.').next().unwrap_or_default();
            let metadata = json!({ "name": name, "namespace": namespace });
            (crate::kubectl::objects::key(kind, namespace, name), json!({ "metadata": metadata }))
        };
        known.into_iter().flat_map(|(_, objects)| objects).map(object).collect()
    }

    pub(super) fn chart(&self, name: &str) -> Option<&'static Chart> {
        let unsupported = || self.unknown_charts.keys().any(|address| address.rsplit('/').next() == Some(name));
        catalog::find(name).or_else(|| unsupported().then_some(&UNKNOWN_CHART))
    }

    #[must_use]
    pub fn without(mut self, host: &str) -> Self {
        self.unresolvable_hosts.insert(host.to_owned());
        self
    }

    pub(super) fn unresolvable_host(&self, url: &str) -> Option<&String> {
        let host = url.split("://").nth(1)?.split(['/', ':']).next()?;
        self.unresolvable_hosts.get(host)
    }

    pub(super) fn is_helm3(&self) -> bool {
        self.machine.tools.get("helm").is_some_and(|version| version.starts_with('3'))
    }

    pub fn next_run(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Command lines that no simulated tool supports. Tests of plans expect none.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// The host is suspended; clocks of running guests fall behind by this many seconds.
    pub fn sleep(&mut self, seconds: u64) {
        self.slept_seconds += seconds;
        self.vms.values_mut().filter(|vm| vm.power == Power::Running).for_each(|vm| vm.lag += seconds);
    }

    /// The host's clock, in seconds since 1970.
    pub(super) fn clock(&self, now: Duration) -> u64 {
        timings::EPOCH + now.as_secs() + self.slept_seconds
    }

    pub(super) fn clock_of(&self, name: &str, now: Duration) -> u64 {
        self.clock_with(name, self.vms.get(name).map_or(0, |vm| vm.lag), now)
    }

    pub(super) fn clock_with(&self, name: &str, lag: u64, now: Duration) -> u64 {
        (self.clock(now) + self.clock_ahead(name)).saturating_sub(lag)
    }

    pub fn launches(&self) -> &BTreeMap<String, u32> {
        &self.launches
    }

    /// Records an unsupported command line, and passes its output on.
    pub(super) fn unsupported(&mut self, request: &Request, output: Output) -> Output {
        let line = format!("{}  ({})", request.line(), output.stderr.lines().next().unwrap_or_default());
        if !self.unknown.contains(&line) {
            self.unknown.push(line);
        }
        output
    }

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

    /// `.11` first, never the gateway.
    pub(super) fn next_address(&mut self) -> Ipv4Addr {
        self.leases += 1;
        let first = u32::from(self.machine.vm_network.network());
        Ipv4Addr::from(first + 10 + self.leases % 240)
    }

    pub(super) fn power_off(&mut self, name: &str, now: Duration) {
        let Some(vm) = self.vms.get_mut(name).filter(|vm| vm.power == Power::Running) else { return };
        vm.power = Power::Stopped;
        vm.power_changed_at = now;
        let jobs = std::mem::take(&mut vm.guest.jobs);
        for job in jobs {
            // cloud-init's own run returns with the next boot only through `node-prep`.
            vm.guest.left_halfway(&job.work);
            if job.run != 0 {
                self.results.insert(job.run, failure(255, ""));
            }
        }
    }

    pub(super) fn power_on(&mut self, name: &str, now: Duration) {
        let Some(vm) = self.vms.get_mut(name).filter(|vm| vm.power == Power::Stopped) else { return };
        vm.power = Power::Running;
        vm.power_changed_at = now + timings::BOOT;
        vm.initialised = vm.power_changed_at + timings::CLOUD_INIT;
        vm.boots += 1;
        // A booting machine reads its host's clock (assumption: QEMU's RTC follows it).
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

    pub(super) fn vm_at(&self, ip: Ipv4Addr) -> Option<(&String, &Vm)> {
        self.vms.iter().find(|(_, vm)| vm.ip == ip && vm.power == Power::Running)
    }
}
