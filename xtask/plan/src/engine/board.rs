//! The state of each step of a plan, which step waits for which, and which pool places are taken.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use crate::{Plan, Pool, StepKey};

/// The first six are open, the others settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Steps that it waits for are open, or no job is free yet.
    Waiting,
    /// Its probe runs; nothing of this attempt has been applied.
    Asking,
    /// The probe differs, and its pool is full. It is checked again when it has a place: the output may be old by then.
    Queued,
    /// A command of its act runs. It holds a pool place.
    Acting,
    /// Its act is over, or it only waits: the probe is repeated until it matches or the time is over.
    Confirming,
    /// An attempt failed, and the next is not due yet.
    Pausing,
    /// Brought about by this run.
    Done,
    /// Matches without a command of this run.
    Unchanged,
    Failed,
    Blocked,
    Skipped,
    /// Undecided when the user interrupted.
    Stopped,
}

impl State {
    pub(super) fn settled(self) -> bool {
        !matches!(
            self,
            State::Waiting | State::Asking | State::Queued | State::Acting | State::Confirming | State::Pausing
        )
    }

    pub(super) fn good(self) -> bool {
        matches!(self, State::Done | State::Unchanged)
    }
}

/// All states, and fast views of them. Steps are named by their place in the plan, so sets are in plan order.
#[derive(Debug, Clone)]
pub(super) struct Board {
    states: Vec<State>,
    open: usize,
    ties: Rc<Ties>,
    /// How many open steps each step waits for.
    left: Vec<usize>,
    /// Waiting, and for nothing but a job.
    ready: BTreeSet<usize>,
    queued: BTreeSet<usize>,
    /// Confirming or pausing, and their time has come.
    due: BTreeSet<usize>,
    /// Confirming or pausing until then.
    timers: BTreeSet<(Duration, usize)>,
    placed: Vec<bool>,
    /// Places of each pool, and how many are taken. A pool without a number has one place: the careful guess.
    places: BTreeMap<Pool, (usize, usize)>,
}

/// What of a plan never changes; copies of a board share it.
#[derive(Debug)]
struct Ties {
    needs: Vec<BTreeSet<usize>>,
    /// Steps that wait for each step, by need or by order.
    followers: Vec<BTreeSet<usize>>,
    /// Steps that are ended with each step.
    bound: Vec<BTreeSet<usize>>,
    pools: Vec<Pool>,
}

impl Board {
    /// Every step waits. Needs and orders that name no step of the plan are left out.
    pub(super) fn new(plan: &Plan) -> Board {
        let index: BTreeMap<&str, usize> = plan.steps.iter().enumerate().map(|(i, s)| (s.id.as_str(), i)).collect();
        let find = |ids: &[StepKey]| ids.iter().filter_map(|id| index.get(id.as_str()).copied()).collect();
        let needs: Vec<BTreeSet<usize>> = plan.steps.iter().map(|s| find(&s.needs)).collect();
        let mut followers = vec![BTreeSet::new(); plan.steps.len()];
        let mut bound = followers.clone();
        let mut left = vec![0; plan.steps.len()];
        for (i, step) in plan.steps.iter().enumerate() {
            let befores: BTreeSet<usize> = &needs[i] | &find(&step.after);
            left[i] = befores.len();
            find(&step.binds_to).into_iter().for_each(|to| bound[to].extend([i]));
            befores.into_iter().for_each(|before| followers[before].extend([i]));
        }
        Board {
            states: vec![State::Waiting; plan.steps.len()],
            open: plan.steps.len(),
            ready: (0..plan.steps.len()).filter(|i| left[*i] == 0).collect(),
            left,
            queued: BTreeSet::new(),
            due: BTreeSet::new(),
            timers: BTreeSet::new(),
            placed: vec![false; plan.steps.len()],
            ties: Rc::new(Ties { needs, followers, bound, pools: plan.steps.iter().map(|s| s.pool).collect() }),
            places: plan.pools.iter().map(|(pool, width)| (*pool, ((*width).max(1), 0))).collect(),
        }
    }

    pub(super) fn state(&self, i: usize) -> State {
        self.states[i]
    }

    /// In plan order.
    pub(super) fn all(&self, state: State) -> impl Iterator<Item = usize> {
        self.states.iter().enumerate().filter(move |(_, s)| **s == state).map(|(i, _)| i)
    }

    pub(super) fn over(&self) -> bool {
        self.open == 0
    }

    pub(super) fn needs(&self, i: usize) -> &BTreeSet<usize> {
        &self.ties.needs[i]
    }

    pub(super) fn needing(&self, i: usize) -> Vec<usize> {
        let waits = |f: &usize| self.ties.needs[*f].contains(&i) && self.states[*f] == State::Waiting;
        self.ties.followers[i].iter().copied().filter(waits).collect()
    }

    /// Open steps that cannot succeed without that one.
    pub(super) fn bound_to(&self, i: usize) -> Vec<usize> {
        self.ties.bound[i].iter().copied().filter(|step| !self.states[*step].settled()).collect()
    }

    /// The one setter. A step leaves every queue, and gives back its pool place unless it is about to act.
    pub(super) fn set(&mut self, i: usize, state: State) {
        debug_assert!(!self.states[i].settled(), "BUG: a settled step moved");
        self.ready.remove(&i);
        self.queued.remove(&i);
        self.due.remove(&i);
        self.timers.retain(|(_, step)| *step != i);
        self.states[i] = state;
        if self.placed[i] && !matches!(state, State::Asking | State::Acting) {
            self.placed[i] = false;
            self.pool(i).1 -= 1;
        }
        if state == State::Queued {
            self.queued.insert(i);
        }
        if state.settled() {
            self.open -= 1;
            for &follower in &self.ties.followers[i] {
                self.left[follower] -= 1;
                if self.left[follower] == 0 && self.states[follower] == State::Waiting {
                    self.ready.insert(follower);
                }
            }
        }
    }

    /// Lets a confirming or pausing step rest until then. One that asks rests until a job is free for its question.
    pub(super) fn rest(&mut self, i: usize, until: Duration) {
        self.timers.insert((until, i));
    }

    pub(super) fn next_due(&self) -> Option<Duration> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Ends the rest of those whose time has come, whether or not a job is free for them.
    pub(super) fn wake(&mut self, now: Duration) {
        while let Some((at, i)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, i));
            self.due.insert(i);
        }
    }

    /// The step whose turn it is to be asked: first those under way, then those that now get a place in their pool,
    /// then new ones.
    pub(super) fn next(&mut self) -> Option<usize> {
        if let Some(i) = self.due.first() {
            return Some(*i);
        }
        let queued = self.queued.clone().into_iter().find(|i| self.place(*i));
        queued.or_else(|| self.ready.first().copied())
    }

    /// Takes a place in the step's pool. `false`: the pool is full.
    pub(super) fn place(&mut self, i: usize) -> bool {
        if self.placed[i] || self.ties.pools[i] == Pool::Free {
            return true;
        }
        let (places, taken) = self.pool(i);
        let got = *taken < *places;
        *taken += usize::from(got);
        self.placed[i] = got;
        got
    }

    /// Gives a pool no more places than this, and at least one.
    pub(super) fn limit(&mut self, pool: Pool, most: usize) {
        self.places.entry(pool).and_modify(|(places, _)| *places = (*places).min(most.max(1)));
    }

    fn pool(&mut self, i: usize) -> &mut (usize, usize) {
        self.places.entry(self.ties.pools[i]).or_insert((1, 0))
    }
}
