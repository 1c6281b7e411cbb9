//! `logs <step>`: prints the output of a step's commands in its last run.

use std::collections::BTreeSet;
use std::time::Duration;

use camino::Utf8Path;

use super::exit::{CmdError, CmdResult, DONE, FAILED, USAGE};
use super::{Session, inputs, plan};
use crate::ui::shell::Severity;
use ::plan::{Plan, StepKey, journal};
use model::problem::{Problem, nearest};

/// More attempts than any step has.
const ATTEMPTS: u32 = 100;
/// Between two looks at a log that is followed.
const FOLLOW: Duration = Duration::from_millis(500);

/// # Errors
/// There is no log of that step.
#[expect(clippy::disallowed_methods, reason = "waits for files of another process, in no world")]
pub fn run(session: &mut Session, step: &str, follow: bool) -> CmdResult {
    // The attempt that is printed, and how much of it has been.
    let (mut attempt, mut printed) = (0, 0);
    loop {
        // Asked before the files: what is written in between is printed in the last round.
        let goes_on = follow && session.workspace.lock("logs").is_err();
        for next in attempt.max(1)..=ATTEMPTS {
            let path = session.workspace.log_path(step, next);
            let Ok(text) = session.workspace.read(Utf8Path::new(&path)) else { break };
            if next > attempt {
                session.shell.status(Severity::Dim, "Log", &path);
                (attempt, printed) = (next, 0);
            }
            session.shell.result(text.get(printed..).unwrap_or_default());
            printed = text.len();
        }
        if session.shell.closed() || !goes_on {
            break;
        }
        std::thread::sleep(FOLLOW);
    }
    if attempt > 0 { Ok(DONE) } else { Err(missing(session, step)) }
}

/// Prints the steps of all plans that have a log.
///
/// # Errors
/// Problems of the input.
pub fn list(session: &mut Session) -> CmdResult {
    inputs::load(session)?;
    let has = |step: &StepKey| session.workspace.exists(session.workspace.log_path(step.as_str(), 1).as_str());
    let steps: String = known(session).iter().filter(|step| has(step)).map(|step| format!("{step}\n")).collect();
    if steps.is_empty() {
        session.shell.status(Severity::Dim, "Found", "no log: no command has run yet");
    }
    session.shell.result(&steps);
    Ok(DONE)
}

/// Prints the logs of the steps that failed in the last run, or were running when it was killed.
///
/// # Errors
/// The journal cannot be read.
pub fn failed(session: &mut Session) -> CmdResult {
    let text = session.workspace.journal().map_err(CmdError::with(FAILED))?;
    let last = journal::read(&text).last.unwrap_or_default();
    let steps: Vec<String> = last.failed.into_iter().chain(last.open).collect();
    if steps.is_empty() {
        session.shell.status(Severity::Dim, "Found", "no step that failed in the last run");
    }
    for step in steps {
        run(session, &step, false)?;
    }
    Ok(DONE)
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
