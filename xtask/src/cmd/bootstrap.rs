//! `bootstrap`: every cluster of the fleet with everything on it, here or in the embedded world.
//! Knows nothing of the steps.

use camino::Utf8Path;

use super::embedded::{self, Mortal};
use super::exit::{Ended, NOT_READY, Stop};
use super::load::Inputs;
use super::{Session, conduct, detect, load, plan, ready};
use crate::problem::Problem;
use crate::tools::helm::Helm;
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
    let _lock = match session.flags.dry_run {
        true => None,
        false => Some(session.space.lock("bootstrap").map_err(Stop::with(NOT_READY))?),
    };
    if session.flags.rehearse { rehearsed(session, &inputs) } else { real(session, &inputs) }
}

fn real(session: &mut Session, inputs: &Inputs) -> Ended {
    let path = session.vars.get("PATH").cloned().unwrap_or_default();
    let mut host = Host::new(session.space.root(), Utf8Path::new(BIN), &path);
    if !session.flags.dry_run {
        host.heed_signals().map_err(Stop::with(NOT_READY))?;
    }
    let mut world = (session.door)(host);
    within(session, world.as_mut(), inputs)
}

fn rehearsed(session: &mut Session, inputs: &Inputs) -> Ended {
    let mut world = embedded::open(session, &inputs.bootstrap(Helm::V4))?;
    let code = within(session, &mut Mortal::new(&mut world), inputs);
    if world.crashed() {
        let problem = Problem::new("a fault of this seed killed the process itself");
        session.space.complain(problem.hint(format!("{}        (goes on from here)", session.typed)));
    }
    if !session.flags.dry_run {
        embedded::close(session, &world)?;
    }
    code
}

fn within(session: &mut Session, world: &mut dyn World, inputs: &Inputs) -> Ended {
    let plan = inputs.bootstrap(detect::helm(world)?);
    if session.flags.dry_run {
        return plan::print(session, plan);
    }
    conduct::run(session, world, &plan, &|failure| ready::problems(&inputs.fleet, failure))
}
