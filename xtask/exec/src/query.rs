//! Asks without changing anything: the probes of a plan, or single commands. Nothing of it is written down.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::driver::Execution;
use crate::workspace::Workspace;
use plan::survey::{Answers, PATIENCE};
use plan::{Expect, Plan, StepKey};
use tool::{Call, Command, Event, Exit, Output, Stdin, TaskId, World};

/// How often a question without an answer is asked, and the seconds between, where others judge the outputs.
const ATTEMPTS: (u32, u64) = (3, 3);
/// Commands at once: charts are rendered by as many processes, and a repository is asked as often.
const AT_ONCE: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

/// Outputs, and when each came by the world's clock.
pub type Outputs = BTreeMap<StepKey, (Output, Duration)>;

pub struct Survey {
    pub answers: Answers,
    /// Facts as they are now; where there was no answer, as they were last known.
    pub facts: BTreeMap<String, String>,
}

/// Asks every probe of a plan once, and judges it by the step's expectations. Secrets are taken out of the answers.
///
/// # Errors
/// The user interrupted.
pub fn check(
    plan: &Plan,
    facts: BTreeMap<String, String>,
    world: &mut dyn World,
    space: &mut Workspace,
    jobs: usize,
) -> Result<Survey, Interrupted> {
    let mut plan = plan.clone();
    for step in &mut plan.steps {
        step.limits.ask = step.limits.ask.min(PATIENCE);
        step.limits.attempts = 1;
    }
    let (mut answers, facts) = ask(&plan, facts, world, space, jobs)?;
    for step in &plan.steps {
        let Some(answer) = answers.get_mut(&step.id) else { continue };
        answer.redact(step.done_when.ask.sensitive(), |text| space.redact(text).into_owned());
    }
    Ok(Survey { answers, facts })
}

/// Asks every probe of a plan, for its output alone: a need is met by any command that succeeds, and one that fails is
/// asked again. A step whose needs are not met has no output. Facts that are captured are added.
///
/// # Errors
/// The user interrupted.
pub fn outputs(
    plan: &Plan,
    facts: &mut BTreeMap<String, String>,
    world: &mut dyn World,
    space: &mut Workspace,
    jobs: usize,
) -> Result<Outputs, Interrupted> {
    let mut plan = plan.clone();
    for step in &mut plan.steps {
        step.done_when.want = Expect::Exit(0);
        step.remedies.clear();
        step.limits = step.limits.attempts(ATTEMPTS.0, ATTEMPTS.1);
    }
    let answers;
    (answers, *facts) = ask(&plan, std::mem::take(facts), world, space, jobs)?;
    Ok(answers.into_iter().filter_map(|(key, answer)| Some((key, (answer.output?, answer.at)))).collect())
}

fn ask(
    plan: &Plan,
    facts: BTreeMap<String, String>,
    world: &mut dyn World,
    space: &mut Workspace,
    jobs: usize,
) -> Result<(Answers, BTreeMap<String, String>), Interrupted> {
    let mut execution = Execution::query(plan, facts, jobs);
    let outcome = loop {
        if let Some(outcome) = execution.turn(world, space, &mut |_, _| {}) {
            break outcome;
        }
    };
    let engine = execution.engine();
    if outcome.interrupted { Err(Interrupted) } else { Ok((engine.answers(), engine.facts().clone())) }
}

/// Runs commands that belong to no plan, each with a time limit; the outputs in their order. Tokens in them stay.
///
/// # Errors
/// The user interrupted.
pub fn commands(world: &mut dyn World, commands: &[Command], limit: Duration) -> Result<Vec<Output>, Interrupted> {
    let mut outputs: Vec<Option<Output>> = commands.iter().map(|_| None).collect();
    // Until when each may take; nothing for one that was ended for its time.
    let mut running: BTreeMap<TaskId, Option<Duration>> = BTreeMap::new();
    let mut next = 0;
    while next < commands.len() || !running.is_empty() {
        while next < commands.len() && running.len() < AT_ONCE {
            running.insert(next as TaskId, Some(world.now() + limit));
            world.start(call(next as TaskId, &commands[next]));
            next += 1;
        }
        match world.wait(running.values().flatten().min().copied()) {
            // One that was ended for its time has its output already.
            Event::Ended(task, output) if running.remove(&task).is_some() => {
                outputs[task as usize].get_or_insert(output);
            }
            Event::Interrupt => {
                running.keys().for_each(|task| world.kill(*task, true));
                return Err(Interrupted);
            }
            _ => {}
        }
        let is_late = |end: &Option<Duration>| end.is_some_and(|end| end <= world.now());
        let late: Vec<TaskId> = running.iter().filter(|(_, end)| is_late(end)).map(|(task, _)| *task).collect();
        for task in late {
            world.kill(task, true);
            // Its end is waited for, lest it be taken for that of a later command.
            running.insert(task, None);
            outputs[task as usize] = Some(Output::of(Exit::TimedOut));
        }
    }
    Ok(outputs.into_iter().map(|output| output.expect("bug: every command has an output")).collect())
}

/// Runs one.
///
/// # Errors
/// The user interrupted.
pub fn command(world: &mut dyn World, command: Command, limit: Duration) -> Result<Output, Interrupted> {
    Ok(commands(world, &[command], limit)?.remove(0))
}

fn call(task: TaskId, command: &Command) -> Call {
    let stdin = match &command.stdin {
        Stdin::Closed => vec![],
        Stdin::Text(text) => text.clone().into_bytes(),
        Stdin::File(file) => panic!("bug: a command of no plan is fed a file of a plan: {file}"),
    };
    Call { task, tool: command.tool, args: command.args.clone(), stdin, env: command.env.clone(), acts: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::Step;
    use std::collections::VecDeque;
    use tool::Tool;

    /// Answers each call with its first argument; `hang` never, `stop` with an interrupt.
    #[derive(Default)]
    struct Echo {
        now: Duration,
        ready: VecDeque<Event>,
        most: usize,
        running: usize,
        started: Vec<TaskId>,
        killed: Vec<TaskId>,
    }

    impl World for Echo {
        fn now(&self) -> Duration {
            self.now
        }

        fn start(&mut self, call: Call) {
            self.running += 1;
            self.started.push(call.task);
            self.most = self.most.max(self.running);
            match call.args[0].as_str() {
                "hang" => {}
                "stop" => self.ready.push_back(Event::Interrupt),
                word => {
                    let code = i32::from(word == "fail");
                    let output = Output { stdout: word.to_owned(), ..Output::of(Exit::Code(code)) };
                    self.ready.push_back(Event::Ended(call.task, output));
                }
            }
        }

        fn kill(&mut self, task: TaskId, _: bool) {
            self.killed.push(task);
            self.ready.push_back(Event::Ended(task, Output::of(Exit::Signal(9))));
        }

        fn wait(&mut self, until: Option<Duration>) -> Event {
            let event = self.ready.pop_back().unwrap_or(Event::Tick);
            match event {
                Event::Tick => self.now = until.unwrap(),
                _ => self.running -= 1,
            }
            event
        }
    }

    fn run(words: &str) -> (Result<Vec<Output>, Interrupted>, Echo) {
        let mut world = Echo::default();
        let asked: Vec<Command> = words.split(' ').map(|w| Command::ask(Tool::Helm, [w])).collect();
        (commands(&mut world, &asked, Duration::from_secs(60)), world)
    }

    #[test]
    fn outputs_come_in_the_order_of_the_commands() {
        let (outputs, world) = run("a b c d e f");
        let words: Vec<String> = outputs.unwrap().into_iter().map(|output| output.stdout).collect();
        assert_eq!((words.join(" ").as_str(), world.most), ("a b c d e f", AT_ONCE));
    }

    #[test]
    fn a_command_that_hangs_is_ended_and_the_others_go_on() {
        let (outputs, world) = run("a hang b hang hang hang c");
        let words: Vec<String> = outputs.unwrap().iter().map(|o| format!("{}{:?}", o.stdout, o.exit)).collect();
        let (a, late) = (|word: &str| format!("{word}Code(0)"), "TimedOut".to_owned());
        assert_eq!(words, [a("a"), late.clone(), a("b"), late.clone(), late.clone(), late, a("c")]);
        assert_eq!(world.killed, [1, 3, 4, 5]);
    }

    #[test]
    fn an_interrupt_kills_running_commands() {
        let (outputs, world) = run("hang stop");
        assert_eq!(outputs, Err(Interrupted));
        assert_eq!(world.killed, [0, 1]);
    }

    /// Prints a line a second until it is killed.
    struct Talker(Duration, Option<Event>);

    impl World for Talker {
        fn now(&self) -> Duration {
            self.0
        }

        fn start(&mut self, _: Call) {}

        fn kill(&mut self, task: TaskId, _: bool) {
            self.1 = Some(Event::Ended(task, Output::of(Exit::Signal(9))));
        }

        fn wait(&mut self, _: Option<Duration>) -> Event {
            self.0 += Duration::from_secs(1);
            self.1.take().unwrap_or(Event::Line(0, "v4".into()))
        }
    }

    #[test]
    fn output_without_a_pause_gives_no_more_time() {
        let mut world = Talker(Duration::ZERO, None);
        let limit = Duration::from_secs(60);
        let output = command(&mut world, Command::ask(Tool::Helm, ["version"]), limit).unwrap();
        assert_eq!((output.exit, world.0), (Exit::TimedOut, limit + Duration::from_secs(1)));
    }

    /// The answers of a plan whose steps ask `helm WORDS`, each as `name: words needs`, and the commands that ran.
    fn asked(steps: &[(&str, &str, &[&str])], all: bool) -> (Vec<(String, String)>, Vec<TaskId>) {
        let step = |(id, words, needs): &(&str, &str, &[&str])| {
            let ask = Command::ask(Tool::Helm, words.split(' '));
            Step::new((*id).into(), *id, ask, Expect::Stdout("yes".into())).needs(needs.iter().copied())
        };
        let steps = steps.iter().map(step).collect();
        let plan = Plan { name: "sample", steps, files: BTreeMap::new(), pools: BTreeMap::new() };
        let mut world = Echo::default();
        let mut space = Workspace::in_memory();
        let mut facts = BTreeMap::new();
        let answers = match all {
            true => {
                let outputs = outputs(&plan, &mut facts, &mut world, &mut space, 2).unwrap();
                outputs.into_iter().map(|(key, (output, _))| (key.to_string(), output.stdout)).collect()
            }
            false => {
                let survey = check(&plan, facts, &mut world, &mut space, 2).unwrap();
                survey
                    .answers
                    .into_iter()
                    .map(|(key, answer)| (key.to_string(), format!("{:?}", answer.state)))
                    .collect()
            }
        };
        (answers, world.started)
    }

    #[test]
    fn every_step_has_an_answer_and_the_same_command_runs_once() {
        let steps: &[(&str, &str, &[&str])] = &[
            ("e", "yes", &["d"]),
            ("d", "yes", &["b"]),
            ("a", "yes", &[]),
            ("b", "no", &["a", "elsewhere"]),
            ("c", "no", &["a"]),
            ("f", "hang", &[]),
            ("g", "yes <fact:x>", &[]),
        ];
        let (answers, started) = asked(steps, false);
        let no = r#"Differs { remedy: None, why: "stdout: expected \"yes\", got \"no\"" }"#;
        let states = [
            ("a", "Matches"),
            ("b", no),
            ("c", no),
            ("d", "NotAsked(\"b\")"),
            ("e", "NotAsked(\"b\")"),
            ("f", "NoAnswer(\"no answer in time\")"),
            ("g", "NoAnswer(\"unresolved values: <fact:x>\")"),
        ];
        assert_eq!(answers, states.map(|(step, state)| (step.to_owned(), state.to_owned())));
        assert_eq!(started.len(), 3, "yes, no, hang");
    }

    #[test]
    fn outputs_ignore_expectations() {
        let steps: &[(&str, &str, &[&str])] = &[("a", "no", &[]), ("b", "fail", &["a"]), ("c", "yes", &["b"])];
        let (outputs, started) = asked(steps, true);
        assert_eq!(outputs, [("a", "no"), ("b", "fail")].map(|(step, word)| (step.to_owned(), word.to_owned())));
        assert_eq!(started.len(), 4, "a failure is asked again");
    }
}
