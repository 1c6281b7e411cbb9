//! `kubeconfig`: where the kubeconfig with a context per cluster is.
//! Knows nothing of what is in it.

use super::Session;
use super::exit::{DONE, Ended, REFUSED, Stop};
use crate::ui::shell::Tone;
use model::problem::Problem;
use plan::bootstrap::KUBECONFIG;

/// Prints its path.
///
/// # Errors
/// There is none yet.
pub fn run(session: &mut Session) -> Ended {
    let path = session.space.out().join(KUBECONFIG);
    if !session.space.holds(path.as_str()) {
        let problem = Problem::new("there is no kubeconfig yet").at(session.space.shown(&path), None);
        return Err(Stop::one(REFUSED, problem.hint("cargo xtask bootstrap")));
    }
    session.shell.status(Tone::Hint, "Use", "export KUBECONFIG=$(cargo xtask kubeconfig)");
    session.shell.data(&format!("{path}\n"));
    Ok(DONE)
}
