//! `kubectl cordon`, `uncordon` and `drain`. Texts and order are upstream's (`kubectl/pkg/cmd/drain/drain.go`,
//! `pkg/drain/`): it cordons, fails on what it may not evict before it evicts anything, retries every five seconds
//! while a disruption budget forbids an eviction, and gives up at its timeout.

use crate::prelude::*;

/// Pause between eviction attempts (upstream).
const AGAIN: Duration = Duration::from_secs(5);

pub fn drain(sim: &mut SimState, cmd: &Invocation<'_>, verb: &str) -> ToolResult<Response> {
    let &[node] = cmd.args.words.as_slice() else {
        return Err(failure(1, format!("error: USAGE: {verb} NODE [flags]")));
    };
    let Some(cluster) = sim.cluster_mut(&cmd.vm) else { return Err(failure(1, "error: the server is gone")) };
    if !cluster.nodes.contains_key(node) {
        return Err(failure(1, format!("Error from server (NotFound): nodes \"{node}\" not found")));
    }
    let changed = match verb {
        "uncordon" => cluster.cordoned.remove(node),
        _ => cluster.cordoned.insert(node.to_owned()),
    };
    let word = if verb == "uncordon" { "uncordoned" } else { "cordoned" };
    let log = format!("node/{node} {}{word}\n", if changed { "" } else { "already " });
    match verb {
        "drain" => evict(sim, cmd, node, log),
        _ => Ok(Response::Done(success(log))),
    }
}

fn evict(sim: &mut SimState, cmd: &Invocation<'_>, node: &str, log: String) -> ToolResult<Response> {
    let here = |w: &&Workload| w.placed.iter().any(|place| place == node);
    let Some(cluster) = sim.cluster(&cmd.vm) else { return Err(failure(1, "error: the server is gone")) };
    let pods: Vec<Workload> = cluster.workloads.values().filter(here).cloned().collect();
    if let Some(why) = blockers(cluster, cmd, node, &pods) {
        let text = format!("error: unable to drain node \"{node}\" due to error: {why}, continuing command...");
        let text = format!("{text}\nThere are pending nodes to be drained:\n {node}\n{why}");
        return Err(tool::Output { stdout: log, ..failure(1, text) });
    }
    let (kept, free): (Vec<&Workload>, Vec<&Workload>) =
        pods.iter().filter(|w| w.kind != "DaemonSet").partition(|w| !budget_allows(sim, cluster, w, cmd.now));
    let limit = cmd.args.get("timeout").and_then(duration).filter(|limit| !limit.is_zero());
    if let Some(stays) = kept.first().filter(|_| limit.is_some_and(|limit| cmd.request.since + limit <= cmd.now)) {
        let pod = format!("pods/\"{}-0\" -n \"{}\"", stays.name, stays.namespace);
        let budget = "Cannot evict pod as it would violate the pod's disruption budget.";
        let over =
            format!("error when evicting {pod}: global timeout reached: {}s", limit.unwrap_or_default().as_secs());
        let text = format!("error when evicting {pod} (will retry after 5s): {budget}\nerror: unable to drain node ");
        let text = format!("{text}\"{node}\" due to error: {over}, continuing command...");
        return Err(tool::Output { stdout: log, ..failure(1, text) });
    }
    let (waits, leaves) = (!kept.is_empty(), free.iter().map(|w| w.key()).collect::<Vec<_>>());
    if let Some(cluster) = sim.cluster_mut(&cmd.vm) {
        let all = cluster.workloads.iter_mut().filter(|(key, _)| leaves.contains(key));
        all.for_each(|(_, w)| w.evict(node, cmd.now));
    }
    Ok(match (waits, leaves.is_empty()) {
        (true, _) => Response::Pending(AGAIN),
        (false, false) => Response::Pending(timings::LEAVE),
        (false, true) => Response::Done(success(format!("{log}node/{node} drained\n"))),
    })
}

/// Errors before any pod is evicted.
fn blockers(cluster: &Cluster, cmd: &Invocation<'_>, node: &str, pods: &[Workload]) -> Option<String> {
    let named = |names: Vec<String>, why: &str| (!names.is_empty()).then(|| format!("{why}: {}", names.join(", ")));
    let name = |w: &Workload| format!("{}/{}-0", w.namespace, w.name);
    let daemons = pods.iter().filter(|w| w.kind == "DaemonSet" && !cmd.args.on("ignore-daemonsets"));
    let empty = |w: &&Workload| {
        let volumes = w.needs.template["spec"]["volumes"].as_array();
        volumes.is_some_and(|all| all.iter().any(|volume| volume.get("emptyDir").is_some()))
    };
    let local = pods.iter().filter(|w| w.kind != "DaemonSet" && !cmd.args.on("delete-emptydir-data")).filter(empty);
    let bare = cluster.objects_of("pod").filter(|_| !cmd.args.on("force"));
    let bare = bare.filter(|(_, pod)| text(pod, "/spec/nodeName") == node);
    let bare = bare.map(|(_, pod)| format!("{}/{}", text(pod, "/metadata/namespace"), text(pod, "/metadata/name")));
    let whys = [
        named(daemons.map(name).collect(), "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"),
        named(
            local.map(name).collect(),
            "cannot delete Pods with local storage (use --delete-emptydir-data to override)",
        ),
        named(bare.collect(), "cannot delete Pods that declare no controller (use --force to override)"),
    ];
    let whys: Vec<String> = whys.into_iter().flatten().collect();
    match whys.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(format!("[{}]", many.join(", "))),
    }
}

/// Whether every disruption budget that selects these pods allows one less.
fn budget_allows(sim: &SimState, cluster: &Cluster, w: &Workload, now: Duration) -> bool {
    let (wanted, ready) = sim.pods(cluster, w, now);
    let labels = &w.needs.template["metadata"]["labels"];
    let selects = |budget: &Value| {
        let all = budget["spec"]["selector"]["matchLabels"].as_object();
        all.is_some_and(|all| all.iter().all(|(name, value)| labels.get(name) == Some(value)))
    };
    let prefix = format!("poddisruptionbudget/{}/", w.namespace);
    let budgets = cluster.objects.iter().filter(|(key, budget)| key.starts_with(&prefix) && selects(budget));
    let count = |value: &Value| value.as_u64().map(|n| n as usize);
    budgets.map(|(_, budget)| &budget["spec"]).all(|spec| {
        let least =
            count(&spec["minAvailable"]).or(count(&spec["maxUnavailable"]).map(|most| wanted.saturating_sub(most)));
        ready > least.unwrap_or(0)
    })
}
