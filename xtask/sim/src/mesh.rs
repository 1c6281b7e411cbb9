//! The cluster mesh: peers, links, reachability of pods, and conditions that break them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::cluster::{Member, Ready};
use crate::conditions::{Breach, Condition};
use crate::prelude::*;
use ipnet::Ipv4Net;

pub const SAMPLE: &str = "sample/deployment/sample";
/// From a ready mesh server to a connected KVStoreMesh (assumption).
const LINK: Duration = Duration::from_secs(15);
/// From there to connected agents: the kubelet refreshes mounted files (documentation: up to 77 s in its sample).
const AGENTS: Duration = Duration::from_secs(45);
/// Errors of an agent and of KVStoreMesh that are not connected (sources of cilium-cli 0.19.7).
const NOT_FOUND: &str = "remote cluster configuration required but not found";
const SYNCHRONISING: &str = "synchronization in progress for endpoints, identities, nodes, services";
const WAITING: &str = "Waiting for initial connection to be established";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub cache: Result<(), &'static str>,
    pub agents: Result<(), &'static str>,
}

impl SimState {
    pub fn inject(&mut self, cluster: &str, condition: Condition) {
        self.conditions.entry(cluster.to_owned()).or_default().push(condition);
    }

    /// As if Helm was killed during an upgrade.
    pub fn leave_pending_upgrade(&mut self, cluster: &str, release: &str) {
        let Some(vm) = self.control_plane(cluster) else { return };
        let Some(cluster) = self.cluster_mut(&vm) else { return };
        if let Some(last) = cluster.release(release).cloned() {
            let number = last.number + 1;
            cluster.releases.push(crate::cluster::Revision { number, status: "pending-upgrade".into(), ..last });
        }
    }

    pub fn power_off_vm(&mut self, vm: &str) {
        self.power_off(vm, Duration::ZERO);
    }

    /// A worker's address changed and the node was readdressed; its peers still have the old one.
    pub fn change_worker_address(&mut self, vm: &str) {
        let ip = self.next_address();
        if let Some(machine) = self.vms.get_mut(vm) {
            machine.ip = ip;
            machine.guest.node_ip = Some(ip);
        }
        for name in self.vms.keys().cloned().collect::<Vec<_>>() {
            let Some(cluster) = self.cluster_mut(&name) else { continue };
            cluster.nodes.values_mut().filter(|member| member.vm == vm).for_each(|member| member.ip = ip);
        }
    }

    /// The address of a running VM changes (its lease was not renewed). Nothing inside has reacted: kubelet, control
    /// plane and, until it restarts, the agent use the old one.
    pub fn change_lease(&mut self, vm: &str) {
        let ip = self.next_address();
        let Some(machine) = self.vms.get_mut(vm) else { return };
        let old = std::mem::replace(&mut machine.ip, ip);
        let agents = self.vms.keys().filter_map(|cp| self.cluster(cp)).find_map(|cluster| {
            let node = cluster.nodes.iter().find(|(_, member)| member.vm == vm)?.0.clone();
            Some((cluster.name.clone(), node, cluster.workloads.get(CILIUM_AGENT)?.since))
        });
        if let Some((cluster, node, since)) = agents {
            self.inject(&cluster, Condition::StaleAgentAddress { node, ip: old, since });
        }
    }

    /// The old address that the agent of a node still uses.
    pub(super) fn stale_agent_ip(&self, cluster: &Cluster, node: &str) -> Option<Ipv4Addr> {
        let started = cluster.workloads.get(CILIUM_AGENT)?.since;
        self.conditions(&cluster.name).find_map(|condition| match condition {
            Condition::StaleAgentAddress { node: of, ip, since } if of == node && *since == started => Some(*ip),
            _ => None,
        })
    }

    fn has_stale_agent(&self, cluster: &Cluster) -> bool {
        cluster.nodes.keys().any(|node| self.stale_agent_ip(cluster, node).is_some())
    }

    pub(super) fn pod_ip(&self, cluster: &Cluster, workload: &Workload, number: usize) -> Option<Ipv4Addr> {
        let range = (*self.pod_ranges(cluster).get(workload.placed.get(number)?)?)?;
        let place = cluster.workloads.keys().position(|key| *key == workload.key())? * 4 + 2 + number;
        (!workload.needs.host_network).then(|| Ipv4Addr::from(u32::from(range.network()) + place as u32))
    }

    pub fn conditions(&self, cluster: &str) -> impl Iterator<Item = &Condition> {
        self.conditions.get(cluster).into_iter().flatten()
    }

    pub(super) fn control_plane(&self, name: &str) -> Option<String> {
        self.vms.keys().find(|vm| self.cluster(vm).is_some_and(|c| c.name == name)).cloned()
    }

    /// In seconds.
    pub(super) fn clock_ahead(&self, vm: &str) -> u64 {
        let of = |name: &String| {
            let cluster = self.control_plane(name).and_then(|cp| self.cluster(&cp));
            cluster.is_some_and(|c| c.nodes.values().any(|member| member.vm == vm))
        };
        let ahead =
            |condition: &Condition| if let Condition::ClockAhead(seconds) = condition { Some(*seconds) } else { None };
        self.conditions.iter().filter(|(name, _)| of(name)).flat_map(|(_, all)| all).find_map(ahead).unwrap_or(0)
    }

    /// None if the peer is not configured.
    pub(super) fn link(&self, cluster: &Cluster, peer: &str, now: Duration) -> Option<Link> {
        let entry = peers(cluster)?.get(peer)?.clone();
        let up = self.linked_since(cluster, peer, &entry, now).filter(|since| since.saturating_add(LINK) <= now);
        let cache = up.map(drop).ok_or(WAITING);
        let agents = up.filter(|since| since.saturating_add(LINK + AGENTS) <= now).map(drop).ok_or(NOT_FOUND);
        let copying = self.conditions(&cluster.name).any(|m| *m == Condition::Unsynced);
        let agents = if copying { agents.and(Err(SYNCHRONISING)) } else { agents };
        Some(Link { cache, agents })
    }

    /// From when both servers run and can reach each other.
    fn linked_since(&self, cluster: &Cluster, peer: &str, entry: &Value, now: Duration) -> Option<Duration> {
        let vm = self.control_plane(peer)?;
        let other = self.cluster(&vm)?;
        let reached = other.nodes.iter().any(|(name, member)| {
            let listed =
                entry["ips"].as_array().is_some_and(|ips| ips.iter().any(|ip| *ip == json!(member.ip.to_string())));
            let runs = self.vms.get(&member.vm).is_some_and(|vm| vm.power == crate::vms::Power::Running);
            listed && runs && self.vms[&member.vm].ip == member.ip && self.stale_agent_ip(other, name).is_none()
        });
        let known = self::peers(other)?.contains_key(&cluster.name);
        let port = entry["port"].as_u64() == Some(u64::from(self.mesh_port(other)));
        let ids = [self.cluster_id(cluster), self.cluster_id(other)];
        let trusted = self.mesh_ca(cluster) == self.mesh_ca(other);
        let expired = |c: &Cluster| crate::guest::days_left(certified_at(c), self.clock(now)) == Some(0);
        let uncertified = |c: &Cluster| self.conditions(&c.name).any(|m| *m == Condition::NoCertificates) || expired(c);
        let deaf = self
            .conditions(&cluster.name)
            .any(|m| matches!(m, Condition::Disconnected) || *m == Condition::DisconnectedFrom(peer.to_owned()));
        let silent = deaf || uncertified(cluster) || uncertified(other);
        let fits = reached && known && port && trusted && !silent && !ids.contains(&0) && ids[0] != ids[1];
        let server = |c: &Cluster| c.workloads.get(SERVER).map(|w| (w.since, w.clone()));
        let (mine, theirs) = (server(cluster)?, server(other)?);
        let ready = |c: &Cluster, w: &Workload| self.has_server(c, w);
        (fits && ready(cluster, &mine.1) && ready(other, &theirs.1)).then(|| mine.0.max(theirs.0) + IMAGES)
    }

    fn has_server(&self, cluster: &Cluster, server: &Workload) -> bool {
        let gone = self.conditions(&cluster.name).any(|m| *m == Condition::NoMeshServer);
        server.admitted && !server.placed.is_empty() && !cluster.nodes.is_empty() && !gone
    }

    /// Whether pods reach pods of another cluster: connected on both sides, and packets arrive.
    pub(super) fn pods_reach(&self, cluster: &Cluster, peer: &str, now: Duration) -> bool {
        let Some(other) = self.control_plane(peer).and_then(|vm| self.cluster(&vm)) else { return false };
        let up = |a: &Cluster, b: &str| self.link(a, b, now).is_some_and(|l| l.cache.is_ok() && l.agents.is_ok());
        let lost = |m: &Condition| [Condition::PacketsLost, Condition::ClosedPort(TUNNEL)].contains(m);
        let lossy = |c: &Cluster| self.conditions(&c.name).any(lost) || self.has_stale_agent(c);
        let ranges = |c: &Cluster| self.pod_ranges(c).into_values().flatten().collect::<Vec<_>>();
        let apart = ranges(cluster).iter().all(|a| ranges(other).iter().all(|b| !a.contains(b) && !b.contains(a)));
        let api = self.control_plane(peer).is_some_and(|vm| self.api_up(&vm, now));
        up(cluster, peer)
            && up(other, &cluster.name)
            && self.tunnel(cluster) == self.tunnel(other)
            && apart
            && api
            && !lossy(cluster)
            && !lossy(other)
            && has_services(cluster)
            && has_services(other)
    }

    pub(super) fn large_packets_reach(&self, cluster: &Cluster, peer: &str, now: Duration) -> bool {
        let small = |name: &str| self.conditions(name).any(|m| *m == Condition::FullSizePacketsLost);
        self.pods_reach(cluster, peer, now) && !small(&cluster.name) && !small(peer)
    }

    /// Whether nodes of a cluster accept packets on a port.
    pub(super) fn port_open(&self, cluster: &str, port: u16) -> bool {
        self.conditions(cluster).all(|m| *m != Condition::ClosedPort(port))
    }

    /// The pod range of each node, as its agent published it.
    pub(super) fn pod_ranges(&self, cluster: &Cluster) -> BTreeMap<String, Option<Ipv4Net>> {
        let moved = self
            .conditions(&cluster.name)
            .find_map(|m| if let Condition::PodRanges(net) = m { Some(*net) } else { None });
        let mut subnets = moved.and_then(|net| net.subnets(24).ok()).into_iter().flatten();
        let range = |member: &crate::cluster::Member, other: Option<Ipv4Net>| other.or(member.pod_cidr);
        cluster.nodes.iter().map(|(name, member)| (name.clone(), range(member, subnets.next()))).collect()
    }

    pub(super) fn tunnel(&self, cluster: &Cluster) -> String {
        let other = self
            .conditions(&cluster.name)
            .find_map(|m| if let Condition::Tunnel(t) = m { Some(t.clone()) } else { None });
        let configured = cluster.release("cilium").map(|r| text(&r.values, "/tunnelProtocol").to_owned());
        let rerouted = self.breach_active(cluster, Breach::TunnelChanged).then(|| "geneve".to_owned());
        rerouted.or(other).or(configured).filter(|t| !t.is_empty()).unwrap_or_else(|| "vxlan".into())
    }

    pub(super) fn cluster_id(&self, cluster: &Cluster) -> u64 {
        let other = self
            .conditions(&cluster.name)
            .find_map(|m| if let Condition::ClusterId(id) = m { Some(*id) } else { None });
        let configured = cluster.release("cilium").and_then(|r| r.values["cluster"]["id"].as_u64());
        other.map(u64::from).or(configured).unwrap_or(0)
    }

    pub(super) fn mesh_port(&self, cluster: &Cluster) -> u16 {
        let other = self
            .conditions(&cluster.name)
            .find_map(|m| if let Condition::MeshPort(port) = m { Some(*port) } else { None });
        let configured = cluster
            .release("cilium")
            .and_then(|r| r.values["clustermesh"]["apiserver"]["service"]["nodePort"].as_u64());
        other.unwrap_or_else(|| configured.and_then(|port| port.try_into().ok()).unwrap_or(32379))
    }

    /// The CA in the Secret `cilium-ca`, base64.
    pub(super) fn mesh_ca(&self, cluster: &Cluster) -> String {
        let configured = cluster.release("cilium").map_or("", |r| text(&r.values, "/tls/ca/cert"));
        match self.conditions(&cluster.name).any(|m| *m == Condition::OtherAuthority) {
            true => crate::pki::base64(crate::pki::authority(&format!("{}'s own", cluster.name)).as_bytes()),
            false => configured.to_owned(),
        }
    }

    /// Any node forwards the NodePort of the mesh server.
    pub(super) fn mesh_listens(&self, ip: std::net::Ipv4Addr, port: u16, now: Duration) -> bool {
        let clusters = self.vms.keys().filter_map(|vm| self.cluster(vm));
        let at =
            |c: &Cluster, (name, member): (&String, &Member)| member.ip == ip && self.stale_agent_ip(c, name).is_none();
        let mut here = clusters.filter(|c| c.nodes.iter().any(|node| at(c, node)));
        here.any(|c| {
            let server = c.workloads.get(SERVER);
            let runs = server.is_some_and(|w| self.runs_on(c, w, now).is_some());
            self.mesh_port(c) == port && runs && self.conditions(&c.name).all(|m| *m != Condition::NoMeshServer)
        })
    }

    pub fn age_mesh_certificates(&mut self, cluster: &str, days: u64) {
        if let Some(cluster) = self.control_plane(cluster).and_then(|vm| self.cluster_mut(&vm)) {
            age_certificates(cluster, days);
        }
    }

    /// The Job that issues certificates ends once it has a node.
    pub(super) fn reconcile_mesh_certificates(&mut self, vm: &str, now: Duration) {
        let Some(cluster) = self.cluster(vm).filter(|cluster| awaits_certificates(cluster)) else { return };
        let ended = cluster.workloads.get(SERVER).is_some_and(|w| self.runs_on(cluster, w, now).is_some());
        let clock = self.clock_of(vm, now);
        if let Some(cluster) = self.cluster_mut(vm).filter(|_| ended) {
            cluster.ensure_object(CERTIFIED.to_owned(), json!(clock));
        }
    }

    /// Names of agents with their tunnel protocol; None for one that does not answer.
    pub(super) fn agents(&self, cluster: &Cluster, now: Duration) -> Vec<(String, Option<String>)> {
        if self.conditions(&cluster.name).any(|m| *m == Condition::NoAgents) {
            return vec![];
        }
        let up = |node: &String| self.node_ready(cluster, node, now) == Ready::Yes;
        let agent =
            |(index, node): (usize, &String)| (format!("cilium-{index}"), up(node).then(|| self.tunnel(cluster)));
        cluster.nodes.keys().enumerate().map(agent).collect()
    }
}

/// A marker among the objects, with a clock: the Job that issues certificates has ended.
pub const CERTIFIED: &str = "certified/kube-system/mesh";
/// The CronJob, and the begin of the name of its Jobs.
pub const CERTIFICATES: &str = "clustermesh-apiserver-generate-certs";
/// Ports of the tunnel and of cilium-health (documentation: system requirements).
pub const TUNNEL: u16 = 8472;
pub const HEALTH: u16 = 4240;
pub const CILIUM_AGENT: &str = "kube-system/daemonset/cilium";
pub const SERVER: &str = "kube-system/deployment/clustermesh-apiserver";
const IMAGES: Duration = Duration::from_secs(10);

/// Whether anything serves the addresses of Services: kubeadm is told to install no kube-proxy, so Cilium must.
pub fn has_services(cluster: &Cluster) -> bool {
    let replaced =
        |values: &Value| text(values, "/kubeProxyReplacement") != "false" && values["kubeProxyReplacement"] != false;
    cluster.release("cilium").is_none_or(|release| replaced(&release.values))
}

/// The clock when the mesh's certificates were issued, 0 if never; for a year, as kubeadm's (upstream:
/// `certValidityDuration: 365` in the chart's values).
pub fn certified_at(cluster: &Cluster) -> u64 {
    cluster.object(CERTIFIED).and_then(Value::as_u64).unwrap_or(0)
}

pub fn age_certificates(cluster: &mut Cluster, days: u64) {
    if let Some(clock) = cluster.object_mut(CERTIFIED) {
        *clock = json!(clock.as_u64().unwrap_or(0).saturating_sub(days * 86_400));
    }
}

pub fn awaits_certificates(cluster: &Cluster) -> bool {
    cluster.workloads.contains_key(SERVER) && !cluster.objects.contains_key(CERTIFIED)
}

pub fn peers(cluster: &Cluster) -> Option<&serde_json::Map<String, Value>> {
    cluster.release("cilium")?.values["clustermesh"]["config"]["clusters"].as_object()
}

/// The pods of the mesh server have host aliases of their peers; a change recreates them.
pub fn server_template(values: &Value) -> Value {
    let clusters = values["clustermesh"]["config"]["clusters"].as_object();
    let mut aliases = Vec::new();
    for (name, peer) in clusters.into_iter().flatten() {
        for ip in peer["ips"].as_array().into_iter().flatten() {
            aliases.push(json!({ "ip": ip, "hostnames": [format!("{name}.mesh.cilium.io")] }));
        }
    }
    if aliases.is_empty() { Value::Null } else { json!({ "spec": { "hostAliases": aliases } }) }
}

/// The agents' API server address, and a checksum of their configuration if it is to roll them: a change recreates their
/// pods (upstream: the chart's agent DaemonSet). Peers are in a Secret that agents read again.
pub fn agent_template(values: &Value) -> Value {
    let host = text(values, "/k8sServiceHost");
    let env = json!([{ "name": "KUBERNETES_SERVICE_HOST", "value": host }]);
    let mut template = json!({ "spec": { "containers": [{ "name": "cilium-agent", "env": env }] } });
    if values["rollOutCiliumPods"] == json!(true) {
        let mut configuration = values.clone();
        configuration["clustermesh"]["config"] = Value::Null;
        let checksum = pki::sha256(configuration.to_string().as_bytes());
        template["metadata"]["annotations"] = json!({ "cilium.io/cilium-configmap-checksum": checksum });
    }
    template
}

/// Of releases that serve other clusters: the Service, and where values set its annotations (charts of Thanos, Loki, Vault).
const GLOBAL: [(&str, &str, &str); 3] = [
    ("thanos", "service/monitoring/thanos-receive", "/receive/service/annotations"),
    ("loki", "service/monitoring/loki", "/singleBinary/service/annotations"),
    ("vault", "service/vault/vault", "/server/service/annotations"),
];

/// Whether an annotation is on, by its name or its older one (upstream: `pkg/annotation`). The first that is there counts.
fn is_on(annotations: &Value, name: &str, older: &str) -> Option<bool> {
    let value = ["service.cilium.io/".to_owned() + name, "io.cilium/".to_owned() + older];
    let value = value.iter().find_map(|key| annotations.get(key))?;
    Some(value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true")))
}

/// Whether backends of other clusters answer a Service.
fn is_global(annotations: &Value) -> bool {
    is_on(annotations, "global", "global-service") == Some(true)
}

/// Whether its backends answer other clusters: those of a global one do, unless it says otherwise.
fn is_shared(annotations: &Value) -> bool {
    is_global(annotations) && is_on(annotations, "shared", "shared-service") != Some(false)
}

/// Whether requests to a Service of this cluster end at backends of the other too; there values may set its annotations.
pub fn pairs(cluster: &Cluster, other: &Cluster, service: &str, theirs: Option<&Value>) -> bool {
    let of = |cluster: &Cluster| cluster.object(service).map(|o| o["metadata"]["annotations"].clone());
    is_global(&of(cluster).unwrap_or_default()) && is_shared(&theirs.cloned().or_else(|| of(other)).unwrap_or_default())
}

/// A peer that runs this release, offers it to others, and is reachable.
pub fn platform_with<'a>(sim: &'a SimState, cluster: &Cluster, release: &str, now: Duration) -> Option<&'a Cluster> {
    let (_, service, annotations) = GLOBAL.iter().find(|(name, ..)| *name == release)?;
    let peers = peers(cluster)?.keys();
    let there = peers.filter_map(|peer| sim.cluster(&sim.control_plane(peer)?));
    there.into_iter().find(|other| {
        let runs = other.workloads.values().any(|w| w.release == release && sim.runs_on(other, w, now).is_some());
        let theirs = other.release(release).and_then(|r| r.values.pointer(annotations));
        runs && pairs(cluster, other, service, theirs) && sim.pods_reach(cluster, &other.name, now)
    })
}
