//! What could restart the agent during an outage, or drop samples on their way: after a restart the backlog is gone.

use std::time::Duration;

use serde_json::Value;

use super::NEED;
use super::form::{Form, Setting, period};
use crate::context::{ClauseContext, shown};
use crate::rendered_state::{ClusterManifests, Document};
use model::units::{format_hours, parse_duration, parse_quantity};

/// How long a liveness probe must be failing before it kills: a starved or sleeping machine is no reason.
const PATIENCE: Duration = Duration::from_secs(300);
/// What the pod's grace period must leave after the flush.
const MARGIN: Duration = Duration::from_secs(15);

/// Judges one agent, by its values or by the workload that is made of them.
pub(super) fn judge(cluster: &ClusterManifests, agent: &Document, form: &Form, ctx: &mut ClauseContext) {
    stop(cluster, agent, form, ctx);
    memory(cluster, agent, form, ctx);
    kills(cluster, agent, form, ctx);
    ctx.rationale(
        "a restart during the outage loses the backlog, volume or not: only samples newer than the start are sent",
    );
}

/// A stop tries to send what is left; a pod that is killed meanwhile loses it.
fn stop(cluster: &ClusterManifests, agent: &Document, form: &Form, ctx: &mut ClauseContext) {
    ctx.rule("stop");
    let name = "--storage.remote.flush-deadline";
    let (flush_path, flush) = period(agent, &form.flags, name, Duration::from_secs(60));
    ctx.read(agent, &flush_path);
    let flush = flush.unwrap_or(Duration::from_secs(60));
    let (path, grace) = (&form.grace.0, Duration::from_secs(seconds(agent, &form.grace, ctx)));
    ctx.metric("stop", format!("{} to flush, killed after {}", format_hours(flush), format_hours(grace)));
    if grace < flush + MARGIN {
        let want = format!("a grace period of at least {} s", (flush + MARGIN).as_secs());
        ctx.breach(cluster, agent, path, want, format!("{} s", grace.as_secs()), "terminationGracePeriodSeconds: 120");
    }
}

/// A number of seconds or of times, as it is set or as it counts.
fn seconds(agent: &Document, (path, otherwise): &Setting, ctx: &mut ClauseContext) -> u64 {
    ctx.text(agent, path).and_then(|text| text.parse().ok()).unwrap_or(*otherwise)
}

fn memory(cluster: &ClusterManifests, agent: &Document, form: &Form, ctx: &mut ClauseContext) {
    ctx.rule("restarts");
    let mut bytes = |path: &str| ctx.text(agent, path).and_then(|text| parse_quantity(&text));
    let [request, path] = &form.memory;
    let (request, limit) = (bytes(request), bytes(path));
    match (request, limit) {
        (Some(request), Some(limit)) if limit >= 2 * request => {
            ctx.metric("memory", format!("{} MiB reserved, killed at {} MiB", request >> 20, limit >> 20));
        }
        (request, limit) => {
            let mib = |b: Option<u64>| b.map_or("nothing".to_owned(), |b| format!("{} MiB", b >> 20));
            let got = format!("{} reserved, limit {}", mib(request), mib(limit));
            ctx.breach(cluster, agent, path, "twice what is reserved: catching up needs most", got, "memory: 256Mi");
        }
    }
}

fn kills(cluster: &ClusterManifests, agent: &Document, form: &Form, ctx: &mut ClauseContext) {
    let path = &form.priority;
    let priority = ctx.text(agent, path).unwrap_or_default();
    if !priority.starts_with("system-") {
        let want = "a priority that is evicted last: system-cluster-critical";
        ctx.breach(
            cluster,
            agent,
            path,
            want,
            shown(Some(&priority).filter(|p| !p.is_empty()).map(String::as_str)),
            "priorityClassName: system-cluster-critical",
        );
    }
    let Some([every, often]) = &form.liveness else { return };
    let (every, failures) = (seconds(agent, every, ctx), seconds(agent, often, ctx));
    let patience = Duration::from_secs(every * failures);
    ctx.metric("liveness", format!("killed after {} without an answer", format_hours(patience)));
    if patience < PATIENCE {
        let want = format!("patience of at least {}", format_hours(PATIENCE));
        let hint = "livenessProbeFailureThreshold: 20";
        ctx.breach(cluster, agent, &often.0, want, format_hours(patience), hint);
    }
}

/// Samples must not be given up for their age, and there must be somebody to send them to.
pub(super) fn queue(cluster: &ClusterManifests, agent: &Document, list: &str, ctx: &mut ClauseContext) {
    ctx.rule("queue");
    let writes = ctx.list(agent, list);
    if writes.is_empty() {
        let hint = "remoteWrite: [{url: http://thanos-receive.monitoring.svc.cluster.local:19291/api/v1/receive}]";
        ctx.breach(cluster, agent, list, "a receiver", "none", hint);
    }
    for (i, write) in writes.iter().enumerate() {
        let path = format!("{list}.{i}.queue_config.sample_age_limit");
        let limit = ctx.text(agent, &path).and_then(|text| parse_duration(&text)).unwrap_or_default();
        if !limit.is_zero() && limit < NEED {
            let want = format!("samples sent however old they are, up to {}", format_hours(NEED));
            ctx.breach(
                cluster,
                agent,
                &path,
                want,
                format!("given up after {}", format_hours(limit)),
                "sample_age_limit: 0s",
            );
        }
        for (j, rule) in write["write_relabel_configs"].as_array().into_iter().flatten().enumerate() {
            let action = rule["action"].as_str().unwrap_or("replace");
            let renamed = ["__name__", "cluster"].contains(&rule["target_label"].as_str().unwrap_or_default());
            let kept = ["replace", "lowercase", "uppercase", "hashmod", "labelmap"].contains(&action) && !renamed;
            if !kept {
                let path = format!("{list}.{i}.write_relabel_configs.{j}");
                let hint = "drop it by metric_relabel_configs, before it is buffered";
                ctx.breach(cluster, agent, &path, "what is buffered is sent, under its own name", action, hint);
            }
        }
        if write.get("url").and_then(Value::as_str).is_none_or(str::is_empty) {
            let path = format!("{list}.{i}");
            ctx.breach(cluster, agent, &path, "an address to write to", "none", "url: http://thanos-receive…");
        }
    }
}
