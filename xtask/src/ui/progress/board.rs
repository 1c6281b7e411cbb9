//! What is known of a run from its notes: which steps run since when, what ended how and took how long.
//! Knows nothing of terminals; the screen, the lines and the report read it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ui::format;
use plan::engine::StepEvent;
use plan::{Plan, Pool, Scope, StepKey};

/// What a step that is not over is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its probe is asked.
    Checking,
    /// It is being brought about.
    Acting,
    /// It pauses before the next attempt, until then.
    Pausing(Duration),
}

/// A step that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its name.
    pub step: StepKey,
    /// What it does, as a phrase.
    pub title: String,
    /// When it was first acted on; until then, when its probe was first asked.
    pub since: Duration,
    /// Whether it needs a place in a pool to be acted on. What it waits for one is not its own time.
    pub queues: bool,
    /// What it is at.
    pub state: State,
    /// The last line that a command of it printed.
    pub last: String,
    /// How many minutes of it have been told.
    minutes: u64,
}

impl Running {
    fn act(&mut self, now: Duration) {
        if self.state == State::Checking {
            self.since = now;
            // What the question was answered with is over: it says why something is done, not how that goes.
            self.last.clear();
        }
        self.state = State::Acting;
    }

    /// Whether it waits for a place in its pool: there is no note for that, but after the question there is no other
    /// reason to be neither over nor acted on.
    pub fn waits(&self) -> bool {
        self.queues && self.state == State::Checking
    }
}

/// Steps that share a bar: those of a cluster, or those of the machine itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// `app1`, or `host` for what belongs to no cluster.
    pub name: String,
    /// Chosen steps.
    pub total: usize,
    /// Done or kept.
    pub over: usize,
    /// Failed or blocked.
    pub failed: usize,
}

/// What is known of a run.
#[derive(Debug, Clone, Default)]
pub struct Board {
    /// A step that is not chosen may still be asked, where a chosen one needs it. It counts for no bar.
    chosen: BTreeSet<StepKey>,
    title: BTreeMap<StepKey, String>,
    queuing: BTreeSet<StepKey>,
    groups: Vec<Group>,
    running: Vec<Running>,
    times: BTreeMap<StepKey, Duration>,
    end: Duration,
}

/// The bar that a step counts for: its cluster, or the machine for `host`, `fleet` and `charts`.
pub fn group(step: &StepKey) -> &str {
    match step.scope() {
        Scope::Host | Scope::Fleet | Scope::Charts => Scope::Host.name(),
        scope => scope.name(),
    }
}

impl Board {
    /// A run that has not begun.
    pub fn new(plan: &Plan, chosen: &BTreeSet<StepKey>) -> Self {
        let mut board = Board::default();
        for step in &plan.steps {
            board.title.insert(step.id.clone(), step.title.clone());
            if step.pool != Pool::Free {
                board.queuing.insert(step.id.clone());
            }
            if chosen.contains(&step.id) {
                board.group_of(&step.id).total += 1;
            }
        }
        board.chosen.clone_from(chosen);
        board
    }

    /// Takes a note.
    pub fn see(&mut self, now: Duration, note: &StepEvent) {
        self.end = self.end.max(now);
        match note {
            StepEvent::Checking(step) => self.begin(step, now),
            StepEvent::Running { step, mutates: true, .. } => self.at(step, |it| it.act(now)),
            StepEvent::Running { mutates: false, .. } => {}
            StepEvent::Line(step, line) => self.at(step, |it| keep_last(&mut it.last, line)),
            StepEvent::Retrying { step, pause, .. } => self.at(step, |it| it.state = State::Pausing(now + *pause)),
            StepEvent::Unchanged(step) => self.over(step, now),
            StepEvent::Done { step, .. } => self.over(step, now),
            StepEvent::Failed(failure) => self.lost(&failure.step, now),
            StepEvent::Blocked(step, _) => self.count(step, |group| group.failed += 1),
            StepEvent::Diagnosed { .. } | StepEvent::Skipped(_) | StepEvent::Stopping => {}
        }
    }

    fn begin(&mut self, step: &StepKey, now: Duration) {
        if self.running.iter().all(|it| it.step != *step) {
            let title = self.title.get(step).cloned().unwrap_or_default();
            let queues = self.queuing.contains(step);
            let (step, last, state) = (step.clone(), String::new(), State::Checking);
            self.running.push(Running { step, title, since: now, queues, state, last, minutes: 0 });
        }
    }

    fn at(&mut self, step: &StepKey, change: impl FnOnce(&mut Running)) {
        if let Some(it) = self.running.iter_mut().find(|it| it.step == *step) {
            change(it);
        }
    }

    fn over(&mut self, step: &StepKey, now: Duration) {
        self.count(step, |group| group.over += 1);
        self.end_of(step, now);
    }

    fn lost(&mut self, step: &StepKey, now: Duration) {
        self.count(step, |group| group.failed += 1);
        self.end_of(step, now);
    }

    fn end_of(&mut self, step: &StepKey, now: Duration) {
        let since = self.running.iter().find(|it| it.step == *step).map_or(now, |it| it.since);
        self.times.insert(step.clone(), now.saturating_sub(since));
        self.running.retain(|it| it.step != *step);
    }

    fn count(&mut self, step: &StepKey, change: impl FnOnce(&mut Group)) {
        if self.chosen.contains(step) {
            change(self.group_of(step));
        }
    }

    fn group_of(&mut self, step: &StepKey) -> &mut Group {
        let name = group(step);
        let index = self.groups.iter().position(|g| g.name == name).unwrap_or_else(|| {
            self.groups.push(Group { name: name.to_owned(), total: 0, over: 0, failed: 0 });
            self.groups.len() - 1
        });
        &mut self.groups[index]
    }

    /// Each step that has run for one more whole minute since this was last asked, and for how many by now.
    pub fn minutes(&mut self, now: Duration) -> Vec<(Running, u64)> {
        let mut said = Vec::new();
        for it in &mut self.running {
            let minutes = now.saturating_sub(it.since).as_secs() / 60;
            if minutes > it.minutes && !it.waits() {
                it.minutes = minutes;
                said.push((it.clone(), minutes));
            }
        }
        said
    }

    /// Bars, in the order of the plan.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Steps that are not over, in the order in which they began.
    pub fn running(&self) -> &[Running] {
        &self.running
    }

    /// What a step does, as a phrase.
    pub fn title(&self, step: &StepKey) -> &str {
        self.title.get(step).map_or("", String::as_str)
    }

    /// How long each step took that is over; for one that was acted on, from then on.
    pub fn times(&self) -> &BTreeMap<StepKey, Duration> {
        &self.times
    }

    /// When the last note came, counted from the first: how long the run took.
    pub fn took(&self) -> Duration {
        self.end
    }
}

/// Empty lines say nothing, and JSON says it to programs, so the line before them stays.
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

    /// A short run: seconds and notes.
    pub(crate) fn told() -> Vec<(u64, StepEvent)> {
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
    fn groups_are_clusters_and_the_machine() {
        let groups = ["host/x", "charts/y", "fleet/z", "app1/cp/init"].map(|key| group(&key.into()).to_owned());
        assert_eq!(groups, ["host", "host", "host", "app1"]);
        let mut board = Board::new(&plan(), &plan().ids());
        told().iter().for_each(|(second, note)| board.see(Duration::from_secs(*second), note));
        let app1 = &board.groups()[1];
        assert_eq!((app1.name.as_str(), app1.total, app1.over, app1.failed), ("app1", 3, 1, 2));
        assert_eq!(board.took(), Duration::from_secs(100));
        assert_eq!(board.times()["app1/cp/launch"], Duration::from_secs(91));
        assert!(board.running().is_empty());
    }

    #[test]
    fn a_step_that_is_only_asked_counts_for_no_bar() {
        let mut board = Board::new(&plan(), &BTreeSet::from(["app1/cp/launch".into()]));
        told().iter().for_each(|(second, note)| board.see(Duration::from_secs(*second), note));
        let bars: Vec<_> = board.groups().iter().map(|g| (g.name.as_str(), g.over, g.total)).collect();
        assert_eq!(bars, [("app1", 1, 1)]);
    }

    #[test]
    fn waiting_for_a_place_is_not_a_steps_own_time() {
        let mut plan = plan();
        plan.steps[1].pool = Pool::Launch;
        let mut board = Board::new(&plan, &plan.ids());
        let second = Duration::from_secs;
        board.see(second(0), &StepEvent::Checking("app1/cp/launch".into()));
        assert!(board.minutes(second(100)).is_empty() && board.running()[0].waits());
        let (_, running) = told().remove(3);
        board.see(second(100), &running);
        let done = StepEvent::Done { step: "app1/cp/launch".into(), took: second(9), already_satisfied: false };
        board.see(second(109), &done);
        assert_eq!(board.times()["app1/cp/launch"], second(9));
    }

    #[test]
    fn a_row_ends_with_what_says_something_about_the_work() {
        let mut board = Board::new(&plan(), &plan().ids());
        let step = || StepKey::from("app1/cp/launch");
        let mut last = |note: &StepEvent| {
            board.see(Duration::ZERO, note);
            board.running()[0].last.clone()
        };
        let line = |line: &str| StepEvent::Line(step(), line.to_owned());
        assert_eq!(last(&StepEvent::Checking(step())), "");
        assert_eq!(last(&line("instance \"app1-cp\" does not exist\n")), "instance \"app1-cp\" does not exist");
        assert_eq!(last(&told()[3].1), "", "it is being made");
        assert_eq!(last(&line("Starting app1-cp\n")), "Starting app1-cp");
        assert_eq!(last(&line("{\"list\":[]}\n")), "Starting app1-cp");
    }

    #[test]
    fn each_minute_is_told_once() {
        let mut board = Board::new(&plan(), &plan().ids());
        board.see(Duration::ZERO, &StepEvent::Checking("host/helm".into()));
        let mut said = |second| board.minutes(Duration::from_secs(second)).len();
        assert_eq!([said(59), said(60), said(61), said(130), said(179)], [0, 1, 0, 1, 0]);
    }
}
