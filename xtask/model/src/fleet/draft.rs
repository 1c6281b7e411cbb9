//! The fleet as written: each value with its line, before the rules are checked.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use semver::{Version, VersionReq};

use super::document::{Diagnostics, Field, FieldType, Table};
use super::{
    Bytes, Cluster, Compatibility, Docker, Fleet, Gitops, Host, Mesh, Node, NodeRole, Registry, Role, Versions, Vm,
};
use crate::problem::Problem;

pub(super) struct Draft {
    pub(super) memory: Field<Bytes>,
    pub(super) usable: Field<Bytes>,
    pub(super) docker: Field<Bytes>,
    pub(super) free_disk: Field<Bytes>,
    pub(super) image: Field<String>,
    pub(super) parallel_launches: Field<usize>,
    pub(super) network: Field<Ipv4Net>,
    pub(super) kubernetes: Field<Version>,
    pub(super) kubeadm: Field<Version>,
    pub(super) pause: Field<String>,
    pub(super) cilium: Field<Version>,
    pub(super) gateway_api: Field<Version>,
    pub(super) tools: Vec<(String, Field<String>)>,
    pub(super) first_node_port: Field<i64>,
    pub(super) links: Field<Vec<(String, String)>>,
    pub(super) services: Field<bool>,
    pub(super) harbor: Field<bool>,
    pub(super) mirror: Field<String>,
    pub(super) repository: Field<String>,
    pub(super) revision: Field<String>,
    pub(super) clusters: Vec<DraftCluster>,
    /// Whether there is a `[[cluster]]`, possibly misspelt (reported already).
    pub(super) has_clusters: bool,
}

pub(super) struct DraftCluster {
    /// In messages: "`app1`", or "cluster 3" without a name.
    pub(super) title: String,
    pub(super) line: Option<usize>,
    pub(super) name: Field<String>,
    pub(super) id: Field<i64>,
    pub(super) role: Field<Role>,
    pub(super) memory: Field<Bytes>,
    pub(super) pod_cidr: Field<Ipv4Net>,
    pub(super) service_cidr: Field<Ipv4Net>,
    pub(super) nodes: Vec<DraftNode>,
}

pub(super) struct DraftNode {
    /// In messages: "node `cp` of `app1`".
    pub(super) title: String,
    pub(super) name: Field<String>,
    pub(super) role: Field<NodeRole>,
    pub(super) cpus: Field<i64>,
    pub(super) memory: Field<Bytes>,
    pub(super) disk: Field<Bytes>,
}

/// Maximum number of nodes of a fleet: four in each of 255 clusters.
const MAX_NODES: usize = 1020;

/// Tools that run on this machine, with their default version ranges.
const TOOLS: [(&str, &str); 4] = [
    ("multipass", "\">=1.16.2\""),
    ("helm", "\">=3.14, <5\""),
    ("kubectl", "\">=1.34, <1.37\""),
    ("cilium", "\">=0.19\""),
];

const TEXT: FieldType<String> =
    FieldType { expected: "a text", example: "\"…\"", read: |v| v.as_str().map(str::to_owned) };
const NAME: FieldType<String> = FieldType { example: "\"app1\"", ..TEXT };
const NODE_NAME: FieldType<String> = FieldType { example: "\"cp\"", ..TEXT };
const IMAGE: FieldType<String> = FieldType { example: "\"24.04\"", ..TEXT };
const PAUSE: FieldType<String> = FieldType { example: "\"3.10.1\"", ..TEXT };
const NUMBER: FieldType<i64> = FieldType {
    expected: "a whole number",
    example: "2",
    read: |v| v.as_integer().and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok()),
};
const ID: FieldType<i64> = FieldType { example: "", ..NUMBER };
const LAUNCHES: FieldType<usize> = FieldType {
    expected: "a number from 1 to 16",
    example: "3",
    read: |v| (NUMBER.read)(v).and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=16).contains(n)),
};
const SIZE: FieldType<Bytes> =
    FieldType { expected: "a size in K, M or G", example: "\"4G\"", read: |v| v.as_str().and_then(Bytes::parse) };
const HOST_MEMORY: FieldType<Bytes> = FieldType { example: "\"64G\"", ..SIZE };
const HOST_USABLE: FieldType<Bytes> = FieldType { example: "\"56G\"", ..SIZE };
const HOST_DOCKER: FieldType<Bytes> = FieldType { example: "\"6G\"", ..SIZE };
const HOST_DISK: FieldType<Bytes> = FieldType { example: "\"40G\"", ..SIZE };
const CLUSTER_MEMORY: FieldType<Bytes> = FieldType { example: "\"7G\"", ..SIZE };
const DISK: FieldType<Bytes> = FieldType { example: "\"20G\"", ..SIZE };
const RANGE: FieldType<Ipv4Net> = FieldType {
    expected: "an IPv4 range with its mask",
    example: "",
    read: |v| v.as_str().and_then(|s| s.parse().ok()),
};
const VERSION: FieldType<Version> = FieldType {
    expected: "a full version",
    example: "\"1.35.7\"",
    read: |v| v.as_str().and_then(|s| Version::parse(s).ok()),
};
const CILIUM: FieldType<Version> = FieldType { example: "\"1.20.2\"", ..VERSION };
const GATEWAY_API: FieldType<Version> = FieldType { example: "\"1.6.1\"", ..VERSION };
const VERSIONS: FieldType<String> = FieldType {
    expected: "a range of versions",
    example: "\">=1.16.2\"",
    read: |v| v.as_str().filter(|s| VersionReq::parse(s).is_ok()).map(str::to_owned),
};
const SWITCH: FieldType<bool> = FieldType { expected: "true or false", example: "true", read: |v| v.as_bool() };
const MIRROR: FieldType<String> = FieldType {
    expected: "the address of a registry",
    example: "\"http://harbor.archipelago.test:8082\"",
    read: |v| v.as_str().filter(|s| is_registry(s)).map(str::to_owned),
};
const REPOSITORY: FieldType<String> = FieldType {
    expected: "the https address of a git repository, without a password",
    example: "\"https://github.com/you/archipelago\"",
    read: |v| v.as_str().filter(|s| s.starts_with("https://") && is_plain(s)).map(str::to_owned),
};
const REVISION: FieldType<String> = FieldType {
    expected: "a branch, tag or commit",
    example: "\"main\"",
    read: |v| v.as_str().filter(|s| !s.is_empty() && is_plain(s)).map(str::to_owned),
};
const ROLE: FieldType<Role> = FieldType {
    expected: "\"platform\" or \"workload\"",
    example: "\"workload\"",
    read: |v| match v.as_str()? {
        "platform" => Some(Role::Platform),
        "workload" => Some(Role::Workload),
        _ => None,
    },
};
const NODE_ROLE: FieldType<NodeRole> = FieldType {
    expected: "\"control-plane\" or \"worker\"",
    example: "\"worker\"",
    read: |v| match v.as_str()? {
        "control-plane" => Some(NodeRole::ControlPlane),
        "worker" => Some(NodeRole::Worker),
        _ => None,
    },
};
const LINKS: FieldType<Vec<(String, String)>> = FieldType {
    expected: "a list of pairs of cluster names",
    example: "[[\"mgmt\", \"app1\"]]",
    read: |v| {
        v.as_array()?
            .iter()
            .map(|pair| match pair.get_ref().as_array()?.iter().map(|v| v.get_ref().as_str()).collect::<Vec<_>>()[..] {
                [Some(a), Some(b)] => Some((a.to_owned(), b.to_owned())),
                _ => None,
            })
            .collect()
    },
};

fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/:~".contains(c))
}

/// `http://host:port` or `https://host`, without a path: each registry has its own project below it.
fn is_registry(text: &str) -> bool {
    let host = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    host.is_some_and(|h| !h.is_empty() && h.chars().all(|c| c.is_ascii_alphanumeric() || ".-:".contains(c)))
}

pub(super) fn read(diagnostics: &mut Diagnostics, root: &Table<'_>) -> Draft {
    let known = |keys: &[&'static str]| keys.to_vec();
    let mut section = |name: &'static str, keys: Vec<&'static str>| {
        let found = root.table(diagnostics, name);
        found.map_or_else(
            || Table::absent(&format!("[{name}]"), name, root.has(name)),
            |v| Table::open(diagnostics, v, (format!("[{name}]"), name.to_owned()), &keys),
        )
    };
    let host = section("host", known(&["memory", "usable", "docker", "free_disk"]));
    let vm = section("vm", known(&["image", "parallel_launches", "network"]));
    let versions = section("versions", known(&["kubernetes", "kubeadm", "pause", "cilium", "gateway_api", "tools"]));
    let mesh = section("mesh", known(&["first_node_port", "links"]));
    let docker = section("docker", known(&["services", "harbor"]));
    let registry = section("registry", known(&["mirror"]));
    let gitops = section("gitops", known(&["repository", "revision"]));
    let kubernetes = versions.required(diagnostics, "kubernetes", &VERSION);
    Draft {
        memory: host.required(diagnostics, "memory", &HOST_MEMORY),
        usable: host.required(diagnostics, "usable", &HOST_USABLE),
        docker: host.required(diagnostics, "docker", &HOST_DOCKER),
        free_disk: host.optional(diagnostics, "free_disk", &HOST_DISK).or(Bytes(40 << 30)),
        image: vm.required(diagnostics, "image", &IMAGE),
        parallel_launches: vm.optional(diagnostics, "parallel_launches", &LAUNCHES).or(3),
        network: vm.optional(diagnostics, "network", &RANGE),
        kubeadm: versions.required(diagnostics, "kubeadm", &VERSION),
        pause: versions.required(diagnostics, "pause", &PAUSE),
        cilium: versions.required(diagnostics, "cilium", &CILIUM),
        gateway_api: versions.required(diagnostics, "gateway_api", &GATEWAY_API),
        tools: read_tools(diagnostics, &versions, kubernetes.value.as_ref()),
        kubernetes,
        first_node_port: mesh.optional(diagnostics, "first_node_port", &NUMBER).or(32379),
        links: mesh.optional(diagnostics, "links", &LINKS).or(Vec::new()),
        services: docker.optional(diagnostics, "services", &SWITCH).or(false),
        harbor: docker.optional(diagnostics, "harbor", &SWITCH).or(false),
        mirror: registry.optional(diagnostics, "mirror", &MIRROR),
        repository: gitops.optional(diagnostics, "repository", &REPOSITORY),
        revision: gitops.optional(diagnostics, "revision", &REVISION).or("HEAD".to_owned()),
        clusters: read_clusters(diagnostics, root),
        has_clusters: root.has("cluster"),
    }
}

/// The kubectl that an API server of a version is supported with: one minor to each side of it (version skew policy).
pub(super) fn kubectl_range(kubernetes: &Version) -> String {
    let Version { major, minor, .. } = kubernetes;
    format!(">={major}.{}, <{major}.{}", minor.saturating_sub(1), minor + 2)
}

fn read_tools(
    diagnostics: &mut Diagnostics,
    versions: &Table<'_>,
    kubernetes: Option<&Version>,
) -> Vec<(String, Field<String>)> {
    let names = TOOLS.map(|(name, _)| name);
    let title = "[versions.tools]".to_owned();
    let table = match versions.table(diagnostics, "tools") {
        Some(found) => Table::open(diagnostics, found, (title, "versions.tools".to_owned()), &names),
        None => Table::absent(&title, "versions.tools", versions.has("tools")),
    };
    let read = |(name, example): (&str, &'static str)| {
        let kind = FieldType { example, ..VERSIONS };
        let follows = kubernetes.filter(|_| name == "kubectl").map(kubectl_range);
        let otherwise = follows.unwrap_or_else(|| example.trim_matches('"').to_owned());
        (name.to_owned(), table.optional(diagnostics, name, &kind).or(otherwise))
    };
    TOOLS.map(read).into()
}

fn read_clusters(diagnostics: &mut Diagnostics, root: &Table<'_>) -> Vec<DraftCluster> {
    let found = root.tables(diagnostics, "cluster", "[[cluster]]");
    let keys = ["name", "id", "role", "memory", "pod_cidr", "service_cidr", "node"];
    let (mut clusters, mut nodes) = (Vec::with_capacity(found.len()), 0);
    for (index, value) in found.into_iter().enumerate() {
        let name = Table::peek(value, "name");
        let title = name.map_or_else(|| format!("cluster {}", index + 1), |name| format!("`{name}`"));
        let path = name.map_or_else(|| format!("cluster.{}", index + 1), str::to_owned);
        let table = Table::open(diagnostics, value, (title.clone(), path), &keys);
        clusters.push(DraftCluster {
            line: table.line,
            // Optional here: the rules report their absence with the consequence.
            name: table.optional(diagnostics, "name", &NAME),
            id: table.optional(diagnostics, "id", &ID),
            pod_cidr: table.optional(diagnostics, "pod_cidr", &RANGE),
            service_cidr: table.optional(diagnostics, "service_cidr", &RANGE),
            role: table.required(diagnostics, "role", &ROLE),
            memory: table.required(diagnostics, "memory", &CLUSTER_MEMORY),
            nodes: read_nodes(diagnostics, &table),
            title,
        });
        nodes += clusters.last().map_or(0, |cluster| cluster.nodes.len());
        if nodes > MAX_NODES {
            let why = format!("the maximum is {MAX_NODES}; the rest is not checked");
            diagnostics.add(Problem::new("the clusters have too many nodes for one machine").why(why), table.line);
            break;
        }
    }
    clusters
}

fn read_nodes(diagnostics: &mut Diagnostics, cluster: &Table<'_>) -> Vec<DraftNode> {
    let found = cluster.tables(diagnostics, "node", "[[cluster.node]]");
    let mut nodes = Vec::with_capacity(found.len());
    for (index, value) in found.into_iter().enumerate() {
        let name = Table::peek(value, "name");
        let name = name.map_or_else(|| (index + 1).to_string(), |name| format!("`{name}`"));
        let title = format!("node {name} of {}", cluster.title);
        let path = format!("{}.{}", cluster.path, name.trim_matches('`'));
        let table = Table::open(diagnostics, value, (title.clone(), path), &["name", "role", "cpus", "memory", "disk"]);
        nodes.push(DraftNode {
            title,
            name: table.required(diagnostics, "name", &NODE_NAME),
            role: table.required(diagnostics, "role", &NODE_ROLE),
            cpus: table.optional(diagnostics, "cpus", &NUMBER).or(2),
            memory: table.required(diagnostics, "memory", &SIZE),
            disk: table.optional(diagnostics, "disk", &DISK).or(Bytes(20 << 30)),
        });
    }
    nodes
}

impl Draft {
    /// `None` if a value is missing.
    pub(super) fn into_fleet(self, file: &str, lines: BTreeMap<String, usize>, known: &Compatibility) -> Option<Fleet> {
        let kubernetes = self.kubernetes.value?;
        let minor = format!("{}.{}", kubernetes.major, kubernetes.minor);
        let containerd = known.kubernetes.iter().find(|k| k.minor == minor)?.containerd.to_string();
        Some(Fleet {
            host: Host {
                memory: self.memory.value?,
                usable: self.usable.value?,
                docker: self.docker.value?,
                free_disk: self.free_disk.value?,
            },
            vm: Vm {
                image: self.image.value?,
                parallel_launches: self.parallel_launches.value?,
                network: self.network.value.map(|net| net.trunc()),
            },
            versions: Versions {
                kubernetes,
                kubeadm: self.kubeadm.value?,
                pause: self.pause.value?,
                cilium: self.cilium.value?,
                gateway_api: self.gateway_api.value?,
                containerd,
                faults: known.faults.clone(),
                tools: self.tools.into_iter().map(|(name, range)| Some((name, range.value?))).collect::<Option<_>>()?,
            },
            mesh: Mesh { first_node_port: self.first_node_port.value?.try_into().ok()?, links: self.links.value? },
            docker: Docker { services: self.services.value?, harbor: self.harbor.value? },
            registry: Registry { mirror: self.mirror.value },
            gitops: Gitops { repository: self.repository.value, revision: self.revision.value? },
            clusters: self.clusters.into_iter().map(DraftCluster::into_cluster).collect::<Option<_>>()?,
            file: file.to_owned(),
            lines,
        })
    }
}

impl DraftCluster {
    fn into_cluster(self) -> Option<Cluster> {
        let mut nodes: Vec<Node> = self.nodes.into_iter().map(DraftNode::into_node).collect::<Option<_>>()?;
        nodes.sort_by_key(|node| node.role == NodeRole::Worker);
        Some(Cluster {
            name: self.name.value?,
            id: self.id.value?.try_into().ok()?,
            role: self.role.value?,
            memory: self.memory.value?,
            pod_cidr: self.pod_cidr.value?,
            service_cidr: self.service_cidr.value?,
            nodes,
        })
    }
}

impl DraftNode {
    fn into_node(self) -> Option<Node> {
        Some(Node {
            name: self.name.value?,
            role: self.role.value?,
            cpus: self.cpus.value?.try_into().ok()?,
            memory: self.memory.value?,
            disk: self.disk.value?,
        })
    }
}
