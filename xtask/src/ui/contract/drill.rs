//! A drill for people: the model as a few lines and a frontier, and what was measured on machines.

use super::super::format::{self, duration};
use contract::Clause;
use contract::Finding;
use contract::outage::Measured;
use contract::outage_model::{Outcome, PACE, Row, Sweep};
use model::units::format_hours;

/// What holds where there is no finding.
pub(super) const GOOD: &str =
    "secrets stayed and are fresh again, policies denied, every agent tunnelled by vxlan throughout";

/// A drill that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drill {
    /// The outage that the contract promises to survive.
    pub need: Outcome,
    /// Outages of every length at every moment.
    pub sweep: Sweep,
    /// Broken promises.
    pub failures: Vec<(Clause, String)>,
    /// The same on machines.
    pub measured: Option<Measured>,
}

pub fn text(drill: &Drill, simulated: bool) -> String {
    let measured = drill.measured.as_ref().map(|measured| measured_text(measured, simulated));
    model_text(drill) + &measured.unwrap_or_default()
}

fn model_text(drill: &Drill) -> String {
    let Drill { need, sweep, failures, .. } = drill;
    let (sent, failed) = need.requests;
    let (oldest, fresh) = need.secret;
    let always = sweep.always_losing;
    let always =
        always.map_or("never at every moment".to_owned(), |d| format!("always something from {}", format_hours(d)));
    let rows: String = sweep.rows.iter().map(line).collect();
    let failures: String = failures.iter().map(|(clause, what)| format!("  x {clause}: {what}\n")).collect();
    format!(
        "\ndrill mgmt-outage, as a model: the platform is down for {}\n  \
           requests  {sent} to the sample workloads, {failed} failed\n  \
           samples   {} scrapes meanwhile, {} lost; at most {} waited in {} of log; caught up in {}\n  \
           secret    kept, {} old at most; fresh {} after the return\n  \
           frontier  {} outages, {} hours simulated; nothing lost up to {} (computed: {}), {always}\n\
         {rows}{failures}  \
           assumed: 800 samples a scrape, catching up at {PACE} times the pace of writing; requests fail only by a \
         fatal dependency\n",
        format_hours(need.outage),
        need.scraped,
        need.lost,
        need.backlog,
        format::size(need.log),
        format_hours(need.caught_up),
        format_hours(oldest),
        format_hours(fresh),
        sweep.simulated,
        sweep.hours,
        format_hours(sweep.safe),
        format_hours(sweep.computed)
    )
}

/// One length: a mark for each moment at which something was lost.
fn line(row: &Row) -> String {
    let (losing, of) = row.losing;
    let bar: String = (0..of).map(|i| if i < losing { '#' } else { '.' }).collect();
    let worst = if losing == 0 { String::new() } else { format!("  up to {} % lost", row.worst) };
    format!("    {:>7}  {bar}{worst}\n", format_hours(row.outage))
}

fn measured_text(measured: &Measured, simulated: bool) -> String {
    let (place, down) = (place(simulated), duration(measured.clock.outage));
    let mut out = format!("\ndrill mgmt-outage {place}: the platform was down for {down}\n");
    let rows = measured.measurements.iter().map(|m| (m.name.as_str(), m.text.clone()));
    for (name, text) in rows.chain([("recovery", recovery(measured))]) {
        out.push_str(&format!("  {name:14}  {text}\n"));
    }
    for Finding { clause, subject, clusters, want, got, at, hint, .. } in &measured.findings {
        out.push_str(&format!("  x {clause}: {subject} on {}: {got}\n", clusters.join(", ")));
        for (label, value) in [("want", want), ("at", &at.to_string()), ("hint", hint)] {
            out.push_str(&format!("      {label:4}  {value}\n"));
        }
    }
    if measured.findings.is_empty() {
        out.push_str(&format!("  {GOOD}\n"));
    }
    out
}

pub(super) fn place(simulated: bool) -> &'static str {
    if simulated { "in the simulator" } else { "on real machines" }
}

pub(super) fn recovery(measured: &Measured) -> String {
    let green = measured.clock.green.map_or("never".to_owned(), |time| format!("after {}", duration(time)));
    format!("the platform answered after {}, the mesh was healthy {green}", duration(measured.clock.answered))
}
