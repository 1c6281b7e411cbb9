//! The one seam between a plan and everything outside: `Host` runs real processes, `Rehearsal` answers the same argv
//! from simulated tools in virtual time. Knows nothing of fleets, contracts or files of ours.

use std::time::Duration;

use crate::engine::{Event, TaskId};
use crate::tools::Tool;

pub mod host;
pub mod rehearsal;

/// A command with every token completed, ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Names the run.
    pub task: TaskId,
    /// The program.
    pub tool: Tool,
    /// Its arguments.
    pub args: Vec<String>,
    /// What it reads; closed afterwards.
    pub stdin: Vec<u8>,
    /// Environment on top of the user's own.
    pub env: Vec<(String, String)>,
}

/// Where commands run.
pub trait World {
    /// Time that has passed for running things. Stands still while the machine sleeps.
    fn now(&self) -> Duration;
    /// Starts a command and returns at once. Its end, even a failure to start, comes from [`World::wait`].
    fn start(&mut self, call: Call);
    /// Ends a command and everything it spawned: politely (SIGTERM), or at once (SIGKILL).
    fn kill(&mut self, task: TaskId, hard: bool);
    /// Blocks until something happens or the time comes. `None` waits for the next event alone.
    fn wait(&mut self, until: Option<Duration>) -> Event;
}
