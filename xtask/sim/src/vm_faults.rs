//! Faults that strike VMs and the commands inside of them.

use crate::faults::Kind;
use crate::kubeadm_rules::kubeadm_error;
use crate::prelude::*;
use crate::vms::{Control, Guest, Power, Work, Worker};
use tool::Tool;

impl Guest {
    pub(super) fn left_halfway(&mut self, work: &Work) {
        match work {
            Work::Init(_) => self.control = Control::Partial,
            Work::Join(..) => self.worker = Worker::Partial,
            Work::Prep
            | Work::Reset
            | Work::Register
            | Work::Readdress(_)
            | Work::Kubeadm
            | Work::Apply(_)
            | Work::Renew => {}
        }
    }
}

impl Work {
    /// Its command, as `node-run` describes it.
    pub(super) fn command(&self) -> &'static str {
        match self {
            Work::Init(_) => "sh -c kubeadm init --config /etc/archipelago/kubeadm-init.yaml",
            Work::Join(..) => "kubeadm join --config /etc/archipelago/kubeadm-join.yaml",
            Work::Prep | Work::Kubeadm => "/usr/local/sbin/node-prep",
            Work::Renew => "/usr/local/sbin/node-renew",
            Work::Reset => "/usr/local/sbin/node-reset",
            Work::Readdress(_) => "/usr/local/sbin/node-readdress",
            Work::Apply(_) => "/usr/local/sbin/node-upgrade",
            Work::Register => "",
        }
    }
}

impl SimState {
    /// `which` chooses the VM.
    pub fn apply_vm_fault(&mut self, kind: Kind, which: usize, now: Duration) {
        if kind == Kind::DaemonBusy {
            self.daemon_busy = Some((0, now + timings::ACPI));
            return;
        }
        let mut names: Vec<String> = self.vms.keys().cloned().collect();
        match kind {
            Kind::Refuse => names.retain(|vm| self.cluster(vm).is_some()),
            // A VM that is still being created belongs to its launch.
            _ => names.retain(|vm| self.vms[vm].reachable(now)),
        }
        if names.is_empty() {
            return;
        }
        let name = names.swap_remove(which % names.len());
        match kind {
            Kind::Refuse => drop(self.refusing.insert(name, now + Duration::from_secs(45))),
            Kind::SlowGuest => drop(self.slow.insert(name, now + timings::SLOW)),
            Kind::Stop => self.power_off(&name, now),
            Kind::Delete => {
                self.power_off(&name, now);
                if let Some(vm) = self.vms.get_mut(&name) {
                    vm.power = Power::Deleted;
                }
            }
            Kind::Readdress => self.readdress(&name, now),
            _ => {
                self.power_off(&name, now);
                self.power_on(&name, now);
            }
        }
    }

    /// Of one running VM Multipass does not know the state afterwards (multipass#2561); a VM in its first boot has its
    /// files already (assumption).
    pub(super) fn power_cut(&mut self, which: usize, now: Duration) {
        (self.daemon_busy, self.preparing) = Default::default();
        let running = self.vms.iter().filter(|(_, vm)| vm.power == Power::Running);
        let names: Vec<String> = running.map(|(name, _)| name.clone()).collect();
        names.iter().for_each(|name| self.power_off(name, now));
        let lost = names.get(which % names.len().max(1)).and_then(|name| self.vms.get_mut(name));
        lost.into_iter().for_each(|vm| vm.power = Power::Unknown);
    }

    /// Reboots a VM with another address, as after a long time off. A stopped one gets it for its next boot.
    pub fn readdress(&mut self, name: &str, now: Duration) {
        let ip = self.next_address();
        let Some(vm) = self.vms.get_mut(name) else { return };
        vm.ip = ip;
        if vm.power == Power::Running {
            self.power_off(name, now);
            self.power_on(name, now);
        }
    }

    /// Every VM whose bit is set, in the order of their names.
    pub fn readdress_all(&mut self, which: u64, now: Duration) {
        let names: Vec<String> = self.vms.keys().cloned().collect();
        let chosen = names.iter().enumerate().filter(|(place, _)| which >> (place % 64) & 1 == 1);
        chosen.for_each(|(_, name)| self.readdress(name, now));
    }

    pub(super) fn abort_midway(&mut self, request: &Request, now: Duration) -> Output {
        self.terminate(request, true, now);
        for vm in self.vms.values_mut() {
            let Some(index) = vm.guest.jobs.iter().position(|job| job.run == request.run) else { continue };
            let job = vm.guest.jobs.remove(index);
            vm.guest.left_halfway(&job.work);
        }
        match request.tool {
            Tool::Helm => failure(1, "Error: UPGRADE FAILED: context deadline exceeded"),
            _ => kubeadm_error("error execution phase wait-control-plane: context deadline exceeded"),
        }
    }
}
