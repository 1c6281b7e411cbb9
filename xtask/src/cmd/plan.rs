//! `plan <command>`: prints the exact commands; the same bytes each time, on every machine, for the newest Helm.

use clap::ValueEnum;

use super::Session;
use super::exit::{CmdError, CmdResult, DONE};
use super::inputs::{self, Inputs};
use super::run_plan::chosen;
use crate::cli::{Format, Planned};
use crate::ui::shell::Severity;
use crate::ui::{events, format, steps};
use plan::mesh::MeshScope;
use plan::{Plan, StepKey, diff, graph, power, text};
use tool::helm::Helm;

/// Prints a command's plan.
///
/// # Errors
/// Problems of the input or of the choice.
pub fn run(session: &mut Session, of: Planned, print: fn(&mut Session, Plan) -> CmdResult) -> CmdResult {
    let plan = planned(&inputs::load(session)?, of)?;
    print(session, plan)
}

pub fn graph(session: &mut Session, of: Planned) -> CmdResult {
    run(session, of, |session, plan| {
        let plan = select(session, plan)?;
        session.shell.result(&graph::mermaid(&plan));
        Ok(DONE)
    })
}

pub(super) fn all(inputs: &Inputs) -> Vec<Plan> {
    Planned::value_variants().iter().filter_map(|of| planned(inputs, *of).ok()).collect()
}

/// The whole plan of a command for the newest Helm.
fn planned(inputs: &Inputs, of: Planned) -> Result<Plan, CmdError> {
    match of {
        Planned::Bootstrap => Ok(inputs.bootstrap(Helm::V4)),
        Planned::MeshConnect => inputs.mesh_whole(Helm::V4, &MeshScope::all(&inputs.fleet)),
        Planned::Stop => Ok(power::stop(&inputs.fleet)),
        Planned::Start => Ok(power::start(&inputs.fleet, inputs.bootstrap(Helm::V4))),
        Planned::Upgrade => Ok(inputs.upgrade(Helm::V4)),
        Planned::Apply => Ok(inputs.apply_all(Helm::V4)),
        Planned::Destroy => Ok(power::destroy(&inputs.fleet)),
    }
}

/// Prints what differs from the plan of a commit's files, made by the current code.
pub fn changes(session: &mut Session, of: Planned, commit: &str) -> CmdResult {
    let plan = planned(&inputs::load(session)?, of)?;
    let then = planned(&inputs::at_commit(session, commit)?, of)?;
    let chosen = chosen(session, &plan)?;
    let shown = |step: &StepKey| chosen.contains(step) || plan.step(step).is_none();
    let changes: Vec<_> = diff::diff(&then, &plan).into_iter().filter(|change| shown(&change.step)).collect();
    session.shell.result(&diff::print(&changes));
    let steps = format::count(changes.len(), "step");
    let differ = if changes.len() == 1 { "differs" } else { "differ" };
    session.shell.status(Severity::Success, "Compared", &format!("with `{commit}`: {steps} {differ}"));
    Ok(DONE)
}

/// Prints the chosen steps of a plan, with their commands.
///
/// # Errors
/// Problems of the choice.
pub fn print(session: &mut Session, plan: Plan) -> CmdResult {
    let plan = select(session, plan)?;
    let text = match session.flags.format {
        Format::Text | Format::Github => text::print(&plan),
        Format::Json => format!("{}\n", events::plan(&plan)),
    };
    session.shell.result(&text);
    Ok(DONE)
}

/// Prints the ids of the chosen steps.
pub fn list(session: &mut Session, plan: Plan) -> CmdResult {
    let plan = select(session, plan)?;
    let ids: String = plan.steps.iter().map(|step| format!("{}\n", step.id)).collect();
    session.shell.result(&ids);
    Ok(DONE)
}

/// Prints the chosen steps as a table, a row for each cluster; clusters with the same steps share it.
pub fn table(session: &mut Session, plan: Plan) -> CmdResult {
    if session.flags.format == Format::Json {
        return print(session, plan);
    }
    let plan = select(session, plan)?;
    let steps = format::count(plan.steps.len(), "step");
    let table = steps::table(plan.steps.iter().map(|step| &step.id), session.shell.width());
    session.shell.result(&format!("plan {}: {steps}\n\n{table}", plan.name));
    let full = format!("cargo xtask plan {} --full   # every command; --list: ids", plan.name);
    session.shell.status(Severity::Hint, "See", &full);
    Ok(DONE)
}

fn select(session: &Session, mut plan: Plan) -> Result<Plan, CmdError> {
    let chosen = chosen(session, &plan)?;
    plan.steps.retain(|step| chosen.contains(&step.id));
    Ok(plan)
}
