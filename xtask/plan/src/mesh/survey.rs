//! Probes of `mesh-connect` before it changes anything, and of `--diagnose`, in the order of causes: a cluster that does
//! not answer is asked nothing more.

use std::collections::BTreeMap;

use super::super::bootstrap::{KUBECONFIG, kube_path};
use super::super::{Expect, Plan, Step, StepKey};
pub use super::traffic::{TRIED_FROM, id, tried};
use super::{MeshScope, SERVER, SYSTEM, address, address_step, traffic};
use machines::{Machine, guest};
use model::fleet::{Cluster, Fleet};
use model::release::Releases;
use render::Files;
use tool::cilium::Cilium;
use tool::kubectl::Kubectl;
use tool::{Command, Limits, Tool};

/// Every question about the clusters of a scope. No step has an act.
pub fn plan(fleet: &Fleet, scope: &MeshScope) -> Plan {
    let mut steps = super::tools(fleet);
    for cluster in fleet.clusters.iter().filter(|c| scope.has(c)) {
        steps.extend(cluster.nodes.iter().map(|node| address(cluster, node)));
        steps.extend(of_cluster(cluster));
    }
    for cluster in fleet.clusters.iter().filter(|c| scope.has(c)) {
        steps.extend(ports(fleet, cluster, scope));
    }
    Plan { name: "mesh-connect", steps, files: Files::new(), pools: BTreeMap::new() }
}

/// The same and what only a diagnosis asks: whether nodes and pods reach those of other clusters.
pub fn whole(fleet: &Fleet, releases: &Releases, scope: &MeshScope) -> Plan {
    let mut plan = plan(fleet, scope);
    plan.steps.extend(traffic::steps(fleet, releases, scope));
    plan
}

/// Name, addresses and pod ranges of every node as its agent published them, one line each.
pub fn ranges(cluster: &Cluster) -> Command {
    let template = "{range .items[*]}{.metadata.name} {.spec.addresses[?(@.type==\"InternalIP\")].ip} \
                    {.spec.ipam.podCIDRs[*]}{\"\\n\"}{end}";
    Kubectl::on(&kube_path(cluster)).read(SYSTEM, &["ciliumnodes.cilium.io"], template)
}

fn of_cluster(cluster: &Cluster) -> Vec<Step> {
    let kubectl = Kubectl::on(&kube_path(cluster));
    let cilium = Cilium::with(&format!("out/{KUBECONFIG}"));
    let name = &cluster.name;
    let read = |what: &[&str], template: &str| kubectl.read(SYSTEM, what, template);
    let aliases = r#"{range .spec.template.spec.hostAliases[*]}{.ip} {.hostnames[*]}{"\n"}{end}"#;
    let host = "{.spec.template.spec.containers[?(@.name==\"cilium-agent\")]\
                .env[?(@.name==\"KUBERNETES_SERVICE_HOST\")].value}";
    let asks = [
        ("nodes", "read the nodes of", kubectl.nodes()),
        ("release", "read the Cilium release of", kubectl.revisions()),
        ("config", "read the Cilium configuration of", read(&["configmap", "cilium-config"], "{.data}")),
        ("authority", "read the mesh authority of", read(&["secret", "cilium-ca"], r"{.data.ca\.crt}")),
        ("ranges", "read the pod ranges of", ranges(cluster)),
        ("agents", "ask the agents of", cilium.status(name)),
        ("certificates", "read the mesh certificates of", kubectl.certificates(SYSTEM)),
        ("service", "read the mesh port of", read(&["service", "clustermesh-apiserver"], "{.spec.ports[*].nodePort}")),
        ("host", "read where agents look for the API server of", read(&["daemonset", "cilium"], host)),
        ("peers", "read the peers of", read(&SERVER.split('/').collect::<Vec<_>>(), aliases)),
        ("links", "ask about the links of", cilium.mesh_status(name)),
    ];
    let question = |what: &str, title: &str, ask: Command| {
        Step::new(id(cluster, what), format!("{title} {name}"), ask, Expect::Exit(0))
            .limits(Limits::QUICK.attempts(1, 2))
    };
    let api = question("api", "look for the API server of", kubectl.ready()).needs(["host/kubectl"]);
    let clock = |node| {
        let id = StepKey::node(cluster, node, "clock");
        let ask = guest::state(&Machine::of(cluster, node), &cluster.api_name());
        Step { id, needs: vec![address_step(cluster, node)], ..question("", "read a clock of", ask) }
    };
    let clocks = cluster.nodes.iter().map(clock);
    let rest = asks.into_iter().map(|(what, title, ask)| {
        let tool = (ask.tool == Tool::Cilium).then_some("host/cilium");
        question(what, title, ask).needs([id(cluster, "api")]).needs(tool)
    });
    [api].into_iter().chain(clocks).chain(rest).collect()
}

/// Tries the port of a cluster's mesh server from the nodes of its peers: that is the way the mesh itself takes.
fn ports(fleet: &Fleet, cluster: &Cluster, scope: &MeshScope) -> Vec<Step> {
    let node = cluster.control_plane();
    let to = Machine::of(cluster, node).peer_address();
    let port = fleet.mesh_port(cluster);
    let from = tried(fleet, cluster, scope).into_iter();
    let try_from = |peer: &Cluster| {
        let vm = Machine::of(peer, peer.control_plane());
        let title = format!("try port {port} of {} from {vm}", cluster.name);
        let ask = guest::connects(&vm, &to, port);
        Step::new(port_id(cluster, peer), title, ask, Expect::Exit(0))
            .needs([address_step(cluster, node), address_step(peer, peer.control_plane())])
            .needs([id(cluster, "api"), id(peer, "api")])
            .limits(Limits::QUICK.attempts(1, 2))
    };
    from.map(try_from).collect()
}

/// The question whether a cluster's port answers a peer.
pub fn port_id(cluster: &Cluster, peer: &Cluster) -> StepKey {
    id(cluster, &format!("port-from-{}", peer.name))
}
