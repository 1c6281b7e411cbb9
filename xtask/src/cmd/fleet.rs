//! `fleet check`: lists every problem of the input.

use super::exit::{CmdResult, DONE};
use super::{Session, inputs};
use crate::cli::Fleet;
use crate::ui::format;
use crate::ui::shell::Severity;

/// # Errors
/// All problems of the input.
pub fn run(session: &mut Session, command: &Fleet) -> CmdResult {
    let Fleet::Check = command;
    let inputs = inputs::load(session)?;
    let fleet = &inputs.fleet;
    let nodes = fleet.clusters.iter().map(|c| c.nodes.len()).sum();
    let memory: u64 = fleet.clusters.iter().map(|c| c.memory.0).sum::<u64>() + fleet.host.docker.0;
    let summary = format!(
        "{}: {}, {}, {} of {} planned",
        fleet.file,
        format::count(fleet.clusters.len(), "cluster"),
        format::count(nodes, "node"),
        format::size(memory),
        format::size(fleet.host.usable.0),
    );
    for notice in inputs::ends_of_life(&inputs)? {
        session.shell.status(Severity::Warning, "Warning", &notice);
    }
    session.shell.status(Severity::Success, "Checked", &summary);
    Ok(DONE)
}
