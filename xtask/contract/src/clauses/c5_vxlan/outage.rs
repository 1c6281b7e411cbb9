//! C5 in an outage: every agent reports that it tunnels by VXLAN.

use serde_json::Value;

use super::live::{VXLAN, routing};
use crate::drill::observation;
use crate::outage::{ClusterSnapshot, OutageContext};
use model::fleet::Cluster;
use plan::Step;
use plan::bootstrap::KUBECONFIG;
use tool::cilium::Cilium;

pub(super) fn observations(cluster: &Cluster) -> Vec<Step> {
    let ask = Cilium::with(&format!("out/{KUBECONFIG}")).status(&cluster.name);
    vec![observation(cluster, "agents", "read the routing of Cilium's agents on", ask)]
}

pub(super) fn ready(ctx: &mut OutageContext<'_>) {
    tunnelled(ctx, &ctx.app.before, "before the drill");
}

pub(super) fn judge(ctx: &mut OutageContext<'_>) {
    for (snapshot, when) in ctx.moments() {
        tunnelled(ctx, snapshot, when);
    }
}

fn tunnelled(ctx: &mut OutageContext<'_>, snapshot: &ClusterSnapshot, when: &str) {
    let nodes = ctx.app.nodes;
    let got = match snapshot.text("agents").map(agents) {
        None => "no answer".to_owned(),
        Some(agents) if agents.len() != nodes => format!("{} of {nodes} agents", agents.len()),
        Some(agents) => match agents.into_iter().find(|way| way != VXLAN) {
            Some(other) => other,
            None => return,
        },
    };
    let want = format!("{nodes} agents that tunnel by vxlan {when}");
    let hint = format!("cilium status --context {}", ctx.app.name);
    ctx.breach("tunnelled", "tunnelProtocol", "cilium", &want, &got, &hint);
}

/// How each agent of `cilium status` routes packets.
fn agents(status: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(status).unwrap_or_default();
    let agents = document["cilium_status"].as_object().into_iter().flatten();
    agents.map(|(name, agent)| routing(agent).unwrap_or_else(|| format!("{name} does not answer"))).collect()
}
