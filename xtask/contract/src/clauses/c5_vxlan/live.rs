//! C5, live: every node has an agent, and each reports that it tunnels by VXLAN. The ConfigMap and the values can be ahead
//! of an agent that was not restarted.

use serde_json::Value;

use crate::live::{LiveContext, Site, probes};
use crate::rendered_state::ClusterManifests;
use model::fleet::Cluster;
use plan::{Expect, Step};

/// Mode and protocol of an agent that holds the clause.
pub(super) const VXLAN: &str = "tunnel vxlan";

/// Cilium's agent of each node.
pub(super) fn probes(cluster: &Cluster, _: &ClusterManifests) -> Vec<Step> {
    let is = |key: &str, value: &str| Expect::Json(format!("/routing/{key}"), value.into());
    let vxlan = Expect::All(vec![is("inter-host-routing-mode", "Tunnel"), is("tunnel-protocol", "vxlan")]);
    let words = ["cilium-dbg", "status", "--output", "json"];
    let status = |pod: &str| probes::kubectl(cluster).exec("kube-system", pod, "cilium-agent", &words);
    let pod = ("cilium", "kube-system", "k8s-app=cilium");
    let of_node = |node| probes::on_node((cluster, node), pod, "read the routing of Cilium on", &status, vxlan.clone());
    [probes::nodes(cluster)].into_iter().chain(cluster.nodes.iter().flat_map(of_node)).collect()
}

pub(super) fn judge(ctx: &mut LiveContext<'_>) {
    let mut summary = Vec::new();
    ctx.rule("agents");
    for site in ctx.sites() {
        let (agents, nodes) = of_site(ctx, site);
        ctx.metric(&format!("agents of {}", site.name()), format!("{agents} of {nodes} nodes, by VXLAN"));
        summary.push(format!("{agents} of {nodes} on {}", site.name()));
    }
    ctx.summary(format!("agents that report a VXLAN tunnel: {}", summary.join(", ")));
    ctx.rationale("read from each agent by `cilium-dbg status`, at routing.tunnel-protocol; not from the ConfigMap");
}

/// How many agents tunnel by VXLAN, and how many nodes there are.
fn of_site(ctx: &mut LiveContext<'_>, site: Site<'_>) -> (usize, usize) {
    let cluster = site.name();
    let Some(nodes) = ctx.items(cluster, "nodes") else { return (0, 0) };
    let names: Vec<&str> = nodes.iter().filter_map(|n| n["metadata"]["name"].as_str()).collect();
    if names.len() != site.rendered.nodes {
        let (want, got) = (format!("{} nodes, as in the fleet", site.rendered.nodes), names.join(", "));
        ctx.breach(cluster, "nodes", "nodes", &want, &got, "cargo xtask doctor");
    }
    let good = names.iter().filter(|node| of_node(ctx, cluster, node).as_deref() == Some(VXLAN)).count();
    (good, names.len())
}

/// How the agent of a node routes packets, if it reports that.
fn of_node(ctx: &mut LiveContext<'_>, cluster: &str, node: &str) -> Option<String> {
    let found = format!("{node}/cilium-pod");
    let pods = ctx.items(cluster, &found)?;
    if pods.len() != 1 {
        let got = if pods.is_empty() { "none".to_owned() } else { format!("{} pods", pods.len()) };
        let hint =
            format!("kubectl --namespace kube-system get pods --selector k8s-app=cilium --output wide   # {cluster}");
        ctx.breach(cluster, &found, node, "one agent of Cilium on the node", &got, &hint);
        return None;
    }
    let what = format!("{node}/cilium");
    let status = ctx.json(cluster, &what)?;
    let pod = pods[0]["metadata"]["name"].as_str().unwrap_or_default();
    let Some(way) = routing(&status) else {
        return ctx.no_answer(cluster, &what, format!("{pod} reports no routing mode"));
    };
    if way != VXLAN {
        let (subject, got) = (format!("agent on {node}"), format!("{pod} reports: {way}"));
        let hint = "kubectl --namespace kube-system rollout restart daemonset/cilium";
        ctx.breach(cluster, &what, &subject, "an agent that runs tunnel vxlan", &got, hint);
    }
    Some(way)
}

/// Mode and protocol as an agent reports them (`models.RoutingStatus` of Cilium), in lower case.
pub(super) fn routing(status: &Value) -> Option<String> {
    let routing = &status["routing"];
    let mode = routing["inter-host-routing-mode"].as_str()?;
    let protocol = routing["tunnel-protocol"].as_str().unwrap_or_default();
    Some(format!("{mode} {protocol}").trim().to_lowercase())
}
