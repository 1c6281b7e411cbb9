//! `status`: what there is, beside what is wanted. Asks only; a machine that is down is an answer too.
//! Knows nothing of what the questions mean.

use super::conduct::{facts, jobs};
use super::drive::survey::{self, Survey};
use super::exit::{DONE, Ended, INTERRUPTED, REFUSED, Stop};
use super::load::Inputs;
use super::{Session, detect, drift, load, place};
use crate::cli::Format;
use crate::plan::survey::overview::overview;
use crate::plan::survey::questions;
use crate::tools::helm::Helm;
use crate::ui::shell::Tone;
use crate::ui::status;
use crate::world::World;

/// Prints one screen.
///
/// # Errors
/// Problems of the input.
pub fn run(session: &mut Session) -> Ended {
    let inputs = load::inputs(session)?;
    place::within(session, None, &inputs.bootstrap(Helm::V4), &mut |session, world| {
        let survey = look(session, world, &inputs)?;
        let overview = overview(&inputs.fleet, &inputs.releases, &survey.answers);
        let again = if session.flags.rehearse { "cargo xtask doctor --rehearse" } else { "cargo xtask doctor" };
        let text = match session.flags.format {
            Format::Text => status::text(&overview, again),
            Format::Json => status::json(&overview),
        };
        session.shell.data(&text);
        Ok(if overview.so.0 == overview.so.1 { DONE } else { REFUSED })
    })
}

/// Asks everything that `bootstrap` would ask, and what was changed by hand where something was.
///
/// # Errors
/// The user said stop.
pub fn look(session: &mut Session, world: &mut dyn World, inputs: &Inputs) -> Result<Survey, Stop> {
    session.shell.status(Tone::Dim, "Looking", "at the machine, the VMs and the clusters");
    let plan = questions(&inputs.bootstrap(detect::helm(world)?));
    let (facts, jobs) = (facts(session), jobs(session));
    let survey = survey::ask(&plan, facts, world, &mut session.space, jobs);
    let mut survey = survey.map_err(|_| Stop { code: INTERRUPTED, problems: vec![] })?;
    drift::explain(session, world, inputs, &mut survey)?;
    Ok(survey)
}
