//! C2 in an outage: what the Agent wrote, what it sent, and what Thanos holds of it.
//!
//! Measured on Prometheus 2.42 in agent mode, with its receiver down and up again: samples appended are those sent
//! (`samples_total` counts every try, so less those retried) and those that wait, to the last one.

use serde_json::{Value, json};

use super::metrics::MetricsPage;
use crate::drill::{kubectl, observation};
use crate::outage::{ClusterSnapshot, OutageContext};
use model::fleet::Cluster;
use model::units::format_duration;
use plan::Step;

/// The Agent's own page: `prometheus --agent` has no storage to query.
const PAGE: &str = "/api/v1/namespaces/monitoring/pods/prometheus-agent-0:9090/proxy/metrics";

pub(super) fn observations(cluster: &Cluster) -> Vec<Step> {
    vec![observation(cluster, "metrics", "read the Agent's metrics on", kubectl(cluster).raw(PAGE))]
}

#[derive(Debug, Clone, Copy)]
struct Counters {
    written: f64,
    sent: f64,
    started: f64,
}

impl Counters {
    fn of(snapshot: &ClusterSnapshot) -> Option<Counters> {
        let page = MetricsPage::read(snapshot.text("metrics")?);
        let counter = |name: &str| page.sum(&format!("prometheus_remote_storage_samples_{name}"));
        let unsent = counter("retried_total").unwrap_or(0.0) + counter("failed_total").unwrap_or(0.0);
        Some(Counters { written: page.written()?, sent: counter("total")? - unsent, started: page.started()? })
    }
}

fn breach(ctx: &mut OutageContext<'_>, rule: &str, want: &str, got: &str) {
    let hint = "cargo xtask verify-contract --explain C2";
    ctx.breach(rule, "server.defaultFlagsOverride", "prometheus-agent", want, got, hint);
}

fn unreadable(ctx: &mut OutageContext<'_>, when: &str) {
    breach(ctx, "counted", "what the Agent wrote and sent", &format!("its metrics cannot be read {when}"));
}

pub(super) fn ready(ctx: &mut OutageContext<'_>) {
    if Counters::of(&ctx.app.before).is_none() {
        unreadable(ctx, "before the drill");
    }
}

pub(super) fn judge(ctx: &mut OutageContext<'_>) {
    let (app, clock) = (ctx.app, ctx.clock);
    let (Some(before), Some(after)) = (Counters::of(&app.before), Counters::of(&app.after)) else {
        return unreadable(ctx, "after the outage");
    };
    if let Some(why) = ctx.failure("caught-up") {
        breach(
            ctx,
            "caught-up",
            "current samples are received again after the return",
            &format!("they are not: {why}"),
        );
    }
    let due = clock.window.as_secs() / clock.interval.as_secs().max(1);
    let (written, sent) = (after.written - before.written, after.sent - before.sent);
    // Of the two last scrapes some may be on their way at either moment.
    let slack = (written / due.max(1) as f64 * 2.0).max(1.0);
    if after.started > before.started {
        let got = "agent restarted; its queued samples were lost";
        breach(ctx, "restart", "an Agent that runs through the outage", got);
    } else if written - sent > slack {
        let got = format!("{} of {written} samples were", sent.max(0.0));
        breach(ctx, "sent", "every sample that was written is sent", &got);
    }
    let held = app.counts.0.get("count").filter(|o| o.ok()).and_then(|output| scrapes(&output.stdout));
    // One scrape may be on its way.
    let lost = match held {
        None => Some("Thanos does not report how many it holds".to_owned()),
        Some(held) if held + 1 < due => Some(format!("{} of {due} scrapes are missing", due - held)),
        Some(_) => None,
    };
    if let Some(got) = lost {
        breach(ctx, "kept", "every scrape of the outage is in Thanos afterwards", &got);
    }
    let waiting = Counters::of(&app.during).map_or(0.0, |d| (d.written - before.written) - (d.sent - before.sent));
    let caught_up = app.times.get("caught-up");
    let [written, sent, waiting] = [written, sent, waiting].map(|number| number.max(0.0) as u64);
    let stored = held.map_or("an unknown number of".to_owned(), |held| format!("{} of", held.min(due)));
    let when =
        caught_up.map_or("never caught up".to_owned(), |time| format!("caught up in {}", format_duration(*time)));
    let text = format!("{written} written, {sent} sent, {waiting} queued; {stored} {due} scrapes in Thanos; {when}");
    let fields = json!({
        "written": written, "sent": sent, "queued": waiting, "scrapes_due": due, "scrapes_in_thanos": held,
        "caught_up_s": caught_up.map(std::time::Duration::as_secs),
    });
    ctx.measure("samples", text, fields, vec![], true);
}

/// The one value of an instant vector; of none it is 0.
fn scrapes(answer: &str) -> Option<u64> {
    let json: Value = serde_json::from_str(answer).ok()?;
    let result = json.pointer("/data/result")?.as_array()?;
    let Some(first) = result.first() else { return Some(0) };
    Some(first.pointer("/value/1")?.as_str()?.parse::<f64>().ok()? as u64)
}
