//! Volumes are folders on a node's own disk: they go with their VM, and their claims stay.
//! Knows nothing of what was in them.
//!
//! Of a VM that was made anew with the same name the volumes are still bound to that node, and nobody makes a folder a
//! second time: the provisioner made it when the claim was new, and the kubelet mounts a volume of type `local` only if
//! its path is there (rancher/local-path-provisioner#221). Pods would wait for ever, with every release as wanted. So
//! each node is asked for the folders of its volumes, and gets those that lack: empty, with the rights that the
//! provisioner's own script gives.

use super::super::{Step, StepKey, Want};
use super::kube_path;
use machines::{Machine, guest};
use model::fleet::{Cluster, Node};
use tool::kubectl::Kubectl;
use tool::{Limits, Reading};

/// Two steps per node: which volumes lie there, and whether their folders do.
pub(super) fn steps(cluster: &Cluster) -> Vec<Step> {
    cluster.nodes.iter().flat_map(|node| [claimed(cluster, node), there(cluster, node)]).collect()
}

/// The last of a node's steps here.
pub(super) fn id(cluster: &Cluster, node: &Node) -> StepKey {
    StepKey::node(cluster, node, "volumes")
}

/// Paths below the root, a colon before each: what stands in a fact is one word.
fn fact(cluster: &Cluster, node: &Node) -> String {
    format!("{}.{}.volumes", cluster.name, node.name)
}

fn claimed(cluster: &Cluster, node: &Node) -> Step {
    let vm = cluster.vm(node);
    let ask = Kubectl::on(&kube_path(cluster)).volumes(&vm).learn(fact(cluster, node), Reading::Stdout);
    Step::new(
        StepKey::node(cluster, node, "claims"),
        format!("read which volumes lie on {vm}"),
        ask,
        Want::Match("^/".into()),
    )
    .needs([StepKey::cluster(&cluster.name, "kubeconfig")])
    .instead("no answer", Want::ALWAYS, [])
    .limits(Limits::QUICK.settle(30))
}

fn there(cluster: &Cluster, node: &Node) -> Step {
    let vm = Machine::of(cluster, node);
    let paths = model::token::fact(&fact(cluster, node));
    let missing = Want::Stderr("No such file or directory".into());
    let doing = format!("look for the folders of volumes on {vm}");
    Step::new(id(cluster, node), doing, guest::paths_exist(&vm, &paths), Want::Exit(0))
        .needs([StepKey::node(cluster, node, "claims"), StepKey::node(cluster, node, "prep")])
        .instead("gone with its VM", missing, [guest::make_folders(&vm, &paths)])
        .act([guest::make_folders(&vm, &paths)])
        .hint(format!("kubectl --kubeconfig {} get persistentvolumes --output wide", kube_path(cluster)))
}
