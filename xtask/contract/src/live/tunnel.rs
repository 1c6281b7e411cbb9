//! C5, live: every node has an agent, and each says itself that it tunnels by VXLAN.
//! Knows nothing of the ConfigMap and of values: both can be ahead of an agent that was not restarted.

use std::collections::BTreeMap;

use serde_json::Value;

use super::bench::{Bench, Site};

/// What an agent says of itself (`models.RoutingStatus` of Cilium): `Tunnel` and the protocol of its tunnel.
const MODE: &str = "/routing/inter-host-routing-mode";
const PROTOCOL: &str = "/routing/tunnel-protocol";

pub(super) fn judge(bench: &mut Bench<'_>) {
    let mut told = Vec::new();
    for site in bench.sites() {
        bench.case.rule("agents");
        let (agents, nodes) = of_site(bench, site);
        bench.case.figure(&format!("agents of {}", site.name()), format!("{agents} of {nodes} nodes, by VXLAN"));
        told.push(format!("{agents} of {nodes} on {}", site.name()));
    }
    bench.case.headline(format!("agents that say themselves they tunnel by VXLAN: {}", told.join(", ")));
    bench
        .case
        .because("read from each agent by `cilium-dbg status`, at routing.tunnel-protocol; not from the ConfigMap");
}

/// How many agents tunnel by VXLAN, and how many nodes there are.
fn of_site(bench: &mut Bench<'_>, site: Site<'_>) -> (usize, usize) {
    let cluster = site.name();
    let Some(nodes) = bench.items(cluster, "nodes") else { return (0, 0) };
    let names: Vec<&str> = nodes.iter().filter_map(|n| n["metadata"]["name"].as_str()).collect();
    if names.len() != site.rendered.nodes {
        let (want, got) = (format!("{} nodes, as in the fleet", site.rendered.nodes), names.join(", "));
        bench.breach(cluster, "nodes", "nodes", &want, &got, "cargo xtask doctor");
    }
    let mut ways: BTreeMap<&str, Option<String>> = BTreeMap::new();
    for node in &names {
        ways.insert(node, of_node(bench, cluster, node));
    }
    let good = |way: &&Option<String>| way.as_deref() == Some("tunnel vxlan");
    (ways.values().filter(good).count(), names.len())
}

/// How the agent of a node carries packets, if it says so.
fn of_node(bench: &mut Bench<'_>, cluster: &str, node: &str) -> Option<String> {
    let restart = "kubectl --namespace kube-system rollout restart daemonset/cilium";
    let pods = bench.items(cluster, &format!("{node}/cilium-pod"))?;
    if pods.len() != 1 {
        let got = if pods.is_empty() { "none".to_owned() } else { format!("{} pods", pods.len()) };
        let hint =
            format!("kubectl --namespace kube-system get pods --selector k8s-app=cilium --output wide   # {cluster}");
        bench.breach(cluster, &format!("{node}/cilium-pod"), node, "one agent of Cilium on the node", &got, &hint);
        return None;
    }
    let what = format!("{node}/cilium");
    let status = bench.json(cluster, &what)?;
    let word = |pointer: &str| status.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let way = [word(MODE), word(PROTOCOL)].join(" ");
    let pod = pods[0]["metadata"]["name"].as_str().unwrap_or_default();
    if way.trim().is_empty() {
        return bench.unheard(cluster, &what, format!("{pod} says nothing of its routing"));
    }
    if way != "tunnel vxlan" {
        let got = format!("{pod} says: {}", way.trim());
        bench.breach(cluster, &what, &format!("agent on {node}"), "an agent that runs tunnel vxlan", &got, restart);
    }
    Some(way)
}
