//! C5: Cilium tunnels by VXLAN on every cluster, alike on all of them.
//! Knows nothing of agents that run; the live tier reads those.

use super::case::Case;
use super::evidence::{Evidence, Ground, Sheet};

/// What makes the tunnel.
const TUNNEL: [(&str, &str); 2] = [("routingMode", "tunnel"), ("tunnelProtocol", "vxlan")];
/// What would route beside it.
const NATIVE: [&str; 3] = ["autoDirectNodeRoutes", "endpointRoutes.enabled", "bgpControlPlane.enabled"];
/// What must be the same on every cluster of one mesh; each with what the chart takes if it is not set.
const ALIKE: [(&str, &str); 4] =
    [("tunnelPort", "8472"), ("MTU", "0"), ("clustermesh.maxConnectedClusters", "255"), ("ipam.mode", "cluster-pool")];

/// Judges every cluster, the platform too.
pub(super) fn judge(evidence: &Evidence, case: &mut Case) {
    let mut tunnels = 0;
    let mut first: Vec<Option<String>> = Vec::new();
    for ground in &evidence.grounds {
        case.rule("tunnel");
        let Some(cilium) = ground.releases().find(|s| s.chart() == Some("cilium")) else {
            let hint = "list the chart cilium for `platform` and `workload` in charts/releases.toml";
            case.missing(ground, "cilium", "Cilium on every cluster", "nothing", hint);
            continue;
        };
        tunnels += usize::from(tunnel(ground, cilium, case));
        native(ground, cilium, case);
        alike(ground, cilium, &mut first, case);
        configured(ground, cilium, case);
    }
    case.headline(format!("{tunnels} of {} clusters tunnel by VXLAN", evidence.grounds.len()));
    case.because("`tunnel: vxlan`, as older guides write it, is refused by the chart (templates/validate.yaml)");
    case.because("values can be ahead of agents that were not restarted; the live tier asks each agent");
}

fn tunnel(ground: &Ground, cilium: &Sheet, case: &mut Case) -> bool {
    let mut holds = true;
    for (path, want) in TUNNEL {
        holds &= case.expect(ground, cilium, path, want, &format!("{path}: {want}"));
        case.figure(path, want);
    }
    if cilium.get("tunnel").is_some() {
        let hint = "routingMode: tunnel and tunnelProtocol: vxlan say it";
        case.breach(ground, cilium, "tunnel", "no key `tunnel`", "one that the chart refuses", hint);
        holds = false;
    }
    holds
}

fn native(ground: &Ground, cilium: &Sheet, case: &mut Case) {
    case.rule("native");
    for path in NATIVE {
        if case.on(cilium, path, false) {
            case.breach(ground, cilium, path, "no route beside the tunnel", "on", format!("{path}: false"));
        }
    }
    let path = "ipv4NativeRoutingCIDR";
    if let Some(range) = case.text(cilium, path).filter(|range| !range.is_empty()) {
        case.breach(ground, cilium, path, "no range that is routed natively", range, "remove it");
    }
}

fn alike(ground: &Ground, cilium: &Sheet, first: &mut Vec<Option<String>>, case: &mut Case) {
    case.rule("alike");
    for (i, (path, otherwise)) in ALIKE.into_iter().enumerate() {
        let value = case.text(cilium, path).unwrap_or_else(|| otherwise.to_owned());
        match first.get(i) {
            None => first.push(Some(value.clone())),
            Some(Some(known)) if *known != value => {
                let want = format!("{path} as on the other clusters: {known}");
                case.breach(ground, cilium, path, want, value.clone(), format!("{path}: {known}"));
            }
            Some(_) => {}
        }
    }
    let (pods, wanted) = ("ipam.mode", "kubernetes");
    case.expect(ground, cilium, pods, wanted, "mode: kubernetes; the default gives every cluster the same pod range");
}

/// What the chart writes for the agents, where it was rendered: the ConfigMap is what they read when they start.
fn configured(ground: &Ground, cilium: &Sheet, case: &mut Case) {
    const TUNNEL: [(&str, &str); 2] = [("data.routing-mode", "tunnel"), ("data.tunnel-protocol", "vxlan")];
    const NATIVE: [&str; 3] =
        ["data.auto-direct-node-routes", "data.enable-endpoint-routes", "data.enable-bgp-control-plane"];
    let mut made = ground.rendered().filter(|s| s.name == cilium.name).peekable();
    if made.peek().is_none() {
        return;
    }
    case.rule("tunnel");
    let config = made.find(|s| s.word("kind") == "ConfigMap" && s.word("metadata.name") == "cilium-config");
    let Some(config) = config else {
        let hint = "charts/releases.toml: another version";
        case.missing(ground, &cilium.name, "a ConfigMap cilium-config", "its chart renders none", hint);
        return;
    };
    let holds = TUNNEL.map(|(path, want)| case.expect(ground, config, path, want, "charts/cilium/values.yaml"));
    if holds == [true; 2] {
        case.figure("as rendered", "cilium-config: routing-mode tunnel, tunnel-protocol vxlan");
    }
    case.rule("native");
    for path in NATIVE {
        if case.on(config, path, false) {
            let hint = "charts/cilium/values.yaml";
            case.breach(ground, config, path, "no route beside the tunnel", format!("{path} is on"), hint);
        }
    }
    let path = "data.ipv4-native-routing-cidr";
    if let Some(range) = case.text(config, path).filter(|range| !range.is_empty()) {
        case.breach(ground, config, path, "no range that is routed natively", range, "remove it");
    }
}
