//! `upgrade`: from what runs to the versions that the fleet pins, one cluster after another and one node at a time.
//!
//! It is `start` with more in it. Before a cluster's nodes are touched its network is as wanted and its nodes are
//! ready; what has pods comes after, in the waves of a bootstrap. The next cluster waits for all of it.

use std::collections::BTreeSet;

use super::bootstrap::kube_path;
use super::bootstrap::node::node_scripts;
use super::cause::Reader;
use super::choose::needed;
use super::{Expect, Plan, Scope, Step, StepKey, power};
use machines::{Machine, guest};
use model::fleet::{Cluster, Fleet, Node, Role};
use model::release::Releases;
use render::mesh;
use tool::Limits;
use tool::kubectl::Kubectl;

pub mod changes;
mod node;

/// MiB on a node's disk for new packages and images: those of a control plane are 0.4 GB, with the old ones beside.
const ROOM: u64 = 2048;

/// The plan. `bootstrap` is the plan of the same fleet.
pub fn plan(fleet: &Fleet, releases: &Releases, bootstrap: Plan) -> Plan {
    let mut plan = power::start(fleet, bootstrap);
    plan.name = "upgrade";
    for cluster in &fleet.clusters {
        scripts(cluster, &mut plan.steps);
        ready(cluster, &mut plan.steps);
    }
    let checks: Vec<Step> = fleet.clusters.iter().flat_map(|c| checks(fleet, c)).collect();
    let passed: Vec<StepKey> = checks.iter().map(|check| check.id.clone()).collect();
    plan.steps.extend(checks);
    let mut before = passed;
    for cluster in order(fleet) {
        let mut chain = node::chain(fleet, cluster, releases);
        let upgraded = chain.last().map(|step| step.id.clone());
        // Samples are delivered over the mesh, whose certificates may have expired.
        let mesh = Some(id(cluster, mesh::CERTIFICATES)).filter(|id| plan.steps.iter().any(|step| step.id == *id));
        chain.iter_mut().filter(|s| s.id.action() == "delivered").for_each(|step| step.needs.extend(mesh.clone()));
        let network = needed(&plan.steps, mesh.into_iter().chain([id(cluster, "nodes")]).collect());
        for step in plan.steps.iter_mut().filter(|step| is_of(cluster, &step.id)) {
            step.needs.extend(before.iter().cloned());
            if !network.contains(&step.id) {
                step.needs.extend(upgraded.clone());
            }
        }
        plan.steps.extend(chain);
        let current = current(cluster, releases, &plan.steps);
        before = vec![current.id.clone()];
        plan.steps.push(current);
    }
    plan.steps = super::bootstrap::in_order(plan.steps);
    plan
}

/// The platform first: what breaks there breaks no application, and every agent buffers (contract C1 and C2).
fn order(fleet: &Fleet) -> impl Iterator<Item = &Cluster> {
    let of = |role| fleet.clusters.iter().filter(move |c| c.role == role);
    of(Role::Platform).chain(of(Role::Workload))
}

fn id(cluster: &Cluster, what: &str) -> StepKey {
    StepKey::cluster(&cluster.name, what)
}

/// Steps that talk to a cluster, not to its machines. How to reach it is no change to it.
fn is_of(cluster: &Cluster, step: &StepKey) -> bool {
    let reaching = ["kubeconfig", "secrets", "allowed", "etcd"];
    matches!(step.scope(), Scope::Cluster(name) if *name == cluster.name) && !reaching.contains(&step.action())
}

/// In place of the preparation, which would install a new kubelet before its control plane is of that version: the
/// scripts alone.
fn scripts(cluster: &Cluster, steps: &mut [Step]) {
    for (node, step) in node::each(cluster, steps, "prep") {
        *step = Step { needs: step.needs.clone(), ..node_scripts(cluster, node) };
    }
}

/// Nodes are ready, but for one whose upgrade has begun: its upgrade is resumed.
fn ready(cluster: &Cluster, steps: &mut [Step]) {
    let nodes = id(cluster, "nodes");
    let Some(step) = steps.iter_mut().find(|step| step.id == nodes) else { return };
    let line = |vm: String| Expect::Match(format!(r"^{vm} (True \S*|\S* \S+)$"));
    step.done_when.ask = Kubectl::on(&kube_path(cluster)).marks();
    step.done_when.want = Expect::All(cluster.nodes.iter().map(|node| line(cluster.vm(node))).collect());
}

/// What must be so on every cluster before anything changes on one.
fn checks(fleet: &Fleet, cluster: &Cluster) -> Vec<Step> {
    let kubectl = Kubectl::on(&kube_path(cluster));
    let to = &fleet.versions.kubernetes;
    // Without another node nothing can be moved, and a kubelet of another minor is not for pods that run on.
    let down = if cluster.nodes.len() > 1 { to.minor.saturating_sub(1) } else { to.minor };
    let range = format!(">={}.{down}.0, <={to}", to.major);
    let allowed = Expect::Version("/serverVersion/gitVersion".into(), range);
    let title = format!("check whether {} can go to v{to}", cluster.name);
    let lower = "kubeadm goes up, by one minor at a time, and a cluster of one node stays within its minor";
    let healthy = Step::new(
        id(cluster, "etcd"),
        format!("check the health of etcd of {}", cluster.name),
        kubectl.raw("/livez/etcd"),
        Expect::Stdout("ok".into()),
    );
    let settle = Limits::QUICK.settle(120).attempts(1, 5);
    let mut steps = vec![
        Step::new(id(cluster, "allowed"), title, kubectl.versions(), allowed).limits(settle).hint(lower),
        healthy.remedy("not yet", Expect::ALWAYS, []).limits(settle),
    ];
    steps.extend(cluster.nodes.iter().map(|node| runtime(fleet, cluster, node, settle)));
    steps.iter_mut().for_each(|step| step.needs.push(id(cluster, "kubeconfig")));
    steps.extend(cluster.nodes.iter().map(|node| {
        let vm = Machine::of(cluster, node);
        let ask = guest::state(&vm, &cluster.api_name());
        let title = format!("check for {ROOM} MiB of free disk on {vm}");
        Step::new(node::id(cluster, node, "room"), title, ask, Expect::JsonAtLeast("/free_mib".into(), ROOM))
            .needs([node::id(cluster, node, "prep")])
            .hint(guest::prune_images(&vm).to_string())
    }));
    steps
}

/// The kubelet of a new minor may not start on the containerd that a node has.
fn runtime(fleet: &Fleet, cluster: &Cluster, node: &Node, settle: Limits) -> Step {
    let (vm, to) = (cluster.vm(node), &fleet.versions.kubernetes);
    let kubectl = Kubectl::on(&kube_path(cluster));
    let raise = "sudo apt-get update && sudo apt-get install --only-upgrade --yes containerd";
    Step::new(
        node::id(cluster, node, "runtime"),
        format!("check whether containerd on {vm} fits v{to}"),
        kubectl.runtime(&vm),
        Expect::Version(String::new(), fleet.versions.containerd.clone()),
    )
    .remedy("not yet", Expect::Exit(0).negated(), [])
    .limits(settle)
    .hint(Machine::of(cluster, node).ask(&["sh", "-c", raise]).to_string())
}

/// The end of a cluster: what its releases brought is ready again, and the next one begins behind it.
fn current(cluster: &Cluster, releases: &Releases, steps: &[Step]) -> Step {
    let all = steps.iter().map(|step| step.id.clone()).filter(|id| id.is_in(cluster));
    let here = releases.charts.iter().filter(|chart| chart.placement.clusters.contains(&cluster.role));
    let spaces: BTreeSet<&str> = here.map(|chart| chart.namespace.as_str()).chain(["kube-system"]).collect();
    let spaces = spaces.into_iter().collect::<Vec<_>>().join("|");
    let unready = Expect::Match(format!(r"^({spaces})/\S+ (Pending|Running) (False)?$"));
    let want = Expect::All(vec![Expect::Match(r"^kube-system/\S+ Running True$".into()), unready.negated()]);
    let ask = Kubectl::on(&kube_path(cluster)).pods();
    Step::new(id(cluster, "current"), format!("check that all pods of {} are ready", cluster.name), ask, want)
        .needs(all)
        .poll(600, 5)
        .observed(Kubectl::on(&kube_path(cluster)).table_of_all("pods,events"), Reader::Pods)
        .hint(format!("kubectl --kubeconfig {} get pods --all-namespaces", kube_path(cluster)))
}
