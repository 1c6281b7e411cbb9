//! Every small plan, with every fate of its steps and an interrupt at every moment: what must hold in all of them.

use super::*;
use tool::Output;
use tool::{Event, TaskId};

/// What becomes of a step when it is asked and acted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is so already.
    Kept,
    /// It is so after its act.
    Done,
    /// The first act fails without effect.
    FailsOnce,
    /// Every act fails.
    Fails,
    /// The act hangs until it is ended, without effect.
    Hangs,
}

const FATES: [Fate; 5] = [Fate::Kept, Fate::Done, Fate::FailsOnce, Fate::Fails, Fate::Hangs];
const JOBS: usize = 2;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A plan of `size` steps; the bits of `edges` say which later step needs which earlier one. Every other step is in the
/// launch pool, which has one place.
fn small_plan(size: usize, edges: u32) -> Plan {
    let mut bit = 0;
    let mut steps = Vec::new();
    for i in 0..size {
        let mut needs = Vec::new();
        for need in &NAMES[..i] {
            if edges >> bit & 1 == 1 {
                needs.push(*need);
            }
            bit += 1;
        }
        steps.push(with(step(NAMES[i], &needs), |s| {
            s.limits.settle = Duration::ZERO;
            s.limits.ask = Duration::from_secs(5);
            s.pool = if i % 2 == 0 { Pool::Launch } else { Pool::Free };
        }));
    }
    let mut plan = plan(steps);
    plan.pools.insert(Pool::Launch, 1);
    plan
}

/// A running command.
struct Runs {
    task: TaskId,
    step: usize,
    act: bool,
    /// When it ends by itself.
    ends: Option<Duration>,
}

/// A world of fates, which watches the engine's every action.
struct World<'a> {
    plan: &'a Plan,
    fates: &'a [Fate],
    engine: Engine<'a>,
    now: Duration,
    running: Vec<Runs>,
    so: [bool; 4],
    acts: [u32; 4],
    good: [bool; 4],
    interrupted: bool,
    actions: Vec<Action<'a>>,
}

impl<'a> World<'a> {
    fn new(plan: &'a Plan, fates: &'a [Fate]) -> Self {
        let mut so = [false; 4];
        fates.iter().enumerate().for_each(|(i, fate)| so[i] = *fate == Fate::Kept);
        let engine = Engine::new(plan, plan.ids(), BTreeMap::new(), JOBS);
        let (running, actions) = (Vec::new(), Vec::new());
        let (acts, good) = ([0; 4], [false; 4]);
        World { plan, fates, engine, now: Duration::ZERO, running, so, acts, good, interrupted: false, actions }
    }

    /// Runs to the end, with interrupts before the events of these numbers. Gives back how many events there were.
    fn run(&mut self, interrupts: &[usize]) -> usize {
        self.event(Event::Tick);
        for number in 0..200 {
            interrupts.iter().filter(|at| **at == number).for_each(|_| self.event(Event::Interrupt));
            if self.engine.outcome().is_some() {
                return number;
            }
            self.next();
        }
        panic!("it does not end: {:?} {:#?}", self.fates, self.engine);
    }

    fn next(&mut self) {
        let end = self.running.iter().filter_map(|r| r.ends.map(|at| (at, r.task))).min();
        let time = self.engine.deadline().expect("an open run waits for something");
        match end {
            Some((at, task)) if at <= time => {
                self.now = at;
                let place = self.running.iter().position(|r| r.task == task).unwrap();
                let ended = self.running.remove(place);
                let output = self.answer(&ended);
                self.event(Event::Ended(task, output));
            }
            _ => {
                assert!(time > self.now, "a deadline in the past makes a busy loop");
                self.now = time.max(self.now);
                self.event(Event::Tick);
            }
        }
    }

    fn answer(&mut self, ended: &Runs) -> Output {
        let i = ended.step;
        if !ended.act {
            let stdout = if self.so[i] { "yes" } else { "no" };
            return Output { stdout: stdout.into(), ..Output::of(Exit::Code(0)) };
        }
        let works = match self.fates[i] {
            Fate::Kept | Fate::Done => true,
            Fate::FailsOnce => self.acts[i] > 1,
            Fate::Fails => false,
            Fate::Hangs => return Output::of(Exit::Signal(15)),
        };
        self.so[i] |= works;
        Output::of(Exit::Code(i32::from(!works)))
    }

    fn event(&mut self, event: Event) {
        let second = self.interrupted && event == Event::Interrupt;
        let stopping = self.interrupted || event == Event::Interrupt;
        self.interrupted |= event == Event::Interrupt;
        for action in self.engine.step(self.now, event) {
            match &action {
                Action::Start { task, step, command, .. } => {
                    assert!(!stopping, "{step} started something after an interrupt");
                    self.start(*task, step, command.mutates);
                }
                Action::Kill { task, hard } => {
                    assert!(!second || *hard, "the second interrupt kills");
                    let now = self.now;
                    let killed = self.running.iter_mut().find(|r| r.task == *task);
                    killed.expect("what is killed runs").ends = Some(now);
                }
                Action::Event(StepEvent::Unchanged(id) | StepEvent::Done { step: id, .. }) => {
                    let i = self.place(id);
                    assert!(self.so[i], "{id} is not so");
                    self.good[i] = true;
                }
                Action::CacheHit { step, .. } => panic!("{step} has a probe of its own"),
                Action::Event(_) | Action::Captured { .. } => {}
            }
            self.actions.push(action);
        }
        self.limits();
    }

    fn place(&self, id: &StepKey) -> usize {
        NAMES.iter().position(|n| id == n).unwrap()
    }

    fn start(&mut self, task: TaskId, id: &StepKey, act: bool) {
        let step = self.place(id);
        for need in &self.plan.steps[step].needs {
            assert!(self.good[self.place(need)], "{id} began before {need} was done");
        }
        assert!(!self.running.iter().any(|r| r.step == step), "{id} runs twice at once");
        assert!(!act || !self.so[step], "{id} is acted on although it is so");
        self.acts[step] += u32::from(act);
        assert!(self.acts[step] <= self.plan.steps[step].limits.attempts, "{id} has too many attempts");
        let hangs = act && self.fates[step] == Fate::Hangs;
        let takes = Duration::from_secs(if act { 2 + step as u64 } else { 1 });
        self.running.push(Runs { task, step, act, ends: (!hangs).then(|| self.now + takes) });
    }

    fn limits(&self) {
        assert!(self.running.len() <= JOBS, "more commands than jobs");
        let launches = self.running.iter().filter(|r| r.act && r.step % 2 == 0).count();
        assert!(launches <= 1, "more acts than places in the pool");
    }

    /// What holds at every end.
    fn check_outcome(&self) {
        let outcome = self.engine.outcome().unwrap();
        assert_eq!(outcome.interrupted, self.interrupted);
        let failed = outcome.failed.iter().map(|f| &f.step);
        let blocked = outcome.blocked.iter().map(|(id, _)| id);
        let lists = [&outcome.done, &outcome.unchanged, &outcome.skipped, &outcome.stopped];
        let mut all: Vec<&StepKey> = lists.into_iter().flatten().chain(failed).chain(blocked).collect();
        all.sort();
        let ids: Vec<&StepKey> = self.plan.steps.iter().map(|s| &s.id).collect();
        assert_eq!(all, ids, "every step is in exactly one list");
        assert!(self.running.is_empty(), "nothing runs on");
        assert!(self.interrupted || outcome.stopped.is_empty());
        if !self.interrupted {
            self.check_fates(&outcome);
        }
    }

    /// What an undisturbed run comes to follows from the fates alone.
    fn check_fates(&self, outcome: &Outcome) {
        let mut good = BTreeSet::new();
        for (i, step) in self.plan.steps.iter().enumerate() {
            let tried = step.needs.iter().all(|need| good.contains(need));
            let list = match self.fates[i] {
                _ if !tried => outcome.blocked.iter().any(|(id, _)| *id == step.id),
                Fate::Kept => outcome.unchanged.contains(&step.id),
                Fate::Done | Fate::FailsOnce => outcome.done.contains(&step.id),
                Fate::Fails | Fate::Hangs => outcome.failed.iter().any(|f| f.step == step.id && f.attempt == 2),
            };
            assert!(list, "{} is in the wrong list: {outcome:?}", step.id);
            if tried && matches!(self.fates[i], Fate::Kept | Fate::Done | Fate::FailsOnce) {
                good.insert(step.id.clone());
            }
        }
    }
}

/// Calls with every plan of that size and all fates for it.
fn each_world(size: usize, fates: &[Fate], mut visit: impl FnMut(&Plan, &[Fate])) {
    for edges in 0..1u32 << (size * (size - 1) / 2) {
        let plan = small_plan(size, edges);
        for number in 0..fates.len().pow(size as u32) {
            let of = |i: usize| fates[number / fates.len().pow(i as u32) % fates.len()];
            let chosen: Vec<Fate> = (0..size).map(of).collect();
            visit(&plan, &chosen);
        }
    }
}

fn run_once<'a>(plan: &'a Plan, fates: &'a [Fate], interrupts: &[usize]) -> (usize, Vec<Action<'a>>) {
    let mut world = World::new(plan, fates);
    let events = world.run(interrupts);
    world.check_outcome();
    (events, world.actions)
}

#[test]
fn up_to_three_steps_with_every_fate_and_every_interrupt() {
    for size in 1..=3 {
        each_world(size, &FATES, |plan, fates| {
            let (events, actions) = run_once(plan, fates, &[]);
            assert_eq!(run_once(plan, fates, &[]).1, actions, "the same world runs the same way");
            for at in 0..events {
                run_once(plan, fates, &[at]);
            }
        });
    }
}

#[test]
fn up_to_three_steps_with_a_second_interrupt() {
    for size in 1..=3 {
        each_world(size, &[Fate::Done, Fate::FailsOnce, Fate::Hangs], |plan, fates| {
            let (events, _) = run_once(plan, fates, &[]);
            for at in 0..events {
                run_once(plan, fates, &[at, at]);
                run_once(plan, fates, &[at, at + 1]);
            }
        });
    }
}

#[test]
fn four_steps_with_three_outcomes() {
    each_world(4, &[Fate::Kept, Fate::FailsOnce, Fate::Hangs], |plan, fates| drop(run_once(plan, fates, &[])));
}

#[test]
fn four_steps_with_every_interrupt() {
    each_world(4, &[Fate::Done], |plan, fates| {
        let (events, _) = run_once(plan, fates, &[]);
        for at in 0..events {
            run_once(plan, fates, &[at]);
        }
    });
}
