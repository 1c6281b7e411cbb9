//! Where a command runs: with the tools of this machine, or in the embedded world if it is a rehearsal.
//! Knows nothing of what is run.

use camino::Utf8Path;

use super::Session;
use super::exit::{CmdError, CmdResult, PRECONDITION};
use super::sim_world::{self, CrashableWorld};
use crate::ui::shell::Severity;
use exec::host::Host;
use model::problem::Problem;
use plan::Plan;
use tool::World;

/// Tools that were installed for this repository alone.
const BIN: &str = "out/bin";

/// Something to do in a world.
pub type Work<'a> = &'a mut dyn FnMut(&mut Session, &mut dyn World) -> CmdResult;

/// Does it where the flags say. A command that changes something holds the lock meanwhile. The embedded world offers
/// what the plan `offered` downloads.
///
/// # Errors
/// Another run holds the lock, or what the work itself says.
pub fn within(session: &mut Session, lock: Option<&str>, offered: &Plan, work: Work<'_>) -> CmdResult {
    let _lock = match lock.filter(|_| !session.flags.dry_run) {
        None => None,
        Some(name) => Some(session.workspace.lock(name).map_err(CmdError::with(PRECONDITION))?),
    };
    if session.flags.simulate { rehearsed(session, offered, work) } else { real(session, work) }
}

fn real(session: &mut Session, work: Work<'_>) -> CmdResult {
    let path = session.vars.get("PATH").cloned().unwrap_or_default();
    let mut host = Host::new(session.workspace.root(), Utf8Path::new(BIN), &path);
    if !session.flags.dry_run {
        host.listen_for_signals().map_err(CmdError::with(PRECONDITION))?;
    }
    let mut world = (session.world_factory)(host);
    work(session, world.as_mut())
}

fn rehearsed(session: &mut Session, offered: &Plan, work: Work<'_>) -> CmdResult {
    let mut world = sim_world::open(session, offered)?;
    for address in sim_world::unknown_charts(offered) {
        let said = format!("{address}, of which a rehearsal knows nothing: it installs, and shows no pod");
        session.shell.status(Severity::Warning, "Assuming", &said);
    }
    let code = work(session, &mut CrashableWorld::new(&mut world));
    if world.crashed() {
        let problem = Problem::new("a fault of this seed killed the process itself");
        session.workspace.warn_deferred(problem.hint(format!("{}   # goes on from here", session.invocation)));
    }
    if !session.flags.dry_run {
        sim_world::close(session, &world)?;
    }
    code
}
