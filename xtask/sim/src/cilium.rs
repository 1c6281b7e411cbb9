//! cilium-cli 0.19: `status`, `clustermesh status`, `connectivity test` and `sysdump`, as in its sources.

use serde_json::Map;

use crate::kubectl::access;
use crate::prelude::*;

pub fn answer(sim: &mut SimState, request: &Request, now: Duration, disk: &mut dyn Disk) -> ToolResult<Response> {
    let words: Vec<&str> = request.args.iter().map(String::as_str).collect();
    let subcommand = match words.as_slice() {
        ["version", "--client"] => {
            let version = &sim.machine.tools["cilium"];
            return Ok(Response::Done(success(format!(
                "cilium-cli: v{version} compiled with go1.27.3 on darwin/arm64\ncilium image (default): v1.19.5\n"
            ))));
        }
        ["status", ..] => "status",
        ["clustermesh", "status", ..] => "clustermesh status",
        ["connectivity", "test", ..] => "connectivity test",
        ["sysdump", ..] => "sysdump",
        _ => {
            let text = format!("Error: unknown command \"{}\" for \"cilium\"", words.first().unwrap_or(&""));
            return Err(sim.unsupported(request, failure(1, text)));
        }
    };
    let skip = subcommand.split(' ').count();
    let args = sim.parse_args(request, "cilium", &[subcommand], &request.args[skip..])?;
    if subcommand.ends_with("status") && args.get("output") != Some("json") {
        return Err(sim.unsupported(request, failure(1, "Error: the simulator prints JSON only: --output json")));
    }
    let vm = access::connect(sim, args.kubeconfig(request), args.get("context"), now, disk).map_err(|error| {
        failure(1, format!("\nError: Unable to determine status: {}", error.kubectl_error().stderr))
    })?;
    let cluster = sim.cluster(&vm).ok_or_else(|| failure(1, "Error: the server is gone"))?;
    Ok(match subcommand {
        "clustermesh status" => Response::Done(mesh_status(sim, cluster, now)),
        "connectivity test" => Response::Done(connectivity_test(sim, cluster, &args, now, disk)),
        "sysdump" => Response::Done(sysdump(&args, disk)),
        _ => status(sim, cluster, request, &args, now),
    })
}

/// `status -o json` exits 0 whatever is wrong; with `--wait` it exits 1 without stdout when time is over.
fn status(sim: &SimState, cluster: &Cluster, request: &Request, args: &Args, now: Duration) -> Response {
    let (mut pods, mut errors, mut agents) = (Map::new(), Map::new(), Map::new());
    let names = ["cilium", "cilium-envoy", "cilium-operator", "clustermesh-apiserver"];
    for workload in
        cluster.workloads.values().filter(|w| w.namespace == "kube-system" && names.contains(&w.name.as_str()))
    {
        let (wanted, ready) = sim.pods(cluster, workload, now);
        pods.insert(
            workload.name.clone(),
            json!({ "Type": workload.kind, "Desired": wanted, "Ready": ready,
            "Available": ready, "Unavailable": wanted - ready }),
        );
        if ready < wanted {
            let text = format!("{} pods of {} {} are not ready", wanted - ready, workload.kind, workload.name);
            errors.insert(workload.name.clone(), error_entry(&workload.name, &text));
        }
        if workload.name == "cilium" {
            let all = sim.agents(cluster, now).into_iter();
            let mesh = remote_clusters(sim, cluster, now);
            agents
                .extend(all.map(|(name, way)| (name, way.map_or(Value::Null, |tunnel| agent_status(&tunnel, &mesh)))));
        }
    }
    if pods.is_empty() {
        errors.insert("cilium".into(), error_entry("cilium", "daemonsets.apps \"cilium\" not found"));
    }
    if args.on("wait") && !errors.is_empty() {
        let limit = args.get("wait-duration").and_then(duration).unwrap_or(Duration::from_secs(300));
        let over = request.since + limit;
        if now < over {
            return Response::Pending(timings::LOOK.min(over - now));
        }
        let text = "timeout while waiting for status to become successful: context deadline exceeded";
        return Response::Done(failure(1, format!("\nError: Unable to determine status:  {text}")));
    }
    let version = cluster.release("cilium").map(|r| r.version.clone()).unwrap_or_default();
    let all = json!({ "pod_state": pods, "cilium_status": agents, "errors": errors, "helm_chart_version": version,
        "image_count": {}, "phase_count": {}, "pods_count": {}, "cilium_endpoints": {} });
    Response::Done(success(serde_json::to_string_pretty(&all).unwrap_or_default() + "\n"))
}

fn error_entry(name: &str, text: &str) -> Value {
    json!({ name: { "Errors": [text], "Warnings": null, "Disabled": false } })
}

/// VXLAN must be read from here, not from values (they can be ahead of the agent).
fn agent_status(tunnel: &str, mesh: &Value) -> Value {
    json!({
        "cluster-mesh": { "clusters": mesh },
        "routing": { "inter-host-routing-mode": "Tunnel",
            "intra-host-routing-mode": "BPF", "tunnel-protocol": tunnel },
        "kube-proxy-replacement": { "mode": "True" },
        "cilium": { "state": "Ok", "msg": "OK" },
    })
}

/// An agent's peers (`models.RemoteCluster`); zero values are omitted.
fn remote_clusters(sim: &SimState, cluster: &Cluster, now: Duration) -> Value {
    let remote = |peer: &String| {
        if sim.link(cluster, peer, now).is_none_or(|l| l.agents.is_err()) {
            return json!({ "name": peer, "status": "Waiting for initial connection to be established" });
        }
        let there = sim.control_plane(peer).and_then(|vm| sim.cluster(&vm));
        let lost =
            sim.conditions(&cluster.name).filter(|m| **m == crate::conditions::Condition::MissingRemoteNode).count();
        let nodes = there.map_or(0, |c| c.nodes.len()).saturating_sub(lost);
        json!({ "name": peer, "connected": true, "ready": true, "num-nodes": nodes })
    };
    crate::mesh::peers(cluster).into_iter().flatten().map(|(peer, _)| remote(peer)).collect()
}

/// `clustermesh status -o json` always exits 0. Zero values are omitted, and `connectivity` if an agent does not
/// answer.
fn mesh_status(sim: &SimState, cluster: &Cluster, now: Duration) -> Output {
    let Some(release) = cluster.release("cilium") else {
        return failure(1, "\nError: Unable to determine status:  cilium-config configmap not found");
    };
    let mut all = json!({ "access_information": { "service_type": "NodePort",
        "service_ips": [cluster.advertise.to_string()], "service_port": sim.mesh_port(cluster),
        "cluster_id": sim.cluster_id(cluster).to_string(), "cluster_name": release.values["cluster"]["name"],
        "tunnel": sim.tunnel(cluster), "max_connected_clusters": 255 }, "kvstoremesh": { "enabled": true } });
    let agents = sim.agents(cluster, now);
    if agents.iter().all(|(_, way)| way.is_some()) {
        let names: Vec<&str> = agents.iter().map(|(name, _)| name.as_str()).collect();
        all["connectivity"] = connectivity(sim, cluster, &names, now, |link| link.agents);
    }
    let server = cluster.workloads.get(crate::mesh::SERVER);
    let gone = sim.conditions(&cluster.name).any(|m| *m == crate::conditions::Condition::NoMeshServer);
    if !gone && server.is_some_and(|w| sim.runs_on(cluster, w, now).is_some()) {
        all["kvstoremesh"]["status"] = connectivity(sim, cluster, &["clustermesh-apiserver-0"], now, |link| link.cache);
    }
    success(serde_json::to_string_pretty(&all).unwrap_or_default() + "\n")
}

/// How many of these pods are connected to each peer (`status.ConnectivityStatus`, with its `omitempty`).
fn connectivity(
    sim: &SimState,
    cluster: &Cluster,
    pods: &[&str],
    now: Duration,
    side: impl Fn(crate::mesh::Link) -> Result<(), &'static str>,
) -> Value {
    let (mut clusters, mut errors) = (Map::new(), Map::new());
    let mut connected = 0;
    for peer in crate::mesh::peers(cluster).into_iter().flatten().map(|(name, _)| name) {
        let Some(link) = sim.link(cluster, peer, now) else { continue };
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
        // Printed for no pods at all (measured).
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

/// A real test takes minutes; here it depends on whether packets arrive.
fn connectivity_test(sim: &SimState, cluster: &Cluster, args: &Args, now: Duration, disk: &mut dyn Disk) -> Output {
    let peer = args.get("multi-cluster").unwrap_or_default();
    let fails = |name: &str| sim.conditions(name).any(|m| *m == crate::conditions::Condition::ConnectivityTestFails);
    if sim.pods_reach(cluster, peer, now) && !fails(peer) && !fails(&cluster.name) {
        return success("✅ All 78 tests (412 actions) successful, 49 tests skipped, 1 scenarios skipped.\n");
    }
    if args.on("collect-sysdump-on-failure") {
        let file = format!("{}.zip", args.get("sysdump-output-filename").unwrap_or("cilium-sysdump"));
        if let Err(why) = disk.write(&file, b"sysdump") {
            return failure(1, format!("\nError: {why}"));
        }
    }
    failure(1, "\nError: Connectivity test failed: 3 tests failed")
}

fn sysdump(args: &Args, disk: &mut dyn Disk) -> Output {
    let file = format!("{}.zip", args.get("output-filename").unwrap_or("cilium-sysdump"));
    match disk.write(&file, b"sysdump") {
        Ok(()) => success(format!("The sysdump has been saved to {file}\n")),
        Err(why) => failure(1, format!("\nError: {why}")),
    }
}
