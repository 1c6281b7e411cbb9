//! Cluster Mesh peers as Helm values: an overlay per cluster, and the merged Cilium values (ADR-0008).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use model::yaml;

use super::merge::{Derived, merge};
use super::{Files, from_module};
use model::fleet::{Cluster, Fleet};
use model::problem::Problem;
use model::token;

pub const RELEASE: &str = "cilium";
/// The step that issues certificates of a cluster.
pub const CERTIFICATES: &str = "cilium/certificates";

/// Addresses of each cluster's nodes, as tokens or last known values. A cluster without an entry is no peer yet.
pub type Addresses = BTreeMap<String, Vec<String>>;

/// Linked clusters, in fleet order: all others, or those of `[mesh] links`.
pub fn peers<'a>(fleet: &'a Fleet, cluster: &Cluster) -> Vec<&'a Cluster> {
    let pair = |other: &Cluster| {
        let both = [cluster.name.as_str(), other.name.as_str()];
        fleet.mesh.links.iter().any(|(a, b)| both == [a.as_str(), b.as_str()] || both == [b.as_str(), a.as_str()])
    };
    let linked = |other: &Cluster| other.name != cluster.name && (fleet.mesh.links.is_empty() || pair(other));
    fleet.clusters.iter().filter(|other| linked(other)).collect()
}

/// Addresses of all nodes, as tokens: any node forwards a NodePort, so the mesh survives the loss of one.
pub fn addresses(cluster: &Cluster) -> Vec<String> {
    cluster.nodes.iter().map(|node| token::fact(&cluster.ip_fact(node))).collect()
}

/// Path of a cluster's overlay, below `out/`. Its digest identifies the peers of a release.
pub fn overlay(cluster: &Cluster) -> String {
    format!("{}/{RELEASE}/mesh.yaml", cluster.name)
}

/// Path of the merged values, below `out/`.
pub fn values(cluster: &Cluster) -> String {
    format!("{}/{RELEASE}/meshed.yaml", cluster.name)
}

/// Overlay and merged values of every cluster that has values in `base`, the files of `bootstrap`.
///
/// # Errors
/// The values of a cluster already name peers.
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
    let document = documents.first().ok_or_else(|| vec![Problem::new(format!("`{file}` is empty"))])?;
    let derived = Derived::new("clustermesh.config.clusters", peers, from_module("mesh"));
    Ok(yaml::write(&[merge(document, &[derived])?]))
}

/// The map form, supported since chart 1.19.
fn clusters(fleet: &Fleet, cluster: &Cluster, known: &Addresses) -> Value {
    let entry = |peer: &Cluster| {
        let ips = known.get(&peer.name)?;
        Some((peer.name.clone(), json!({ "enabled": true, "ips": ips, "port": fleet.mesh_port(peer) })))
    };
    Value::Object(peers(fleet, cluster).into_iter().filter_map(entry).collect::<Map<_, _>>())
}
