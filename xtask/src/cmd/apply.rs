//! Runs a plan that installs releases: first their archives, then a check of all values against them, then the rest.

use std::collections::BTreeSet;

use super::charts::typos;
use super::exit::CmdResult;
use super::inputs::Inputs;
use super::run_plan::{self, First};
use super::{Session, download_help, preflight_help};
use model::problem::Problem;
use plan::engine::Failure;
use plan::{Plan, Scope};
use tool::World;

/// An unreachable chart server, a digest mismatch, an unknown key, a value that Helm cannot render: each is reported before
/// any change, also on the first run (ADR-0011).
pub fn run(session: &mut Session, world: &mut dyn World, inputs: &Inputs, plan: &Plan) -> CmdResult {
    let checked = typos::check_values(session, world, inputs, plan, BTreeSet::new())?;
    let check = &mut |session: &mut Session, world: &mut dyn World| {
        typos::check_values(session, world, inputs, plan, checked.clone()).map(drop)
    };
    run_plan::run_after(session, world, plan, Some(First { scope: Scope::Charts, check }), &|failure| {
        explain_failure(inputs, failure)
    })
}

/// Problems of the inputs behind a failure: the machine is too small, an archive cannot be downloaded.
pub fn explain_failure(inputs: &Inputs, failure: &Failure) -> Vec<Problem> {
    [preflight_help::explain_failure(&inputs.fleet, failure), download_help::explain_failure(&inputs.releases, failure)]
        .concat()
}
