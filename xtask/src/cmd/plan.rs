//! `plan <command>`: the exact commands, and nothing else. The same bytes each time, on every machine.
//! Knows nothing of which tools this machine has: it plans for the newest Helm that the fleet accepts.

use super::conduct::chosen;
use super::exit::{DONE, Ended};
use super::{Session, load};
use crate::cli::{Format, Planned};
use crate::plan::{Plan, text};
use crate::tools::helm::Helm;
use crate::ui::events;

/// Prints the plan.
///
/// # Errors
/// Problems of the input or of the choice.
pub fn run(session: &mut Session, of: Planned) -> Ended {
    let Planned::Bootstrap = of;
    let plan = load::inputs(session)?.bootstrap(Helm::V4);
    print(session, plan)
}

/// Prints the chosen steps of a plan.
///
/// # Errors
/// Problems of the choice.
pub fn print(session: &mut Session, mut plan: Plan) -> Ended {
    let chosen = chosen(session, &plan)?;
    plan.steps.retain(|step| chosen.contains(&step.id));
    let text = match session.flags.format {
        Format::Text => text::print(&plan),
        Format::Json => events::plan(&plan),
    };
    session.shell.data(&text);
    Ok(DONE)
}
