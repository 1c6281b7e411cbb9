//! Questions to the world outside of any plan: a few at once, each with a time limit, all answers in their order.
//! Knows nothing of what is asked, and asks nothing that changes something.

use std::collections::BTreeMap;
use std::time::Duration;

use super::exit::{INTERRUPTED, Stop};
use tool::{Call, World};
use tool::{Command, Exit, Output, Stdin};
use tool::{Event, TaskId};

/// Questions at once: charts are rendered by as many processes, and a repository is asked as often.
const AT_ONCE: usize = 4;

/// Asks all of them. Commands have no tokens in them.
///
/// # Errors
/// The user said stop.
pub fn all(world: &mut dyn World, commands: &[Command], limit: Duration) -> Result<Vec<Output>, Stop> {
    let mut answers: Vec<Option<Output>> = commands.iter().map(|_| None).collect();
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
            // One that was ended for its time has its answer already.
            Event::Ended(task, output) if running.remove(&task).is_some() => {
                answers[task as usize].get_or_insert(output);
            }
            Event::Interrupt => {
                running.keys().for_each(|task| world.kill(*task, true));
                return Err(Stop { code: INTERRUPTED, problems: vec![] });
            }
            _ => {}
        }
        let is_late = |end: &Option<Duration>| end.is_some_and(|end| end <= world.now());
        let late: Vec<TaskId> = running.iter().filter(|(_, end)| is_late(end)).map(|(task, _)| *task).collect();
        for task in late {
            world.kill(task, true);
            // Its end is waited for, lest it be taken for that of a later question.
            running.insert(task, None);
            answers[task as usize] = Some(Output::of(Exit::TimedOut));
        }
    }
    Ok(answers.into_iter().map(|answer| answer.expect("bug: every question has an answer")).collect())
}

/// Asks one.
///
/// # Errors
/// The user said stop.
pub fn one(world: &mut dyn World, command: Command, limit: Duration) -> Result<Output, Stop> {
    Ok(all(world, &[command], limit)?.remove(0))
}

fn call(task: TaskId, command: &Command) -> Call {
    assert!(!command.mutates, "bug: a question that changes something: {command}");
    let stdin = match &command.stdin {
        Stdin::Closed => vec![],
        Stdin::Text(text) => text.clone().into_bytes(),
        Stdin::File(file) => panic!("bug: a question is fed a file of a plan: {file}"),
    };
    Call { task, tool: command.tool, args: command.args.clone(), stdin, env: command.env.clone() }
}

/// Lines that are shown of what an error lists.
const LISTED: usize = 6;

/// Why an answer is none, in a sentence: the last line that calls itself an error, since advice may follow it (`Use
/// --debug flag to render out invalid YAML`, as Helm says after a template that fails), else the last line.
pub fn reason(output: &Output) -> String {
    let lines: Vec<&str> = output.stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let Some(last) = lines.len().checked_sub(1) else { return tool::expect::ending(&output.exit) };
    let at = lines.iter().rposition(|line| line.starts_with("Error: ")).unwrap_or(last);
    let line = lines[at].strip_prefix("Error: ").unwrap_or(lines[at]);
    // Helm lists below the error which values a schema does not take (measured on 3.18 and 4.1).
    let listed = if line.ends_with(':') { &lines[at + 1..] } else { &[] };
    [&[line], &listed[..listed.len().min(LISTED)]].concat().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use tool::Tool;

    /// Answers each call with its first argument; `hang` never, `stop` with an interrupt.
    #[derive(Default)]
    struct Echo {
        now: Duration,
        ready: VecDeque<Event>,
        most: usize,
        running: usize,
        killed: Vec<TaskId>,
    }

    impl World for Echo {
        fn now(&self) -> Duration {
            self.now
        }

        fn start(&mut self, call: Call) {
            self.running += 1;
            self.most = self.most.max(self.running);
            match call.args[0].as_str() {
                "hang" => {}
                "stop" => self.ready.push_back(Event::Interrupt),
                word => {
                    let output = Output { stdout: word.to_owned(), ..Output::of(Exit::Code(0)) };
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

    fn ask(words: &str) -> (Result<Vec<String>, Stop>, Echo) {
        let mut world = Echo::default();
        let commands: Vec<Command> = words.split(' ').map(|w| Command::ask(Tool::Helm, [w])).collect();
        let answers = all(&mut world, &commands, Duration::from_secs(60));
        let told = |o: Output| if o.ok() { o.stdout } else { reason(&o) };
        (answers.map(|all| all.into_iter().map(told).collect()), world)
    }

    #[test]
    fn answers_come_in_the_order_of_the_questions() {
        let (answers, world) = ask("a b c d e f");
        assert_eq!(answers.unwrap(), ["a", "b", "c", "d", "e", "f"]);
        assert_eq!(world.most, AT_ONCE);
    }

    #[test]
    fn the_reason_is_the_error_and_not_the_advice_after_it() {
        let said = |stderr: &str| reason(&Output { stderr: stderr.into(), ..Output::of(Exit::Code(1)) });
        let helm = "Error: template: a: unable to decode certificate\n\nUse --debug flag to render out invalid YAML\n";
        assert_eq!(said(helm), "template: a: unable to decode certificate");
        let schema = "Error: values don't fit:\nvelero:\n- at '/x': got object, want boolean\n\n";
        assert_eq!(said(schema), "values don't fit:\nvelero:\n- at '/x': got object, want boolean");
        assert_eq!([said("first\nlast\n"), said("")], ["last".to_owned(), tool::expect::ending(&Exit::Code(1))]);
    }

    #[test]
    fn who_hangs_is_ended_and_the_others_go_on() {
        let (answers, world) = ask("a hang b hang hang hang c");
        assert_eq!(answers.unwrap(), ["a", "timed out", "b", "timed out", "timed out", "timed out", "c"]);
        assert_eq!(world.killed, [1, 3, 4, 5]);
    }

    #[test]
    fn stop_is_stop() {
        let (answers, world) = ask("hang stop");
        assert_eq!(answers.unwrap_err().code, INTERRUPTED);
        assert_eq!(world.killed, [0, 1]);
    }
}
