//! The drill `mgmt-outage` on real machines: the platform's VMs stop, workload clusters are disturbed, the VMs return.
//!
//! Plans in the order in which they run: `ready`, `observe`, `stop`, `during`, `observe`, `start` as far as it is about
//! the platform, `after`, `counted`, `observe`, `tidy`. From `stop` on, the platform is started again whatever happens, after
//! a failure and after Ctrl-C too (ADR-0024). Requests are sent by a pod inside each workload cluster
//! (`infra/drill/probe`), so no answer depends on this machine.

mod after;

use std::collections::{BTreeMap, BTreeSet};

use crate::Clause;
use model::fleet::{Cluster, Fleet, Node, Role};
use model::release::Releases;
use model::token::fact;
use plan::bootstrap::{host, kube_path};
use plan::{Expect, Plan, Step, StepKey, power};
use render::Files;
use render::drill::{LATE, PROBE};
use tool::kubectl::Kubectl;
use tool::{Command, Extractor, Limits, Tool};

pub use after::{after, counted, tidy};

pub(crate) const SPACE: &str = "sample";
pub(crate) const ASKER: &str = "deployment/drill-probe";
pub(super) const LATER: &str = "deployment/drill-late";
/// Pods that die in the drill: what they are called in step ids, namespace, label, and their owner.
const VICTIMS: [(&str, &str, &str, &str); 2] = [
    ("sample-pod", SPACE, "app=sample", "deployment/sample"),
    ("cilium-agent", "kube-system", "k8s-app=cilium", "daemonset/cilium"),
];

pub fn id(cluster: &Cluster, what: &str) -> StepKey {
    StepKey::cluster(&cluster.name, &format!("drill/{what}"))
}

/// The `what` of the [`id`] of a cluster's step.
pub fn what<'a>(cluster: &Cluster, id: &'a StepKey) -> Option<&'a str> {
    id.action().strip_prefix("drill/").filter(|_| id.is_in(cluster))
}

pub fn apps(fleet: &Fleet) -> impl Iterator<Item = &Cluster> {
    fleet.clusters.iter().filter(|c| c.role == Role::Workload)
}

pub fn platform(fleet: &Fleet) -> Option<&Cluster> {
    fleet.clusters.iter().find(|c| c.role == Role::Platform)
}

/// What a fleet must have for a drill, and lacks: a sentence.
pub fn missing(fleet: &Fleet, releases: &Releases) -> Option<&'static str> {
    if platform(fleet).is_none() || apps(fleet).next().is_none() {
        return Some("it takes a platform that goes away and a workload cluster that stays");
    }
    let held = |name| releases.manifest_on(Role::Workload, name);
    (!held("sample") || !held("secret-stores")).then_some("workload clusters have no sample that could be asked")
}

pub(crate) fn kubectl(cluster: &Cluster) -> Kubectl {
    Kubectl::on(&kube_path(cluster))
}

fn plan(steps: Vec<Step>, files: &Files) -> Plan {
    Plan { name: "drill", steps, files: files.clone(), pools: BTreeMap::new() }
}

/// The checks of the tools that a drill takes.
fn tools(fleet: &Fleet) -> Vec<Step> {
    host::machine_tools(fleet, &["kubectl", "cilium"])
}

/// A node that a pod is taken from: a worker if there is one.
fn victim_node(cluster: &Cluster) -> &Node {
    cluster.workers().next().unwrap_or_else(|| cluster.control_plane())
}

/// Whether a cluster has another one that its requests can go to.
pub fn has_peer(fleet: &Fleet, cluster: &Cluster) -> bool {
    render::mesh::peers(fleet, cluster).iter().any(|peer| peer.role == Role::Workload)
}

/// Probes that are answered on every way. Nothing of the clusters' own is changed.
pub fn ready(fleet: &Fleet, files: &Files) -> Plan {
    let mut steps = tools(fleet);
    for cluster in apps(fleet) {
        steps.extend([probe(cluster), asking(fleet, cluster)]);
    }
    plan(steps, files)
}

/// Whether a step is about the platform, or checks this machine.
fn is_of_platform(fleet: &Fleet, id: &StepKey) -> bool {
    id.is_host() || platform(fleet).is_some_and(|platform| id.is_in(platform))
}

/// The platform's VMs stop, as `stop` stops them.
pub fn stop(fleet: &Fleet, files: &Files) -> Plan {
    let Plan { mut steps, pools, .. } = power::stop(fleet);
    steps.retain(|step| is_of_platform(fleet, &step.id));
    let ids: BTreeSet<StepKey> = steps.iter().map(|s| s.id.clone()).collect();
    steps.iter_mut().for_each(|step| step.after.retain(|id| ids.contains(id)));
    Plan { pools, ..plan(steps, files) }
}

fn fed(command: Command, file: &str) -> Command {
    command.stdin_file(file)
}

fn applied(cluster: &Cluster, what: &str, title: String, file: &str) -> Step {
    let kubectl = kubectl(cluster);
    Step::new(id(cluster, what), title, fed(kubectl.diff("-"), file), Expect::Exit(0))
        .act([fed(kubectl.apply("-"), file)])
        .limits(Limits::QUICK.attempts(3, 5))
}

fn probe(cluster: &Cluster) -> Step {
    applied(cluster, "probe", format!("put a pod into {} that asks the sample", cluster.name), PROBE)
        .needs(["host/kubectl"])
}

/// Both ways must be green before anything stops; the last lines say so. A line comes every quarter of a minute.
fn asking(fleet: &Fleet, cluster: &Cluster) -> Step {
    let good = |way: &str| Expect::Match(format!(r"^\d+ {way} [1-9]\d* 0 \d+$"));
    let ways = [Some("local"), has_peer(fleet, cluster).then_some("mesh")];
    let want = Expect::All(ways.into_iter().flatten().map(good).collect());
    let title = format!("wait until every way from {} is answered", cluster.name);
    Step::new(id(cluster, "asking"), title, kubectl(cluster).logs(SPACE, ASKER, Some(4)), want)
        .needs([id(cluster, "probe")])
        .remedy("not yet", Expect::ALWAYS, [])
        .limits(Limits::QUICK.settle(180).attempts(1, 5))
        .hint(format!("kubectl --kubeconfig {} --namespace {SPACE} logs {ASKER}", kube_path(cluster)))
}

fn victim(cluster: &Cluster, what: &str) -> String {
    format!("{}.drill.{what}", cluster.name)
}

fn found(cluster: &Cluster, (what, space, label, _): &(&str, &str, &str, &str)) -> Step {
    let node = cluster.vm(victim_node(cluster));
    let ask = kubectl(cluster).pods_on(&node, space, label, "{.items[0].metadata.name}");
    let ask = ask.capture(victim(cluster, what), Extractor::Stdout);
    Step::new(id(cluster, what), format!("find a {what} on {node}"), ask, Expect::Match(r"^\S+$".into()))
        .needs(["host/kubectl"])
}

/// What a platform that is away must not be needed for. Every step here is one that the contract says works.
pub fn during(fleet: &Fleet, files: &Files) -> Plan {
    let mut steps = tools(fleet);
    steps.extend(platform(fleet).map(silent));
    for cluster in apps(fleet) {
        let [sample, agent] = &VICTIMS;
        steps.extend([found(cluster, sample), killed(cluster, sample), replaced(cluster, sample)]);
        let title = format!("make a workload on {} that mounts the secret", cluster.name);
        steps.push(applied(cluster, "late", title, LATE).needs(["host/kubectl"]));
        let title = format!("wait until it runs on {}", cluster.name);
        let waits = rolled_out(cluster, "late-runs", title, SPACE, LATER);
        steps.push(waits.needs([id(cluster, "late")]));
        // One after the other: while an agent is away its node does not hear of pods that come and go.
        let calm = ["sample-pod-replaced", "late-runs"].map(|what| id(cluster, what));
        steps.extend([found(cluster, agent), killed(cluster, agent).after(calm), replaced(cluster, agent)]);
    }
    plan(steps, files)
}

/// The object that copies the secret: when it last did so, and whether that went well.
pub(crate) fn external_secret(cluster: &Cluster) -> Command {
    let template = r#"{.status.refreshTime} {.status.conditions[?(@.type=="Ready")].status}"#;
    kubectl(cluster).read(SPACE, &["externalsecrets.external-secrets.io", "sample-credentials"], template)
}

/// What every app cluster is asked before the outage, during it, and at the end: the observations of all clauses.
pub fn observe(fleet: &Fleet, files: &Files) -> Plan {
    let mut steps = tools(fleet);
    for cluster in apps(fleet) {
        steps.extend(Clause::all().flat_map(|clause| (clause.definition().observations)(cluster)));
    }
    plan(steps, files)
}

pub(crate) fn observation(cluster: &Cluster, what: &str, title: &str, ask: Command) -> Step {
    let tool = if ask.tool == Tool::Cilium { "host/cilium" } else { "host/kubectl" };
    Step::new(id(cluster, what), format!("{title} {}", cluster.name), ask, Expect::Exit(0))
        .needs([tool])
        .limits(Limits::QUICK.attempts(1, 2))
        .hint(format!("kubectl --kubeconfig {} get pods --all-namespaces", kube_path(cluster)))
}

fn silent(platform: &Cluster) -> Step {
    let title = format!("make sure that the API of {} is silent", platform.name);
    Step::new(id(platform, "silent"), title, kubectl(platform).ready(), Expect::Unanswered)
        .needs(["host/kubectl"])
        .remedy("not yet", Expect::ALWAYS, [])
        .limits(Limits::QUICK.settle(60).attempts(1, 5))
}

fn killed(cluster: &Cluster, (what, space, ..): &(&str, &str, &str, &str)) -> Step {
    let pod = fact(&victim(cluster, what));
    let there = kubectl(cluster).present(space, &["pod", &pod]);
    let title = format!("kill a {what} of {}", cluster.name);
    Step::new(id(cluster, &format!("{what}-killed")), title, there, Expect::Stdout(String::new()))
        .needs([id(cluster, what)])
        .act([kubectl(cluster).delete_pod(space, &pod)])
        .limits(Limits::QUICK.settle(120))
}

fn replaced(cluster: &Cluster, (what, space, _, owner): &(&str, &str, &str, &str)) -> Step {
    let title = format!("wait for the {what} that takes its place on {}", cluster.name);
    rolled_out(cluster, &format!("{what}-replaced"), title, space, owner)
        .needs([id(cluster, &format!("{what}-killed"))])
}

fn rolled_out(cluster: &Cluster, what: &str, title: String, space: &str, owner: &str) -> Step {
    Step::new(id(cluster, what), title, kubectl(cluster).rolled_out(space, owner), Expect::Exit(0))
        .remedy("not yet", Expect::ALWAYS, [])
        .limits(Limits::QUICK.settle(300).attempts(1, 5))
        .hint(format!("kubectl --kubeconfig {} --namespace {space} describe {owner}", kube_path(cluster)))
}

/// The platform comes back as `start` brings it back: these steps of that plan.
pub fn back(fleet: &Fleet, start: &Plan) -> BTreeSet<StepKey> {
    start.steps.iter().filter(|s| is_of_platform(fleet, &s.id)).map(|s| s.id.clone()).collect()
}
