//! The fleet as it was written: each value that could be read with its line, valid or not.
//! Knows nothing of the rules; those judge a draft, and only a draft without problems becomes a [`Fleet`].

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use semver::{Version, VersionReq};

use super::document::{Field, Kind, Notes, Table};
use super::{Bytes, Cluster, Docker, Fleet, Host, Mesh, Node, NodeRole, Registry, Role, Versions, Vm};
use crate::problem::Problem;

/// The whole input, as written.
pub(super) struct Draft {
    pub(super) memory: Field<Bytes>,
    pub(super) usable: Field<Bytes>,
    pub(super) docker: Field<Bytes>,
    pub(super) free_disk: Field<Bytes>,
    pub(super) image: Field<String>,
    pub(super) launch_lanes: Field<usize>,
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
    pub(super) clusters: Vec<DraftCluster>,
    /// Whether `[[cluster]]` tables were meant at all: a misspelt one is noted already.
    pub(super) has_clusters: bool,
}

/// One `[[cluster]]`, as written.
pub(super) struct DraftCluster {
    /// As messages call it: "`app1`", or "cluster 3" while it has no name.
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

/// One `[[cluster.node]]`, as written.
pub(super) struct DraftNode {
    /// As messages call it: "node `cp` of `app1`".
    pub(super) title: String,
    pub(super) name: Field<String>,
    pub(super) role: Field<NodeRole>,
    pub(super) cpus: Field<i64>,
    pub(super) memory: Field<Bytes>,
    pub(super) disk: Field<Bytes>,
}

/// Nodes of all clusters that are looked at: four for each of as many clusters as there can be.
const NODES: usize = 1020;

/// The tools whose versions are pinned: those that a run starts on this machine.
const TOOLS: [(&str, &str); 4] = [
    ("multipass", "\">=1.16.2\""),
    ("helm", "\">=3.14, <5\""),
    ("kubectl", "\">=1.34, <1.37\""),
    ("cilium", "\">=0.19\""),
];

const TEXT: Kind<String> = Kind { want: "a text", example: "\"…\"", read: |v| v.as_str().map(str::to_owned) };
const NAME: Kind<String> = Kind { example: "\"app1\"", ..TEXT };
const NODE_NAME: Kind<String> = Kind { example: "\"cp\"", ..TEXT };
const IMAGE: Kind<String> = Kind { example: "\"24.04\"", ..TEXT };
const PAUSE: Kind<String> = Kind { example: "\"3.10.1\"", ..TEXT };
const NUMBER: Kind<i64> = Kind {
    want: "a whole number",
    example: "2",
    read: |v| v.as_integer().and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok()),
};
const ID: Kind<i64> = Kind { example: "", ..NUMBER };
const LANES: Kind<usize> = Kind {
    want: "a number from 1 to 16",
    example: "3",
    read: |v| (NUMBER.read)(v).and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=16).contains(n)),
};
const SIZE: Kind<Bytes> =
    Kind { want: "a size in K, M or G", example: "\"4G\"", read: |v| v.as_str().and_then(Bytes::parse) };
const HOST_MEMORY: Kind<Bytes> = Kind { example: "\"64G\"", ..SIZE };
const HOST_USABLE: Kind<Bytes> = Kind { example: "\"56G\"", ..SIZE };
const HOST_DOCKER: Kind<Bytes> = Kind { example: "\"6G\"", ..SIZE };
const HOST_DISK: Kind<Bytes> = Kind { example: "\"40G\"", ..SIZE };
const CLUSTER_MEMORY: Kind<Bytes> = Kind { example: "\"7G\"", ..SIZE };
const DISK: Kind<Bytes> = Kind { example: "\"20G\"", ..SIZE };
const RANGE: Kind<Ipv4Net> =
    Kind { want: "an IPv4 range with its mask", example: "", read: |v| v.as_str().and_then(|s| s.parse().ok()) };
const VERSION: Kind<Version> =
    Kind { want: "a full version", example: "\"1.35.7\"", read: |v| v.as_str().and_then(|s| Version::parse(s).ok()) };
const CILIUM: Kind<Version> = Kind { example: "\"1.20.0\"", ..VERSION };
const GATEWAY_API: Kind<Version> = Kind { example: "\"1.6.1\"", ..VERSION };
const VERSIONS: Kind<String> = Kind {
    want: "a range of versions",
    example: "\">=1.16.2\"",
    read: |v| v.as_str().filter(|s| VersionReq::parse(s).is_ok()).map(str::to_owned),
};
const SWITCH: Kind<bool> = Kind { want: "true or false", example: "true", read: |v| v.as_bool() };
const MIRROR: Kind<String> = Kind {
    want: "the address of a registry",
    example: "\"http://harbor.archipelago.test:8082\"",
    read: |v| v.as_str().filter(|s| is_registry(s)).map(str::to_owned),
};
const ROLE: Kind<Role> = Kind {
    want: "\"platform\" or \"workload\"",
    example: "\"workload\"",
    read: |v| match v.as_str()? {
        "platform" => Some(Role::Platform),
        "workload" => Some(Role::Workload),
        _ => None,
    },
};
const NODE_ROLE: Kind<NodeRole> = Kind {
    want: "\"control-plane\" or \"worker\"",
    example: "\"worker\"",
    read: |v| match v.as_str()? {
        "control-plane" => Some(NodeRole::ControlPlane),
        "worker" => Some(NodeRole::Worker),
        _ => None,
    },
};
const LINKS: Kind<Vec<(String, String)>> = Kind {
    want: "a list of pairs of cluster names",
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

/// `http://host:port` or `https://host`, without a path: each registry has its own below it.
fn is_registry(text: &str) -> bool {
    let host = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    host.is_some_and(|h| !h.is_empty() && h.chars().all(|c| c.is_ascii_alphanumeric() || ".-:".contains(c)))
}

/// Reads the tables of the file.
pub(super) fn read(notes: &mut Notes, root: &Table<'_>) -> Draft {
    let known = |keys: &[&'static str]| keys.to_vec();
    let mut section = |name: &'static str, keys: Vec<&'static str>| {
        let found = root.table(notes, name);
        found.map_or_else(
            || Table::absent(&format!("[{name}]"), name, root.has(name)),
            |v| Table::open(notes, v, (format!("[{name}]"), name.to_owned()), &keys),
        )
    };
    let host = section("host", known(&["memory", "usable", "docker", "free_disk"]));
    let vm = section("vm", known(&["image", "launch_lanes", "network"]));
    let versions = section("versions", known(&["kubernetes", "kubeadm", "pause", "cilium", "gateway_api", "tools"]));
    let mesh = section("mesh", known(&["first_node_port", "links"]));
    let docker = section("docker", known(&["services", "harbor"]));
    let registry = section("registry", known(&["mirror"]));
    Draft {
        memory: host.must(notes, "memory", &HOST_MEMORY),
        usable: host.must(notes, "usable", &HOST_USABLE),
        docker: host.must(notes, "docker", &HOST_DOCKER),
        free_disk: host.may(notes, "free_disk", &HOST_DISK).or(Bytes(40 << 30)),
        image: vm.must(notes, "image", &IMAGE),
        launch_lanes: vm.may(notes, "launch_lanes", &LANES).or(3),
        network: vm.may(notes, "network", &RANGE),
        kubernetes: versions.must(notes, "kubernetes", &VERSION),
        kubeadm: versions.must(notes, "kubeadm", &VERSION),
        pause: versions.must(notes, "pause", &PAUSE),
        cilium: versions.must(notes, "cilium", &CILIUM),
        gateway_api: versions.must(notes, "gateway_api", &GATEWAY_API),
        tools: read_tools(notes, &versions),
        first_node_port: mesh.may(notes, "first_node_port", &NUMBER).or(32379),
        links: mesh.may(notes, "links", &LINKS).or(Vec::new()),
        services: docker.may(notes, "services", &SWITCH).or(false),
        harbor: docker.may(notes, "harbor", &SWITCH).or(false),
        mirror: registry.may(notes, "mirror", &MIRROR),
        clusters: read_clusters(notes, root),
        has_clusters: root.has("cluster"),
    }
}

fn read_tools(notes: &mut Notes, versions: &Table<'_>) -> Vec<(String, Field<String>)> {
    let names = TOOLS.map(|(name, _)| name);
    let title = "[versions.tools]".to_owned();
    let table = match versions.table(notes, "tools") {
        Some(found) => Table::open(notes, found, (title, "versions.tools".to_owned()), &names),
        None => Table::absent(&title, "versions.tools", versions.has("tools")),
    };
    let read = |(name, example): (&str, &'static str)| {
        let kind = Kind { example, ..VERSIONS };
        (name.to_owned(), table.may(notes, name, &kind).or(example.trim_matches('"').to_owned()))
    };
    TOOLS.map(read).into()
}

fn read_clusters(notes: &mut Notes, root: &Table<'_>) -> Vec<DraftCluster> {
    let found = root.tables(notes, "cluster", "[[cluster]]");
    let keys = ["name", "id", "role", "memory", "pod_cidr", "service_cidr", "node"];
    let (mut clusters, mut nodes) = (Vec::with_capacity(found.len()), 0);
    for (index, value) in found.into_iter().enumerate() {
        let name = Table::peek(value, "name");
        let title = name.map_or_else(|| format!("cluster {}", index + 1), |name| format!("`{name}`"));
        let path = name.map_or_else(|| format!("cluster.{}", index + 1), str::to_owned);
        let table = Table::open(notes, value, (title.clone(), path), &keys);
        clusters.push(DraftCluster {
            line: table.line,
            // These four are not reported here: what a tool would do without them is worth a reason of its own.
            name: table.may(notes, "name", &NAME),
            id: table.may(notes, "id", &ID),
            pod_cidr: table.may(notes, "pod_cidr", &RANGE),
            service_cidr: table.may(notes, "service_cidr", &RANGE),
            role: table.must(notes, "role", &ROLE),
            memory: table.must(notes, "memory", &CLUSTER_MEMORY),
            nodes: read_nodes(notes, &table),
            title,
        });
        nodes += clusters.last().map_or(0, |cluster| cluster.nodes.len());
        if nodes > NODES {
            let why = format!("the most is {NODES}, and what follows is not looked at");
            notes.add(Problem::new("the clusters have too many nodes for one machine").why(why), table.line);
            break;
        }
    }
    clusters
}

fn read_nodes(notes: &mut Notes, cluster: &Table<'_>) -> Vec<DraftNode> {
    let found = cluster.tables(notes, "node", "[[cluster.node]]");
    let mut nodes = Vec::with_capacity(found.len());
    for (index, value) in found.into_iter().enumerate() {
        let name = Table::peek(value, "name");
        let name = name.map_or_else(|| (index + 1).to_string(), |name| format!("`{name}`"));
        let title = format!("node {name} of {}", cluster.title);
        let path = format!("{}.{}", cluster.path, name.trim_matches('`'));
        let table = Table::open(notes, value, (title.clone(), path), &["name", "role", "cpus", "memory", "disk"]);
        nodes.push(DraftNode {
            title,
            name: table.must(notes, "name", &NODE_NAME),
            role: table.must(notes, "role", &NODE_ROLE),
            cpus: table.may(notes, "cpus", &NUMBER).or(2),
            memory: table.must(notes, "memory", &SIZE),
            disk: table.may(notes, "disk", &DISK).or(Bytes(20 << 30)),
        });
    }
    nodes
}

impl Draft {
    /// The fleet, once every value is there and every rule holds. `None` if a value is not.
    pub(super) fn into_fleet(self, file: &str, lines: BTreeMap<String, usize>) -> Option<Fleet> {
        Some(Fleet {
            host: Host {
                memory: self.memory.value?,
                usable: self.usable.value?,
                docker: self.docker.value?,
                free_disk: self.free_disk.value?,
            },
            vm: Vm {
                image: self.image.value?,
                launch_lanes: self.launch_lanes.value?,
                network: self.network.value.map(|net| net.trunc()),
            },
            versions: Versions {
                kubernetes: self.kubernetes.value?,
                kubeadm: self.kubeadm.value?,
                pause: self.pause.value?,
                cilium: self.cilium.value?,
                gateway_api: self.gateway_api.value?,
                tools: self.tools.into_iter().map(|(name, range)| Some((name, range.value?))).collect::<Option<_>>()?,
            },
            mesh: Mesh { first_node_port: self.first_node_port.value?.try_into().ok()?, links: self.links.value? },
            docker: Docker { services: self.services.value?, harbor: self.harbor.value? },
            registry: Registry { mirror: self.mirror.value },
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
