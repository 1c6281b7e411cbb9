//! The machine itself: one method takes an event and gives back what is to be done. All its memory is in one struct.
//! Knows nothing of threads, clocks, files, terminals, or what a tool means.
//!
//! A step's life: *ask* its probe; a yes keeps it. On a no the first matching case of `instead`, or else `act`, says
//! which commands to run, one after another; then the probe is asked until it says yes (*confirm*) or `settle` is
//! over. After a failing command it is asked once: what looked like a failure may have worked. An attempt that comes
//! to nothing is followed by a pause and a new question, so that a half-done state is mended by its own case.
//!
//! The first question of a step may be answered by what another step was told to the same ([`super::heard`]).
//!
//! A job is one running command of any kind. A lane place is held from the first command of an act to the last.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::board::{Board, State};
use super::failure::shown;
use super::heard::Heard;
use super::task::Task;
use super::{Action, Failure, Note, Outcome};
use crate::uses::Uses;
use crate::{Plan, Step, StepKey, Want};
use model::token::{self, Token};
use tool::{Command, Exit, Output};
use tool::{Event, TaskId};

/// What the run may do about a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Chosen: bring it about.
    Act,
    /// Needed by a chosen one: ask, never act.
    Ask,
    /// Neither.
    Leave,
}

/// How far the user's wish to stop has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    No,
    /// Nothing new starts.
    Soft,
    /// What runs is killed.
    Hard,
}

/// What is remembered of a step on its way.
#[derive(Debug, Clone, Default)]
pub(super) struct Run<'a> {
    /// Whether it was asked before.
    pub(super) asked: bool,
    /// Whether it must ask for itself: it did so before, or what others were told did not keep it.
    pub(super) alone: bool,
    /// From 1.
    pub(super) attempt: u32,
    /// The case that chose the commands.
    pub(super) case: Option<&'static str>,
    /// Commands of the attempt that are yet to run.
    pub(super) rest: &'a [Command],
    /// When its first command began.
    pub(super) began: Option<Duration>,
    /// Until when the probe may say no.
    pub(super) settle_until: Duration,
    /// The command that failed in this attempt.
    pub(super) slip: Option<Failure>,
    /// Whether the last act, of this attempt or an earlier one, had a failing command.
    pub(super) slipped: bool,
}

/// Runs a plan. A copy goes on by itself, from where the first stood.
#[derive(Debug, Clone)]
pub struct Engine<'a> {
    pub(super) plan: &'a Plan,
    pub(super) roles: Vec<Role>,
    pub(super) board: Board,
    pub(super) runs: Vec<Run<'a>>,
    tasks: BTreeMap<TaskId, Task<'a>>,
    pub(super) heard: Heard<'a>,
    /// Steps that wait for the end of a question that another one asked.
    pub(super) listening: Vec<(TaskId, usize)>,
    /// Answers that steps are about to be judged by, as soon as their digests are known.
    pub(super) recalls: BTreeMap<TaskId, (usize, Output)>,
    pub(super) last_task: TaskId,
    pub(super) facts: BTreeMap<String, String>,
    pub(super) digests: BTreeMap<String, String>,
    jobs: usize,
    pub(super) now: Duration,
    begun: bool,
    pub(super) stop: Stop,
    pub(super) failures: BTreeMap<usize, Failure>,
    /// Blocked steps, and the one at the root of it.
    pub(super) blocked: BTreeMap<usize, StepKey>,
    pub(super) actions: Vec<Action<'a>>,
}

impl<'a> Engine<'a> {
    /// A run that acts on the chosen steps and asks those that they need. `facts` are those of earlier runs, used where
    /// this run has not learnt better; `jobs` is how many commands may run at once, at least one.
    pub fn new(plan: &'a Plan, chosen: BTreeSet<StepKey>, facts: BTreeMap<String, String>, jobs: usize) -> Self {
        let board = Board::new(plan);
        Engine {
            roles: roles(plan, &chosen, &board),
            runs: plan.steps.iter().map(|_| Run { attempt: 1, ..Run::default() }).collect(),
            board,
            plan,
            tasks: BTreeMap::new(),
            heard: Heard::default(),
            listening: Vec::new(),
            recalls: BTreeMap::new(),
            last_task: 0,
            facts,
            digests: BTreeMap::new(),
            jobs: jobs.max(1),
            now: Duration::ZERO,
            begun: false,
            stop: Stop::No,
            failures: BTreeMap::new(),
            blocked: BTreeMap::new(),
            actions: Vec::new(),
        }
    }

    /// The same run, not begun, with these facts of earlier runs.
    pub fn knowing(&self, facts: BTreeMap<String, String>) -> Self {
        debug_assert!(!self.begun, "BUG: a run that has begun learns by itself");
        Engine { facts, ..self.clone() }
    }

    /// Takes in what happened and says what to do, in this order. The first call begins the run. Events about commands
    /// that are not running, and events after the end, are ignored.
    pub fn step(&mut self, now: Duration, event: Event) -> Vec<Action<'a>> {
        self.now = self.now.max(now);
        if !self.begun {
            self.begun = true;
            self.begin();
        }
        match event {
            _ if self.over() => {}
            Event::Tick => {}
            Event::Line(task, line) => self.line(task, line),
            Event::Ended(task, output) => self.ended(task, output),
            Event::Digest(file, value) => self.digests.extend([(file, value)]),
            Event::Recalled(task) => self.recalled(task),
            Event::Interrupt => self.interrupt(),
        }
        self.expire();
        self.start_what_can();
        std::mem::take(&mut self.actions)
    }

    /// When it wants an [`Event::Tick`], if nothing else happens before.
    pub fn deadline(&self) -> Option<Duration> {
        self.tasks.values().map(|t| t.until).chain(self.board.next_due()).min()
    }

    /// How it ended. `None`: it has not.
    pub fn outcome(&self) -> Option<Outcome> {
        let ids = |state| self.board.all(state).map(|i| self.plan.steps[i].id.clone()).collect();
        self.over().then(|| Outcome {
            done: ids(State::Done),
            kept: ids(State::Kept),
            failed: self.failures.values().cloned().collect(),
            blocked: self.blocked.iter().map(|(i, root)| (self.plan.steps[*i].id.clone(), root.clone())).collect(),
            skipped: ids(State::Skipped),
            stopped: ids(State::Stopped),
            interrupted: self.stop != Stop::No,
        })
    }

    /// All facts known: those of earlier runs and those learnt in this one.
    pub fn facts(&self) -> &BTreeMap<String, String> {
        &self.facts
    }

    fn over(&self) -> bool {
        self.begun && self.board.over()
    }

    pub(super) fn note(&mut self, note: Note) {
        self.actions.push(Action::Note(note));
    }

    pub(super) fn id(&self, i: usize) -> StepKey {
        self.plan.steps[i].id.clone()
    }

    fn begin(&mut self) {
        for i in 0..self.plan.steps.len() {
            if self.roles[i] == Role::Leave {
                self.board.set(i, State::Skipped);
                self.note(Note::Skipped(self.id(i)));
            }
        }
        for i in self.board.all(State::Waiting).collect::<Vec<_>>() {
            // A need that is no step of the plan is never met.
            let needs = &self.plan.steps[i].needs;
            if self.board.needs(i).len() == needs.len() || self.board.state(i).settled() {
                continue;
            }
            if let Some(need) = needs.iter().find(|need| self.plan.step(*need).is_none()).cloned() {
                self.block(i, need.clone());
                self.block_behind(i, &need);
            }
        }
    }

    // ---- what happens ----

    fn line(&mut self, task: TaskId, line: String) {
        if let Some(task) = self.tasks.get(&task).filter(|t| !t.command.hushed()) {
            self.note(Note::Line(self.id(task.step), line));
        }
    }

    fn interrupt(&mut self) {
        match self.stop {
            Stop::No => {
                self.stop = Stop::Soft;
                self.note(Note::Stopping);
                let busy: BTreeSet<usize> = self.tasks.values().map(|t| t.step).collect();
                for i in (0..self.plan.steps.len()).filter(|i| !busy.contains(i)) {
                    if !self.board.state(i).settled() {
                        self.board.set(i, State::Stopped);
                    }
                }
            }
            Stop::Soft => {
                self.stop = Stop::Hard;
                for (id, task) in &mut self.tasks {
                    task.force(self.now);
                    self.actions.push(Action::Kill { task: *id, hard: true });
                }
            }
            Stop::Hard => {}
        }
    }

    /// Asks commands to end whose time is over.
    fn expire(&mut self) {
        let late: Vec<TaskId> = self.tasks.iter().filter(|(_, t)| t.until <= self.now).map(|(id, _)| *id).collect();
        for id in late {
            match self.tasks.get_mut(&id).and_then(|t| t.press(self.now)) {
                Some(hard) => self.actions.push(Action::Kill { task: id, hard }),
                None => self.ended(id, Output::of(Exit::TimedOut)),
            }
        }
    }

    fn ended(&mut self, id: TaskId, output: Output) {
        let Some(task) = self.tasks.remove(&id) else { return };
        let output = task.truth(output);
        self.heard.end(id, task.command, &output);
        match self.board.state(task.step) {
            State::Acting => self.acted(&task, output),
            _ => self.answered(&task, output),
        }
        self.told(id);
    }

    // ---- starting ----

    fn start_what_can(&mut self) {
        self.board.wake(self.now);
        while self.stop == Stop::No && self.tasks.len() < self.jobs {
            match self.board.next() {
                Some(i) if self.runs[i].alone || !self.listens(i) => self.ask(i),
                Some(_) => {}
                None => break,
            }
        }
        let idle = self.tasks.is_empty() && self.recalls.is_empty();
        if self.stop == Stop::No && idle && self.board.next_due().is_none() {
            self.unknot();
        }
    }

    /// Steps that wait in a circle wait for ever. [`crate::check`] finds such plans; a run still has an end.
    fn unknot(&mut self) {
        for i in self.board.all(State::Waiting).collect::<Vec<_>>() {
            self.block(i, self.id(i));
        }
    }

    pub(super) fn checking(&mut self, i: usize) {
        if !std::mem::replace(&mut self.runs[i].asked, true) {
            self.note(Note::Checking(self.id(i)));
        }
    }

    pub(super) fn ask(&mut self, i: usize) {
        self.checking(i);
        self.runs[i].alone = true;
        let confirming = self.board.state(i) == State::Confirming;
        self.board.set(i, if confirming { State::Confirming } else { State::Asking });
        let plan = self.plan;
        let step = &plan.steps[i];
        let mut digests = digests(step);
        // What has no token in it stays as it was told before.
        digests.retain(|file| {
            let fixed = plan.files.get(file).is_some_and(|text| !token::may_hold(text));
            !fixed || !self.digests.contains_key(file)
        });
        self.start(i, &step.done_when.ask, step.limits.ask, digests);
    }

    pub(super) fn run_next(&mut self, i: usize) {
        let Some((command, rest)) = self.runs[i].rest.split_first() else { return self.confirm(i) };
        self.runs[i].rest = rest;
        self.board.set(i, State::Acting);
        self.runs[i].began.get_or_insert(self.now);
        self.note(Note::Running {
            step: self.id(i),
            attempt: self.runs[i].attempt,
            case: self.runs[i].case,
            command: shown(command, &self.facts).to_string(),
            mutates: command.mutates,
        });
        let limit = self.plan.steps[i].limits.act;
        self.start(i, command, limit, vec![]);
    }

    fn start(&mut self, i: usize, command: &'a Command, limit: Duration, digests: Vec<String>) {
        let mut lacking = Uses::of_command(command, &self.plan.files).facts;
        lacking.retain(|fact| !self.facts.contains_key(fact));
        let task = Task::new(i, command, self.now, limit);
        if !lacking.is_empty() {
            let names: Vec<_> = lacking.iter().map(|f| token::fact(f)).collect();
            return self.lacks(&task, &names);
        }
        let ready = self.board.needs(i).iter().all(|need| self.board.state(*need).good());
        debug_assert!(ready, "BUG: a step began before its needs were done");
        debug_assert!(self.roles[i] == Role::Act || !command.mutates, "BUG: a step acted that was not chosen");
        self.last_task += 1;
        if command.mutates {
            self.heard.act();
        } else if self.heard.serves(command) {
            self.heard.begin(self.last_task, i, shown(command, &self.facts), self.now);
        }
        self.actions.push(Action::Start { task: self.last_task, step: self.id(i), command, digests });
        self.tasks.insert(self.last_task, task);
    }
}

/// Files whose digest stands in what the step wants.
pub(super) fn digests(step: &Step) -> Vec<String> {
    let wants = std::iter::once(&step.done_when.want).chain(step.instead.iter().map(|c| &c.when));
    let tokens = wants.flat_map(Want::texts).flat_map(|(text, _)| token::tokens(text));
    let digests: BTreeSet<&str> = tokens
        .filter_map(|token| match token {
            Token::Digest(file) => Some(file),
            _ => None,
        })
        .collect();
    digests.into_iter().map(str::to_owned).collect()
}

/// Chosen steps act, all that they need is asked, the others are left alone.
fn roles(plan: &Plan, chosen: &BTreeSet<StepKey>, board: &Board) -> Vec<Role> {
    let role = |step: &Step| if chosen.contains(&step.id) { Role::Act } else { Role::Leave };
    let mut roles: Vec<Role> = plan.steps.iter().map(role).collect();
    let mut todo: Vec<usize> = (0..roles.len()).filter(|i| roles[*i] == Role::Act).collect();
    while let Some(i) = todo.pop() {
        for need in board.needs(i) {
            if roles[*need] == Role::Leave {
                roles[*need] = Role::Ask;
                todo.push(*need);
            }
        }
    }
    roles
}
