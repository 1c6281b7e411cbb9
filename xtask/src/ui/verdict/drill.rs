//! How a drill is told: to people as a few lines and a frontier, to scripts as an object.
//! Knows nothing of how it was played.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::format;
use contract::drill::{Moment, Outcome, Row, Sweep};
use contract::outage::Measured;
use contract::{Clause, drill};
use model::units::format_hours;

/// A drill that was played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drill {
    /// The outage that the contract promises to survive.
    pub need: Outcome,
    /// Outages of every length at every moment.
    pub sweep: Sweep,
    /// What was promised and did not come about.
    pub failings: Vec<(Clause, String)>,
    /// The same on machines.
    pub measured: Option<Measured>,
}

/// For people.
pub fn text(drill: &Drill) -> String {
    let Drill { need, sweep, failings, .. } = drill;
    let mut out = format!("\ndrill mgmt-outage, as a model: the platform is away for {}\n", format_hours(need.outage));
    let (sent, failed) = need.requests;
    out.push_str(&format!("  requests  {sent} to the sample workloads, {failed} failed\n"));
    out.push_str(&format!(
        "  samples   {} scrapes meanwhile, {} lost; at most {} waited in {} of log; caught up in {}\n",
        need.scraped,
        need.lost,
        need.backlog,
        format::size(need.log),
        format_hours(need.caught_up)
    ));
    let (oldest, fresh) = need.secret;
    out.push_str(&format!(
        "  secret    kept, {} old at most; fresh {} after the return\n",
        format_hours(oldest),
        format_hours(fresh)
    ));
    out.push_str(&format!(
        "  frontier  {} outages, {} hours played; nothing lost up to {} (computed: {}), {}\n",
        sweep.played,
        sweep.hours,
        format_hours(sweep.safe),
        format_hours(sweep.computed),
        sweep
            .doomed
            .map_or("never at every moment".to_owned(), |d| format!("always something from {}", format_hours(d)))
    ));
    for row in &sweep.rows {
        out.push_str(&line(row));
    }
    for (clause, sentence) in failings {
        out.push_str(&format!("  x {clause}: {sentence}\n"));
    }
    out.push_str(&format!(
        "  assumed: 800 samples a scrape, catching up at {} times the pace of writing; requests fail only by a \
         reference that nothing survives\n",
        drill::PACE
    ));
    out
}

/// One length: a mark for each moment at which something was lost.
fn line(row: &Row) -> String {
    let (losing, of) = row.losing;
    let bar: String = (0..of).map(|i| if i < losing { '#' } else { '.' }).collect();
    let worst = if losing == 0 { String::new() } else { format!("  up to {} % lost", row.worst) };
    format!("    {:>7}  {bar}{worst}\n", format_hours(row.outage))
}

/// For scripts.
pub fn json(drill: &Drill) -> Value {
    let Drill { need, sweep, failings, .. } = drill;
    let rows: Vec<Value> = sweep.rows.iter().map(row).collect();
    let failings: Vec<Value> = failings.iter().map(|(c, s)| json!({"check": c.to_string(), "what": s})).collect();
    json!({
        "drill": "mgmt-outage",
        "simulated": true,
        "outage_s": need.outage.as_secs(),
        "requests": {"sent": need.requests.0, "failed": need.requests.1},
        "scrapes": {"during": need.scraped, "lost": need.lost, "most_waiting": need.backlog},
        "log_bytes": need.log,
        "caught_up_s": need.caught_up.as_secs(),
        "secret": {"oldest_s": need.secret.0.as_secs(), "fresh_after_s": need.secret.1.as_secs()},
        "frontier": {
            "safe_s": sweep.safe.as_secs(),
            "doomed_s": sweep.doomed.map(|d| d.as_secs()),
            "computed_s": sweep.computed.as_secs(),
            "played": sweep.played,
            "hours": sweep.hours,
            "rows": rows,
        },
        "moments": need.moments.iter().map(moment).collect::<Vec<_>>(),
        "failings": failings,
    })
}

fn row(row: &Row) -> Value {
    json!({
        "outage_s": row.outage.as_secs(), "losing": row.losing.0, "moments": row.losing.1, "worst_percent": row.worst,
    })
}

fn moment(moment: &Moment) -> Value {
    let Moment { at, backlog, log, secret, requests } = moment;
    json!([at, backlog, log, secret, requests.0, requests.1])
}

/// The outage of a moment, as a share of the picture's width.
pub(super) fn span(outcome: &Outcome) -> (i64, i64) {
    let first = outcome.moments.first().map_or(0, |m| m.at);
    let last = outcome.moments.last().map_or(1, |m| m.at);
    (first, last.max(first + Duration::from_secs(1).as_secs() as i64))
}
