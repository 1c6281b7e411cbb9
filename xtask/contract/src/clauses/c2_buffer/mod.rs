//! C2: an outage of the platform of up to 2.7 h loses no sample.

mod agent;
mod flags;
mod form;
mod live;
mod metrics;
mod outage;
mod receiver;
mod rendered;
pub mod wal;

use std::time::Duration;

use super::Definition;
use crate::context::ClauseContext;
use crate::rendered_state::{ClusterManifests, Document, RenderedState};
use form::{FLAGS, Form, flag, period};
use model::units::{Bytes, format_decimal, format_hours, parse_duration, parse_quantity};
use wal::{Bound, SEGMENT, Wal};

/// What is promised: 2.7 h.
pub const NEED: Duration = Duration::from_secs(9720);
/// The only knob that keeps unsent samples.
const PERIOD: &str = "--storage.agent.wal-truncate-frequency";
const SEGMENT_SIZE: &str = "--storage.agent.wal-segment-size";
/// The default of Prometheus (tsdb/agent/db.go).
const DEFAULT_PERIOD: Duration = Duration::from_secs(7200);
/// The most that a sample takes in the log: a value of 8 bytes and two short varints, before compression.
const SAMPLE: f64 = 12.0;
const CEILING: &str = "a ceiling on the samples of each scrape, so that no workload can fill the log";
const KIB: f64 = 1024.0;
const MIB: f64 = (1 << 20) as f64;
/// How long series are kept, and the default of Prometheus.
const RETENTION: (&str, Duration) = ("--storage.agent.retention.max-time", Duration::from_secs(4 * 3600));

pub(super) static CLAUSE: Definition = Definition {
    probes: live::probes,
    live: live::judge,
    observations: outage::observations,
    ready: outage::ready,
    outage: outage::judge,
    model: |need, sweep| {
        let (safe, promised) = (format_hours(sweep.safe), format_hours(need.outage));
        let lost = format!("samples are lost in outages longer than {safe}, {promised} is promised");
        (sweep.safe < need.outage).then_some(lost)
    },
    mutants: include_str!("mutants.toml"),
    ..Definition::new("the Prometheus Agent buffers an outage of 2.7 h", "adr/0006-observability-agents.md", check)
};

/// Judges every agent, and the receiver on the platform.
fn check(state: &RenderedState, ctx: &mut ClauseContext) {
    let mut bridged = Duration::ZERO;
    for cluster in state.apps() {
        ctx.rule("agent");
        let Some(agent) = agent_of(cluster) else {
            let want = "a release of the chart prometheus with `--agent` among its flags";
            let hint = "list it for `workload` in charts/releases.toml, with --agent in server.defaultFlagsOverride";
            ctx.missing(cluster, "prometheus-agent", want, "nothing", hint);
            continue;
        };
        if let Some(bound) = log(cluster, agent, ctx) {
            // Real agents bridged about a period more than is guaranteed; what they send then must be taken, too.
            bridged = bridged.max(bound.shortest + bound.shortest / 2);
        }
        agent::judge(cluster, agent, &Form::of_values(), ctx);
        flags::judge(cluster, agent, FLAGS, ctx);
        agent::queue(cluster, agent, "server.remoteWrite", ctx);
        rendered::judge(cluster, agent, ctx);
    }
    receiver::judge(state, bridged, ctx);
}

/// The agent of a cluster, if it has one.
pub(crate) fn agent_of(cluster: &ClusterManifests) -> Option<&Document> {
    cluster.releases().find(|s| flag(s, FLAGS, "--agent").is_some())
}

/// How often an agent truncates its log, if that is a duration.
pub(crate) fn truncated_every(agent: &Document) -> Option<Duration> {
    period(agent, FLAGS, PERIOD, DEFAULT_PERIOD).1.filter(|every| !every.is_zero())
}

/// How old a sample may be for the receiver on the platform.
pub(crate) fn window_of(state: &RenderedState) -> Duration {
    let thanos = state.platform().and_then(receiver::thanos_of);
    thanos.map_or(Duration::ZERO, |thanos| receiver::window_in(thanos).1)
}

/// The log: what it guarantees, from the flags as they are rendered.
fn log(cluster: &ClusterManifests, agent: &Document, ctx: &mut ClauseContext) -> Option<Bound> {
    ctx.rule("guarantee");
    let (every, bound) = guarantee(cluster, agent, FLAGS, ctx)?;
    let segment = segment_of(agent, FLAGS).1.unwrap_or(SEGMENT);
    let after = Wal { period: every, bytes: segment, segment }.bound_after_restart();
    let rate = Wal::breaking_rate(every, segment, NEED);
    summarise(every, segment, &bound, &after, rate, ctx);
    volume(cluster, agent, held(every, segment), ctx);
    ceiling(cluster, agent, rate, ctx);
    retention(cluster, agent, FLAGS, bound.shortest, ctx);
    Some(bound)
}

/// How often these flags truncate, and what that guarantees while a period fits one segment.
fn guarantee(
    cluster: &ClusterManifests,
    agent: &Document,
    flags: &str,
    ctx: &mut ClauseContext,
) -> Option<(Duration, Bound)> {
    let (path, every) = period(agent, flags, PERIOD, DEFAULT_PERIOD);
    ctx.read(agent, &path);
    let Some(every) = every.filter(|p| !p.is_zero()) else {
        ctx.breach(cluster, agent, &path, "a duration as 3h", "something else", format!("{PERIOD}=3h"));
        return None;
    };
    let (at, segment) = segment_of(agent, flags);
    ctx.read(agent, &at);
    let allowed = 10 << 20..=256 << 20;
    if !segment.is_some_and(|size| allowed.contains(&size)) {
        let hint = format!("remove {SEGMENT_SIZE}");
        ctx.breach(cluster, agent, &at, "segments of 10MB to 256MB: otherwise it does not start", "another size", hint);
    }
    let segment = segment.unwrap_or(SEGMENT).clamp(*allowed.start(), *allowed.end());
    let bound = Wal { period: every, bytes: segment, segment }.bound();
    if bound.shortest < NEED {
        let got = format!("{} at any rate (truncated every {})", format_hours(bound.shortest), format_hours(every));
        let fix = format!("{PERIOD}={}, or more", least_period());
        ctx.breach(cluster, agent, &path, format!("no loss for {}", format_hours(NEED)), got, fix);
    }
    Some((every, bound))
}

/// The size of a segment and where it is set, if that is a size. `MB` is 1024 KB (units of kingpin).
pub(crate) fn segment_of(agent: &Document, flags: &str) -> (String, Option<u64>) {
    match flag(agent, flags, SEGMENT_SIZE) {
        Some((path, value)) => {
            let size = value.trim_end_matches('B').trim_end_matches('i');
            (path, Bytes::parse(size).map(|bytes| bytes.0).or_else(|| size.parse().ok()))
        }
        None => (flags.to_owned(), Some(SEGMENT)),
    }
}

/// `1h21m`: with one segment in each period the guarantee is two periods.
fn least_period() -> String {
    let minutes = NEED.as_secs().div_ceil(2).div_ceil(60);
    format!("{}h{}m", minutes / 60, minutes % 60)
}

fn summarise(every: Duration, segment: u64, bound: &Bound, after: &Bound, rate: Option<f64>, ctx: &mut ClauseContext) {
    let breaks = rate.map_or("at any rate".to_owned(), |rate| {
        let written = rate * every.as_secs_f64() / MIB;
        format!(
            "{} KiB/s = {} MiB in {} = {} samples/s at {SAMPLE} B each",
            format_decimal(rate / KIB),
            format_decimal(written),
            format_hours(every),
            (rate / SAMPLE).round()
        )
    });
    ctx.summary(format!(
        "guaranteed {} while under {} MiB is written in {}; below {} above {}",
        format_hours(bound.shortest),
        segment >> 20,
        format_hours(every),
        format_hours(NEED),
        rate.map_or("nothing".to_owned(), |rate| format!("{} KiB/s", format_decimal(rate / KIB)))
    ));
    ctx.metric("needed outage", format_hours(NEED));
    ctx.metric("truncate period", format_hours(every));
    ctx.metric("guaranteed outage", format_hours(bound.shortest));
    let phase = match bound.worst_phase {
        Duration::ZERO => "an outage that begins right at a truncation".to_owned(),
        phase => format!("an outage that begins {} after a truncation", format_hours(phase)),
    };
    ctx.metric("worst phase", phase);
    ctx.metric("best-case outage covered", format_hours(bound.longest));
    ctx.metric("after a restart before the outage", format_hours(after.shortest));
    ctx.metric("breaking write rate", breaks);
    ctx.rationale(format!(
        "every {} the open segment is closed; of the closed ones without the newest the lower two thirds are dropped",
        format_hours(every)
    ));
    ctx.rationale(format!(
        "under {} MiB a period this drops what is older than two periods: {} in the worst case, {} in the best",
        segment >> 20,
        format_hours(bound.shortest),
        format_hours(bound.longest)
    ));
    ctx.rationale("loss is all-or-nothing: past this bound almost the entire backlog is dropped");
    ctx.rationale("retention.max-time keeps no samples, and samples in a checkpoint are never sent");
}

/// The most that the log holds at the rate at which the promise breaks; three segments where it breaks at any.
fn held(every: Duration, segment: u64) -> u64 {
    let rate = Wal::breaking_rate(every, segment, NEED);
    let wal = rate.map(|rate| Wal { period: every, bytes: (rate * every.as_secs_f64()) as u64, segment });
    wal.map_or(3 * segment, |wal| wal.bound().held)
}

/// The volume holds what the log keeps at the rate at which the guarantee breaks, and it outlives the pod.
fn volume(cluster: &ClusterManifests, agent: &Document, held: u64, ctx: &mut ClauseContext) {
    ctx.rule("volume");
    let lasting = "server.persistentVolume.enabled";
    ctx.expect(cluster, agent, lasting, "true", "persistentVolume.enabled: true; an emptyDir dies with the pod");
    ctx.expect(cluster, agent, "server.statefulSet.enabled", "true", "statefulSet.enabled: true keeps one volume");
    let mount = ctx.text(agent, "server.persistentVolume.mountPath").unwrap_or_else(|| "/data".to_owned());
    let (at, folder) = flag(agent, FLAGS, "--storage.agent.path").unwrap_or((FLAGS.to_owned(), "data-agent/".into()));
    if !format!("{folder}/").starts_with(&format!("{}/", mount.trim_end_matches('/'))) {
        let (want, hint) = (format!("a log on the volume, below {mount}"), format!("--storage.agent.path={mount}"));
        ctx.breach(cluster, agent, &at, want, folder, hint);
    }
    let path = "server.persistentVolume.size";
    let Some(has) = ctx.text(agent, path).and_then(|text| parse_quantity(&text)) else {
        ctx.breach(cluster, agent, path, "a size as 2Gi", "nothing", "size: 2Gi");
        return;
    };
    let needed = format!("{} MiB", (held as f64 / MIB).ceil());
    ctx.metric("volume", format!("{} MiB, {needed} needed at the breaking rate", has >> 20));
    if has < held {
        let got = format!("{} MiB", has >> 20);
        ctx.breach(cluster, agent, path, format!("at least {needed} for the log"), got, "size: 2Gi");
    }
}

/// What the jobs admit: each has a ceiling, and those whose targets are known stay below the breaking rate.
fn ceiling(cluster: &ClusterManifests, agent: &Document, rate: Option<f64>, ctx: &mut ClauseContext) {
    ctx.rule("ceiling");
    let interval = ctx.text(agent, "server.global.scrape_interval").and_then(|text| parse_duration(&text));
    let interval = interval.unwrap_or(Duration::from_secs(60));
    let mut per_node = 0.0;
    let jobs = agent.get("scrapeConfigs").and_then(serde_json::Value::as_object);
    for (job, _) in jobs.into_iter().flatten() {
        let path = format!("scrapeConfigs.{job}");
        if !ctx.on(agent, &format!("{path}.enabled"), true) {
            continue;
        }
        let limit = ctx.text(agent, &format!("{path}.sample_limit")).and_then(|text| text.parse::<f64>().ok());
        let limit = limit.filter(|limit| *limit > 0.0);
        let kept = keeps(agent, &path);
        let own = ctx.text(agent, &format!("{path}.scrape_interval")).and_then(|text| parse_duration(&text));
        let every = own.unwrap_or(interval).as_secs_f64();
        match limit {
            Some(limit) if job.starts_with("kubernetes-nodes") => per_node += limit / every,
            Some(_) => {}
            None if kept => {}
            None => {
                ctx.breach(cluster, agent, &path, CEILING, "no sample_limit", "sample_limit: 3000");
            }
        }
    }
    for (path, list) in further_jobs(agent) {
        let limited = |job: &serde_json::Value| job["sample_limit"].as_u64().is_some_and(|limit| limit > 0);
        if !list.is_some_and(|jobs| jobs.iter().all(limited)) {
            ctx.breach(cluster, agent, path, CEILING, "jobs without sample_limit", "sample_limit: 3000");
        }
    }
    let known = per_node * cluster.nodes as f64;
    let bytes = known * SAMPLE;
    ctx.metric(
        "admitted by the node jobs",
        format!("{} samples/s = {} KiB/s at most", known.round(), format_decimal(bytes / KIB)),
    );
    if rate.is_some_and(|rate| bytes > rate) {
        let got = format!("{} KiB/s from the node jobs alone", format_decimal(bytes / KIB));
        let want = format!("less than {} KiB/s", format_decimal(rate.unwrap_or_default() / KIB));
        ctx.breach(cluster, agent, "scrapeConfigs", want, got, "lower sample_limit or scrape less often");
    }
}

/// Jobs that stand as text, or in files, beside those of the chart; nothing for what cannot be read here.
fn further_jobs(agent: &Document) -> Vec<(&'static str, Option<Vec<serde_json::Value>>)> {
    let text = agent.word("extraScrapeConfigs");
    let read = || model::yaml::parse("extraScrapeConfigs", text).ok()?.into_iter().next()?.value.as_array().cloned();
    let mut found = Vec::new();
    found.extend((!text.trim().is_empty()).then(|| ("extraScrapeConfigs", read())));
    let files = agent.get("scrapeConfigFiles").and_then(serde_json::Value::as_array);
    found.extend(files.is_some_and(|files| !files.is_empty()).then_some(("scrapeConfigFiles", None)));
    found
}

/// A job without a limit that keeps named metrics alone has a ceiling of its own.
fn keeps(agent: &Document, job: &str) -> bool {
    let rules = agent.get(&format!("{job}.metric_relabel_configs")).and_then(serde_json::Value::as_array);
    let named = |rule: &serde_json::Value| {
        rule["regex"].as_str().is_some_and(|r| !["", ".*", ".+"].contains(&r.trim_matches(['(', ')', '^', '$', ' '])))
    };
    let keep =
        |rule: &serde_json::Value| rule["action"] == "keep" && rule["source_labels"][0] == "__name__" && named(rule);
    rules.is_some_and(|rules| rules.iter().any(keep))
}

/// Series must not be forgotten before their samples: then those would be there without a name.
fn retention(cluster: &ClusterManifests, agent: &Document, flags: &str, guaranteed: Duration, ctx: &mut ClauseContext) {
    ctx.rule("series");
    let (name, otherwise) = RETENTION;
    let (path, kept) = period(agent, flags, name, otherwise);
    ctx.read(agent, &path);
    let kept = kept.unwrap_or_default();
    let needed = NEED.max(guaranteed);
    if kept < needed {
        let want = format!("series kept for {} or longer", format_hours(needed));
        ctx.breach(cluster, agent, &path, want, format_hours(kept), format!("{name}=8h"));
    }
}
