//! `bootstrap`: every cluster of the fleet with everything on it, here or in the embedded world.
//! Knows nothing of the steps.

use super::exit::{Ended, NOT_READY, Stop};
use super::load::Inputs;
use super::{Session, conduct, detect, load, place, plan, ready};
use crate::world::World;

/// Runs it, or prints what it would run.
///
/// # Errors
/// Problems of the input, the choice or the machine.
pub fn run(session: &mut Session) -> Ended {
    let inputs = load::inputs(session)?;
    let _lock = match session.flags.dry_run {
        true => None,
        false => Some(session.space.lock("bootstrap").map_err(Stop::with(NOT_READY))?),
    };
    place::within(session, &inputs, &mut |session, world| within(session, world, &inputs))
}

fn within(session: &mut Session, world: &mut dyn World, inputs: &Inputs) -> Ended {
    let plan = inputs.bootstrap(detect::helm(world)?);
    if session.flags.dry_run {
        return plan::print(session, plan);
    }
    conduct::run(session, world, &plan, &|failure| ready::problems(&inputs.fleet, failure))
}
