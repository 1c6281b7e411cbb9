//! Validation rules of a fleet, each with a reason and a fix.

mod addresses;
mod budget;
pub(super) mod host_capacity;
pub mod names;
pub(super) mod network_conflicts;
mod ranges;
mod versions;

use super::document::Diagnostics;
use super::draft::Draft;
use super::{Compatibility, NodeRole, Role};
use crate::problem::Problem;

/// Checks every rule. Unreadable values are skipped: they are reported already.
pub(super) fn check(diagnostics: &mut Diagnostics, draft: &Draft, known: &Compatibility) {
    if draft.clusters.is_empty() {
        if !draft.has_clusters {
            let problem =
                Problem::new("no cluster is defined").why("a fleet is one platform cluster and its workload clusters");
            diagnostics.add(problem.hint("[[cluster]]"), None);
        }
    } else {
        roles(diagnostics, draft);
    }
    if draft.harbor.value == Some(true) && draft.services.value == Some(false) {
        let problem = Problem::new("`harbor = true` requires `services = true`");
        diagnostics.add(problem.hint("services = true"), draft.harbor.line);
    }
    names::check(diagnostics, draft);
    addresses::check(diagnostics, draft);
    budget::check(diagnostics, draft);
    versions::check(diagnostics, draft, known);
}

/// Exactly one platform cluster, and one control plane per cluster.
fn roles(diagnostics: &mut Diagnostics, draft: &Draft) {
    let readable = draft.clusters.iter().all(|c| c.role.value.is_some());
    let platforms: Vec<_> = draft.clusters.iter().filter(|c| c.role.value == Some(Role::Platform)).collect();
    let why = "Vault, Loki, Thanos and Argo CD run on exactly one cluster (ADR-0001)";
    if platforms.is_empty() && readable {
        let problem = Problem::new("no cluster has the role \"platform\"").why(why).hint("role = \"platform\"");
        diagnostics.add(problem, draft.clusters[0].role.line);
    }
    for second in platforms.iter().skip(1) {
        let what =
            format!("a second cluster has the role \"platform\": {}, after {}", second.title, platforms[0].title);
        diagnostics.add(Problem::new(what).why(why).hint("role = \"workload\""), second.role.line);
    }
    for cluster in &draft.clusters {
        let readable = cluster.nodes.iter().all(|n| n.role.value.is_some());
        let first = cluster.nodes.iter().filter(|n| n.role.value == Some(NodeRole::ControlPlane));
        let planes: Vec<_> = first.collect();
        let why = "kubeadm init runs on one node; several control planes would need a load balancer";
        if planes.is_empty() && readable {
            let hint = match cluster.nodes.is_empty() {
                true => "[[cluster.node]] with role = \"control-plane\"",
                false => "role = \"control-plane\"",
            };
            let what = format!("no node of {} has the role \"control-plane\"", cluster.title);
            let line = cluster.nodes.first().map_or(cluster.line, |node| node.role.line);
            diagnostics.add(Problem::new(what).why(why).hint(hint), line);
        }
        for second in planes.iter().skip(1) {
            let what = format!("a second node has the role \"control-plane\": {}", second.title);
            diagnostics.add(Problem::new(what).why(why).hint("role = \"worker\""), second.role.line);
        }
    }
}
