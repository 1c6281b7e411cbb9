//! Cilium's and the mesh's objects, and requests through the API server or inside the sample's pods.

use super::pod_endpoints;
use crate::conditions::Condition;
use crate::external_secrets;
use crate::mesh::{self, SAMPLE, platform_with};
use crate::prelude::*;

/// The platform's services on a workload cluster: host, release, and the HTTP status that they answer with.
const SERVICES: [(&str, &str, &str); 3] = [
    ("thanos-receive.monitoring.", "thanos", "404"),
    ("loki.monitoring.", "loki", "200"),
    ("vault.vault.", "vault", "200"),
];

pub const SECRETS: [&str; 4] =
    ["cilium-ca", "cilium-clustermesh", "clustermesh-apiserver-remote-cert", "clustermesh-apiserver-server-cert"];

pub const KINDS: &[&str] = &["Lease", "ConfigMap", "Secret", "Service", "CiliumNode", "Job"];

pub fn objects(
    sim: &SimState,
    cluster: &Cluster,
    kind: &str,
    fits: &dyn Fn(&str) -> bool,
    now: Duration,
) -> Vec<Value> {
    let Some(release) = cluster.release("cilium") else { return vec![] };
    let object = |kind: &str, name: &str| {
        let metadata = json!({ "name": name, "namespace": "kube-system" });
        json!({ "apiVersion": "v1", "kind": kind, "metadata": metadata })
    };
    match kind {
        "ConfigMap" if fits("cilium-config") => {
            let mut config = object(kind, "cilium-config");
            config["data"] = json!({ "cluster-id": sim.cluster_id(cluster).to_string(),
                "cluster-name": release.values["cluster"]["name"], "routing-mode": "tunnel",
                "tunnel-protocol": release.values["tunnelProtocol"],
                "max-connected-clusters": release.values["clustermesh"]["maxConnectedClusters"].to_string() });
            vec![config]
        }
        "Secret" if SECRETS.iter().any(|name| fits(name)) => {
            let mut authority = object(kind, "cilium-ca");
            authority["data"] = json!({ "ca.crt": sim.mesh_ca(cluster) });
            let issued = mesh::certified_at(cluster);
            let certificate = pki::leaf(issued, issued + 365 * 86_400);
            let leaf = |of: &str| {
                let mut made = object(kind, &format!("clustermesh-apiserver-{of}-cert"));
                made["data"] =
                    json!({ "tls.crt": pki::base64(certificate.as_bytes()), "ca.crt": sim.mesh_ca(cluster) });
                made
            };
            let made = has_certificate(sim, cluster).then(|| ["remote", "server"].map(leaf)).into_iter().flatten();
            let peers = object(kind, "cilium-clustermesh");
            [authority, peers].into_iter().chain(made).collect()
        }
        "Job" if cluster.workloads.contains_key(mesh::SERVER) => {
            let mut job = object(kind, &format!("{}-0a1b2c3d4e", mesh::CERTIFICATES));
            let ended = has_certificate(sim, cluster);
            let conditions =
                if ended { json!([{ "type": "SuccessCriteriaMet" }, { "type": "Complete" }]) } else { json!([]) };
            job["status"] = json!({ "conditions": conditions });
            vec![job]
        }
        // The API server's own, of ten seconds (upstream: controlplane/apiserver, `IdentityLease`).
        "Lease" => {
            let mut lease = object(kind, "apiserver-0a1b2c3d4e5f");
            lease["apiVersion"] = json!("coordination.k8s.io/v1");
            let clock = sim.control_plane(&cluster.name).map_or(0, |vm| sim.clock_of(&vm, now));
            lease["spec"] = json!({ "renewTime": external_secrets::utc(clock).replace('Z', ".000000Z") });
            vec![lease]
        }
        "Service" if fits("clustermesh-apiserver") => {
            let mut service = object(kind, "clustermesh-apiserver");
            service["spec"] = json!({ "type": "NodePort",
                "ports": [{ "port": 2379, "nodePort": sim.mesh_port(cluster) }] });
            vec![service]
        }
        "CiliumNode" => sim
            .pod_ranges(cluster)
            .into_iter()
            .filter_map(|(name, range)| {
                let member = &cluster.nodes[&name];
                let ip = sim.stale_agent_ip(cluster, &name).unwrap_or(member.ip);
                Some(json!({ "apiVersion": "cilium.io/v2", "kind": "CiliumNode", "metadata": { "name": name },
                "spec": { "addresses": [{ "type": "InternalIP", "ip": ip.to_string() },
                    { "type": "CiliumInternalIP", "ip": "10.0.0.1" }],
                    "ipam": { "podCIDRs": [range?.to_string()] } } }))
            })
            .collect(),
        _ => vec![],
    }
}

/// The Job that issues certificates needs a node once; its result stays.
fn has_certificate(sim: &SimState, cluster: &Cluster) -> bool {
    let late = sim.conditions(&cluster.name).any(|m| *m == Condition::NoCertificates);
    !late && cluster.objects.contains_key(mesh::CERTIFIED)
}

/// A ClusterSecretStore is ready when its cluster reaches Vault.
pub fn status(sim: &SimState, cluster: &Cluster, kind: &str, now: Duration) -> Option<Value> {
    let ready = kind == "ClusterSecretStore"
        && platform_with(sim, cluster, "vault", now).is_some_and(|other| !sim.vault_sealed(other))
        && logs_in(sim, cluster)
        && !withholds(sim, cluster, "external-secrets");
    (kind == "ClusterSecretStore").then(|| {
        let (status, reason) = if ready { ("True", "Valid") } else { ("False", "InvalidProviderConfig") };
        json!({ "conditions": [{ "type": "Ready", "status": status, "reason": reason }] })
    })
}

/// Whether Vault checks logins at the right API server: it keeps the address that was configured.
fn logs_in(sim: &SimState, cluster: &Cluster) -> bool {
    let host = format!("https://{}:6443", cluster.advertise);
    let config = format!("auth/{}/config", cluster.name);
    let mut vaults = sim.vms.keys().filter_map(|vm| sim.cluster(vm));
    vaults.any(|other| other.vault.paths.get(&config).is_some_and(|config| config["kubernetes_host"] == json!(host)))
}

fn withholds(sim: &SimState, cluster: &Cluster, release: &str) -> bool {
    sim.conditions(&cluster.name).any(|m| *m == Condition::CutOff(release.to_owned()))
}

/// A query of Thanos or Loki by the API server's proxy.
pub fn proxied(sim: &mut SimState, cmd: &Invocation<'_>, path: &str) -> ToolResult<Output> {
    let missing = || failure(1, "Error from server (NotFound): the server could not find the requested resource");
    if let Some(answer) = pod_endpoints::proxied(sim, cmd, path) {
        return answer;
    }
    let here = sim.cluster(&cmd.vm).ok_or_else(|| failure(1, "error: the server is gone"))?;
    let of = path.split_once("%3D%22").and_then(|(_, rest)| rest.split_once("%22")).map(|(name, _)| name.to_owned());
    let release = ["thanos", "loki"].into_iter().find(|name| path.contains(&format!("/services/{name}")));
    let (Some(of), Some(release)) = (of, release) else {
        return Err(sim.unsupported(cmd.request, missing()));
    };
    let there = sim.control_plane(&of).and_then(|vm| sim.cluster(&vm));
    let sender = if release == "loki" { "promtail" } else { "prometheus-agent" };
    let sends = there.is_some_and(|c| {
        let arrives = platform_with(sim, c, release, cmd.now).is_some_and(|p| p.name == here.name);
        arrives && !withholds(sim, c, sender)
    });
    let found = there.filter(|_| sends).and_then(|there| query_result(sim, there, path, cmd.now));
    let vector = |value: u64| json!([{ "metric": {}, "value": [1763855000, value.to_string()] }]);
    let result = found.map_or(json!([]), vector);
    Ok(success(json!({ "status": "success", "data": { "resultType": "vector", "result": result } }).to_string()))
}

/// Scrapes within the last seconds, or whether there are any now, or a fixed number for other queries; None is an empty
/// vector.
fn query_result(sim: &SimState, of: &Cluster, path: &str, now: Duration) -> Option<u64> {
    let window = path.split_once("%5B").and_then(|(_, rest)| rest.split_once("s%5D"));
    let received = |seconds| sim.scrapes_received(of, seconds, now).filter(|received| *received > 0);
    match window.and_then(|(seconds, _)| seconds.parse().ok()) {
        Some(seconds) => received(seconds),
        None if path.contains("timestamp(") => received(120),
        None => Some(42),
    }
}

/// curl in a pod of the sample, or an agent's own tool; `None` for another pod.
pub fn exec(sim: &mut SimState, cmd: &Invocation<'_>) -> Option<ToolResult<Output>> {
    let words = cmd.args.rest.as_slice();
    match ((cmd.namespace(), cmd.args.word(0)), words) {
        (("sample", "deployment/sample"), ["curl", ..]) => Some(curl(sim, cmd, words)),
        (("sample", "deployment/sample"), ["sh", "-c", script]) if script.starts_with("curl ") => {
            Some(curl(sim, cmd, &script.split(' ').collect::<Vec<_>>()))
        }
        (("kube-system", "daemonset/cilium"), ["cilium-health", "status", "--output", "json"]) => {
            Some(health(sim, cmd))
        }
        _ => None,
    }
}

/// `cilium-health status`: the last probe of every node that the agent knows of, its own cluster's too. An empty status
/// is success (upstream: `api/v1/health/models`).
fn health(sim: &SimState, cmd: &Invocation<'_>) -> ToolResult<Output> {
    let cluster = sim.cluster(&cmd.vm).ok_or_else(|| failure(1, "error: the server is gone"))?;
    if sim.agents(cluster, cmd.now).iter().all(|(_, way)| way.is_none()) {
        return Err(failure(1, "error: timed out waiting for the condition"));
    }
    let peers = mesh::peers(cluster).into_iter().flatten().map(|(name, _)| name);
    let known = peers.filter(|p| sim.link(cluster, p, cmd.now).is_some_and(|l| l.agents.is_ok()));
    let all = known.filter_map(|peer| sim.cluster(&sim.control_plane(peer)?)).chain([cluster]);
    let path = |ip: &str, open: bool| {
        let status = if open { "" } else { "Connection timed out" };
        json!({ "primary-address": { "ip": ip, "http": { "latency": 400_000, "status": status },
            "icmp": { "latency": 400_000, "status": status } } })
    };
    let mut nodes = Vec::new();
    for other in all {
        let open = |port| other.name == cluster.name || sim.port_open(&other.name, port);
        for (name, member) in &other.nodes {
            nodes.push(json!({ "name": format!("{}/{name}", other.name),
                "host": path(&member.ip.to_string(), open(mesh::HEALTH)),
                "health-endpoint": path("10.0.0.1", open(mesh::TUNNEL)) }));
        }
    }
    Ok(success(json!({ "local": { "name": format!("{}/{}", cluster.name, cmd.vm) }, "nodes": nodes }).to_string()))
}

fn pod_at<'a>(sim: &'a SimState, url: &str, now: Duration) -> Option<&'a Cluster> {
    let ip = url.strip_prefix("http://")?.split(':').next()?.parse().ok()?;
    let mut clusters = sim.vms.keys().filter_map(|vm| sim.cluster(vm));
    clusters.find(|cluster| {
        let runs = |w: &&crate::workload::Workload| sim.runs_on(cluster, w, now).is_some();
        cluster.workloads.values().filter(runs).any(|w| sim.pod_ip(cluster, w, 0) == Some(ip))
    })
}

fn curl(sim: &mut SimState, cmd: &Invocation<'_>, words: &[&str]) -> ToolResult<Output> {
    let cluster = sim.cluster(&cmd.vm).ok_or_else(|| failure(1, "error: the server is gone"))?;
    let sample = cluster.workloads.get(SAMPLE);
    if sample.is_none_or(|w| sim.runs_on(cluster, w, cmd.now).is_none()) {
        return Err(failure(1, "error: timed out waiting for the condition"));
    }
    let lost = || {
        let text = "curl: (28) Connection timed out after 5001 milliseconds\ncommand terminated with exit code 28";
        failure(28, text)
    };
    let url = words.last().copied().unwrap_or_default();
    if let Some((_, release, status)) = SERVICES.iter().find(|(host, ..)| url.contains(host)) {
        let there = platform_with(sim, cluster, release, cmd.now);
        // Documentation: sys/health.
        let sealed = |other: &Cluster| *release == "vault" && sim.vault_sealed(other);
        return there.map(|other| success(if sealed(other) { "503" } else { status })).ok_or_else(lost);
    }
    if let Some(other) = pod_at(sim, url, cmd.now) {
        let large = words.iter().any(|word| word.contains("%01400d"));
        let arrives = match large {
            true => sim.large_packets_reach(cluster, &other.name, cmd.now),
            false => sim.pods_reach(cluster, &other.name, cmd.now),
        };
        return if arrives { Ok(success("200")) } else { Err(lost()) };
    }
    if !url.contains("sample-peer.sample.") {
        let text = format!("curl: (6) Could not resolve host: {url}\ncommand terminated with exit code 6");
        return Err(sim.unsupported(cmd.request, failure(6, text)));
    }
    let mut peers = mesh::peers(cluster).into_iter().flatten().map(|(name, _)| name);
    let has = |name: &&String| {
        let other = sim.control_plane(name).and_then(|vm| sim.cluster(&vm));
        let offers = |c: &Cluster| mesh::pairs(cluster, c, "service/sample/sample-peer", None);
        other.is_some_and(|c| c.workloads.contains_key(SAMPLE) && offers(c)) && sim.pods_reach(cluster, name, cmd.now)
    };
    // Affinity is to others; without any this cluster answers itself.
    let from = peers.find(has).unwrap_or(&cluster.name);
    Ok(success(json!({ "hostname": "sample-1", "version": "6.14.1", "message": from }).to_string()))
}
