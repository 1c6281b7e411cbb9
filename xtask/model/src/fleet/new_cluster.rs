//! The `[[cluster]]` block for an additional cluster, with free ids and ranges.

use std::fmt::Write;

use super::{Fleet, NodeRole, Role, free_range};

/// Another workload cluster: next free id and ranges, nodes as in the first workload cluster. `None` if all ids are in use.
pub fn next_cluster(fleet: &Fleet, name: &str) -> Option<String> {
    let free = |id: &u8| fleet.clusters.iter().all(|c| c.id != *id);
    let most = fleet.clusters.iter().map(|c| c.id).max().unwrap_or(0);
    let id = (most..=255).find(free).or_else(|| (1..=255).find(free))?;
    let model = fleet.clusters.iter().find(|c| c.role == Role::Workload).or(fleet.clusters.first())?;
    let services = free_range(fleet, &[]);
    let pods = free_range(fleet, &[services]);
    let mut out =
        format!("\n[[cluster]]\nname = \"{name}\"\nid = {id}\nrole = \"workload\"\nmemory = \"{}\"\n", model.memory);
    let _ = write!(out, "pod_cidr = \"{pods}\"\nservice_cidr = \"{services}\"\n");
    for node in &model.nodes {
        let role = if node.role == NodeRole::ControlPlane { "control-plane" } else { "worker" };
        let _ = write!(
            out,
            "\n[[cluster.node]]\nname = \"{}\"\nrole = \"{role}\"\ncpus = {}\nmemory = \"{}\"\ndisk = \"{}\"\n",
            node.name, node.cpus, node.memory, node.disk
        );
    }
    Some(out)
}
