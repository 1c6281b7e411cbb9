//! A run of a plan in a simulated world in memory, which can be stopped between two turns and copied.

use std::cell::RefCell;
use std::time::Duration;

use super::super::sim_world::{self, CrashableWorld, ProcessState};
use super::invariants::Invariants;
use exec::driver::{self, Execution};
use exec::workspace::Workspace;
use plan::Plan;
use plan::engine::{Engine, Outcome};
use plan::journal;
use sim::{Faults, SimWorld};
use tool::{Call, Event, TaskId, World};

/// The plans of a trial.
#[derive(Debug, Clone, Copy)]
pub struct Scenario<'a> {
    /// Run first, without faults.
    pub before: &'a [Plan],
    /// Then VMs are readdressed: all of them, or those that a seed has bits for.
    pub readdressed: bool,
    /// Run with faults.
    pub plan: &'a Plan,
    /// Run after faults, before the same plan again.
    pub repair: Option<&'a Plan>,
    /// Run if even the run without faults fails, as its hint tells, before the same plan again.
    pub hinted: Option<&'a Plan>,
    /// Run at the end, before final states are compared.
    pub after: Option<&'a Plan>,
    /// Parallel steps.
    pub jobs: usize,
}

/// A machine and its files, between two runs.
pub struct Setup {
    pub world: SimWorld,
    pub space: Workspace,
    pub violations: Vec<String>,
}

impl Setup {
    /// A machine with every tool and nothing else.
    pub fn new(scenario: Scenario<'_>) -> Setup {
        let space = Workspace::in_memory();
        let mut world = sim_world::begin(&space, Faults::none(), scenario.plan);
        scenario.before.iter().for_each(|before| sim_world::publish(world.state_mut(), before));
        Setup { world, space, violations: Vec::new() }
    }

    fn copy(&self) -> Setup {
        let space = self.space.copy();
        Setup { world: sim_world::copy(&space, &self.world), space, violations: self.violations.clone() }
    }

    /// A new process finds the files of the last one, and waits for its commands that change something.
    pub fn restart_process(&mut self) {
        self.world.orphan_children();
        self.world.await_orphans();
        self.space = self.space.reopen();
    }
}

/// A plan, compiled to run often.
pub struct CompiledRun<'a> {
    plan: &'a Plan,
    digest: String,
    engine: Engine<'a>,
}

impl<'a> CompiledRun<'a> {
    pub fn new(plan: &'a Plan, jobs: usize) -> Self {
        let engine = Engine::new(plan, plan.ids(), Default::default(), jobs);
        CompiledRun { plan, digest: driver::digest(plan), engine }
    }

    pub fn name(&self) -> &'a str {
        self.plan.name
    }

    /// Runs it to its end, as one process would.
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

/// A run between two turns.
pub struct SimRun<'a> {
    setup: Setup,
    process: ProcessState,
    execution: Execution<'a>,
    invariants: Invariants<'a>,
}

impl<'a> SimRun<'a> {
    pub fn begin(run: &CompiledRun<'a>, mut setup: Setup) -> Self {
        let facts = setup.space.journal().map(|text| journal::facts(&text)).unwrap_or_default();
        let execution = Execution::begin(run.plan, run.engine.knowing(facts), &run.digest, &mut setup.space);
        SimRun { setup, process: ProcessState::default(), execution, invariants: Invariants::new(run.plan) }
    }

    /// Injection points so far.
    pub fn points(&self) -> u64 {
        self.setup.world.points()
    }

    /// Readdresses the VMs whose bits are set, in the order of their names.
    pub fn readdress(&mut self, which: u64) {
        let now = self.setup.world.now();
        self.setup.world.state_mut().readdress_all(which, now);
    }

    /// Replaces the faults; injection points are counted on.
    pub fn set_faults(&mut self, faults: Faults) {
        let points = self.points();
        self.setup.world.with_faults(faults.starting_at(points));
    }

    /// One turn; the outcome if the run ended.
    pub fn turn(&mut self) -> Option<Outcome> {
        let SimRun { setup: Setup { world, space, .. }, process, execution, invariants } = self;
        let crashable = CrashableWorld { world, process: std::mem::take(process) };
        let invariants = RefCell::new(invariants);
        let mut watched = WatchedWorld { crashable, invariants: &invariants };
        let outcome = execution.turn(&mut watched, space, &mut |_, note| invariants.borrow_mut().observe(note));
        *process = watched.crashable.process;
        outcome
    }

    /// The remaining turns.
    pub fn finish(mut self) -> (Setup, Outcome) {
        let outcome = std::iter::repeat_with(|| self.turn()).flatten().next().unwrap_or_default();
        (self.end(&outcome), outcome)
    }

    /// The setup after the run. A killed run reports nothing to check.
    pub fn end(mut self, outcome: &Outcome) -> Setup {
        self.invariants.check_secrets(&self.setup.space);
        if !self.setup.world.crashed() {
            self.invariants.check_outcome(outcome);
        }
        self.setup.violations.append(&mut self.invariants.violations);
        self.setup
    }

    pub fn copy(&self) -> Self {
        let SimRun { setup, process, execution, invariants } = self;
        SimRun {
            setup: setup.copy(),
            process: process.clone(),
            execution: execution.clone(),
            invariants: invariants.clone(),
        }
    }
}
