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

/// A step is observed from this long after its begin, and then this often.
const SLOW: Duration = Duration::from_secs(60);
const OBSERVED_EVERY: Duration = Duration::from_secs(15);
/// Tasks of observers are counted from here; the engine's from 1.
const OBSERVERS: TaskId = 1 << 40;

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
    execution.state.observes = true;
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
            driver.observed_none();
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
    /// Whether slow steps are observed: by questions of the driver, beside those of the engine.
    observes: bool,
    observed: BTreeMap<StepKey, Observation>,
    /// Why steps failed, with the cause where it is known.
    explained: BTreeMap<StepKey, String>,
    last_observer: TaskId,
}

/// A step that has not ended.
#[derive(Clone)]
struct Observation {
    /// When it is asked next.
    next: Duration,
    task: Option<TaskId>,
    cause: Option<String>,
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
        for failure in &mut outcome.failed {
            if let Some(why) = self.state.explained.get(&failure.step) {
                failure.why.clone_from(why);
            }
            self.redact(failure);
        }
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
            let next = self.observe();
            match self.world.wait(deadline.into_iter().chain(next).min()) {
                Event::Ended(task, output) if task > OBSERVERS => self.observed(task, &output),
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

    /// Asks about the slow steps that it is time for. When it is time for the next.
    fn observe(&mut self) -> Option<Duration> {
        let now = self.world.now();
        for (step, observation) in self.state.observed.iter_mut().filter(|(_, o)| o.next <= now) {
            observation.next = now + OBSERVED_EVERY;
            let Some(observer) = self.plan.step(step).and_then(|step| step.observer.as_ref()) else { continue };
            // One that has not answered by now is asked no more: the step goes on without it.
            if observation.task.is_none() {
                self.state.last_observer += 1;
                let task = OBSERVERS + self.state.last_observer;
                observation.task = Some(task);
                let Command { tool, args, .. } = observer.ask.clone();
                self.world.start(Call { task, tool, args, stdin: vec![], env: vec![], acts: None });
            }
        }
        self.state.observed.values().map(|observation| observation.next).min()
    }

    fn observed(&mut self, task: TaskId, output: &Output) {
        let mut all = self.state.observed.iter_mut();
        let Some((step, observation)) = all.find(|(_, observation)| observation.task == Some(task)) else { return };
        observation.task = None;
        let observer = self.plan.step(step).and_then(|step| step.observer.as_ref());
        let Some(cause) = observer.and_then(|observer| observer.read.cause(output)) else { return };
        let cause = self.space.redact(&cause).into_owned();
        if observation.cause.replace(cause.clone()).as_ref() != Some(&cause) {
            let step = step.clone();
            self.log(&step, || format!("{} cause: {cause}", clock::now()));
            (self.watch)(self.world.now(), &StepEvent::Cause(step, cause));
        }
    }

    /// Ends the observers of an ended run.
    fn observed_none(&mut self) {
        let tasks = std::mem::take(&mut self.state.observed).into_values().filter_map(|observation| observation.task);
        tasks.for_each(|task| self.world.kill(task, true));
    }

    /// Begins and ends the observation of a step, and gives its failure the cause.
    fn follow(&mut self, note: &mut StepEvent) {
        match note {
            StepEvent::Checking(step) if self.plan.step(step).is_some_and(|step| step.observer.is_some()) => {
                let next = self.world.now() + SLOW;
                self.state.observed.insert(step.clone(), Observation { next, task: None, cause: None });
            }
            StepEvent::Unchanged(step) | StepEvent::Done { step, .. } | StepEvent::Blocked(step, _) => {
                self.end_observation(&step.clone());
            }
            StepEvent::Retrying { failure, .. } | StepEvent::Failed(failure) => {
                let known = self.state.observed.get(&failure.step).and_then(|observation| observation.cause.as_ref());
                if let Some(cause) = known {
                    failure.why = plan::cause::explained(&failure.why, cause);
                }
                if let StepEvent::Failed(failure) = note {
                    self.state.explained.insert(failure.step.clone(), failure.why.clone());
                    self.end_observation(&failure.step.clone());
                }
            }
            _ => {}
        }
    }

    fn end_observation(&mut self, step: &StepKey) {
        if let Some(task) = self.state.observed.remove(step).and_then(|observation| observation.task) {
            self.world.kill(task, true);
        }
    }

    fn note(&mut self, mut note: StepEvent) {
        if self.state.observes {
            self.follow(&mut note);
        }
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
