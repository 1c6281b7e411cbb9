//! `bootstrap`: every cluster of the fleet with everything on it, here or in the embedded world.
//! Knows nothing of the steps.

use super::exit::Ended;
use super::{Session, conduct, detect, load, place, plan};

/// Runs it, or prints what it would run.
///
/// # Errors
/// Problems of the input, the choice or the machine.
pub fn run(session: &mut Session) -> Ended {
    let inputs = load::inputs(session)?;
    place::within(session, Some("bootstrap"), &mut |session, world| {
        let plan = inputs.bootstrap(detect::helm(world)?);
        if session.flags.dry_run { plan::print(session, plan) } else { conduct::run(session, world, &plan) }
    })
}
