//! Finds nodes whose VM has another address than the node was created with.

use serde_json::Value;

use super::cluster_checks::is_unmade;
use super::{Finding, Grade, Survey, finding};
use model::fleet::{Cluster, Node};
use model::problem::Problem;
use plan::StepKey;
use tool::extract::json;

/// What to run. `start` has the same steps, and more that follows from an address outside of the mesh.
const READDRESS: &str = "cargo xtask mesh-connect   # or cargo xtask start: either readdresses it (ADR-0010)";

pub(super) fn findings(survey: &Survey<'_>) -> Vec<Finding> {
    let of = |c| {
        let nodes = |c: &Cluster| c.nodes.iter().filter_map(|node| moved(survey, c, node)).collect::<Vec<_>>();
        let found = nodes(c);
        if found.is_empty() { stale_kubeconfig(survey, c).into_iter().collect() } else { found }
    };
    survey.asked().flat_map(of).collect()
}

/// The state that a node reports, and the address of its VM.
fn node_state<'a>(survey: &Survey<'a>, cluster: &Cluster, node: &Node) -> Option<(Value, &'a str)> {
    let output = survey.answers.get(&StepKey::node(cluster, node, "clock")).filter(|o| o.ok())?;
    Some((json(&output.stdout).ok()?, survey.address(cluster, node)?))
}

fn moved(survey: &Survey<'_>, cluster: &Cluster, node: &Node) -> Option<Finding> {
    let (state, now) = node_state(survey, cluster, node)?;
    let text = |field: &str| state[field].as_str().unwrap_or_default();
    let vm = cluster.vm(node);
    let was = |field: &str| if text(field).is_empty() { "an address that is half changed" } else { text(field) };
    let made = ["up", "booting"].contains(&text("control_plane")) && state["sealed"] == true;
    let control_plane = node.name == cluster.control_plane().name;
    let (check, problem) = if control_plane && made && text("advertised") != now {
        let what = format!("{vm} has a new address: its control plane uses {}, the VM is at {now}", was("advertised"));
        let why = "DHCP gave it another address; etcd and the API server's certificate are bound to the old one";
        ("API servers", Problem::new(what).why(why))
    } else if text("worker") == "joined" && text("node_ip") != now && (made || !control_plane) {
        let what = format!("{vm} has a new address: its kubelet uses {}, the VM is at {now}", was("node_ip"));
        ("nodes", Problem::new(what).why("DHCP gave it another address; its node is not ready until both agree"))
    } else {
        let (_, api) = node_state(survey, cluster, cluster.control_plane())?;
        let known = text("api_address");
        if known.is_empty() || known == api {
            return None;
        }
        let what = format!("{vm} uses a stale address of {}: {known} (now {api})", cluster.api_name());
        ("nodes", Problem::new(what).why("the control plane has a new address, which this node does not have yet"))
    };
    Some(finding(check, cluster, Grade::Moved, problem.hint(READDRESS)))
}

/// The API server runs at the right address, and our kubeconfig has another one.
fn stale_kubeconfig(survey: &Survey<'_>, cluster: &Cluster) -> Option<Finding> {
    survey.answer(cluster, "api").filter(|o| !o.ok() && !is_unmade(o))?;
    let (state, now) = node_state(survey, cluster, cluster.control_plane())?;
    if state["control_plane"] != "up" {
        return None;
    }
    let what = format!("out/kube/{0}.yaml has a stale address: the API server of {0} runs at {now}", cluster.name);
    let problem = Problem::new(what).why("it was written when the control plane had another address");
    Some(finding("API servers", cluster, Grade::Moved, problem.hint(READDRESS)))
}
