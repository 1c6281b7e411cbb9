//! What pods say of themselves: Cilium's agent, the Prometheus Agent and its volume, Promtail; by `exec` or through the
//! API server.
//! Knows nothing of who is right: each tells what it runs with.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::ask::{Go, refused, said};
use super::super::clockwork;
use super::super::cluster::Cluster;
use super::super::mesh::platform;
use super::super::mishap::Mishap;
use super::super::stage::Stage;
use super::super::workload::Workload;
use super::super::yaml::text;
use super::desk::Desk;
use tool::Output;

/// Bytes a second of an agent that scrapes one app cluster (assumption, the drill's: 800 samples of 12 B a minute).
const WRITES: u64 = 160;
/// Samples a minute, likewise.
const SAMPLES: u64 = 800;
/// A page of the log (tsdb/wlog).
const PAGE: u64 = 32 << 10;
/// Where the Agent's log is.
const AGENT: &str = "monitoring/statefulset/prometheus-agent";

/// The pod of that name, by its workload and its node.
fn pod<'a>(
    stage: &Stage,
    cluster: &'a Cluster,
    space: &str,
    name: &str,
    now: Duration,
) -> Option<(&'a Workload, &'a String)> {
    let (owner, number) = name.rsplit_once('-')?;
    let workload = cluster.workloads.values().find(|w| w.namespace == space && w.name == owner && w.made)?;
    let number: usize = number.parse().ok()?;
    let place = (0..workload.placed.len()).find(|place| workload.number(*place) == number)?;
    let node = workload.placed.get(place)?;
    let member = cluster.nodes.get(node)?;
    let up = stage.vms.get(&member.vm).is_some_and(|vm| vm.reachable(now) && vm.ip == member.ip);
    up.then_some((workload, node))
}

/// A command in a pod of Cilium or in that of the Agent; `None` if it is another pod.
pub fn exec(stage: &mut Stage, desk: &Desk<'_>) -> Option<Go<Output>> {
    let (space, name, words) = (desk.namespace(), desk.parsed.word(0), &desk.parsed.rest);
    let cluster = stage.cluster(&desk.vm)?;
    let absent = || refused(1, format!("Error from server (NotFound): pods \"{name}\" not found"));
    match (space, words.as_slice()) {
        ("kube-system", ["cilium-dbg", "status", "--output", "json"]) => {
            let found = pod(stage, cluster, space, name, desk.now);
            Some(
                found.ok_or_else(absent).map(|(_, node)| said(agent(&tunnel(stage, cluster, node)).to_string() + "\n")),
            )
        }
        ("monitoring", ["du", "-s", "-k", "/data/wal"]) => {
            let found = pod(stage, cluster, space, name, desk.now).ok_or_else(absent);
            Some(found.map(|_| {
                said(format!("{}\t/data/wal\n", 1024 + written(stage, cluster, desk.now).1 % (384 << 20) / 1024))
            }))
        }
        ("monitoring", ["df", "-P", "-k", "/data"]) => {
            let found = pod(stage, cluster, space, name, desk.now).ok_or_else(absent);
            let head = "Filesystem           1024-blocks    Used Available Capacity Mounted on";
            Some(
                found.map(|_| said(format!("{head}\n/dev/sda1             20134592   8214912  11903296  41% /data\n"))),
            )
        }
        _ => None,
    }
}

/// How the agent of a node carries packets: it may run on with what it began with.
fn tunnel(stage: &Stage, cluster: &Cluster, node: &str) -> String {
    let own = stage.mishaps(&cluster.name).find_map(|m| match m {
        Mishap::Agent { node: of, tunnel } if of == node => Some(tunnel.clone()),
        _ => None,
    });
    own.unwrap_or_else(|| stage.tunnel(cluster))
}

/// What an agent says of itself (`models.StatusResponse` of Cilium, as far as it is read here).
fn agent(tunnel: &str) -> Value {
    json!({ "cilium": { "state": "Ok", "msg": "1.20.0" },
        "kube-proxy-replacement": { "mode": "True" },
        "routing": { "inter-host-routing-mode": "Tunnel", "intra-host-routing-mode": "BPF",
            "tunnel-protocol": tunnel } })
}

/// A pod that is asked through the API server: `…/namespaces/NS/pods/NAME:PORT/proxy/PATH`; `None` if it is no pod.
pub fn proxied(stage: &Stage, desk: &Desk<'_>, path: &str) -> Option<Go<Output>> {
    let rest = path.strip_prefix("/api/v1/namespaces/")?;
    let (space, rest) = rest.split_once("/pods/")?;
    let (target, path) = rest.split_once("/proxy")?;
    let (name, _) = target.split_once(':').unwrap_or((target, ""));
    let cluster = stage.cluster(&desk.vm)?;
    let Some((workload, _)) = pod(stage, cluster, space, name, desk.now) else {
        return Some(Err(refused(1, format!("Error from server (NotFound): pods \"{name}\" not found"))));
    };
    let values = &runs_with(stage, cluster, workload);
    match path {
        "/metrics" => metrics(stage, cluster, desk.now).map(|page| Ok(said(page))),
        "/api/v1/status/flags" => Some(Ok(said(flags(values).to_string()))),
        "/config" => Some(Ok(said(page(values)))),
        _ => Some(Err(refused(1, "Error from server (NotFound): the server could not find the requested resource"))),
    }
}

/// The values that the pods of a workload run with.
fn runs_with(stage: &Stage, cluster: &Cluster, workload: &Workload) -> Value {
    let release = cluster.release(&workload.release);
    let mut values = release.map(|r| Value::clone(&r.values)).unwrap_or_default();
    for mishap in stage.mishaps(&cluster.name) {
        if let Mishap::Runs { release, pointer, value } = mishap
            && *release == workload.release
            && let Some(place) = values.pointer_mut(pointer)
        {
            *place = value.clone();
        }
    }
    values
}

/// Seconds that the Agent has run, and bytes that it wrote meanwhile.
fn written(stage: &Stage, cluster: &Cluster, now: Duration) -> (u64, u64) {
    let rate = stage.mishaps(&cluster.name).find_map(|m| match m {
        Mishap::Writes(rate) => Some(*rate),
        _ => None,
    });
    let age = stage.agent_started(cluster).map_or(0, |began| now.as_secs().saturating_sub(began));
    (age, rate.unwrap_or(WRITES) * age)
}

/// Figures of an Agent in Prometheus' text format. Names and labels were read off a real one (2.42); it counts whole
/// pages, and its newest sample is at most a scrape old.
fn metrics(stage: &Stage, cluster: &Cluster, now: Duration) -> Option<String> {
    let (age, bytes) = written(stage, cluster, now);
    let newest = clockwork::EPOCH + now.as_secs();
    let reached = platform(stage, cluster, "thanos", now).is_some();
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
    Some(stage.agent_page(cluster, now)? + &rows)
}

/// The flags that a Prometheus runs with, hidden ones included; one that was not given is `0s` (read off a real one).
fn flags(values: &Value) -> Value {
    let given = values.pointer("/server/defaultFlagsOverride").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut data = json!({ "storage.agent.wal-truncate-frequency": "0s", "storage.agent.retention.max-time": "0s" });
    for flag in given.iter().filter_map(Value::as_str) {
        let (name, value) =
            flag.trim_start_matches('-').split_once('=').unwrap_or((flag.trim_start_matches('-'), "true"));
        data[name] = json!(value);
    }
    json!({ "status": "success", "data": data })
}

/// Promtail's page of its configuration: YAML, escaped, in one `<pre>` (clients/pkg/promtail/server/ui, grafana/loki).
fn page(values: &Value) -> String {
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

/// What a pod shows beyond what every pod does: labels, containers and volumes that are looked at.
pub fn dressed(stage: &Stage, cluster: &Cluster, workload: &Workload, mut pod: Value) -> Value {
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
    let killed = stage.mishaps(&cluster.name).find_map(|m| match m {
        Mishap::Killed(why) => Some(why),
        _ => None,
    });
    if let Some(why) = killed.filter(|_| workload.is(AGENT)) {
        state["restartCount"] = json!(1);
        state["lastState"] = json!({ "terminated": { "reason": why, "exitCode": 137 } });
    }
    pod["status"]["containerStatuses"] = json!([state]);
    if workload.is("monitoring/daemonset/promtail") {
        let values = runs_with(stage, cluster, workload);
        // Where the values say nothing, the chart mounts a path that a reboot empties.
        let run = json!([{ "name": "run", "hostPath": { "path": "/run/promtail" } }]);
        let at = json!([{ "name": "run", "mountPath": "/run/promtail" }]);
        let or = |value: &Value, other: &Value| if value.is_null() { other.clone() } else { value.clone() };
        pod["spec"]["volumes"] = or(&values["defaultVolumes"], &run);
        pod["spec"]["containers"] =
            json!([{ "name": container, "volumeMounts": or(&values["defaultVolumeMounts"], &at) }]);
    }
    pod
}

/// Whether an agent is missing on a node where it should be.
pub fn is_missing(stage: &Stage, cluster: &Cluster, workload: &Workload, node: Option<&String>) -> bool {
    let away = |m: &Mishap| matches!(m, Mishap::NoAgentOn(of) if Some(of) == node);
    workload.is("kube-system/daemonset/cilium") && stage.mishaps(&cluster.name).any(away)
}
