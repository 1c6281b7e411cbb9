//! The fleet: clusters, nodes, address ranges, budgets and versions, typed and validated.
//!
//! A [`Fleet`] exists only if every rule holds: `load` reads `infra/fleet.toml` with the line of each value, `rules`
//! refuses what cannot work, and both report all problems at once.

pub mod binaries;
mod compatibility;
pub(crate) mod document;
mod draft;
mod load;
mod new_cluster;
mod rules;

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use semver::Version;

pub use crate::units::Bytes;
pub use compatibility::{Compatibility, Fault};
pub use load::load;
pub use new_cluster::next_cluster;
pub use rules::host_capacity::capacity_problems;
pub use rules::names::is_label;
pub use rules::network_conflicts::{free_range, network_conflicts};

/// A validated `infra/fleet.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    pub host: Host,
    pub vm: Vm,
    pub versions: Versions,
    pub mesh: Mesh,
    pub docker: Docker,
    pub registry: Registry,
    pub gitops: Gitops,
    /// The clusters, in the order written.
    pub clusters: Vec<Cluster>,
    /// The file it was read from, as the user named it.
    pub file: String,
    /// Line of each key in that file, by path: `vm.network`, `app1.service_cidr`, `app1.cp.memory`.
    pub lines: BTreeMap<String, usize>,
}

/// The budget of the one machine (ADR-0001: 64 GB, about 56 of it usable, 6 for Docker).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub memory: Bytes,
    pub usable: Bytes,
    pub docker: Bytes,
    /// Disk that must be free before anything begins. VM disks are sparse files that grow.
    pub free_disk: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vm {
    /// Image by release, never a moving alias such as `lts`.
    pub image: String,
    /// Launches at a time, after the first has filled the image cache.
    pub parallel_launches: usize,
    /// The VM network, where the user pins it; preflight compares the real one.
    pub network: Option<Ipv4Net>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// Kubernetes of every cluster, with its patch.
    pub kubernetes: Version,
    /// kubeadm, kubelet and kubectl on the nodes; the same minor as `kubernetes`.
    pub kubeadm: Version,
    /// Tag of the pause image that containerd pins, `3.10.1`; must be kubeadm's own.
    pub pause: String,
    /// The Cilium chart; its digests stand in `charts/releases.toml`.
    pub cilium: Version,
    pub gateway_api: Version,
    /// The containerd that its nodes need, of the table of compatible versions.
    pub containerd: String,
    /// Versions of tools that do not work on some machines, of the same table.
    pub faults: Vec<Fault>,
    /// Accepted versions of the tools on this machine, as semver ranges by tool name.
    pub tools: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mesh {
    /// NodePort of the first cluster's clustermesh-apiserver; the next clusters count up (cilium/cilium#24692).
    pub first_node_port: u16,
    pub links: Vec<(String, String)>,
}

/// Services outside Kubernetes, on the machine's own Docker. All off unless asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Docker {
    pub services: bool,
    /// Harbor, beside Nexus. Its images are amd64 only up to v2.15.
    pub harbor: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    /// A mirror that every node asks first: `http://192.168.64.1:8082`. Below its `/v2/` it has a project per registry,
    /// named like that one. Without an answer from it nodes ask the registry itself.
    pub mirror: Option<String>,
}

/// Where Argo CD takes the folders of `apps/` from. Without a repository `bootstrap` and `apply` install them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gitops {
    pub repository: Option<String>,
    /// Branch, tag or commit.
    pub revision: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Holds the platform services. Exactly one.
    Platform,
    /// Holds workloads and light agents.
    Workload,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// DNS label, at most 32 characters, never `default` (Cilium's rule).
    pub name: String,
    /// Cilium cluster id, 1 to 255, unique.
    pub id: u8,
    pub role: Role,
    pub memory: Bytes,
    /// Pod addresses; each node gets a /24.
    pub pod_cidr: Ipv4Net,
    pub service_cidr: Ipv4Net,
    /// Its VMs: one control plane first, then workers.
    pub nodes: Vec<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeRole {
    /// Runs the API server and etcd, and workloads too (no taint).
    ControlPlane,
    /// Runs workloads.
    Worker,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Short name within its cluster: `cp`, `w1`.
    pub name: String,
    pub role: NodeRole,
    pub cpus: u32,
    pub memory: Bytes,
    pub disk: Bytes,
}

impl Cluster {
    /// The VM of a node: `app1-cp`. Also its Kubernetes node name.
    pub fn vm(&self, node: &Node) -> String {
        format!("{}-{}", self.name, node.name)
    }

    /// The control plane. A valid cluster has exactly one.
    pub fn control_plane(&self) -> &Node {
        self.nodes.iter().find(|n| n.role == NodeRole::ControlPlane).expect("bug: a valid cluster has a control plane")
    }

    pub fn workers(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|n| n.role == NodeRole::Worker)
    }

    /// The name under which nodes and clients reach the API server, so that an address change needs no new certificates
    /// (ADR-0010): `app1-api`, in `/etc/hosts` of every node.
    pub fn api_name(&self) -> String {
        format!("{}-api", self.name)
    }

    /// The fact that holds a node's address: `app1.cp.ip`.
    pub fn ip_fact(&self, node: &Node) -> String {
        format!("{}.{}.ip", self.name, node.name)
    }
}

impl Fleet {
    /// The NodePort of a cluster's clustermesh-apiserver: distinct in every cluster, in the order written.
    pub fn mesh_port(&self, cluster: &Cluster) -> u16 {
        let index = self.clusters.iter().position(|c| c.name == cluster.name).unwrap_or(0);
        self.mesh.first_node_port + index as u16
    }
}
