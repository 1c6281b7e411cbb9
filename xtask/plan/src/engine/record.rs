//! What of the engine's actions goes into the journal. The one place to look at to know that no secret does.
//! Knows nothing of how the journal is kept.

use std::time::Duration;

use super::{Action, Note};
use crate::journal::Entry;

impl Action<'_> {
    /// The journal's entry about it, if it is worth one.
    pub fn entry(&self) -> Option<Entry> {
        match self {
            Action::Learnt { name, value, secret: false } => {
                Some(Entry::Fact { name: name.clone(), value: value.clone() })
            }
            Action::Note(note) => note.entry(),
            Action::Learnt { .. } | Action::Start { .. } | Action::Recall { .. } | Action::Kill { .. } => None,
        }
    }
}

impl Note {
    fn entry(&self) -> Option<Entry> {
        match self {
            Note::Running { step, .. } => Some(Entry::StepStarted { step: step.to_string() }),
            Note::Kept(step) => Some(Entry::StepKept { step: step.to_string() }),
            Note::Done { step, took, .. } => Some(Entry::StepDone { step: step.to_string(), took_ms: millis(*took) }),
            Note::Failed(failure) => {
                Some(Entry::StepFailed { step: failure.step.to_string(), took_ms: millis(failure.took) })
            }
            Note::Checking(_)
            | Note::Found { .. }
            | Note::Line(..)
            | Note::Retrying { .. }
            | Note::Blocked(..)
            | Note::Skipped(_)
            | Note::Stopping => None,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
