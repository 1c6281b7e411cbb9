//! A run that checks every step and applies none.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::board::State;
use super::judge::{NoAnswer, ProbeResult, explain, judge};
use super::machine::Engine;
use super::transitions::value;
use crate::survey::{Answer, Answers, ProbeState};
use crate::{Expect, Plan, Step};
use model::token;
use tool::{Command, Exit, Output};

impl<'a> Engine<'a> {
    /// A run that asks every probe of the plan. One without an answer is asked again, up to the step's attempts; steps
    /// whose needs do not match are not asked.
    pub fn query(plan: &'a Plan, facts: BTreeMap<String, String>, jobs: usize) -> Self {
        let mut engine = Engine::new(plan, plan.ids(), facts, jobs);
        engine.check_only();
        engine
    }

    /// The answers of a query that is over.
    pub fn answers(&self) -> Answers {
        let steps = || self.plan.steps.iter().zip(&self.answers);
        let asked = |(step, answer): (&Step, &Option<Answer>)| Some((step.id.clone(), answer.clone()?));
        let mut answers: Answers = steps().filter_map(asked).collect();
        // A query may be of a plan whose steps are in no order.
        loop {
            let open = steps().filter(|(step, _)| !answers.contains_key(&step.id));
            let unasked = |(step, _): (&Step, _)| Some((step.id.clone(), self.unasked(step, &answers)?));
            let more: Answers = open.filter_map(unasked).collect();
            if more.is_empty() {
                return answers;
            }
            answers.extend(more);
        }
    }

    /// Of a step that was not asked: the first one of its needs, from near or far, that does not match.
    fn unasked(&self, step: &Step, answers: &Answers) -> Option<Answer> {
        let mut needs = step.needs.iter().filter_map(|need| Some((need, &answers.get(need)?.state)));
        let (need, state) = needs.find(|(_, state)| **state != ProbeState::Matches)?;
        let root = if let ProbeState::NotAsked(root) = state { root } else { need };
        Some(Answer { at: self.now, output: None, state: ProbeState::NotAsked(root.clone()) })
    }

    /// A step has an output, of its own or of another step's probe.
    pub(super) fn answer(&mut self, i: usize, question: &Command, output: Output, at: Duration) {
        let plan = self.plan;
        let step = &plan.steps[i];
        let result = judge(step, question, &output, |token| value(&self.facts, &self.digests, token));
        // Of what a run would not begin without.
        let fallback = step.done_when.fallback.as_ref().filter(|_| step.is_precondition());
        let late = matches!(output.exit, Exit::TimedOut | Exit::Stopped);
        let state = match result {
            ProbeResult::NoAnswer(NoAnswer::Unanswered(_)) if let Some(other) = fallback.filter(|f| *f != question) => {
                return self.start(i, other, step.limits.ask, vec![]);
            }
            ProbeResult::Matches(_) | ProbeResult::Differs(None) if fallback == Some(question) => {
                ProbeState::NoAnswer("it answers to another question alone".into())
            }
            ProbeResult::Matches(captured) => {
                self.store(captured.values);
                ProbeState::Matches
            }
            ProbeResult::NoAnswer(NoAnswer::MissingValues(names)) => {
                ProbeState::NoAnswer(format!("unresolved values: {}", names.join(", ")))
            }
            ProbeResult::NoAnswer(NoAnswer::NoProgram) => ProbeState::NoAnswer(self.mismatch(step, &output)),
            ProbeResult::NoAnswer(_) if self.asks_again(i) => return,
            ProbeResult::NoAnswer(_) | ProbeResult::Differs(_) if late => {
                ProbeState::NoAnswer("no answer in time".into())
            }
            ProbeResult::NoAnswer(NoAnswer::Unanswered(why)) => ProbeState::NoAnswer(why),
            ProbeResult::Differs(Some(remedy)) if remedy.when == Expect::Unanswered && self.asks_again(i) => return,
            ProbeResult::Differs(remedy) => {
                let named = remedy.filter(|remedy| remedy.when != Expect::Unanswered);
                ProbeState::Differs { remedy: named.map(|remedy| remedy.name), why: self.mismatch(step, &output) }
            }
        };
        self.settle_answer(i, Answer { at, output: Some(output), state });
    }

    pub(super) fn answer_without_values(&mut self, i: usize, names: &[String]) {
        let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let why = format!("unresolved values: {}", Vec::from_iter(names).join(", "));
        let output = Output { stderr: why.clone(), ..Output::of(Exit::NotStarted("unresolved values".into())) };
        self.settle_answer(i, Answer { at: self.now, output: Some(output), state: ProbeState::NoAnswer(why) });
    }

    fn settle_answer(&mut self, i: usize, answer: Answer) {
        let matches = answer.state == ProbeState::Matches;
        self.answers[i] = Some(answer);
        self.board.set(i, if matches { State::Unchanged } else { State::Failed });
        if !matches {
            self.block_behind(i, &self.id(i));
        }
    }

    /// A single failure may be the network's.
    fn asks_again(&mut self, i: usize) -> bool {
        let limits = &self.plan.steps[i].limits;
        let again = self.runs[i].attempt < limits.attempts;
        if again {
            self.runs[i].attempt += 1;
            self.runs[i].alone = true;
            self.board.set(i, State::Pausing);
            self.board.rest(i, self.now.saturating_add(limits.pause));
        }
        again
    }

    fn mismatch(&self, step: &Step, output: &Output) -> String {
        match step.done_when.ask.sensitive() {
            true => "output is redacted".to_owned(),
            false => explain(step, output, |token: token::Token<'_>| value(&self.facts, &self.digests, token)),
        }
    }
}
