//! Diagnoses the mesh with one survey; repeats it while the findings may be temporary.

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

/// Pause between surveys and their number, for temporary findings (a mesh server that restarts).
const RETRIES: (Duration, usize) = (Duration::from_secs(20), 9);

pub(super) struct Seen {
    /// The most likely cause first.
    pub(super) found: Vec<Finding>,
    pub(super) answers: BTreeMap<StepKey, Output>,
    /// Of earlier runs and of the answers.
    pub(super) facts: BTreeMap<String, String>,
}

impl Seen {
    pub(super) fn of(&self, grade: Grade) -> impl Iterator<Item = &Finding> {
        self.found.iter().filter(move |f| f.grade == grade)
    }

    /// Findings that prevent connecting.
    pub(super) fn blocking(&self) -> impl Iterator<Item = &Finding> {
        self.found.iter().filter(|f| matches!(f.grade, Grade::Blocks | Grade::Passing))
    }
}

/// Queries everything once. `whole` adds queries that only a diagnosis needs.
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
    let checks = format!("{} on {}", format::count(plan.steps.len(), "check"), super::names(&scope.clusters));
    session.shell.status(Severity::Dim, "Running", &checks);
    if scope.clusters.len() > survey::TRIED_FROM + 1 {
        let text = format!("each cluster from {} peers, of all links their ends are asked", survey::TRIED_FROM);
        session.shell.status(Severity::Dim, "Trying", &text);
    }
    let (answers, facts, times) = query::outputs(session, world, &plan)?;
    let found = judge(&Survey { fleet, scope, answers: &answers, facts: &facts, times: &times });
    Ok(Seen { found, answers, facts })
}

/// Repeats the survey while all blocking findings may be temporary.
pub(super) fn look_until_settled(
    session: &mut Session,
    world: &mut dyn World,
    inputs: &Inputs,
    scope: &MeshScope,
) -> Result<Seen, CmdError> {
    let (pause, times) = RETRIES;
    let mut seen = look(session, world, inputs, scope, false)?;
    for _ in 0..times {
        // A moved node is readdressed before anything else.
        let has = |grade| seen.of(grade).next().is_some();
        if has(Grade::Blocks) || has(Grade::Moved) || !has(Grade::Passing) {
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
