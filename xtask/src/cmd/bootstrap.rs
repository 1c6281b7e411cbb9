//! `bootstrap`: every cluster of the fleet with everything on it, here or in the embedded world.
//! Knows nothing of the steps.

use super::exit::{CmdResult, DONE};
use super::{Session, apply, drill_marker, inputs, plan, query, world_factory};
use tool::helm::Helm;

/// Runs it, or prints what it would run.
///
/// # Errors
/// Problems of the input, the choice or the machine.
pub fn run(session: &mut Session) -> CmdResult {
    let inputs = inputs::load(session)?;
    let offered = inputs.bootstrap(Helm::V4);
    world_factory::with_world(session, Some("bootstrap"), &offered, &mut |session, world| {
        let plan = inputs.bootstrap(query::helm(world)?);
        if session.flags.dry_run {
            return plan::print(session, plan);
        }
        let code = apply::run(session, world, &inputs, &plan)?;
        if code == DONE && session.flags.selects_all() {
            drill_marker::back(session)?;
        }
        Ok(code)
    })
}
