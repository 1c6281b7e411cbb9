//! Disturbances of the stage that no command asks for, and the summary by which two ends are compared.
//! Knows nothing of when a disturbance comes.

use std::time::Duration;

use serde_json::{Value, json};

use super::ask::{Ask, refused};
use super::cluster::{Cluster, Ready};
use super::faults::Kind;
use super::kubeadm_rules;
use super::stage::Stage;
use super::vms::{Control, Power, Work, Worker};
use tool::{Output, Tool};

impl Stage {
    /// Does to one of the VMs what a fault wants; `which` chooses it.
    pub(super) fn disturb(&mut self, kind: Kind, which: usize, now: Duration) {
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
            Kind::Stop => self.halt(&name, now),
            Kind::Delete => {
                self.halt(&name, now);
                if let Some(vm) = self.vms.get_mut(&name) {
                    vm.power = Power::Deleted;
                }
            }
            Kind::Readdress => self.readdress(&name, now),
            _ => {
                self.halt(&name, now);
                self.boot(&name, now);
            }
        }
    }

    /// The machine loses its power. Of one VM that ran Multipass does not know afterwards what became of it
    /// (multipass#2561); a VM in its first boot has its files already (assumption).
    pub(super) fn power_cut(&mut self, which: usize, now: Duration) {
        let running = self.vms.iter().filter(|(_, vm)| vm.power == Power::Running);
        let names: Vec<String> = running.map(|(name, _)| name.clone()).collect();
        names.iter().for_each(|name| self.halt(name, now));
        let lost = names.get(which % names.len().max(1)).and_then(|name| self.vms.get_mut(name));
        lost.into_iter().for_each(|vm| vm.power = Power::Unknown);
    }

    /// A VM is rebooted and gets another address, as after a long time off. One that is off gets it for its next boot.
    pub fn readdress(&mut self, name: &str, now: Duration) {
        let ip = self.lease();
        let Some(vm) = self.vms.get_mut(name) else { return };
        vm.ip = ip;
        if vm.power == Power::Running {
            self.halt(name, now);
            self.boot(name, now);
        }
    }

    /// The same of every VM whose bit is set, in the order of their names.
    pub fn readdress_all(&mut self, which: u64, now: Duration) {
        let names: Vec<String> = self.vms.keys().cloned().collect();
        let chosen = names.iter().enumerate().filter(|(place, _)| which >> (place % 64) & 1 == 1);
        chosen.for_each(|(_, name)| self.readdress(name, now));
    }

    /// A command dies in the middle of what it does, and what it did stays.
    pub(super) fn halved(&mut self, ask: &Ask, now: Duration) -> Output {
        self.killed(ask, true, now);
        for vm in self.vms.values_mut() {
            let Some(index) = vm.guest.jobs.iter().position(|job| job.run == ask.run) else { continue };
            match vm.guest.jobs.remove(index).work {
                Work::Init(_) => vm.guest.control = Control::Partial,
                Work::Join(..) => vm.guest.worker = Worker::Partial,
                Work::Prep | Work::Reset | Work::Register | Work::Readdress(_) | Work::Kubeadm | Work::Apply(_) => {}
            }
        }
        match ask.tool {
            Tool::Helm => refused(1, "Error: UPGRADE FAILED: context deadline exceeded"),
            _ => kubeadm_rules::failed("error execution phase wait-control-plane: context deadline exceeded"),
        }
    }

    /// Where everything stands, without what may differ between equal ends: times, addresses, revisions.
    pub fn summary(&mut self, now: Duration) -> Value {
        self.advance(now);
        for vm in self.vms.keys().cloned().collect::<Vec<_>>() {
            self.settle_cluster(&vm, now);
        }
        let vms = self.vms.iter().map(|(name, vm)| {
            let guest = &vm.guest;
            let state = json!({ "power": vm.power, "cpus": vm.cpus, "memory": vm.memory, "disk": vm.disk,
                "prep": guest.prep, "kubelet": guest.kubelet(), "scripts": guest.scripts,
                "sealed": guest.sealed, "worker": guest.worker,
                "partial": guest.control == Control::Partial,
                "cluster": self.cluster(name).map(|c| self.cluster_summary(c, now)) });
            (name.clone(), state)
        });
        Value::Object(vms.collect())
    }

    fn cluster_summary(&self, cluster: &Cluster, now: Duration) -> Value {
        let nodes: Value = cluster
            .nodes
            .keys()
            .map(|name| (name.clone(), json!(self.node_ready(cluster, name, now) == Ready::Yes)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let names = |all: Vec<&String>| json!(all);
        let releases: Value = cluster
            .releases
            .iter()
            .filter(|r| cluster.release(&r.name).is_some_and(|newest| newest.number == r.number))
            .map(|r| (r.name.clone(), json!([r.status, r.chart, r.version])))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let rolled: Vec<&String> =
            cluster.workloads.iter().filter(|(_, w)| self.rolled_out(cluster, w, now)).map(|(name, _)| name).collect();
        let vault = json!([
            cluster.vault.keys.is_some(),
            self.vault_sealed(cluster),
            cluster.vault.paths.keys().collect::<Vec<_>>()
        ]);
        let peers = super::mesh::told(cluster).map(|told| names(told.keys().collect()));
        json!({ "vault": vault, "peers": peers, "name": cluster.name, "version": cluster.version,
            "cordoned": cluster.cordoned, "marked": cluster.marks.keys().collect::<Vec<_>>(), "pods": cluster.pods,
            "services": cluster.services, "nodes": nodes, "releases": releases, "namespaces": cluster.namespaces,
            "crds": names(cluster.crds.keys().collect()),
            "objects": names(cluster.objects.keys().collect()), "ready": names(rolled) })
    }
}
