//! `--dry-run` of commands that change clusters: runs the probes alone, and says which steps would run.

use serde_json::json;

use super::exit::{CmdResult, DONE, PRECONDITION};
use super::inputs::Inputs;
use super::{Session, preflight_help, query, run_plan, show};
use crate::cli::Format;
use crate::ui::shell::Severity;
use crate::ui::{format, steps};
use plan::survey::{ProbeState, questions};
use plan::{Plan, Step, choose};
use tool::World;

/// # Errors
/// An invalid selection, or the user interrupted.
pub fn run(session: &mut Session, world: &mut dyn World, inputs: &Inputs, plan: &Plan) -> CmdResult {
    let chosen = run_plan::chosen(session, plan)?;
    let checks = format!("{} of {}, changing nothing", format::count(chosen.len(), "step"), plan.name);
    session.shell.status(Severity::Dim, "Checking", &checks);
    let asked = choose::needed(&plan.steps, chosen.clone());
    let steps = plan.steps.iter().filter(|step| asked.contains(&step.id)).cloned();
    let answers = query::check(session, world, &questions(&Plan { steps: steps.collect(), ..plan.clone() }))?.answers;
    let matches = |step: &&Step| answers.get(&step.id).is_some_and(|answer| answer.state == ProbeState::Matches);
    let chosen: Vec<&Step> = plan.steps.iter().filter(|step| chosen.contains(&step.id)).collect();
    let (unchanged, open): (Vec<&Step>, Vec<&Step>) = chosen.into_iter().partition(matches);
    let (missing, run): (Vec<&Step>, Vec<&Step>) = open.into_iter().partition(|step| step.is_precondition());
    if session.flags.format == Format::Json {
        let ids = |steps: &[&Step]| steps.iter().map(|step| step.id.to_string()).collect::<Vec<_>>();
        let (run, missing) = (ids(&run), ids(&missing));
        session.shell.event(json!({ "event": "dry-run", "command": plan.name, "unchanged": unchanged.len(),
            "would_run": run, "missing": missing }));
    } else {
        let table = steps::table(run.iter().map(|step| &step.id), session.shell.width());
        session.shell.result(&table);
    }
    let summary = format!("{}: {} would run, {} unchanged", plan.name, run.len(), unchanged.len());
    session.shell.status(Severity::Success, "Checked", &summary);
    if !missing.is_empty() {
        show(session, &preflight_help::problems(&inputs.fleet, plan, &answers));
    }
    Ok(if missing.is_empty() { DONE } else { PRECONDITION })
}
