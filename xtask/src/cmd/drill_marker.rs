//! The mark of a drill: it is on the disk before the platform's first VM stops, and goes when the platform answers.
//! Knows nothing of the drill; whoever finds the mark while no run holds the lock knows that one was cut off.

use serde_json::{Value, json};

use super::Session;
use super::exit::{CmdError, FAILED};
use crate::cli::Command;
use crate::ui::problem;
use exec::workspace::{Workspace, clock};
use model::problem::Problem;

/// Below `out/`.
const MARK: &str = "drill.json";

/// Leaves it. Whatever happens from now on, the next command says that these VMs are to be started.
///
/// # Errors
/// The disk says no; then nothing may be stopped.
pub fn leave(space: &Workspace, cluster: &str) -> Result<(), Problem> {
    let mark = json!({ "drill": "mgmt-outage", "since": clock::now(), "stopped": cluster });
    space.write(MARK, format!("{mark}\n").as_bytes())
}

/// Takes it away: the platform answers.
///
/// # Errors
/// The disk says no.
pub fn back(session: &Session) -> Result<(), CmdError> {
    session.workspace.remove(MARK).map_err(CmdError::with(FAILED))
}

/// What an earlier drill left; nothing if none was cut off.
pub fn left(session: &Session) -> Option<Problem> {
    let text = session.workspace.read(&session.workspace.out().join(MARK)).ok()?;
    // Cut in the middle it still means the same.
    let mark: Value = serde_json::from_str(&text).unwrap_or_default();
    let cluster = mark["stopped"].as_str().unwrap_or("the platform");
    let since = mark["since"].as_str().map(|since| format!(" since {since}")).unwrap_or_default();
    let problem = Problem::new(format!("a drill was cut off; {cluster} is stopped{since}"));
    Some(session.flags.problem(problem.hint("cargo xtask start")))
}

/// Says so before any command but those that mend it. A drill that still runs is none that was cut off.
pub fn warn(session: &mut Session, command: &Command) {
    let mends =
        matches!(command, Command::Start(_)) || matches!(command, Command::VerifyContract(v) if v.drill.is_some());
    if mends || session.workspace.is_locked() {
        return;
    }
    if let Some(left) = left(session) {
        let text = problem::one(&left, session.shell.style());
        session.shell.message(&text);
    }
}
