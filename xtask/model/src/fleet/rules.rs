//! What a fleet must be so that it can work: the rules, each with a reason and a mend.
//! Knows nothing of how the file is written, only of what was read from it.

mod addresses;
mod budget;
pub(super) mod machine;
pub mod names;
pub(super) mod networks;
mod ranges;
mod versions;

use super::document::Notes;
use super::draft::Draft;
use super::{Compatibility, NodeRole, Role};
use crate::problem::Problem;

/// Judges a draft by every rule. What could not be read is left out of the judgement: it has its own problem.
pub(super) fn check(notes: &mut Notes, draft: &Draft, known: &Compatibility) {
    if draft.clusters.is_empty() {
        if !draft.has_clusters {
            let problem =
                Problem::new("there is no cluster").why("a fleet is one platform cluster and its workload ones");
            notes.add(problem.hint("[[cluster]]"), None);
        }
    } else {
        roles(notes, draft);
    }
    if draft.harbor.value == Some(true) && draft.services.value == Some(false) {
        let problem = Problem::new("`harbor` is one of the services in Docker, and there are to be none");
        notes.add(problem.hint("services = true"), draft.harbor.line);
    }
    names::check(notes, draft);
    addresses::check(notes, draft);
    budget::check(notes, draft);
    versions::check(notes, draft, known);
}

/// One platform cluster in the fleet, one control plane in each cluster.
fn roles(notes: &mut Notes, draft: &Draft) {
    let readable = draft.clusters.iter().all(|c| c.role.value.is_some());
    let platforms: Vec<_> = draft.clusters.iter().filter(|c| c.role.value == Some(Role::Platform)).collect();
    let why = "Vault, Loki, Thanos and Argo CD live on exactly one cluster (ADR-0001)";
    if platforms.is_empty() && readable {
        let problem = Problem::new("no cluster has the role \"platform\"").why(why).hint("role = \"platform\"");
        notes.add(problem, draft.clusters[0].role.line);
    }
    for second in platforms.iter().skip(1) {
        let what =
            format!("a second cluster has the role \"platform\": {}, after {}", second.title, platforms[0].title);
        notes.add(Problem::new(what).why(why).hint("role = \"workload\""), second.role.line);
    }
    for cluster in &draft.clusters {
        let readable = cluster.nodes.iter().all(|n| n.role.value.is_some());
        let first = cluster.nodes.iter().filter(|n| n.role.value == Some(NodeRole::ControlPlane));
        let planes: Vec<_> = first.collect();
        let why = "kubeadm init runs on one node; more control planes would need a load balancer before them";
        if planes.is_empty() && readable {
            let hint = match cluster.nodes.is_empty() {
                true => "[[cluster.node]] with role = \"control-plane\"",
                false => "role = \"control-plane\"",
            };
            let what = format!("no node of {} has the role \"control-plane\"", cluster.title);
            let line = cluster.nodes.first().map_or(cluster.line, |node| node.role.line);
            notes.add(Problem::new(what).why(why).hint(hint), line);
        }
        for second in planes.iter().skip(1) {
            let what = format!("a second node has the role \"control-plane\": {}", second.title);
            notes.add(Problem::new(what).why(why).hint("role = \"worker\""), second.role.line);
        }
    }
}
