//! One trial in two acts: with faults, where the engine may fail but must not contradict itself; then calm, where the
//! same command must arrive at the same end as an undisturbed run. Knows nothing of how it is told.
//!
//! Until its first fault strikes a trial is the undisturbed run. So that run is played once, and each trial goes on
//! from a copy of it, made before the turn in which its fault strikes.

use std::panic::{self, AssertUnwindSafe};

use serde_json::Value;

use super::super::exit::{CONTRADICTION, CRASH, NO_CONVERGENCE};
use super::sim_run::{CompiledRun, Scenario, Setup, SimRun};
use super::trial::Trial;
use plan::engine::Outcome;
use sim::{Faults, InjectedFault};

/// A killed process is started again this often before the calm.
const LIVES: usize = 20;
/// Every VM.
const ALL: u64 = u64::MAX;

/// What one trial came to.
#[derive(Debug, Default)]
pub struct TrialResult {
    /// Commands that a fault could have struck.
    pub points: u64,
    /// Faults that struck.
    pub injected: Vec<InjectedFault>,
    /// Runs of the engine that the first act took: one, and one more for each time it was killed.
    pub lives: usize,
    /// How the first act ended.
    pub first: Outcome,
    /// How the second act ended.
    pub second: Outcome,
    /// What is wrong: an exit code and the reason.
    pub verdict: Option<(u8, String)>,
}

/// A run that nothing disturbed.
pub struct Baseline {
    /// Where the fleet stands afterwards, the measure of all others.
    pub end: Value,
    /// Every single fault that could have struck it.
    pub possible: Vec<InjectedFault>,
    /// The turn in which each command was started, by its point.
    turns: Vec<u64>,
}

/// What is played, by whom: scripts are made once and run thousands of times.
struct TrialPlan<'a> {
    before: Vec<CompiledRun<'a>>,
    run: CompiledRun<'a>,
    repair: Option<CompiledRun<'a>>,
    hinted: Option<CompiledRun<'a>>,
    after: Option<CompiledRun<'a>>,
}

impl<'a> TrialPlan<'a> {
    fn new(scenario: Scenario<'a>) -> Self {
        let run = |plan| CompiledRun::new(plan, scenario.jobs);
        TrialPlan {
            before: scenario.before.iter().map(run).collect(),
            run: run(scenario.plan),
            repair: scenario.repair.map(run),
            hinted: scenario.hinted.map(run),
            after: scenario.after.map(run),
        }
    }

    /// The run that faults shall strike, about to begin.
    fn open(&self, scenario: Scenario<'a>) -> SimRun<'a> {
        let mut setup = beside(&self.before, Setup::new(scenario));
        // Points are counted from here.
        setup.world.with_faults(Faults::none());
        SimRun::begin(&self.run, setup)
    }
}

/// Runs plans that nothing disturbs.
fn beside<'s, 'p: 's>(runs: impl IntoIterator<Item = &'s CompiledRun<'p>>, mut setup: Setup) -> Setup {
    for run in runs {
        let outcome;
        (setup, outcome) = run.run(setup);
        let unfinished = unfinished(&outcome);
        setup.wrong.extend(unfinished.map(|why| format!("{} beside it does not finish: {why}", run.name())));
    }
    setup
}

/// Plays the run that nothing disturbs.
///
/// # Errors
/// Even that run fails, or does not rest; the reason.
pub fn baseline(scenario: Scenario<'_>) -> Result<Baseline, String> {
    let plans = TrialPlan::new(scenario);
    let mut scene = plans.open(scenario);
    scene.readdress(if scenario.moved { ALL } else { 0 });
    scene.strike(Faults::scouting());
    let mut turns = Vec::new();
    let mut turn = 0;
    let outcome = loop {
        let outcome = scene.turn();
        turns.resize(usize::try_from(scene.points()).unwrap_or(usize::MAX), turn);
        turn += 1;
        if let Some(outcome) = outcome {
            break outcome;
        }
    };
    let mut setup = scene.end(&outcome);
    setup.wrong.extend(unfinished(&outcome).map(|why| format!("an undisturbed run does not finish: {why}")));
    let possible = setup.world.faults().struck().to_vec();
    setup.world.disable_faults();
    let Setup { mut world, mut wrong, .. } = beside(&plans.after, setup);
    wrong.extend(world.unknown().iter().map(|line| format!("no simulated tool knows: {line}")));
    if wrong.is_empty() { Ok(Baseline { end: world.summary(), possible, turns }) } else { Err(wrong.join("\n")) }
}

/// Plays trials, each alone. They come in the order of their points, so that one undisturbed run serves them all.
pub struct Worker<'a> {
    plans: TrialPlan<'a>,
    baseline: &'a Baseline,
    leader: SimRun<'a>,
    /// Turns of the leader so far.
    turn: u64,
    /// Whether VMs are yet to get other addresses.
    moves: bool,
}

impl<'a> Worker<'a> {
    /// Who has played nothing yet.
    pub fn new(scenario: Scenario<'a>, baseline: &'a Baseline) -> Self {
        let plans = TrialPlan::new(scenario);
        let mut leader = plans.open(scenario);
        leader.strike(Faults::none());
        Worker { plans, baseline, leader, turn: 0, moves: scenario.moved }
    }

    /// Plays one trial. A panic of ours is caught and is a crash.
    pub fn play(&mut self, trial: Trial) -> TrialResult {
        let scene = self.before(trial);
        let played = panic::catch_unwind(AssertUnwindSafe(|| self.both(scene, trial.faults())));
        played.unwrap_or_else(|cause| {
            let text = cause.downcast_ref::<String>().map(String::as_str).or(cause.downcast_ref::<&str>().copied());
            let reason = text.unwrap_or("it panicked").to_owned();
            TrialResult { verdict: Some((CRASH, reason)), ..TrialResult::default() }
        })
    }

    /// The undisturbed run as it stands before the trial's first fault can strike.
    fn before(&mut self, trial: Trial) -> SimRun<'a> {
        let point = match trial {
            Trial::Seed(seed) => return self.seeded(seed),
            Trial::Fault(point, _) => point,
        };
        if std::mem::take(&mut self.moves) {
            self.leader.readdress(ALL);
        }
        let wanted = usize::try_from(point).ok().and_then(|point| self.baseline.turns.get(point)).copied();
        let wanted = wanted.unwrap_or_default();
        assert!(self.turn <= wanted, "bug: the trials are not in order");
        while self.turn < wanted {
            let ended = self.leader.turn();
            assert!(ended.is_none(), "bug: an undisturbed run ends before point {point}");
            self.turn += 1;
        }
        self.leader.copy()
    }

    /// The run as it stands before its first command. A seed decides by its bits which VMs have other addresses.
    fn seeded(&self, seed: u64) -> SimRun<'a> {
        let mut scene = self.leader.copy();
        scene.readdress(if self.moves { seed } else { 0 });
        scene
    }

    fn both(&self, mut scene: SimRun<'a>, faults: Faults) -> TrialResult {
        let mut played = TrialResult::default();
        scene.strike(faults);
        let mut setup;
        loop {
            (setup, played.first) = scene.finish();
            played.lives += 1;
            if !setup.world.crashed() || played.lives == LIVES {
                break;
            }
            setup.again();
            scene = SimRun::begin(&self.plans.run, setup);
        }
        played.injected = setup.world.faults().struck().to_vec();
        played.points = setup.world.points();
        setup.again();
        setup.world.disable_faults();
        (setup, played.second) = self.plans.run.run(beside(&self.plans.repair, setup));
        if self.plans.hinted.is_some() && unfinished(&played.second).is_some() {
            (setup, played.second) = self.plans.run.run(beside(&self.plans.hinted, setup));
        }
        played.verdict = self.verdict(setup, &played.second);
        played
    }

    fn verdict(&self, mut setup: Setup, second: &Outcome) -> Option<(u8, String)> {
        setup.wrong.extend(setup.world.unknown().iter().map(|line| format!("no simulated tool knows: {line}")));
        if !setup.wrong.is_empty() {
            return Some((CONTRADICTION, setup.wrong.join("\n")));
        }
        if let Some(why) = unfinished(second) {
            return Some((NO_CONVERGENCE, format!("the calm run does not finish: {why}")));
        }
        // After a run that found nothing to do, one more would be the same once more.
        if !second.done.is_empty() {
            let third;
            (setup, third) = self.plans.run.run(setup);
            let restless = third.done.first().map(|step| format!("a third run finds something to do: {step}"));
            if let Some(why) = restless.or(unfinished(&third)) {
                return Some((NO_CONVERGENCE, why));
            }
        }
        let mut setup = beside(&self.plans.after, setup);
        if !setup.wrong.is_empty() {
            return Some((NO_CONVERGENCE, setup.wrong.join("\n")));
        }
        let (want, got) = (&self.baseline.end, setup.world.summary());
        (&got != want).then(|| (NO_CONVERGENCE, format!("it arrives elsewhere: {}", difference("", want, &got))))
    }
}

/// Why an outcome is not the end of it.
fn unfinished(outcome: &Outcome) -> Option<String> {
    if let Some(failure) = outcome.failed.first() {
        let stderr = failure.output.stderr.lines().last().unwrap_or_default();
        return Some(format!("{}: {} ($ {}) {stderr}", failure.step, failure.why, failure.command));
    }
    let blocked = outcome.blocked.first().map(|(step, by)| format!("{step} is blocked by {by}"));
    blocked.or(outcome.interrupted.then(|| "it was interrupted".to_owned()))
}

/// The first place where two ends differ.
fn difference(path: &str, want: &Value, got: &Value) -> String {
    if let (Value::Object(want), Value::Object(got)) = (want, got) {
        let keys: std::collections::BTreeSet<&String> = want.keys().chain(got.keys()).collect();
        let differing = keys.into_iter().find(|key| want.get(*key) != got.get(*key));
        if let Some(key) = differing {
            let side = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
            return difference(&format!("{path}/{key}"), &side(want), &side(got));
        }
    }
    format!("{path}: want {want}, got {got}")
}
