//! The VMs and what is inside, and which of them somebody took hold of since: in others only time changes anything.
//! Knows nothing of commands, nor of how a cluster comes to be ready.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cluster::Cluster;

/// All of them. Whoever gets one to change it has touched it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Vms {
    all: BTreeMap<String, Vm>,
    #[serde(skip)]
    revision: u64,
}

/// Whether a VM runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Power {
    Running,
    Stopped,
    Deleted,
    Unknown,
}

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vm {
    pub power: Power,
    pub ip: Ipv4Addr,
    pub cpus: u32,
    pub memory: u64,
    pub disk: u64,
    /// When SSH answers, or when the power went off.
    pub power_changed_at: Duration,
    /// When cloud-init has written boot-finished, if our preparation is not part of it.
    pub initialised: Duration,
    /// Whether cloud-init runs the preparation and waits for it.
    pub waits_for_prep: bool,
    pub boots: u32,
    /// How far its clock is behind, in seconds: a guest's clock stands still while the machine sleeps (multipass#982).
    #[serde(default)]
    pub lag: u64,
    /// The launch that made it.
    pub made_by: u64,
    pub guest: Guest,
    /// When it was taken hold of last, in the count of [`Vms`], which sets it.
    #[serde(skip)]
    pub revision: u64,
}

/// What is inside a VM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// Files by path: what cloud-init wrote and what was delivered later. Copies of a guest share them.
    pub files: Rc<BTreeMap<String, String>>,
    /// Lines of ours in `/etc/hosts`.
    pub hosts: BTreeMap<String, Ipv4Addr>,
    /// The marker that preparation leaves, when it is done.
    pub prep: String,
    /// The version of the packages, where the marker does not say it: a preparation begins by taking the marker away.
    #[serde(default)]
    pub packages: String,
    /// The version of kubeadm's package, where it is not that of the others.
    #[serde(default)]
    pub kubeadm: String,
    /// The version of the kubelet that runs, where it is not the one installed.
    #[serde(default)]
    pub running: String,
    /// What `node-state` says of the scripts.
    #[serde(default)]
    pub scripts: String,
    /// An upgrade of the control plane has begun and not ended.
    #[serde(default)]
    pub upgrading: bool,
    /// The certificate authority in `/etc/kubernetes/pki`, by name.
    pub ca: Option<String>,
    /// The authority a worker was given by its cluster.
    pub joined_ca: Option<String>,
    pub control: Control,
    pub sealed: bool,
    pub worker: Worker,
    /// The address that the kubelet is told. On a machine without it a kubelet does not run.
    #[serde(default)]
    pub node_ip: Option<Ipv4Addr>,
    /// Folders of volumes.
    #[serde(default)]
    pub volumes: BTreeSet<String>,
    /// What runs inside, whether or not anyone outside still waits for it.
    pub jobs: Vec<Job>,
}

/// How far a control plane is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    #[default]
    None,
    /// An init that died.
    Partial,
    Made(Box<Cluster>),
}

/// How far a worker is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Worker {
    #[default]
    None,
    Partial,
    Joined,
}

/// Something that takes time inside a VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The command that started it; 0 is cloud-init.
    pub run: u64,
    pub work: Work,
    pub began: Duration,
    /// When it looks at the world next: its end, unless it waits for something.
    pub next: Duration,
    /// A file that is touched when it ends well.
    pub then_touch: Option<String>,
}

/// What a job does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    Prep,
    /// The preparation of kubeadm alone.
    Kubeadm,
    /// `kubeadm upgrade apply` to this version.
    Apply(String),
    /// The file it reads.
    Init(String),
    /// The file it reads, and whether the API has been found.
    Join(String, bool),
    Reset,
    /// What kubeadm wrote down moves to this address.
    Readdress(Ipv4Addr),
    /// A worker's kubelet makes its Node object if there is none; it does so when it starts, and only then.
    Register,
}

/// Until when nothing happens in a cluster by itself, unless somebody takes hold of one of its VMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idle {
    /// What [`Vms::touched`] said of its VMs.
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
    /// One, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Vm> {
        self.revision += 1;
        let vm = self.all.get_mut(name)?;
        vm.revision = self.revision;
        Some(vm)
    }

    /// The same, for a note that nothing follows from.
    pub fn get_mut_unrecorded(&mut self, name: &str) -> Option<&mut Vm> {
        self.all.get_mut(name)
    }

    /// Each of them, to change it.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Vm> {
        self.revision += 1;
        self.all.values_mut().for_each(|vm| vm.revision = self.revision);
        self.all.values_mut()
    }

    /// Adds one, or puts it in place of another.
    pub fn insert(&mut self, name: String, vm: Vm) {
        self.revision += 1;
        self.all.insert(name, Vm { revision: self.revision, ..vm });
    }

    /// Takes one away.
    pub fn remove(&mut self, name: &str) {
        self.all.remove(name);
    }

    /// When one of these was touched last; nothing if one of them is not there.
    pub fn revision<'a>(&self, names: impl Iterator<Item = &'a String>) -> Option<u64> {
        names
            .map(|name| self.all.get(name).map(|vm| vm.revision))
            .try_fold(0, |last, revision| Some(last.max(revision?)))
    }
}

impl Vm {
    /// Whether SSH answers.
    pub fn reachable(&self, now: Duration) -> bool {
        self.power == Power::Running && self.power_changed_at <= now
    }
}

impl Guest {
    /// Its files, to write them.
    pub fn files_mut(&mut self) -> &mut BTreeMap<String, String> {
        Rc::make_mut(&mut self.files)
    }

    /// The version of the packages that preparation installed.
    pub fn installed(&self) -> &str {
        if !self.packages.is_empty() {
            return &self.packages;
        }
        let version = self.prep.strip_prefix("k8s=").and_then(|rest| rest.split(' ').next());
        version.unwrap_or_default()
    }

    /// The version of kubeadm.
    pub fn kubeadm(&self) -> &str {
        if self.kubeadm.is_empty() { self.installed() } else { &self.kubeadm }
    }

    /// The version of the kubelet that runs.
    pub fn kubelet(&self) -> &str {
        if self.running.is_empty() { self.installed() } else { &self.running }
    }
}
