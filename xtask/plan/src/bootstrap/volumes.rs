//! Volumes are folders on a node's disk: they are lost with their VM, and their claims stay.
//!
//! Volumes of a VM that was replaced under its name are still bound to that node. The provisioner creates a folder only
//! with its claim, and the kubelet mounts a volume of type `local` only if its path exists
//! (rancher/local-path-provisioner#221), so pods would wait for ever. Missing folders are therefore created on each node,
//! empty, with the mode of the provisioner's own script.

use super::super::{Expect, Step, StepKey};
use super::kube_path;
use machines::{Machine, guest};
use model::fleet::{Cluster, Node};
use tool::kubectl::Kubectl;
use tool::{Extractor, Limits};

/// Two steps per node: list its volumes, create missing folders.
pub(super) fn steps(cluster: &Cluster) -> Vec<Step> {
    cluster.nodes.iter().flat_map(|node| [claimed(cluster, node), there(cluster, node)]).collect()
}

pub(super) fn id(cluster: &Cluster, node: &Node) -> StepKey {
    StepKey::node(cluster, node, "volumes")
}

/// Paths, a colon before each: the value of a fact is one word.
fn fact(cluster: &Cluster, node: &Node) -> String {
    format!("{}.{}.volumes", cluster.name, node.name)
}

fn claimed(cluster: &Cluster, node: &Node) -> Step {
    let vm = cluster.vm(node);
    let ask = Kubectl::on(&kube_path(cluster)).volumes(&vm).capture(fact(cluster, node), Extractor::Stdout);
    Step::new(
        StepKey::node(cluster, node, "claims"),
        format!("list the volumes on {vm}"),
        ask,
        Expect::Match("^/".into()),
    )
    .needs([StepKey::cluster(&cluster.name, "kubeconfig")])
    .remedy("not yet", Expect::ALWAYS, [])
    .limits(Limits::QUICK.settle(30))
}

fn there(cluster: &Cluster, node: &Node) -> Step {
    let vm = Machine::of(cluster, node);
    let paths = model::token::fact(&fact(cluster, node));
    let missing = Expect::Stderr("No such file or directory".into());
    let title = format!("check the volume folders on {vm}");
    Step::new(id(cluster, node), title, guest::paths_exist(&vm, &paths), Expect::Exit(0))
        .needs([StepKey::node(cluster, node, "claims"), StepKey::node(cluster, node, "prep")])
        .remedy("gone with its VM", missing, [guest::make_folders(&vm, &paths)])
        .act([guest::make_folders(&vm, &paths)])
        .hint(format!("kubectl --kubeconfig {} get persistentvolumes --output wide", kube_path(cluster)))
}
