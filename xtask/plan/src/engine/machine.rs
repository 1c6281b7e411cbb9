//! The engine: one method takes an event and gives back what is to be done. All its state is in one struct.
//!
//! For each step the probe is *asked*; if it matches, the step is unchanged. If it differs, the first matching remedy,
//! or else `act`, gives the commands to run, one after another; then the probe is asked until it matches (*confirm*)
//! or `settle` is over. After a failing command it is asked once: what looked like a failure may have worked. A failed
//! attempt is followed by a pause and a new probe, so that a half-done state gets its own remedy.
//!
//! The first probe of a step may be served by another step's ([`super::probe_cache`]).
//!
//! A job is one running command of any kind. A pool place is held from the first command of an act to the last.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::board::{Board, State};
use super::failure::shown;
use super::probe_cache::ProbeCache;
use super::task::Task;
use super::{Action, Failure, Outcome, StepEvent};
use crate::bootstrap::host::CORES;
use crate::survey::Answer;
use crate::uses::Uses;
use crate::{Expect, Plan, Pool, Step, StepKey};
use model::token::{self, Token};
use tool::{Command, Exit, Output};
use tool::{Event, TaskId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Chosen.
    Apply,
    /// Needed by a chosen one, or of a query.
    CheckOnly,
    /// Neither.
    Skip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    No,
    /// Nothing new starts.
    Soft,
    /// What runs is killed.
    Hard,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Run<'a> {
    pub(super) asked: bool,
    /// Whether it must ask for itself: it did so before, or the cache did not show that it matches.
    pub(super) alone: bool,
    /// From 1.
    pub(super) attempt: u32,
    pub(super) remedy: Option<&'static str>,
    /// Commands of the attempt that are yet to run.
    pub(super) rest: &'a [Command],
    pub(super) began: Option<Duration>,
    /// Until when the probe may differ.
    pub(super) settle_until: Duration,
    pub(super) failed: Option<Failure>,
    /// Until when its question may stay without an answer, once it did.
    pub(super) unanswered: Option<Duration>,
    /// The state that its question showed, and since when, while it is given time.
    pub(super) seen: Option<(&'static str, Duration)>,
    /// Since when the probe matches.
    pub(super) matches: Option<Duration>,
    /// The failed step because of which its command was ended.
    pub(super) ended_by: Option<usize>,
    /// Whether the last act, of this attempt or an earlier one, had a failing command.
    pub(super) had_failure: bool,
}

/// Runs a plan. A copy goes on by itself.
#[derive(Debug, Clone)]
pub struct Engine<'a> {
    pub(super) plan: &'a Plan,
    pub(super) modes: Vec<Mode>,
    pub(super) board: Board,
    pub(super) runs: Vec<Run<'a>>,
    pub(super) tasks: BTreeMap<TaskId, Task<'a>>,
    pub(super) cache: ProbeCache<'a>,
    /// Steps that wait for the end of another step's probe.
    pub(super) waiting: Vec<(TaskId, usize)>,
    /// Outputs from the cache, and when they came, that steps are judged by as soon as their digests are known.
    pub(super) hits: BTreeMap<TaskId, (usize, Output, Duration)>,
    pub(super) answers: Vec<Option<Answer>>,
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
    /// A run that applies the chosen steps and checks those that they need. `facts` are those of earlier runs, replaced
    /// by what this run captures; `jobs` is how many commands may run at once, at least one.
    pub fn new(plan: &'a Plan, chosen: BTreeSet<StepKey>, facts: BTreeMap<String, String>, jobs: usize) -> Self {
        let mut board = Board::new(plan);
        limit_launches(&mut board, &facts);
        Engine {
            modes: modes(plan, &chosen, &board),
            runs: plan.steps.iter().map(|_| Run { attempt: 1, ..Run::default() }).collect(),
            board,
            plan,
            tasks: BTreeMap::new(),
            cache: ProbeCache::default(),
            waiting: Vec::new(),
            hits: BTreeMap::new(),
            answers: Vec::new(),
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

    /// Turns a run that has not begun into a query.
    pub(super) fn check_only(&mut self) {
        self.modes.fill(Mode::CheckOnly);
        self.answers = vec![None; self.plan.steps.len()];
        self.cache.query = true;
    }

    /// The same run, not begun, with these facts of earlier runs.
    pub fn knowing(&self, facts: BTreeMap<String, String>) -> Self {
        debug_assert!(!self.begun, "BUG: a run that has begun learns by itself");
        let mut engine = Engine { facts, ..self.clone() };
        limit_launches(&mut engine.board, &engine.facts);
        engine
    }

    /// Takes in what happened and returns what to do, in this order. The first call begins the run. Events about
    /// commands that are not running, and events after the end, are ignored.
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
            Event::CacheHit(task) => self.use_hit(task),
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
            unchanged: ids(State::Unchanged),
            failed: self.failures.values().cloned().collect(),
            blocked: self.blocked.iter().map(|(i, root)| (self.plan.steps[*i].id.clone(), root.clone())).collect(),
            skipped: ids(State::Skipped),
            stopped: ids(State::Stopped),
            interrupted: self.stop != Stop::No,
        })
    }

    /// Facts of earlier runs and of this one.
    pub fn facts(&self) -> &BTreeMap<String, String> {
        &self.facts
    }

    fn over(&self) -> bool {
        self.begun && self.board.over()
    }

    pub(super) fn emit(&mut self, event: StepEvent) {
        self.actions.push(Action::Event(event));
    }

    pub(super) fn id(&self, i: usize) -> StepKey {
        self.plan.steps[i].id.clone()
    }

    fn begin(&mut self) {
        for i in 0..self.plan.steps.len() {
            if self.modes[i] == Mode::Skip {
                self.board.set(i, State::Skipped);
                self.emit(StepEvent::Skipped(self.id(i)));
            }
        }
        if self.cache.query {
            return;
        }
        for i in self.board.all(State::Waiting).collect::<Vec<_>>() {
            // A need that is no step of the plan is never met; a query may be a part of a plan.
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
        if let Some(task) = self.tasks.get(&task).filter(|t| !t.command.sensitive()) {
            self.emit(StepEvent::Line(self.id(task.step), line));
        }
    }

    fn interrupt(&mut self) {
        match self.stop {
            Stop::No => {
                self.stop = Stop::Soft;
                self.emit(StepEvent::Stopping);
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

    /// Asks commands to end whose time is over. While an earlier one of ours keeps their tool from answering, it does not
    /// pass.
    fn expire(&mut self) {
        let late: Vec<TaskId> = self.tasks.iter().filter(|(_, t)| t.until <= self.now).map(|(id, _)| *id).collect();
        for id in late {
            let blocked = self.tasks.range(..id).any(|(_, earlier)| machines::blocks(earlier.command));
            if let Some(task) = self.tasks.get_mut(&id).filter(|task| blocked && task.waits_for_driver()) {
                task.until = self.now.saturating_add(task.limit);
                continue;
            }
            match self.tasks.get_mut(&id).and_then(|t| t.escalate(self.now)) {
                Some(hard) => self.actions.push(Action::Kill { task: id, hard }),
                None => self.ended(id, Output::of(Exit::TimedOut)),
            }
        }
    }

    fn ended(&mut self, id: TaskId, output: Output) {
        let Some(task) = self.tasks.remove(&id) else { return };
        let output = task.true_output(output);
        self.cache.end(id, task.command, &output, self.now);
        match self.board.state(task.step) {
            _ if let Some(root) = self.runs[task.step].ended_by => {
                let root = self.id(root);
                self.block(task.step, root.clone());
                self.block_behind(task.step, &root);
            }
            State::Acting => self.acted(&task, output),
            _ if self.cache.query && self.stop == Stop::No => self.answer(task.step, task.command, output, self.now),
            _ => self.answered(&task, output),
        }
        self.wake_waiting(id);
    }

    // ---- starting ----

    fn start_what_can(&mut self) {
        self.board.wake(self.now);
        while self.stop == Stop::No && self.tasks.len() < self.jobs {
            match self.board.next() {
                Some(i) if self.runs[i].alone || !self.shares_probe(i) => self.ask(i),
                Some(_) => {}
                None => break,
            }
        }
        let idle = self.tasks.is_empty() && self.hits.is_empty();
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
            self.emit(StepEvent::Checking(self.id(i)));
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
        // The digest of a file without tokens does not change.
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
        self.emit(StepEvent::Running {
            step: self.id(i),
            attempt: self.runs[i].attempt,
            remedy: self.runs[i].remedy,
            command: shown(command, &self.facts).to_string(),
            mutates: command.mutates,
        });
        let limit = self.plan.steps[i].limits.act;
        self.start(i, command, limit, vec![]);
    }

    pub(super) fn start(&mut self, i: usize, command: &'a Command, limit: Duration, digests: Vec<String>) {
        let facts = Uses::of_command(command, &self.plan.files).facts;
        let missing: Vec<_> = facts.iter().filter(|f| !self.facts.contains_key(*f)).map(|f| token::fact(f)).collect();
        let task = Task::new(i, command, self.now, limit);
        if !missing.is_empty() {
            return self.miss_values(&task, &missing);
        }
        let ready = self.board.needs(i).iter().all(|need| self.board.state(*need).good());
        debug_assert!(ready, "BUG: a step began before its needs were done");
        debug_assert!(self.modes[i] == Mode::Apply || !command.mutates, "BUG: a step acted that was not chosen");
        self.last_task += 1;
        if command.mutates {
            self.cache.act();
        } else if self.cache.can_share(command) {
            self.cache.begin(self.last_task, i, shown(command, &self.facts), self.now);
        }
        self.actions.push(Action::Start { task: self.last_task, step: self.id(i), command, digests });
        self.tasks.insert(self.last_task, task);
    }
}

/// Files whose digest stands in what the step wants.
pub(super) fn digests(step: &Step) -> Vec<String> {
    let wants = std::iter::once(&step.done_when.want).chain(step.remedies.iter().map(|c| &c.when));
    let tokens = wants.flat_map(Expect::texts).flat_map(|(text, _)| token::tokens(text));
    let digests: BTreeSet<&str> = tokens
        .filter_map(|token| match token {
            Token::Digest(file) => Some(file),
            _ => None,
        })
        .collect();
    digests.into_iter().map(str::to_owned).collect()
}

/// The driver's daemon waits for boots in as many threads as this machine has cores, and one must be left for all else.
pub(super) fn limit_launches(board: &mut Board, facts: &BTreeMap<String, String>) {
    if let Some(cores) = facts.get(CORES).and_then(|cores| cores.parse::<usize>().ok()) {
        board.limit(Pool::Launch, cores.saturating_sub(1));
    }
}

fn modes(plan: &Plan, chosen: &BTreeSet<StepKey>, board: &Board) -> Vec<Mode> {
    let mode = |step: &Step| if chosen.contains(&step.id) { Mode::Apply } else { Mode::Skip };
    let mut modes: Vec<Mode> = plan.steps.iter().map(mode).collect();
    let mut todo: Vec<usize> = (0..modes.len()).filter(|i| modes[*i] == Mode::Apply).collect();
    while let Some(i) = todo.pop() {
        for need in board.needs(i) {
            if modes[*need] == Mode::Skip {
                modes[*need] = Mode::CheckOnly;
                todo.push(*need);
            }
        }
    }
    modes
}
