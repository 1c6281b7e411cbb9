//! How a step is kept by what another one was told: it listens while that one asks, or recalls what was said.
//! Knows nothing of which answers may serve; `heard` does.

use super::board::State;
use super::failure::shown;
use super::heard::Found;
use super::machine::{Engine, digests};
use super::{Action, TaskId};
use tool::Output;

impl Engine<'_> {
    /// Whether a step's first question is answered by what was heard, or soon will be.
    pub(super) fn listens(&mut self, i: usize) -> bool {
        let ask = &self.plan.steps[i].done_when.ask;
        if !self.heard.serves(ask) {
            return false;
        }
        let found = self.heard.find(&shown(ask, &self.facts), self.now);
        if matches!(found, Found::No) {
            return false;
        }
        self.checking(i);
        self.board.set(i, State::Asking);
        match found {
            Found::Asked(task) => self.listening.push((task, i)),
            Found::Said(output, by) => self.recall(i, output, by),
            Found::No => {}
        }
        true
    }

    fn recall(&mut self, i: usize, output: Output, by: usize) {
        self.last_task += 1;
        let (task, step, asked_by, digests) = (self.last_task, self.id(i), self.id(by), digests(&self.plan.steps[i]));
        self.recalls.insert(task, (i, output));
        self.actions.push(Action::Recall { task, step, asked_by, digests });
    }

    /// Judges a step by what another one was told. It keeps the step or does nothing: who acts has asked for itself.
    pub(super) fn recalled(&mut self, task: TaskId) {
        let Some((i, output)) = self.recalls.remove(&task) else { return };
        if self.board.state(i) == State::Asking && !self.kept_by(i, &output) {
            self.runs[i].alone = true;
            self.board.rest(i, self.now);
        }
    }

    /// A command has ended: those who listened to it have their turn again, with what was heard, or for the same
    /// question anew.
    pub(super) fn told(&mut self, task: TaskId) {
        let (told, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.listening).into_iter().partition(|(asked, _)| *asked == task);
        self.listening = others;
        for (_, i) in told {
            if self.board.state(i) == State::Asking {
                self.board.rest(i, self.now);
            }
        }
    }
}
