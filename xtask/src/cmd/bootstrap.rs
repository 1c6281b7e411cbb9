//! `bootstrap`: every cluster of the fleet with everything on it, here or in the embedded world.
//! Knows nothing of the steps.

use camino::Utf8Path;

use super::exit::{Ended, NOT_READY, Stop};
use super::load::Inputs;
use super::{Session, drive, embedded, load, plan, run};
use crate::engine::Engine;
use crate::plan::{Plan, bootstrap};
use crate::tools::helm::{self, Helm};
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
    let plan = inputs.bootstrap(helm(session, world, inputs));
    if session.flags.dry_run { plan::print(session, plan) } else { run::run(session, world, &plan) }
}

/// Which Helm there is. Without one the plan is made for the newest: its first steps then say that there is none.
fn helm(session: &mut Session, world: &mut dyn World, inputs: &Inputs) -> Helm {
    let plan: Plan = bootstrap::detect(&inputs.fleet);
    let engine = Engine::new(&plan, plan.ids(), Default::default(), 1);
    let outcome = drive::drive(&plan, engine, world, &mut session.space, &mut |_, _| {});
    let found = run::facts(session).remove(bootstrap::HELM_FACT).filter(|_| !outcome.kept.is_empty());
    found.and_then(|version| helm::read(&version)).unwrap_or(Helm::V4)
}
