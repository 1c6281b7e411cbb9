//! The VMs by name, and which of them somebody took hold of since: where nobody did, nothing but time can change.
//! Knows nothing of what is in them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::stage::Guest;

/// All of them. Whoever gets one to change it has touched it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Vms {
    all: BTreeMap<String, Vm>,
    #[serde(skip)]
    touches: u64,
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
    pub turned: Duration,
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
    pub touched: u64,
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
        self.touches += 1;
        let vm = self.all.get_mut(name)?;
        vm.touched = self.touches;
        Some(vm)
    }

    /// The same, for a note that nothing follows from.
    pub fn get_untouched(&mut self, name: &str) -> Option<&mut Vm> {
        self.all.get_mut(name)
    }

    /// Each of them, to change it.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Vm> {
        self.touches += 1;
        let touches = self.touches;
        self.all.values_mut().map(move |vm| {
            vm.touched = touches;
            vm
        })
    }

    /// Adds one, or puts it in place of another.
    pub fn insert(&mut self, name: String, vm: Vm) {
        self.touches += 1;
        self.all.insert(name, Vm { touched: self.touches, ..vm });
    }

    /// Takes one away.
    pub fn remove(&mut self, name: &str) {
        self.all.remove(name);
    }

    /// When one of these was touched last; nothing if one of them is not there.
    pub fn touched<'a>(&self, names: impl Iterator<Item = &'a String>) -> Option<u64> {
        names.map(|name| self.all.get(name).map(|vm| vm.touched)).try_fold(0, |last, touched| Some(last.max(touched?)))
    }
}

impl Vm {
    /// Whether SSH answers.
    pub fn reachable(&self, now: Duration) -> bool {
        self.power == Power::Running && self.turned <= now
    }
}
