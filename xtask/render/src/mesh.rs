//! Peers of the mesh as Helm values: an overlay per cluster, and the cluster's Cilium values with it (ADR-0022).
//! Knows nothing of how they reach a cluster, or of which clusters answer.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::merge::{Derived, merge};
use super::{Files, from_here, yaml};
use model::fleet::{Cluster, Fleet};
use model::problem::Problem;
use model::token;

/// The release whose values hold the peers.
pub const RELEASE: &str = "cilium";

/// Addresses of each cluster's nodes, as tokens or as they were last known. A cluster that is not here is no peer yet.
pub type Addresses = BTreeMap<String, Vec<String>>;

/// The clusters that one is linked to, in the order of the fleet: all others, or those of `[mesh] links`.
pub fn peers<'a>(fleet: &'a Fleet, cluster: &Cluster) -> Vec<&'a Cluster> {
    let pair = |other: &Cluster| {
        let both = [cluster.name.as_str(), other.name.as_str()];
        fleet.mesh.links.iter().any(|(a, b)| both == [a.as_str(), b.as_str()] || both == [b.as_str(), a.as_str()])
    };
    let linked = |other: &Cluster| other.name != cluster.name && (fleet.mesh.links.is_empty() || pair(other));
    fleet.clusters.iter().filter(|other| linked(other)).collect()
}

/// The addresses of all nodes, as tokens: any node forwards a NodePort, so the mesh outlives any one of them.
pub fn addresses(cluster: &Cluster) -> Vec<String> {
    cluster.nodes.iter().map(|node| token::fact(&cluster.ip_fact(node))).collect()
}

/// The overlay of a cluster, below `out/`. Its digest says which peers a release has.
pub fn overlay(cluster: &Cluster) -> String {
    format!("{}/{RELEASE}/mesh.yaml", cluster.name)
}

/// The whole values of a cluster with its peers, below `out/`.
pub fn values(cluster: &Cluster) -> String {
    format!("{}/{RELEASE}/meshed.yaml", cluster.name)
}

/// Overlay and whole values of every cluster that has any in `base`, the files as `bootstrap` uses them.
///
/// # Errors
/// The values of a cluster already name peers: they have one owner.
pub fn files(fleet: &Fleet, known: &Addresses, base: &Files) -> Result<Files, Vec<Problem>> {
    let (mut files, mut problems) = (Files::new(), Vec::new());
    for cluster in &fleet.clusters {
        let file = format!("{}/{RELEASE}/values.yaml", cluster.name);
        let Some(text) = base.get(&file) else { continue };
        let peers = clusters(fleet, cluster, known);
        files.insert(overlay(cluster), yaml::write(&[json!({ "clustermesh": { "config": { "clusters": peers } } })]));
        match with_peers(&file, text, peers) {
            Ok(text) => drop(files.insert(values(cluster), text)),
            Err(some) => problems.extend(some),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

fn with_peers(file: &str, text: &str, peers: Value) -> Result<String, Vec<Problem>> {
    let documents = yaml::parse(file, text)?;
    let document = documents.first().ok_or_else(|| vec![Problem::new(format!("an empty file: `{file}`"))])?;
    let derived = Derived::new("clustermesh.config.clusters", peers, from_here("mesh"));
    Ok(yaml::write(&[merge(document, &[derived])?]))
}

/// The map form, which charts take since 1.19.
fn clusters(fleet: &Fleet, cluster: &Cluster, known: &Addresses) -> Value {
    let entry = |peer: &Cluster| {
        let ips = known.get(&peer.name)?;
        Some((peer.name.clone(), json!({ "enabled": true, "ips": ips, "port": fleet.mesh_port(peer) })))
    };
    Value::Object(peers(fleet, cluster).into_iter().filter_map(entry).collect::<Map<_, _>>())
}
