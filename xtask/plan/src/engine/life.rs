//! What the end of a command means for its step, from the first answer to the last.
//! Knows nothing of when commands are started, nor of other steps but those that it blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::board::State;
use super::failure::{end, hushed, shown};
use super::judge::{Verdict, explain, judge, read};
use super::machine::{Engine, Role, Stop};
use super::task::{Stage, Task};
use super::{Action, Failure, Note};
use crate::StepKey;
use model::token::Token;
use tool::{Exit, Learn, Output};

/// Shortest time between two questions of a confirming step, whatever its pause.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// A pause doubles after each attempt, up to this many times its length.
const LONGEST_PAUSE: u32 = 8;

impl<'a> Engine<'a> {
    pub(super) fn answered(&mut self, task: &Task<'a>, output: Output) {
        let i = task.step;
        let confirming = self.board.state(i) == State::Confirming;
        match judge(&self.plan.steps[i], &output, |t| value(&self.facts, &self.digests, t)) {
            Verdict::Yes(learnt) => {
                self.learn(learnt);
                self.is_so(i);
            }
            _ if self.stop != Stop::No => self.board.set(i, State::Stopped),
            Verdict::Lacking(names) => self.lacks(task, &names),
            Verdict::Missing => self.fail(i, self.failure(task, output, end)),
            verdict if confirming => self.not_yet(task, output, &verdict),
            Verdict::Unread(_) => self.wait(i),
            Verdict::Silent => self.attempt_over(i, self.failure(task, output, silence)),
            Verdict::No(case) => self.act_on(task, output, case),
        }
    }

    /// Whether another's answer to the same question says that a step is so. It then is kept.
    pub(super) fn kept_by(&mut self, i: usize, output: &Output) -> bool {
        let verdict = judge(&self.plan.steps[i], output, |t| value(&self.facts, &self.digests, t));
        let Verdict::Yes(learnt) = verdict else { return false };
        self.learn(learnt);
        self.is_so(i);
        true
    }

    pub(super) fn acted(&mut self, task: &Task<'a>, output: Output) {
        let i = task.step;
        let (learnt, unread) = if output.ok() { read(task.command, &output) } else { (vec![], vec![]) };
        self.learn(learnt);
        let accepted = output.ok() || task.command.any_exit && matches!(output.exit, Exit::Code(_));
        let hopeless = output.exit == Exit::Missing || task.stage == Stage::Lost;
        if self.stop != Stop::No {
            self.board.set(i, State::Stopped);
        } else if hopeless {
            self.fail(i, self.failure(task, output, end));
        } else if !accepted {
            self.slip(i, self.failure(task, output, end));
        } else if !unread.is_empty() && !task.command.any_exit {
            let why = format!("its answer has no {}", unread.join(", "));
            self.slip(i, self.failure(task, output, |_, _| why));
        } else {
            self.run_next(i);
        }
    }

    /// The probe said no, and nothing of this attempt has been run.
    fn act_on(&mut self, task: &Task<'a>, output: Output, case: Option<usize>) {
        let i = task.step;
        let plan = self.plan;
        let step = &plan.steps[i];
        let case = case.map(|place| &step.instead[place]);
        let commands = case.map_or(&step.act, |c| &c.act);
        let no = match (self.roles[i], case, commands.is_empty()) {
            (Role::Ask | Role::Leave, ..) => "it is needed, not chosen, and not so",
            (Role::Act, None, true) => "it can only be checked",
            (Role::Act, Some(_), true) => return self.wait(i),
            (Role::Act, _, false) => {
                let case = case.map(|c| c.name);
                if !self.board.place(i) {
                    return self.board.set(i, State::Queued);
                }
                if let Some(case) = case {
                    let why = self.explain(i, &output);
                    self.note(Note::Found { step: self.id(i), case, why });
                }
                let run = &mut self.runs[i];
                (run.rest, run.case, run.slipped) = (commands, case, false);
                return self.run_next(i);
            }
        };
        let why = format!("{no}: {}", self.explain(i, &output));
        self.fail(i, self.failure(task, output, |_, _| why));
    }

    /// A command failed: the rest of its attempt is dropped, and the probe is the judge.
    fn slip(&mut self, i: usize, failure: Failure) {
        self.runs[i].rest = &[];
        self.runs[i].slip = Some(failure);
        self.runs[i].slipped = true;
        self.confirm(i);
    }

    pub(super) fn confirm(&mut self, i: usize) {
        self.settle(i);
        self.ask(i);
    }

    /// Waits for the probe to say yes, without a command.
    fn wait(&mut self, i: usize) {
        self.settle(i);
        self.rest(i);
    }

    fn settle(&mut self, i: usize) {
        self.board.set(i, State::Confirming);
        self.runs[i].settle_until = self.now.saturating_add(self.plan.steps[i].limits.settle);
    }

    /// The last question is asked when the time is over, not before.
    fn rest(&mut self, i: usize) {
        let pause = self.plan.steps[i].limits.pause.max(SHORTEST_PAUSE);
        self.board.rest(i, self.now.saturating_add(pause).min(self.runs[i].settle_until));
    }

    fn not_yet(&mut self, task: &Task<'a>, output: Output, verdict: &Verdict) {
        let i = task.step;
        if let Some(slip) = self.runs[i].slip.take() {
            self.attempt_over(i, slip);
        } else if task.began < self.runs[i].settle_until {
            // Asked before the time was over: the answer says nothing of its end.
            self.rest(i);
        } else {
            let why = match verdict {
                Verdict::Unread(names) => format!("the probe says yes, but its answer has no {}", names.join(", ")),
                Verdict::Silent => silence(task, &output),
                _ => format!("the probe still says no: {}", self.explain(i, &output)),
            };
            self.attempt_over(i, self.failure(task, output, |_, _| why));
        }
    }

    fn attempt_over(&mut self, i: usize, failure: Failure) {
        let limits = self.plan.steps[i].limits;
        let attempt = self.runs[i].attempt;
        if attempt >= limits.attempts {
            return self.fail(i, failure);
        }
        let longer = 2u32.saturating_pow(attempt - 1).min(LONGEST_PAUSE);
        let pause = limits.pause.saturating_mul(longer);
        self.note(Note::Retrying { step: self.id(i), attempt, pause, failure: Box::new(failure) });
        self.runs[i].attempt += 1;
        self.board.set(i, State::Pausing);
        self.board.rest(i, self.now.saturating_add(pause));
    }

    // ---- ends of steps ----

    fn is_so(&mut self, i: usize) {
        let run = &self.runs[i];
        let (state, note) = match run.began {
            None => (State::Kept, Note::Kept(self.id(i))),
            Some(began) => {
                let (took, adopted) = (self.now.saturating_sub(began), run.slipped);
                (State::Done, Note::Done { step: self.id(i), took, adopted })
            }
        };
        self.board.set(i, state);
        self.note(note);
    }

    pub(super) fn lacks(&mut self, task: &Task<'a>, names: &[String]) {
        let why = format!("it uses {}, which no step has learnt", names.join(", "));
        let output = Output::of(Exit::NotStarted(why.clone()));
        self.fail(task.step, self.failure(task, output, |_, _| why));
    }

    fn fail(&mut self, i: usize, failure: Failure) {
        self.board.set(i, State::Failed);
        self.note(Note::Failed(Box::new(failure.clone())));
        self.failures.insert(i, failure);
        self.block_behind(i, &self.id(i));
    }

    /// Blocks a step for want of another, which is at the root of it.
    pub(super) fn block(&mut self, i: usize, root: StepKey) {
        self.board.set(i, State::Blocked);
        self.note(Note::Blocked(self.id(i), root.clone()));
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

    fn learn(&mut self, learnt: Vec<(Learn, String)>) {
        for (Learn { name, secret, .. }, value) in learnt {
            if !secret {
                self.facts.insert(name.clone(), value.clone());
            }
            self.actions.push(Action::Learnt { name, value, secret });
        }
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
            output: hushed(task.command, output),
            took: self.now.saturating_sub(task.began),
            why,
        }
    }
}

fn silence(task: &Task<'_>, output: &Output) -> String {
    format!("the probe gave no answer: {}", end(task, output))
}

fn value(facts: &BTreeMap<String, String>, digests: &BTreeMap<String, String>, token: Token<'_>) -> Option<String> {
    match token {
        Token::Fact(name) => facts.get(name).cloned(),
        Token::Digest(file) => digests.get(file).cloned(),
        Token::Secret(_) => None,
    }
}
