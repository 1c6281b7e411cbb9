//! Opens the world of a command: the tools of this machine, or the simulator.

use camino::Utf8Path;

use super::Session;
use super::exit::{CmdError, CmdResult, PRECONDITION};
use super::sim_world::{self, CrashableWorld};
use crate::ui::shell::Severity;
use exec::host::Host;
use model::problem::Problem;
use plan::Plan;
use tool::World;

/// Tools installed for this repository.
const BIN: &str = "out/bin";

pub type Work<'a> = &'a mut dyn FnMut(&mut Session, &mut dyn World) -> CmdResult;

/// Runs `work` in the world that the flags select, with the lock if it has a name. The simulator serves the `downloads`.
///
/// # Errors
/// Another run holds the lock, or those of `work`.
pub fn with_world(session: &mut Session, lock: Option<&str>, downloads: &Plan, work: Work<'_>) -> CmdResult {
    let _lock = match lock.filter(|_| !session.flags.dry_run) {
        None => None,
        Some(name) => Some(session.workspace.lock(name).map_err(CmdError::with(PRECONDITION))?),
    };
    if session.flags.simulate { simulated(session, downloads, work) } else { real(session, work) }
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

fn simulated(session: &mut Session, downloads: &Plan, work: Work<'_>) -> CmdResult {
    let mut world = sim_world::open(session, downloads)?;
    for address in sim_world::unknown_charts(downloads) {
        let assumption = format!("{address} is unknown to the simulator: it installs without pods");
        session.shell.status(Severity::Warning, "Assuming", &assumption);
    }
    let code = work(session, &mut CrashableWorld::new(&mut world));
    if world.crashed() {
        let problem = Problem::new("an injected fault killed the process");
        session.workspace.warn_deferred(problem.hint(format!("{}   # continues from here", session.invocation)));
    }
    if !session.flags.dry_run {
        sim_world::close(session, &world)?;
    }
    code
}
