//! One running command: how long it may run, and how it is ended when that is over.
//! Knows nothing of the step it runs for.

use std::time::Duration;

use tool::{Command, Exit, Output};

/// Time between asking a command to end and ending it, and between that and giving it up.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// How hard a command was asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not at all.
    Running,
    /// Politely.
    Asked,
    /// At once.
    Forced,
    /// It did not even end then: a process in the kernel's hands. It may still do something.
    Lost,
}

/// A running command.
#[derive(Debug, Clone)]
pub(super) struct Task<'a> {
    /// The place of its step in the plan.
    pub(super) step: usize,
    /// What runs.
    pub(super) command: &'a Command,
    /// Since when.
    pub(super) began: Duration,
    /// How long it may.
    pub(super) limit: Duration,
    /// How hard it was asked to end.
    pub(super) stage: Stage,
    /// When to ask harder.
    pub(super) until: Duration,
    /// Whether it is ended because the user said stop.
    pub(super) stopped: bool,
}

impl<'a> Task<'a> {
    pub(super) fn new(step: usize, command: &'a Command, began: Duration, limit: Duration) -> Self {
        let until = began.saturating_add(limit);
        Task { step, command, began, limit, stage: Stage::Running, until, stopped: false }
    }

    /// Asks harder. Gives back whether to kill, and whether hard.
    pub(super) fn press(&mut self, now: Duration) -> Option<bool> {
        self.until = now.saturating_add(GRACE);
        let (stage, kill) = match self.stage {
            Stage::Running => (Stage::Asked, Some(false)),
            Stage::Asked => (Stage::Forced, Some(true)),
            Stage::Forced | Stage::Lost => (Stage::Lost, None),
        };
        self.stage = stage;
        kill
    }

    /// Ends it at once, because the user said stop twice.
    pub(super) fn force(&mut self, now: Duration) {
        self.stage = Stage::Forced;
        self.stopped = true;
        self.until = now.saturating_add(GRACE);
    }

    /// The answer, with the true reason of its end: a command that we ended may still say 0, or 143.
    pub(super) fn truth(&self, output: Output) -> Output {
        let by_us = self.stage != Stage::Running && !matches!(output.exit, Exit::Missing | Exit::NotStarted(_));
        match (by_us, self.stopped) {
            (false, _) => output,
            (true, true) => Output { exit: Exit::Stopped, ..output },
            (true, false) => Output { exit: Exit::TimedOut, ..output },
        }
    }
}
