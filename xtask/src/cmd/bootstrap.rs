//! `bootstrap`: every cluster of the fleet with everything on it, here or in the embedded world.
//! Knows nothing of the steps.

use super::exit::{CmdResult, DONE};
use super::{Session, drill_marker, install, load, place, plan, query};
use tool::helm::Helm;

/// Runs it, or prints what it would run.
///
/// # Errors
/// Problems of the input, the choice or the machine.
pub fn run(session: &mut Session) -> CmdResult {
    let inputs = load::inputs(session)?;
    let offered = inputs.bootstrap(Helm::V4);
    place::within(session, Some("bootstrap"), &offered, &mut |session, world| {
        let plan = inputs.bootstrap(query::helm(world)?);
        if session.flags.dry_run {
            return plan::print(session, plan);
        }
        let code = install::run(session, world, &inputs, &plan)?;
        if code == DONE && session.flags.selects_all() {
            drill_marker::back(session)?;
        }
        Ok(code)
    })
}
