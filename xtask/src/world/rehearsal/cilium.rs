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
use crate::tools::Output;

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

/// Answers one command line.
pub fn answer(stage: &mut Stage, ask: &Ask, now: Duration, disk: &dyn Disk) -> Answer {
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
    if parsed.get("output") != Some("json") {
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
    if skip == 2 {
        return Answer::Done(mesh(cluster));
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
            for (index, node) in cluster.nodes.keys().enumerate() {
                let up = stage.node_ready(cluster, node, now) == super::cluster::Ready::Yes;
                agents.insert(format!("cilium-{index}"), if up { agent() } else { Value::Null });
            }
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
fn agent() -> Value {
    json!({
        "routing": { "inter-host-routing-mode": "Tunnel",
            "intra-host-routing-mode": "BPF", "tunnel-protocol": "vxlan" },
        "kube-proxy-replacement": { "mode": "True" },
        "cilium": { "state": "Ok", "msg": "OK" },
    })
}

/// `clustermesh status -o json`: exit 0 always. Who is linked to whom is not modelled: no `connectivity` is shown,
/// which is also what the real one leaves out when it could not ask the agents (measured).
fn mesh(cluster: &Cluster) -> Output {
    let Some(release) = cluster.release("cilium") else {
        return refused(1, "\nError: Unable to determine status:  cilium-config configmap not found");
    };
    let values = &release.values;
    let id = values["cluster"]["id"].to_string();
    let all = json!({ "access_information": { "service_type": "NodePort",
        "service_ips": [cluster.advertise.to_string()],
        "service_port": values["clustermesh"]["apiserver"]["service"]["nodePort"], "cluster_id": id,
        "cluster_name": cluster.name, "tunnel": "vxlan", "max_connected_clusters": 255 },
        "kvstoremesh": { "enabled": true } });
    said(serde_json::to_string_pretty(&all).unwrap_or_default() + "\n")
}
