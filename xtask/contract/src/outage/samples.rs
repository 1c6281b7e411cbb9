//! C2: what the agent wrote, what it sent, and what Thanos holds of it.
//! Knows nothing of the log's arithmetic (`contract::wal`): it counts.
//!
//! Measured on Prometheus 2.42 in agent mode, with its receiver away and back again: samples appended are those sent
//! (`samples_total` counts every try, so less those retried) and those that wait, to the last one.

use std::time::Duration;

use super::super::{Clause, Finding};
use super::{Clock, Court};

/// The counters that are read, without their common beginning.
const APPENDED: &str = "prometheus_agent_samples_appended_total";
const SENT: &str = "prometheus_remote_storage_samples_total";
const RETRIED: &str = "prometheus_remote_storage_samples_retried_total";
const FAILED: &str = "prometheus_remote_storage_samples_failed_total";
const STARTED: &str = "process_start_time_seconds";

/// The samples of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    /// Whose.
    pub cluster: String,
    /// Written by its agent in the window.
    pub written: u64,
    /// Sent by it in the window.
    pub sent: u64,
    /// That waited when the platform came back.
    pub waiting: u64,
    /// Scrapes in the window: those that there must have been, and those that Thanos holds.
    pub scrapes: (u64, Option<u64>),
    /// Until all of it was sent, from the platform's return; nothing if it never was.
    pub caught_up: Option<Duration>,
}

/// An agent's counters at one moment.
#[derive(Debug, Clone, Copy)]
struct Counters {
    written: f64,
    sent: f64,
    started: f64,
}

fn counters(page: Option<&str>) -> Option<Counters> {
    let page = page?;
    let sent = sum(page, SENT)? - sum(page, RETRIED).unwrap_or(0.0) - sum(page, FAILED).unwrap_or(0.0);
    Some(Counters { written: sum(page, APPENDED)?, sent, started: sum(page, STARTED)? })
}

/// The sum over all series of a name, as the text format of Prometheus shows them.
fn sum(page: &str, name: &str) -> Option<f64> {
    let value = |line: &str| {
        let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']))?;
        rest.rsplit_once(' ')?.1.parse::<f64>().ok()
    };
    let values: Vec<f64> = page.lines().filter_map(value).collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

pub(super) fn unready(court: &Court<'_>) -> Option<Finding> {
    counters(court.app.before.metrics.as_deref()).is_none().then(|| blind(court, "before the drill"))
}

pub(super) fn judge(court: &Court<'_>, clock: Clock) -> (Option<Samples>, Vec<Finding>) {
    let app = court.app;
    let page = |said: &super::Said| counters(said.metrics.as_deref());
    let (Some(before), Some(after)) = (page(&app.before), page(&app.after)) else {
        return (None, vec![blind(court, "after the outage")]);
    };
    let mut found: Vec<Finding> = court.failure("caught-up").map(|why| late(court, why)).into_iter().collect();
    let expected = clock.window.as_secs() / clock.interval.as_secs().max(1);
    let (written, sent) = (after.written - before.written, after.sent - before.sent);
    if after.started > before.started {
        found.push(restarted(court));
    } else {
        // Of the two last scrapes some may be on their way at either moment.
        let slack = (written / expected.max(1) as f64 * 2.0).max(1.0);
        found.extend((written - sent > slack).then(|| unsent(court, written as u64, sent.max(0.0) as u64)));
    }
    found.extend(missing(court, expected));
    let waited = |during: Counters| (during.written - before.written) - (during.sent - before.sent);
    let samples = Samples {
        cluster: app.name.clone(),
        written: written.max(0.0) as u64,
        sent: sent.max(0.0) as u64,
        waiting: page(&app.during).map_or(0, |during| waited(during).max(0.0) as u64),
        scrapes: (expected, app.scrapes),
        caught_up: app.caught_up,
    };
    (Some(samples), found)
}

fn breach(court: &Court<'_>, rule: &str, want: &str, got: String) -> Finding {
    let hint = "cargo xtask verify-contract --explain C2".to_owned();
    court.breach((Clause::C2, rule), "server.defaultFlagsOverride", "prometheus-agent", [want.into(), got, hint])
}

fn blind(court: &Court<'_>, when: &str) -> Finding {
    breach(court, "counted", "what the agent wrote and sent", format!("its page cannot be read {when}"))
}

fn restarted(court: &Court<'_>) -> Finding {
    let got = "it was started anew; what waited then is never sent".to_owned();
    breach(court, "restart", "an agent that lives through the outage", got)
}

fn unsent(court: &Court<'_>, written: u64, sent: u64) -> Finding {
    breach(court, "sent", "every sample that was written is sent", format!("{sent} of {written} samples were"))
}

fn late(court: &Court<'_>, why: &str) -> Finding {
    breach(court, "caught-up", "samples of now arrive again after the return", format!("they do not: {why}"))
}

/// Fewer scrapes in Thanos than there were: one may be on its way.
fn missing(court: &Court<'_>, expected: u64) -> Option<Finding> {
    let want = "every scrape of the outage is in Thanos afterwards";
    match court.app.scrapes {
        None => Some(breach(court, "kept", want, "Thanos does not say how many it holds".to_owned())),
        Some(held) if held + 1 < expected => {
            Some(breach(court, "kept", want, format!("{} of {expected} scrapes are missing", expected - held)))
        }
        Some(_) => None,
    }
}
