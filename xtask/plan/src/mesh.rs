//! `mesh-connect`: writes the peers of every cluster in scope as Helm values, then proves that the mesh carries traffic.
//!
//! Two plans: [`survey::plan`] only asks, and its answers are diagnosed before [`plan`] changes anything.

use std::collections::BTreeMap;

use super::bootstrap::upgrade::{PENDING, Upgrade};
use super::bootstrap::{KUBECONFIG, host, kube_path, releases as installed};
use super::{Expect, Plan, Pool, Step, StepKey};
use machines::Machine;
use model::fleet::{Cluster, Fleet, Node, Role};
use model::release::{Chart, Releases};
use model::token::{digest, fact};
use render::Files;
use render::mesh::{self, Addresses, RELEASE, peers};
use tool::Limits;
use tool::cilium::Cilium;
use tool::helm::{Helm, Release};
use tool::kubectl::Kubectl;

mod proof;
pub mod readdress;
pub mod survey;
mod traffic;

pub use proof::figures;
pub use traffic::{health_id, pod_id};

/// Namespace of everything that Cilium brings.
const SYSTEM: &str = "kube-system";
/// The server that peers ask, and the cache of what peers said beside it.
const SERVER: &str = "deployment/clustermesh-apiserver";

/// Which clusters are worked on, and where the others were last seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MeshScope {
    /// Names of the clusters that answer and are wanted.
    pub clusters: Vec<String>,
    /// Addresses of clusters outside of it that are peers of some inside: they stay peers, and are not waited for.
    pub elsewhere: Addresses,
}

impl MeshScope {
    pub fn all(fleet: &Fleet) -> Self {
        MeshScope { clusters: fleet.clusters.iter().map(|c| c.name.clone()).collect(), elsewhere: Addresses::new() }
    }

    pub fn has(&self, cluster: &Cluster) -> bool {
        self.clusters.contains(&cluster.name)
    }

    pub fn addresses(&self, fleet: &Fleet) -> Addresses {
        let here = fleet.clusters.iter().filter(|c| self.has(c)).map(|c| (c.name.clone(), mesh::addresses(c)));
        self.elsewhere.clone().into_iter().chain(here).collect()
    }
}

/// Pairs of linked clusters in scope, each once.
pub fn pairs<'a>(fleet: &'a Fleet, scope: &MeshScope) -> Vec<(&'a Cluster, &'a Cluster)> {
    let place = |c: &Cluster| fleet.clusters.iter().position(|other| other.name == c.name);
    let of = |c: &'a Cluster| {
        let later = peers(fleet, c).into_iter().filter(move |p| scope.has(p) && place(c) < place(p));
        later.map(move |p| (c, p))
    };
    fleet.clusters.iter().filter(|c| scope.has(c)).flat_map(of).collect()
}

/// The plan that connects. `files` holds the values with peers, as [`mesh::files`] makes them for this scope.
pub fn plan(fleet: &Fleet, releases: &Releases, files: Files, helm: Helm, scope: &MeshScope) -> Plan {
    let mut steps = tools(fleet);
    let here = || fleet.clusters.iter().filter(|c| scope.has(c));
    for cluster in here() {
        steps.extend(cluster.nodes.iter().map(|node| address(cluster, node)));
    }
    for cluster in here() {
        let Some(chart) = releases.on(cluster.role, RELEASE) else { continue };
        let archive = installed::archive_step(&chart.archive());
        let download = installed::downloads(releases).into_iter().filter(|s| s.id == archive);
        if !steps.iter().any(|s| s.id == archive) {
            steps.extend(download);
        }
        steps.push(connected_by_values(fleet, cluster, chart, helm, scope));
        steps.push(agents_know_their_nodes(cluster));
        steps.push(served(cluster));
    }
    let linked = || here().filter(|c| peers(fleet, c).into_iter().any(|p| scope.has(p)));
    steps.extend(linked().map(|cluster| joined(fleet, cluster, scope)));
    steps.extend(linked().map(|cluster| counted(fleet, cluster, scope)));
    steps.extend(proof::steps(fleet, releases, scope));
    Plan { name: "mesh-connect", steps, files, pools: BTreeMap::from([(Pool::Pull, 4)]) }
}

/// One plan and then another, as one to be read.
pub fn whole(survey: Plan, plan: Plan) -> Plan {
    let asked = survey.ids();
    let more = plan.steps.into_iter().filter(|s| !asked.contains(&s.id));
    Plan { steps: survey.steps.into_iter().chain(more).collect(), ..plan }
}

fn tools(fleet: &Fleet) -> Vec<Step> {
    host::machine_tools(fleet, &["helm", "kubectl", "cilium"])
}

fn id(cluster: &Cluster, what: &str) -> StepKey {
    StepKey::cluster(&cluster.name, &format!("mesh/{what}"))
}

fn address_step(cluster: &Cluster, node: &Node) -> StepKey {
    StepKey::node(cluster, node, "address")
}

fn addresses(cluster: &Cluster) -> impl Iterator<Item = StepKey> + '_ {
    cluster.nodes.iter().map(|node| address_step(cluster, node))
}

/// The address of a node, which may change at any boot.
fn address(cluster: &Cluster, node: &Node) -> Step {
    let vm = Machine::of(cluster, node);
    Step::new(address_step(cluster, node), format!("read the address of {vm}"), vm.locate(), vm.is_up())
        .needs([host::driver_key(vm.driver())])
        .poll(60, 3)
        .hint(vm.start().to_string())
}

/// One Helm operation per cluster, peers included; clusters go side by side (ADR-0008).
fn connected_by_values(fleet: &Fleet, cluster: &Cluster, chart: &Chart, helm: Helm, scope: &MeshScope) -> Step {
    let kubeconfig = kube_path(cluster);
    let release = Release { chart, cluster: &cluster.name, kubeconfig: &kubeconfig, helm };
    let archive = installed::archive_path(&chart.archive());
    let base = digest(&format!("{}/{RELEASE}/values.yaml", cluster.name));
    let peers_digest = digest(&mesh::overlay(cluster));
    let upgrade = release.upgrade_meshed(&archive, &mesh::values(cluster), &base, &peers_digest);
    let rollback = release.rollback();
    let labels = format!("{base} ours {peers_digest}");
    let installed_as = Upgrade { release, archive: &archive, values: &mesh::values(cluster), labels };
    let want = installed_as.deployed();
    let ask = Kubectl::on(&kubeconfig).revisions();
    let upgrade = installed_as.numbered(upgrade);
    let back = [rollback].into_iter().chain(upgrade.clone());
    let wanted = peers(fleet, cluster).into_iter().filter(|p| scope.has(p));
    let step = Step::new(id(cluster, "peers"), format!("configure the mesh peers of {}", cluster.name), ask, want)
        .needs(["host/helm", "host/kubectl"])
        .needs([installed::archive_step(&chart.archive())])
        .needs(addresses(cluster).chain(wanted.flat_map(addresses)))
        .remedy("pending upgrade", installed_as.newest(PENDING), back.clone());
    let step = match helm {
        Helm::V3 => step.remedy("cancelled", installed_as.cancelled(r"\S+"), back),
        Helm::V4 => step,
    };
    step.act(upgrade)
        .limits(Limits::QUICK.minutes(10).attempts(3, 10))
        .observed_by_pods(&Kubectl::on(&kubeconfig), SYSTEM)
        .hint(format!("helm history {RELEASE} --namespace {} --kubeconfig {kubeconfig}", chart.namespace))
}

/// An agent keeps the address that its node had when it started; its peers then send to nowhere.
fn agents_know_their_nodes(cluster: &Cluster) -> Step {
    let kubectl = Kubectl::on(&kube_path(cluster));
    let line = |node| {
        let address = fact(&cluster.ip_fact(node));
        Expect::Match(format!(r"^{} (\S+ )*{address}( |$)", cluster.vm(node)))
    };
    let title = format!("compare the node addresses that agents of {} use", cluster.name);
    let want = Expect::All(cluster.nodes.iter().map(line).collect());
    Step::new(id(cluster, "agents"), title, survey::ranges(cluster), want)
        .needs([id(cluster, "peers")])
        .act([kubectl.restart(SYSTEM, "daemonset/cilium")])
        .limits(Limits::QUICK.settle(180).attempts(2, 5))
        .observed_by_pods(&kubectl, SYSTEM)
        .hint("an address that changed under the kubelet needs its node set up again: cargo xtask bootstrap")
}

fn served(cluster: &Cluster) -> Step {
    let ask = Kubectl::on(&kube_path(cluster)).rolled_out(SYSTEM, SERVER);
    Step::new(id(cluster, "server"), format!("wait for {SERVER} on {}", cluster.name), ask, Expect::Exit(0))
        .needs([id(cluster, "agents")])
        .poll(300, 5)
        .observed_by_pods(&Kubectl::on(&kube_path(cluster)), SYSTEM)
        .hint(format!("kubectl --kubeconfig {} --namespace {SYSTEM} describe {SERVER}", kube_path(cluster)))
}

/// Agents and KVStoreMesh know the peers, all of them, on every node. Upstream's own verdict takes zero nodes for a
/// success, and leaves out what is zero.
fn joined(fleet: &Fleet, cluster: &Cluster, scope: &MeshScope) -> Step {
    let all = peers(fleet, cluster);
    let wanted: Vec<&&Cluster> = all.iter().filter(|p| scope.has(p)).collect();
    let nodes = cluster.nodes.len().to_string();
    let is = |pointer: String, value: &str| Expect::Json(pointer, value.to_owned());
    const PARTS: [&str; 2] = ["/connectivity", "/kvstoremesh/status"];
    let mut wants =
        vec![is("/connectivity/total".into(), &nodes), Expect::JsonAtLeast("/kvstoremesh/status/total".into(), 1)];
    for peer in &wanted {
        wants.push(is(format!("/connectivity/clusters/{}/connected", peer.name), &nodes));
        wants.push(Expect::JsonAtLeast(format!("/kvstoremesh/status/clusters/{}/connected", peer.name), 1));
    }
    if wanted.len() == all.len() {
        // None is away: then there are exactly these, and none that the fleet does not have.
        let count = all.len().to_string();
        for (part, end) in PARTS.iter().flat_map(|part| ["min", "max"].map(|end| (part, end))) {
            wants.push(is(format!("{part}/connected/{end}"), &count));
        }
    }
    let ask = Cilium::with(&format!("out/{KUBECONFIG}")).mesh_status(&cluster.name);
    let servers = wanted.iter().map(|p| id(p, "server")).chain([id(cluster, "server")]);
    let names: Vec<&str> = wanted.iter().map(|p| p.name.as_str()).collect();
    let title = format!("wait until {} is connected with {}", cluster.name, names.join(", "));
    Step::new(id(cluster, "connected"), title, ask, Expect::All(wants))
        .needs(["host/cilium"])
        .needs(servers)
        .poll(300, 5)
        .observed_by_pods(&Kubectl::on(&kube_path(cluster)), SYSTEM)
        .hint("cargo xtask mesh-connect --diagnose")
}

/// Each agent has copied every node of every peer: packets to the others would go nowhere.
fn counted(fleet: &Fleet, cluster: &Cluster, scope: &MeshScope) -> Step {
    let wanted: Vec<&Cluster> = peers(fleet, cluster).into_iter().filter(|p| scope.has(p)).collect();
    let each = |peer: &&Cluster| {
        let pointer = format!("/cilium_status/*/cluster-mesh/clusters/name={}/num-nodes", peer.name);
        Expect::JsonEach(pointer, peer.nodes.len().to_string())
    };
    let ask = Cilium::with(&format!("out/{KUBECONFIG}")).status(&cluster.name);
    let title = format!("count the peer nodes that agents of {} have", cluster.name);
    Step::new(id(cluster, "nodes"), title, ask, Expect::All(wanted.iter().map(each).collect()))
        .needs([id(cluster, "connected"), StepKey::host("cilium")])
        .poll(120, 5)
        .observed_by_pods(&Kubectl::on(&kube_path(cluster)), SYSTEM)
        .hint("cargo xtask mesh-connect --diagnose")
}

fn is_platform(cluster: &Cluster) -> bool {
    cluster.role == Role::Platform
}
