//! C2, live: the flags that the Agent runs with, what it writes into its log, and how long an outage that bridges.
//! Knows nothing of the log's arithmetic; `wal` does it, as for what is rendered.
//!
//! Figures are the Agent's own, seen on a real one: `prometheus_tsdb_wal_completed_pages_total` counts pages of 32 KiB
//! that were written since the process began, so divided by its age it is the rate. Its newest sample is its clock.

mod figures;

use std::time::Duration;

use serde_json::Value;

use super::super::c2_buffer::{self, DEFAULT_PERIOD, NEED, PERIOD, SAMPLE};
use super::super::evidence::Sheet;
use super::super::wal::Wal;
use super::bench::{Bench, Site};
use figures::Figures;
use model::units::{format_decimal, format_hours, parse_duration};

/// An Agent that is younger has not written enough to tell a rate by.
const YOUNG: Duration = Duration::from_secs(600);
/// How far sending may be behind while the platform answers: a scrape, a batch, and a retry of half a minute.
const BEHIND: f64 = 600.0;
const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * 1024.0;

pub(super) fn judge(bench: &mut Bench<'_>) {
    let mut told = Vec::new();
    let answering = bench.platform_answers();
    for site in bench.apps() {
        let Some(rendered) = c2_buffer::agent_of(site.rendered) else { continue };
        lives(bench, &site);
        let period = flags(bench, &site, rendered);
        let Some(figures) = bench.said(site.name(), "agent/metrics").map(Figures::read) else { continue };
        sending(bench, &site, &figures, answering);
        let Some(period) = period else { continue };
        told.extend(log(bench, &site, &figures, period));
    }
    let told = if told.is_empty() { "nothing was measured".to_owned() } else { told.join("; ") };
    bench.case.headline(told);
    bench.case.because("measured: pages of 32 KiB in the log since the Agent began, by its own clock");
    bench.case.because("projected by the model of the static tier, at the measured rate and the running flags");
    bench.case.because(
        "what was buffered before a restart is not sent after it: restarts are counted, and a kill is a breach",
    );
}

/// Its pod runs, and nothing killed it. A stop of its node is none of its own.
fn lives(bench: &mut Bench<'_>, site: &Site<'_>) {
    bench.case.rule("restarts");
    let Some(pods) = bench.items(site.name(), "agent") else { return };
    let hint = format!("kubectl --kubeconfig out/kube/{}.yaml --namespace monitoring describe pods", site.name());
    let Some(pod) = pods.first() else {
        bench.breach(site.name(), "agent", "prometheus-agent", "the Agent runs", "it has no pod", &hint);
        return;
    };
    let states = pod.pointer("/status/containerStatuses").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(state) = states.iter().find(|c| c["name"] == "prometheus-server") else {
        bench.breach(site.name(), "agent", "prometheus-agent", "the Agent runs", "it was not started yet", &hint);
        return;
    };
    if state["ready"] != Value::Bool(true) {
        bench.breach(site.name(), "agent", "prometheus-agent", "the Agent is ready", "it is not", &hint);
    }
    let restarts = state["restartCount"].as_u64().unwrap_or(0);
    bench.case.figure(&format!("restarts on {}", site.name()), restarts.to_string());
    let last = &state["lastState"]["terminated"];
    let (why, code) = (last["reason"].as_str().unwrap_or_default(), last["exitCode"].as_i64().unwrap_or(0));
    // A node that was switched off leaves `Completed`, 143 (asked to end), or 255 `Unknown` where it could not say.
    if restarts > 0 && !matches!((why, code), ("" | "Completed" | "Unknown", _) | (_, 0 | 143 | 255)) {
        let got = format!("restarted {restarts} times, last by {why} (exit {code}): what it had buffered was lost");
        let hint = "charts/prometheus-agent/values.yaml: resources.limits.memory";
        bench.breach(site.name(), "agent", "prometheus-agent", "an Agent that nothing kills", &got, hint);
    }
}

/// The truncate period that it runs with. `0s` is how a flag prints that was not given.
fn flags(bench: &mut Bench<'_>, site: &Site<'_>, rendered: &Sheet) -> Option<Duration> {
    bench.case.rule("flags");
    let said = bench.json(site.name(), "agent/flags")?;
    let name = PERIOD.trim_start_matches('-');
    let Some(data) = said["data"].as_object() else {
        return bench.unheard(site.name(), "agent/flags", "the answer has no flags".to_owned());
    };
    let value = |flag: &str| data.get(flag).and_then(Value::as_str).and_then(parse_duration).filter(|d| !d.is_zero());
    let runs = value(name).unwrap_or(DEFAULT_PERIOD);
    let wanted = c2_buffer::truncated_every(rendered).unwrap_or(DEFAULT_PERIOD);
    bench.case.figure(&format!("truncate period on {}", site.name()), format_hours(runs));
    if runs != wanted {
        let (want, got) = (format!("{PERIOD}={} as rendered", format_hours(wanted)), format_hours(runs));
        let hint = format!("cargo xtask bootstrap --only '{}/prometheus-agent'", site.name());
        bench.breach(site.name(), "agent/flags", "prometheus-agent", &want, &got, &hint);
    }
    let flag = "storage.agent.retention.max-time";
    let kept = value(flag).unwrap_or(Duration::from_secs(4 * 3600));
    if kept < NEED {
        let want = format!("series kept for {} or longer", format_hours(NEED));
        let hint = "charts/prometheus-agent/values.yaml: --storage.agent.retention.max-time=8h";
        bench.breach(site.name(), "agent/flags", "prometheus-agent", &want, &format_hours(kept), hint);
    }
    Some(runs)
}

/// It sends while there is somebody to send to, and it lost nothing.
fn sending(bench: &mut Bench<'_>, site: &Site<'_>, figures: &Figures, answering: bool) {
    bench.case.rule("sending");
    let number = |name: &str| figures.sum(name).unwrap_or(0.0);
    let (pending, failed) =
        (number("prometheus_remote_storage_samples_pending"), number("prometheus_remote_storage_samples_failed_total"));
    let scraped = figures.sum("prometheus_remote_storage_highest_timestamp_in_seconds");
    // There is no such figure before the first batch has arrived.
    let sent = figures.most("prometheus_remote_storage_queue_highest_sent_timestamp_seconds");
    let sent = sent.or_else(|| figures.sum("process_start_time_seconds"));
    let behind = scraped.zip(sent).map(|(scraped, sent)| (scraped - sent).max(0.0));
    let lag = behind.map_or("unknown".to_owned(), |s| format_hours(Duration::from_secs_f64(s)));
    let name = format!("sending on {}", site.name());
    bench.case.figure(&name, format!("{pending} samples wait, {failed} failed for good, {lag} behind"));
    let (what, subject) = ("agent/metrics", "prometheus-agent");
    if failed > 0.0 {
        let got = format!("{failed} samples failed for good: the receiver refused them");
        let hint = "charts/thanos/values.yaml: out-of-order.time-window, limits";
        bench.breach(site.name(), what, subject, "no sample lost", &got, hint);
    }
    if number("prometheus_tsdb_wal_writes_failed_total") > 0.0 {
        let hint = "kubectl exec --namespace monitoring prometheus-agent-0 -- df /data";
        bench.breach(site.name(), what, subject, "every sample gets into the log", "writes of the log failed", hint);
    }
    if answering && behind.is_some_and(|s| s > BEHIND) {
        let want =
            format!("samples sent within {} while the platform answers", format_hours(Duration::from_secs_f64(BEHIND)));
        let hint = "cargo xtask mesh-connect --diagnose";
        bench.breach(site.name(), what, subject, &want, &format!("{lag} behind"), hint);
    }
}

/// The rate at which the log is written, what that bridges, and the room for it.
fn log(bench: &mut Bench<'_>, site: &Site<'_>, figures: &Figures, period: Duration) -> Option<String> {
    bench.case.rule("measured");
    let (what, subject) = ("agent/metrics", "prometheus-agent");
    let Some((rate, age)) = figures.rate() else {
        return bench.unheard(site.name(), what, "the figures lack pages, start or clock".to_owned());
    };
    let wal = Wal { period, bytes: (rate * period.as_secs_f64()) as u64 };
    let bound = wal.bound();
    let breaks = Wal::breaking_rate(period, NEED);
    let samples = figures.samples().map_or(String::new(), |s| format!(", {} samples/s", format_decimal(s)));
    let measured = format!("at most {} KiB/s over {}{samples}", format_decimal(rate / KIB), format_hours(age));
    bench.case.figure(&format!("written on {}", site.name()), measured.clone());
    bench.case.figure(&format!("projected outage on {}", site.name()), format_hours(bound.shortest));
    if age < YOUNG {
        bench.case.because(format!(
            "the Agent of {} is {} old: its rate says little yet",
            site.name(),
            format_hours(age)
        ));
    }
    if bound.shortest < NEED {
        let promised = breaks.map_or("nothing".to_owned(), |r| format!("{} KiB/s", format_decimal(r / KIB)));
        let want = format!("no loss for {}: less than {promised} written", format_hours(NEED));
        let got = format!("{measured}: {} bridged", format_hours(bound.shortest));
        let hint = format!("lower sample_limit, or a longer {PERIOD}; at {SAMPLE} B a sample");
        bench.breach(site.name(), what, subject, &want, &got, &hint);
    }
    room(bench, site, bound.held);
    Some(format!("{}: {measured} bridges {}", site.name(), format_hours(bound.shortest)))
}

/// What the log takes now and what is free must hold what it keeps at this rate.
fn room(bench: &mut Bench<'_>, site: &Site<'_>, held: u64) {
    bench.case.rule("room");
    let log = bench.said(site.name(), "agent/log").map(figures::used);
    let volume = bench.said(site.name(), "agent/volume").map(figures::volume);
    let (Some(log), Some(volume)) = (log, volume) else { return };
    let (Some(log), Some((size, free))) = (log, volume) else {
        bench.unheard::<()>(site.name(), "agent/volume", "du or df printed something else".to_owned());
        return;
    };
    let mib = |bytes: u64| format!("{} MiB", format_decimal(bytes as f64 / MIB));
    let name = format!("log on {}", site.name());
    bench.case.figure(&name, format!("{} now, {} free of {}", mib(log), mib(free), mib(size)));
    if log + free < held {
        let want = format!("room for {}, which the log keeps at this rate", mib(held));
        let hint = "kubectl exec --namespace monitoring prometheus-agent-0 -- df /data";
        bench.breach(
            site.name(),
            "agent/volume",
            "prometheus-agent",
            &want,
            &format!("{} in all", mib(log + free)),
            hint,
        );
    }
}
