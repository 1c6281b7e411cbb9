//! When nodes, agents and API servers become ready, and reconciling a cluster.

use crate::cluster::{Crd, Member, Ready};
use crate::controllers::awaits_webhook;
use crate::guest::days_left;
use crate::prelude::*;
use crate::vms::{Control, Idle, Power, Vm};
use crate::{catalog, mesh, packages, yaml};

const CLASS: &str = "gatewayclass//cilium";
const OPERATOR: &str = "kube-system/deployment/cilium-operator";

impl SimState {
    /// The cluster with its control plane in this VM.
    pub(super) fn cluster(&self, vm: &str) -> Option<&Cluster> {
        match &self.vms.get(vm)?.guest.control {
            Control::Made(cluster) => Some(cluster),
            _ => None,
        }
    }

    pub(super) fn cluster_mut(&mut self, vm: &str) -> Option<&mut Cluster> {
        match &mut self.vms.get_mut(vm)?.guest.control {
            Control::Made(cluster) => Some(cluster),
            _ => None,
        }
    }

    /// Never on another address than it was created for: etcd and the liveness probes are bound to it.
    pub(super) fn api_up(&self, vm: &str, now: Duration) -> bool {
        let Some(machine) = self.vms.get(vm).filter(|vm| vm.reachable(now)) else { return false };
        let refusing = self.refusing.get(vm).is_some_and(|until| now < *until);
        let valid = |c: &Cluster| days_left(c.certs_issued_at, self.clock_of(vm, now)) != Some(0);
        self.cluster(vm).is_some_and(|c| c.api_from <= now && c.advertise == machine.ip && valid(c)) && !refusing
    }

    /// A kubelet with an expired certificate does not start, or is not admitted.
    pub(super) fn kubelet_expired(&self, vm: &str, now: Duration) -> bool {
        self.vms.get(vm).is_some_and(|m| days_left(m.guest.kubelet_issued, self.clock_of(vm, now)) == Some(0))
    }

    /// Lets certificates age as time does. Kubelets renew their own, unless machines are off meanwhile.
    pub fn age_certificates(&mut self, days: u64, off: bool) {
        for machine in self.vms.values_mut() {
            if off {
                machine.guest.kubelet_issued = machine.guest.kubelet_issued.saturating_sub(days * 86400);
            }
            if let Control::Made(cluster) = &mut machine.guest.control {
                cluster.certs_issued_at -= days * 86400;
                // The mesh's are issued again on the first day of every fourth month, unless machines are off.
                mesh::age_certificates(cluster, if off { days } else { days % 122 });
            }
        }
    }

    fn member_vm<'a>(&'a self, cluster: &'a Cluster, node: &str) -> Option<(&'a Vm, &'a Member)> {
        let member = cluster.nodes.get(node)?;
        self.vms.get(&member.vm).map(|vm| (vm, member))
    }

    /// From when a kubelet reports, while its VM runs. Not after its address changed: `node-ip` is fixed.
    pub(super) fn kubelet_since(&self, cluster: &Cluster, node: &str) -> Option<Duration> {
        let (vm, member) = self.member_vm(cluster, node)?;
        let fits = !packages::kubelet_too_new(vm.guest.kubelet(), &cluster.version);
        let runs = fits && vm.power == Power::Running && vm.ip == member.ip && vm.guest.node_ip == Some(vm.ip);
        let asked = member
            .joined
            .max(vm.power_changed_at)
            .max(cluster.api_from)
            .max(self.valid_after(cluster, &member.vm, vm.lag));
        runs.then_some(asked + timings::KUBELET)
    }

    /// From when the API server's certificate is valid by a VM's clock.
    pub(super) fn valid_from(&self, cluster: &Cluster, vm: &str) -> Duration {
        self.valid_after(cluster, vm, self.vms.get(vm).map_or(0, |vm| vm.lag))
    }

    fn valid_after(&self, cluster: &Cluster, vm: &str, lag: u64) -> Duration {
        let at_first = self.clock_with(vm, lag, Duration::ZERO) + timings::BACKDATE;
        Duration::from_secs(cluster.certs_issued_at.saturating_sub(at_first))
    }

    /// From when the Cilium agent of a node is ready, if ever: it needs a pod range (`ipam.mode: kubernetes` waits for
    /// ever without one) and the right API address, since there is no kube-proxy.
    pub(super) fn agent_since(&self, cluster: &Cluster, node: &str) -> Option<Duration> {
        let agent = cluster.workloads.get("kube-system/daemonset/cilium")?;
        let member = cluster.nodes.get(node)?;
        member.pod_cidr?;
        let host = cluster.release("cilium").map_or("", |r| yaml::text(&r.values, "/k8sServiceHost"));
        let known = host.is_empty() || host == "auto" || host.parse() == Ok(cluster.advertise);
        let pulled = agent.since.max(member.joined).max(agent.pending_until) + timings::IMAGE;
        let start = self.kubelet_since(cluster, node)?.max(pulled);
        (known && agent.placed.iter().any(|n| n == node)).then_some(start + timings::POD_CIDR)
    }

    pub(super) fn node_ready(&self, cluster: &Cluster, node: &str, now: Duration) -> Ready {
        let Some((vm, member)) = self.member_vm(cluster, node) else { return Ready::Unknown };
        if vm.power != Power::Running {
            let fresh = now < vm.power_changed_at + timings::HEARTBEAT;
            return if fresh && cluster.workloads.contains_key("kube-system/daemonset/cilium") {
                Ready::Yes
            } else {
                Ready::Unknown
            };
        }
        if vm.ip != member.ip {
            return Ready::Unknown;
        }
        if self.kubelet_expired(&member.vm, now) {
            return Ready::Unknown;
        }
        match self.agent_since(cluster, node) {
            Some(since) if since <= now => Ready::Yes,
            _ => Ready::No,
        }
    }

    pub(super) fn reconcile_cluster(&mut self, vm: &str, now: Duration) {
        if self.is_idle(vm, now) {
            // So that the next reconcile does not start from an earlier time.
            if let Some(Control::Made(cluster)) = self.vms.get_mut_unrecorded(vm).map(|vm| &mut vm.guest.control) {
                cluster.reconciled_until = now;
            }
            return;
        }
        let quiet = self.reconcile_pods(vm, now);
        self.reconcile_objects(vm, now);
        self.reconcile_mesh_certificates(vm, now);
        self.reconcile_external_secrets(vm, now);
        self.reconcile_cilium_crds(vm, now);
        let rest = self.cluster(vm).filter(|_| quiet).and_then(|cluster| self.idle_state(vm, cluster, now));
        match rest {
            Some(rest) => drop(self.idle.insert(vm.to_owned(), rest)),
            None => drop(self.idle.remove(vm)),
        }
    }

    /// Whether nothing changed in its VMs since the cluster became idle.
    fn is_idle(&self, vm: &str, now: Duration) -> bool {
        let (Some(rest), Some(cluster)) = (self.idle.get(vm), self.cluster(vm)) else { return false };
        now < rest.until && self.revision(vm, cluster) == Some(rest.revision)
    }

    fn revision(&self, vm: &str, cluster: &Cluster) -> Option<u64> {
        let vm = self.vms.get_key_value(vm).map(|(name, _)| name);
        self.vms.revision(vm.into_iter().chain(cluster.nodes.values().map(|member| &member.vm)))
    }

    /// Idle if controllers have nothing left to do. Injected conditions prevent it: they may depend on other clusters.
    fn idle_state(&self, vm: &str, cluster: &Cluster, now: Duration) -> Option<Idle> {
        let settled = self.conditions(&cluster.name).next().is_none()
            && !awaits_webhook(cluster)
            && !mesh::awaits_certificates(cluster)
            && !awaits_cilium_crds(cluster);
        let until = self.next_secret_sync(cluster).filter(|until| settled && now < *until)?;
        Some(Idle { revision: self.revision(vm, cluster)?, until })
    }

    /// The Cilium operator creates its CRDs and accepts its GatewayClass when it runs, not when the chart is installed
    /// (measured).
    fn reconcile_cilium_crds(&mut self, vm: &str, now: Duration) {
        let Some(cluster) = self.cluster(vm).filter(|cluster| awaits_cilium_crds(cluster)) else { return };
        let Some(operator) = cluster.workloads.get(OPERATOR).filter(|o| self.rolled_out(cluster, o, now)) else {
            return;
        };
        // It looks for Gateway API's CRDs once, at its start (upstream: no retry).
        let started = operator.since + timings::IMAGE;
        let Some(cluster) = self.cluster_mut(vm) else { return };
        for (name, kind, version, namespaced) in catalog::CILIUM_CRDS {
            let (kind, versions) = ((*kind).into(), vec![(*version).into()]);
            let crd = Crd { kind, versions, namespaced: *namespaced, bundle: None, since: now };
            cluster.crds.entry((*name).to_owned()).or_insert(crd);
        }
        let seen = cluster.crds.get("gateways.gateway.networking.k8s.io").is_some_and(|crd| crd.since <= started);
        if let Some(class) = cluster.object_mut(CLASS).filter(|_| seen) {
            class["status"]["conditions"] = json!([{ "type": "Accepted", "status": "True", "reason": "Accepted" }]);
        }
    }
}

fn awaits_cilium_crds(cluster: &Cluster) -> bool {
    let made = || catalog::CILIUM_CRDS.iter().all(|(name, ..)| cluster.crds.contains_key(*name));
    let taken = |class: &Value| !class["status"].is_null();
    cluster.workloads.contains_key(OPERATOR) && !(cluster.object(CLASS).is_none_or(taken) && made())
}
