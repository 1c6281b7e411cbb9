//! A simulated cluster: members, pod ranges, namespaces, CRDs, releases and workloads.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::rc::Rc;

use crate::prelude::*;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::vault_store::VaultStore;

/// What etcd holds, and the configuration of the control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    pub name: String,
    pub ca: String,
    /// `controlPlaneEndpoint`.
    pub endpoint: String,
    /// The address that etcd, the probes and the controllers' kubeconfigs are bound to.
    pub advertise: Ipv4Addr,
    pub sans: Vec<String>,
    pub version: String,
    pub pods: Ipv4Net,
    pub services: Ipv4Net,
    pub tokens: BTreeMap<String, (String, Duration)>,
    /// The control plane's clock when its certificates were issued.
    pub certs_issued_at: u64,
    /// When the API server is up after the last boot.
    pub api_from: Duration,
    pub nodes: BTreeMap<String, Member>,
    pub cordoned: BTreeSet<String>,
    /// By node; only nodes that have annotations.
    pub annotations: BTreeMap<String, BTreeMap<String, String>>,
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// By full name: `gateways.gateway.networking.k8s.io`.
    pub crds: BTreeMap<String, Crd>,
    pub releases: Vec<Revision>,
    /// By `namespace/kind/name`, kind in lower case.
    pub workloads: BTreeMap<String, Workload>,
    /// Everything else, by `kind/namespace/name`, kind in lower case. Copies of a cluster share them until one changes.
    pub objects: BTreeMap<String, Rc<Value>>,
    pub reconciled_until: Duration,
    pub vault: VaultStore,
    pub synced_secrets: BTreeMap<String, SyncedSecret>,
    /// Changes of reachability while a drill's probe runs.
    pub reachability: Vec<Reachability>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub vm: String,
    pub ip: Ipv4Addr,
    pub joined: Duration,
    pub pod_cidr: Option<Ipv4Net>,
    pub control_plane: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crd {
    pub kind: String,
    pub versions: Vec<String>,
    pub namespaced: bool,
    pub bundle: Option<String>,
    pub since: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    pub name: String,
    pub namespace: String,
    pub number: u32,
    pub status: Status,
    pub chart: String,
    pub version: String,
    pub description: String,
    pub labels: BTreeMap<String, String>,
    pub values: Rc<Value>,
    /// Helm 3: objects still have what a cancelled revision with other values wrote, and no pod becomes ready (measured
    /// with a `nodeSelector`).
    pub stale: bool,
    pub run: Option<u64>,
}

/// `deployed`. The rest of its Secret never changes (name, number, labels), so the Secret is cached here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Status {
    text: String,
    #[serde(skip)]
    secret: OnceCell<Rc<Value>>,
}

impl From<&str> for Status {
    fn from(text: &str) -> Self {
        Status { text: text.to_owned(), secret: OnceCell::new() }
    }
}

impl Deref for Status {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Status {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Status {}

impl PartialEq<&str> for Status {
    fn eq(&self, other: &&str) -> bool {
        self.text == *other
    }
}

impl Status {
    pub fn secret(&self, make: impl FnOnce() -> Value) -> &Value {
        self.secret.get_or_init(|| Rc::new(make()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    Yes,
    No,
    /// The kubelet stopped posting.
    Unknown,
}

impl Cluster {
    pub fn release(&self, name: &str) -> Option<&Revision> {
        self.releases.iter().filter(|r| r.name == name).max_by_key(|r| r.number)
    }

    pub fn object(&self, key: &str) -> Option<&Value> {
        self.objects.get(key).map(|object| &**object)
    }

    pub fn object_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.objects.get_mut(key).map(Rc::make_mut)
    }

    /// Creates an object unless it exists.
    pub fn ensure_object(&mut self, key: String, object: Value) {
        self.objects.entry(key).or_insert_with(|| Rc::new(object));
    }

    /// Objects of a kind, given in lower case, with their keys.
    pub fn objects_of(&self, kind: &str) -> impl Iterator<Item = (&String, &Value)> {
        let from = [kind, "/"].concat();
        let all = self.objects.range(from.clone()..);
        all.take_while(move |(key, _)| key.starts_with(&from)).map(|(key, object)| (key, &**object))
    }

    /// Registers a node with the first free /24 as its pod range.
    pub fn register(&mut self, name: &str, vm: &str, ip: Ipv4Addr, control_plane: bool, now: Duration) {
        let taken: Vec<Ipv4Net> = self.nodes.values().filter_map(|n| n.pod_cidr).collect();
        let pod_cidr = node_cidrs(self.pods, self.services).into_iter().find(|net| !taken.contains(net));
        let member = Member { vm: vm.to_owned(), ip, joined: now, pod_cidr, control_plane };
        // A node that returns keeps its range: `spec.podCIDR` cannot be changed once it is set.
        let kept = self.nodes.get(name).and_then(|n| n.pod_cidr);
        self.nodes.insert(name.to_owned(), Member { pod_cidr: kept.or(member.pod_cidr), ..member });
    }
}

/// The node ranges that kube-controller-manager may assign. Upstream: `filterOutServiceRange` marks what the service
/// range covers as used, but if the service range contains the pod range (`clusterMaskSize < maskSize` is then false)
/// it marks everything (kubernetes/kubernetes#103898; measured on v1.35.6: podCIDR stays empty for ever).
pub fn node_cidrs(pods: Ipv4Net, services: Ipv4Net) -> Vec<Ipv4Net> {
    let services = services.trunc();
    let pods = pods.trunc();
    let all = pods.subnets(24.max(pods.prefix_len())).into_iter().flatten();
    if services.contains(&pods) {
        return vec![];
    }
    all.filter(|net| !services.contains(net) && !net.contains(&services)).collect()
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncedSecret {
    pub read: Option<Duration>,
    pub(super) tried: Duration,
    pub(super) good: bool,
    pub(super) there: bool,
    pub(super) version: u64,
    /// The annotation at the last sync, and now; they differ when a sync is requested.
    pub(super) done: String,
    pub marked: String,
}

/// What was reachable from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reachability {
    pub(super) from: Duration,
    pub(super) local: bool,
    pub(super) mesh: bool,
    pub(super) thanos: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(pods: &str, services: &str) -> usize {
        node_cidrs(pods.parse().unwrap(), services.parse().unwrap()).len()
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
