//! What Helm itself would find out too late or never: keys that no chart has, values that it cannot render.
//! Knows nothing of clusters that run: archives and values are enough.

use std::collections::BTreeSet;

use super::super::conduct::chosen;
use super::super::exit::{CmdError, USAGE};
use super::super::load::Inputs;
use super::super::{Session, query};
use super::verify::{Findings, once};
use super::{LIMIT, digest, templates};
use crate::ui::format;
use crate::ui::shell::Severity;
use model::fleet::Cluster;
use model::release::Chart;
use plan::{Plan, StepKey};
use tool::World;
use tool::helm;

/// Refuses values that do not fit their charts before anything is done, for the releases that a plan installs and that
/// were not `tried` before. All that were tried by now. An archive that is not there yet, or is another file than
/// pinned, is not looked at; without Helm the plan says that there is none.
///
/// # Errors
/// Every slip at once, or the user said stop.
pub fn refuse(
    session: &mut Session,
    world: &mut dyn World,
    inputs: &Inputs,
    plan: &Plan,
    mut tried: BTreeSet<String>,
) -> Result<BTreeSet<String>, CmdError> {
    let steps = chosen(session, plan)?;
    let installed = |cluster: &Cluster, chart: &Chart| {
        let here = chart.placement.clusters.contains(&cluster.role);
        here && steps.contains(&StepKey::cluster(&cluster.name, &chart.placement.name))
    };
    let mut charts = Vec::new();
    for chart in &inputs.releases.charts {
        let wanted = inputs.fleet.clusters.iter().any(|cluster| installed(cluster, chart));
        // Before a first run's downloads nothing is there, and the world is asked nothing.
        let there = session.workspace.exists(session.workspace.out().join("charts").join(chart.archive()).as_str());
        if wanted && there && !tried.contains(&chart.placement.name) && is_pinned(world, chart)? {
            charts.push(chart);
        }
    }
    if charts.is_empty() || !query::command(world, helm::version(), LIMIT)?.ok() {
        return Ok(tried);
    }
    let what = format!("the values of {} against their charts", format::count(charts.len(), "release"));
    session.shell.status(Severity::Dim, "Checking", &what);
    let mut findings = Findings::default();
    let sound = findings.offers(world, inputs, &charts)?;
    findings.refusals(inputs, &templates::all(world, inputs, &sound, &installed)?);
    let problems = once(findings.problems);
    if !problems.is_empty() {
        return Err(CmdError { code: USAGE, problems });
    }
    tried.extend(charts.iter().map(|chart| chart.placement.name.clone()));
    Ok(tried)
}

fn is_pinned(world: &mut dyn World, chart: &Chart) -> Result<bool, CmdError> {
    let got = digest(world, &chart.archive())?;
    Ok(got.is_some_and(|got| chart.sha256.as_ref().is_none_or(|want| *want == got)))
}
