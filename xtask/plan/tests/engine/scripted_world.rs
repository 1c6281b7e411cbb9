//! A scripted world for tests: the text of a command to its answers, in virtual time, and a log of what the engine did.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use plan::engine::{Action, Engine, Outcome, StepEvent};
use tool::{Event, Exit, Output, TaskId};

/// One answer: after how many seconds, and what. Without a time it hangs.
#[derive(Debug, Clone)]
pub struct Answer {
    after: Option<u64>,
    output: Output,
    /// What it takes to end it while it hangs: 0 a polite word, 1 force, 2 nothing helps.
    stubborn: u8,
}

/// An answer after one second.
pub fn says(code: i32, stdout: &str) -> Answer {
    let output = Output { stdout: stdout.to_owned(), ..Output::of(Exit::Code(code)) };
    Answer { after: Some(1), output, stubborn: 0 }
}

/// `yes`, exit 0.
pub fn yes() -> Answer {
    says(0, "yes")
}

/// `no`, exit 0.
pub fn no() -> Answer {
    says(0, "no")
}

/// Nothing, exit 0.
pub fn well() -> Answer {
    says(0, "")
}

pub fn fails() -> Answer {
    says(1, "")
}

/// An end of that kind.
pub fn ends(exit: Exit) -> Answer {
    Answer { after: Some(1), output: Output::of(exit), stubborn: 0 }
}

/// No end, until it is asked so hard.
pub fn hangs(stubborn: u8) -> Answer {
    Answer { after: None, output: Output::of(Exit::Signal(15)), stubborn }
}

impl Answer {
    /// After so many seconds instead of one.
    pub fn after(mut self, seconds: u64) -> Answer {
        self.after = Some(seconds);
        self
    }

    pub(crate) fn stderr(mut self, text: &str) -> Answer {
        self.output.stderr = text.to_owned();
        self
    }
}

/// What happens besides the ends of commands.
#[derive(Debug, Clone, PartialEq)]
pub enum Outside {
    Interrupt,
    Lines,
}

#[derive(Debug, Default)]
pub struct ScriptedWorld {
    answers: BTreeMap<String, VecDeque<Answer>>,
    outside: BTreeMap<Duration, Outside>,
    digests: BTreeMap<String, String>,
    running: BTreeMap<TaskId, (String, Option<Duration>, Answer)>,
    /// What the engine did: `3s $ kubectl act a`.
    pub log: Vec<String>,
    pub actions: Vec<Action<'static>>,
}

impl ScriptedWorld {
    /// Nothing is known; an unknown command is a mistake of the test.
    pub fn new() -> ScriptedWorld {
        ScriptedWorld::default()
    }

    /// Answers to `kubectl COMMAND`, one after another; the last again and again.
    pub fn on(mut self, command: &str, answers: impl IntoIterator<Item = Answer>) -> ScriptedWorld {
        self.answers.insert(format!("kubectl {command}"), answers.into_iter().collect());
        self
    }

    pub(crate) fn on_multipass(mut self, command: &str, answers: impl IntoIterator<Item = Answer>) -> ScriptedWorld {
        self.answers.insert(format!("multipass {command}"), answers.into_iter().collect());
        self
    }

    /// Something from outside at that second, before any end.
    pub fn at(mut self, second: u64, what: Outside) -> ScriptedWorld {
        self.outside.insert(Duration::from_secs(second), what);
        self
    }

    pub fn digest(mut self, file: &str, digest: &str) -> ScriptedWorld {
        self.digests.insert(file.to_owned(), digest.to_owned());
        self
    }

    /// Drives the engine to its end.
    pub fn run(&mut self, mut engine: Engine<'_>) -> Outcome {
        let mut now = Duration::ZERO;
        let mut event = Event::Tick;
        for _ in 0..1000 {
            let mut inbox = VecDeque::from([event]);
            while let Some(event) = inbox.pop_front() {
                for action in engine.step(now, event) {
                    self.take(now, &action, &mut inbox);
                    self.actions.extend(lasting(action));
                }
            }
            if let Some(outcome) = engine.outcome() {
                return outcome;
            }
            (now, event) = self.next(now, &engine);
        }
        panic!("it does not end:\n{}", self.log.join("\n"));
    }

    /// The next thing to happen: what is from outside goes first, then ends, then time.
    fn next(&mut self, now: Duration, engine: &Engine<'_>) -> (Duration, Event) {
        let outside = self.outside.keys().next().copied();
        let end = self.running.iter().filter_map(|(task, (_, at, _))| at.map(|at| (at, *task))).min();
        let time = engine.deadline();
        let first = [outside, end.map(|(at, _)| at), time].into_iter().flatten().min();
        let at = first.unwrap_or_else(|| panic!("nothing will ever happen:\n{}", self.log.join("\n"))).max(now);
        if outside.is_some_and(|o| o <= at) {
            return match self.outside.pop_first() {
                Some((_, Outside::Lines)) => {
                    let task = self.running.keys().next().copied().unwrap_or(0);
                    (at, Event::Line(task, "a line".into()))
                }
                _ => (at, Event::Interrupt),
            };
        }
        match end.filter(|(end, _)| *end <= at).and_then(|(_, task)| Some((task, self.running.remove(&task)?))) {
            Some((task, (_, _, answer))) => (at, Event::Ended(task, answer.output)),
            None => (at, Event::Tick),
        }
    }

    fn take(&mut self, now: Duration, action: &Action<'_>, inbox: &mut VecDeque<Event>) {
        let said = match action {
            Action::Start { task, command, digests, .. } => {
                let text = command.to_string();
                self.start(now, *task, text.clone());
                let known = |file: &String| Event::Digest(file.clone(), self.digests[file].clone());
                inbox.extend(digests.iter().map(known));
                format!("$ {text}")
            }
            Action::CacheHit { task, step, asked_by, digests } => {
                let known = |file: &String| Event::Digest(file.clone(), self.digests[file].clone());
                inbox.extend(digests.iter().map(known));
                inbox.push_back(Event::CacheHit(*task));
                format!("{step} reuses the result of {asked_by}")
            }
            Action::Kill { task, hard } => {
                let (text, at, answer) = self.running.get_mut(task).expect("a kill of what does not run");
                if answer.stubborn <= u8::from(*hard) {
                    *at = Some(now);
                }
                format!("kill{} {text}", if *hard { " hard" } else { "" })
            }
            Action::Captured { name, value, secret } => {
                format!("learnt {}{name}={value}", if *secret { "secret " } else { "" })
            }
            Action::Event(note) => match describe(note) {
                Some(said) => said,
                None => return,
            },
        };
        self.log.push(format!("{}s {said}", now.as_secs()));
    }

    fn start(&mut self, now: Duration, task: TaskId, text: String) {
        let answers = self.answers.get_mut(&text).unwrap_or_else(|| panic!("the script has no `{text}`"));
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        let answer = answer.expect("an answer");
        let at = answer.after.map(|seconds| now + Duration::from_secs(seconds));
        self.running.insert(task, (text, at, answer));
    }
}

/// Actions that outlive the plan. A start does not: it lends a command of it, and is in the log.
fn lasting(action: Action<'_>) -> Option<Action<'static>> {
    Some(match action {
        Action::Start { .. } => return None,
        Action::CacheHit { task, step, asked_by, digests } => Action::CacheHit { task, step, asked_by, digests },
        Action::Kill { task, hard } => Action::Kill { task, hard },
        Action::Captured { name, value, secret } => Action::Captured { name, value, secret },
        Action::Event(note) => Action::Event(note),
    })
}

/// Notes in a few words; those that only repeat the commands are left out.
fn describe(note: &StepEvent) -> Option<String> {
    Some(match note {
        StepEvent::Checking(_) | StepEvent::Diagnosed { .. } | StepEvent::Running { .. } => return None,
        StepEvent::Unchanged(step) => format!("unchanged {step}"),
        StepEvent::Cause(step, cause) => format!("{step} waits for {cause}"),
        StepEvent::Line(step, line) => format!("{step} prints {line}"),
        StepEvent::Done { step, took, already_satisfied } => {
            format!("done {step} in {}s{}", took.as_secs(), if *already_satisfied { ", already satisfied" } else { "" })
        }
        StepEvent::Retrying { step, attempt, pause, failure } => {
            format!("retry {step} after {attempt} in {}s: {}", pause.as_secs(), failure.why)
        }
        StepEvent::Failed(failure) => {
            format!("failed {} {}/{}: {}", failure.step, failure.attempt, failure.attempts, failure.why)
        }
        StepEvent::Blocked(step, root) => format!("blocked {step} by {root}"),
        StepEvent::Skipped(step) => format!("skipped {step}"),
        StepEvent::Stopping => "stopping".to_owned(),
    })
}
