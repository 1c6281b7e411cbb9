//! `bootstrap`: every cluster of the fleet with everything on it, here or in the embedded world.
//! Knows nothing of the steps.

use camino::Utf8Path;

use super::exit::{Ended, NOT_READY, Stop};
use super::load::Inputs;
use super::{Session, conduct, detect, embedded, load, plan};
use crate::world::World;
use crate::world::host::Host;

/// Tools that were installed for this repository alone.
const BIN: &str = "out/bin";

/// Runs it, or prints what it would run.
///
/// # Errors
/// Problems of the input, the choice or the machine.
pub fn run(session: &mut Session) -> Ended {
    let inputs = load::inputs(session)?;
    if session.flags.rehearse {
        let mut world = embedded::open(session)?;
        let code = within(session, &mut world, &inputs);
        embedded::close(session, &world)?;
        return code;
    }
    let path = session.vars.get("PATH").cloned().unwrap_or_default();
    let mut world = Host::new(session.space.root(), Utf8Path::new(BIN), &path);
    if !session.flags.dry_run {
        world.heed_signals().map_err(Stop::with(NOT_READY))?;
    }
    within(session, &mut world, &inputs)
}

fn within(session: &mut Session, world: &mut dyn World, inputs: &Inputs) -> Ended {
    let _lock = match session.flags.dry_run {
        true => None,
        false => Some(session.space.lock("bootstrap").map_err(Stop::with(NOT_READY))?),
    };
    let plan = inputs.bootstrap(detect::helm(world)?);
    if session.flags.dry_run { plan::print(session, plan) } else { conduct::run(session, world, &plan) }
}
