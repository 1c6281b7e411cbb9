//! What comes before a drill: an interrupted one is finished, and nothing is stopped unless the contract holds.

use std::time::Duration;

use super::super::super::exit::{CmdError, FAILED, INTERRUPTED};
use super::super::super::power::confirm;
use super::super::super::{Session, drill_marker, query, run_plan};
use super::super::live::{self, Looked};
use super::watch::Watch;
use super::{Play, failed};
use crate::ui::contract::breached;
use crate::ui::shell::Severity;
use contract::Finding;
use exec::driver::drive;
use mesh::{self, Survey};
use model::fleet::Fleet;
use model::problem::Problem;
use plan::Plan;
use plan::engine::Engine;
use plan::mesh::MeshScope;
use plan::mesh::survey::plan as questions;
use tool::World;
use tool::helm::Helm;

/// How long the mesh may take to be green again, and how often it is looked at. Agents notice a peer that is back
/// within two minutes; its pods take the rest.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(900), Duration::from_secs(10));

/// A simulation without state first brings up the clusters.
pub fn bring_up(session: &mut Session, play: &mut Play<'_, '_>) -> Result<(), CmdError> {
    let inputs = play.drill.inputs;
    session.shell.status(Severity::Dim, "Preparing", "the clusters and their mesh in the simulator");
    let plans = [inputs.bootstrap(play.helm), inputs.mesh(Helm::V4, &MeshScope::all(&inputs.fleet))?];
    plans.iter().try_for_each(|plan| quietly(session, &mut play.watch, plan))
}

fn quietly(session: &mut Session, world: &mut dyn World, plan: &Plan) -> Result<(), CmdError> {
    let engine = Engine::new(plan, plan.ids(), run_plan::facts(session), run_plan::jobs(session));
    let outcome = drive(plan, engine, world, &mut session.workspace, &mut |_, _| {});
    if !failed(&outcome) {
        return Ok(());
    }
    let code = if outcome.interrupted { INTERRUPTED } else { FAILED };
    let what = format!("the simulation cannot begin: {} does not finish", plan.name);
    Err(CmdError::new(code, Problem::new(what).hint(format!("cargo xtask {}", plan.name))))
}

/// Brings back what an earlier drill has left stopped, if it is allowed to.
pub fn finish(session: &mut Session, play: &mut Play<'_, '_>) -> Result<(), CmdError> {
    let Some(left) = drill_marker::interrupted(session) else { return Ok(()) };
    let question = format!("{}. Start it and go on?", left.what);
    let may = session.flags.yes || session.flags.simulate;
    if !may && !confirm(session, &mut play.watch, &question)? {
        return Err(CmdError::new(FAILED, left));
    }
    session.shell.status(Severity::Warning, "Finishing", &left.what);
    play.back(session)?;
    play.tidy(session);
    Ok(())
}

/// The rendered contract, the mesh, and the contract as running clusters answer for it.
pub fn green(session: &mut Session, play: &mut Play<'_, '_>) -> Result<Looked, CmdError> {
    let drill = play.drill;
    let broken = breached(drill.report, drill.excused).flat_map(|v| &v.findings);
    let mut problems: Vec<Problem> = broken.map(problem).collect();
    session.shell.status(Severity::Dim, "Checking", "the health of the mesh");
    problems.extend(meshed(session, &drill.inputs.fleet, &mut play.watch)?.into_iter().map(|f| f.problem));
    if problems.is_empty() {
        let (looked, found) = running(session, play)?;
        if found.is_empty() {
            return Ok(looked);
        }
        problems = found;
    }
    Err(CmdError { code: FAILED, problems: [problems, vec![nothing_stopped()]].concat() })
}

/// The live tier. A question without an answer counts as not healthy.
fn running(session: &mut Session, play: &mut Play<'_, '_>) -> Result<(Looked, Vec<Problem>), CmdError> {
    let drill = play.drill;
    let clusters: Vec<String> = drill.inputs.fleet.clusters.iter().map(|c| c.name.clone()).collect();
    let looked = live::within(session, &mut play.watch, &drill.inputs.fleet, drill.state, &clusters)?;
    let counts = |clause| !drill.excused.contains_key(&clause);
    let found = looked.live.verdicts.iter().filter(|v| counts(v.clause)).flat_map(|v| &v.findings).map(problem);
    let unanswered = looked.live.unanswered.iter().filter(|s| counts(s.clause)).map(|s| {
        Problem::new(format!("{} did not answer for {}: {}", s.cluster, s.clause, s.why)).hint("cargo xtask doctor")
    });
    let problems = found.chain(unanswered).collect();
    Ok((looked, problems))
}

fn meshed(session: &mut Session, fleet: &Fleet, watch: &mut Watch<'_>) -> Result<Vec<mesh::Finding>, CmdError> {
    let scope = MeshScope::all(fleet);
    let (answers, facts, times) = query::outputs(session, watch, &questions(fleet, &scope))?;
    Ok(mesh::judge(&Survey { fleet, scope: &scope, answers: &answers, facts: &facts, times: &times }))
}

/// Waits for the mesh. When it was green; or, once patience is over, the most likely cause.
///
/// # Errors
/// The run was interrupted.
pub fn until_green(
    session: &mut Session,
    fleet: &Fleet,
    watch: &mut Watch<'_>,
) -> Result<Result<Duration, String>, CmdError> {
    let (patience, pause) = PATIENCE;
    let end = watch.now() + patience;
    session.shell.status(Severity::Dim, "Waiting", "for the mesh to be healthy again");
    loop {
        let Some(first) = meshed(session, fleet, watch)?.into_iter().next() else { return Ok(Ok(watch.now())) };
        if watch.now() > end {
            return Ok(Err(first.problem.what));
        }
        let next = watch.now() + pause;
        if !watch.hold(next) {
            return Err(CmdError { code: INTERRUPTED, problems: vec![] });
        }
    }
}

fn problem(finding: &Finding) -> Problem {
    let Finding { clause, clusters, subject, want, got, at, hint, .. } = finding;
    let what = format!("{clause} does not hold before the drill: {subject} on {}: {got}", clusters.join(", "));
    Problem { at: Some(at.clone()), ..Problem::new(what).why(format!("wanted: {want}")).hint(hint.clone()) }
}

fn nothing_stopped() -> Problem {
    Problem::new("the drill is refused: nothing was stopped").why("it proves nothing unless the contract holds before")
}

/// What ends a drill before anything was stopped.
pub fn refused(stopped: bool, unready: Vec<Finding>) -> CmdError {
    if stopped {
        return CmdError { code: INTERRUPTED, problems: vec![] };
    }
    let problems = unready.iter().map(problem).chain([nothing_stopped()]).collect();
    CmdError { code: FAILED, problems }
}
