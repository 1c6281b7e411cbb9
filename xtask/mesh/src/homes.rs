//! Whether nodes are at home: what they were made with is the address that their VM has.
//! Knows nothing of the mesh. A node that is not is what hides everything else of its cluster, so it is judged first.

use serde_json::Value;

use super::{Finding, Grade, Survey, finding};
use model::fleet::{Cluster, Node};
use model::problem::Problem;
use plan::StepKey;
use tool::extract::json;

/// What to run. `start` has the same steps, and more that follows from an address outside of the mesh.
const HOME: &str = "cargo xtask mesh-connect   # or cargo xtask start: either readdresses it (ADR-0010)";

/// All findings about homes.
pub(super) fn findings(survey: &Survey<'_>) -> Vec<Finding> {
    let of = |c| {
        let nodes = |c: &Cluster| c.nodes.iter().filter_map(|node| moved(survey, c, node)).collect::<Vec<_>>();
        let found = nodes(c);
        if found.is_empty() { astray(survey, c).into_iter().collect() } else { found }
    };
    survey.asked().flat_map(of).collect()
}

/// What a node says of itself, and where its VM is now.
fn seen<'a>(survey: &Survey<'a>, cluster: &Cluster, node: &Node) -> Option<(Value, &'a str)> {
    let output = survey.answers.get(&StepKey::node(cluster, node, "clock")).filter(|o| o.ok())?;
    Some((json(&output.stdout).ok()?, survey.address(cluster, node)?))
}

fn moved(survey: &Survey<'_>, cluster: &Cluster, node: &Node) -> Option<Finding> {
    let (state, now) = seen(survey, cluster, node)?;
    let text = |field: &str| state[field].as_str().unwrap_or_default();
    let vm = cluster.vm(node);
    let was = |field: &str| if text(field).is_empty() { "an address that is half changed" } else { text(field) };
    let made = ["up", "booting"].contains(&text("control_plane")) && state["sealed"] == true;
    let control_plane = node.name == cluster.control_plane().name;
    let (check, problem) = if control_plane && made && text("advertised") != now {
        let what = format!("{vm} has moved: its control plane is made for {}, the VM is at {now}", was("advertised"));
        let why = "DHCP gave it another address; etcd and the API server's certificate are bound to the old one";
        ("API servers", Problem::new(what).why(why))
    } else if text("worker") == "joined" && text("node_ip") != now && (made || !control_plane) {
        let what = format!("{vm} has moved: its kubelet is told {}, the VM is at {now}", was("node_ip"));
        ("nodes", Problem::new(what).why("DHCP gave it another address; its node is not ready until both agree"))
    } else {
        let (_, api) = seen(survey, cluster, cluster.control_plane())?;
        let known = text("api_address");
        if known.is_empty() || known == api {
            return None;
        }
        let what = format!("{vm} looks for {} at {known}, it is at {api}", cluster.api_name());
        ("nodes", Problem::new(what).why("the control plane got another address, and this node was not told"))
    };
    Some(finding(check, cluster, Grade::Moved, problem.hint(HOME)))
}

/// The API server runs where it should, and our own way to it leads elsewhere.
fn astray(survey: &Survey<'_>, cluster: &Cluster) -> Option<Finding> {
    survey.answer(cluster, "api").filter(|o| !o.ok())?;
    let (state, now) = seen(survey, cluster, cluster.control_plane())?;
    if state["control_plane"] != "up" {
        return None;
    }
    let what = format!("out/kube/{}.yaml does not lead to its API server, which runs at {now}", cluster.name);
    let problem = Problem::new(what).why("it was written when the control plane had another address");
    Some(finding("API servers", cluster, Grade::Moved, problem.hint(HOME)))
}
