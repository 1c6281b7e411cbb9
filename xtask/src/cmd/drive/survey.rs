//! Asks every question of a plan, as many at once as there are places, and judges the answers. Nothing acts, nothing is
//! written: no journal, no log. Knows nothing of what the answers are for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{complete, own};
use exec::workspace::Workspace;
use model::problem::Problem;
use model::token::Token;
use plan::survey::{Answer, Answers, PATIENCE, State};
use plan::{Plan, Step, StepKey};
use tool::{Call, World};
use tool::{Event, TaskId};
use tool::{Exit, Output, Tool};

/// Numbers of questions begin here: no engine counts so far.
const FIRST: TaskId = 1 << 40;

/// What was seen.
pub struct Survey {
    /// Every question's answer.
    pub answers: Answers,
    /// Facts as they are now; where nobody answered, as they were last known.
    pub facts: BTreeMap<String, String>,
}

/// Asks. Identical commands are run once.
///
/// # Errors
/// The user said stop.
pub fn ask(
    plan: &Plan,
    facts: BTreeMap<String, String>,
    world: &mut dyn World,
    space: &mut Workspace,
    jobs: usize,
) -> Result<Survey, Problem> {
    let mut asker = Asker {
        plan,
        facts,
        space,
        answers: Answers::new(),
        heard: BTreeMap::new(),
        running: BTreeMap::new(),
        next: FIRST,
    };
    loop {
        while asker.ask_more(world, jobs) {}
        if asker.running.is_empty() {
            return Ok(Survey { answers: asker.answers, facts: asker.facts });
        }
        asker.listen(world)?;
    }
}

/// What a call is told apart by.
type Words = (Tool, Vec<String>, Vec<u8>, Vec<(String, String)>);

struct Asker<'a> {
    plan: &'a Plan,
    facts: BTreeMap<String, String>,
    space: &'a mut Workspace,
    answers: Answers,
    /// What was said to each call that ended.
    heard: BTreeMap<Words, (Duration, Output)>,
    /// Calls that run, and until when.
    running: BTreeMap<TaskId, (Words, Duration)>,
    next: TaskId,
}

impl Asker<'_> {
    /// Goes through all open questions once; whether anything changed.
    fn ask_more(&mut self, world: &mut dyn World, jobs: usize) -> bool {
        let mut changed = false;
        for step in &self.plan.steps {
            if !self.answers.contains_key(&step.id) && self.is_next(step) {
                changed |= self.turn(step, world, jobs);
            }
        }
        changed
    }

    fn is_next(&self, step: &Step) -> bool {
        let there = |id: &StepKey| self.plan.step(id).is_none() || self.answers.contains_key(id);
        step.needs.iter().chain(&step.after).all(there)
    }

    /// One question: answered now, or begun if there is a place. Whether anything changed.
    fn turn(&mut self, step: &Step, world: &mut dyn World, jobs: usize) -> bool {
        let now = world.now();
        let open = |need: &&StepKey| self.answers.get(*need).is_some_and(|answer| answer.state != State::So);
        if let Some(need) = step.needs.iter().find(open) {
            let root = match &self.answers[need].state {
                State::NotAsked(root) => root.clone(),
                _ => need.clone(),
            };
            return self.answer(step, now, None, State::NotAsked(root));
        }
        let task = self.next;
        let call = match complete::call(task, &step.done_when.ask, &self.plan.files, &self.facts, self.space) {
            Ok(call) => call,
            Err(reason) => return self.answer(step, now, None, State::Unknown(reason)),
        };
        let words: Words = (call.tool, call.args.clone(), call.stdin.clone(), call.env.clone());
        if let Some((at, output)) = self.heard.get(&words).cloned() {
            return self.judge(step, at, output);
        }
        if self.running.len() >= jobs || self.running.values().any(|(running, _)| *running == words) {
            return false;
        }
        self.begin(call, words, step.done_when.ask.tool, now + step.limits.ask.min(PATIENCE), world);
        true
    }

    fn begin(&mut self, call: Call, words: Words, tool: Tool, until: Duration, world: &mut dyn World) {
        if tool == Tool::Own
            && let Some(output) = own::answer(&call, self.space)
        {
            self.heard.insert(words, (world.now(), output));
            return;
        }
        self.running.insert(call.task, (words, until));
        self.next += 1;
        world.start(call);
    }

    fn answer(&mut self, step: &Step, at: Duration, output: Option<Output>, state: State) -> bool {
        let output = output.filter(|_| !step.done_when.ask.hushed());
        self.answers.insert(step.id.clone(), Answer { at, output, state });
        true
    }

    fn judge(&mut self, step: &Step, at: Duration, mut output: Output) -> bool {
        let Asker { plan, facts, space, .. } = self;
        let mut value = |token: Token<'_>| match token {
            Token::Fact(name) => facts.get(name).cloned(),
            Token::Digest(file) => complete::digest(file, &plan.files, facts, space),
            Token::Secret(_) => None,
        };
        let state = match step.done_when.want.complete(&mut value) {
            Err(lacking) => State::Unknown(format!("nobody knows {}", lacking.join(", "))),
            Ok(want) if want.holds(&output) => State::So,
            Ok(_) if matches!(output.exit, Exit::TimedOut | Exit::Stopped) => {
                State::Unknown("no answer in time".into())
            }
            Ok(want) => {
                let mut is = |case: &&plan::Case| case.when.complete(&mut value).is_ok_and(|w| w.holds(&output));
                let case = step.instead.iter().find(|case| is(case)).map(|case| case.name);
                let secret = step.done_when.ask.hushed();
                let why = if secret { "the answer is secret".to_owned() } else { want.explain(&output) };
                State::Not { case, why: self.space.scrub(&why).into_owned() }
            }
        };
        if state == State::So {
            let learnt = step.done_when.ask.learn.iter().filter(|learn| !learn.secret);
            self.facts.extend(learnt.filter_map(|learn| Some((learn.name.clone(), learn.from.read(&output)?))));
        }
        for text in [&mut output.stdout, &mut output.stderr] {
            *text = self.space.scrub(text).into_owned();
        }
        self.answer(step, at, Some(output), state)
    }

    /// Waits for one thing to happen; ends what takes too long.
    fn listen(&mut self, world: &mut dyn World) -> Result<(), Problem> {
        let until = self.running.values().map(|(_, until)| *until).min();
        match world.wait(until) {
            Event::Ended(task, output) => {
                if let Some((words, _)) = self.running.remove(&task) {
                    self.heard.insert(words, (world.now(), output));
                }
            }
            Event::Interrupt => {
                self.running.keys().for_each(|task| world.kill(*task, true));
                return Err(Problem::new("stopped"));
            }
            _ => {
                let now = world.now();
                let late: BTreeSet<TaskId> =
                    self.running.iter().filter(|(_, (_, until))| *until <= now).map(|(task, _)| *task).collect();
                for task in late {
                    world.kill(task, true);
                    if let Some((words, _)) = self.running.remove(&task) {
                        self.heard.insert(words, (now, Output::of(Exit::TimedOut)));
                    }
                }
            }
        }
        Ok(())
    }
}
