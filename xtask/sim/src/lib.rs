//! The embedded world: the same commands, answered by simulated tools in virtual time, with faults from a seed.
//! Knows nothing of plans or fleets; what the tools know stands in [`Stage`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use tool::{Call, Event, Exit, Output, TaskId, Tool, World};

mod admission;
mod ask;
mod baseline;
mod catalog;
mod cilium;
mod clockwork;
mod cluster;
mod controllers;
mod copies;
mod curl;
mod director;
mod docker;
mod end;
mod faults;
mod flags;
mod guest;
mod health;
mod helm;
mod kubeadm;
mod kubeadm_keys;
mod kubeadm_rules;
mod kubectl;
mod lines;
mod mesh;
mod mishap;
mod multipass;
mod net;
mod openssl;
mod outage;
mod own;
mod packages;
mod pki;
mod pods;
mod safe;
mod stage;
mod tar;
#[cfg(test)]
mod tests;
mod vault;
mod vms;
mod volumes;
mod workload;
mod yaml;

pub use ask::{Answer, Ask, Disk, MemoryDisk};
pub use catalog::knows as knows_chart;
pub use faults::{Faults, KINDS, Kind, Struck};
pub use mishap::{Breach, Mishap};
pub use net::Net;
pub use stage::{Machine, Stage};

/// A command that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Running {
    /// Nobody waits for an orphan: whoever started it is gone.
    task: Option<TaskId>,
    ask: Ask,
    /// When the stage is asked next. `None`: it hangs.
    next: Option<Duration>,
    /// Order among those due at the same time.
    order: u64,
    fault: Option<Kind>,
    /// Lines it still prints, with their times.
    lines: Vec<(Duration, String)>,
    /// What it has said, if it is done and does not end.
    #[serde(default)]
    said: Option<Output>,
}

/// What is kept from one invocation to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Story {
    now: Duration,
    order: u64,
    stage: Stage,
    faults: Faults,
    running: Vec<Running>,
    crashed: bool,
}

/// The embedded world.
pub struct Rehearsal {
    story: Story,
    disk: Box<dyn Disk>,
    /// Ends that are known and not yet told.
    ended: Vec<(TaskId, Output)>,
}

impl Rehearsal {
    /// A new story on this stage.
    pub fn new(stage: Stage, faults: Faults, disk: Box<dyn Disk>) -> Self {
        let story = Story { now: Duration::ZERO, order: 0, stage, faults, running: vec![], crashed: false };
        Rehearsal { story, disk, ended: vec![] }
    }

    /// The story so far, as JSON.
    pub fn save(&self) -> String {
        serde_json::to_string(&self.story).unwrap_or_default()
    }

    /// Goes on with a saved story. Commands that ran when it was saved go on alone: whoever started them is gone.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn load(saved: &str, disk: Box<dyn Disk>) -> Result<Self, String> {
        let story: Story = serde_json::from_str(saved).map_err(|e| e.to_string())?;
        let mut world = Rehearsal { story, disk, ended: vec![] };
        world.outlive();
        Ok(world)
    }

    /// The same world once more, on another disk.
    pub fn copy(&self, disk: Box<dyn Disk>) -> Self {
        Rehearsal { story: self.story.clone(), disk, ended: self.ended.clone() }
    }

    /// Whoever drove it is gone, and what it had started goes on alone: what [`Rehearsal::load`] makes of a saved one.
    pub fn outlive(&mut self) {
        self.story.running.iter_mut().for_each(|running| running.task = None);
        self.story.crashed = false;
        self.ended.clear();
    }

    /// What the tools see.
    pub fn stage(&self) -> &Stage {
        &self.story.stage
    }

    /// The same, to arrange a scene.
    pub fn stage_mut(&mut self) -> &mut Stage {
        &mut self.story.stage
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.story.faults
    }

    /// From now on nothing goes wrong.
    pub fn calm(&mut self) {
        self.story.faults.calm();
    }

    /// Other faults from now on; the count of points starts again.
    pub fn with_faults(&mut self, faults: Faults) {
        self.story.faults = faults;
    }

    /// Places where a fault could strike, met so far.
    pub fn points(&self) -> u64 {
        self.story.faults.points()
    }

    /// Whether our own process is to die now: the driver stops calling, saves, and loads again later.
    pub fn crashed(&self) -> bool {
        self.story.crashed
    }

    /// Command lines that no simulated tool knows.
    pub fn unknown(&self) -> &[String] {
        self.story.stage.unknown()
    }

    /// Where everything stands, without times, addresses and numbers that may differ between equal ends.
    pub fn summary(&mut self) -> serde_json::Value {
        self.story.stage.summary(self.story.now)
    }

    /// What happens next, before `until`: a line, or a command's turn.
    fn turn(&mut self, until: Option<Duration>) -> Option<Turn> {
        let due = |r: &Running| r.next.map(|next| (next, r.order));
        let command = self.story.running.iter().filter_map(due).min();
        let line = self.story.running.iter().filter_map(|r| r.lines.first().map(|(at, _)| (*at, r.order))).min();
        let (turn, at) = match (command, line) {
            (_, Some((at, order))) if command.is_none_or(|(next, _)| at < next) => (Turn::Line(order), at),
            (Some((next, order)), _) => (Turn::Command(order), next),
            _ => return None,
        };
        if until.is_some_and(|until| until < at) {
            return None;
        }
        self.story.now = self.story.now.max(at);
        Some(turn)
    }

    /// Asks the stage for one command; its output if it ended.
    fn ask(&mut self, order: u64) -> Option<(Option<TaskId>, Output)> {
        let index = self.story.running.iter().position(|r| r.order == order)?;
        let mut running = self.story.running.swap_remove(index);
        let answer = self.faulty(&mut running);
        match answer {
            Answer::Done(output) => Some((running.task, output)),
            Answer::Again(after) if after == Duration::MAX => {
                running.next = None;
                self.story.running.push(running);
                None
            }
            Answer::Again(after) => {
                let now = self.story.now;
                running.next = Some(now + after.max(Duration::from_millis(1)));
                if running.lines.is_empty() && running.task.is_some() {
                    running.lines = lines::of(&running.ask, now, after);
                }
                self.story.running.push(running);
                None
            }
        }
    }

    /// The stage's answer, or what a fault makes of it.
    fn faulty(&mut self, running: &mut Running) -> Answer {
        let Story { stage, faults, now, crashed, .. } = &mut self.story;
        let disk = self.disk.as_mut();
        let first = running.next == Some(running.ask.since);
        match running.fault {
            Some(Kind::Fail | Kind::Download) => return Answer::Done(broken(&running.ask)),
            Some(Kind::Hang) => return Answer::Again(Duration::MAX),
            Some(kind @ (Kind::Reboot | Kind::Readdress | Kind::Stop | Kind::Delete | Kind::Refuse)) if first => {
                let which = faults.roll(1 << 20) as usize;
                stage.disturb(kind, which, *now);
            }
            Some(Kind::Crash) if first => *crashed = true,
            Some(Kind::Slept) if !first => {
                running.fault = None;
                stage.sleep(clockwork::NIGHT);
            }
            _ => {}
        }
        let answer = stage.answer(&running.ask, *now, disk);
        match (running.fault, answer) {
            (Some(Kind::FailDone), Answer::Done(output)) => {
                Answer::Done(Output { exit: Exit::Code(1), stdout: String::new(), ..output })
            }
            (Some(Kind::Cut), Answer::Done(output)) => {
                let half = output.stdout.char_indices().nth(output.stdout.chars().count() / 2).map_or(0, |(at, _)| at);
                Answer::Done(Output { stdout: output.stdout[..half].to_owned(), ..output })
            }
            // Not at the first question: until then it only starts.
            (Some(Kind::Signal), Answer::Again(_)) if !first => {
                stage.killed(&running.ask, true, *now);
                Answer::Done(Output::of(Exit::Signal(9)))
            }
            (Some(Kind::Signal), Answer::Done(_)) => Answer::Done(Output::of(Exit::Signal(9))),
            (Some(Kind::LaunchTimeout), Answer::Again(_)) if !first => Answer::Done(multipass::timed_out()),
            (Some(Kind::Half), Answer::Again(_)) if !first => Answer::Done(stage.halved(&running.ask, *now)),
            (Some(Kind::HangDone), Answer::Done(output)) => {
                running.said = Some(output);
                Answer::Again(Duration::MAX)
            }
            (Some(kind @ (Kind::KillGroup | Kind::PowerCut)), answer)
                if running.task.is_some() && (!first || matches!(answer, Answer::Done(_))) =>
            {
                self.perish(&running.ask, kind);
                Answer::Done(Output::of(Exit::Signal(9)))
            }
            (_, answer) => answer,
        }
    }

    /// Our own process goes, and with it all that it runs: this command and the others.
    fn perish(&mut self, ask: &Ask, kind: Kind) {
        let Story { stage, faults, now, crashed, running, .. } = &mut self.story;
        *crashed = true;
        let dies = |r: &Running| r.task.is_some() || kind == Kind::PowerCut;
        let (gone, left) = std::mem::take(running).into_iter().partition(dies);
        *running = left;
        let gone: Vec<Running> = gone;
        for ask in gone.iter().map(|r| &r.ask).chain([ask]) {
            stage.killed(ask, true, *now);
        }
        if kind == Kind::PowerCut {
            stage.power_cut(faults.roll(1 << 20) as usize, *now);
        }
    }
}

enum Turn {
    Line(u64),
    Command(u64),
}

/// What a tool says when the fault is not its own: the texts are the tools', the reason is the network's.
fn broken(ask: &Ask) -> Output {
    let text = match ask.tool {
        Tool::Multipass if ask.args.first().is_some_and(|a| a == "exec") => {
            return ask::refused(2, "exec failed: ssh connection failed: 'Connection reset by peer'");
        }
        Tool::Multipass => "cannot connect to the multipass socket",
        Tool::Helm => "Error: Get \"https://example.invalid\": net/http: TLS handshake timeout",
        Tool::Kubectl => "Unable to connect to the server: net/http: TLS handshake timeout",
        Tool::Curl => "curl: (56) Recv failure: Connection reset by peer",
        Tool::Tar => "tar: Error is not recoverable: exiting now",
        _ => "error: interrupted",
    };
    ask::refused(if ask.tool == Tool::Kubectl && ask.args.iter().any(|a| a == "diff") { 2 } else { 1 }, text)
}

impl World for Rehearsal {
    fn now(&self) -> Duration {
        self.story.now
    }

    fn start(&mut self, call: Call) {
        let run = self.story.stage.next_run();
        let since = self.story.now;
        let Call { task, tool, args, stdin, env } = call;
        let ask = Ask { run, tool, args, stdin, env, since };
        let fault = self.story.faults.strike(&ask);
        self.story.order += 1;
        let order = self.story.order;
        self.story.running.push(Running {
            task: Some(task),
            ask,
            next: Some(since),
            order,
            fault,
            lines: vec![],
            said: None,
        });
    }

    fn kill(&mut self, task: TaskId, hard: bool) {
        let Some(index) = self.story.running.iter().position(|r| r.task == Some(task)) else { return };
        let running = self.story.running.remove(index);
        let mut output = self.story.stage.killed(&running.ask, hard, self.story.now);
        if let Some(said) = running.said {
            output = Output { exit: output.exit, ..said };
        }
        self.ended.push((task, output));
    }

    fn wait(&mut self, until: Option<Duration>) -> Event {
        loop {
            if !self.ended.is_empty() {
                let (task, output) = self.ended.remove(0);
                return Event::Ended(task, output);
            }
            match self.turn(until) {
                None => {
                    self.story.now = self.story.now.max(until.unwrap_or_default());
                    return Event::Tick;
                }
                Some(Turn::Line(order)) => {
                    let Some(running) = self.story.running.iter_mut().find(|r| r.order == order) else { continue };
                    let (_, line) = running.lines.remove(0);
                    if let Some(task) = running.task {
                        return Event::Line(task, line);
                    }
                }
                Some(Turn::Command(order)) => {
                    if let Some((Some(task), output)) = self.ask(order) {
                        return Event::Ended(task, output);
                    }
                }
            }
        }
    }
}
