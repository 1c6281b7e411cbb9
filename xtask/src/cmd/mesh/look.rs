//! Asks a survey's questions and judges the answers, and again while what is in the way may pass by itself.
//! Knows nothing of what is done about it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::exit::{CmdError, INTERRUPTED};
use super::super::inputs::Inputs;
use super::super::{Session, query};
use crate::ui::format;
use crate::ui::shell::Severity;
use mesh::{Finding, Grade, Survey, judge};
use plan::StepKey;
use plan::mesh::{MeshScope, survey};
use tool::{Output, World};

/// How long to wait for what may pass by itself (a mesh server that starts anew), and how often to look.
const PATIENCE: (Duration, usize) = (Duration::from_secs(20), 9);

/// What was seen.
pub(super) struct Seen {
    /// Everything that is wrong, likeliest cause first.
    pub(super) found: Vec<Finding>,
    /// What it was judged by.
    pub(super) answers: BTreeMap<StepKey, Output>,
    /// Facts of earlier runs, and those that the answers taught.
    pub(super) facts: BTreeMap<String, String>,
}

impl Seen {
    /// Findings of a grade.
    pub(super) fn of(&self, grade: Grade) -> impl Iterator<Item = &Finding> {
        self.found.iter().filter(move |f| f.grade == grade)
    }

    /// What keeps clusters from being connected.
    pub(super) fn in_the_way(&self) -> impl Iterator<Item = &Finding> {
        self.found.iter().filter(|f| matches!(f.grade, Grade::Blocks | Grade::Passing))
    }
}

/// Asks everything once, and judges it. `whole` asks also what only a diagnosis wants to know.
pub(super) fn look(
    session: &mut Session,
    world: &mut dyn World,
    inputs: &Inputs,
    scope: &MeshScope,
    whole: bool,
) -> Result<Seen, CmdError> {
    let fleet = &inputs.fleet;
    let plan = match whole {
        true => survey::whole(fleet, &inputs.releases, scope),
        false => survey::plan(fleet, scope),
    };
    let asking = format!("{} about {}", format::count(plan.steps.len(), "question"), super::names(&scope.clusters));
    session.shell.status(Severity::Dim, "Asking", &asking);
    if scope.clusters.len() > survey::TRIED_FROM + 1 {
        let text = format!("each cluster from {} peers, of all links their ends are asked", survey::TRIED_FROM);
        session.shell.status(Severity::Dim, "Trying", &text);
    }
    let (answers, facts) = query::outputs(session, world, &plan)?;
    let found = judge(&Survey { fleet, scope, answers: &answers, facts: &facts });
    Ok(Seen { found, answers, facts })
}

/// Looks again while all that is in the way may pass by itself.
pub(super) fn patient(
    session: &mut Session,
    world: &mut dyn World,
    inputs: &Inputs,
    scope: &MeshScope,
) -> Result<Seen, CmdError> {
    let (pause, times) = PATIENCE;
    let mut seen = look(session, world, inputs, scope, false)?;
    for _ in 0..times {
        // Nothing passes by itself where a node has moved: that is mended first.
        let waits = |grade| seen.of(grade).next().is_some();
        if waits(Grade::Blocks) || waits(Grade::Moved) || !waits(Grade::Passing) {
            break;
        }
        let end = world.now() + pause;
        if !world.hold(end) {
            return Err(CmdError { code: INTERRUPTED, problems: vec![] });
        }
        seen = look(session, world, inputs, scope, false)?;
    }
    Ok(seen)
}
