//! What could restart the agent during an outage, or drop samples on their way: after a restart the backlog is gone.
//! Knows nothing of the log's arithmetic.

use std::time::Duration;

use serde_json::Value;

use super::super::case::{Case, shown};
use super::super::evidence::{Ground, Sheet};
use super::super::quantity::{duration, hours, size};
use super::{NEED, period};

/// How long a liveness probe must be failing before it kills: a starved or sleeping machine is no reason.
const PATIENCE: Duration = Duration::from_secs(300);
/// What the pod's grace period must leave after the flush.
const MARGIN: Duration = Duration::from_secs(15);

/// Judges one agent.
pub(super) fn judge(ground: &Ground, agent: &Sheet, case: &mut Case) {
    stop(ground, agent, case);
    kills(ground, agent, case);
    queue(ground, agent, case);
    case.because(
        "a restart during the outage loses the backlog, volume or not: only samples newer than the start are sent",
    );
}

/// A stop tries to send what is left; a pod that is killed meanwhile loses it.
fn stop(ground: &Ground, agent: &Sheet, case: &mut Case) {
    case.rule("stop");
    let name = "--storage.remote.flush-deadline";
    let (flush_path, flush) = period(agent, name, Duration::from_secs(60));
    case.read(agent, &flush_path);
    let flush = flush.unwrap_or(Duration::from_secs(60));
    let path = "server.terminationGracePeriodSeconds";
    // The chart's own default is 300.
    let grace =
        case.text(agent, path).and_then(|t| t.parse().ok()).map_or(Duration::from_secs(300), Duration::from_secs);
    case.figure("stop", format!("{} to flush, killed after {}", hours(flush), hours(grace)));
    if grace < flush + MARGIN {
        let want = format!("a grace period of at least {} s", (flush + MARGIN).as_secs());
        case.breach(ground, agent, path, want, format!("{} s", grace.as_secs()), "terminationGracePeriodSeconds: 120");
    }
}

/// Memory, eviction and the liveness probe.
fn kills(ground: &Ground, agent: &Sheet, case: &mut Case) {
    case.rule("restarts");
    let mut bytes = |path: &str| case.text(agent, path).and_then(|text| size(&text));
    let (request, limit) = (bytes("server.resources.requests.memory"), bytes("server.resources.limits.memory"));
    let path = "server.resources.limits.memory";
    match (request, limit) {
        (Some(request), Some(limit)) if limit >= 2 * request => {
            case.figure("memory", format!("{} MiB reserved, killed at {} MiB", request >> 20, limit >> 20));
        }
        (request, limit) => {
            let mib = |b: Option<u64>| b.map_or("nothing".to_owned(), |b| format!("{} MiB", b >> 20));
            let got = format!("{} reserved, limit {}", mib(request), mib(limit));
            case.breach(ground, agent, path, "twice what is reserved: catching up needs most", got, "memory: 256Mi");
        }
    }
    let path = "server.priorityClassName";
    let priority = case.text(agent, path).unwrap_or_default();
    if !priority.starts_with("system-") {
        let want = "a priority that is evicted last: system-cluster-critical";
        case.breach(
            ground,
            agent,
            path,
            want,
            shown(Some(&priority).filter(|p| !p.is_empty()).map(String::as_str)),
            "priorityClassName: system-cluster-critical",
        );
    }
    let mut seconds = |path: &str, otherwise: u64| {
        case.text(agent, path).and_then(|text| text.parse::<u64>().ok()).unwrap_or(otherwise)
    };
    let every = seconds("server.livenessProbePeriodSeconds", 15);
    let failures = seconds("server.livenessProbeFailureThreshold", 3);
    let patience = Duration::from_secs(every * failures);
    case.figure("liveness", format!("killed after {} without an answer", hours(patience)));
    if patience < PATIENCE {
        let want = format!("patience of at least {}", hours(PATIENCE));
        let hint = "livenessProbeFailureThreshold: 20";
        case.breach(ground, agent, "server.livenessProbeFailureThreshold", want, hours(patience), hint);
    }
}

/// Samples must not be given up for their age, and there must be somebody to send them to.
fn queue(ground: &Ground, agent: &Sheet, case: &mut Case) {
    case.rule("queue");
    let writes = case.list(agent, "server.remoteWrite");
    if writes.is_empty() {
        let hint = "remoteWrite: [{url: http://thanos-receive.monitoring.svc.cluster.local:19291/api/v1/receive}]";
        case.breach(ground, agent, "server.remoteWrite", "a receiver", "none", hint);
    }
    for (i, write) in writes.iter().enumerate() {
        let path = format!("server.remoteWrite.{i}.queue_config.sample_age_limit");
        let limit = case.text(agent, &path).and_then(|text| duration(&text)).unwrap_or_default();
        if !limit.is_zero() && limit < NEED {
            let want = format!("samples sent however old they are, up to {}", hours(NEED));
            case.breach(ground, agent, &path, want, format!("given up after {}", hours(limit)), "sample_age_limit: 0s");
        }
        if write.get("url").and_then(Value::as_str).is_none_or(str::is_empty) {
            let path = format!("server.remoteWrite.{i}");
            case.breach(ground, agent, &path, "an address to write to", "none", "url: http://thanos-receive…");
        }
    }
}
