//! The pure state machine that runs a plan: `(now, event) -> actions`.

use std::time::Duration;

use crate::StepKey;
use crate::journal::Entry;
use tool::TaskId;
use tool::{Command, Output};

mod board;
mod failure;
mod judge;
mod machine;
mod probe_cache;
mod probe_sharing;
mod query;
mod task;
mod transitions;

pub use machine::Engine;

#[derive(Debug, Clone, PartialEq)]
pub enum Action<'a> {
    /// Start this command; its end comes back as [`tool::Event::Ended`].
    Start {
        task: TaskId,
        step: StepKey,
        /// What; tokens are completed by the driver from the facts captured so far.
        command: &'a Command,
        /// Files whose digest the engine needs to judge the output. The driver sends each as [`tool::Event::Digest`]
        /// before the end of the command; it alone has the secrets that are in them.
        digests: Vec<String>,
    },
    /// The result of another step's probe may serve this one (`engine/probe_cache.rs`). The driver sends the digests
    /// and then [`tool::Event::CacheHit`].
    CacheHit {
        /// Names the lookup, as if it were a command.
        task: TaskId,
        step: StepKey,
        /// The step whose probe had the same command.
        asked_by: StepKey,
        digests: Vec<String>,
    },
    Kill {
        task: TaskId,
        /// SIGKILL instead of SIGTERM.
        hard: bool,
    },
    Captured {
        name: String,
        value: String,
        secret: bool,
    },
    Event(StepEvent),
}

impl Action<'_> {
    /// The journal's entry about it, if it is worth one. No secret and no output goes there.
    pub fn entry(&self) -> Option<Entry> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Some(match self {
            Action::Captured { name, value, secret: false } => Entry::Fact { name: name.clone(), value: value.clone() },
            Action::Event(StepEvent::Running { step, .. }) => Entry::StepStarted { step: step.to_string() },
            Action::Event(StepEvent::Unchanged(step)) => Entry::StepUnchanged { step: step.to_string() },
            Action::Event(StepEvent::Done { step, took, .. }) => {
                Entry::StepDone { step: step.to_string(), took_ms: millis(*took) }
            }
            Action::Event(StepEvent::Failed(failure)) => {
                Entry::StepFailed { step: failure.step.to_string(), took_ms: millis(failure.took) }
            }
            _ => return None,
        })
    }
}

/// What happened to a step. The screen, the event stream and the journal are fed by these alone.
#[derive(Debug, Clone, PartialEq)]
pub enum StepEvent {
    /// Its probe runs for the first time.
    Checking(StepKey),
    /// Nothing to do.
    Unchanged(StepKey),
    /// It is in a state that has its own remedy, which begins now.
    Diagnosed {
        step: StepKey,
        remedy: &'static str,
        /// What is expected and what there is.
        why: String,
    },
    Running {
        step: StepKey,
        attempt: u32,
        remedy: Option<&'static str>,
        /// The command as a person would paste it.
        command: String,
        mutates: bool,
    },
    Line(StepKey, String),
    /// What keeps a slow step from its end, by its [`Observer`](crate::cause::Observer).
    Cause(StepKey, String),
    /// The probe matches after an act.
    Done {
        step: StepKey,
        /// From its first command to the match.
        took: Duration,
        /// A command failed, yet the probe matches (a launch that "timed out").
        already_satisfied: bool,
    },
    /// An attempt failed; the next begins after the pause.
    Retrying {
        step: StepKey,
        attempt: u32,
        pause: Duration,
        failure: Box<Failure>,
    },
    Failed(Box<Failure>),
    /// A step it needs failed or was not done.
    Blocked(StepKey, StepKey),
    /// Not chosen, and not needed.
    Skipped(StepKey),
    /// The user interrupted: nothing new starts.
    Stopping,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub step: StepKey,
    /// Whether the step is a check of this machine that had to hold before anything began.
    pub precondition: bool,
    pub attempt: u32,
    pub attempts: u32,
    /// The command that failed, or the probe that did not match.
    pub command: Command,
    pub output: Output,
    pub took: Duration,
    /// The reason in words: `exit 1`, `timed out after 10m`.
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    pub done: Vec<StepKey>,
    /// Matched without a command of this run.
    pub unchanged: Vec<StepKey>,
    /// Steps that failed, with the reason; among them those that are needed, not chosen, and do not match.
    pub failed: Vec<Failure>,
    /// Steps that were not tried, because of the second.
    pub blocked: Vec<(StepKey, StepKey)>,
    /// Steps not chosen, and not needed.
    pub skipped: Vec<StepKey>,
    /// Steps that an interrupt left undecided, begun or not: neither done nor failed. The next run checks them first.
    pub stopped: Vec<StepKey>,
    pub interrupted: bool,
}
