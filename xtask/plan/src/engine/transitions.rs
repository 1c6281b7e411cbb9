//! What the end of a command means for its step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::board::State;
use super::failure::{end, redacted, shown};
use super::judge::{Captured, NoAnswer, ProbeResult, capture, explain, judge};
use super::machine::{Engine, Mode, Stop, limit_launches};
use super::task::{Stage, Task};
use super::{Action, Failure, StepEvent};
use crate::{Remedy, StepKey};
use model::token::Token;
use tool::extract::pattern;
use tool::{Capture, Exit, Output, TaskId};

/// Shortest time between two probes of a confirming step.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// A pause doubles after each attempt, up to this many times its length.
const LONGEST_PAUSE: u32 = 8;

impl<'a> Engine<'a> {
    pub(super) fn answered(&mut self, task: &Task<'a>, output: Output) {
        let i = task.step;
        let confirming = self.board.state(i) == State::Confirming;
        let step = &self.plan.steps[i];
        let fallback = step.done_when.fallback.as_ref().filter(|fallback| **fallback == *task.command);
        match judge(step, task.command, &output, |t| value(&self.facts, &self.digests, t)) {
            ProbeResult::Matches(_) | ProbeResult::Differs(None) if fallback.is_some() && self.stop == Stop::No => {
                self.ask_again(task, output, "it answers to another question alone");
            }
            ProbeResult::Matches(captured) if captured.missing.is_empty() => {
                self.store(captured.values);
                self.matched(i);
            }
            _ if self.stop != Stop::No => self.board.set(i, State::Stopped),
            ProbeResult::NoAnswer(NoAnswer::MissingValues(names)) => self.miss_values(task, &names),
            ProbeResult::NoAnswer(NoAnswer::NoProgram) => self.fail(i, self.failure(task, output, end)),
            result if confirming => self.not_yet(task, output, &result),
            ProbeResult::Matches(_) => self.wait(i),
            ProbeResult::NoAnswer(NoAnswer::Unanswered(why)) => match &step.done_when.fallback {
                Some(other) if fallback.is_none() => self.start(i, other, step.limits.ask, vec![]),
                _ => self.ask_again(task, output, &why),
            },
            ProbeResult::Differs(remedy) => {
                self.runs[i].unanswered = None;
                self.act_on(task, output, remedy);
            }
        }
    }

    /// Whether the output of another step's probe shows that a step matches.
    pub(super) fn matches_by(&mut self, i: usize, output: &Output) -> bool {
        let step = &self.plan.steps[i];
        match judge(step, &step.done_when.ask, output, |t| value(&self.facts, &self.digests, t)) {
            ProbeResult::Matches(captured) if captured.missing.is_empty() => {
                self.store(captured.values);
                self.matched(i);
                true
            }
            _ => false,
        }
    }

    pub(super) fn acted(&mut self, task: &Task<'a>, output: Output) {
        let i = task.step;
        let captured = if output.ok() { capture(task.command, &output) } else { Captured::default() };
        self.store(captured.values);
        let under_way = task
            .command
            .under_way
            .is_some_and(|text| pattern(text).is_ok_and(|p| p.is_match(output.stderr.as_bytes())));
        let accepted = output.ok() || (task.command.ignore_exit || under_way) && matches!(output.exit, Exit::Code(_));
        let is_final = task.command.final_exit.is_some_and(|code| output.exit == Exit::Code(code));
        let hopeless = is_final || output.exit == Exit::Missing || task.stage == Stage::Lost;
        if self.stop != Stop::No {
            self.board.set(i, State::Stopped);
        } else if hopeless {
            self.fail(i, self.failure(task, output, end));
        } else if !accepted {
            self.act_failed(i, self.failure(task, output, end));
        } else if !captured.missing.is_empty() && !task.command.ignore_exit {
            let why = format!("its output has no {}", captured.missing.join(", "));
            self.act_failed(i, self.failure(task, output, |_, _| why));
        } else {
            self.run_next(i);
        }
    }

    /// The probe differs, and nothing of this attempt has been run.
    fn act_on(&mut self, task: &Task<'a>, output: Output, remedy: Option<&'a Remedy>) {
        let i = task.step;
        let commands = remedy.map_or(&self.plan.steps[i].act, |remedy| &remedy.act);
        let no = match (self.modes[i], remedy, commands.is_empty()) {
            (Mode::CheckOnly | Mode::Skip, ..) => "prerequisite excluded by --only/--skip and not satisfied",
            (Mode::Apply, None, true) => "precondition failed (nothing to apply)",
            (Mode::Apply, Some(_), true) => return self.wait(i),
            (Mode::Apply, Some(remedy), false) if self.may_pass(i, remedy, &output) => return,
            (Mode::Apply, _, false) => {
                let remedy = remedy.map(|c| c.name);
                if !self.board.place(i) {
                    return self.board.set(i, State::Queued);
                }
                if let Some(remedy) = remedy {
                    let why = self.explain(i, &output);
                    self.emit(StepEvent::Diagnosed { step: self.id(i), remedy, why });
                }
                let run = &mut self.runs[i];
                (run.rest, run.remedy, run.had_failure) = (commands, remedy, false);
                return self.run_next(i);
            }
        };
        let why = format!("{no}: {}", self.explain(i, &output));
        self.fail(i, self.failure(task, output, |_, _| why));
    }

    /// Whether a state that may pass by itself is still given time. It is announced when it is first seen.
    fn may_pass(&mut self, i: usize, remedy: &'a Remedy, output: &Output) -> bool {
        let run = &mut self.runs[i];
        let known = run.seen.filter(|(name, _)| *name == remedy.name);
        let (_, since) = known.unwrap_or((remedy.name, self.now));
        run.seen = Some((remedy.name, since));
        let end = since.saturating_add(remedy.after);
        if self.now >= end {
            run.seen = None;
            return false;
        }
        if known.is_none() {
            let why = self.explain(i, output);
            self.emit(StepEvent::Diagnosed { step: self.id(i), remedy: remedy.name, why });
        }
        self.pause(i, end);
        true
    }

    /// No answer: the question is repeated for as long as a state may take to settle, then the attempt is over.
    fn ask_again(&mut self, task: &Task<'a>, output: Output, why: &str) {
        let i = task.step;
        let first = self.runs[i].unanswered.is_none();
        let settle = self.plan.steps[i].limits.settle;
        let end = *self.runs[i].unanswered.get_or_insert(self.now.saturating_add(settle));
        if self.now >= end {
            self.runs[i].unanswered = None;
            return self.end_attempt(i, self.failure(task, output, |task, output| no_answer(task, output, why)));
        }
        if first {
            self.emit(StepEvent::Diagnosed { step: self.id(i), remedy: "no answer", why: why.to_owned() });
        }
        self.pause(i, end);
    }

    /// Asks again after a pause, within the same attempt.
    fn pause(&mut self, i: usize, end: Duration) {
        let pause = self.plan.steps[i].limits.pause.max(SHORTEST_PAUSE);
        self.board.set(i, State::Pausing);
        self.board.rest(i, self.now.saturating_add(pause).min(end));
    }

    /// A command failed: the rest of its attempt is dropped, and the probe decides.
    fn act_failed(&mut self, i: usize, failure: Failure) {
        self.runs[i].rest = &[];
        self.runs[i].failed = Some(failure);
        self.runs[i].had_failure = true;
        self.confirm(i);
    }

    pub(super) fn confirm(&mut self, i: usize) {
        self.settle(i);
        self.ask(i);
    }

    /// Waits for the probe to match, without a command.
    fn wait(&mut self, i: usize) {
        self.settle(i);
        self.rest(i);
    }

    fn settle(&mut self, i: usize) {
        self.board.set(i, State::Confirming);
        self.runs[i].settle_until = self.now.saturating_add(self.plan.steps[i].limits.settle);
    }

    /// The last probe is asked when the time is over, not before.
    fn rest(&mut self, i: usize) {
        let pause = self.plan.steps[i].limits.pause.max(SHORTEST_PAUSE);
        self.board.rest(i, self.now.saturating_add(pause).min(self.runs[i].settle_until));
    }

    fn not_yet(&mut self, task: &Task<'a>, output: Output, result: &ProbeResult<'_>) {
        let i = task.step;
        let unanswered = matches!(result, ProbeResult::NoAnswer(_)) && task.began < self.runs[i].settle_until;
        if let Some(failure) = self.runs[i].failed.take_if(|_| !unanswered) {
            self.end_attempt(i, failure);
        } else if task.began < self.runs[i].settle_until {
            // Asked before the time was over: the output shows nothing of its end.
            self.rest(i);
        } else {
            let why = match result {
                ProbeResult::Matches(captured) => {
                    format!("the check passed, but its output has no {}", captured.missing.join(", "))
                }
                ProbeResult::NoAnswer(NoAnswer::Unanswered(why)) => no_answer(task, &output, why),
                _ => format!("not satisfied after apply: {}", self.explain(i, &output)),
            };
            self.end_attempt(i, self.failure(task, output, |_, _| why));
        }
    }

    fn end_attempt(&mut self, i: usize, failure: Failure) {
        let limits = self.plan.steps[i].limits;
        let attempt = self.runs[i].attempt;
        if attempt >= limits.attempts {
            return self.fail(i, failure);
        }
        let longer = 2u32.saturating_pow(attempt - 1).min(LONGEST_PAUSE);
        let pause = limits.pause.saturating_mul(longer);
        self.emit(StepEvent::Retrying { step: self.id(i), attempt, pause, failure: Box::new(failure) });
        self.runs[i].attempt += 1;
        self.board.set(i, State::Pausing);
        self.board.rest(i, self.now.saturating_add(pause));
    }

    // ---- ends of steps ----

    /// The probe matches; where a match must last, it is asked once more.
    fn matched(&mut self, i: usize) {
        let lasts = self.plan.steps[i].done_when.lasts;
        let run = &mut self.runs[i];
        let since = *run.matches.get_or_insert(self.now);
        if run.began.is_some() || self.cache.query || self.now >= since.saturating_add(lasts) {
            return self.satisfied(i);
        }
        run.alone = true;
        self.board.set(i, State::Pausing);
        self.board.rest(i, since.saturating_add(lasts));
    }

    fn satisfied(&mut self, i: usize) {
        let run = &self.runs[i];
        let (state, note) = match run.began {
            None => (State::Unchanged, StepEvent::Unchanged(self.id(i))),
            Some(began) => {
                let (took, already_satisfied) = (self.now.saturating_sub(began), run.had_failure);
                (State::Done, StepEvent::Done { step: self.id(i), took, already_satisfied })
            }
        };
        self.board.set(i, state);
        self.emit(note);
    }

    pub(super) fn miss_values(&mut self, task: &Task<'a>, names: &[String]) {
        if self.cache.query {
            return self.answer_without_values(task.step, names);
        }
        let why = format!("unresolved values: {}", names.join(", "));
        let output = Output::of(Exit::NotStarted(why.clone()));
        self.fail(task.step, self.failure(task, output, |_, _| why));
    }

    fn fail(&mut self, i: usize, failure: Failure) {
        self.board.set(i, State::Failed);
        self.emit(StepEvent::Failed(Box::new(failure.clone())));
        self.failures.insert(i, failure);
        self.block_behind(i, &self.id(i));
        for bound in self.board.bound_to(i) {
            self.end_because_of(bound, i);
        }
    }

    /// What cannot succeed without a step that failed for good is ended, not waited for.
    fn end_because_of(&mut self, i: usize, failed: usize) {
        let root = self.id(failed);
        let running: Vec<TaskId> = self.tasks.iter().filter(|(_, task)| task.step == i).map(|(id, _)| *id).collect();
        self.runs[i].ended_by = Some(failed);
        for task in &running {
            let hard = self.tasks.get_mut(task).and_then(|task| task.escalate(self.now));
            self.actions.extend(hard.map(|hard| Action::Kill { task: *task, hard }));
        }
        if running.is_empty() {
            self.block(i, root.clone());
            self.block_behind(i, &root);
        }
    }

    /// Blocks a step because of another, the root cause.
    pub(super) fn block(&mut self, i: usize, root: StepKey) {
        self.board.set(i, State::Blocked);
        self.emit(StepEvent::Blocked(self.id(i), root.clone()));
        self.blocked.insert(i, root);
    }

    /// Blocks all that need the step, and all that need those.
    pub(super) fn block_behind(&mut self, i: usize, root: &StepKey) {
        let mut todo = BTreeSet::from([i]);
        while let Some(next) = todo.pop_first() {
            for follower in self.board.needing(next) {
                self.block(follower, root.clone());
                todo.insert(follower);
            }
        }
    }

    pub(super) fn store(&mut self, captured: Vec<(Capture, String)>) {
        for (Capture { name, secret, .. }, value) in captured {
            if !secret {
                self.facts.insert(name.clone(), value.clone());
            }
            self.actions.push(Action::Captured { name, value, secret });
        }
        limit_launches(&mut self.board, &self.facts);
    }

    fn explain(&self, i: usize, output: &Output) -> String {
        explain(&self.plan.steps[i], output, |t| value(&self.facts, &self.digests, t))
    }

    fn failure(&self, task: &Task<'a>, output: Output, why: impl FnOnce(&Task<'a>, &Output) -> String) -> Failure {
        let why = why(task, &output);
        Failure {
            step: self.id(task.step),
            precondition: self.plan.steps[task.step].is_precondition(),
            attempt: self.runs[task.step].attempt,
            attempts: self.plan.steps[task.step].limits.attempts,
            command: shown(task.command, &self.facts).into_owned(),
            output: redacted(task.command, output),
            took: self.now.saturating_sub(task.began),
            why,
        }
    }
}

fn no_answer(task: &Task<'_>, output: &Output, why: &str) -> String {
    let end = if output.ok() { why.to_owned() } else { end(task, output) };
    format!("the check did not complete: {end}")
}

pub(super) fn value(
    facts: &BTreeMap<String, String>,
    digests: &BTreeMap<String, String>,
    token: Token<'_>,
) -> Option<String> {
    match token {
        Token::Fact(name) => facts.get(name).cloned(),
        Token::Digest(file) => digests.get(file).cloned(),
        Token::Secret(_) => None,
    }
}
