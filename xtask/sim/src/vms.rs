//! VMs and what is inside of them, with a revision that tells whether any was changed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::prelude::*;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Vms {
    all: BTreeMap<String, Vm>,
    #[serde(skip)]
    revision: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Power {
    Running,
    Stopped,
    Deleted,
    /// For good; a VM that boots is `Running`.
    Unknown,
    /// `Running` for Multipass, and without a process: `stop --force` came in its boot (seen on 1.16.3).
    Stuck,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vm {
    pub power: Power,
    pub ip: Ipv4Addr,
    pub cpus: u32,
    pub memory: u64,
    pub disk: u64,
    /// When SSH answers, or when it was powered off.
    pub power_changed_at: Duration,
    /// When cloud-init ends, if the preparation is not part of it.
    pub initialised: Duration,
    pub waits_for_prep: bool,
    pub boots: u32,
    /// Seconds that its clock is behind: a guest's clock stands still while the host is suspended (multipass#982).
    pub lag: u64,
    /// The run of `launch`.
    pub made_by: u64,
    pub guest: Guest,
    /// When it was changed last; set by [`Vms`].
    #[serde(skip)]
    pub revision: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    pub files: Rc<BTreeMap<String, String>>,
    /// Our lines in `/etc/hosts`.
    pub hosts: BTreeMap<String, Ipv4Addr>,
    pub prep: String,
    /// Installed version where the marker is missing: a preparation begins by removing it.
    pub packages: String,
    pub kubeadm: String,
    /// Version of the running kubelet where it differs from the installed one.
    pub running: String,
    /// Digest of the scripts, as in `node-state`.
    pub scripts: String,
    /// An upgrade of the control plane has not ended.
    pub upgrading: String,
    /// Since when its kubelet's certificate is valid, by its clock; 0: it has none.
    pub kubelet_issued: u64,
    /// In `/etc/kubernetes/pki`, by name.
    pub ca: Option<String>,
    pub joined_ca: Option<String>,
    pub control: Control,
    pub sealed: bool,
    pub worker: Worker,
    /// The kubelet's address. It does not run on a machine without it.
    pub node_ip: Option<Ipv4Addr>,
    pub volumes: BTreeSet<String>,
    pub jobs: Vec<Job>,
    /// Its version where it is not Ubuntu's newest.
    pub containerd: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    #[default]
    None,
    /// After a failed init.
    Partial,
    Made(Box<Cluster>),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Worker {
    #[default]
    None,
    Partial,
    Joined,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The run that started it; 0 is cloud-init.
    pub run: u64,
    pub work: Work,
    pub began: Duration,
    pub next: Duration,
    pub then_touch: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    Prep,
    /// `node-prep kubeadm`.
    Kubeadm,
    /// `kubeadm upgrade apply` to this version.
    Apply(String),
    /// The configuration.
    Init(String),
    /// The configuration, and whether the API server was found.
    Join(String, bool),
    Reset,
    Readdress(Ipv4Addr),
    Renew,
    /// A starting kubelet creates its Node object if there is none.
    Register,
}

/// Nothing happens in a cluster until then, unless one of its VMs changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idle {
    /// See [`Vms::revision`].
    pub revision: u64,
    pub until: Duration,
}

impl Deref for Vms {
    type Target = BTreeMap<String, Vm>;

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

impl Vms {
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Vm> {
        self.revision += 1;
        let vm = self.all.get_mut(name)?;
        vm.revision = self.revision;
        Some(vm)
    }

    /// For changes without consequences.
    pub fn get_mut_unrecorded(&mut self, name: &str) -> Option<&mut Vm> {
        self.all.get_mut(name)
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Vm> {
        self.revision += 1;
        self.all.values_mut().for_each(|vm| vm.revision = self.revision);
        self.all.values_mut()
    }

    pub fn insert(&mut self, name: String, vm: Vm) {
        self.revision += 1;
        self.all.insert(name, Vm { revision: self.revision, ..vm });
    }

    pub fn remove(&mut self, name: &str) {
        self.all.remove(name);
    }

    /// The last revision of these VMs; None if one does not exist.
    pub fn revision<'a>(&self, names: impl Iterator<Item = &'a String>) -> Option<u64> {
        names
            .map(|name| self.all.get(name).map(|vm| vm.revision))
            .try_fold(0, |last, revision| Some(last.max(revision?)))
    }
}

impl Vm {
    pub fn reachable(&self, now: Duration) -> bool {
        self.power == Power::Running && self.power_changed_at <= now
    }
}

impl Guest {
    pub fn files_mut(&mut self) -> &mut BTreeMap<String, String> {
        Rc::make_mut(&mut self.files)
    }

    pub fn installed(&self) -> &str {
        if !self.packages.is_empty() {
            return &self.packages;
        }
        let version = self.prep.strip_prefix("k8s=").and_then(|rest| rest.split(' ').next());
        version.unwrap_or_default()
    }

    pub fn kubeadm(&self) -> &str {
        if self.kubeadm.is_empty() { self.installed() } else { &self.kubeadm }
    }

    pub fn kubelet(&self) -> &str {
        if self.running.is_empty() { self.installed() } else { &self.running }
    }
}
