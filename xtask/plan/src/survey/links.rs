//! Which clusters are linked as the fleet requires, a line for each.

use super::super::{Plan, StepKey};
use super::{Answers, ProbeState};
use model::fleet::{Cluster, Fleet};
use render::mesh::{RELEASE, peers};
use tool::helm::revisions::newest;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkView {
    pub cluster: String,
    /// `connected with mgmt, app2`, or what is in the way.
    pub state: String,
    /// Whether it is linked as the fleet requires; `None` if it was never connected or cannot be checked.
    pub matches: Option<bool>,
}

/// The checks whether clusters are connected, of those that are configured with peers.
pub fn questions(fleet: &Fleet, connect: &Plan, answers: &Answers) -> Plan {
    let ids: Vec<StepKey> = fleet.clusters.iter().filter(|c| has_peers(c, answers)).map(id).collect();
    connect.checks(&ids)
}

/// A line for each cluster that has peers: from the answers to what a bootstrap asks, and to [`questions`].
pub fn links(fleet: &Fleet, answers: &Answers, connected: &Answers) -> Vec<LinkView> {
    let linked = fleet.clusters.iter().filter(|cluster| !peers(fleet, cluster).is_empty());
    linked.map(|cluster| view(fleet, cluster, answers, connected)).collect()
}

/// The checks whether clusters are configured with peers.
pub fn peer_questions(fleet: &Fleet, install: &Plan) -> Plan {
    let ids: Vec<StepKey> = fleet.clusters.iter().map(|c| StepKey::cluster(&c.name, RELEASE)).collect();
    install.checks(&ids)
}

pub fn clusters_with_peers(fleet: &Fleet, answers: &Answers) -> Vec<String> {
    fleet.clusters.iter().filter(|c| has_peers(c, answers)).map(|c| c.name.clone()).collect()
}

fn id(cluster: &Cluster) -> StepKey {
    StepKey::cluster(&cluster.name, "mesh/connected")
}

/// The newest revision has the label that peers are written with.
fn has_peers(cluster: &Cluster, answers: &Answers) -> bool {
    let revisions = answers.get(&StepKey::cluster(&cluster.name, RELEASE)).and_then(|answer| answer.output.as_ref());
    let newest = revisions.filter(|output| output.ok()).and_then(|output| newest(&output.stdout, "kube-system/cilium"));
    newest
        .is_some_and(|revision| ["deployed", "failed"].contains(&revision.status.as_str()) && !revision.mesh.is_empty())
}

fn view(fleet: &Fleet, cluster: &Cluster, answers: &Answers, connected: &Answers) -> LinkView {
    let names: Vec<&str> = peers(fleet, cluster).into_iter().map(|peer| peer.name.as_str()).collect();
    let up = answers
        .get(&StepKey::cluster(&cluster.name, "kubeconfig"))
        .is_some_and(|answer| answer.state == ProbeState::Matches);
    let (state, matches) = match connected.get(&id(cluster)).map(|answer| &answer.state) {
        Some(ProbeState::Matches) => (format!("connected with {}", names.join(", ")), Some(true)),
        Some(ProbeState::Differs { .. }) => {
            ("differs from the fleet: cargo xtask mesh-connect --diagnose".to_owned(), Some(false))
        }
        Some(ProbeState::NoAnswer(why)) => (why.clone(), Some(false)),
        _ if up => ("not connected: cargo xtask mesh-connect".to_owned(), None),
        _ => ("unknown".to_owned(), None),
    };
    LinkView { cluster: cluster.name.clone(), state, matches }
}
