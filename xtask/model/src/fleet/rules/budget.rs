//! RAM, CPU and disk budgets of machine, clusters and nodes.

use crate::fleet::document::{Diagnostics, Field};
use crate::fleet::draft::{Draft, DraftCluster, DraftNode};
use crate::fleet::{Bytes, NodeRole};
use crate::problem::Problem;

/// kubeadm preflight checks `ControlPlaneNumCPU` and `ControlPlaneMem`.
const CONTROL_PLANE_CPUS: i64 = 2;
const CONTROL_PLANE_MEMORY: Bytes = Bytes(1700 << 20);
/// 712 MiB are reserved or free by the kubelet's configuration, Cilium's pods, the log shipper and the exporter request
/// 336 MiB on every node, and the first workload needs the rest.
const WORKER_MEMORY: Bytes = Bytes(1536 << 20);
/// Twice the Multipass default (5G), which is too small for Ubuntu, Kubernetes and the images of one node.
const DISK: Bytes = Bytes(10 << 30);

pub(super) fn check(diagnostics: &mut Diagnostics, draft: &Draft) {
    for cluster in &draft.clusters {
        cluster.nodes.iter().for_each(|n| node(diagnostics, n));
        memory_of_nodes(diagnostics, cluster);
    }
    memory_of_clusters(diagnostics, draft);
    if let (Some(usable), Some(memory)) = (draft.usable.value, draft.memory.value)
        && usable > memory
    {
        let problem = Problem::new(format!("`usable` exceeds `memory`: {usable} of {memory}"));
        diagnostics.add(problem.hint(format!("usable = \"{memory}\"")), draft.usable.line);
    }
}

fn node(diagnostics: &mut Diagnostics, node: &DraftNode) {
    let plane = node.role.value == Some(NodeRole::ControlPlane);
    let cpus = if plane { CONTROL_PLANE_CPUS } else { 1 };
    if node.cpus.value.is_some_and(|n| !(cpus..=256).contains(&n)) {
        let why =
            if plane { "kubeadm refuses a control plane with fewer than 2" } else { "Multipass needs at least 1" };
        let problem = Problem::new(format!("`cpus` of {} is out of range: {}", node.title, shown(&node.cpus)));
        diagnostics.add(problem.why(why).hint(format!("cpus = {}", cpus.max(2))), node.cpus.line);
    }
    let (least, why, hint) = match plane {
        true => (
            CONTROL_PLANE_MEMORY,
            "kubeadm refuses a control plane with less than 1700 MB; measured, one needs 3G",
            "3G",
        ),
        false => {
            (WORKER_MEMORY, "the kubelet and the pods of every node take a gigabyte before the first workload", "4G")
        }
    };
    if node.memory.value.is_some_and(|m| m < least) {
        let problem = Problem::new(format!("{} has too little memory: {}", node.title, shown(&node.memory)));
        diagnostics.add(problem.why(why).hint(format!("memory = \"{hint}\"")), node.memory.line);
    }
    if node.disk.value.is_some_and(|d| d < DISK) {
        let problem = Problem::new(format!("the disk of {} is too small: {}", node.title, shown(&node.disk)))
            .why("the kubelet evicts pods when less than a tenth of the disk is free")
            .hint("disk = \"20G\"");
        diagnostics.add(problem, node.disk.line);
    }
}

fn memory_of_nodes(diagnostics: &mut Diagnostics, cluster: &DraftCluster) {
    let Some(sum) = sum(cluster.nodes.iter().map(|n| n.memory.value)) else { return };
    if let Some(budget) = cluster.memory.value.filter(|budget| sum > *budget) {
        let problem = Problem::new(format!("the nodes of {} exceed its memory: {sum} of {budget}", cluster.title))
            .why(format!("`memory` of a cluster is the budget of all its VMs, which add up to {sum}"))
            .hint(format!("memory = \"{sum}\""));
        diagnostics.add(problem, cluster.memory.line);
    }
}

fn memory_of_clusters(diagnostics: &mut Diagnostics, draft: &Draft) {
    let (Some(docker), Some(usable)) = (draft.docker.value, draft.usable.value) else { return };
    let docker = if draft.services.value == Some(true) { docker } else { Bytes(0) };
    let Some(clusters) = sum(draft.clusters.iter().map(|c| c.memory.value)) else { return };
    let all = Bytes(clusters.0.saturating_add(docker.0));
    if all > usable {
        let problem = Problem::new(format!("the clusters and Docker exceed the usable memory: {all} of {usable}"))
            .why(format!("{clusters} for the clusters and {docker} for Docker; swapping starves etcd (ADR-0001)"))
            .hint(format!("reduce the clusters by {}, or raise `usable`", Bytes(all.0 - usable.0)));
        diagnostics.add(problem, draft.usable.line);
    }
}

/// `None` if a part is unreadable.
fn sum(mut parts: impl Iterator<Item = Option<Bytes>>) -> Option<Bytes> {
    parts.try_fold(Bytes(0), |sum, part| Some(Bytes(sum.0.saturating_add(part?.0))))
}

fn shown<T: std::fmt::Display>(field: &Field<T>) -> String {
    field.value.as_ref().map_or_else(String::new, T::to_string)
}
