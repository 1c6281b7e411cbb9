//! The pure machine that runs a plan: `(now, event) -> actions`.
//! Knows nothing of threads, clocks, files, terminals, or what a tool means.

use std::time::Duration;

use crate::StepKey;
use tool::TaskId;
use tool::{Command, Output};

mod board;
mod failure;
mod heard;
mod judge;
mod life;
mod machine;
mod record;
#[cfg(test)]
mod script;
mod share;
mod task;
#[cfg(test)]
mod tests;

pub use machine::Engine;

/// What the engine wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action<'a> {
    /// Start this command; its end comes back as [`Event::Ended`].
    Start {
        /// Names the run of the command.
        task: TaskId,
        /// For whom.
        step: StepKey,
        /// What; tokens are completed by the driver from the facts learnt so far.
        command: &'a Command,
        /// Files whose digest the engine must know to judge the answer. The driver sends each as [`Event::Digest`]
        /// before the end of the command; it alone has the secrets that are in them.
        digests: Vec<String>,
    },
    /// An answer that was given to another step may do for this one (`engine/heard.rs`). The driver sends the digests
    /// and then [`Event::Recalled`].
    Recall {
        /// Names the recollection, as if it were a command.
        task: TaskId,
        /// For whom.
        step: StepKey,
        /// Who asked the same.
        asked_by: StepKey,
        /// As in [`Action::Start`].
        digests: Vec<String>,
    },
    /// End this command: politely, or at once.
    Kill {
        /// Which.
        task: TaskId,
        /// At once (SIGKILL) instead of politely (SIGTERM).
        hard: bool,
    },
    /// A fact or secret was learnt.
    Learnt {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
        /// Whether it is a secret.
        secret: bool,
    },
    /// Something happened that people and journals want to know.
    Note(Note),
}

/// What happened to a step. The screen, the event stream and the journal are fed by these alone.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// Its probe is asked for the first time.
    Checking(StepKey),
    /// Nothing to do.
    Kept(StepKey),
    /// It is in a state that has its own mend, which begins now.
    Found {
        /// Which step.
        step: StepKey,
        /// The case of `instead`.
        case: &'static str,
        /// What is wanted and what there is.
        why: String,
    },
    /// A command of it begins: attempt (from 1), the case that chose it, and the command as shown.
    Running {
        /// Which step.
        step: StepKey,
        /// Attempt, from 1.
        attempt: u32,
        /// The case of `instead` that chose the command.
        case: Option<&'static str>,
        /// The command as a person would paste it.
        command: String,
        /// Whether it changes anything.
        mutates: bool,
    },
    /// A running command printed a line.
    Line(StepKey, String),
    /// The probe says yes after an act.
    Done {
        /// Which step.
        step: StepKey,
        /// From its first command to the yes.
        took: Duration,
        /// A command failed, yet the probe says yes (a launch that "timed out").
        adopted: bool,
    },
    /// An attempt failed; the next begins after the pause.
    Retrying {
        /// Which step.
        step: StepKey,
        /// The attempt that failed.
        attempt: u32,
        /// Pause.
        pause: Duration,
        /// Why.
        failure: Box<Failure>,
    },
    /// All attempts failed.
    Failed(Box<Failure>),
    /// A step it needs failed or was not done.
    Blocked(StepKey, StepKey),
    /// Not chosen, and not needed.
    Skipped(StepKey),
    /// The user said stop: nothing new starts.
    Stopping,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which step.
    pub step: StepKey,
    /// Whether the step is a check of this machine that had to hold before anything began.
    pub precondition: bool,
    /// Attempt, from 1.
    pub attempt: u32,
    /// Of how many.
    pub attempts: u32,
    /// The command that failed, or the probe that kept saying no.
    pub command: Command,
    /// Its last answer.
    pub output: Output,
    /// How long it ran.
    pub took: Duration,
    /// The reason in words: `exit 1`, `timed out after 10m`, `the probe still says no`.
    pub why: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Steps brought about now.
    pub done: Vec<StepKey>,
    /// Steps that were so, or became so, without a command of ours.
    pub kept: Vec<StepKey>,
    /// Steps that failed, with the reason; among them those that are needed, not chosen, and not so.
    pub failed: Vec<Failure>,
    /// Steps that were not tried, because of the second.
    pub blocked: Vec<(StepKey, StepKey)>,
    /// Steps not chosen, and not needed.
    pub skipped: Vec<StepKey>,
    /// Steps that an interrupt left undecided, begun or not: neither done nor failed. The next run asks them first.
    pub stopped: Vec<StepKey>,
    /// Whether the user stopped it.
    pub interrupted: bool,
}
