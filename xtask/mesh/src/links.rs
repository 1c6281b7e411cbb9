//! Whether clusters were told of their peers, where they look for them, and what became of it.
//! Knows nothing of the clusters but their links.

use serde_json::Value;

use super::evidence::{self, Link, link};
use super::{Finding, Grade, Survey, finding};
use model::fleet::Cluster;
use model::problem::Problem;
use render::mesh::peers;
use tool::extract::json;

const CONNECT: &str = "cargo xtask mesh-connect";

/// All findings about links.
pub(super) fn findings(survey: &Survey<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for cluster in survey.here() {
        found.extend(moved(survey, cluster));
        let document = survey.said(cluster, "links").and_then(|text| json(text).ok());
        for peer in peers(survey.fleet, cluster).into_iter().filter(|p| survey.scope.has(p)) {
            match told(survey, cluster, peer) {
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
    let sites = evidence::sites(survey.said(cluster, "ranges")?);
    cluster.nodes.iter().find_map(|node| {
        let vm = cluster.vm(node);
        let now = survey.address(cluster, node)?;
        let held = sites.iter().find(|s| s.node == vm).filter(|s| !s.addresses.iter().any(|a| a == now))?;
        let problem =
            Problem::new(format!("the agent on {vm} holds an old address of it: {}", held.addresses.join(", ")))
                .why(format!("the VM is at {now} now: DHCP gave it another address"))
                .hint(CONNECT);
        Some(finding("peers", cluster, Grade::Open, problem))
    })
}

fn told(survey: &Survey<'_>, cluster: &Cluster, peer: &Cluster) -> Option<Finding> {
    let known = evidence::told(survey.said(cluster, "peers")?, &peer.name);
    let now: Vec<&str> = peer.nodes.iter().filter_map(|n| survey.address(peer, n)).collect();
    let old: Vec<&str> = known.iter().map(String::as_str).filter(|ip| !now.contains(ip)).collect();
    let problem = if known.is_empty() {
        Problem::new(format!("{} was not told of {}", cluster.name, peer.name))
    } else if !old.is_empty() && !now.is_empty() {
        Problem::new(format!("{} looks for {} at an old address: {}", cluster.name, peer.name, old.join(", ")))
            .why(format!("it is at {} now: DHCP gave it another address", now.join(", ")))
    } else {
        return None;
    };
    Some(finding("peers", cluster, Grade::Open, problem.hint(CONNECT)))
}

/// A link that is up has copied every node of the peer; what it lacks is reached by nobody.
fn counted(survey: &Survey<'_>, cluster: &Cluster, peer: &Cluster) -> Option<Finding> {
    let (known, all) = (evidence::nodes_known(survey.said(cluster, "agents")?, &peer.name)?, peer.nodes.len() as u64);
    let what = format!("agents of {} know {known} of the {all} nodes of {}", cluster.name, peer.name);
    let problem = Problem::new(what)
        .why("packets to the others go nowhere")
        .hint(format!("kubectl --kubeconfig out/kube/{}.yaml get ciliumnodes.cilium.io", peer.name));
    (known != all).then(|| finding("agents", cluster, Grade::Open, problem))
}

/// KVStoreMesh first: agents read what it copied, and keep saying "ready" of a peer that is gone.
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
            let problem = Problem::new(format!("{who} of {} could not be asked", cluster.name));
            return found.push(finding(check, cluster, Grade::Open, problem.hint(hint)));
        };
        let problem = if link.total < wanted {
            Problem::new(format!("{who} of {}: {} answer, {wanted} are wanted", cluster.name, link.total))
                .why("cilium-cli calls it a success when none answers at all")
        } else if link.connected < wanted {
            let copying = link.error.as_ref().is_some_and(|e| e.starts_with("synchronization"));
            let state = if copying { "still copying from" } else { "not connected with" };
            let what = format!("{who} of {} {is} {state} {}", cluster.name, peer.name);
            let of = format!("{} of {wanted}", link.connected);
            Problem::new(what).why(link.error.map_or(of.clone(), |error| format!("{of}: {error}")))
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
