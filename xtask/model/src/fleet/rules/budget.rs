//! RAM, CPUs and disk: what the machine has, what the clusters may have, what a node needs.
//! Knows nothing of the machine that runs this; preflight compares that one with `[host]`.

use crate::fleet::document::{Field, Notes};
use crate::fleet::draft::{Draft, DraftCluster, DraftNode};
use crate::fleet::{Bytes, NodeRole};
use crate::problem::Problem;

/// kubeadm's preflight: `ControlPlaneNumCPU` and `ControlPlaneMem`, a control plane of less is refused.
const CONTROL_PLANE_CPUS: i64 = 2;
const CONTROL_PLANE_MEMORY: Bytes = Bytes(1700 << 20);
/// What `multipass launch` accepts at least (`--memory`).
const WORKER_MEMORY: Bytes = Bytes(512 << 20);
/// Twice what Multipass gives by default (5G), which Ubuntu, Kubernetes and the images of one node do not fit into.
const DISK: Bytes = Bytes(10 << 30);

pub(super) fn check(notes: &mut Notes, draft: &Draft) {
    for cluster in &draft.clusters {
        cluster.nodes.iter().for_each(|n| node(notes, n));
        memory_of_nodes(notes, cluster);
    }
    memory_of_clusters(notes, draft);
    if let (Some(usable), Some(memory)) = (draft.usable.value, draft.memory.value)
        && usable > memory
    {
        let problem = Problem::new(format!("`usable` is more than the machine has: {usable} of {memory}"));
        notes.add(problem.hint(format!("usable = \"{memory}\"")), draft.usable.line);
    }
}

fn node(notes: &mut Notes, node: &DraftNode) {
    let plane = node.role.value == Some(NodeRole::ControlPlane);
    let cpus = if plane { CONTROL_PLANE_CPUS } else { 1 };
    if node.cpus.value.is_some_and(|n| !(cpus..=256).contains(&n)) {
        let why =
            if plane { "kubeadm refuses a control plane with fewer than 2" } else { "Multipass wants at least 1" };
        let problem = Problem::new(format!("{} cannot have that many CPUs: {}", node.title, shown(&node.cpus)));
        notes.add(problem.why(why).hint(format!("cpus = {}", cpus.max(2))), node.cpus.line);
    }
    let (least, why, hint) = match plane {
        true => (
            CONTROL_PLANE_MEMORY,
            "kubeadm refuses a control plane with less than 1700 MB; measured, one wants 3G",
            "3G",
        ),
        false => (WORKER_MEMORY, "Multipass refuses a VM with less than 512M", "4G"),
    };
    if node.memory.value.is_some_and(|m| m < least) {
        let problem = Problem::new(format!("{} has too little memory: {}", node.title, shown(&node.memory)));
        notes.add(problem.why(why).hint(format!("memory = \"{hint}\"")), node.memory.line);
    }
    if node.disk.value.is_some_and(|d| d < DISK) {
        let problem = Problem::new(format!("{} has too small a disk: {}", node.title, shown(&node.disk)))
            .why("the kubelet evicts pods when Ubuntu, Kubernetes and their images leave less than a tenth free")
            .hint("disk = \"20G\"");
        notes.add(problem, node.disk.line);
    }
}

fn memory_of_nodes(notes: &mut Notes, cluster: &DraftCluster) {
    let Some(sum) = sum(cluster.nodes.iter().map(|n| n.memory.value)) else { return };
    if let Some(budget) = cluster.memory.value.filter(|budget| sum > *budget) {
        let problem =
            Problem::new(format!("the nodes of {} have more memory than it: {sum} of {budget}", cluster.title))
                .why(format!("together they have {sum}, and `memory` of the cluster is the budget of all its VMs"))
                .hint(format!("memory = \"{sum}\""));
        notes.add(problem, cluster.memory.line);
    }
}

fn memory_of_clusters(notes: &mut Notes, draft: &Draft) {
    let (Some(docker), Some(usable)) = (draft.docker.value, draft.usable.value) else { return };
    let Some(clusters) = sum(draft.clusters.iter().map(|c| c.memory.value)) else { return };
    let all = Bytes(clusters.0.saturating_add(docker.0));
    if all > usable {
        // Not a line to paste: which cluster is to shrink, or whether the machine is larger, only the user knows.
        let problem =
            Problem::new(format!("the clusters and Docker want more memory than is usable: {all} of {usable}"))
                .why(format!("{clusters} for the clusters and {docker} for Docker; swapping starves etcd (ADR-0001)"))
                .hint(format!("give the clusters {} less, or the machine more", Bytes(all.0 - usable.0)));
        notes.add(problem, draft.usable.line);
    }
}

/// The sum, if every part could be read.
fn sum(mut parts: impl Iterator<Item = Option<Bytes>>) -> Option<Bytes> {
    parts.try_fold(Bytes(0), |sum, part| Some(Bytes(sum.0.saturating_add(part?.0))))
}

fn shown<T: std::fmt::Display>(field: &Field<T>) -> String {
    field.value.as_ref().map_or_else(String::new, T::to_string)
}
