//! Checks values against their charts before a plan runs: unknown keys, values that Helm cannot render.

use std::collections::BTreeSet;

use super::super::exit::{CmdError, USAGE};
use super::super::inputs::Inputs;
use super::super::run_plan::chosen;
use super::super::{Session, query};
use super::verify::{Findings, distinct};
use super::{LIMIT, digest, templates};
use crate::ui::format;
use crate::ui::shell::Severity;
use model::fleet::Cluster;
use model::release::Chart;
use plan::{Plan, StepKey};
use tool::World;
use tool::helm;

/// Checks the releases that a plan installs and that are not `checked` yet. Returns all checked ones. Archives that are
/// missing, or have another digest, are skipped; without Helm nothing is checked, and the plan reports it.
///
/// # Errors
/// All problems of values.
pub fn check_values(
    session: &mut Session,
    world: &mut dyn World,
    inputs: &Inputs,
    plan: &Plan,
    mut checked: BTreeSet<String>,
) -> Result<BTreeSet<String>, CmdError> {
    let steps = chosen(session, plan)?;
    let installed = |cluster: &Cluster, chart: &Chart| {
        let here = chart.placement.clusters.contains(&cluster.role);
        here && steps.contains(&StepKey::cluster(&cluster.name, &chart.placement.name))
    };
    let mut charts = Vec::new();
    for chart in &inputs.releases.charts {
        let wanted = inputs.fleet.clusters.iter().any(|cluster| installed(cluster, chart));
        // Before the downloads of a first run there are no archives, and nothing is queried.
        let exists = session.workspace.exists(session.workspace.out().join("charts").join(chart.archive()).as_str());
        if wanted && exists && !checked.contains(&chart.placement.name) && is_pinned(world, chart)? {
            charts.push(chart);
        }
    }
    if charts.is_empty() || !query::command(world, helm::version(), LIMIT)?.ok() {
        return Ok(checked);
    }
    let subject = format!("the values of {} against their charts", format::count(charts.len(), "release"));
    session.shell.status(Severity::Dim, "Checking", &subject);
    let mut findings = Findings::default();
    let good = findings.archives(world, inputs, &charts)?;
    findings.templates(inputs, &templates::render(world, inputs, &good, &installed)?);
    let problems = distinct(findings.problems);
    if !problems.is_empty() {
        return Err(CmdError { code: USAGE, problems });
    }
    checked.extend(charts.iter().map(|chart| chart.placement.name.clone()));
    Ok(checked)
}

fn is_pinned(world: &mut dyn World, chart: &Chart) -> Result<bool, CmdError> {
    let got = digest(world, &chart.archive())?;
    Ok(got.is_some_and(|got| chart.sha256.as_ref().is_none_or(|want| *want == got)))
}
