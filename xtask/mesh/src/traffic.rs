//! Checks that nodes and pods reach those of other clusters once every link is up.

use super::{Finding, Grade, Survey, finding, why};
use machines::Machine;
use model::fleet::Cluster;
use model::problem::Problem;
use plan::mesh::survey::tried;
use plan::mesh::{health_id, pod_id};
use tool::extract::json;

/// Nothing where no probe ran.
pub(super) fn findings(survey: &Survey<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for cluster in survey.here() {
        found.extend(health(survey, cluster));
        for peer in tried(survey.fleet, cluster, survey.scope) {
            found.extend(pods(survey, cluster, peer));
        }
    }
    found
}

/// The first node that an agent does not reach: at its own address by TCP 4240, or through the tunnel, UDP 8472.
fn health(survey: &Survey<'_>, cluster: &Cluster) -> Option<Finding> {
    let document = json(&survey.answers.get(&health_id(cluster)).filter(|o| o.ok())?.stdout).ok()?;
    let error = |node: &serde_json::Value, part: &str| {
        let status = node[part]["primary-address"]["http"]["status"].as_str().unwrap_or_default();
        (!status.is_empty()).then(|| status.to_owned())
    };
    let lost = document["nodes"].as_array()?.iter().find_map(|node| {
        let name = node["name"].as_str().unwrap_or("a node");
        let at = node["host"]["primary-address"]["ip"].as_str().unwrap_or("an unknown address");
        let host = error(node, "host").map(|why| (format!("{name} at {at}, port 4240/tcp"), why));
        host.or_else(|| {
            Some((format!("pods on {name} through the tunnel, port 8472/udp"), error(node, "health-endpoint")?))
        })
    });
    let (what, why) = lost?;
    let hint = Machine::of(cluster, cluster.control_plane()).ask(&["sudo", "iptables-save"]).to_string();
    let problem = Problem::new(format!("an agent of {} does not reach {what}", cluster.name)).why(why).hint(hint);
    Some(finding("health", cluster, Grade::Open, problem))
}

fn pods(survey: &Survey<'_>, cluster: &Cluster, peer: &Cluster) -> Option<Finding> {
    let answer = |size| survey.answers.get(&pod_id(cluster, peer, size));
    let (small, large) = (answer("small")?, answer("large")?);
    let (from, to) = (&cluster.name, &peer.name);
    let problem = if !small.ok() {
        let hint = format!("cilium connectivity test --context {from} --multi-cluster {to} --hubble=false");
        let what = format!("a pod of {from} does not reach a pod of {to}");
        Problem::new(what).why(why(small)).hint(format!("KUBECONFIG=out/kube/config.yaml {hint}"))
    } else if !large.ok() {
        let what = format!("small requests from {from} reach {to}, and one of 1400 bytes does not");
        Problem::new(what)
            .why(format!("{}; the way takes smaller packets than the tunnel sends (MTU)", why(large)))
            .hint(Machine::of(cluster, cluster.control_plane()).ask(&["ip", "link"]).to_string())
    } else {
        return None;
    };
    Some(finding("pods", cluster, Grade::Open, problem))
}
