//! C5: Cilium tunnels by VXLAN on every cluster, alike on all of them.

mod live;
mod outage;

use super::Definition;
use crate::context::ClauseContext;
use crate::rendered_state::{ClusterManifests, Document, RenderedState};
use charts::verify::cilium::{Override, overrides_in_object, overrides_in_values};

const TUNNEL: [(&str, &str); 2] = [("routingMode", "tunnel"), ("tunnelProtocol", "vxlan")];
const NATIVE: [&str; 3] = ["autoDirectNodeRoutes", "endpointRoutes.enabled", "bgpControlPlane.enabled"];
/// What must be the same on every cluster of one mesh; each with what the chart takes if it is not set.
const ALIKE: [(&str, &str); 4] =
    [("tunnelPort", "8472"), ("MTU", "0"), ("clustermesh.maxConnectedClusters", "255"), ("ipam.mode", "cluster-pool")];

pub(super) static CLAUSE: Definition = Definition {
    probes: live::probes,
    live: live::judge,
    observations: outage::observations,
    ready: outage::ready,
    outage: outage::judge,
    mutants: include_str!("mutants.toml"),
    ..Definition::new("Cilium tunnels by VXLAN on every cluster", "adr/0005-cilium-vxlan.md", check)
};

fn check(state: &RenderedState, ctx: &mut ClauseContext) {
    let mut tunnels = 0;
    let mut first: Vec<Option<String>> = Vec::new();
    for cluster in &state.clusters {
        ctx.rule("tunnel");
        let Some(cilium) = cluster.releases().find(|s| s.chart() == Some("cilium")) else {
            let hint = "list the chart cilium for `platform` and `workload` in charts/releases.toml";
            ctx.missing(cluster, "cilium", "Cilium on every cluster", "nothing", hint);
            continue;
        };
        tunnels += usize::from(tunnel(cluster, cilium, ctx));
        native(cluster, cilium, ctx);
        alike(cluster, cilium, &mut first, ctx);
        configured(cluster, cilium, ctx);
        overridden(cluster, cilium, ctx);
    }
    ctx.summary(format!("{tunnels} of {} clusters tunnel by VXLAN", state.clusters.len()));
    ctx.rationale("`tunnel: vxlan`, as older guides write it, is refused by the chart (templates/validate.yaml)");
    ctx.rationale("values can be ahead of agents that were not restarted; the live tier reads each agent");
}

fn tunnel(cluster: &ClusterManifests, cilium: &Document, ctx: &mut ClauseContext) -> bool {
    let mut holds = true;
    for (path, want) in TUNNEL {
        holds &= ctx.expect(cluster, cilium, path, want, &format!("{path}: {want}"));
        ctx.metric(path, want);
    }
    if cilium.get("tunnel").is_some() {
        let hint = "routingMode: tunnel and tunnelProtocol: vxlan say it";
        ctx.breach(cluster, cilium, "tunnel", "no key `tunnel`", "one that the chart refuses", hint);
        holds = false;
    }
    holds
}

fn native(cluster: &ClusterManifests, cilium: &Document, ctx: &mut ClauseContext) {
    ctx.rule("native");
    for path in NATIVE {
        if ctx.on(cilium, path, false) {
            ctx.breach(cluster, cilium, path, "no route beside the tunnel", "on", format!("{path}: false"));
        }
    }
    let path = "ipv4NativeRoutingCIDR";
    if let Some(range) = ctx.text(cilium, path).filter(|range| !range.is_empty()) {
        ctx.breach(cluster, cilium, path, "no range that is routed natively", range, "remove it");
    }
}

fn alike(cluster: &ClusterManifests, cilium: &Document, first: &mut Vec<Option<String>>, ctx: &mut ClauseContext) {
    ctx.rule("alike");
    for (i, (path, otherwise)) in ALIKE.into_iter().enumerate() {
        let value = ctx.text(cilium, path).unwrap_or_else(|| otherwise.to_owned());
        match first.get(i) {
            None => first.push(Some(value.clone())),
            Some(Some(known)) if *known != value => {
                let want = format!("{path} as on the other clusters: {known}");
                ctx.breach(cluster, cilium, path, want, value.clone(), format!("{path}: {known}"));
            }
            Some(_) => {}
        }
    }
    let (pods, wanted) = ("ipam.mode", "kubernetes");
    ctx.expect(cluster, cilium, pods, wanted, "mode: kubernetes; the default gives every cluster the same pod range");
}

/// What wins over the values that are made for it, for all nodes or for some.
fn overridden(cluster: &ClusterManifests, cilium: &Document, ctx: &mut ClauseContext) {
    ctx.rule("overridden");
    let mut breach = |document: &Document, (path, key, value): Override| {
        let want = "the datapath of the values, on every node";
        ctx.breach(cluster, document, &path, want, format!("{key}: {value}"), format!("remove {path}"));
    };
    overrides_in_values(cilium.value()).into_iter().for_each(|found| breach(cilium, found));
    for document in cluster.objects("CiliumNodeConfig") {
        overrides_in_object(document.value()).into_iter().for_each(|found| breach(document, found));
    }
}

/// What the chart writes for the agents, where it was rendered: the ConfigMap is what they read when they start.
fn configured(cluster: &ClusterManifests, cilium: &Document, ctx: &mut ClauseContext) {
    const TUNNEL: [(&str, &str); 2] = [("data.routing-mode", "tunnel"), ("data.tunnel-protocol", "vxlan")];
    const NATIVE: [&str; 3] =
        ["data.auto-direct-node-routes", "data.enable-endpoint-routes", "data.enable-bgp-control-plane"];
    let mut made = cluster.rendered().filter(|s| s.name == cilium.name).peekable();
    if made.peek().is_none() {
        return;
    }
    ctx.rule("tunnel");
    let config = made.find(|s| s.word("kind") == "ConfigMap" && s.word("metadata.name") == "cilium-config");
    let Some(config) = config else {
        let hint = "charts/releases.toml: another version";
        ctx.missing(cluster, &cilium.name, "a ConfigMap cilium-config", "its chart renders none", hint);
        return;
    };
    let holds = TUNNEL.map(|(path, want)| ctx.expect(cluster, config, path, want, "charts/cilium/values.yaml"));
    if holds == [true; 2] {
        ctx.metric("as rendered", "cilium-config: routing-mode tunnel, tunnel-protocol vxlan");
    }
    ctx.rule("native");
    for path in NATIVE {
        if ctx.on(config, path, false) {
            let hint = "charts/cilium/values.yaml";
            ctx.breach(cluster, config, path, "no route beside the tunnel", format!("{path} is on"), hint);
        }
    }
    let path = "data.ipv4-native-routing-cidr";
    if let Some(range) = ctx.text(config, path).filter(|range| !range.is_empty()) {
        ctx.breach(cluster, config, path, "no range that is routed natively", range, "remove it");
    }
}
