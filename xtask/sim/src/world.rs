//! The simulated world: running commands in virtual time, and what faults make of their responses.

use serde::{Deserialize, Serialize};

use crate::faults::{Faults, Kind};
use crate::prelude::*;
use crate::{command_output, multipass};
use tool::{Call, Event, Exit, TaskId, Tool, World};

/// In which a command that is over its limit is ended.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Running {
    /// `None`: an orphan, since the process that started it is gone.
    task: Option<TaskId>,
    /// Until when it may take, if it changes something: until its end it holds the lock of its run.
    acts_until: Option<Duration>,
    request: Request,
    /// When it is polled next. `None`: it hangs.
    next: Option<Duration>,
    order: u64,
    fault: Option<Kind>,
    /// Output lines still to come, with their times.
    lines: Vec<(Duration, String)>,
    /// Output of a command that is done and hangs.
    output: Option<Output>,
}

/// What is saved from one invocation to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Saved {
    now: Duration,
    order: u64,
    state: SimState,
    faults: Faults,
    running: Vec<Running>,
    crashed: bool,
}

pub struct SimWorld {
    saved: Saved,
    disk: Box<dyn Disk>,
    /// Commands that ended and were not reported yet.
    ended: Vec<(TaskId, Output)>,
}

impl SimWorld {
    pub fn new(state: SimState, faults: Faults, disk: Box<dyn Disk>) -> Self {
        let saved = Saved { now: Duration::ZERO, order: 0, state, faults, running: vec![], crashed: false };
        SimWorld { saved, disk, ended: vec![] }
    }

    /// The world as JSON.
    pub fn save(&self) -> String {
        serde_json::to_string(&self.saved).unwrap_or_default()
    }

    /// Continues a saved world. Commands that ran when it was saved run on as orphans.
    ///
    /// # Errors
    /// What is wrong with the JSON.
    pub fn load(json: &str, disk: Box<dyn Disk>) -> Result<Self, String> {
        let saved: Saved = serde_json::from_str(json).map_err(|e| e.to_string())?;
        let mut world = SimWorld { saved, disk, ended: vec![] };
        world.orphan_children();
        Ok(world)
    }

    pub fn copy(&self, disk: Box<dyn Disk>) -> Self {
        SimWorld { saved: self.saved.clone(), disk, ended: self.ended.clone() }
    }

    /// The driving process is gone and its commands run on as orphans, as after [`SimWorld::load`].
    pub fn orphan_children(&mut self) {
        self.saved.running.iter_mut().for_each(|running| running.task = None);
        self.saved.crashed = false;
        self.ended.clear();
    }

    /// What a run waits for before it begins: commands of a killed one that change something. The user kills those that
    /// do not end in time, as the real run advises.
    pub fn await_orphans(&mut self) {
        let until =
            |world: &Self| world.saved.running.iter().filter(|r| r.task.is_none()).filter_map(|r| r.acts_until).max();
        while let Some(end) = until(self) {
            match self.next_event(Some(end)) {
                Some(NextEvent::Command(order)) => drop(self.poll(order)),
                Some(NextEvent::Line(order)) => {
                    self.saved.running.iter_mut().filter(|r| r.order == order).for_each(|r| drop(r.lines.remove(0)));
                }
                None => {
                    self.saved.now = self.saved.now.max(end);
                    let Saved { state, running, now, .. } = &mut self.saved;
                    let late = |r: &mut Running| r.task.is_none() && r.acts_until.is_some();
                    running.extract_if(.., late).for_each(|r| drop(state.terminate(&r.request, false, *now)));
                }
            }
        }
    }

    pub fn state(&self) -> &SimState {
        &self.saved.state
    }

    pub fn state_mut(&mut self) -> &mut SimState {
        &mut self.saved.state
    }

    pub fn faults(&self) -> &Faults {
        &self.saved.faults
    }

    pub fn disable_faults(&mut self) {
        self.saved.faults.disable();
    }

    /// Replaces the faults; injection points are counted from 0 again.
    pub fn with_faults(&mut self, faults: Faults) {
        self.saved.faults = faults;
    }

    pub fn points(&self) -> u64 {
        self.saved.faults.points()
    }

    /// Whether the driving process is to die now: it stops calling, saves, and loads again later.
    pub fn crashed(&self) -> bool {
        self.saved.crashed
    }

    /// Command lines that no simulated tool supports.
    pub fn unknown(&self) -> &[String] {
        self.saved.state.unknown()
    }

    /// The final state without times, addresses and numbers that differ between equivalent runs.
    pub fn summary(&mut self) -> serde_json::Value {
        self.saved.state.summary(self.saved.now)
    }

    /// The next event before `until`. Moves time to it.
    fn next_event(&mut self, until: Option<Duration>) -> Option<NextEvent> {
        let due = |r: &Running| r.next.map(|next| (next, r.order));
        let command = self.saved.running.iter().filter_map(due).min();
        let line = self.saved.running.iter().filter_map(|r| r.lines.first().map(|(at, _)| (*at, r.order))).min();
        let (event, at) = match (command, line) {
            (_, Some((at, order))) if command.is_none_or(|(next, _)| at < next) => (NextEvent::Line(order), at),
            (Some((next, order)), _) => (NextEvent::Command(order), next),
            _ => return None,
        };
        if until.is_some_and(|until| until < at) {
            return None;
        }
        self.saved.now = self.saved.now.max(at);
        Some(event)
    }

    /// Polls one command; its output if it ended.
    fn poll(&mut self, order: u64) -> Option<(Option<TaskId>, Output)> {
        let index = self.saved.running.iter().position(|r| r.order == order)?;
        let mut running = self.saved.running.swap_remove(index);
        match self.respond(&mut running) {
            Response::Done(output) => return Some((running.task, output)),
            Response::Pending(Duration::MAX) => running.next = None,
            Response::Pending(after) => {
                let now = self.saved.now;
                running.next = Some(now + after.max(Duration::from_millis(1)));
                if running.lines.is_empty() && running.task.is_some() {
                    running.lines = command_output::lines(&running.request, now, after);
                }
            }
        }
        self.saved.running.push(running);
        None
    }

    /// The tool's response, or what a fault makes of it.
    fn respond(&mut self, running: &mut Running) -> Response {
        let Saved { state, faults, now, crashed, .. } = &mut self.saved;
        let first = running.next == Some(running.request.since);
        match running.fault {
            Some(Kind::Fail | Kind::Download) => return Response::Done(injected_failure(&running.request)),
            Some(Kind::Hang) => return Response::Pending(Duration::MAX),
            Some(
                kind @ (Kind::Reboot
                | Kind::Readdress
                | Kind::Stop
                | Kind::Delete
                | Kind::Refuse
                | Kind::SlowGuest
                | Kind::DaemonBusy),
            ) if first => {
                let which = faults.random_below(1 << 20) as usize;
                state.apply_vm_fault(kind, which, *now);
            }
            Some(Kind::Crash) if first => *crashed = true,
            Some(Kind::Slept) if !first => {
                running.fault = None;
                state.sleep(timings::NIGHT);
            }
            _ => {}
        }
        let killed = Output::of(Exit::Signal(9));
        match (running.fault, state.answer(&running.request, *now, self.disk.as_mut())) {
            (Some(Kind::FailDone), Response::Done(output)) => {
                Response::Done(Output { exit: Exit::Code(1), stdout: String::new(), ..output })
            }
            (Some(Kind::Cut), Response::Done(output)) => {
                let half = output.stdout.char_indices().nth(output.stdout.chars().count() / 2).map_or(0, |(at, _)| at);
                Response::Done(Output { stdout: output.stdout[..half].to_owned(), ..output })
            }
            // Not at the first poll: until then it only starts.
            (Some(Kind::Signal), Response::Pending(_)) if !first => {
                state.terminate(&running.request, true, *now);
                Response::Done(killed)
            }
            (Some(Kind::Signal), Response::Done(_)) => Response::Done(killed),
            (Some(Kind::LaunchTimeout), Response::Pending(_)) if !first => {
                Response::Done(multipass::launch_timed_out())
            }
            (Some(Kind::Half), Response::Pending(_)) if !first => {
                Response::Done(state.abort_midway(&running.request, *now))
            }
            (Some(Kind::HangDone), Response::Done(output)) => {
                running.output = Some(output);
                Response::Pending(Duration::MAX)
            }
            (Some(kind @ (Kind::KillGroup | Kind::PowerCut)), response)
                if running.task.is_some() && (!first || matches!(response, Response::Done(_))) =>
            {
                self.kill_process(&running.request, kind);
                Response::Done(killed)
            }
            (_, response) => response,
        }
    }

    /// The driving process is killed with this command and its others; in a power cut orphans and VMs go too.
    fn kill_process(&mut self, request: &Request, kind: Kind) {
        let Saved { state, faults, now, crashed, running, .. } = &mut self.saved;
        *crashed = true;
        let dies = |r: &Running| r.task.is_some() || kind == Kind::PowerCut;
        let (killed, left): (Vec<Running>, _) = std::mem::take(running).into_iter().partition(dies);
        *running = left;
        for request in killed.iter().map(|r| &r.request).chain([request]) {
            state.terminate(request, true, *now);
        }
        if kind == Kind::PowerCut {
            state.power_cut(faults.random_below(1 << 20) as usize, *now);
        }
    }
}

/// By the order number of the command.
enum NextEvent {
    Line(u64),
    Command(u64),
}

/// Each tool's own text for a broken connection.
fn injected_failure(request: &Request) -> Output {
    let text = match request.tool {
        // Its Job is not done in time on a busy node (text recorded with kubeadm 1.35).
        Tool::Multipass if request.args.iter().any(|a| a.ends_with("/node-upgrade")) => {
            let job = "Job \"upgrade-health-check-1796012121816\" in the namespace \"kube-system\"";
            let why = format!("\t[ERROR CreateJob]: {job} did not complete in 15s: no condition of type Complete");
            let lines = [
                "[preflight] Some fatal errors occurred:",
                &why,
                "error: [upgrade/health] FATAL: preflight \
                checks failed",
                "To see the stack trace of this error execute with --v=5 or higher",
            ];
            return failure(1, lines.join("\n"));
        }
        Tool::Multipass if request.args.first().is_some_and(|a| a == "exec") => {
            return failure(2, "exec failed: ssh connection failed: 'Connection reset by peer'");
        }
        Tool::Multipass => "cannot connect to the multipass socket",
        Tool::Helm => "Error: Get \"https://example.invalid\": net/http: TLS handshake timeout",
        Tool::Kubectl => "Unable to connect to the server: net/http: TLS handshake timeout",
        Tool::Curl => "curl: (56) Recv failure: Connection reset by peer",
        Tool::Tar => "tar: Error is not recoverable: exiting now",
        _ => "error: interrupted",
    };
    failure(if request.tool == Tool::Kubectl && request.args.iter().any(|a| a == "diff") { 2 } else { 1 }, text)
}

impl World for SimWorld {
    fn now(&self) -> Duration {
        self.saved.now
    }

    fn start(&mut self, call: Call) {
        let run = self.saved.state.next_run();
        let since = self.saved.now;
        let Call { task, tool, args, stdin, env, acts } = call;
        let request = Request { run, tool, args, stdin, env, since };
        let fault = self.saved.faults.next_fault(&request);
        self.saved.order += 1;
        let order = self.saved.order;
        let (task, next, acts_until) = (Some(task), Some(since), acts.map(|limit| since + limit + GRACE));
        self.saved.running.push(Running { task, acts_until, request, next, order, fault, lines: vec![], output: None });
    }

    fn kill(&mut self, task: TaskId, hard: bool) {
        let Some(index) = self.saved.running.iter().position(|r| r.task == Some(task)) else { return };
        let running = self.saved.running.remove(index);
        let mut output = self.saved.state.terminate(&running.request, hard, self.saved.now);
        if let Some(done) = running.output {
            output = Output { exit: output.exit, ..done };
        }
        self.ended.push((task, output));
    }

    fn wait(&mut self, until: Option<Duration>) -> Event {
        loop {
            if !self.ended.is_empty() {
                let (task, output) = self.ended.remove(0);
                return Event::Ended(task, output);
            }
            match self.next_event(until) {
                None => {
                    self.saved.now = self.saved.now.max(until.unwrap_or_default());
                    return Event::Tick;
                }
                Some(NextEvent::Line(order)) => {
                    let Some(running) = self.saved.running.iter_mut().find(|r| r.order == order) else { continue };
                    let (_, line) = running.lines.remove(0);
                    if let Some(task) = running.task {
                        return Event::Line(task, line);
                    }
                }
                Some(NextEvent::Command(order)) => {
                    if let Some((Some(task), output)) = self.poll(order) {
                        return Event::Ended(task, output);
                    }
                }
            }
        }
    }
}
