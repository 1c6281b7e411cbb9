//! A run of a plan in a world of its own, all of it in memory: it can be stopped between two turns and copied.
//! Knows nothing of what goes wrong in it, nor of what is made of its end.

use std::cell::RefCell;
use std::time::Duration;

use super::super::drive::{self, Course};
use super::super::sim_world::{self, CrashableWorld, ProcessState};
use super::invariants::Invariants;
use exec::workspace::Workspace;
use plan::Plan;
use plan::engine::{Engine, Outcome};
use plan::journal;
use sim::{Faults, SimWorld};
use tool::{Call, Event, TaskId, World};

/// What is played.
#[derive(Debug, Clone, Copy)]
pub struct Scenario<'a> {
    /// What is run first, without any fault.
    pub before: &'a [Plan],
    /// Whether VMs have other addresses then: all of them, or those that a seed has bits for.
    pub moved: bool,
    /// What the faults strike.
    pub plan: &'a Plan,
    /// What a person runs after a disaster, before the same command again.
    pub repair: Option<&'a Plan>,
    /// What a person runs where even the calm run stops, as its hint says, before the same command once more.
    pub hinted: Option<&'a Plan>,
    /// What is run at the end, before ends are compared.
    pub after: Option<&'a Plan>,
    /// Steps at once.
    pub jobs: usize,
}

/// A machine and its files, between two runs.
pub struct Setup {
    /// The machine.
    pub world: SimWorld,
    /// The files.
    pub space: Workspace,
    /// What contradicted itself in a run.
    pub wrong: Vec<String>,
}

impl Setup {
    /// A machine with every tool and nothing else.
    pub fn new(scenario: Scenario<'_>) -> Setup {
        let space = Workspace::in_memory();
        let mut world = sim_world::begin(&space, Faults::none(), scenario.plan);
        scenario.before.iter().for_each(|before| sim_world::publish(world.stage_mut(), before));
        Setup { world, space, wrong: Vec::new() }
    }

    fn copy(&self) -> Setup {
        let space = self.space.copy();
        Setup { world: sim_world::copy(&space, &self.world), space, wrong: self.wrong.clone() }
    }

    /// The next process finds what the last one left; what that had started goes on alone.
    pub fn again(&mut self) {
        self.world.orphan_children();
        self.space = self.space.beside();
    }
}

/// A plan, and what it takes to run it often.
pub struct CompiledRun<'a> {
    plan: &'a Plan,
    digest: String,
    engine: Engine<'a>,
}

impl<'a> CompiledRun<'a> {
    /// Of a plan.
    pub fn new(plan: &'a Plan, jobs: usize) -> Self {
        let engine = Engine::new(plan, plan.ids(), Default::default(), jobs);
        CompiledRun { plan, digest: drive::digest(plan), engine }
    }

    /// The name of the plan.
    pub fn name(&self) -> &'a str {
        self.plan.name
    }

    /// Runs all of it once in that place, as one process would.
    pub fn run(&self, setup: Setup) -> (Setup, Outcome) {
        SimRun::begin(self, setup).finish()
    }
}

/// Records the arguments of every command.
struct WatchedWorld<'w, 'r, 'p> {
    crashable: CrashableWorld<'w>,
    invariants: &'r RefCell<&'w mut Invariants<'p>>,
}

impl World for WatchedWorld<'_, '_, '_> {
    fn now(&self) -> Duration {
        self.crashable.now()
    }

    fn start(&mut self, call: Call) {
        self.invariants.borrow_mut().record_args(&call.args);
        self.crashable.start(call);
    }

    fn kill(&mut self, task: TaskId, hard: bool) {
        self.crashable.kill(task, hard);
    }

    fn wait(&mut self, until: Option<Duration>) -> Event {
        self.crashable.wait(until)
    }
}

/// A run that is under way, between two turns.
pub struct SimRun<'a> {
    setup: Setup,
    process: ProcessState,
    course: Course<'a>,
    invariants: Invariants<'a>,
}

impl<'a> SimRun<'a> {
    /// A run that begins in that place.
    pub fn begin(run: &CompiledRun<'a>, mut setup: Setup) -> Self {
        let facts = setup.space.journal().map(|text| journal::facts(&text)).unwrap_or_default();
        let course = Course::begin(run.plan, run.engine.knowing(facts), &run.digest, &mut setup.space);
        SimRun { setup, process: ProcessState::default(), course, invariants: Invariants::new(run.plan) }
    }

    /// Commands that a fault could have struck so far.
    pub fn points(&self) -> u64 {
        self.setup.world.points()
    }

    /// VMs come back with other addresses: those whose bits are set, in the order of their names.
    pub fn readdress(&mut self, which: u64) {
        let now = self.setup.world.now();
        self.setup.world.stage_mut().readdress_all(which, now);
    }

    /// Other faults from here on; points are counted on.
    pub fn strike(&mut self, faults: Faults) {
        let points = self.points();
        self.setup.world.with_faults(faults.starting_at(points));
    }

    /// One turn. How the run ended, if it did.
    pub fn turn(&mut self) -> Option<Outcome> {
        let SimRun { setup: Setup { world, space, .. }, process, course, invariants } = self;
        let crashable = CrashableWorld { world, process: std::mem::take(process) };
        let invariants = RefCell::new(invariants);
        let mut watched = WatchedWorld { crashable, invariants: &invariants };
        let outcome = course.turn(&mut watched, space, &mut |_, note| invariants.borrow_mut().see(note));
        *process = watched.crashable.process;
        outcome
    }

    /// All turns that are left.
    pub fn finish(mut self) -> (Setup, Outcome) {
        let outcome = loop {
            if let Some(outcome) = self.turn() {
                break outcome;
            }
        };
        (self.end(&outcome), outcome)
    }

    /// What is left when it is over. A run that was killed says nothing.
    pub fn end(mut self, outcome: &Outcome) -> Setup {
        self.invariants.check_secrets(&self.setup.space);
        if !self.setup.world.crashed() {
            self.invariants.end(outcome);
        }
        self.setup.wrong.append(&mut self.invariants.violations);
        self.setup
    }

    /// The same run once more, to go on differently.
    pub fn copy(&self) -> Self {
        let SimRun { setup, process, course, invariants } = self;
        SimRun { setup: setup.copy(), process: process.clone(), course: course.clone(), invariants: invariants.clone() }
    }
}
