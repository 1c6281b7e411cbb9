//! Runs the chosen steps of a plan, shows progress, and maps the outcome to an exit code.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::exit::{CmdError, CmdResult, DONE, FAILED, INTERRUPTED, PRECONDITION, USAGE};
use super::{Session, query, warn_deferred};
use crate::cli::Format;
use crate::ui::events;
use crate::ui::progress::board::Board;
use crate::ui::progress::{self, Progress};
use crate::ui::report::{self, End};
use crate::ui::shell::{Severity, Shell, Volume};
use exec::driver::drive;
use model::problem::Problem;
use plan::cause::{self, Observer};
use plan::choose::{self, Choice, choose};
use plan::engine::{Engine, Failure, Outcome, StepEvent};
use plan::journal;
use plan::{Plan, Scope, StepKey};
use tool::{Call, World};
use tool::{Event, TaskId};

/// Default number of concurrent steps. Steps mostly wait for other machines, so cores do not matter; scarce resources
/// (launches, downloads) have pools.
const JOBS: usize = 16;
/// How long the cause of a failure is asked for.
const OBSERVER_LIMIT: Duration = Duration::from_secs(15);
/// Interval at which elapsed times are redrawn.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// Explains a failure in terms of the input files.
pub type Explain<'a> = dyn Fn(&Failure) -> Vec<Problem> + 'a;

/// The steps selected by `--only`, `--skip` and `--until`.
///
/// # Errors
/// A pattern that matches nothing, or an empty selection.
pub fn chosen(session: &Session, plan: &Plan) -> Result<BTreeSet<StepKey>, CmdError> {
    let flags = &session.flags;
    let choice = Choice { only: flags.only.clone(), skip: flags.skip.clone(), until: flags.until.clone() };
    choose(plan, &choice).map_err(CmdError::all(USAGE))
}

pub fn jobs(session: &Session) -> usize {
    session.flags.jobs.map_or(JOBS, usize::from)
}

/// Facts of earlier runs. An unreadable journal is ignored: probes read the facts again.
pub fn facts(session: &Session) -> BTreeMap<String, String> {
    session.workspace.journal().map(|text| journal::facts(&text)).unwrap_or_default()
}

/// Steps that run before all others, and a check of their result.
pub struct First<'a> {
    /// These steps and their dependencies.
    pub scope: Scope,
    pub check: Check<'a>,
}

/// Runs between two parts of a run; an error ends it.
pub type Check<'a> = &'a mut dyn FnMut(&mut Session, &mut dyn World) -> Result<(), CmdError>;

/// Runs the preconditions, then, if they hold, the selected steps.
///
/// # Errors
/// An invalid selection.
pub fn run(session: &mut Session, world: &mut dyn World, plan: &Plan, explain: &Explain<'_>) -> CmdResult {
    run_after(session, world, plan, None, explain)
}

/// The same with an optional first part.
///
/// # Errors
/// An invalid selection, or the check of the first part.
pub fn run_after(
    session: &mut Session,
    world: &mut dyn World,
    plan: &Plan,
    first: Option<First<'_>>,
    explain: &Explain<'_>,
) -> CmdResult {
    let chosen = chosen(session, plan)?;
    if session.workspace.journal().is_ok_and(|text| journal::is_outdated(&text)) {
        let why = "the journal of another version; addresses and durations are read again";
        session.shell.status(Severity::Warning, "Ignoring", why);
    }
    if session.flags.format == Format::Json {
        session.shell.event(events::started(plan.name, chosen.len(), session.flags.simulate));
    }
    let (mut outcome, board) = match preflight(session, world, plan, &chosen) {
        Some(refusal) => refusal,
        None => in_parts(session, world, plan, chosen.clone(), first)?,
    };
    if outcome.interrupted {
        let ended: BTreeSet<&StepKey> = [&outcome.done, &outcome.unchanged].into_iter().flatten().collect();
        let failed = |id: &StepKey| outcome.failed.iter().any(|failure| failure.step == *id);
        outcome.stopped = chosen.iter().filter(|id| !ended.contains(id) && !failed(id)).cloned().collect();
        outcome.blocked.clear();
    }
    name_causes(session, world, plan, &mut outcome)?;
    report(session, world.now(), plan, &outcome, &board, explain);
    Ok(code(&outcome))
}

/// Asks for the cause of failures that can be observed.
fn name_causes(session: &Session, world: &mut dyn World, plan: &Plan, outcome: &mut Outcome) -> Result<(), CmdError> {
    if outcome.interrupted {
        return Ok(());
    }
    for failure in outcome.failed.iter_mut().filter(|failure| !cause::has_cause(&failure.why)) {
        let Some(Observer { ask, read }) = plan.step(&failure.step).and_then(|step| step.observer.as_ref()) else {
            continue;
        };
        if let Some(cause) = read.cause(&query::command(world, ask.clone(), OBSERVER_LIMIT)?) {
            failure.why = cause::explained(&failure.why, &session.workspace.redact(&cause));
        }
    }
    Ok(())
}

/// Checks all preconditions of this machine first, so that they are reported together and before any change.
fn preflight(
    session: &mut Session,
    world: &mut dyn World,
    plan: &Plan,
    chosen: &BTreeSet<StepKey>,
) -> Option<(Outcome, Board)> {
    let preconditions = plan.steps.iter().filter(|step| step.is_precondition()).map(|step| step.id.clone());
    let plan = part(plan, &preconditions.collect() & chosen);
    let engine = Engine::new(&plan, plan.ids(), facts(session), jobs(session));
    let mut board = Board::new(&plan, &plan.ids());
    let began = world.now();
    let outcome = drive(&plan, engine, world, &mut session.workspace, &mut |now, note| board.event(now - began, note));
    (code(&outcome) != DONE).then_some((outcome, board))
}

fn part(plan: &Plan, ids: BTreeSet<StepKey>) -> Plan {
    Plan { steps: plan.steps.iter().filter(|s| ids.contains(&s.id)).cloned().collect(), ..plan.clone() }
}

/// The first part, its check, then everything. Steps that the first part has finished are not shown again.
fn in_parts(
    session: &mut Session,
    world: &mut dyn World,
    plan: &Plan,
    chosen: BTreeSet<StepKey>,
    first: Option<First<'_>>,
) -> Result<(Outcome, Board), CmdError> {
    let mut log = ProgressLog::start(session, plan, &chosen);
    let mut begun = Outcome::default();
    if let Some(First { scope, check }) = first {
        let heads = chosen.iter().filter(|id| *id.scope() == scope).cloned().collect();
        let before = part(plan, choose::needed(&plan.steps, heads));
        begun = log.run(session, world, &before, &before.ids() & &chosen);
        if code(&begun) != DONE {
            return Ok((begun, log.close()));
        }
        log.hide();
        check(session, world)?;
    }
    let mut outcome = log.run(session, world, plan, chosen);
    outcome.unchanged.retain(|id| !begun.done.contains(id));
    outcome.done.splice(0..0, begun.done);
    Ok((outcome, log.close()))
}

/// Runs these steps with progress, without the final report.
pub fn run_steps(
    session: &mut Session,
    world: &mut dyn World,
    plan: &Plan,
    chosen: BTreeSet<StepKey>,
) -> (Outcome, Board) {
    let mut log = ProgressLog::start(session, plan, &chosen);
    let outcome = log.run(session, world, plan, chosen);
    (outcome, log.close())
}

/// Progress of a run in one or more parts.
struct ProgressLog<'a> {
    progress: Progress<'a>,
    /// Steps that an earlier part has finished.
    finished: BTreeSet<StepKey>,
}

impl<'a> ProgressLog<'a> {
    fn start(session: &mut Session, plan: &'a Plan, chosen: &BTreeSet<StepKey>) -> Self {
        let json = session.flags.format == Format::Json;
        let mode = progress::output_mode(json, (session.screen)(), session.shell.volume());
        let took = session.workspace.journal().map(|text| journal::read(&text).took).unwrap_or_default();
        let progress = Progress::new(plan, chosen, mode, session.flags.explain).after(took);
        ProgressLog { progress, finished: BTreeSet::new() }
    }

    fn run(&mut self, session: &mut Session, world: &mut dyn World, part: &Plan, chosen: BTreeSet<StepKey>) -> Outcome {
        let engine = Engine::new(part, chosen, facts(session), jobs(session));
        let Session { shell, workspace: space, .. } = session;
        let finished = &self.finished;
        let screen = RefCell::new((&mut self.progress, shell));
        let mut world =
            HeartbeatWorld { world, tick: &|now| with_screen(&screen, |progress, shell| progress.tick(shell, now)) };
        let outcome = drive(part, engine, &mut world, space, &mut |now, note| {
            if !is_repeated(finished, note) {
                with_screen(&screen, |progress, shell| progress.event(shell, now, note));
            }
        });
        self.finished.extend(outcome.done.iter().chain(&outcome.unchanged).cloned());
        outcome
    }

    /// Hides the progress until the next part.
    fn hide(&mut self) {
        self.progress.hide();
    }

    fn close(self) -> Board {
        self.progress.close()
    }
}

/// Whether the event only repeats that a finished step is unchanged.
fn is_repeated(finished: &BTreeSet<StepKey>, note: &StepEvent) -> bool {
    match note {
        StepEvent::Checking(step) | StepEvent::Unchanged(step) | StepEvent::Running { step, mutates: false, .. } => {
            finished.contains(step)
        }
        _ => false,
    }
}

/// The screen is used by the driver and, between two events, by the clock, never at the same time.
fn with_screen<'s, 'p>(
    screen: &RefCell<(&'s mut Progress<'p>, &'s mut Shell)>,
    show: impl FnOnce(&mut Progress<'p>, &mut Shell),
) {
    let (progress, shell) = &mut *screen.borrow_mut();
    show(progress, shell);
}

/// Calls `tick` regularly while nothing happens, so that elapsed times are updated.
struct HeartbeatWorld<'a> {
    world: &'a mut dyn World,
    tick: &'a dyn Fn(Duration),
}

impl World for HeartbeatWorld<'_> {
    fn now(&self) -> Duration {
        self.world.now()
    }

    fn start(&mut self, call: Call) {
        self.world.start(call);
    }

    fn kill(&mut self, task: TaskId, hard: bool) {
        self.world.kill(task, hard);
    }

    fn wait(&mut self, until: Option<Duration>) -> Event {
        loop {
            let next = self.world.now() + HEARTBEAT;
            let sooner = until.is_none_or(|until| next < until);
            let event = self.world.wait(if sooner { Some(next) } else { until });
            if event != Event::Tick || !sooner {
                return event;
            }
            (self.tick)(self.world.now());
        }
    }
}

/// The final report; its last line is the result.
pub fn report(
    session: &mut Session,
    now: Duration,
    plan: &Plan,
    outcome: &Outcome,
    board: &Board,
    explain: &Explain<'_>,
) {
    warn_deferred(session);
    let space = &session.workspace;
    let log = |failure: &Failure| {
        let path = space.log_path(failure.step.as_str(), failure.attempt);
        space.exists(&path).then_some(path)
    };
    let (simulated, again) = (session.flags.simulate, session.invocation.as_str());
    let (times, took) = (board.times(), now.saturating_sub(session.began));
    let flags = &session.flags;
    let hint = |failure: &Failure| plan.step(&failure.step)?.hint.as_deref().map(|hint| flags.localized(hint));
    let end = End { plan, outcome, times, took, simulated, again, meaning: explain, hint: &hint, log: &log };
    let shell = &mut session.shell;
    let style = shell.style();
    let failures = report::failures(&end, style);
    if !failures.is_empty() {
        shell.message(&failures);
    }
    let json = session.flags.format == Format::Json;
    let unchanged = report::unchanged(&end, style);
    if !unchanged.is_empty()
        && code(outcome) != PRECONDITION
        && !json
        && !flags.explain
        && shell.volume() == Volume::Normal
    {
        shell.message(&unchanged);
    }
    let path = report::path(&end, style);
    if !path.is_empty() && !json {
        shell.progress(&path);
    }
    let result = report::result(&end, style);
    if code(outcome) != DONE || !json {
        shell.message(&result);
    }
    if json {
        let chain = report::critical_path(plan, board.times());
        shell.event(events::finished(report::tally(outcome), outcome.interrupted, took, &chain));
    }
}

/// A failed precondition has an exit code of its own.
pub fn code(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome { interrupted: true, .. } => INTERRUPTED,
        Outcome { failed, .. } if failed.iter().any(|failure| failure.precondition) => PRECONDITION,
        Outcome { failed, blocked, .. } if !failed.is_empty() || !blocked.is_empty() => FAILED,
        _ => DONE,
    }
}
