//! Collects the state of a run from its events: running steps, results and times.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ui::format;
use plan::engine::StepEvent;
use plan::{Plan, Pool, Scope, StepKey};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Checking,
    Acting,
    /// Until the next attempt.
    Pausing(Duration),
}

/// A step that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub step: StepKey,
    pub title: String,
    /// Start of its first command; until then, of its first probe.
    pub since: Duration,
    /// Whether its commands need a place in a pool. Time spent waiting for one does not count as its own.
    pub queues: bool,
    pub state: State,
    /// The last line of its output.
    pub last: String,
    /// What keeps it from its end, if an observer has found that.
    pub cause: String,
    /// Minutes that were reported.
    minutes: u64,
}

impl Running {
    fn act(&mut self, now: Duration) {
        if self.state == State::Checking {
            self.since = now;
        }
        self.state = State::Acting;
    }

    /// What is shown of it: the cause, or else the last line.
    pub fn note(&self) -> &str {
        if self.cause.is_empty() { &self.last } else { &self.cause }
    }

    /// Whether it waits for a place in its pool. There is no event for that; after the probe there is no other reason to
    /// wait.
    pub fn is_queued(&self) -> bool {
        self.queues && self.state == State::Checking
    }
}

/// Selected steps that share a bar: those of a cluster, or of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// `app1`, or `host` for steps of no cluster.
    pub name: String,
    pub total: usize,
    /// Changed or unchanged.
    pub succeeded: usize,
    /// Or blocked.
    pub failed: usize,
}

#[derive(Debug, Clone, Default)]
pub struct Board {
    /// Other steps are checked too where these need them, but count for no bar.
    selected: BTreeSet<StepKey>,
    title: BTreeMap<StepKey, String>,
    queued: BTreeSet<StepKey>,
    groups: Vec<Group>,
    running: Vec<Running>,
    times: BTreeMap<StepKey, Duration>,
}

/// The group of steps of no cluster.
pub const HOST: &str = "host";

/// The bar that a step counts for: its cluster, or the machine for `host`, `fleet` and `charts`.
pub fn group(step: &StepKey) -> &str {
    match step.scope() {
        Scope::Host | Scope::Fleet | Scope::Charts | Scope::Tools => HOST,
        scope => scope.name(),
    }
}

impl Board {
    pub fn new(plan: &Plan, selected: &BTreeSet<StepKey>) -> Self {
        let mut board = Board::default();
        for step in &plan.steps {
            board.title.insert(step.id.clone(), step.title.clone());
            if step.pool != Pool::Free {
                board.queued.insert(step.id.clone());
            }
            if selected.contains(&step.id) {
                board.group_of(&step.id).total += 1;
            }
        }
        board.selected.clone_from(selected);
        board
    }

    pub fn event(&mut self, now: Duration, event: &StepEvent) {
        match event {
            StepEvent::Checking(step) => self.start(step, now),
            // A line belongs to the command that printed it.
            StepEvent::Running { step, mutates, .. } => self.update(step, |it| {
                it.last.clear();
                if *mutates {
                    it.act(now);
                }
            }),
            StepEvent::Cause(step, cause) => self.update(step, |it| it.cause.clone_from(cause)),
            StepEvent::Line(step, line) => self.update(step, |it| keep_last(&mut it.last, line)),
            StepEvent::Retrying { step, pause, .. } => self.update(step, |it| it.state = State::Pausing(now + *pause)),
            StepEvent::Unchanged(step) => self.succeed(step, now),
            StepEvent::Done { step, .. } => self.succeed(step, now),
            StepEvent::Failed(failure) => self.fail(&failure.step, now),
            StepEvent::Blocked(step, _) => self.count(step, |group| group.failed += 1),
            StepEvent::Diagnosed { .. } | StepEvent::Skipped(_) | StepEvent::Stopping => {}
        }
    }

    fn start(&mut self, step: &StepKey, now: Duration) {
        if self.running.iter().all(|it| it.step != *step) {
            let title = self.title.get(step).cloned().unwrap_or_default();
            let queues = self.queued.contains(step);
            let (step, last, cause, state) = (step.clone(), String::new(), String::new(), State::Checking);
            self.running.push(Running { step, title, since: now, queues, state, last, cause, minutes: 0 });
        }
    }

    fn update(&mut self, step: &StepKey, change: impl FnOnce(&mut Running)) {
        if let Some(it) = self.running.iter_mut().find(|it| it.step == *step) {
            change(it);
        }
    }

    fn succeed(&mut self, step: &StepKey, now: Duration) {
        self.count(step, |group| group.succeeded += 1);
        self.end_step(step, now);
    }

    fn fail(&mut self, step: &StepKey, now: Duration) {
        self.count(step, |group| group.failed += 1);
        self.end_step(step, now);
    }

    fn end_step(&mut self, step: &StepKey, now: Duration) {
        let since = self.running.iter().find(|it| it.step == *step).map_or(now, |it| it.since);
        self.times.insert(step.clone(), now.saturating_sub(since));
        self.running.retain(|it| it.step != *step);
    }

    fn count(&mut self, step: &StepKey, change: impl FnOnce(&mut Group)) {
        if self.selected.contains(step) {
            change(self.group_of(step));
        }
    }

    fn group_of(&mut self, step: &StepKey) -> &mut Group {
        let name = group(step);
        let index = self.groups.iter().position(|g| g.name == name).unwrap_or_else(|| {
            self.groups.push(Group { name: name.to_owned(), total: 0, succeeded: 0, failed: 0 });
            self.groups.len() - 1
        });
        &mut self.groups[index]
    }

    /// Steps that have run for another whole minute since the last call, with their minutes.
    pub fn minutes(&mut self, now: Duration) -> Vec<(Running, u64)> {
        let mut minutes_of = Vec::new();
        for it in &mut self.running {
            let minutes = now.saturating_sub(it.since).as_secs() / 60;
            if minutes > it.minutes && !it.is_queued() {
                it.minutes = minutes;
                minutes_of.push((it.clone(), minutes));
            }
        }
        minutes_of
    }

    /// In the order of the plan.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Whether a step is selected and has not ended.
    pub fn is_open(&self, step: &StepKey) -> bool {
        self.selected.contains(step) && !self.times.contains_key(step)
    }

    /// In the order in which they started.
    pub fn running(&self) -> &[Running] {
        &self.running
    }

    pub fn title(&self, step: &StepKey) -> &str {
        self.title.get(step).map_or("", String::as_str)
    }

    /// Times of ended steps; if a step ran commands, from the first one.
    pub fn times(&self) -> &BTreeMap<StepKey, Duration> {
        &self.times
    }
}

/// Ignores empty lines and JSON.
fn keep_last(last: &mut String, line: &str) {
    let line = format::strip_controls(line);
    let line = line.trim();
    if !line.is_empty() && !line.starts_with(['{', '[', '}', ']']) {
        line.clone_into(last);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use plan::engine::Failure;
    use plan::{Expect, Step};
    use tool::{Command, Exit, Output, Tool};

    pub(crate) fn step(id: &str, title: &str, needs: &[&str]) -> Step {
        Step::new(id.into(), title, Command::ask(Tool::Helm, ["version"]), Expect::Exit(0)).needs(needs.iter().copied())
    }

    pub(crate) fn plan() -> Plan {
        let steps = vec![
            step("host/helm", "find helm", &[]),
            step("app1/cp/launch", "launch VM app1-cp", &["host/helm"]),
            step("app1/cp/init", "make the control plane", &["app1/cp/launch"]),
            step("app1/w1/join", "join", &["app1/cp/init"]),
        ];
        Plan { name: "bootstrap", steps, files: BTreeMap::new(), pools: BTreeMap::new() }
    }

    pub(crate) fn failure(step: &str, code: i32, attempts: u32, took: u64) -> Box<Failure> {
        Box::new(Failure {
            step: step.into(),
            precondition: false,
            attempt: 1,
            attempts,
            command: Command::act(Tool::Docker, ["run", "image"]),
            output: Output { stderr: "launch failed\n".into(), ..Output::of(Exit::Code(code)) },
            took: Duration::from_secs(took),
            why: format!("exit {code}"),
        })
    }

    /// A short run: seconds and events.
    pub(crate) fn run() -> Vec<(u64, StepEvent)> {
        let launch = || StepKey::from("app1/cp/launch");
        let running = |attempt| StepEvent::Running {
            step: launch(),
            attempt,
            remedy: None,
            command: "docker run image".into(),
            mutates: true,
        };
        let again = StepEvent::Retrying {
            step: launch(),
            attempt: 1,
            pause: Duration::from_secs(5),
            failure: failure("app1/cp/launch", 2, 2, 70),
        };
        vec![
            (0, StepEvent::Checking("host/helm".into())),
            (0, StepEvent::Unchanged("host/helm".into())),
            (0, StepEvent::Checking(launch())),
            (0, running(1)),
            (50, StepEvent::Line(launch(), "Waiting for initialization to complete\r\n".into())),
            (61, StepEvent::Line(launch(), "\n".into())),
            (70, again),
            (75, running(2)),
            (91, StepEvent::Done { step: launch(), took: Duration::from_secs(91), already_satisfied: false }),
            (91, StepEvent::Checking("app1/cp/init".into())),
            (100, StepEvent::Failed(failure("app1/cp/init", 1, 1, 9))),
            (100, StepEvent::Blocked("app1/w1/join".into(), "app1/cp/init".into())),
        ]
    }

    #[test]
    fn groups_are_clusters_and_this_machine() {
        let groups = ["host/x", "charts/y", "fleet/z", "app1/cp/init"].map(|key| group(&key.into()).to_owned());
        assert_eq!(groups, ["host", "host", "host", "app1"]);
        let mut board = Board::new(&plan(), &plan().ids());
        run().iter().for_each(|(second, event)| board.event(Duration::from_secs(*second), event));
        let app1 = &board.groups()[1];
        assert_eq!((app1.name.as_str(), app1.total, app1.succeeded, app1.failed), ("app1", 3, 1, 2));
        assert_eq!(board.times()["app1/cp/launch"], Duration::from_secs(91));
        assert!(board.running().is_empty());
    }

    #[test]
    fn steps_that_are_not_selected_count_for_no_bar() {
        let mut board = Board::new(&plan(), &BTreeSet::from(["app1/cp/launch".into()]));
        run().iter().for_each(|(second, event)| board.event(Duration::from_secs(*second), event));
        let bars: Vec<_> = board.groups().iter().map(|g| (g.name.as_str(), g.succeeded, g.total)).collect();
        assert_eq!(bars, [("app1", 1, 1)]);
    }

    #[test]
    fn waiting_in_a_pool_does_not_count_as_a_steps_time() {
        let mut plan = plan();
        plan.steps[1].pool = Pool::Launch;
        let mut board = Board::new(&plan, &plan.ids());
        let second = Duration::from_secs;
        board.event(second(0), &StepEvent::Checking("app1/cp/launch".into()));
        assert!(board.minutes(second(100)).is_empty() && board.running()[0].is_queued());
        let (_, running) = run().remove(3);
        board.event(second(100), &running);
        let done = StepEvent::Done { step: "app1/cp/launch".into(), took: second(9), already_satisfied: false };
        board.event(second(109), &done);
        assert_eq!(board.times()["app1/cp/launch"], second(9));
    }

    #[test]
    fn the_last_line_is_output_of_the_commands() {
        let mut board = Board::new(&plan(), &plan().ids());
        let step = || StepKey::from("app1/cp/launch");
        let mut last = |event: &StepEvent| {
            board.event(Duration::ZERO, event);
            board.running()[0].last.clone()
        };
        let line = |line: &str| StepEvent::Line(step(), line.to_owned());
        assert_eq!(last(&StepEvent::Checking(step())), "");
        assert_eq!(last(&line("instance \"app1-cp\" does not exist\n")), "instance \"app1-cp\" does not exist");
        assert_eq!(last(&run()[3].1), "");
        assert_eq!(last(&line("Starting app1-cp\n")), "Starting app1-cp");
        assert_eq!(last(&line("{\"list\":[]}\n")), "Starting app1-cp");
    }

    #[test]
    fn each_minute_is_reported_once() {
        let mut board = Board::new(&plan(), &plan().ids());
        board.event(Duration::ZERO, &StepEvent::Checking("host/helm".into()));
        let mut steps = |second| board.minutes(Duration::from_secs(second)).len();
        assert_eq!([steps(59), steps(60), steps(61), steps(130), steps(179)], [0, 1, 0, 1, 0]);
    }
}
