//! The trait `World`: where commands run. Two implementors: `exec::host::Host` starts real processes, the simulator
//! answers the same argv in virtual time.

use std::time::Duration;

use crate::{Output, Tool};

pub type TaskId = u64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Only time has passed.
    Tick,
    /// A running command printed a line. For the screen; the engine passes it on as an event.
    Line(TaskId, String),
    /// A command ended.
    Ended(TaskId, Output),
    /// The digest of a generated file that [`Action::Start`] asked for: the very text that `<digest:FILE>` stands for.
    Digest(String, String),
    /// The digests that a cache hit asked for have been sent.
    CacheHit(TaskId),
    /// Ctrl-C or SIGTERM. The second one kills.
    Interrupt,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub task: TaskId,
    pub tool: Tool,
    pub args: Vec<String>,
    /// What it reads; closed afterwards.
    pub stdin: Vec<u8>,
    pub env: Vec<(String, String)>,
    /// How long a command that changes something may take; nothing for a query.
    pub acts: Option<Duration>,
}

pub trait World {
    /// Time that has passed for running things. Stands still while the machine sleeps.
    fn now(&self) -> Duration;
    /// Starts a command and returns at once. Its end, even a failure to start, comes from [`World::wait`].
    fn start(&mut self, call: Call);
    /// Ends a command and everything it spawned: politely (SIGTERM), or at once (SIGKILL).
    fn kill(&mut self, task: TaskId, hard: bool);
    /// Blocks until something happens or the time comes. `None` waits for the next event alone.
    fn wait(&mut self, until: Option<Duration>) -> Event;
    /// Lets time pass until then. `false`: the user interrupted.
    fn hold(&mut self, end: Duration) -> bool {
        while self.now() < end {
            if self.wait(Some(end)) == Event::Interrupt {
                return false;
            }
        }
        true
    }
}
