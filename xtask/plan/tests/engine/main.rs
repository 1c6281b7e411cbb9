//! Each rule of the engine, told as the log of a scripted run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plan::engine::{Action, Engine, Outcome, StepEvent};
use plan::samples::{plan, step};
use plan::{Expect, Plan, Pool, Remedy, Step, StepKey};
use scripted_world::{Outside, ScriptedWorld, ends, fails, hangs, no, says, well, yes};
use tool::{Command, Exit, Extractor, Tool};

mod cached;
mod faults;
mod order;
mod scripted_world;
mod small_worlds;
mod values;

fn kubectl(args: &str) -> Command {
    Command::act(Tool::Kubectl, args.split(' '))
}

fn remedy(name: &'static str, answer: &str, act: &[&str]) -> Remedy {
    Remedy {
        name,
        when: Expect::Stdout(answer.to_owned()),
        after: Duration::ZERO,
        act: act.iter().map(|a| kubectl(a)).collect(),
    }
}

/// Runs all steps of a plan with two jobs.
fn run(plan: &Plan, script: &mut ScriptedWorld) -> Outcome {
    script.run(Engine::new(plan, plan.ids(), BTreeMap::new(), 2))
}

fn run_chosen(plan: &Plan, chosen: &[&str], script: &mut ScriptedWorld) -> Outcome {
    let chosen: BTreeSet<StepKey> = chosen.iter().map(|c| (*c).into()).collect();
    script.run(Engine::new(plan, chosen, BTreeMap::new(), 2))
}

fn check(steps: impl IntoIterator<Item = Step>, mut script: ScriptedWorld, log: &[&str]) -> Outcome {
    let outcome = run(&plan(steps), &mut script);
    assert_eq!(script.log, log);
    outcome
}

fn with(mut step: Step, change: impl FnOnce(&mut Step)) -> Step {
    change(&mut step);
    step
}
