//! Runs a plan: starts what the engine wants in a world, and hands the world's events to the engine.
//!
//! This is the one place where tokens become values. Nothing leaves it for a log, the journal or the screen with a
//! secret in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tool::{Call, Event, TaskId};

use crate::workspace::{Workspace, clock, sha256_of};
use model::problem::Problem;
use plan::engine::{Action, Engine, Failure, Outcome, StepEvent};
use plan::journal::{self, Entry};
use plan::{Plan, StepKey};
use tool::World;
use tool::expect::ending;
use tool::{Command, Exit, Output, Tool, guest_exit};

mod builtin;
mod interpolate;

/// Runs a plan to its end, or to the point where nothing more can be done.
///
/// What could not be recorded (a full disk under a log) is left with [`Workspace::deferred_warnings`].
pub fn drive(
    plan: &Plan,
    engine: Engine<'_>,
    world: &mut dyn World,
    space: &mut Workspace,
    watch: &mut dyn FnMut(Duration, &StepEvent),
) -> Outcome {
    let mut execution = Execution::begin(plan, engine, &digest(plan), space);
    loop {
        if let Some(outcome) = execution.turn(world, space, watch) {
            return outcome;
        }
    }
}

/// What tells a plan from another in the journal: a digest of its steps.
pub fn digest(plan: &Plan) -> String {
    sha256_of(format!("{:?}", plan.steps).as_bytes())[..32].to_owned()
}

/// A run between two turns: a value, so that a simulation can go on from it more than once.
#[derive(Clone)]
pub struct Execution<'a> {
    plan: &'a Plan,
    engine: Engine<'a>,
    event: Event,
    state: ExecutionState,
}

impl<'a> Execution<'a> {
    /// A run that begins, with an entry in the journal that has the [`digest`] of the plan.
    pub fn begin(plan: &'a Plan, engine: Engine<'a>, digest: &str, space: &mut Workspace) -> Self {
        let (command, digest) = (plan.name.to_owned(), digest.to_owned());
        record(space, &Entry::RunStarted { command, plan: digest, at_ms: clock::now_ms() });
        Execution { plan, engine, event: Event::Tick, state: ExecutionState::default() }
    }

    /// A query: nothing of it is written down, and an interrupt ends it at once.
    pub(crate) fn query(plan: &'a Plan, facts: BTreeMap<String, String>, jobs: usize) -> Self {
        let state = ExecutionState { query: true, ..ExecutionState::default() };
        Execution { plan, engine: Engine::query(plan, facts, jobs), event: Event::Tick, state }
    }

    pub(crate) fn engine(&self) -> &Engine<'a> {
        &self.engine
    }

    /// Hands the engine what happened, does what it wants, and waits for what happens next. How it ended, if it did.
    pub fn turn(
        &mut self,
        world: &mut dyn World,
        space: &mut Workspace,
        watch: &mut dyn FnMut(Duration, &StepEvent),
    ) -> Option<Outcome> {
        let state = std::mem::take(&mut self.state);
        let mut driver = Driver { plan: self.plan, world, space, watch, state };
        let event = std::mem::replace(&mut self.event, Event::Tick);
        let actions = self.engine.step(driver.world.now(), event);
        driver.perform(actions, self.engine.facts());
        if let Some(outcome) = self.engine.outcome() {
            return Some(driver.finish(outcome));
        }
        self.event = driver.next(self.engine.deadline(), self.engine.facts());
        self.state = driver.state;
        None
    }
}

struct Driver<'a> {
    plan: &'a Plan,
    world: &'a mut dyn World,
    space: &'a mut Workspace,
    watch: &'a mut dyn FnMut(Duration, &StepEvent),
    state: ExecutionState,
}

/// What is kept between turns beside the engine.
#[derive(Clone, Default)]
struct ExecutionState {
    query: bool,
    runs: BTreeMap<TaskId, Run>,
    /// Events that come before the world's.
    ready: VecDeque<Event>,
    killed: BTreeSet<TaskId>,
    /// Outputs of killed commands that are being ended elsewhere.
    ending: BTreeMap<TaskId, Output>,
    /// The attempt that each step is at.
    attempts: BTreeMap<StepKey, u32>,
    begun: BTreeSet<String>,
}

#[derive(Clone)]
struct Run {
    step: StepKey,
    sensitive: bool,
    /// Whether it printed lines while it ran. Built-in commands and simulated ones print everything at their end.
    streamed: bool,
    /// Whether its exit code comes from a guest, as [`guest_exit`] has it.
    in_guest: bool,
    began: Duration,
    end: Option<Box<Command>>,
}

impl Driver<'_> {
    fn finish(&mut self, mut outcome: Outcome) -> Outcome {
        if self.state.query {
            return outcome;
        }
        let ok = outcome.failed.is_empty() && outcome.blocked.is_empty() && !outcome.interrupted;
        record(self.space, &Entry::RunEnded { ok, interrupted: outcome.interrupted });
        outcome.failed.iter_mut().for_each(|failure| self.redact(failure));
        outcome
    }

    /// Does what the engine wants, in its order. Secrets that are captured together are kept together.
    fn perform(&mut self, actions: Vec<Action<'_>>, facts: &BTreeMap<String, String>) {
        let mut secrets = Vec::new();
        for action in actions {
            self.journal(&action);
            if let Action::Captured { name, value, secret: true } = action {
                secrets.push((name, value));
                continue;
            }
            self.store_secrets(&mut secrets);
            match action {
                Action::Start { task, step, command, digests } => {
                    self.digest(digests, facts);
                    self.start(task, step, command, facts);
                }
                Action::CacheHit { task, step, asked_by, digests } => {
                    self.log(&step, || format!("{} reused the result of {asked_by}", clock::now()));
                    self.digest(digests, facts);
                    self.state.ready.push_back(Event::CacheHit(task));
                }
                Action::Kill { task, hard } if self.state.runs.contains_key(&task) => {
                    self.state.killed.insert(task);
                    self.world.kill(task, hard);
                }
                Action::Kill { .. } | Action::Captured { .. } => {}
                Action::Event(note) => self.note(note),
            }
        }
        self.store_secrets(&mut secrets);
    }

    fn next(&mut self, deadline: Option<Duration>, facts: &BTreeMap<String, String>) -> Event {
        loop {
            if let Some(event) = self.state.ready.pop_front() {
                return event;
            }
            assert!(deadline.is_some() || !self.state.runs.is_empty(), "bug: nothing runs and nothing is due");
            match self.world.wait(deadline) {
                Event::Line(task, line) => {
                    if let Some(line) = self.line(task, &line) {
                        return Event::Line(task, line);
                    }
                    // A tool that prints without a pause leaves no quiet moment in which its time could be over.
                    if deadline.is_some_and(|deadline| deadline <= self.world.now()) {
                        return Event::Tick;
                    }
                }
                Event::Ended(task, output) => {
                    let in_guest = self.state.runs.get(&task).is_some_and(|run| run.in_guest);
                    let output = if in_guest { guest_exit::restore(output) } else { output };
                    let Some(output) = self.end_elsewhere(task, output, facts) else { continue };
                    self.ended(task, &output);
                    return Event::Ended(task, output);
                }
                Event::Interrupt if self.state.query => {
                    // The second one kills what runs.
                    self.state.ready.push_back(Event::Interrupt);
                    return Event::Interrupt;
                }
                event => return event,
            }
        }
    }

    /// Once a command was killed here, starts what ends it elsewhere, in its name. The output to go on with, if it is over.
    fn end_elsewhere(&mut self, task: TaskId, output: Output, facts: &BTreeMap<String, String>) -> Option<Output> {
        if let Some(killed) = self.state.ending.remove(&task) {
            return Some(killed);
        }
        let killed = self.state.killed.remove(&task);
        let end = self.state.runs.get_mut(&task).and_then(|run| run.end.take()).filter(|_| killed);
        let Some(end) = end else { return Some(output) };
        let Ok(call) = interpolate::call(task, &end, &self.plan.files, facts, self.space) else { return Some(output) };
        self.log(&self.state.runs[&task].step.clone(), || format!("{} $ {end}", clock::now()));
        self.state.ending.insert(task, output);
        self.world.start(call);
        None
    }

    /// Hands the engine what it needs to judge the coming output. A file that cannot be completed has no digest yet.
    fn digest(&mut self, files: Vec<String>, facts: &BTreeMap<String, String>) {
        for file in files {
            if let Some(digest) = interpolate::digest(&file, &self.plan.files, facts, self.space) {
                self.state.ready.push_back(Event::Digest(file, digest));
            }
        }
    }

    fn start(&mut self, task: TaskId, step: StepKey, command: &Command, facts: &BTreeMap<String, String>) {
        self.log(&step, || format!("{} $ {command}", clock::now()));
        let began = self.world.now();
        let call = interpolate::call(task, command, &self.plan.files, facts, self.space);
        let acts = self.plan.step(&step).filter(|_| command.mutates).map(|step| step.limits.act);
        let call = call.map(|call| Call { acts, ..call });
        let in_guest = guest_exit::wrap(command.tool, &command.args).is_some();
        let (sensitive, end) = (command.sensitive(), command.end.clone());
        let run = Run { step: step.clone(), sensitive, streamed: false, in_guest, began, end };
        self.state.runs.insert(task, run);
        let output = match call {
            Err(reason) => Some(Output::of(Exit::NotStarted(reason))),
            Ok(call) if call.tool == Tool::Builtin => builtin::run(&call, self.space).or_else(|| {
                self.world.start(call);
                None
            }),
            Ok(call) => {
                self.world.start(call);
                None
            }
        };
        if let Some(output) = output {
            self.ended(task, &output);
            self.state.ready.push_back(Event::Ended(task, output));
        }
    }

    /// A line as it may be shown; nothing if it must not be.
    fn line(&mut self, task: TaskId, line: &str) -> Option<String> {
        let run = self.state.runs.get_mut(&task).filter(|run| !run.sensitive)?;
        run.streamed = true;
        let (step, line) = (run.step.clone(), self.space.redact(line).into_owned());
        self.log(&step, || line.clone());
        Some(line)
    }

    fn ended(&mut self, task: TaskId, output: &Output) {
        let Some(run) = self.state.runs.remove(&task) else { return };
        let left: &[&String] = match run {
            Run { sensitive: true, .. } if output.ok() => &[],
            Run { sensitive: true, .. } => &[&output.stderr],
            Run { streamed: true, .. } => &[],
            _ => &[&output.stdout, &output.stderr],
        };
        for line in left.iter().flat_map(|text| text.lines()) {
            self.log(&run.step, || line.to_owned());
        }
        let took = self.world.now().saturating_sub(run.began).as_secs_f64();
        self.log(&run.step, || format!("{} {} after {took:.1}s", clock::now(), ending(&output.exit)));
    }

    fn store_secrets(&mut self, secrets: &mut Vec<(String, String)>) {
        let batch: Vec<(&str, &str)> = secrets.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // The step that needs them will find them missing; this says why.
        if !batch.is_empty()
            && !self.state.query
            && let Err(problem) = self.space.store_secrets(&batch)
        {
            self.space.warn_deferred(problem);
        }
        secrets.clear();
    }

    fn note(&mut self, mut note: StepEvent) {
        match &mut note {
            StepEvent::Running { step, attempt, .. } => drop(self.state.attempts.insert(step.clone(), *attempt)),
            StepEvent::Retrying { failure, .. } | StepEvent::Failed(failure) => self.redact(failure),
            StepEvent::Diagnosed { why, .. } => *why = self.space.redact(why).into_owned(),
            _ => {}
        }
        (self.watch)(self.world.now(), &note);
    }

    /// Writes into the journal what belongs there; that a step began, once.
    fn journal(&mut self, action: &Action<'_>) {
        match action.entry().filter(|_| !self.state.query) {
            Some(Entry::StepStarted { step }) if !self.state.begun.insert(step.clone()) => {}
            Some(entry) => record(self.space, &entry),
            None => {}
        }
    }

    fn redact(&self, failure: &mut Failure) {
        if failure.command.sensitive() {
            failure.output.stdout.clear();
        }
        for text in [&mut failure.output.stdout, &mut failure.output.stderr, &mut failure.why] {
            *text = self.space.redact(text).into_owned();
        }
    }

    fn log(&mut self, step: &StepKey, line: impl FnOnce() -> String) {
        if self.state.query || !self.space.writes_logs() {
            return;
        }
        let attempt = self.state.attempts.get(step).copied().unwrap_or(1);
        self.space.log(step.as_str(), attempt, &line());
    }
}

fn record(space: &mut Workspace, entry: &Entry) {
    if let Err(problem) = space.append_journal(&journal::line(entry)) {
        space.warn_deferred(problem);
    }
}

/// A problem as a tool would print it: one line.
fn one_line(problem: Problem) -> String {
    match problem.why {
        Some(why) => format!("{}: {why}\n", problem.what),
        None => format!("{}\n", problem.what),
    }
}

#[cfg(test)]
mod tests;
