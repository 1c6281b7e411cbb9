//! `doctor`: lists every problem of this machine and the clusters, each with a fix; `--fix` applies the safe ones.

use std::collections::{BTreeMap, BTreeSet};

use super::exit::{CmdError, CmdResult, DONE, FAILED, PRECONDITION};
use super::inputs::Inputs;
use super::run_plan::facts;
use super::{Session, drill_marker, inputs, preflight_help, query, run_plan, status, world_factory};
use crate::cli::Format;
use crate::ui::doctor;
use crate::ui::shell::{Severity, Volume};
use exec::query::Survey;
use model::problem::Problem;
use plan::StepKey;
use plan::journal;
use plan::survey::findings::{Finding, SurveyResult, findings, repair};
use plan::survey::overview::overview;
use tool::World;
use tool::helm::Helm;

/// # Errors
/// Problems of the input.
pub fn run(session: &mut Session, fix: bool) -> CmdResult {
    let inputs = inputs::load(session)?;
    drill_marker::name_run(session);
    world_factory::with_world(session, None, &inputs.bootstrap(Helm::V4), &mut |session, world| {
        diagnose(session, world, &inputs, fix)
    })
}

fn diagnose(session: &mut Session, world: &mut dyn World, inputs: &Inputs, fix: bool) -> CmdResult {
    let before = facts(session);
    let survey = status::survey(session, world, inputs)?;
    let host = preflight_help::problems(&inputs.fleet, &inputs.bootstrap(Helm::V4), &survey.answers);
    let mut found: Vec<Finding> =
        host.into_iter().map(|problem| Finding { problem, fix: None, detail: None }).collect();
    let ready = found.is_empty();
    found.extend(workspace_findings(session));
    found.extend(fleet_findings(inputs, &survey, &before));
    let shell = &mut session.shell;
    match session.flags.format {
        Format::Text | Format::Github => {
            let verbose = shell.volume() == Volume::Verbose;
            shell.screen(&doctor::text(&found, &survey.answers, verbose));
        }
        Format::Json => doctor::json(&found, survey.answers.len()).into_iter().for_each(|event| shell.event(event)),
    }
    match found.is_empty() {
        true => Ok(DONE),
        false if fix => apply_fixes(session, world, inputs, &survey, &found),
        false => Ok(if ready { FAILED } else { PRECONDITION }),
    }
}

/// Another run, a run that was killed, and files that others can read.
fn workspace_findings(session: &mut Session) -> Vec<Finding> {
    let mut problems: Vec<(Problem, Option<StepKey>)> = Vec::new();
    let busy = session.workspace.lock("doctor").err();
    let last = session.workspace.journal().ok().and_then(|text| journal::read(&text).last);
    if let Some(run) = last.filter(|run| busy.is_none() && run.ended.is_none()) {
        let at = run.open.first().map_or("before its first step".to_owned(), |step| format!("at step {step}"));
        let problem = Problem::new(format!("the last `{}` was killed", run.command)).why(at);
        problems.push((problem.hint(format!("cargo xtask {}", run.command)), None));
    }
    problems.extend(busy.map(|problem| (problem, None)));
    for path in session.workspace.world_readable() {
        let problem = Problem::new(format!("`{path}` is readable by other users")).hint("cargo xtask doctor --fix");
        problems.push((problem, Some(MODES.into())));
    }
    problems.into_iter().map(|(problem, fix)| Finding { problem, fix, detail: None }).collect()
}

/// Stands for fixing permissions, which is no step of a plan.
const MODES: &str = "out/modes";

fn fleet_findings(inputs: &Inputs, survey: &Survey, before: &BTreeMap<String, String>) -> Vec<Finding> {
    let plan = inputs.bootstrap(Helm::V4);
    let overview = overview(&inputs.fleet, &inputs.releases, &survey.answers);
    let (fleet, answers) = (&inputs.fleet, &survey.answers);
    findings(&SurveyResult { fleet, plan: &plan, answers, overview: &overview, before })
}

fn apply_fixes(
    session: &mut Session,
    world: &mut dyn World,
    inputs: &Inputs,
    survey: &Survey,
    found: &[Finding],
) -> CmdResult {
    let _lock = session.workspace.lock("doctor").map_err(CmdError::with(PRECONDITION))?;
    session.workspace.restrict_permissions().map_err(CmdError::all(FAILED))?;
    let mut fixes: BTreeSet<StepKey> = found.iter().filter_map(|finding| finding.fix.clone()).collect();
    let closed = fixes.remove(MODES);
    let left = found.iter().filter(|finding| finding.fix.is_none()).count();
    if fixes.is_empty() {
        let problem = Problem::new("nothing can be fixed automatically").why("see the fix listed with each problem");
        return if closed && left == 0 { Ok(DONE) } else { Err(CmdError::new(FAILED, problem)) };
    }
    let clock = survey.answers.get("host/machine").and_then(|answer| answer.json()["clock"].as_u64());
    let plan = repair(&inputs.bootstrap(query::helm(world)?), &inputs.fleet, &fixes, clock);
    let starts = fixes.iter().any(|step| step.machine().is_some() && step.action() == "launch");
    session.flags.only = fixes.iter().map(StepKey::to_string).collect();
    let code =
        run_plan::run(session, world, &plan, &|failure| preflight_help::explain_failure(&inputs.fleet, failure))?;
    if starts && code == DONE {
        let next = "cargo xtask start   # restarts what runs in the VMs";
        session.shell.status(Severity::Hint, "Next", next);
    }
    Ok(if code == DONE && left > 0 { FAILED } else { code })
}
