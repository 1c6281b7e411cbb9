//! Steps whose probes have the same command: one asks, the others wait for its output or take it from the cache.

use super::board::State;
use super::failure::shown;
use super::machine::{Engine, digests};
use super::probe_cache::Lookup;
use super::{Action, TaskId};

impl Engine<'_> {
    /// Whether the first probe of a step is in the cache, or soon will be.
    pub(super) fn shares_probe(&mut self, i: usize) -> bool {
        let ask = &self.plan.steps[i].done_when.ask;
        if !self.cache.can_share(ask) {
            return false;
        }
        let found = self.cache.find(&shown(ask, &self.facts), self.now);
        if matches!(found, Lookup::Nothing) {
            return false;
        }
        self.checking(i);
        self.board.set(i, State::Asking);
        match found {
            Lookup::Pending(task) => self.waiting.push((task, i)),
            Lookup::Hit(output, at, by) => {
                self.last_task += 1;
                self.hits.insert(self.last_task, (i, output, at));
                let (step, asked_by, digests) = (self.id(i), self.id(by), digests(&self.plan.steps[i]));
                self.actions.push(Action::CacheHit { task: self.last_task, step, asked_by, digests });
            }
            Lookup::Nothing => {}
        }
        true
    }

    /// Judges a step by an output from the cache. It matches or asks for itself: a step acts by its own probe alone.
    pub(super) fn use_hit(&mut self, task: TaskId) {
        let Some((i, output, at)) = self.hits.remove(&task) else { return };
        if self.board.state(i) != State::Asking {
            return;
        }
        if self.cache.query {
            self.answer(i, &self.plan.steps[i].done_when.ask, output, at);
        } else if !self.matches_by(i, &output) {
            self.runs[i].alone = true;
            self.board.rest(i, self.now);
        }
    }

    /// A command has ended: steps that waited for it have their turn again.
    pub(super) fn wake_waiting(&mut self, task: TaskId) {
        let (woken, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(asked, _)| *asked == task);
        self.waiting = others;
        for (_, i) in woken {
            if self.board.state(i) == State::Asking {
                self.board.rest(i, self.now);
            }
        }
    }
}
