//! C2: an outage of the platform of up to 2.7 h loses no sample.
//! Knows nothing of how the log's arithmetic is done; `wal` does it.

mod agent;
mod form;
mod receiver;
mod rendered;

use std::time::Duration;

use super::case::Case;
use super::evidence::{Evidence, Ground, Sheet};
use super::wal::{Bound, SEGMENT, Wal};
use form::{FLAGS, Form, flag, period};
use model::units::{format_decimal, format_hours, parse_duration, parse_quantity};

/// What is promised: 2.7 h.
pub const NEED: Duration = Duration::from_secs(9720);
/// The only knob that keeps unsent samples.
pub(super) const PERIOD: &str = "--storage.agent.wal-truncate-frequency";
/// Where Prometheus would truncate if it is not told (tsdb/agent/db.go).
pub(super) const DEFAULT_PERIOD: Duration = Duration::from_secs(7200);
/// The most that a sample takes in the log: a value of 8 bytes and two short varints, before compression.
pub(super) const SAMPLE: f64 = 12.0;
/// What every scrape job must have.
const CEILING: &str = "a ceiling on the samples of each scrape, so that no workload can fill the log";
const MIB: f64 = (1 << 20) as f64;

/// Judges every agent, and the receiver on the platform.
pub(super) fn judge(evidence: &Evidence, case: &mut Case) {
    let mut bridged = Duration::ZERO;
    for ground in evidence.apps() {
        case.rule("agent");
        let Some(agent) = agent_of(ground) else {
            let want = "a release of the chart prometheus with `--agent` among its flags";
            let hint = "list it for `workload` in charts/releases.toml, with --agent in server.defaultFlagsOverride";
            case.missing(ground, "prometheus-agent", want, "nothing", hint);
            continue;
        };
        if let Some(bound) = log(ground, agent, case) {
            // Real agents bridged about a period more than is guaranteed; what they send then must be taken, too.
            bridged = bridged.max(bound.shortest + bound.shortest / 2);
        }
        agent::judge(ground, agent, &Form::of_values(), case);
        agent::queue(ground, agent, "server.remoteWrite", case);
        rendered::judge(ground, agent, case);
    }
    receiver::judge(evidence, bridged, case);
}

/// The agent of a cluster, if it has one.
pub(super) fn agent_of(ground: &Ground) -> Option<&Sheet> {
    ground.releases().find(|s| flag(s, FLAGS, "--agent").is_some())
}

/// How often an agent truncates its log, if that is a duration.
pub(super) fn truncated_every(agent: &Sheet) -> Option<Duration> {
    period(agent, FLAGS, PERIOD, DEFAULT_PERIOD).1.filter(|every| !every.is_zero())
}

/// How old a sample may be for the receiver on the platform.
pub(super) fn window_of(evidence: &Evidence) -> Duration {
    let thanos = evidence.platform().and_then(receiver::thanos_of);
    thanos.map_or(Duration::ZERO, |thanos| receiver::window_in(thanos).1)
}

/// The log: what it guarantees, from the flags as they are rendered.
fn log(ground: &Ground, agent: &Sheet, case: &mut Case) -> Option<Bound> {
    case.rule("guarantee");
    let (every, bound) = guarantee(ground, agent, FLAGS, case)?;
    let after = Wal { period: every, bytes: SEGMENT }.bound_after_restart();
    let rate = Wal::breaking_rate(every, NEED);
    told(every, &bound, &after, rate, case);
    volume(ground, agent, held(every), case);
    ceiling(ground, agent, rate, case);
    retention(ground, agent, FLAGS, bound.shortest, case);
    Some(bound)
}

/// How often these flags truncate, and what that guarantees while a period fits one segment.
fn guarantee(ground: &Ground, agent: &Sheet, flags: &str, case: &mut Case) -> Option<(Duration, Bound)> {
    let (path, every) = period(agent, flags, PERIOD, DEFAULT_PERIOD);
    case.read(agent, &path);
    let Some(every) = every.filter(|p| !p.is_zero()) else {
        case.breach(ground, agent, &path, "a duration as 3h", "something else", format!("{PERIOD}=3h"));
        return None;
    };
    let bound = Wal { period: every, bytes: SEGMENT }.bound();
    if bound.shortest < NEED {
        let got = format!("{} at any rate (truncated every {})", format_hours(bound.shortest), format_hours(every));
        let fix = format!("{PERIOD}={}, or more", least_period());
        case.breach(ground, agent, &path, format!("no loss for {}", format_hours(NEED)), got, fix);
    }
    Some((every, bound))
}

/// `1h21m`: with one segment in each period the guarantee is two periods.
fn least_period() -> String {
    let minutes = NEED.as_secs().div_ceil(2).div_ceil(60);
    format!("{}h{}m", minutes / 60, minutes % 60)
}

fn told(every: Duration, bound: &Bound, after: &Bound, rate: Option<f64>, case: &mut Case) {
    let breaks = rate.map_or("at any rate".to_owned(), |rate| {
        let written = rate * every.as_secs_f64() / MIB;
        format!(
            "{} KiB/s = {} MiB in {} = {} samples/s at {SAMPLE} B each",
            format_decimal(rate / 1024.0),
            format_decimal(written),
            format_hours(every),
            (rate / SAMPLE).round()
        )
    });
    case.headline(format!(
        "guaranteed {} while under 128 MiB is written in {}; below {} above {}",
        format_hours(bound.shortest),
        format_hours(every),
        format_hours(NEED),
        rate.map_or("nothing".to_owned(), |rate| format!("{} KiB/s", format_decimal(rate / 1024.0)))
    ));
    case.figure("needed outage", format_hours(NEED));
    case.figure("truncate period", format_hours(every));
    case.figure("guaranteed outage", format_hours(bound.shortest));
    let phase = match bound.worst_phase {
        Duration::ZERO => "an outage that begins right at a truncation".to_owned(),
        phase => format!("an outage that begins {} after a truncation", format_hours(phase)),
    };
    case.figure("worst phase", phase);
    case.figure("luckiest outage", format_hours(bound.longest));
    case.figure("after a restart before the outage", format_hours(after.shortest));
    case.figure("breaking write rate", breaks);
    case.because(format!(
        "every {} the open segment is closed; of the closed ones without the newest the lower two thirds are dropped",
        format_hours(every)
    ));
    case.because(format!(
        "under 128 MiB a period this drops what is older than two periods: {} for an outage that begins at the worst \
         moment, {} at the luckiest",
        format_hours(bound.shortest),
        format_hours(bound.longest)
    ));
    case.because("it is a cliff: past the bound nearly the whole backlog goes, not its oldest part");
    case.because("retention.max-time keeps no samples, and samples in a checkpoint are never sent");
}

/// The most that the log holds at the rate at which the promise breaks; three segments where it breaks at any.
fn held(every: Duration) -> u64 {
    let rate = Wal::breaking_rate(every, NEED);
    let wal = rate.map(|rate| Wal { period: every, bytes: (rate * every.as_secs_f64()) as u64 });
    wal.map_or(3 * SEGMENT, |wal| wal.bound().held)
}

/// The volume holds what the log keeps at the rate at which the guarantee breaks, and it outlives the pod.
fn volume(ground: &Ground, agent: &Sheet, held: u64, case: &mut Case) {
    case.rule("volume");
    let lasting = "server.persistentVolume.enabled";
    case.expect(ground, agent, lasting, "true", "persistentVolume.enabled: true; an emptyDir dies with the pod");
    case.expect(ground, agent, "server.statefulSet.enabled", "true", "statefulSet.enabled: true keeps one volume");
    let path = "server.persistentVolume.size";
    let Some(has) = case.text(agent, path).and_then(|text| parse_quantity(&text)) else {
        case.breach(ground, agent, path, "a size as 2Gi", "nothing", "size: 2Gi");
        return;
    };
    let needed = format!("{} MiB", (held as f64 / MIB).ceil());
    case.figure("volume", format!("{} MiB, {needed} needed at the breaking rate", has >> 20));
    if has < held {
        let got = format!("{} MiB", has >> 20);
        case.breach(ground, agent, path, format!("at least {needed} for the log"), got, "size: 2Gi");
    }
}

/// What the jobs admit: each has a ceiling, and those whose targets are known stay below the breaking rate.
fn ceiling(ground: &Ground, agent: &Sheet, rate: Option<f64>, case: &mut Case) {
    case.rule("ceiling");
    let interval = case.text(agent, "server.global.scrape_interval").and_then(|text| parse_duration(&text));
    let interval = interval.unwrap_or(Duration::from_secs(60)).as_secs_f64();
    let mut per_node = 0.0;
    let jobs = agent.get("scrapeConfigs").and_then(serde_json::Value::as_object);
    for (job, _) in jobs.into_iter().flatten() {
        let path = format!("scrapeConfigs.{job}");
        if !case.on(agent, &format!("{path}.enabled"), true) {
            continue;
        }
        let limit = case.text(agent, &format!("{path}.sample_limit")).and_then(|text| text.parse::<f64>().ok());
        let limit = limit.filter(|limit| *limit > 0.0);
        let kept = keeps(agent, &path);
        match limit {
            Some(limit) if job.starts_with("kubernetes-nodes") => per_node += limit,
            Some(_) => {}
            None if kept => {}
            None => {
                case.breach(ground, agent, &path, CEILING, "no sample_limit", "sample_limit: 3000");
            }
        }
    }
    let known = per_node * ground.nodes as f64 / interval;
    let bytes = known * SAMPLE;
    case.figure(
        "admitted by the node jobs",
        format!("{} samples/s = {} KiB/s at most", known.round(), format_decimal(bytes / 1024.0)),
    );
    if rate.is_some_and(|rate| bytes > rate) {
        let got = format!("{} KiB/s from the node jobs alone", format_decimal(bytes / 1024.0));
        let want = format!("less than {} KiB/s", format_decimal(rate.unwrap_or_default() / 1024.0));
        case.breach(ground, agent, "scrapeConfigs", want, got, "lower sample_limit or scrape less often");
    }
}

/// A job without a limit that keeps named metrics alone has a ceiling of its own.
fn keeps(agent: &Sheet, job: &str) -> bool {
    let rules = agent.get(&format!("{job}.metric_relabel_configs")).and_then(serde_json::Value::as_array);
    let keep = |rule: &serde_json::Value| rule["action"] == "keep" && rule["source_labels"][0] == "__name__";
    rules.is_some_and(|rules| rules.iter().any(keep))
}

/// Series must not be forgotten before their samples: then those would be there without a name.
fn retention(ground: &Ground, agent: &Sheet, flags: &str, guaranteed: Duration, case: &mut Case) {
    case.rule("series");
    let name = "--storage.agent.retention.max-time";
    let (path, kept) = period(agent, flags, name, Duration::from_secs(4 * 3600));
    case.read(agent, &path);
    let kept = kept.unwrap_or_default();
    let needed = NEED.max(guaranteed);
    if kept < needed {
        let want = format!("series kept for {} or longer", format_hours(needed));
        case.breach(ground, agent, &path, want, format_hours(kept), format!("{name}=8h"));
    }
}
