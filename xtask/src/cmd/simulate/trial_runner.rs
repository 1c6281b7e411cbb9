//! One trial: a run with faults, then a run of the same command without, which must reach the baseline's final state.
//!
//! Until its first fault a trial equals the baseline. So that is run once, and each trial continues from a copy of it,
//! taken before the turn of its fault.

use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe};

use serde_json::{Map, Value};

use super::super::exit::{DIVERGED, INVARIANT_VIOLATED, STUCK};
use super::sim_run::{CompiledRun, Scenario, Setup, SimRun};
use super::trial::Trial;
use plan::engine::Outcome;
use sim::{Faults, InjectedFault};

/// How often a killed process is started again, at most.
const MAX_RUNS: usize = 20;
const ALL_VMS: u64 = u64::MAX;

#[derive(Debug, Default)]
pub struct TrialResult {
    pub points: u64,
    pub injected: Vec<InjectedFault>,
    /// Runs with faults: one, and one more for each time the process was killed.
    pub runs: usize,
    pub faulty: Outcome,
    pub recovery: Outcome,
    /// Exit code and reason of a failure.
    pub verdict: Option<(u8, String)>,
}

/// A run without faults.
pub struct Baseline {
    /// The final state that every trial must reach.
    pub end: Value,
    /// Every fault that could be injected alone.
    pub possible: Vec<InjectedFault>,
    /// The turn in which each command was started, by injection point.
    turns: Vec<u64>,
}

/// The compiled plans of a scenario, which run thousands of times.
struct TrialPlan<'a> {
    before: Vec<CompiledRun<'a>>,
    main: CompiledRun<'a>,
    repair: Option<CompiledRun<'a>>,
    hinted: Option<CompiledRun<'a>>,
    after: Option<CompiledRun<'a>>,
}

impl<'a> TrialPlan<'a> {
    fn new(scenario: Scenario<'a>) -> Self {
        let compile = |plan| CompiledRun::new(plan, scenario.jobs);
        TrialPlan {
            before: scenario.before.iter().map(compile).collect(),
            main: compile(scenario.plan),
            repair: scenario.repair.map(compile),
            hinted: scenario.hinted.map(compile),
            after: scenario.after.map(compile),
        }
    }

    /// The main run, before its first turn. Injection points are counted from here.
    fn begin(&self, scenario: Scenario<'a>) -> SimRun<'a> {
        let mut setup = run_all(&self.before, Setup::new(scenario));
        setup.world.with_faults(Faults::none());
        SimRun::begin(&self.main, setup)
    }
}

/// Runs plans that must finish.
fn run_all<'s, 'p: 's>(runs: impl IntoIterator<Item = &'s CompiledRun<'p>>, mut setup: Setup) -> Setup {
    for run in runs {
        let outcome;
        (setup, outcome) = run.run(setup);
        setup.violations.extend(unfinished(&outcome).map(|why| format!("{} does not finish: {why}", run.name())));
    }
    setup
}

fn unsupported(setup: &Setup) -> Vec<String> {
    setup.world.unknown().iter().map(|line| format!("unsupported by the simulator: {line}")).collect()
}

/// Runs the scenario without faults.
///
/// # Errors
/// Why that run fails.
pub fn baseline(scenario: Scenario<'_>) -> Result<Baseline, String> {
    let plans = TrialPlan::new(scenario);
    let mut run = plans.begin(scenario);
    run.readdress(if scenario.readdressed { ALL_VMS } else { 0 });
    run.set_faults(Faults::recording());
    let mut turns = Vec::new();
    let outcome = (0..).find_map(|turn| {
        let outcome = run.turn();
        turns.resize(usize::try_from(run.points()).unwrap_or(usize::MAX), turn);
        outcome
    });
    let outcome = outcome.unwrap_or_default();
    let mut setup = run.end(&outcome);
    setup.violations.extend(unfinished(&outcome).map(|why| format!("the run without faults does not finish: {why}")));
    let possible = setup.world.faults().injected().to_vec();
    setup.world.disable_faults();
    let mut setup = run_all(&plans.after, setup);
    setup.violations.extend(unsupported(&setup));
    match setup.violations.is_empty() {
        true => Ok(Baseline { end: setup.world.summary(), possible, turns }),
        false => Err(setup.violations.join("\n")),
    }
}

/// Runs trials in the order of their injection points, so that one baseline run serves them all.
pub struct Worker<'a> {
    plans: TrialPlan<'a>,
    baseline: &'a Baseline,
    leader: SimRun<'a>,
    /// Turns of the leader so far.
    turn: u64,
    /// VMs are yet to be readdressed.
    readdress: bool,
}

impl<'a> Worker<'a> {
    pub fn new(scenario: Scenario<'a>, baseline: &'a Baseline) -> Self {
        let plans = TrialPlan::new(scenario);
        let mut leader = plans.begin(scenario);
        leader.set_faults(Faults::none());
        Worker { plans, baseline, leader, turn: 0, readdress: scenario.readdressed }
    }

    /// Runs one trial; a panic is a crash of the engine.
    pub fn run(&mut self, trial: Trial) -> TrialResult {
        let run = match trial {
            Trial::Seed(seed) => self.before_first_command(seed),
            Trial::Fault(point, _) => self.before_point(point),
        };
        let result = panic::catch_unwind(AssertUnwindSafe(|| self.run_trial(run, trial.faults())));
        result.unwrap_or_else(|cause| {
            let text = cause.downcast_ref::<String>().map(String::as_str).or(cause.downcast_ref::<&str>().copied());
            TrialResult { verdict: Some((STUCK, text.unwrap_or("panic").to_owned())), ..TrialResult::default() }
        })
    }

    fn before_point(&mut self, point: u64) -> SimRun<'a> {
        if std::mem::take(&mut self.readdress) {
            self.leader.readdress(ALL_VMS);
        }
        let turn = usize::try_from(point).ok().and_then(|point| self.baseline.turns.get(point)).copied();
        let turn = turn.unwrap_or_default();
        assert!(self.turn <= turn, "bug: the trials are not in order");
        while self.turn < turn {
            assert!(self.leader.turn().is_none(), "bug: the baseline ends before point {point}");
            self.turn += 1;
        }
        self.leader.copy()
    }

    /// The bits of the seed choose the VMs that are readdressed.
    fn before_first_command(&self, seed: u64) -> SimRun<'a> {
        let mut run = self.leader.copy();
        run.readdress(if self.readdress { seed } else { 0 });
        run
    }

    fn run_trial(&self, mut run: SimRun<'a>, faults: Faults) -> TrialResult {
        let main = &self.plans.main;
        let mut result = TrialResult::default();
        run.set_faults(faults);
        let mut setup;
        loop {
            (setup, result.faulty) = run.finish();
            result.runs += 1;
            if !setup.world.crashed() || result.runs == MAX_RUNS {
                break;
            }
            setup.restart_process();
            run = SimRun::begin(main, setup);
        }
        result.injected = setup.world.faults().injected().to_vec();
        result.points = setup.world.points();
        setup.restart_process();
        setup.world.disable_faults();
        (setup, result.recovery) = main.run(run_all(&self.plans.repair, setup));
        if self.plans.hinted.is_some() && unfinished(&result.recovery).is_some() {
            (setup, result.recovery) = main.run(run_all(&self.plans.hinted, setup));
        }
        result.verdict = self.verdict(setup, &result.recovery).err();
        result
    }

    fn verdict(&self, mut setup: Setup, recovery: &Outcome) -> Result<(), (u8, String)> {
        setup.violations.extend(unsupported(&setup));
        if !setup.violations.is_empty() {
            return Err((INVARIANT_VIOLATED, setup.violations.join("\n")));
        }
        let diverged = |why: String| (DIVERGED, why);
        if let Some(why) = unfinished(recovery) {
            return Err(diverged(format!("the run after the faults does not finish: {why}")));
        }
        // A run that found nothing to do would find nothing once more.
        if !recovery.done.is_empty() {
            let third;
            (setup, third) = self.plans.main.run(setup);
            let pending = third.done.first().map(|step| format!("a third run finds something to do: {step}"));
            if let Some(why) = pending.or(unfinished(&third)) {
                return Err(diverged(why));
            }
        }
        let mut setup = run_all(&self.plans.after, setup);
        if !setup.violations.is_empty() {
            return Err(diverged(setup.violations.join("\n")));
        }
        let (want, got) = (&self.baseline.end, setup.world.summary());
        if &got == want {
            Ok(())
        } else {
            Err(diverged(format!("different final state: {}", difference("", want, &got))))
        }
    }
}

/// Why an outcome is not a success.
fn unfinished(outcome: &Outcome) -> Option<String> {
    if let Some(failure) = outcome.failed.first() {
        let stderr = failure.output.reason().unwrap_or_default();
        return Some(format!("{}: {} ($ {}) {stderr}", failure.step, failure.why, failure.command));
    }
    let blocked = outcome.blocked.first().map(|(step, by)| format!("{step} is blocked by {by}"));
    blocked.or(outcome.interrupted.then(|| "it was interrupted".to_owned()))
}

/// The first place where two states differ.
fn difference(path: &str, want: &Value, got: &Value) -> String {
    if let (Value::Object(want), Value::Object(got)) = (want, got) {
        let keys: BTreeSet<&String> = want.keys().chain(got.keys()).collect();
        if let Some(key) = keys.into_iter().find(|key| want.get(*key) != got.get(*key)) {
            let side = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
            return difference(&format!("{path}/{key}"), &side(want), &side(got));
        }
    }
    format!("{path}: want {want}, got {got}")
}
