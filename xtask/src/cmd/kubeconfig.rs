//! `kubeconfig`: prints the path of the kubeconfig, which has a context per cluster.

use super::Session;
use super::exit::{CmdError, CmdResult, DONE, FAILED};
use crate::ui::shell::Severity;
use model::problem::Problem;
use plan::bootstrap::KUBECONFIG;

/// # Errors
/// There is none yet.
pub fn run(session: &mut Session) -> CmdResult {
    let path = session.workspace.out().join(KUBECONFIG);
    if !session.workspace.exists(path.as_str()) {
        let problem = Problem::new("there is no kubeconfig yet").at(session.workspace.shown(&path), None);
        return Err(CmdError::new(FAILED, problem.hint("cargo xtask bootstrap")));
    }
    session.shell.status(Severity::Hint, "Use", "export KUBECONFIG=$(cargo xtask kubeconfig)");
    session.shell.result(&format!("{path}\n"));
    Ok(DONE)
}
