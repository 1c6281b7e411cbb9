//! The marker of a running drill: written before the platform's first VM stops, removed when the platform answers. A
//! marker while no run holds the lock means that a drill was interrupted.

use std::time::Duration;

use serde_json::{Value, json};

use super::Session;
use super::exit::{CmdError, FAILED};
use crate::cli::Command;
use crate::ui::problem;
use crate::ui::shell::Severity;
use exec::workspace::{Workspace, clock};
use model::problem::Problem;
use model::units::format_utc;

/// Below `out/`.
const MARKER: &str = "drill.json";

/// # Errors
/// The marker cannot be written; then nothing may be stopped.
pub fn write(workspace: &Workspace, cluster: &str, length: Duration) -> Result<(), Problem> {
    let until = format_utc(clock::now_ms() / 1000 + length.as_secs());
    let marker = json!({ "drill": "mgmt-outage", "since": clock::now(), "until": until, "stopped": cluster });
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
    Some(problem.hint("cargo xtask start"))
}

/// Says what is at work, by whom and until when, if a run holds the lock.
pub fn name_run(session: &mut Session) {
    let Some(holder) = session.workspace.lock_holder() else { return };
    let text = session.workspace.read(&session.workspace.out().join(MARKER)).unwrap_or_default();
    let marker: Value = serde_json::from_str(&text).unwrap_or_default();
    let value = |key: &str| marker[key].as_str().unwrap_or("?");
    let what = match marker.is_object() {
        true => format!(
            "drill {}: {} is stopped since {} and is started again at {} ({holder})",
            value("drill"),
            value("stopped"),
            value("since"),
            value("until")
        ),
        false => format!("at work: {holder}"),
    };
    session.shell.status(Severity::Warning, "Running", &what);
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
