//! One running command: how long it may run, and how it is ended when that is over.

use std::time::Duration;

use tool::{Command, Exit, Output};

/// Time between asking a command to end and ending it, and between that and giving it up.
pub(super) const GRACE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Running,
    /// SIGTERM was sent.
    Asked,
    /// SIGKILL was sent.
    Forced,
    /// It did not even end then: a process in the kernel's hands. It may still do something.
    Lost,
}

#[derive(Debug, Clone)]
pub(super) struct Task<'a> {
    /// The place of its step in the plan.
    pub(super) step: usize,
    pub(super) command: &'a Command,
    pub(super) began: Duration,
    pub(super) limit: Duration,
    pub(super) stage: Stage,
    /// When to end it, or to end it harder.
    pub(super) until: Duration,
    pub(super) stopped: bool,
}

impl<'a> Task<'a> {
    pub(super) fn new(step: usize, command: &'a Command, began: Duration, limit: Duration) -> Self {
        let until = began.saturating_add(limit);
        Task { step, command, began, limit, stage: Stage::Running, until, stopped: false }
    }

    pub(super) fn waits_for_driver(&self) -> bool {
        self.stage == Stage::Running && machines::is_answered_in_turn(self.command)
    }

    /// Ends it, harder than before. Whether to kill, and whether hard.
    pub(super) fn escalate(&mut self, now: Duration) -> Option<bool> {
        self.until = now.saturating_add(GRACE);
        let (stage, kill) = match self.stage {
            Stage::Running => (Stage::Asked, Some(false)),
            Stage::Asked => (Stage::Forced, Some(true)),
            Stage::Forced | Stage::Lost => (Stage::Lost, None),
        };
        self.stage = stage;
        kill
    }

    /// Ends it at once: the user interrupted twice.
    pub(super) fn force(&mut self, now: Duration) {
        self.stage = Stage::Forced;
        self.stopped = true;
        self.until = now.saturating_add(GRACE);
    }

    /// The output with the true reason of its end: a command that we ended may still exit with 0, or 143.
    pub(super) fn true_output(&self, output: Output) -> Output {
        let by_us = self.stage != Stage::Running && !matches!(output.exit, Exit::Missing | Exit::NotStarted(_));
        match (by_us, self.stopped) {
            (false, _) => output,
            (true, true) => Output { exit: Exit::Stopped, ..output },
            (true, false) => Output { exit: Exit::TimedOut, ..output },
        }
    }
}
