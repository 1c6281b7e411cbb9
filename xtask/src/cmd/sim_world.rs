//! The simulated world of a command: its files and saved state below one folder, and a process that can crash.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use super::Session;
use super::exit::{CmdError, PRECONDITION};
use exec::workspace::Workspace;
use model::problem::Problem;
use plan::{Expect, Plan, Probe};
use sim::{Disk, Faults, Machine, SimState, SimWorld, is_known_chart};
use tool::{Call, Command, Event, Exit, Output, TaskId, Tool, World};

/// The saved state, below the output folder.
const STATE_FILE: &str = "world.json";
/// More waits than any run needs.
const MAX_WAITS: u64 = 2_000_000;

/// Continues the last simulation, or begins a new one.
///
/// # Errors
/// The saved state cannot be read.
pub fn open(session: &Session, plan: &Plan) -> Result<SimWorld, CmdError> {
    let faults = session.flags.seed.map_or_else(Faults::none, Faults::seeded);
    let path = session.workspace.out().join(STATE_FILE);
    if !session.workspace.exists(path.as_str()) {
        return Ok(begin(&session.workspace, faults, plan));
    }
    let saved = session.workspace.read(&path).map_err(CmdError::with(PRECONDITION))?;
    let mut world = resume(&session.workspace, &saved).map_err(|reason| {
        let problem =
            Problem::new("the state of the last simulation cannot be read").at(session.workspace.shown(&path), None);
        CmdError::new(PRECONDITION, problem.why(reason).hint(format!("rm -r {}", session.out())))
    })?;
    world.with_faults(faults);
    publish(world.state_mut(), plan);
    Ok(world)
}

/// Saves the state for the next simulation.
pub fn close(session: &Session, world: &SimWorld) -> Result<(), CmdError> {
    session.workspace.write(STATE_FILE, world.save().as_bytes()).map_err(CmdError::with(PRECONDITION))
}

/// Addresses of charts that a plan fetches and the simulator does not know: `https://charts.test/tiny`.
pub fn unknown_charts(plan: &Plan) -> Vec<String> {
    let pulls = plan.steps.iter().flat_map(|step| &step.act).filter_map(|command| match &command.args[..] {
        [pull, name, repo, from, ..] if pull == "pull" && repo == "--repo" => {
            Some(format!("{}/{name}", from.trim_end_matches('/')))
        }
        [pull, address, ..] if pull == "pull" => Some(address.clone()),
        _ => None,
    });
    pulls.filter(|address| !address.rsplit('/').next().is_some_and(is_known_chart)).collect()
}

/// A machine with every tool and nothing else, and at least the RAM that the plan expects.
pub fn begin(space: &Workspace, faults: Faults, plan: &Plan) -> SimWorld {
    let usual = Machine::default();
    let memory_bytes = usual.memory_bytes.max(plan.steps.iter().map(|s| memory(&s.done_when.want)).max().unwrap_or(0));
    let mut state = SimState::new(Machine { memory_bytes, ..usual });
    publish(&mut state, plan);
    SimWorld::new(state, faults, disk(space))
}

fn memory(want: &Expect) -> u64 {
    match want {
        Expect::JsonAtLeast(at, bytes) if at == "/memory_bytes" => *bytes,
        Expect::All(all) => all.iter().map(memory).max().unwrap_or(0),
        _ => 0,
    }
}

/// Publishes what the plan fetches: simulated archives are not the real ones, but have their digests.
pub fn publish(state: &mut SimState, plan: &Plan) {
    for Probe { ask, want, .. } in plan.steps.iter().map(|step| &step.done_when) {
        if let ([act, path], Expect::Stdout(digest), Tool::Builtin) = (&ask.args[..], want, ask.tool)
            && act == "sha256"
        {
            let file = path.rsplit('/').next().unwrap_or(path);
            *state = std::mem::take(state).publishing(file, digest);
        }
    }
    for address in unknown_charts(plan) {
        let archive = format!("out/charts/{}-", address.rsplit('/').next().unwrap_or_default());
        let installs = |command: &Command| command.args.iter().any(|arg| arg.starts_with(&archive));
        let steps = plan.steps.iter().filter(|step| step.act.iter().any(installs));
        let objects = steps.flat_map(|step| step.done_when.want.rows()).cloned().collect();
        *state = std::mem::take(state).with_unknown_chart(&address, objects);
    }
}

/// # Errors
/// What is wrong with the saved state.
pub fn resume(space: &Workspace, saved: &str) -> Result<SimWorld, String> {
    SimWorld::load(saved, disk(space))
}

/// A copy with the files of another workspace.
pub fn copy(space: &Workspace, world: &SimWorld) -> SimWorld {
    world.copy(disk(space))
}

fn disk(space: &Workspace) -> Box<dyn Disk> {
    Box::new(Folder(space.reopen().without_fsync()))
}

/// The simulated tools' files. What plans call `out/…` is in the simulation's folder.
struct Folder(Workspace);

impl Folder {
    fn below(path: &str) -> &str {
        path.strip_prefix("out/").unwrap_or(path)
    }
}

impl Disk for Folder {
    fn read(&self, path: &str) -> Option<Rc<Vec<u8>>> {
        self.0.read_shared(&self.0.out().join(Folder::below(path)))
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), String> {
        self.0.write(Folder::below(path), bytes).map_err(|problem| problem.what)
    }
}

/// The world of a process that dies with the fault `crash`: from then on nothing that it starts or kills reaches the
/// world, where its commands run on.
pub struct CrashableWorld<'a> {
    pub world: &'a mut SimWorld,
    pub process: ProcessState,
}

#[derive(Debug, Clone, Default)]
pub struct ProcessState {
    interrupted: bool,
    running: BTreeSet<TaskId>,
    lost: VecDeque<TaskId>,
    waits: u64,
}

impl<'a> CrashableWorld<'a> {
    pub fn new(world: &'a mut SimWorld) -> Self {
        CrashableWorld { world, process: ProcessState::default() }
    }
}

impl ProcessState {
    /// A dying process is interrupted first, then all its commands end.
    fn dying(&mut self) -> Event {
        if !self.interrupted {
            self.interrupted = true;
            self.lost.extend(std::mem::take(&mut self.running));
            return Event::Interrupt;
        }
        let end = |task| Event::Ended(task, Output::of(Exit::Stopped));
        self.lost.pop_front().map_or(Event::Interrupt, end)
    }
}

impl World for CrashableWorld<'_> {
    fn now(&self) -> Duration {
        self.world.now()
    }

    fn start(&mut self, call: Call) {
        if self.world.crashed() {
            self.process.lost.push_back(call.task);
            return;
        }
        self.process.running.insert(call.task);
        self.world.start(call);
    }

    fn kill(&mut self, task: TaskId, hard: bool) {
        if !self.world.crashed() {
            self.world.kill(task, hard);
        }
    }

    fn wait(&mut self, until: Option<Duration>) -> Event {
        self.process.waits += 1;
        assert!(self.process.waits < MAX_WAITS, "bug: the run does not end");
        if self.world.crashed() {
            return self.process.dying();
        }
        let event = self.world.wait(until);
        if self.world.crashed() {
            return self.process.dying();
        }
        if let Event::Ended(task, _) = &event {
            self.process.running.remove(task);
        }
        event
    }
}
