//! cilium-cli 0.19: `status` and `clustermesh status`, with the shapes and the exit codes of its sources.
//! Knows nothing of how agents come up.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::ask::{Answer, Ask, Disk, refused, said};
use super::clockwork;
use super::cluster::Cluster;
use super::flags::{Bad, Known, Parsed, duration, parse};
use super::kubectl::access;
use super::stage::Stage;
use tool::Output;

const GLOBAL: Known = Known {
    takes: &["as", "as-group", "context", "helm-release-name", "kubeconfig", "namespace"],
    bare: &["help"],
    short: &[('n', "namespace"), ('h', "help")],
};
const STATUS: Known = Known {
    takes: &["output", "wait-duration", "worker-count"],
    bare: &["ignore-warnings", "interactive", "verbose", "wait"],
    short: &[('o', "output")],
};
const MESH_STATUS: Known = Known { takes: &["output", "wait-duration"], bare: &["wait"], short: &[('o', "output")] };

const TEST: Known = Known {
    takes: &[
        "multi-cluster",
        "flow-validation",
        "timeout",
        "test",
        "test-concurrency",
        "junit-file",
        "sysdump-output-filename",
    ],
    bare: &["hubble", "single-node", "force-deploy", "collect-sysdump-on-failure", "sysdump-quick"],
    short: &[],
};
const SYSDUMP: Known = Known { takes: &["output-filename"], bare: &["quick"], short: &[] };

/// Answers one command line.
pub fn answer(stage: &mut Stage, ask: &Ask, now: Duration, disk: &mut dyn Disk) -> Answer {
    let words: Vec<&str> = ask.args.iter().map(String::as_str).collect();
    let (table, skip) = match words.as_slice() {
        ["version", "--client"] => {
            let version = &stage.machine.tools["cilium"];
            return Answer::Done(said(format!(
                "cilium-cli: v{version} compiled with go1.27.3 on darwin/arm64\ncilium image (default): v1.19.5\n"
            )));
        }
        ["status", ..] => (STATUS, 1),
        ["clustermesh", "status", ..] => (MESH_STATUS, 2),
        ["connectivity", "test", ..] => (TEST, 2),
        ["sysdump", ..] => (SYSDUMP, 1),
        _ => {
            let text = format!("Error: unknown command \"{}\" for \"cilium\"", words.first().unwrap_or(&""));
            return Answer::Done(stage.strange(ask, refused(1, text)));
        }
    };
    let parsed = match parse(&ask.args[skip..], &[table, GLOBAL]) {
        Ok(parsed) => parsed,
        Err(Bad::Unknown(flag)) => {
            return Answer::Done(stage.strange(ask, refused(1, format!("Error: unknown flag: {flag}"))));
        }
        Err(Bad::NoValue(flag)) => {
            return Answer::Done(stage.strange(ask, refused(1, format!("Error: flag needs an argument: {flag}"))));
        }
    };
    if ["status", "clustermesh"].contains(&words[0]) && parsed.get("output") != Some("json") {
        return Answer::Done(
            stage.strange(ask, refused(1, "Error: the embedded world prints JSON only: --output json")),
        );
    }
    let path = parsed.get("kubeconfig").or(ask.variable("KUBECONFIG")).unwrap_or("~/.kube/config");
    let vm = match access::reach(stage, path, parsed.get("context"), now, disk) {
        Ok(vm) => vm,
        Err(closed) => {
            let why = closed.by_kubectl().stderr;
            return Answer::Done(refused(1, format!("\nError: Unable to determine status: {why}")));
        }
    };
    let Some(cluster) = stage.cluster(&vm) else { return Answer::Done(refused(1, "Error: the server is gone")) };
    match words[0] {
        "clustermesh" => return Answer::Done(mesh(stage, cluster, now)),
        "connectivity" => return Answer::Done(tested(stage, cluster, &parsed, now, disk)),
        "sysdump" => return Answer::Done(sysdump(&parsed, disk)),
        _ => {}
    }
    status(stage, cluster, ask, &parsed, now)
}

/// `status -o json`: exit 0 whatever is wrong; with `--wait` an exit 1 and nothing on stdout when time is over.
fn status(stage: &Stage, cluster: &Cluster, ask: &Ask, parsed: &Parsed, now: Duration) -> Answer {
    let (mut pods, mut errors, mut agents) = (Map::new(), Map::new(), Map::new());
    let names = ["cilium", "cilium-envoy", "cilium-operator", "clustermesh-apiserver"];
    for workload in
        cluster.workloads.values().filter(|w| w.namespace == "kube-system" && names.contains(&w.name.as_str()))
    {
        let (wanted, ready) = stage.pods(cluster, workload, now);
        pods.insert(
            workload.name.clone(),
            json!({ "Type": workload.kind, "Desired": wanted, "Ready": ready,
            "Available": ready, "Unavailable": wanted - ready }),
        );
        if ready < wanted {
            let text = format!("{} pods of {} {} are not ready", wanted - ready, workload.kind, workload.name);
            errors.insert(workload.name.clone(), fault(&workload.name, &text));
        }
        if workload.name == "cilium" {
            let all = stage.agents(cluster, now).into_iter();
            let mesh = remotes(stage, cluster, now);
            agents.extend(all.map(|(name, way)| (name, way.map_or(Value::Null, |tunnel| agent(&tunnel, &mesh)))));
        }
    }
    if pods.is_empty() {
        errors.insert("cilium".into(), fault("cilium", "daemonsets.apps \"cilium\" not found"));
    }
    if parsed.on("wait") && !errors.is_empty() {
        let limit = parsed.get("wait-duration").and_then(duration).unwrap_or(Duration::from_secs(300));
        let over = ask.since + limit;
        if now < over {
            return Answer::Again(clockwork::LOOK.min(over - now));
        }
        let text = "timeout while waiting for status to become successful: context deadline exceeded";
        return Answer::Done(refused(1, format!("\nError: Unable to determine status:  {text}")));
    }
    let version = cluster.release("cilium").map(|r| r.version.clone()).unwrap_or_default();
    let all = json!({ "pod_state": pods, "cilium_status": agents, "errors": errors, "helm_chart_version": version,
        "image_count": {}, "phase_count": {}, "pods_count": {}, "cilium_endpoints": {} });
    Answer::Done(said(serde_json::to_string_pretty(&all).unwrap_or_default() + "\n"))
}

/// What a workload is reported for.
fn fault(name: &str, text: &str) -> Value {
    json!({ name: { "Errors": [text], "Warnings": null, "Disabled": false } })
}

/// What an agent says of itself; VXLAN must be read from here, not from values (they can be ahead of it).
fn agent(tunnel: &str, mesh: &Value) -> Value {
    json!({
        "cluster-mesh": { "clusters": mesh },
        "routing": { "inter-host-routing-mode": "Tunnel",
            "intra-host-routing-mode": "BPF", "tunnel-protocol": tunnel },
        "kube-proxy-replacement": { "mode": "True" },
        "cilium": { "state": "Ok", "msg": "OK" },
    })
}

/// What an agent says of its peers (`models.RemoteCluster`); what is zero is left out.
fn remotes(stage: &Stage, cluster: &Cluster, now: Duration) -> Value {
    let remote = |peer: &String| {
        if stage.link(cluster, peer, now).is_none_or(|l| l.agents.is_err()) {
            return json!({ "name": peer, "status": "Waiting for initial connection to be established" });
        }
        let there = stage.control_plane(peer).and_then(|vm| stage.cluster(&vm));
        let lost = stage.mishaps(&cluster.name).filter(|m| **m == super::mishap::Mishap::Forgets).count();
        let nodes = there.map_or(0, |c| c.nodes.len()).saturating_sub(lost);
        json!({ "name": peer, "connected": true, "ready": true, "num-nodes": nodes })
    };
    super::mesh::told(cluster).into_iter().flatten().map(|(peer, _)| remote(peer)).collect()
}

/// `clustermesh status -o json`: exit 0 always. What is zero is left out, and `connectivity` where no agent was asked.
fn mesh(stage: &Stage, cluster: &Cluster, now: Duration) -> Output {
    let Some(release) = cluster.release("cilium") else {
        return refused(1, "\nError: Unable to determine status:  cilium-config configmap not found");
    };
    let mut all = json!({ "access_information": { "service_type": "NodePort",
        "service_ips": [cluster.advertise.to_string()], "service_port": stage.mesh_port(cluster),
        "cluster_id": stage.cluster_id(cluster).to_string(), "cluster_name": release.values["cluster"]["name"],
        "tunnel": stage.tunnel(cluster), "max_connected_clusters": 255 }, "kvstoremesh": { "enabled": true } });
    let agents = stage.agents(cluster, now);
    if agents.iter().all(|(_, way)| way.is_some()) {
        let names: Vec<&str> = agents.iter().map(|(name, _)| name.as_str()).collect();
        all["connectivity"] = connectivity(stage, cluster, &names, now, |link| link.agents);
    }
    let server = cluster.workloads.get(super::mesh::SERVER);
    let gone = stage.mishaps(&cluster.name).any(|m| *m == super::mishap::Mishap::NoServer);
    if !gone && server.is_some_and(|w| stage.runs_on(cluster, w, now).is_some()) {
        all["kvstoremesh"]["status"] =
            connectivity(stage, cluster, &["clustermesh-apiserver-0"], now, |link| link.cache);
    }
    said(serde_json::to_string_pretty(&all).unwrap_or_default() + "\n")
}

/// How many of these pods are connected with each peer (`status.ConnectivityStatus`, `omitempty` and all).
fn connectivity(
    stage: &Stage,
    cluster: &Cluster,
    pods: &[&str],
    now: Duration,
    side: impl Fn(super::mesh::Link) -> Result<(), &'static str>,
) -> Value {
    let (mut clusters, mut errors) = (Map::new(), Map::new());
    let mut connected = 0;
    for peer in super::mesh::told(cluster).into_iter().flatten().map(|(name, _)| name) {
        let Some(link) = stage.link(cluster, peer, now) else { continue };
        let mut entry = json!({ "configured": pods.len() });
        match side(link) {
            Ok(()) => {
                connected += 1;
                entry["connected"] = json!(pods.len());
            }
            Err(why) => {
                drop(errors.insert(peer.clone(), json!({ "Errors": [why], "Warnings": [], "Disabled": false })))
            }
        }
        clusters.insert(peer.clone(), entry);
    }
    let mut all = json!({ "connected": {}, "clusters": clusters, "total": pods.len() });
    if pods.is_empty() {
        // As it prints for no pods at all (measured): -1, and no total.
        return json!({ "connected": { "min": -1 }, "clusters": {} });
    }
    if connected > 0 {
        all["connected"] = json!({ "min": connected, "avg": connected, "max": connected });
    }
    if !errors.is_empty() {
        all["not_ready"] = json!(pods.len());
        all["errors"] =
            pods.iter().map(|pod| ((*pod).to_owned(), Value::Object(errors.clone()))).collect::<Map<_, _>>().into();
    }
    all
}

/// `connectivity test --multi-cluster`: a real test takes minutes; here packets arrive or do not.
fn tested(stage: &Stage, cluster: &Cluster, parsed: &Parsed, now: Duration, disk: &mut dyn Disk) -> Output {
    let peer = parsed.get("multi-cluster").unwrap_or_default();
    let fails = |name: &str| stage.mishaps(name).any(|m| *m == super::mishap::Mishap::FullTest);
    if stage.carries(cluster, peer, now) && !fails(peer) && !fails(&cluster.name) {
        return said("✅ All 78 tests (412 actions) successful, 49 tests skipped, 1 scenarios skipped.\n");
    }
    if parsed.on("collect-sysdump-on-failure") {
        let file = format!("{}.zip", parsed.get("sysdump-output-filename").unwrap_or("cilium-sysdump"));
        if let Err(why) = disk.write(&file, b"sysdump") {
            return refused(1, format!("\nError: {why}"));
        }
    }
    refused(1, "\nError: Connectivity test failed: 3 tests failed")
}

/// `sysdump`: a file whose name it is told.
fn sysdump(parsed: &Parsed, disk: &mut dyn Disk) -> Output {
    let file = format!("{}.zip", parsed.get("output-filename").unwrap_or("cilium-sysdump"));
    match disk.write(&file, b"sysdump") {
        Ok(()) => said(format!("The sysdump has been saved to {file}\n")),
        Err(why) => refused(1, format!("\nError: {why}")),
    }
}
