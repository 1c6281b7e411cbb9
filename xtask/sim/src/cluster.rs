//! A simulated cluster: members, pod ranges, namespaces, CRDs, releases and workloads.
//! Knows nothing of the machines it is on.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

use crate::net::Net;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::vault_store::VaultStore;
use crate::workload::Workload;

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
    /// What the clock of its control plane showed when its certificates were made.
    #[serde(default)]
    pub certs_issued_at: u64,
    /// When the API answers, counted from the last boot.
    pub api_from: Duration,
    pub nodes: BTreeMap<String, Member>,
    /// Nodes that take no new pods.
    #[serde(default)]
    pub cordoned: BTreeSet<String>,
    /// Annotations of nodes, of those that have any.
    #[serde(default)]
    pub annotations: BTreeMap<String, BTreeMap<String, String>>,
    /// Labels by namespace.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// By full name: `gateways.gateway.networking.k8s.io`.
    pub crds: BTreeMap<String, Crd>,
    pub releases: Vec<Revision>,
    /// By `namespace/kind/name`, kind in lower case.
    pub workloads: BTreeMap<String, Workload>,
    /// Everything else, by `kind/namespace/name`, kind in lower case. Copies of a cluster share what neither changes.
    pub objects: BTreeMap<String, Rc<Value>>,
    /// Up to when its controllers have worked.
    pub reconciled_until: Duration,
    /// What Vault keeps on its volume, if there is one here.
    pub vault: VaultStore,
    /// What External Secrets copied, by namespace and name of the Secret.
    #[serde(default)]
    pub synced_secrets: BTreeMap<String, SyncedSecret>,
    /// What was open since when, while somebody counts.
    #[serde(default)]
    pub reachability: Vec<Reachability>,
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
    pub status: Status,
    pub chart: String,
    pub version: String,
    pub description: String,
    pub labels: BTreeMap<String, String>,
    pub values: Rc<Value>,
    /// Helm 3: objects still have what a cancelled revision with other values wrote, and no pod becomes ready
    /// (measured with a `nodeSelector`).
    #[serde(default)]
    pub stale: bool,
    /// The command that is at it.
    pub run: Option<u64>,
}

/// The status of a revision: `deployed`. Nothing else that its Secret shows ever changes (name, number, labels), so the
/// Secret is remembered with the status and goes with it.
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
    /// The Secret, which is made if it was not.
    pub fn secret(&self, make: impl FnOnce() -> Value) -> &Value {
        self.secret.get_or_init(|| Rc::new(make()))
    }
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

    /// An object by its key.
    pub fn object(&self, key: &str) -> Option<&Value> {
        self.objects.get(key).map(|object| &**object)
    }

    /// The same, to change it.
    pub fn object_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.objects.get_mut(key).map(Rc::make_mut)
    }

    /// Makes an object, unless it is there.
    pub fn ensure_object(&mut self, key: String, object: Value) {
        self.objects.entry(key).or_insert_with(|| Rc::new(object));
    }

    /// What was applied of a kind, which is in lower case, with its keys.
    pub fn objects_of(&self, kind: &str) -> impl Iterator<Item = (&String, &Value)> {
        let from = [kind, "/"].concat();
        let all = self.objects.range(from.clone()..);
        all.take_while(move |(key, _)| key.starts_with(&from)).map(|(key, object)| (key, &**object))
    }

    /// Registers a node; the first free /24 becomes its pod range.
    pub fn register(&mut self, name: &str, vm: &str, ip: Ipv4Addr, control_plane: bool, now: Duration) {
        let taken: Vec<Net> = self.nodes.values().filter_map(|n| n.pod_cidr).collect();
        let pod_cidr = node_cidrs(self.pods, self.services).into_iter().find(|net| !taken.contains(net));
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
pub fn node_cidrs(pods: Net, services: Net) -> Vec<Net> {
    let services = Net(services.trunc());
    let pods = Net(pods.trunc());
    let all = pods.subnets(24.max(pods.prefix_len())).into_iter().flatten().map(Net);
    if services.contains(&*pods) {
        return vec![];
    }
    all.filter(|net| !services.contains(&**net) && !net.contains(&*services)).collect()
}

/// One Secret that External Secrets fills.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncedSecret {
    /// When it was read last; nothing if it never was.
    pub read: Option<Duration>,
    /// When it was tried last.
    pub(super) tried: Duration,
    /// Whether that went well.
    pub(super) good: bool,
    /// Whether the Secret is there.
    pub(super) there: bool,
    /// Its version; another one means that somebody wrote it.
    pub(super) version: u64,
    /// The annotation that was there when it was read, and the one that is there now: another one means "ask now".
    pub(super) done: String,
    pub marked: String,
}

/// What was open from some moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reachability {
    pub(super) from: Duration,
    /// The sample, from its own cluster.
    pub(super) local: bool,
    /// The sample of another cluster.
    pub(super) mesh: bool,
    /// Thanos on the platform.
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
