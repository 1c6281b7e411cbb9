//! Runs the chosen steps of a plan in a world, tells the story, and turns the outcome into an exit code.
//! Knows nothing of which plan and which world.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::exit::{CmdError, CmdResult, DONE, FAILED, INTERRUPTED, PRECONDITION, USAGE};
use super::{Session, warn_deferred};
use crate::cli::Format;
use crate::ui::events;
use crate::ui::progress::board::Board;
use crate::ui::progress::{self, Progress};
use crate::ui::report::{self, End};
use crate::ui::shell::{Severity, Shell};
use exec::driver::drive;
use model::problem::Problem;
use plan::choose::{self, Choice, choose};
use plan::engine::{Engine, Failure, Outcome, StepEvent};
use plan::journal;
use plan::{Plan, Scope, StepKey};
use tool::{Call, World};
use tool::{Event, TaskId};

/// Steps at once, if nothing else is asked for. They wait for other machines most of the time, so cores do not count;
/// what is scarce (launches, downloads) has pools of its own.
const JOBS: usize = 16;
/// How often elapsed times go on while nothing happens.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// What a failure means in the input, where it is known.
pub type Meaning<'a> = dyn Fn(&Failure) -> Vec<Problem> + 'a;

/// The steps that `--only`, `--skip` and `--until` leave.
///
/// # Errors
/// A pattern that matches nothing, or nothing left.
pub fn chosen(session: &Session, plan: &Plan) -> Result<BTreeSet<StepKey>, CmdError> {
    let flags = &session.flags;
    let choice = Choice { only: flags.only.clone(), skip: flags.skip.clone(), until: flags.until.clone() };
    choose(plan, &choice).map_err(CmdError::all(USAGE))
}

/// Steps at once.
pub fn jobs(session: &Session) -> usize {
    session.flags.jobs.map_or(JOBS, usize::from)
}

/// What earlier runs learnt. A journal that cannot be read is no obstacle: probes learn it all again.
pub fn facts(session: &Session) -> BTreeMap<String, String> {
    session.workspace.journal().map(|text| journal::facts(&text)).unwrap_or_default()
}

/// Steps that come before all others of a run, and a look at what they brought.
pub struct First<'a> {
    /// These steps, and what they need.
    pub scope: Scope,
    /// Refuses to go on if what they brought is not good.
    pub look: Look<'a>,
}

/// A look at the world between two parts of a run.
pub type Look<'a> = &'a mut dyn FnMut(&mut Session, &mut dyn World) -> Result<(), CmdError>;

/// Runs them: first the checks of the machine, and if those hold all of it.
///
/// # Errors
/// Problems of the choice.
pub fn run(session: &mut Session, world: &mut dyn World, plan: &Plan, meaning: &Meaning<'_>) -> CmdResult {
    run_after(session, world, plan, None, meaning)
}

/// The same, where something may come first, and all else only if it is good.
///
/// # Errors
/// Problems of the choice, or of what came first.
pub fn run_after(
    session: &mut Session,
    world: &mut dyn World,
    plan: &Plan,
    first: Option<First<'_>>,
    meaning: &Meaning<'_>,
) -> CmdResult {
    let chosen = chosen(session, plan)?;
    if session.workspace.journal().is_ok_and(|text| journal::is_outdated(&text)) {
        let why = "the journal of another version; addresses and durations are read again";
        session.shell.status(Severity::Warning, "Ignoring", why);
    }
    if session.flags.format == Format::Json {
        session.shell.result(&events::started(plan.name, chosen.len(), session.flags.simulate));
    }
    let (outcome, board) = match preflight(session, world, plan, &chosen) {
        Some(refusal) => refusal,
        None => in_parts(session, world, plan, chosen, first)?,
    };
    tell(session, plan, &outcome, &board, meaning);
    Ok(code(&outcome))
}

/// Asks about the machine before anything begins: what it lacks is then told in one piece, and nothing was done yet.
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

/// These steps alone.
fn part(plan: &Plan, ids: BTreeSet<StepKey>) -> Plan {
    Plan { steps: plan.steps.iter().filter(|s| ids.contains(&s.id)).cloned().collect(), ..plan.clone() }
}

/// What comes first, the look at it, and then everything. It is one story: what was done first is done, and is not told
/// again when the rest finds it so.
fn in_parts(
    session: &mut Session,
    world: &mut dyn World,
    plan: &Plan,
    chosen: BTreeSet<StepKey>,
    first: Option<First<'_>>,
) -> Result<(Outcome, Board), CmdError> {
    let mut story = Story::begin(session, plan, &chosen);
    let mut begun = Outcome::default();
    if let Some(First { scope, look }) = first {
        let heads = chosen.iter().filter(|id| *id.scope() == scope).cloned().collect();
        let before = part(plan, choose::needed(&plan.steps, heads));
        begun = story.play(session, world, &before, &before.ids() & &chosen);
        if code(&begun) != DONE {
            return Ok((begun, story.close()));
        }
        story.hide();
        look(session, world)?;
    }
    let mut outcome = story.play(session, world, plan, chosen);
    outcome.unchanged.retain(|id| !begun.done.contains(id));
    outcome.done.splice(0..0, begun.done);
    Ok((outcome, story.close()))
}

/// Runs these steps and tells how they go, but not how it ended.
pub fn conduct(
    session: &mut Session,
    world: &mut dyn World,
    plan: &Plan,
    chosen: BTreeSet<StepKey>,
) -> (Outcome, Board) {
    let mut story = Story::begin(session, plan, &chosen);
    let outcome = story.play(session, world, plan, chosen);
    (outcome, story.close())
}

/// A run as it is told while it goes on, in one part or more.
struct Story<'a> {
    progress: Progress<'a>,
    /// Steps that an earlier part has seen to their end.
    told: BTreeSet<StepKey>,
}

impl<'a> Story<'a> {
    fn begin(session: &mut Session, plan: &'a Plan, chosen: &BTreeSet<StepKey>) -> Self {
        let json = session.flags.format == Format::Json;
        let mode = progress::output_mode(json, session.screen.take(), session.shell.volume());
        Story { progress: Progress::new(plan, chosen, mode, session.flags.explain), told: BTreeSet::new() }
    }

    fn play(
        &mut self,
        session: &mut Session,
        world: &mut dyn World,
        part: &Plan,
        chosen: BTreeSet<StepKey>,
    ) -> Outcome {
        let engine = Engine::new(part, chosen, facts(session), jobs(session));
        let Session { shell, workspace: space, .. } = session;
        let told = &self.told;
        let story = RefCell::new((&mut self.progress, shell));
        let mut world =
            HeartbeatWorld { world, tick: &|now| tell_to(&story, |progress, shell| progress.tick(shell, now)) };
        let outcome = drive(part, engine, &mut world, space, &mut |now, note| {
            if !again(told, note) {
                tell_to(&story, |progress, shell| progress.event(shell, now, note));
            }
        });
        self.told.extend(outcome.done.iter().chain(&outcome.unchanged).cloned());
        outcome
    }

    /// Hides the screen until the next part.
    fn hide(&mut self) {
        self.progress.hide();
    }

    fn close(self) -> Board {
        self.progress.close()
    }
}

/// Whether it says only what was told before: that a step is asked, and is so.
fn again(told: &BTreeSet<StepKey>, note: &StepEvent) -> bool {
    match note {
        StepEvent::Checking(step) | StepEvent::Unchanged(step) | StepEvent::Running { step, mutates: false, .. } => {
            told.contains(step)
        }
        _ => false,
    }
}

/// The story is told from two sides that never speak at once: by the driver, and between two events by the clock.
fn tell_to<'s, 'p>(
    story: &RefCell<(&'s mut Progress<'p>, &'s mut Shell)>,
    tell: impl FnOnce(&mut Progress<'p>, &mut Shell),
) {
    let (progress, shell) = &mut *story.borrow_mut();
    tell(progress, shell);
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

/// The end of the story; its last line is the answer.
pub fn tell(session: &mut Session, plan: &Plan, outcome: &Outcome, board: &Board, meaning: &Meaning<'_>) {
    warn_deferred(session);
    let space = &session.workspace;
    let log = |failure: &Failure| {
        let path = space.log_path(failure.step.as_str(), failure.attempt);
        space.exists(&path).then_some(path)
    };
    let (simulated, again) = (session.flags.simulate, session.invocation.as_str());
    let (times, took) = (board.times(), board.took());
    let flags = &session.flags;
    let meaning = |failure: &Failure| meaning(failure).into_iter().map(|problem| flags.problem(problem)).collect();
    let hint = |failure: &Failure| plan.step(&failure.step)?.hint.as_deref().map(|hint| flags.hint(hint));
    let end = End { plan, outcome, times, took, simulated, again, meaning: &meaning, hint: &hint, log: &log };
    let shell = &mut session.shell;
    let style = shell.style();
    let failures = report::failures(&end, style);
    if !failures.is_empty() {
        shell.message(&failures);
    }
    let path = report::path(&end, style);
    if !path.is_empty() && session.flags.format == Format::Text {
        shell.progress(&path);
    }
    let result = report::result(&end, style);
    if code(outcome) == DONE {
        shell.progress(&result)
    } else {
        shell.message(&result)
    }
    if session.flags.format == Format::Json {
        let chain = report::critical_path(plan, board.times());
        shell.result(&events::finished(report::tally(outcome), outcome.interrupted, board.took(), &chain));
    }
}

/// The exit code of an outcome. A machine that is not ready is told apart from a world that said no.
pub fn code(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome { interrupted: true, .. } => INTERRUPTED,
        Outcome { failed, .. } if failed.iter().any(|failure| failure.precondition) => PRECONDITION,
        Outcome { failed, blocked, .. } if !failed.is_empty() || !blocked.is_empty() => FAILED,
        _ => DONE,
    }
}
