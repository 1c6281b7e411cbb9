//! The drill on machines, real or simulated: checks, asks for confirmation, stops the platform, observes, and starts it
//! again whatever happens.
//!
//! From the first VM that stops until the platform answers, a mark on the disk says so ([`drill_marker`]). Ctrl-C once ends
//! the outage early; twice ends this process, and the mark stays.

mod before;
mod observations;
mod watch;

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::exit::{CmdError, CmdResult, DONE, FAILED, INTERRUPTED, USAGE};
use super::super::inputs::Inputs;
use super::super::run_plan::{report, run_steps};
use super::super::{Session, drill_marker, plan as printing, power::confirm, query, world_factory};
use super::live::Looked;
use crate::ui::contract::Excused;
use crate::ui::format;
use crate::ui::shell::Severity;
use contract::live::Answers;
use contract::live::redact;
use contract::outage::{self, App, Clock, ClusterSnapshot, Observed};
use contract::{RenderedState, Report, drill as steps, outage_model};
use model::problem::Problem;
use observations::Observations;
use plan::engine::Outcome;
use plan::{Plan, StepKey, power, text};
use render::{self, Files};
use tool::World;
use tool::helm::Helm;
use watch::Watch;

/// The shortest outage that shows something, and the longest that this command holds.
const LENGTHS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 3600));

/// What a drill on machines leaves: what was observed in it, and the answers of the live tier before it.
pub struct Ran {
    pub observed: Observed,
    pub looked: Looked,
}

/// What a drill is about.
pub struct Drill<'a> {
    pub inputs: &'a Inputs,
    pub state: &'a RenderedState,
    /// The result of the static tier.
    pub report: &'a Report,
    /// Clauses that may be broken.
    pub excused: &'a Excused,
    /// How long the platform stays down.
    pub length: Duration,
}

/// The length that was typed: `10m`, `3h`.
///
/// # Errors
/// No duration, or one beyond the limits.
pub fn length(text: &str) -> Result<Duration, CmdError> {
    let (least, most) = LENGTHS;
    model::units::parse_duration(text).filter(|l| (least..=most).contains(l)).ok_or_else(|| {
        let what = format!("`{text}` is not the length of an outage");
        CmdError::new(USAGE, Problem::new(what).why("it is between 1m and 24h").hint("--outage 10m"))
    })
}

/// Prints every step of every part.
///
/// # Errors
/// Problems of the input.
pub fn print(session: &mut Session, drill: &Drill<'_>) -> CmdResult {
    let (fleet, files) = (&drill.inputs.fleet, files(drill)?);
    let start = power::start(fleet, drill.inputs.bootstrap(Helm::V4));
    let back = steps::back(fleet, &start);
    let start = Plan { steps: start.steps.into_iter().filter(|s| back.contains(&s.id)).collect(), ..start };
    let parts = [
        steps::ready(fleet, &files),
        steps::observe(fleet, &files),
        steps::stop(fleet, &files),
        steps::during(fleet, &files),
        start,
        steps::after(fleet, &files, drill.length),
        steps::counted(fleet, &files, drill.length),
        steps::tidy(fleet, &files),
    ];
    if session.flags.format == crate::cli::Format::Json {
        return parts.into_iter().try_fold(DONE, |_, part| printing::print(session, part));
    }
    let text = parts.iter().map(text::print).collect::<Vec<_>>().join("\n");
    session.shell.result(&text);
    Ok(DONE)
}

fn files(drill: &Drill<'_>) -> Result<Files, CmdError> {
    render::drill::files(&drill.inputs.data).map_err(CmdError::all(USAGE))
}

/// Runs it and judges it.
///
/// # Errors
/// It is refused, not confirmed, interrupted, or the platform did not come back.
pub fn run(session: &mut Session, drill: &Drill<'_>) -> Result<Ran, CmdError> {
    if let Some(why) = steps::missing(&drill.inputs.fleet, &drill.inputs.releases) {
        return Err(CmdError::new(USAGE, Problem::new("no cluster qualifies for this drill").why(why)));
    }
    let offered = drill.inputs.bootstrap(Helm::V4);
    let mut ran = None;
    let begins =
        session.flags.simulate && !session.workspace.exists(session.workspace.out().join("world.json").as_str());
    world_factory::with_world(session, Some("verify-contract --drill"), &offered, &mut |session, world| {
        let helm = query::helm(world)?;
        let mut play = Play { drill, files: files(drill)?, helm, watch: Watch::new(world) };
        if begins {
            before::bring_up(session, &mut play)?;
        }
        before::finish(session, &mut play)?;
        let looked = before::green(session, &mut play)?;
        consent(session, &mut play.watch, drill)?;
        ran = Some(Ran { observed: play.whole(session)?, looked });
        Ok(DONE)
    })?;
    ran.ok_or(CmdError { code: INTERRUPTED, problems: vec![] })
}

/// Prints what will happen, and asks for confirmation.
fn consent(session: &mut Session, world: &mut dyn World, drill: &Drill<'_>) -> Result<(), CmdError> {
    let fleet = &drill.inputs.fleet;
    let Some(platform) = steps::platform(fleet) else { return Ok(()) };
    let vms: Vec<String> = platform.nodes.iter().map(|n| platform.vm(n)).collect();
    let apps: Vec<String> = steps::apps(fleet).map(|c| c.name.clone()).collect();
    // A path through the mesh takes another app cluster.
    let through = if steps::apps(fleet).any(|app| steps::has_peer(fleet, app)) { " and through the mesh" } else { "" };
    let (vms, apps) = (format::list(&vms), format::list(&apps));
    let long = model::units::format_hours(drill.length);
    let lines = [
        ("Stops", format!("{vms} for {long}; they are started again in any case, Ctrl-C ends the drill early")),
        ("Probes", format!("the sample on {apps} every second, locally{through}")),
        ("Kills", format!("a sample pod and then a Cilium agent on {apps} during the outage, and creates a pod there")),
    ];
    for (word, line) in &lines {
        session.shell.message(&crate::ui::shell::status_line(session.shell.style(), Severity::Warning, word, line));
    }
    if session.flags.simulate || session.flags.yes || confirm(session, world, &format!("Stop {vms}?"))? {
        return Ok(());
    }
    let problem = Problem::new("aborted: not confirmed; nothing was stopped");
    Err(CmdError::new(USAGE, problem.hint(format!("{} --yes", session.invocation))))
}

/// A drill under way.
struct Play<'a, 'w> {
    drill: &'a Drill<'a>,
    files: Files,
    helm: Helm,
    watch: Watch<'w>,
}

impl Play<'_, '_> {
    fn whole(&mut self, session: &mut Session) -> Result<Observed, CmdError> {
        let fleet = &self.drill.inputs.fleet;
        let ready = self.act(session, &steps::ready(fleet, &self.files), true);
        let answers = if ready { self.observe(session)? } else { BTreeMap::new() };
        let mut seen = Observations { before: answers, ..Observations::default() };
        let mut unready = outage::unready(&seen.apps(fleet), self.drill.report);
        unready.retain(|finding| !self.drill.excused.contains_key(&finding.clause));
        if !ready || !unready.is_empty() || self.watch.interrupts() > 0 {
            self.tidy(session);
            return Err(before::refused(self.watch.interrupts() > 0, unready));
        }
        let platform = steps::platform(fleet).map_or("the platform", |p| p.name.as_str());
        drill_marker::write(&session.workspace, platform, self.drill.length).map_err(CmdError::with(FAILED))?;
        let began = self.watch.now();
        let complete = self.outage(session, began, &mut seen);
        let ended = self.watch.now();
        let answered = self.back(session)?;
        if !complete {
            self.tidy(session);
            return Err(self.interrupted());
        }
        let clock = Clock { outage: ended - began, answered: answered - ended, ..Clock::default() };
        let observed = self.recover(session, (began, ended), clock, seen);
        self.tidy(session);
        observed
    }

    /// The outage; whether it went as planned, so that there is something to judge.
    fn outage(&mut self, session: &mut Session, began: Duration, seen: &mut Observations) -> bool {
        let fleet = &self.drill.inputs.fleet;
        if !self.act(session, &steps::stop(fleet, &self.files), true) {
            return false;
        }
        seen.failed.extend(self.tried(session, &steps::during(fleet, &self.files)));
        let end = began + self.drill.length;
        let left = model::units::format_hours(end.saturating_sub(self.watch.now()));
        session.shell.status(Severity::Dim, "Waiting", &format!("the outage goes on for {left}"));
        if self.watch.interrupts() > 0 || !self.watch.hold(end) {
            return false;
        }
        match self.observe(session) {
            Ok(answers) => seen.during = answers,
            Err(_) => return false,
        }
        self.watch.interrupts() == 0
    }

    /// Starts the platform as `start` does. When it answers.
    fn back(&mut self, session: &mut Session) -> Result<Duration, CmdError> {
        let fleet = &self.drill.inputs.fleet;
        if self.watch.interrupts() > 1 {
            return Err(left_behind(session, INTERRUPTED));
        }
        let start = power::start(fleet, self.drill.inputs.bootstrap(self.helm));
        let chosen = steps::back(fleet, &start);
        let (outcome, board) = run_steps(session, &mut self.watch, &start, chosen);
        if failed(&outcome) {
            report(session, self.watch.now(), &start, &outcome, &board, &|_| vec![]);
            let code = if outcome.interrupted { INTERRUPTED } else { FAILED };
            return Err(left_behind(session, code));
        }
        drill_marker::remove(session)?;
        Ok(self.watch.now())
    }

    /// The platform answers: what must come after it does, is counted, and judged.
    fn recover(
        &mut self,
        session: &mut Session,
        (began, ended): (Duration, Duration),
        mut clock: Clock,
        mut seen: Observations,
    ) -> Result<Observed, CmdError> {
        let (fleet, files) = (&self.drill.inputs.fleet, &self.files);
        let green = before::until_green(session, fleet, &mut self.watch)?;
        clock.green = green.as_ref().ok().map(|at| *at - ended);
        let since = self.watch.now();
        let after = steps::after(fleet, files, self.drill.length);
        let (outcome, board) = run_steps(session, &mut self.watch, &after, after.ids());
        seen.failed.extend(outcome.failed.iter().map(|f| (f.step.clone(), why(f))));
        seen.times = board.times().iter().map(|(step, took)| (step.clone(), since - ended + *took)).collect();
        clock.window = self.watch.now() - began;
        clock.interval = outage_model::Setting::of(self.drill.state, &self.drill.report.dependencies)
            .map_or(Duration::from_secs(60), |s| s.interval);
        let counted = steps::counted(fleet, &self.files, clock.window);
        seen.counts = query::outputs(session, &mut self.watch, &counted)?.0;
        seen.after = self.observe(session)?;
        if self.watch.interrupts() > 0 {
            return Err(self.interrupted());
        }
        let apps = seen.apps(fleet).into_iter().map(|app| redacted(session, app)).collect();
        Ok(Observed { apps, clock, mesh: green })
    }

    /// Runs a whole plan; whether all of it went well. What did not is told if it ends the drill.
    fn act(&mut self, session: &mut Session, plan: &Plan, loud: bool) -> bool {
        let (outcome, board) = run_steps(session, &mut self.watch, plan, plan.ids());
        if failed(&outcome) && loud {
            report(session, self.watch.now(), plan, &outcome, &board, &|_| vec![]);
        }
        !failed(&outcome)
    }

    /// Runs a whole plan whose failures are findings: steps that failed, and why.
    fn tried(&mut self, session: &mut Session, plan: &Plan) -> Vec<(StepKey, String)> {
        let (outcome, _) = run_steps(session, &mut self.watch, plan, plan.ids());
        outcome.failed.iter().map(|f| (f.step.clone(), why(f))).collect()
    }

    fn observe(&mut self, session: &mut Session) -> Result<Answers, CmdError> {
        let plan = steps::observe(&self.drill.inputs.fleet, &self.files);
        query::outputs(session, &mut self.watch, &plan).map(|(answers, ..)| answers)
    }

    fn tidy(&mut self, session: &mut Session) {
        let plan = steps::tidy(&self.drill.inputs.fleet, &self.files);
        self.act(session, &plan, true);
    }

    fn interrupted(&self) -> CmdError {
        let code = if self.watch.interrupts() > 0 { INTERRUPTED } else { FAILED };
        let problem = Problem::new("drill interrupted; the platform was restored and no verdict was recorded");
        CmdError::new(code, problem)
    }
}

/// Without secrets, as it is judged and kept.
fn redacted(session: &Session, app: App) -> App {
    let hide = |text: &str| session.workspace.redact(text).into_owned();
    let all = |of: ClusterSnapshot| {
        ClusterSnapshot(of.0.into_iter().map(|(what, output)| (what, redact::output(&output, &hide))).collect())
    };
    let failed = app.failed.iter().map(|(step, why)| (step.clone(), hide(why))).collect();
    let (before, during, after, counts) = (all(app.before), all(app.during), all(app.after), all(app.counts));
    App { before, during, after, counts, failed, ..app }
}

fn failed(outcome: &Outcome) -> bool {
    outcome.interrupted || !outcome.failed.is_empty() || !outcome.blocked.is_empty()
}

/// Why a step failed, in one line.
fn why(failure: &plan::engine::Failure) -> String {
    failure.output.reason().map_or_else(|| failure.why.clone(), |said| format!("{}: {said}", failure.why))
}

/// The platform is not back; the mark stays.
fn left_behind(session: &Session, code: u8) -> CmdError {
    let problem = drill_marker::interrupted(session).unwrap_or_else(|| Problem::new("the platform did not come back"));
    CmdError::new(code, problem)
}
