//! Runs a plan that installs releases: their archives first, then a try of all values on them, then everything else.
//! Knows nothing of which plan it is.

use std::collections::BTreeSet;

use super::charts::slips;
use super::conduct::{self, First};
use super::exit::CmdResult;
use super::load::Inputs;
use super::{Session, digests, ready};
use model::problem::Problem;
use plan::engine::Failure;
use plan::{Plan, Scope};
use tool::World;

/// Runs it. A chart server that is down, another file than was pinned, a key that no chart has, a value that Helm
/// cannot render: each is told before anything is made, also where nothing was there before (ADR-0011).
///
/// # Errors
/// Problems of the choice, or of the values.
pub fn run(session: &mut Session, world: &mut dyn World, inputs: &Inputs, plan: &Plan) -> CmdResult {
    let tried = slips::refuse(session, world, inputs, plan, BTreeSet::new())?;
    let look = &mut |session: &mut Session, world: &mut dyn World| {
        slips::refuse(session, world, inputs, plan, tried.clone()).map(drop)
    };
    conduct::run_after(session, world, plan, Some(First { scope: Scope::Charts, look }), &|failure| {
        meaning(inputs, failure)
    })
}

/// What a failure means in the input: a machine that is too small, an archive that is not to be had.
pub fn meaning(inputs: &Inputs, failure: &Failure) -> Vec<Problem> {
    [ready::problems(&inputs.fleet, failure), digests::problems(&inputs.releases, failure)].concat()
}
