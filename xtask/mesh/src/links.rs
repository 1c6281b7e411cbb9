//! Checks that clusters are configured with their peers at current addresses, and connected.

use serde_json::Value;

use super::evidence::{self, Link, link};
use super::{Finding, Grade, Survey, finding};
use model::fleet::Cluster;
use model::problem::Problem;
use render::mesh::peers;
use tool::extract::json;

const CONNECT: &str = "cargo xtask mesh-connect";

pub(super) fn findings(survey: &Survey<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for cluster in survey.here() {
        found.extend(moved(survey, cluster));
        let document = survey.stdout(cluster, "links").and_then(|text| json(text).ok());
        for peer in peers(survey.fleet, cluster).into_iter().filter(|p| survey.scope.has(p)) {
            match peer_config(survey, cluster, peer) {
                Some(finding) => found.push(finding),
                None => {
                    let broken = document.iter().flat_map(|d| linked(cluster, peer, d)).collect::<Vec<_>>();
                    let counted = if broken.is_empty() { counted(survey, cluster, peer) } else { None };
                    found.extend(broken.into_iter().chain(counted));
                }
            }
        }
    }
    found
}

/// Agents keep the address that their node had when they started.
pub(super) fn moved(survey: &Survey<'_>, cluster: &Cluster) -> Option<Finding> {
    let nodes = evidence::node_addresses(survey.stdout(cluster, "ranges")?);
    cluster.nodes.iter().find_map(|node| {
        let vm = cluster.vm(node);
        let now = survey.address(cluster, node)?;
        let held = nodes.iter().find(|s| s.node == vm).filter(|s| !s.addresses.iter().any(|a| a == now))?;
        let problem =
            Problem::new(format!("the agent on {vm} uses a stale address of its node: {}", held.addresses.join(", ")))
                .why(format!("the VM is at {now} now: DHCP gave it another address"))
                .hint(CONNECT);
        Some(finding("peers", cluster, Grade::Open, problem))
    })
}

fn peer_config(survey: &Survey<'_>, cluster: &Cluster, peer: &Cluster) -> Option<Finding> {
    let known = evidence::configured_addresses(survey.stdout(cluster, "peers")?, &peer.name);
    let now: Vec<&str> = peer.nodes.iter().filter_map(|n| survey.address(peer, n)).collect();
    let old: Vec<&str> = known.iter().map(String::as_str).filter(|ip| !now.contains(ip)).collect();
    let problem = if known.is_empty() {
        Problem::new(format!("{} is not configured to peer with {}", cluster.name, peer.name))
    } else if !old.is_empty() && !now.is_empty() {
        Problem::new(format!("{} uses a stale address of {}: {}", cluster.name, peer.name, old.join(", ")))
            .why(format!("it is at {} now: DHCP gave it another address", now.join(", ")))
    } else {
        return None;
    };
    Some(finding("peers", cluster, Grade::Open, problem.hint(CONNECT)))
}

/// A link that is up has copied every node of the peer; nodes that it lacks are unreachable.
fn counted(survey: &Survey<'_>, cluster: &Cluster, peer: &Cluster) -> Option<Finding> {
    let (known, all) = (evidence::nodes_known(survey.stdout(cluster, "agents")?, &peer.name)?, peer.nodes.len() as u64);
    let what = format!("agents of {} have {known} of the {all} nodes of {}", cluster.name, peer.name);
    let problem = Problem::new(what)
        .why("packets to the others are dropped")
        .hint(format!("kubectl --kubeconfig out/kube/{}.yaml get ciliumnodes.cilium.io", peer.name));
    (known != all).then(|| finding("agents", cluster, Grade::Open, problem))
}

/// KVStoreMesh first: agents read its copy, and report "ready" for a peer that is gone.
fn linked(cluster: &Cluster, peer: &Cluster, document: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    let logs = |container: &str| {
        format!(
            "kubectl --kubeconfig out/kube/{}.yaml --namespace kube-system logs {container} --tail 50",
            cluster.name
        )
    };
    let mut check = |check: &'static str, (who, is): (&str, &str), link: Option<Link>, wanted: u64, hint: String| {
        let Some(link) = link else {
            let problem = Problem::new(format!("{who} of {} did not answer", cluster.name));
            return found.push(finding(check, cluster, Grade::Open, problem.hint(hint)));
        };
        let problem = if link.total < wanted {
            Problem::new(format!("{who} of {}: {} of {wanted} answer", cluster.name, link.total))
                .why("cilium-cli reports success even if none answers")
        } else if link.connected < wanted {
            let copying = link.error.as_ref().is_some_and(|e| e.starts_with("synchronization"));
            let state = if copying { "still copying from" } else { "not connected with" };
            let what = format!("{who} of {} {is} {state} {}", cluster.name, peer.name);
            let of = format!("{} of {wanted}", link.connected);
            Problem::new(what)
                .why(link.error.map_or_else(|| format!("{of} connected"), |error| format!("{of} connected: {error}")))
        } else {
            return;
        };
        found.push(finding(check, cluster, Grade::Open, problem.hint(hint)));
    };
    let cache = logs("deployment/clustermesh-apiserver --container kvstoremesh");
    check("KVStoreMesh", ("KVStoreMesh", "is"), link(document, "/kvstoremesh/status", &peer.name), 1, cache);
    let nodes = cluster.nodes.len() as u64;
    let agents = link(document, "/connectivity", &peer.name);
    check("agents", ("the agents", "are"), agents, nodes, logs("daemonset/cilium"));
    found
}
