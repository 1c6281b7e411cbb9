//! What was said to questions while nothing acted: whoever would ask the very same may be kept by that answer.
//! Knows nothing of steps' states, and never makes one act.
//!
//! The rule (ADR-0011): an answer serves for an identical question as long as no command of this run that changes
//! anything ran at any moment since the question was put, and it is no older than [`AGE`]. It can only say "already
//! so". Whoever it does not keep asks for itself, and acts upon its own answer alone.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use super::TaskId;
use tool::{Command, Exit, Output, Stdin};

/// How long an answer serves, from when it was asked. A second bootstrap of the default fleet goes through the
/// releases of a cluster in seconds; a person at another keyboard takes about this long to change something and wait
/// for it, and then looks at what we say.
pub(super) const AGE: Duration = Duration::from_secs(30);

/// An answer, or the question that it will be to.
#[derive(Debug, Clone)]
struct Told<'a> {
    command: Cow<'a, Command>,
    asked: Duration,
    /// Who asked.
    step: usize,
    output: Option<Output>,
}

/// What can be had without asking.
pub(super) enum Found {
    /// Nothing.
    No,
    /// It is being asked by this command.
    Asked(TaskId),
    /// This was said, to this step.
    Said(Output, usize),
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard<'a> {
    told: BTreeMap<TaskId, Told<'a>>,
    /// Commands that change something, and have not ended, or not by themselves: their work may go on inside a VM.
    acting: usize,
}

impl<'a> Heard<'a> {
    /// Whether an answer to this question may serve for others at all. What is fed to a question may change with a
    /// fact or a secret: only arguments are compared.
    pub(super) fn serves(&self, command: &Command) -> bool {
        self.acting == 0 && !command.mutates && command.stdin == Stdin::Closed && !command.hushed()
    }

    /// A command that changes something begins: what was heard before is of no use any more.
    pub(super) fn act(&mut self) {
        self.acting += 1;
        self.told.clear();
    }

    /// A question that serves is put, with its facts in place.
    pub(super) fn begin(&mut self, task: TaskId, step: usize, command: Cow<'a, Command>, now: Duration) {
        self.told.retain(|_, told| told.asked.saturating_add(AGE) > now);
        self.told.insert(task, Told { command, asked: now, step, output: None });
    }

    /// A command ended. Only a plain success is an answer for others.
    pub(super) fn end(&mut self, task: TaskId, command: &Command, output: &Output) {
        if command.mutates {
            self.acting -= usize::from(matches!(output.exit, Exit::Code(_)));
        } else if !output.ok() || output.cut {
            self.told.remove(&task);
        } else if let Some(told) = self.told.get_mut(&task) {
            told.output = Some(output.clone());
        }
    }

    /// What was said, or will be, to this question.
    pub(super) fn find(&self, command: &Command, now: Duration) -> Found {
        let same = |(_, told): &(&TaskId, &Told<'_>)| told.asked.saturating_add(AGE) > now && *told.command == *command;
        match self.told.iter().rev().find(same) {
            None => Found::No,
            Some((_, Told { output: Some(output), step, .. })) => Found::Said(output.clone(), *step),
            Some((task, _)) => Found::Asked(*task),
        }
    }
}
