//! `bootstrap`: creates every cluster of the fleet with everything on it, from any state.
//!
//! Clusters depend on each other only in the host's checks, the image that the first launch warms, and the mesh CA.
//! Within a cluster nodes go side by side; workers join while the control plane is still being made (ADR-0010).

use std::collections::{BTreeMap, BTreeSet};

use super::{Expect, Plan, Pool, Step, StepKey};
use model::fleet::{Cluster, Fleet, Node, Role};
use model::release::Releases;
use render::Files;
use tool::helm::Helm;
use tool::{builtin, openssl};

pub(crate) mod argocd;
mod docker;
pub mod host;
pub(super) mod node;
pub(super) mod releases;
mod secrets;
pub(super) mod upgrade;
pub(crate) mod vault;
mod volumes;

const PULLS: usize = 4;

/// The plan for a fleet. `helm` is the version that `host/helm` finds.
pub fn plan(fleet: &Fleet, releases: &Releases, files: Files, helm: Helm) -> Plan {
    let first = fleet.clusters.first().map(|c| launch(c, c.control_plane()));
    let mut steps = host::steps(fleet);
    steps.push(mesh_ca());
    steps.extend(minted(fleet, releases));
    steps.extend(releases::downloads(releases));
    for cluster in &fleet.clusters {
        steps.extend(node::steps(fleet, cluster, first.as_ref()));
        steps.extend(volumes::steps(cluster));
        steps.extend(releases::steps(fleet, cluster, releases, &files, helm));
        if cluster.role == Role::Platform {
            steps.extend(vault::steps(fleet, releases));
            steps.extend(argocd::steps(fleet, releases));
        }
    }
    steps.push(kubeconfig(fleet));
    steps.extend(docker::steps(fleet));
    let steps = in_order(steps);
    let pools = BTreeMap::from([(Pool::Launch, fleet.vm.parallel_launches), (Pool::Pull, PULLS)]);
    Plan { name: "bootstrap", steps, files, pools }
}

/// The downloads alone, with the checks of the tools that fetch.
pub fn downloads(fleet: &Fleet, releases: &Releases) -> Plan {
    let archives = releases::downloads(releases);
    let fetches = |check: &Step| archives.iter().any(|archive| archive.needs.contains(&check.id));
    let mut steps: Vec<Step> = host::steps(fleet).into_iter().filter(fetches).collect();
    steps.extend(archives);
    Plan { name: "charts pull", steps, files: Files::new(), pools: BTreeMap::from([(Pool::Pull, PULLS)]) }
}

pub use releases::archive_step;
/// The file in `out/charts` that a manifest's objects are downloaded to.
pub use releases::file_of;

/// The steps that make Vault ready once it is installed; none without Vault.
pub(super) fn vault_steps(fleet: &Fleet, releases: &Releases) -> Vec<Step> {
    vault::steps(fleet, releases)
}

/// Where the merged kubeconfig is kept, below `out/`. `render` writes the one with tokens beside it.
pub const KUBECONFIG: &str = "kube/config.yaml";

fn minted(fleet: &Fleet, releases: &Releases) -> Vec<Step> {
    let vault = (!vault::steps(fleet, releases).is_empty()).then_some(vault::SAMPLE);
    let others: Vec<&str> = vault.into_iter().chain(docker::secrets(fleet)).collect();
    secrets::steps(fleet, releases, &others)
}

/// Sorts steps so that each comes behind those it waits for; among those that could be next, the first as given is.
pub(super) fn in_order(steps: Vec<Step>) -> Vec<Step> {
    let places: BTreeMap<&str, usize> = steps.iter().enumerate().map(|(at, s)| (s.id.as_str(), at)).collect();
    let mut waits_for = vec![0; steps.len()];
    let mut behind = vec![Vec::new(); steps.len()];
    for (at, step) in steps.iter().enumerate() {
        for before in step.needs.iter().chain(&step.after).filter_map(|id| places.get(id.as_str())) {
            waits_for[at] += 1;
            behind[*before].push(at);
        }
    }
    let mut free: BTreeSet<usize> = (0..steps.len()).filter(|at| waits_for[*at] == 0).collect();
    let mut order = Vec::with_capacity(steps.len());
    while let Some(next) = free.pop_first() {
        order.push(next);
        for at in &behind[next] {
            waits_for[*at] -= 1;
            free.extend((waits_for[*at] == 0).then_some(*at));
        }
    }
    assert_eq!(order.len(), steps.len(), "bug: the waves of charts/releases.toml were checked for cycles");
    let mut steps: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| steps[at].take()).collect()
}

fn mesh_ca() -> Step {
    let names = ["mesh-ca.cert", "mesh-ca.key"];
    Step::new(
        StepKey::fleet("mesh-ca"),
        "create the shared CA of the mesh",
        builtin::has_secrets(&names),
        Expect::Exit(0),
    )
    .needs(["host/openssl"])
    .act([openssl::authority("mesh-ca", "infra/mesh/ca.cnf")])
}

/// One kubeconfig with a context per cluster. Each cluster's admin is renamed: kubeadm calls all of them
/// `kubernetes-admin`, and a merge would keep one (measured).
fn kubeconfig(fleet: &Fleet) -> Step {
    let file = "kubeconfig.yaml";
    Step::new(
        StepKey::fleet("kubeconfig"),
        "merge the clusters' kubeconfigs",
        builtin::file_matches(KUBECONFIG, file),
        Expect::Exit(0),
    )
    .needs(fleet.clusters.iter().map(|c| StepKey::cluster(&c.name, "kubeconfig")))
    .act([builtin::keep(KUBECONFIG, file)])
}

pub(super) fn launch(cluster: &Cluster, node: &Node) -> StepKey {
    StepKey::node(cluster, node, "launch")
}

/// The kubeconfig that the steps of a cluster use, below the repository.
pub fn kube_path(cluster: &Cluster) -> String {
    format!("out/kube/{}.yaml", cluster.name)
}
