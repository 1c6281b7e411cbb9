//! Opens the world of a command: the tools of this machine, or the simulator.

use std::time::Duration;

use camino::Utf8Path;

use super::Session;
use super::exit::{CmdError, CmdResult, INTERRUPTED, PRECONDITION};
use super::recorder;
use super::sim_world::{self, CrashableWorld};
use crate::ui::format;
use crate::ui::shell::Severity;
use exec::host::Host;
use exec::workspace::{Lock, clock};
use model::problem::Problem;
use plan::Plan;
use tool::World;

/// Tools installed for this repository.
const BIN: &str = "out/bin";
/// Between two looks at the commands of a killed run.
const POLL: Duration = Duration::from_secs(1);

pub type Work<'a> = &'a mut dyn FnMut(&mut Session, &mut dyn World) -> CmdResult;

/// Runs `work` in the world that the flags select, with the lock if it has a name. The simulator serves the `downloads`.
///
/// # Errors
/// Another run holds the lock, or commands of one that was killed do not end; or those of `work`.
pub fn with_world(session: &mut Session, lock: Option<&str>, downloads: &Plan, work: Work<'_>) -> CmdResult {
    let lock = match lock.filter(|_| !session.flags.dry_run) {
        None => None,
        Some(name) => Some(session.workspace.lock(name).map_err(CmdError::with(PRECONDITION))?),
    };
    if session.flags.simulate {
        simulated(session, lock.is_some(), downloads, work)
    } else {
        real(session, lock.as_ref(), work)
    }
}

fn real(session: &mut Session, lock: Option<&Lock>, work: Work<'_>) -> CmdResult {
    let path = session.vars.get("PATH").cloned().unwrap_or_default();
    let mut host = Host::new(session.workspace.root(), Utf8Path::new(BIN), &path);
    host.listen_for_signals().map_err(CmdError::with(PRECONDITION))?;
    if let Some(lock) = lock {
        host.share_lock(lock.children());
    }
    let mut world = (session.world_factory)(host);
    session.began = world.now();
    if let Some(lock) = lock {
        await_orphans(session, world.as_mut(), lock)?;
    }
    recorder::recorded(session, world.as_mut(), work)
}

/// Waits until the commands of a killed run have ended: beside them a run would take what they are at for half done.
fn await_orphans(session: &mut Session, world: &mut dyn World, lock: &Lock) -> Result<(), CmdError> {
    let mut told = false;
    loop {
        let orphans = lock.orphans().map_err(CmdError::with(PRECONDITION))?;
        let Some(until) = orphans.iter().map(|orphan| orphan.until).max() else { return Ok(()) };
        let pids: Vec<String> = orphans.iter().filter_map(|orphan| orphan.pid).map(|pid| pid.to_string()).collect();
        let names: Vec<String> = orphans.iter().map(|orphan| shortened(&orphan.command)).collect();
        let what = format!("still at work for a run that was killed: {} (pid {})", names.join(", "), pids.join(", "));
        let left = Duration::from_secs(until.saturating_sub(clock::now_ms() / 1000));
        if left.is_zero() {
            let problem = Problem::new(what).why("it should have ended by now");
            return Err(CmdError::new(PRECONDITION, problem.hint(format!("kill {}", pids.join(" ")))));
        }
        if !std::mem::replace(&mut told, true) {
            let what = format!("up to {} for what is {what}", format::duration(left));
            session.shell.status(Severity::Warning, "Waiting", &what);
        }
        if !world.hold(world.now() + POLL) {
            return Err(CmdError::new(INTERRUPTED, Problem::new("interrupted; nothing was changed")));
        }
    }
}

/// The first words of a command.
fn shortened(command: &str) -> String {
    let words: Vec<&str> = command.split(' ').take(4).collect();
    words.join(" ")
}

fn simulated(session: &mut Session, locked: bool, downloads: &Plan, work: Work<'_>) -> CmdResult {
    let mut world = sim_world::open(session, downloads)?;
    if locked {
        world.await_orphans();
    }
    for address in sim_world::unknown_charts(downloads) {
        let assumption = format!("{address} is unknown to the simulator: it installs without pods");
        session.shell.status(Severity::Warning, "Assuming", &assumption);
    }
    session.began = world.now();
    let code = recorder::recorded(session, &mut CrashableWorld::new(&mut world), work);
    if world.crashed() {
        let problem = Problem::new("an injected fault killed the process");
        session.workspace.warn_deferred(problem.hint(format!("{}   # continues from here", session.invocation)));
    }
    if !session.flags.dry_run {
        sim_world::close(session, &world)?;
    }
    code
}
