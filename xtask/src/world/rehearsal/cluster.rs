//! A simulated cluster: members, pod ranges, namespaces, CRDs, releases, workloads, and when each becomes ready.
//! Knows nothing of how anyone asks about them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::net::Net;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::clockwork;
use super::stage::{Control, Power, Stage, Vm};

/// What etcd holds, and what the control plane was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    pub name: String,
    /// Its certificate authority, by name.
    pub ca: String,
    /// `controlPlaneEndpoint`.
    pub endpoint: String,
    /// The address that etcd, the probes and the controllers' kubeconfigs are bound to.
    pub advertise: Ipv4Addr,
    /// What the API server's certificate is valid for.
    pub sans: Vec<String>,
    pub version: String,
    pub pods: Net,
    pub services: Net,
    /// Bootstrap tokens by id: secret and expiry.
    pub tokens: BTreeMap<String, (String, Duration)>,
    /// When the API answers, counted from the last boot.
    pub api_from: Duration,
    pub nodes: BTreeMap<String, Member>,
    /// Labels by namespace.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// By full name: `gateways.gateway.networking.k8s.io`.
    pub crds: BTreeMap<String, Crd>,
    pub releases: Vec<Revision>,
    /// By `namespace/kind/name`, kind in lower case.
    pub workloads: BTreeMap<String, Workload>,
    /// Everything else, by `kind/namespace/name`, kind in lower case.
    pub objects: BTreeMap<String, Value>,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its VM.
    pub vm: String,
    pub ip: Ipv4Addr,
    pub joined: Duration,
    pub pod_cidr: Option<Net>,
    pub control_plane: bool,
}

/// A kind that is not built in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crd {
    pub kind: String,
    pub versions: Vec<String>,
    pub namespaced: bool,
    /// Gateway API's bundle version.
    pub bundle: Option<String>,
    pub since: Duration,
}

/// One revision of a Helm release, as its Secret shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    pub name: String,
    pub namespace: String,
    pub number: u32,
    pub status: String,
    pub chart: String,
    pub version: String,
    pub description: String,
    pub labels: BTreeMap<String, String>,
    pub values: Value,
    /// The command that is at it.
    pub run: Option<u64>,
}

/// Pods with a controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    /// Does not need the CNI.
    pub host_network: bool,
    /// Refused by PodSecurity `baseline`.
    pub privileged: bool,
    pub release: String,
    pub since: Duration,
}

/// What a node says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    Yes,
    No,
    /// The kubelet stopped posting.
    Unknown,
}

impl Cluster {
    /// The Cilium release that is in force, deployed or being made.
    pub fn release(&self, name: &str) -> Option<&Revision> {
        self.releases.iter().filter(|r| r.name == name).max_by_key(|r| r.number)
    }

    /// Registers a node; the first free /24 becomes its pod range.
    pub fn register(&mut self, name: &str, vm: &str, ip: Ipv4Addr, control_plane: bool, now: Duration) {
        let taken: Vec<Net> = self.nodes.values().filter_map(|n| n.pod_cidr).collect();
        let pod_cidr = free_ranges(self.pods, self.services).into_iter().find(|net| !taken.contains(net));
        let member = Member { vm: vm.to_owned(), ip, joined: now, pod_cidr, control_plane };
        // A node that comes back keeps its range: `spec.podCIDR` cannot be changed once it is set.
        let kept = self.nodes.get(name).and_then(|n| n.pod_cidr);
        self.nodes.insert(name.to_owned(), Member { pod_cidr: kept.or(member.pod_cidr), ..member });
    }
}

/// The node ranges that kube-controller-manager may hand out.
///
/// Upstream: `filterOutServiceRange` marks what the service range covers as used, but if the service range contains
/// the pod range (`clusterMaskSize < maskSize` is then false) it marks everything (kubernetes/kubernetes#103898;
/// measured on v1.35.6: podCIDR stays empty for ever).
pub fn free_ranges(pods: Net, services: Net) -> Vec<Net> {
    let services = Net(services.trunc());
    let pods = Net(pods.trunc());
    let all = pods.subnets(24.max(pods.prefix_len())).into_iter().flatten().map(Net);
    if services.contains(&*pods) {
        return vec![];
    }
    all.filter(|net| !services.contains(&**net) && !net.contains(&*services)).collect()
}

impl Stage {
    /// The cluster whose control plane is in this VM.
    pub(super) fn cluster(&self, vm: &str) -> Option<&Cluster> {
        match &self.vms.get(vm)?.guest.control {
            Control::Made(cluster) => Some(cluster),
            _ => None,
        }
    }

    /// The same, to change it.
    pub(super) fn cluster_mut(&mut self, vm: &str) -> Option<&mut Cluster> {
        match &mut self.vms.get_mut(vm)?.guest.control {
            Control::Made(cluster) => Some(cluster),
            _ => None,
        }
    }

    /// Whether the API server in this VM answers. With another address than it was made for it does not: etcd and the
    /// liveness probes are bound to the old one, until `node-readdress` moves them.
    pub(super) fn api_up(&self, vm: &str, now: Duration) -> bool {
        let Some(machine) = self.vms.get(vm).filter(|vm| vm.reachable(now)) else { return false };
        let refusing = self.refusing.get(vm).is_some_and(|until| now < *until);
        self.cluster(vm).is_some_and(|c| c.api_from <= now && c.advertise == machine.ip) && !refusing
    }

    fn member_vm<'a>(&'a self, cluster: &Cluster, node: &str) -> Option<(&'a Vm, Member)> {
        let member = cluster.nodes.get(node)?.clone();
        self.vms.get(&member.vm).map(|vm| (vm, member))
    }

    /// From when the kubelet of a node reports, while its VM runs. A changed address silences it: `node-ip` is fixed.
    fn kubelet_since(&self, cluster: &Cluster, node: &str) -> Option<Duration> {
        let (vm, member) = self.member_vm(cluster, node)?;
        let runs = vm.power == Power::Running && vm.ip == member.ip && vm.guest.node_ip == Some(vm.ip);
        runs.then(|| member.joined.max(vm.turned).max(cluster.api_from) + clockwork::KUBELET)
    }

    /// From when the Cilium agent of a node is ready, if ever: it needs a pod range (`ipam.mode: kubernetes` waits
    /// for ever without one) and the right API address, which kube-proxy's absence makes it depend on.
    fn agent_since(&self, cluster: &Cluster, node: &str) -> Option<Duration> {
        let agent = cluster.workloads.get("kube-system/daemonset/cilium")?;
        let member = cluster.nodes.get(node)?;
        member.pod_cidr?;
        let host = cluster.release("cilium").map_or("", |r| super::yaml::text(&r.values, "/k8sServiceHost"));
        let known = host.is_empty() || host == "auto" || host == cluster.advertise.to_string();
        let pulled = agent.since.max(member.joined) + clockwork::IMAGE;
        let start = self.kubelet_since(cluster, node)?.max(pulled);
        (known && self.pods_allowed(cluster, agent)).then_some(start + clockwork::POD_CIDR)
    }

    /// Whether PodSecurity lets the pods of a workload in.
    pub(super) fn pods_allowed(&self, cluster: &Cluster, workload: &Workload) -> bool {
        let labels = cluster.namespaces.get(&workload.namespace);
        let enforce = labels.and_then(|l| l.get("pod-security.kubernetes.io/enforce")).map_or("", String::as_str);
        !(workload.privileged && ["baseline", "restricted"].contains(&enforce))
    }

    /// The Ready condition of a node.
    pub(super) fn node_ready(&self, cluster: &Cluster, node: &str, now: Duration) -> Ready {
        let Some((vm, member)) = self.member_vm(cluster, node) else { return Ready::Unknown };
        if vm.power != Power::Running {
            let fresh = now < vm.turned + clockwork::HEARTBEAT;
            return if fresh && cluster.workloads.contains_key("kube-system/daemonset/cilium") {
                Ready::Yes
            } else {
                Ready::Unknown
            };
        }
        if vm.ip != member.ip {
            return Ready::Unknown;
        }
        match self.agent_since(cluster, node) {
            Some(since) if since <= now => Ready::Yes,
            _ => Ready::No,
        }
    }

    /// How many pods of a workload are wanted, and how many are ready.
    pub(super) fn pods(&self, cluster: &Cluster, workload: &Workload, now: Duration) -> (usize, usize) {
        let allowed = self.pods_allowed(cluster, workload);
        let ready = cluster.nodes.keys().filter(|node| {
            let since = match (workload.name.as_str(), workload.host_network) {
                ("cilium", _) => self.agent_since(cluster, node),
                (_, true) => self.kubelet_since(cluster, node),
                (_, false) => self.agent_since(cluster, node),
            };
            allowed && since.is_some_and(|since| since.max(workload.since + clockwork::IMAGE) <= now)
        });
        let ready = ready.count();
        if workload.kind == "DaemonSet" { (cluster.nodes.len(), ready) } else { (1, ready.min(1)) }
    }

    /// Whether all pods of a workload are ready.
    pub(super) fn rolled_out(&self, cluster: &Cluster, workload: &Workload, now: Duration) -> bool {
        let (wanted, ready) = self.pods(cluster, workload, now);
        wanted > 0 && wanted == ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(pods: &str, services: &str) -> usize {
        free_ranges(pods.parse().unwrap(), services.parse().unwrap()).len()
    }

    #[test]
    fn a_service_range_around_the_pod_range_leaves_no_node_range() {
        for (pods, services) in [("10.100.0.0/16", "10.96.0.0/12"), ("10.101.0.0/16", "10.97.0.0/12")] {
            assert_eq!(free(pods, services), 0, "{pods} in {services}");
        }
        for services in ["10.96.0.0/16", "10.97.0.0/16", "10.98.0.0/16"] {
            assert_eq!(free("10.100.0.0/16", services), 256);
        }
    }

    #[test]
    fn a_service_range_inside_the_pod_range_takes_its_own_part_only() {
        assert_eq!(free("10.100.0.0/16", "10.100.0.0/20"), 240);
        assert_eq!(free("10.100.0.0/16", "10.100.7.128/25"), 255);
    }
}
