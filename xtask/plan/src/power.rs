//! Plans of `stop`, `start` (`bootstrap` without launches) and `destroy`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::bootstrap::{argocd, host, launch, vault};
use super::{Expect, Plan, Pool, Step, StepKey};
use machines::{Machine, MachineState};
use model::fleet::{Cluster, Fleet, Node, Role};
use model::release::Releases;
use render::Files;
use tool::{Command, Limits, builtin};

/// Workers before their control plane, which then records their shutdown, and workload clusters before the platform, which
/// stores their logs. The kubelet ends its pods within 30 s (`shutdownGracePeriod`). No node is cordoned or uncordoned.
pub fn stop(fleet: &Fleet) -> Plan {
    let mut steps = host::machine_tools(fleet, &[]);
    let (last, first): (Vec<&Cluster>, Vec<&Cluster>) = fleet.clusters.iter().partition(|c| c.role == Role::Platform);
    let before: Vec<StepKey> = first.iter().map(|c| StepKey::node(c, c.control_plane(), "stop")).collect();
    for cluster in first.iter().chain(&last) {
        let order = if cluster.role == Role::Platform { before.clone() } else { vec![] };
        let workers: Vec<StepKey> = cluster.workers().map(|worker| StepKey::node(cluster, worker, "stop")).collect();
        for worker in cluster.workers() {
            steps.push(stopped(cluster, worker).after(order.clone()));
        }
        steps.push(stopped(cluster, cluster.control_plane()).after(order.into_iter().chain(workers)));
    }
    let pools = BTreeMap::from([(Pool::Launch, fleet.vm.parallel_launches)]);
    Plan { name: "stop", steps, files: Files::new(), pools }
}

fn stopped(cluster: &Cluster, node: &Node) -> Step {
    let vm = Machine::of(cluster, node);
    use MachineState::{Absent, Deleted, Stopped, Suspended};
    let want = Expect::Any([Stopped, Suspended, Deleted, Absent].map(|state| vm.is_listed(&state)).into());
    Step::new(StepKey::node(cluster, node, "stop"), format!("stop VM {vm}"), vm.list(), want)
        .needs([host::driver_key(vm.driver())])
        .pool(Pool::Launch)
        .remedies(vm.stop_remedies())
        .act([vm.stop()])
        .limits(Limits::QUICK.minutes(6).settle(300))
        .hint(vm.control_hint())
}

/// `bootstrap` without launches: starts VMs, control planes before workers and the platform before the rest, then repairs
/// what changed addresses and clocks broke.
pub fn start(fleet: &Fleet, bootstrap: Plan) -> Plan {
    let mut steps = bootstrap.steps;
    for (cluster, node) in fleet.clusters.iter().flat_map(|c| c.nodes.iter().map(move |n| (c, n))) {
        let mine = launch(cluster, node);
        let order = before(fleet, cluster, node).filter(|other| stands_before(&steps, other, &mine));
        let order: Vec<StepKey> = order.collect();
        if let Some(step) = steps.iter_mut().find(|step| step.id == mine) {
            step.title = format!("start VM {}", cluster.vm(node));
            step.act.clear();
            step.undo.clear();
            step.after = order;
            step.hint = Some("cargo xtask bootstrap   # makes what is not there".into());
        }
    }
    Plan { name: "start", steps, ..bootstrap }
}

/// Starts before that of a node: its control plane's, and the platform's.
fn before<'a>(fleet: &'a Fleet, cluster: &'a Cluster, node: &Node) -> impl Iterator<Item = StepKey> + 'a {
    let own = (node != cluster.control_plane()).then(|| launch(cluster, cluster.control_plane()));
    let others = fleet.clusters.iter().filter(|c| c.role == Role::Platform && c.name != cluster.name);
    own.into_iter().chain(others.flat_map(|c| c.nodes.iter().map(move |n| launch(c, n))))
}

/// The fleet may be in any order, and a step waits for earlier ones alone.
fn stands_before(steps: &[Step], one: &StepKey, other: &StepKey) -> bool {
    let place = |id: &StepKey| steps.iter().position(|step| step.id == *id);
    place(one).zip(place(other)).is_some_and(|(one, other)| one < other)
}

/// A VM whose image is being downloaded or copied is not there for any command, and comes all the same.
const PREPARING: Duration = Duration::from_secs(20);

/// Deletes the VMs of the fleet, by name and for good, and then what `out/` holds of them.
pub fn destroy(fleet: &Fleet) -> Plan {
    let mut steps = host::machine_tools(fleet, &[]);
    for cluster in &fleet.clusters {
        let name = &cluster.name;
        steps.extend(cluster.nodes.iter().map(|node| destroyed(cluster, node)));
        let files = Step::new(
            StepKey::cluster(name, "files"),
            format!("delete the local files of {name}"),
            builtin::secrets_absent(name),
            Expect::Exit(0),
        );
        steps.push(
            files
                .needs(cluster.nodes.iter().map(|n| StepKey::node(cluster, n, "destroy")))
                .act([builtin::delete_secrets(name)]),
        );
    }
    let all = Step::new(
        StepKey::fleet("files"),
        "delete the shared local files",
        builtin::secrets_absent("."),
        Expect::Exit(0),
    );
    steps.push(
        all.needs(fleet.clusters.iter().map(|c| StepKey::cluster(&c.name, "files")))
            .act([builtin::delete_secrets(".")]),
    );
    Plan { name: "destroy", steps, files: Files::new(), pools: BTreeMap::new() }
}

/// The same, and of each workload cluster also what the platform holds of it: for one that stays.
pub fn destroy_beside_platform(fleet: &Fleet, releases: &Releases) -> Plan {
    let mut plan = destroy(fleet);
    plan.steps.extend(host::machine_tools(fleet, &["kubectl"]).into_iter().filter(|s| s.id == "host/kubectl"));
    plan.steps.extend(vault::removed(fleet, releases));
    plan.steps.extend(argocd::removed(fleet, releases));
    plan
}

/// A step that removes what the platform holds of a cluster; what was never made there need not be removed.
pub(crate) fn removal(
    platform: &Cluster,
    cluster: &Cluster,
    what: &str,
    title: String,
    ask: Command,
    gone: &str,
) -> Step {
    let never = r"no such file or directory|\(NotFound\)";
    let want = Expect::Any(vec![Expect::Stderr(format!("{gone}|{never}"))]);
    Step::new(StepKey::cluster(&cluster.name, &format!("registration/{what}")), title, ask, want)
        .needs(["host/kubectl"])
        .hint(format!(
            "cargo xtask start --only '{}/*'   # or leave it there: --skip '*/registration/*'",
            platform.name
        ))
}

fn destroyed(cluster: &Cluster, node: &Node) -> Step {
    let vm = Machine::of(cluster, node);
    let gone = vm.is_listed(&MachineState::Absent);
    let mut step = Step::new(StepKey::node(cluster, node, "destroy"), format!("delete VM {vm}"), vm.list(), gone)
        .needs([host::driver_key(vm.driver())])
        .remedies(vm.delete_remedies())
        .act([vm.delete()])
        .limits(Limits::QUICK.minutes(6).settle(300))
        .hint(vm.control_hint());
    step.done_when.lasts = PREPARING;
    step
}
