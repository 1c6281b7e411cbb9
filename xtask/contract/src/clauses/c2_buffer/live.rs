//! C2, live: the flags that the Agent runs with, what it writes into its log, and how long an outage that bridges.
//!
//! `prometheus_tsdb_wal_completed_pages_total` counts pages of 32 KiB that were written since the process began, so
//! divided by its age it is the rate. Its newest sample is its clock.

use std::time::Duration;

use serde_json::Value;

use super::form::FLAGS;
use super::metrics::{self, MetricsPage};
use super::wal::{SEGMENT, Wal};
use super::{DEFAULT_PERIOD, KIB, MIB, NEED, PERIOD, RETENTION, SAMPLE, agent_of, segment_of, truncated_every};
use crate::live::{LiveContext, Site, probes};
use crate::rendered_state::{ClusterManifests, Document};
use model::fleet::Cluster;
use model::units::{format_decimal, format_hours, parse_duration};
use plan::{Expect, Step};

/// A younger Agent has not written enough to show a rate.
const YOUNG: Duration = Duration::from_secs(600);
/// How far sending may be behind while the platform answers: a scrape, a batch, and a retry of half a minute.
const BEHIND: Duration = Duration::from_secs(600);
const SUBJECT: &str = "prometheus-agent";
const DF: &str = "kubectl exec --namespace monitoring prometheus-agent-0 -- df /data";

/// The Agent's pod, flags, metrics, log and volume. Paths and metrics were read off a real Agent; one answers
/// `status/flags` too, hidden flags included.
pub(super) fn probes(cluster: &Cluster, manifests: &ClusterManifests) -> Vec<Step> {
    let Some(agent) = agent_of(manifests) else { return vec![] };
    let (namespace, name) = probes::named_by(agent, "server.fullnameOverride", &agent.name);
    let (kubectl, pod) = (probes::kubectl(cluster), format!("{name}-0"));
    let through = |path: &str| kubectl.raw(&format!("/api/v1/namespaces/{namespace}/pods/{pod}:9090/proxy{path}"));
    let inside = |words: &[&str]| kubectl.exec(namespace, &pod, "prometheus-server", words);
    let one = kubectl.list("pods", &["--namespace", namespace, "--field-selector", &format!("metadata.name={pod}")]);
    let flag = Expect::JsonPresent("/data/storage.agent.wal-truncate-frequency".into());
    let pages = Expect::Match(r"^prometheus_tsdb_wal_completed_pages_total \S+$".into());
    let (log, volume) = (inside(&["du", "-s", "-k", "/data/wal"]), inside(&["df", "-P", "-k", "/data"]));
    let ask = |what: &str, title: &str, command, want| probes::question(cluster, what, title, command, want);
    vec![
        ask("agent", "find the Agent of", one, probes::not_empty()),
        ask("agent/flags", "read the Agent's flags on", through("/api/v1/status/flags"), flag),
        ask("agent/metrics", "read the Agent's metrics on", through("/metrics"), pages),
        ask("agent/log", "measure the Agent's log on", log, Expect::Match(r"^\d+\s".into())),
        ask("agent/volume", "measure the Agent's volume on", volume, Expect::Match("Available".into())),
    ]
}

pub(super) fn judge(ctx: &mut LiveContext<'_>) {
    let mut summary = Vec::new();
    for site in ctx.apps() {
        let Some(rendered) = agent_of(site.rendered) else { continue };
        runs(ctx, &site);
        let period = flags(ctx, &site, rendered);
        let Some(page) = ctx.answer(site.name(), "agent/metrics").map(MetricsPage::read) else { continue };
        sending(ctx, &site, &page);
        let segment = segment_of(rendered, FLAGS).1.unwrap_or(SEGMENT);
        summary.extend(period.and_then(|period| log(ctx, &site, &page, period, segment)));
    }
    ctx.summary(if summary.is_empty() { "nothing was measured".to_owned() } else { summary.join("; ") });
    ctx.rationale("measured: pages of 32 KiB in the log since the Agent began, by its own clock");
    ctx.rationale("projected by the model of the static tier, at the measured rate and the running flags");
    ctx.rationale("a restart loses what was buffered before it: restarts are counted, and a kill is a breach");
}

/// Its pod runs, and nothing killed it. A stop of its node does not count.
fn runs(ctx: &mut LiveContext<'_>, site: &Site<'_>) {
    ctx.rule("restarts");
    let Some(pods) = ctx.items(site.name(), "agent") else { return };
    let states = pods.first().map(|pod| pod["status"]["containerStatuses"].as_array().cloned().unwrap_or_default());
    let state = states.as_ref().and_then(|all| all.iter().find(|c| c["name"] == "prometheus-server"));
    let got = match (&states, state) {
        (None, _) => Some("it has no pod"),
        (_, None) => Some("it was not started yet"),
        (_, Some(state)) => (state["ready"] != true).then_some("it is not ready"),
    };
    if let Some(got) = got {
        let hint = site.kubectl("--namespace monitoring describe pods");
        ctx.breach(site.name(), "agent", SUBJECT, "the Agent runs and is ready", got, &hint);
    }
    let Some(state) = state else { return };
    let restarts = state["restartCount"].as_u64().unwrap_or(0);
    ctx.metric(&format!("restarts on {}", site.name()), restarts.to_string());
    let last = &state["lastState"]["terminated"];
    let (why, code) = (last["reason"].as_str().unwrap_or_default(), last["exitCode"].as_i64().unwrap_or(0));
    // A node that was switched off leaves `Completed`, 143 (SIGTERM), or 255 `Unknown` where the kubelet lost track.
    if restarts > 0 && !matches!((why, code), ("" | "Completed" | "Unknown", _) | (_, 0 | 143 | 255)) {
        let got = format!("restarted {restarts} times, last by {why} (exit {code}): its queued samples were lost");
        let hint = "charts/prometheus-agent/values.yaml: resources.limits.memory";
        ctx.breach(site.name(), "agent", SUBJECT, "an Agent that nothing kills", &got, hint);
    }
}

/// The truncate period that it runs with. `0s` is how a flag prints that was not given.
fn flags(ctx: &mut LiveContext<'_>, site: &Site<'_>, rendered: &Document) -> Option<Duration> {
    ctx.rule("flags");
    let answer = ctx.json(site.name(), "agent/flags")?;
    let Some(data) = answer["data"].as_object() else {
        return ctx.no_answer(site.name(), "agent/flags", "the answer has no flags");
    };
    let value = |flag: &str| {
        let text = data.get(flag.trim_start_matches('-')).and_then(Value::as_str);
        text.and_then(parse_duration).filter(|d| !d.is_zero())
    };
    let actual = value(PERIOD).unwrap_or(DEFAULT_PERIOD);
    let wanted = truncated_every(rendered).unwrap_or(DEFAULT_PERIOD);
    ctx.metric(&format!("truncate period on {}", site.name()), format_hours(actual));
    if actual != wanted {
        let (want, got) = (format!("{PERIOD}={} as rendered", format_hours(wanted)), format_hours(actual));
        let hint = format!("cargo xtask bootstrap --only '{}/prometheus-agent'", site.name());
        ctx.breach(site.name(), "agent/flags", SUBJECT, &want, &got, &hint);
    }
    let kept = value(RETENTION.0).unwrap_or(RETENTION.1);
    if kept < NEED {
        let want = format!("series kept for {} or longer", format_hours(NEED));
        let hint = format!("charts/prometheus-agent/values.yaml: {}=8h", RETENTION.0);
        ctx.breach(site.name(), "agent/flags", SUBJECT, &want, &format_hours(kept), &hint);
    }
    Some(actual)
}

/// It sends while the platform answers, and it lost nothing.
fn sending(ctx: &mut LiveContext<'_>, site: &Site<'_>, page: &MetricsPage) {
    ctx.rule("sending");
    let number = |name: &str| page.sum(name).unwrap_or(0.0);
    let (pending, failed) =
        (number("prometheus_remote_storage_samples_pending"), number("prometheus_remote_storage_samples_failed_total"));
    let scraped = page.sum("prometheus_remote_storage_highest_timestamp_in_seconds");
    // There is no such metric before the first batch was sent.
    let sent = page.most("prometheus_remote_storage_queue_highest_sent_timestamp_seconds").or_else(|| page.started());
    let behind = scraped.zip(sent).map(|(scraped, sent)| Duration::from_secs_f64((scraped - sent).max(0.0)));
    let lag = behind.map_or("unknown".to_owned(), format_hours);
    let text = format!("{pending} samples wait, {failed} failed for good, {lag} behind");
    ctx.metric(&format!("sending on {}", site.name()), text);
    let what = "agent/metrics";
    if failed > 0.0 {
        let got = format!("{failed} samples failed for good: the receiver refused them");
        let hint = "charts/thanos/values.yaml: out-of-order.time-window, limits";
        ctx.breach(site.name(), what, SUBJECT, "no sample lost", &got, hint);
    }
    if number("prometheus_tsdb_wal_writes_failed_total") > 0.0 {
        ctx.breach(site.name(), what, SUBJECT, "every sample gets into the log", "writes of the log failed", DF);
    }
    if ctx.platform_answers() == Some(true) && behind.is_some_and(|time| time > BEHIND) {
        let want = format!("samples sent within {} while the platform answers", format_hours(BEHIND));
        let hint = "cargo xtask mesh-connect --diagnose";
        ctx.breach(site.name(), what, SUBJECT, &want, &format!("{lag} behind"), hint);
    }
}

/// The rate at which the log is written, what that bridges, and the room for it.
fn log(
    ctx: &mut LiveContext<'_>,
    site: &Site<'_>,
    page: &MetricsPage,
    period: Duration,
    segment: u64,
) -> Option<String> {
    ctx.rule("measured");
    let what = "agent/metrics";
    let Some((rate, age)) = page.rate() else {
        return ctx.no_answer(site.name(), what, "the metrics lack pages, start or clock");
    };
    let bound = Wal { period, bytes: (rate * period.as_secs_f64()) as u64, segment }.bound();
    let samples = page.samples().map_or(String::new(), |s| format!(", {} samples/s", format_decimal(s)));
    let measured = format!("at most {} KiB/s over {}{samples}", format_decimal(rate / KIB), format_hours(age));
    ctx.metric(&format!("written on {}", site.name()), measured.clone());
    ctx.metric(&format!("projected outage on {}", site.name()), format_hours(bound.shortest));
    if age < YOUNG {
        let age = format_hours(age);
        ctx.rationale(format!("the Agent of {} is {age} old: too young for a reliable rate", site.name()));
    }
    if bound.shortest < NEED {
        let breaks = Wal::breaking_rate(period, segment, NEED);
        let promised = breaks.map_or("nothing".to_owned(), |r| format!("{} KiB/s", format_decimal(r / KIB)));
        let want = format!("no loss for {}: less than {promised} written", format_hours(NEED));
        let got = format!("{measured}: {} bridged", format_hours(bound.shortest));
        let hint = format!("lower sample_limit, or a longer {PERIOD}; at {SAMPLE} B a sample");
        ctx.breach(site.name(), what, SUBJECT, &want, &got, &hint);
    }
    room(ctx, site, bound.held);
    Some(format!("{}: {measured} bridges {}", site.name(), format_hours(bound.shortest)))
}

/// What the log takes now and what is free must hold what it keeps at this rate.
fn room(ctx: &mut LiveContext<'_>, site: &Site<'_>, held: u64) {
    ctx.rule("room");
    let log = ctx.answer(site.name(), "agent/log").map(metrics::used);
    let volume = ctx.answer(site.name(), "agent/volume").map(metrics::volume);
    let (Some(log), Some(volume)) = (log, volume) else { return };
    let (Some(log), Some((size, free))) = (log, volume) else {
        ctx.no_answer::<()>(site.name(), "agent/volume", "unreadable output of du or df");
        return;
    };
    let mib = |bytes: u64| format!("{} MiB", format_decimal(bytes as f64 / MIB));
    let text = format!("{} now, {} free of {}", mib(log), mib(free), mib(size));
    ctx.metric(&format!("log on {}", site.name()), text);
    if log + free < held {
        let want = format!("room for {}, which the log keeps at this rate", mib(held));
        ctx.breach(site.name(), "agent/volume", SUBJECT, &want, &format!("{} in all", mib(log + free)), DF);
    }
}
