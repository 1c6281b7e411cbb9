//! `status`: prints the state of VMs, nodes, releases and the mesh beside the desired one. Changes nothing.

use super::charts::verify::budget;
use super::exit::{CmdError, CmdResult, DONE, FAILED, USAGE};
use super::inputs::Inputs;
use super::{Session, drift, drill_marker, inputs, query, run_plan, world_factory};
use crate::cli::Format;
use crate::ui::shell::Severity;
use crate::ui::status;
use contract::{self, RenderedState};
use exec::query::Survey;
use plan::mesh::MeshScope;
use plan::survey::findings::NOTHING;
use plan::survey::links::{self, LinkView};
use plan::survey::overview::overview;
use plan::survey::{Answers, questions};
use tool::World;
use tool::helm::Helm;

/// # Errors
/// Problems of the input.
pub fn run(session: &mut Session) -> CmdResult {
    let inputs = inputs::load(session)?;
    drill_marker::name_run(session);
    world_factory::with_world(session, None, &inputs.bootstrap(Helm::V4), &mut |session, world| {
        let survey = self::survey(session, world, &inputs)?;
        let links = mesh_links(session, world, &inputs, &survey.answers)?;
        let overview = overview(&inputs.fleet, &inputs.releases, &survey.answers).linked(links);
        let state = RenderedState::gather(&inputs.fleet, &inputs.releases, &inputs.data, &inputs.files);
        let report = contract::check(&state.map_err(CmdError::all(USAGE))?);
        let budget = budget(&inputs)?;
        match session.flags.format {
            Format::Text | Format::Github if overview.is_empty(&inputs.fleet, &run_plan::facts(session)) => {
                session.shell.screen(&format!("{NOTHING}: cargo xtask up\n"));
            }
            Format::Text | Format::Github => session.shell.screen(&status::text(&overview, &report, &budget)),
            Format::Json => session.shell.event(status::json(&overview, &report, &budget)),
        }
        let holds = report.verdicts.iter().all(|verdict| verdict.findings.is_empty());
        Ok(if holds && overview.passed.0 == overview.passed.1 { DONE } else { FAILED })
    })
}

/// Asks each cluster with peers whether it is connected to them.
fn mesh_links(
    session: &mut Session,
    world: &mut dyn World,
    inputs: &Inputs,
    answers: &Answers,
) -> Result<Vec<LinkView>, CmdError> {
    let connect = inputs.mesh(Helm::V4, &MeshScope::all(&inputs.fleet))?;
    let plan = links::questions(&inputs.fleet, &connect, answers);
    let connected = query::check(session, world, &plan)?.answers;
    Ok(links::links(&inputs.fleet, answers, &connected))
}

/// Runs every probe of `bootstrap`, and finds values that were changed by hand.
///
/// # Errors
/// The user interrupted.
pub fn survey(session: &mut Session, world: &mut dyn World, inputs: &Inputs) -> Result<Survey, CmdError> {
    session.shell.status(Severity::Dim, "Checking", "the machine, the VMs and the clusters");
    let plan = questions(&inputs.bootstrap(query::helm(world)?));
    let mut survey = query::check(session, world, &plan)?;
    drift::explain(session, world, inputs, &mut survey)?;
    Ok(survey)
}
