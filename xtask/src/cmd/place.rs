//! Where a command runs: on this machine, or in the embedded world, with what each needs before and after.
//! Knows nothing of what runs there.

use camino::Utf8Path;

use super::Session;
use super::embedded::{self, Mortal};
use super::exit::{Ended, NOT_READY, Stop};
use super::load::Inputs;
use crate::problem::Problem;
use crate::tools::helm::Helm;
use crate::world::World;
use crate::world::host::Host;

/// Tools that were installed for this repository alone.
const BIN: &str = "out/bin";

/// What runs.
pub type Job<'a> = &'a mut dyn FnMut(&mut Session, &mut dyn World) -> Ended;

/// Runs it, on this machine unless it is rehearsed.
///
/// # Errors
/// Those of the job, and what keeps it from beginning or its story from being kept.
pub fn within(session: &mut Session, inputs: &Inputs, job: Job<'_>) -> Ended {
    if session.flags.rehearse { rehearsed(session, inputs, job) } else { real(session, job) }
}

fn real(session: &mut Session, job: Job<'_>) -> Ended {
    let path = session.vars.get("PATH").cloned().unwrap_or_default();
    let mut world = Host::new(session.space.root(), Utf8Path::new(BIN), &path);
    if !session.flags.dry_run {
        world.heed_signals().map_err(Stop::with(NOT_READY))?;
    }
    job(session, &mut world)
}

fn rehearsed(session: &mut Session, inputs: &Inputs, job: Job<'_>) -> Ended {
    let mut world = embedded::open(session, &inputs.bootstrap(Helm::V4))?;
    let code = job(session, &mut Mortal::new(&mut world));
    if world.crashed() {
        let problem = Problem::new("a fault of this seed killed the process itself");
        session.space.complain(problem.hint(format!("{}        (goes on from here)", session.typed)));
    }
    if !session.flags.dry_run {
        embedded::close(session, &world)?;
    }
    code
}
