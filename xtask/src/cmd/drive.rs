//! The loop that runs a plan: what the engine wants is done by the world, and what the world says goes to the engine.
//! Knows nothing of which plan it is, which world, or who watches.
//!
//! This is the one place where tokens become values. Nothing leaves it for a log, the journal or the screen with a
//! secret in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tool::{Event, TaskId};

use exec::workspace::{Workspace, clock, sha256_of};
use model::problem::Problem;
use plan::engine::{Action, Engine, Failure, Note, Outcome};
use plan::journal::{self, Entry};
use plan::{Plan, StepKey};
use tool::World;
use tool::expect::ending;
use tool::{Command, Exit, Output, Tool};

pub(super) mod complete;
mod own;
pub mod survey;

/// Runs a plan to its end, or to the point where nothing more can be done.
///
/// What could not be recorded (a full disk under a log) is left with [`Workspace::complaints`].
pub fn drive(
    plan: &Plan,
    engine: Engine<'_>,
    world: &mut dyn World,
    space: &mut Workspace,
    watch: &mut dyn FnMut(Duration, &Note),
) -> Outcome {
    let mut course = Course::begin(plan, engine, &digest(plan), space);
    loop {
        if let Some(outcome) = course.turn(world, space, watch) {
            return outcome;
        }
    }
}

/// What tells a plan from another in the journal: a digest of its steps.
pub fn digest(plan: &Plan) -> String {
    sha256_of(format!("{:?}", plan.steps).as_bytes())[..32].to_owned()
}

/// A run between two turns: a value, so that a rehearsal can go on from it more than once.
#[derive(Clone)]
pub struct Course<'a> {
    plan: &'a Plan,
    engine: Engine<'a>,
    /// What the engine hears next.
    event: Event,
    books: Books,
}

impl<'a> Course<'a> {
    /// A run that begins. The journal says so, with the [`digest`] of the plan.
    pub fn begin(plan: &'a Plan, engine: Engine<'a>, digest: &str, space: &mut Workspace) -> Self {
        begins(plan, digest, space);
        Course { plan, engine, event: Event::Tick, books: Books::default() }
    }

    /// Tells the engine what happened, does what it wants, and waits for what happens next. How it ended, if it did.
    pub fn turn(
        &mut self,
        world: &mut dyn World,
        space: &mut Workspace,
        watch: &mut dyn FnMut(Duration, &Note),
    ) -> Option<Outcome> {
        let books = std::mem::take(&mut self.books);
        let mut driver = Driver { plan: self.plan, world, space, watch, books };
        let event = std::mem::replace(&mut self.event, Event::Tick);
        let actions = self.engine.step(driver.world.now(), event);
        driver.perform(actions, self.engine.facts());
        if let Some(outcome) = self.engine.outcome() {
            return Some(driver.finish(outcome));
        }
        self.event = driver.next(self.engine.deadline());
        self.books = driver.books;
        None
    }
}

/// One turn of the loop: what it speaks to.
struct Driver<'a> {
    plan: &'a Plan,
    world: &'a mut dyn World,
    space: &'a mut Workspace,
    watch: &'a mut dyn FnMut(Duration, &Note),
    books: Books,
}

/// What the loop knows beside the engine.
#[derive(Clone, Default)]
struct Books {
    /// Commands that run in the world.
    runs: BTreeMap<TaskId, Run>,
    /// Ends of what was done at once.
    ready: VecDeque<Event>,
    /// The attempt that each step is at.
    attempts: BTreeMap<StepKey, u32>,
    /// Steps whose beginning is in the journal.
    begun: BTreeSet<String>,
}

#[derive(Clone)]
struct Run {
    step: StepKey,
    hushed: bool,
    /// Whether it was heard while it ran. Own acts, and all in the embedded world, say everything at their end.
    heard: bool,
    began: Duration,
}

impl Driver<'_> {
    fn finish(&mut self, mut outcome: Outcome) -> Outcome {
        let ok = outcome.failed.is_empty() && outcome.blocked.is_empty() && !outcome.interrupted;
        self.record(&Entry::RunEnded { ok, interrupted: outcome.interrupted });
        outcome.failed.iter_mut().for_each(|failure| self.scrub(failure));
        outcome
    }

    /// Does what the engine wants, in its order. Secrets that come together are kept together.
    fn perform(&mut self, actions: Vec<Action<'_>>, facts: &BTreeMap<String, String>) {
        let mut secrets = Vec::new();
        for action in actions {
            self.remember(&action);
            if let Action::Learnt { name, value, secret: true } = action {
                secrets.push((name, value));
                continue;
            }
            self.keep(&mut secrets);
            match action {
                Action::Start { task, step, command, digests } => {
                    self.digest(digests, facts);
                    self.start(task, step, command, facts);
                }
                Action::Recall { task, step, asked_by, digests } => {
                    self.log(&step, || format!("{} what was said to {asked_by} a moment ago will do", clock::now()));
                    self.digest(digests, facts);
                    self.books.ready.push_back(Event::Recalled(task));
                }
                Action::Kill { task, hard } if self.books.runs.contains_key(&task) => self.world.kill(task, hard),
                Action::Kill { .. } | Action::Learnt { .. } => {}
                Action::Note(note) => self.note(note),
            }
        }
        self.keep(&mut secrets);
    }

    /// The next event for the engine: what was done here first, else what the world says.
    fn next(&mut self, deadline: Option<Duration>) -> Event {
        loop {
            if let Some(event) = self.books.ready.pop_front() {
                return event;
            }
            assert!(deadline.is_some() || !self.books.runs.is_empty(), "bug: nothing runs and nothing is due");
            match self.world.wait(deadline) {
                Event::Line(task, line) => {
                    if let Some(line) = self.line(task, &line) {
                        return Event::Line(task, line);
                    }
                    // A tool that never stops talking leaves no quiet moment in which its time could be over.
                    if deadline.is_some_and(|deadline| deadline <= self.world.now()) {
                        return Event::Tick;
                    }
                }
                Event::Ended(task, output) => {
                    self.ended(task, &output);
                    return Event::Ended(task, output);
                }
                event => return event,
            }
        }
    }

    /// Tells the engine what it needs to judge the coming answer. A file that cannot be completed has no digest yet,
    /// and the engine says so.
    fn digest(&mut self, files: Vec<String>, facts: &BTreeMap<String, String>) {
        for file in files {
            if let Some(digest) = complete::digest(&file, &self.plan.files, facts, self.space) {
                self.books.ready.push_back(Event::Digest(file, digest));
            }
        }
    }

    fn start(&mut self, task: TaskId, step: StepKey, command: &Command, facts: &BTreeMap<String, String>) {
        self.log(&step, || format!("{} $ {command}", clock::now()));
        let began = self.world.now();
        self.books.runs.insert(task, Run { step, hushed: command.hushed(), heard: false, began });
        let call = complete::call(task, command, &self.plan.files, facts, self.space);
        let output = match call {
            Err(reason) => Some(Output::of(Exit::NotStarted(reason))),
            Ok(call) if call.tool == Tool::Own => own::answer(&call, self.space).or_else(|| {
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
            self.books.ready.push_back(Event::Ended(task, output));
        }
    }

    /// A line as it may be shown; nothing if it must not be.
    fn line(&mut self, task: TaskId, line: &str) -> Option<String> {
        let run = self.books.runs.get_mut(&task).filter(|run| !run.hushed)?;
        run.heard = true;
        let (step, line) = (run.step.clone(), self.space.scrub(line).into_owned());
        self.log(&step, || line.clone());
        Some(line)
    }

    fn ended(&mut self, task: TaskId, output: &Output) {
        let Some(run) = self.books.runs.remove(&task) else { return };
        let left: &[&String] = match run {
            Run { hushed: true, .. } if output.ok() => &[],
            Run { hushed: true, .. } => &[&output.stderr],
            Run { heard: true, .. } => &[],
            _ => &[&output.stdout, &output.stderr],
        };
        for line in left.iter().flat_map(|text| text.lines()) {
            self.log(&run.step, || line.to_owned());
        }
        let took = self.world.now().saturating_sub(run.began).as_secs_f64();
        self.log(&run.step, || format!("{} {} after {took:.1}s", clock::now(), ending(&output.exit)));
    }

    fn keep(&mut self, secrets: &mut Vec<(String, String)>) {
        let batch: Vec<(&str, &str)> = secrets.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // The step that needs them will ask whether they are there; this says why they are not.
        if !batch.is_empty()
            && let Err(problem) = self.space.keep_secrets(&batch)
        {
            self.space.complain(problem);
        }
        secrets.clear();
    }

    fn note(&mut self, mut note: Note) {
        match &mut note {
            Note::Running { step, attempt, .. } => drop(self.books.attempts.insert(step.clone(), *attempt)),
            Note::Retrying { failure, .. } | Note::Failed(failure) => self.scrub(failure),
            Note::Found { why, .. } => *why = self.space.scrub(why).into_owned(),
            _ => {}
        }
        (self.watch)(self.world.now(), &note);
    }

    /// Writes into the journal what belongs there; that a step began, once.
    fn remember(&mut self, action: &Action<'_>) {
        match action.entry() {
            Some(Entry::StepStarted { step }) if !self.books.begun.insert(step.clone()) => {}
            Some(entry) => self.record(&entry),
            None => {}
        }
    }

    fn scrub(&self, failure: &mut Failure) {
        if failure.command.hushed() {
            failure.output.stdout.clear();
        }
        for text in [&mut failure.output.stdout, &mut failure.output.stderr, &mut failure.why] {
            *text = self.space.scrub(text).into_owned();
        }
    }

    fn record(&mut self, entry: &Entry) {
        record(self.space, entry);
    }

    fn log(&mut self, step: &StepKey, line: impl FnOnce() -> String) {
        if !self.space.keeps_logs() {
            return;
        }
        let attempt = self.books.attempts.get(step).copied().unwrap_or(1);
        self.space.log(step.as_str(), attempt, &line());
    }
}

fn begins(plan: &Plan, digest: &str, space: &mut Workspace) {
    let (command, plan) = (plan.name.to_owned(), digest.to_owned());
    record(space, &Entry::RunStarted { command, plan, at_ms: clock::now_ms() });
}

fn record(space: &mut Workspace, entry: &Entry) {
    if let Err(problem) = space.journal_add(&journal::line(entry)) {
        space.complain(problem);
    }
}

/// A problem as a tool would print it: one line.
fn said(problem: Problem) -> String {
    match problem.why {
        Some(why) => format!("{}: {why}\n", problem.what),
        None => format!("{}\n", problem.what),
    }
}

#[cfg(test)]
mod tests;
