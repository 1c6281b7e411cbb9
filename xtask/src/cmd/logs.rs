//! `logs <step>`: prints the output of a step's commands in its last run.

use std::collections::BTreeSet;

use camino::Utf8Path;

use super::exit::{CmdError, CmdResult, DONE, FAILED, USAGE};
use super::{Session, inputs, plan};
use crate::ui::shell::Severity;
use ::plan::{Plan, StepKey};
use model::problem::{Problem, nearest};

/// More attempts than any step has.
const ATTEMPTS: u32 = 100;

/// # Errors
/// There is no log of that step.
pub fn run(session: &mut Session, step: &str) -> CmdResult {
    let mut any = false;
    for attempt in 1..=ATTEMPTS {
        let path = session.workspace.log_path(step, attempt);
        let Ok(text) = session.workspace.read(Utf8Path::new(&path)) else { break };
        session.shell.status(Severity::Dim, "Log", &path);
        session.shell.result(&text);
        any = true;
    }
    if any { Ok(DONE) } else { Err(missing(session, step)) }
}

/// The step has run no command yet, or is in no plan.
fn missing(session: &Session, step: &str) -> CmdError {
    let path = session.workspace.log_path(step, 1);
    let problem = Problem::new(format!("no log of step `{step}`")).at(path, None);
    let known = known(session);
    if known.is_empty() || known.contains(step) {
        return CmdError::new(FAILED, problem.why("it has run no command yet"));
    }
    let problem = problem.why("no plan has a step of that name");
    let hint = match nearest(step, known.iter().map(StepKey::as_str)) {
        Some(near) => format!("cargo xtask logs {near}"),
        None => "cargo xtask plan bootstrap --list   # lists its steps; so do the other plans".to_owned(),
    };
    CmdError::new(USAGE, problem.hint(hint))
}

/// The steps of every plan, as far as the input can be read.
fn known(session: &Session) -> BTreeSet<StepKey> {
    let plans = inputs::load(session).map(|inputs| plan::all(&inputs)).unwrap_or_default();
    plans.iter().flat_map(Plan::ids).collect()
}
