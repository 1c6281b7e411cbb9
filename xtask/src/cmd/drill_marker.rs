//! The marker of a running drill: written before the platform's first VM stops, removed when the platform answers. A
//! marker while no run holds the lock means that a drill was interrupted.

use serde_json::{Value, json};

use super::Session;
use super::exit::{CmdError, FAILED};
use crate::cli::Command;
use crate::ui::problem;
use exec::workspace::{Workspace, clock};
use model::problem::Problem;

/// Below `out/`.
const MARKER: &str = "drill.json";

/// # Errors
/// The marker cannot be written; then nothing may be stopped.
pub fn write(workspace: &Workspace, cluster: &str) -> Result<(), Problem> {
    let marker = json!({ "drill": "mgmt-outage", "since": clock::now(), "stopped": cluster });
    workspace.write(MARKER, format!("{marker}\n").as_bytes())
}

/// # Errors
/// The marker cannot be removed.
pub fn remove(session: &Session) -> Result<(), CmdError> {
    session.workspace.remove(MARKER).map_err(CmdError::with(FAILED))
}

/// The problem that an interrupted drill left, if there is a marker.
pub fn interrupted(session: &Session) -> Option<Problem> {
    let text = session.workspace.read(&session.workspace.out().join(MARKER)).ok()?;
    // A truncated marker counts too.
    let marker: Value = serde_json::from_str(&text).unwrap_or_default();
    let cluster = marker["stopped"].as_str().unwrap_or("the platform");
    let since = marker["since"].as_str().map(|since| format!(" (since {since})")).unwrap_or_default();
    let problem = Problem::new(format!("an interrupted drill left {cluster} stopped{since}"));
    Some(session.flags.problem(problem.hint("cargo xtask start")))
}

/// Warns before every command that does not restart the platform itself, unless the drill is still running.
pub fn warn(session: &mut Session, command: &Command) {
    let restarts =
        matches!(command, Command::Start(_)) || matches!(command, Command::VerifyContract(v) if v.drill.is_some());
    if restarts || session.workspace.is_locked() {
        return;
    }
    if let Some(problem) = interrupted(session) {
        let text = problem::one(&problem, session.shell.style());
        session.shell.message(&text);
    }
}
