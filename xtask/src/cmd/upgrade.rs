//! `upgrade`: shows which versions change, and runs the upgrade.

use super::exit::{CmdError, CmdResult};
use super::inputs::Inputs;
use super::{Session, apply, dry_run, inputs, query, world_factory};
use crate::cli::Format;
use crate::ui::format;
use crate::ui::shell::Severity;
use ::plan::Plan;
use ::plan::upgrade::changes::{Change, changes, questions};
use tool::World;
use tool::helm::Helm;

/// # Errors
/// Problems of the input, the choice or the machine.
pub fn run(session: &mut Session) -> CmdResult {
    let inputs = inputs::load(session)?;
    let offered = inputs.bootstrap(Helm::V4);
    world_factory::with_world(session, Some("upgrade"), &offered, &mut |session, world| {
        let plan = inputs.upgrade(query::helm(world)?);
        if session.flags.dry_run {
            return dry_run::run(session, world, &inputs, &plan);
        }
        show_changes(session, world, &inputs, &plan)?;
        apply::run(session, world, &inputs, &plan)
    })
}

/// Prints version changes as far as they can be queried now; VMs that are off are queried again when they run.
fn show_changes(session: &mut Session, world: &mut dyn World, inputs: &Inputs, plan: &Plan) -> Result<(), CmdError> {
    session.shell.status(Severity::Dim, "Checking", "running versions");
    let queries = questions(&inputs.fleet, &inputs.releases, plan);
    let (answers, ..) = query::outputs(session, world, &queries)?;
    let all = changes(&inputs.fleet, &inputs.releases, &answers);
    if session.flags.format == Format::Json {
        let row = |c: &Change| serde_json::json!({ "what": c.what, "from": c.from, "to": c.to });
        let rows: Vec<_> = all.iter().map(row).collect();
        session.shell.event(serde_json::json!({ "event": "changes", "changes": rows }));
    }
    let width = all.iter().map(|c| c.what.len()).max().unwrap_or(0);
    for Change { what, from, to } in &all {
        session.shell.status(Severity::Warning, "Changes", &format!("{what:width$}  {from} -> {to}"));
    }
    for cluster in inputs.fleet.clusters.iter().filter(|cluster| cluster.nodes.len() == 1) {
        let vm = cluster.vm(cluster.control_plane());
        if all.iter().any(|change| change.what == format!("{vm} kubelet")) {
            let what = format!("{vm} is the only node of {}: its pods are down while it is drained", cluster.name);
            session.shell.status(Severity::Warning, "Warning", &what);
        }
    }
    if all.is_empty() {
        let versions = || queries.steps.iter().filter(|step| machines::shown_running(&step.done_when.want).is_none());
        let unanswered = versions().filter(|step| !answers.get(&step.id).is_some_and(|o| o.ok())).count();
        let summary = match unanswered {
            0 => "everything has its pinned version".to_owned(),
            n => format!("{n} of {} without an answer yet", format::count(versions().count(), "version")),
        };
        session.shell.status(Severity::Dim, "Checked", &summary);
    }
    Ok(())
}
