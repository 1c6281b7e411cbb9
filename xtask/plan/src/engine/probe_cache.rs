//! Outputs of probes, so that a step whose probe has the very same command need not ask again.
//!
//! The rule (ADR-0011): an output serves an identical command as long as no command of this run that changes anything
//! ran at any moment since it was asked, and it is no older than [`AGE`]. It can only show that a step matches: a step
//! that does not match by it asks for itself before it acts. In a query nothing changes anything: there every output
//! serves, whatever its age.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use super::TaskId;
use tool::{Command, Exit, Output, Stdin};

/// How long an output serves, from when it was asked. A second bootstrap of the default fleet goes through the
/// releases of a cluster in seconds; a person at another keyboard takes about this long to change something and wait
/// for it, and then looks at what this run shows.
pub(super) const AGE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
struct CacheEntry<'a> {
    command: Cow<'a, Command>,
    asked: Duration,
    step: usize,
    /// The output and when it came; nothing while the command runs.
    output: Option<(Output, Duration)>,
}

pub(super) enum Lookup {
    Nothing,
    /// It is being asked by this task.
    Pending(TaskId),
    /// This output came at that time, for that step.
    Hit(Output, Duration, usize),
}

#[derive(Debug, Clone, Default)]
pub(super) struct ProbeCache<'a> {
    entries: BTreeMap<TaskId, CacheEntry<'a>>,
    /// Commands that change something, and have not ended, or not by themselves: their work may go on inside a VM.
    acting: usize,
    /// Whether failures serve too, and outputs of any age: nothing acts.
    pub(super) query: bool,
}

impl<'a> ProbeCache<'a> {
    /// Whether an output of this command may serve other steps at all. Standard input may change with a fact or a
    /// secret: only arguments are compared.
    pub(super) fn can_share(&self, command: &Command) -> bool {
        self.acting == 0 && !command.mutates && command.stdin == Stdin::Closed && !command.sensitive()
    }

    /// A command that changes something begins: earlier outputs are worthless.
    pub(super) fn act(&mut self) {
        self.acting += 1;
        self.entries.clear();
    }

    /// A command that can be shared begins, with its facts in place.
    pub(super) fn begin(&mut self, task: TaskId, step: usize, command: Cow<'a, Command>, now: Duration) {
        let query = self.query;
        self.entries.retain(|_, entry| query || entry.is_fresh(now));
        self.entries.insert(task, CacheEntry { command, asked: now, step, output: None });
    }

    /// A command ended. Only a plain success serves other steps.
    pub(super) fn end(&mut self, task: TaskId, command: &Command, output: &Output, now: Duration) {
        if command.mutates {
            self.acting -= usize::from(matches!(output.exit, Exit::Code(_)));
        } else if !self.query && (!output.ok() || output.cut) {
            self.entries.remove(&task);
        } else if let Some(entry) = self.entries.get_mut(&task) {
            entry.output = Some((output.clone(), now));
        }
    }

    pub(super) fn find(&self, command: &Command, now: Duration) -> Lookup {
        let serves = |entry: &CacheEntry<'_>| (self.query || entry.is_fresh(now)) && *entry.command == *command;
        match self.entries.iter().rev().find(|(_, entry)| serves(entry)) {
            None => Lookup::Nothing,
            Some((_, CacheEntry { output: Some((output, at)), step, .. })) => Lookup::Hit(output.clone(), *at, *step),
            Some((task, _)) => Lookup::Pending(*task),
        }
    }
}

impl CacheEntry<'_> {
    fn is_fresh(&self, now: Duration) -> bool {
        self.asked.saturating_add(AGE) > now
    }
}
