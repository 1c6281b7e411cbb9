//! `bootstrap`: creates or completes every cluster of the fleet, on this machine or simulated.

use super::exit::{CmdResult, DONE};
use super::{Session, apply, drill_marker, dry_run, inputs, query, verify_contract, world_factory};
use tool::helm::Helm;

/// # Errors
/// Problems of the input, the choice or the machine.
pub fn run(session: &mut Session) -> CmdResult {
    let inputs = inputs::load(session)?;
    if !session.flags.dry_run {
        verify_contract::before_building(session, &inputs)?;
    }
    let offered = inputs.bootstrap(Helm::V4);
    world_factory::with_world(session, Some("bootstrap"), &offered, &mut |session, world| {
        let plan = inputs.bootstrap(query::helm(world)?);
        if session.flags.dry_run {
            return dry_run::run(session, world, &inputs, &plan);
        }
        let code = apply::run(session, world, &inputs, &plan)?;
        if code == DONE && session.flags.selects_all() {
            drill_marker::remove(session)?;
        }
        Ok(code)
    })
}
