//! `tools install`: installs the pinned builds of helm, kubectl and cilium for this machine.

use std::time::Duration;

use super::exit::{CmdError, CmdResult, PRECONDITION};
use super::{Session, inputs, plan, query, run_plan, world_factory};
use ::plan::{bootstrap, tools};
use model::problem::Problem;
use tool::{World, builtin};

const LIMIT: Duration = Duration::from_secs(30);

/// Installs missing tools, or prints the plan.
pub fn install(session: &mut Session) -> CmdResult {
    let inputs = inputs::load(session)?;
    let downloads = bootstrap::downloads(&inputs.fleet, &inputs.releases);
    world_factory::with_world(session, Some("tools install"), &downloads, &mut |session, world| {
        let plan = tools::plan(&inputs.fleet, &inputs.tools, &platform(world)?);
        if session.flags.dry_run {
            return plan::print(session, plan);
        }
        run_plan::run(session, world, &plan, &|_| vec![])
    })
}

/// The platform of this machine, as `macos-aarch64`.
fn platform(world: &mut dyn World) -> Result<String, CmdError> {
    let output = query::command(world, builtin::machine(), LIMIT)?;
    let machine: serde_json::Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    match (machine["os"].as_str(), machine["arch"].as_str()) {
        (Some(os), Some(arch)) => Ok(format!("{os}-{arch}")),
        _ => Err(CmdError::new(PRECONDITION, Problem::new("cannot detect OS/architecture").why(output.stderr))),
    }
}
