//! C4 and C5 at one moment: what admission says to a pod that must be refused, and how agents carry packets.
//! Knows nothing of which moment it is.

use serde_json::Value;

use super::super::{Clause, Finding};
use super::{Court, Said};

/// How the API server reports a webhook that said no.
const DENIED: &str = "denied the request";

/// C4: Kyverno itself must say no. An error of another kind keeps a pod out, too, and proves nothing.
pub(super) fn enforced(court: &Court<'_>, said: &Said, when: &str) -> Option<Finding> {
    let got = match &said.offered {
        Some((false, words)) if words.contains(DENIED) => return None,
        Some((true, _)) => "it is let in".to_owned(),
        Some((false, words)) => {
            format!("another answer: {}", words.lines().next().unwrap_or_default())
        }
        None => "nobody answers".to_owned(),
    };
    let want = format!("a pod without version, registry and limits is denied {when}");
    let hint = court.look("get validatingpolicies,validatingwebhookconfigurations");
    Some(court.breach((Clause::C4, "enforced"), "validationActions", "Kyverno", [want, got, hint]))
}

/// C5: every agent itself says `tunnel` and `vxlan`.
pub(super) fn tunnelled(court: &Court<'_>, said: &Said, when: &str) -> Option<Finding> {
    let nodes = court.app.nodes;
    let got = match said.agents.as_deref().map(ways) {
        None => "nobody answers".to_owned(),
        Some(ways) if ways.len() != nodes => format!("{} of {nodes} agents", ways.len()),
        Some(ways) => ways.into_iter().find(|way| way != "tunnel vxlan")?,
    };
    let want = format!("{nodes} agents that tunnel by vxlan {when}");
    let hint = format!("cilium status --context {}", court.app.name);
    Some(court.breach((Clause::C5, "carried"), "tunnelProtocol", "cilium", [want, got, hint]))
}

/// How each agent carries packets, as it says itself.
fn ways(status: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(status).unwrap_or_default();
    let agents = document["cilium_status"].as_object().into_iter().flatten();
    let way = |(name, agent): (&String, &Value)| {
        let routing = &agent["routing"];
        match (routing["inter-host-routing-mode"].as_str(), routing["tunnel-protocol"].as_str()) {
            (Some(mode), protocol) => format!("{} {}", mode.to_lowercase(), protocol.unwrap_or("nothing")),
            (None, _) => format!("{name} does not answer"),
        }
    };
    agents.map(way).collect()
}
