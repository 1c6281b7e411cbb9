//! What pods answer to `exec` and through the API server's proxy: Cilium's agent, Prometheus Agent, Promtail.

use crate::catalog;
use crate::conditions::Condition;
use crate::mesh::platform_with;
use crate::prelude::*;

/// Bytes a second of an agent that scrapes one app cluster (assumption, the drill's: 800 samples of 12 B a minute).
const WRITES: u64 = 160;
const SAMPLES: u64 = 800;
const PAGE: u64 = 32 << 10;
const AGENT: &str = "monitoring/statefulset/prometheus-agent";

fn find_pod<'a>(
    sim: &SimState,
    cluster: &'a Cluster,
    space: &str,
    name: &str,
    now: Duration,
) -> Option<(&'a Workload, &'a String)> {
    let (owner, number) = name.rsplit_once('-')?;
    let workload = cluster.workloads.values().find(|w| w.namespace == space && w.name == owner && w.admitted)?;
    let number: usize = number.parse().ok()?;
    let place = (0..workload.placed.len()).find(|place| workload.ordinal(*place) == number)?;
    let node = workload.placed.get(place)?;
    let member = cluster.nodes.get(node)?;
    let up = sim.vms.get(&member.vm).is_some_and(|vm| vm.reachable(now) && vm.ip == member.ip);
    up.then_some((workload, node))
}

/// None for other pods.
pub fn exec(sim: &mut SimState, cmd: &Invocation<'_>) -> Option<ToolResult<Output>> {
    let (space, name, words) = (cmd.namespace(), cmd.args.word(0), &cmd.args.rest);
    let cluster = sim.cluster(&cmd.vm)?;
    let absent = || failure(1, format!("Error from server (NotFound): pods \"{name}\" not found"));
    match (space, words.as_slice()) {
        ("kube-system", ["cilium-dbg", "status", "--output", "json"]) => {
            let found = find_pod(sim, cluster, space, name, cmd.now);
            Some(
                found
                    .ok_or_else(absent)
                    .map(|(_, node)| success(agent_status(&node_tunnel(sim, cluster, node)).to_string() + "\n")),
            )
        }
        ("monitoring", ["du", "-s", "-k", "/data/wal"]) => {
            let found = find_pod(sim, cluster, space, name, cmd.now).ok_or_else(absent);
            Some(found.map(|_| {
                success(format!("{}\t/data/wal\n", 1024 + wal_written(sim, cluster, cmd.now).1 % (384 << 20) / 1024))
            }))
        }
        ("monitoring", ["df", "-P", "-k", "/data"]) => {
            let found = find_pod(sim, cluster, space, name, cmd.now).ok_or_else(absent);
            let head = "Filesystem           1024-blocks    Used Available Capacity Mounted on";
            Some(
                found.map(|_| {
                    success(format!("{head}\n/dev/sda1             20134592   8214912  11903296  41% /data\n"))
                }),
            )
        }
        _ => None,
    }
}

/// An agent may still run with an old protocol.
fn node_tunnel(sim: &SimState, cluster: &Cluster, node: &str) -> String {
    let own = sim.conditions(&cluster.name).find_map(|m| match m {
        Condition::AgentTunnel { node: of, tunnel } if of == node => Some(tunnel.clone()),
        _ => None,
    });
    own.unwrap_or_else(|| sim.tunnel(cluster))
}

/// `models.StatusResponse` of Cilium, as far as it is read.
fn agent_status(tunnel: &str) -> Value {
    json!({ "cilium": { "state": "Ok", "msg": "1.20.0" },
        "kube-proxy-replacement": { "mode": "True" },
        "routing": { "inter-host-routing-mode": "Tunnel", "intra-host-routing-mode": "BPF",
            "tunnel-protocol": tunnel } })
}

/// `…/namespaces/NS/pods/NAME:PORT/proxy/PATH`; None if it is no pod.
pub fn proxied(sim: &SimState, cmd: &Invocation<'_>, path: &str) -> Option<ToolResult<Output>> {
    let rest = path.strip_prefix("/api/v1/namespaces/")?;
    let (space, rest) = rest.split_once("/pods/")?;
    let (target, path) = rest.split_once("/proxy")?;
    let (name, _) = target.split_once(':').unwrap_or((target, ""));
    let cluster = sim.cluster(&cmd.vm)?;
    let Some((workload, _)) = find_pod(sim, cluster, space, name, cmd.now) else {
        return Some(Err(failure(1, format!("Error from server (NotFound): pods \"{name}\" not found"))));
    };
    let values = &running_values(sim, cluster, workload);
    match path {
        "/metrics" => metrics(sim, cluster, cmd.now).map(|page| Ok(success(page))),
        "/api/v1/status/flags" => Some(Ok(success(runtime_flags(values).to_string()))),
        "/config" => Some(Ok(success(config_page(values)))),
        _ => Some(Err(failure(1, "Error from server (NotFound): the server could not find the requested resource"))),
    }
}

/// The values that its pods were started with.
fn running_values(sim: &SimState, cluster: &Cluster, workload: &Workload) -> Value {
    let release = cluster.release(&workload.release);
    let mut values = release.map(|r| Value::clone(&r.values)).unwrap_or_default();
    for condition in sim.conditions(&cluster.name) {
        if let Condition::RunsWith { release, pointer, value } = condition
            && *release == workload.release
            && let Some(place) = values.pointer_mut(pointer)
        {
            *place = value.clone();
        }
    }
    values
}

/// Seconds since the Agent started, and bytes written since.
fn wal_written(sim: &SimState, cluster: &Cluster, now: Duration) -> (u64, u64) {
    let rate = sim.conditions(&cluster.name).find_map(|m| match m {
        Condition::WalBytesPerSecond(rate) => Some(*rate),
        _ => None,
    });
    let age = sim.agent_started(cluster).map_or(0, |began| now.as_secs().saturating_sub(began));
    (age, rate.unwrap_or(WRITES) * age)
}

/// Metrics of an Agent; names and labels from a real one (2.42). It counts whole pages, and its newest sample is at
/// most a scrape old.
fn metrics(sim: &SimState, cluster: &Cluster, now: Duration) -> Option<String> {
    let (age, bytes) = wal_written(sim, cluster, now);
    let newest = timings::EPOCH + now.as_secs();
    let reached = platform_with(sim, cluster, "thanos", now).is_some();
    let sent = if reached { newest } else { newest - age };
    let waiting = if reached { 0 } else { age * SAMPLES / 60 };
    let to = "{remote_name=\"thanos\"}";
    let rows = [
        ("prometheus_remote_storage_highest_timestamp_in_seconds", "", newest),
        ("prometheus_remote_storage_queue_highest_sent_timestamp_seconds", to, sent),
        ("prometheus_remote_storage_samples_pending", to, waiting),
        ("prometheus_tsdb_wal_completed_pages_total", "", bytes / PAGE),
        ("prometheus_tsdb_wal_writes_failed_total", "", 0),
    ];
    let rows: String = rows.iter().map(|(name, labels, value)| format!("{name}{labels} {value}\n")).collect();
    Some(sim.agent_send_metrics(cluster, now)? + &rows)
}

/// The flags that a Prometheus runs with, hidden ones included; an unset one is `0s` (from a real one).
fn runtime_flags(values: &Value) -> Value {
    let given = values.pointer("/server/defaultFlagsOverride").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut data = json!({ "storage.agent.wal-truncate-frequency": "0s", "storage.agent.retention.max-time": "0s" });
    for flag in given.iter().filter_map(Value::as_str) {
        let (name, value) =
            flag.trim_start_matches('-').split_once('=').unwrap_or((flag.trim_start_matches('-'), "true"));
        data[name] = json!(value);
    }
    json!({ "status": "success", "data": data })
}

/// Promtail's configuration page: escaped YAML in one `<pre>` (clients/pkg/promtail/server/ui, grafana/loki).
fn config_page(values: &Value) -> String {
    let mut yaml = String::from("clients:\n");
    for client in values.pointer("/config/clients").and_then(Value::as_array).into_iter().flatten() {
        let tries = client.pointer("/backoff_config/max_retries").and_then(Value::as_u64).unwrap_or(10);
        yaml.push_str(&format!("- url: {}\n  backoff_config:\n    max_retries: {tries}\n", text(client, "/url")));
    }
    let file = match text(values, "/config/positions/filename") {
        "" => "/run/promtail/positions.yaml",
        file => file,
    };
    yaml.push_str(&format!("positions:\n  sync_period: 10s\n  filename: {file}\n"));
    let yaml = yaml.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;");
    format!(
        "<!DOCTYPE html>\n<html><body>\n<h2 id=\"configuration\">Configuration</h2>\n\
         <pre id=\"config_yaml\">{yaml}</pre>\n</body></html>\n"
    )
}

pub fn with_container_details(sim: &SimState, cluster: &Cluster, workload: &Workload, mut pod: Value) -> Value {
    let container = match workload.key().as_str() {
        AGENT => "prometheus-server",
        "kube-system/daemonset/cilium" => "cilium-agent",
        _ => workload.name.as_str(),
    };
    if container == "cilium-agent" {
        pod["metadata"]["labels"]["k8s-app"] = json!("cilium");
    }
    let ready = pod.pointer("/status/conditions/0/status") == Some(&json!("True"));
    let mut state = json!({ "name": container, "ready": ready, "started": ready, "restartCount": 0, "lastState": {} });
    let killed = sim.conditions(&cluster.name).find_map(|m| match m {
        Condition::AgentKilled(why) => Some(why),
        _ => None,
    });
    if let Some(why) = killed.filter(|_| workload.is(AGENT)) {
        state["restartCount"] = json!(1);
        state["lastState"] = json!({ "terminated": { "reason": why, "exitCode": 137 } });
    }
    pod["status"]["containerStatuses"] = json!([state]);
    let chart = cluster.release(&workload.release).and_then(|release| catalog::find(&release.chart));
    if let Some(files) = chart.and_then(|chart| chart.files.as_ref()) {
        let values = running_values(sim, cluster, workload);
        let or = |pointer: &str, other| values.pointer(pointer).cloned().unwrap_or(json!([other]));
        let [volumes, mounts] = &files.volumes;
        pod["spec"]["volumes"] = or(volumes, json!({ "name": "run", "hostPath": { "path": files.otherwise } }));
        let mounts = or(mounts, json!({ "name": "run", "mountPath": files.otherwise }));
        let flag = files.flag.iter().map(|[flag, pointer]| format!("{flag}={}", text(&values, pointer)));
        pod["spec"]["containers"] =
            json!([{ "name": container, "args": flag.collect::<Vec<_>>(), "volumeMounts": mounts }]);
    }
    pod
}

/// The ConfigMap of each release whose chart makes one.
pub fn config_maps(sim: &SimState, cluster: &Cluster) -> Vec<Value> {
    let map = |workload: &Workload| {
        let release = cluster.release(&workload.release)?;
        let files = catalog::find(&release.chart)?.files.as_ref().filter(|files| !files.key.is_empty())?;
        let values = running_values(sim, cluster, workload);
        let texts: String = files.texts.iter().map(|pointer| text(&values, pointer)).collect();
        let labels = json!({ "app.kubernetes.io/name": release.chart });
        let mut map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": {},
            "metadata": { "name": release.name, "namespace": release.namespace, "labels": labels } });
        map["data"][&files.key] = json!(texts);
        Some(map)
    };
    cluster.workloads.values().filter_map(map).collect()
}

pub fn agent_missing(sim: &SimState, cluster: &Cluster, workload: &Workload, node: Option<&String>) -> bool {
    let away = |m: &Condition| matches!(m, Condition::NoAgentOn(of) if Some(of) == node);
    workload.is("kube-system/daemonset/cilium") && sim.conditions(&cluster.name).any(away)
}
