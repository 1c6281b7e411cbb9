//! Asks a plan's questions and gathers the answers, where a person wants to know and nothing is to be done.
//! Knows nothing of what the answers mean, and runs no act.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::drive::complete;
use super::exit::{INTERRUPTED, Stop};
use exec::workspace::Workspace;
use plan::{Plan, Step, StepKey};
use tool::World;
use tool::{Event, TaskId};
use tool::{Exit, Output};

/// Asked this often where the answer is a failure: a single one may be the network's. What changes something is not
/// asked again.
const TRIES: u32 = 2;

/// Answers by step. A step whose needs got no good answer is not asked.
pub type Answers = BTreeMap<StepKey, Output>;

/// Asks all steps of a plan, `jobs` at once, each behind those it needs. Facts that answers teach are added.
///
/// # Errors
/// The user said stop.
pub fn ask(
    space: &mut Workspace,
    world: &mut dyn World,
    plan: &Plan,
    facts: &mut BTreeMap<String, String>,
    jobs: usize,
) -> Result<Answers, Stop> {
    let mut round = Round { plan, answers: Answers::new(), running: BTreeMap::new(), begun: BTreeSet::new(), task: 0 };
    while let Some(()) = round.go_on(space, world, facts, jobs) {
        let until = round.running.values().map(|(_, end, _)| *end).min();
        match world.wait(until) {
            Event::Ended(task, output) => round.ended(space, world, facts, task, output),
            Event::Interrupt => return Err(round.stop(world)),
            _ => round.expire(world),
        }
    }
    Ok(round.answers)
}

struct Round<'a> {
    plan: &'a Plan,
    answers: Answers,
    /// The step of each running command, when its time is over, and how often it was asked.
    running: BTreeMap<TaskId, (&'a Step, Duration, u32)>,
    begun: BTreeSet<&'a StepKey>,
    task: TaskId,
}

impl<'a> Round<'a> {
    /// Starts what can be asked now; `None` when all is over.
    fn go_on(
        &mut self,
        space: &mut Workspace,
        world: &mut dyn World,
        facts: &BTreeMap<String, String>,
        jobs: usize,
    ) -> Option<()> {
        let plan = self.plan;
        for step in &plan.steps {
            let told = |id: &StepKey| self.answers.get(id).is_some_and(Output::ok) || plan.step(id).is_none();
            if self.running.len() < jobs && !self.begun.contains(&step.id) && step.needs.iter().all(told) {
                self.begun.insert(&step.id);
                self.start(space, world, facts, step, 1);
            }
        }
        (!self.running.is_empty()).then_some(())
    }

    fn start(
        &mut self,
        space: &mut Workspace,
        world: &mut dyn World,
        facts: &BTreeMap<String, String>,
        step: &'a Step,
        attempt: u32,
    ) {
        self.task += 1;
        match complete::call(self.task, &step.done_when.ask, &self.plan.files, facts, space) {
            Ok(call) => {
                self.running.insert(self.task, (step, world.now() + step.limits.ask, attempt));
                world.start(call);
            }
            Err(why) => {
                let output = Output { stderr: why, ..Output::of(Exit::NotStarted("a value is not known".into())) };
                self.answers.insert(step.id.clone(), output);
            }
        }
    }

    fn ended(
        &mut self,
        space: &mut Workspace,
        world: &mut dyn World,
        facts: &mut BTreeMap<String, String>,
        task: TaskId,
        output: Output,
    ) {
        let Some((step, _, attempt)) = self.running.remove(&task) else { return };
        let again = attempt < TRIES && !step.done_when.ask.mutates;
        if !output.ok() && again && matches!(output.exit, Exit::Code(_)) {
            return self.start(space, world, facts, step, attempt + 1);
        }
        for learn in step.done_when.ask.learn.iter().filter(|l| output.ok() && !l.secret) {
            facts.extend(learn.from.read(&output).map(|value| (learn.name.clone(), value)));
        }
        self.answers.insert(step.id.clone(), output);
    }

    /// Ends what took too long; its end is told like any other.
    fn expire(&mut self, world: &mut dyn World) {
        let now = world.now();
        for (task, (step, end, attempt)) in &mut self.running {
            if *end <= now {
                world.kill(*task, true);
                (*end, *attempt) = (now + step.limits.ask, TRIES);
            }
        }
    }

    fn stop(&mut self, world: &mut dyn World) -> Stop {
        self.running.keys().for_each(|task| world.kill(*task, true));
        Stop { code: INTERRUPTED, problems: vec![] }
    }
}
