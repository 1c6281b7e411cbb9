//! `tools install`: the pinned builds of helm, kubectl and cilium for the machine that this runs on.
//! Knows nothing of where they come from.

use std::time::Duration;

use super::exit::{CmdError, CmdResult, PRECONDITION};
use super::{Session, conduct, load, place, plan, query};
use ::plan::{bootstrap, tools};
use model::problem::Problem;
use tool::World;
use tool::builtin;

/// The machine answers about itself at once.
const LIMIT: Duration = Duration::from_secs(30);

/// Installs what is missing, or prints what it would do.
///
/// # Errors
/// Problems of the input, or of the choice.
pub fn install(session: &mut Session) -> CmdResult {
    let inputs = load::inputs(session)?;
    let offered = bootstrap::downloads(&inputs.fleet, &inputs.releases);
    place::within(session, Some("tools install"), &offered, &mut |session, world| {
        let plan = tools::plan(&inputs.fleet, &inputs.tools, &platform(world)?);
        if session.flags.dry_run {
            return plan::print(session, plan);
        }
        conduct::run(session, world, &plan, &|_| vec![])
    })
}

/// What the machine is, as `macos-aarch64`.
fn platform(world: &mut dyn World) -> Result<String, CmdError> {
    let output = query::command(world, builtin::machine(), LIMIT)?;
    let said: serde_json::Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    match (said["os"].as_str(), said["arch"].as_str()) {
        (Some(os), Some(arch)) => Ok(format!("{os}-{arch}")),
        _ => Err(CmdError::new(PRECONDITION, Problem::new("this machine does not say what it is").why(output.stderr))),
    }
}
