//! `upgrade`: shows what goes from which version to which, and brings it there.
//! Knows nothing of the steps.

use super::exit::{CmdError, CmdResult, DONE};
use super::inputs::Inputs;
use super::{Session, apply, inputs, plan, query, world_factory};
use crate::cli::Format;
use crate::ui::format;
use crate::ui::shell::Severity;
use ::plan::Plan;
use ::plan::upgrade::changes::{Change, changes, questions};
use tool::World;
use tool::helm::Helm;

/// Runs it, or prints what it would run.
///
/// # Errors
/// Problems of the input, the choice or the machine.
pub fn run(session: &mut Session) -> CmdResult {
    let inputs = inputs::load(session)?;
    let offered = inputs.bootstrap(Helm::V4);
    world_factory::with_world(session, Some("upgrade"), &offered, &mut |session, world| {
        let plan = inputs.upgrade(query::helm(world)?);
        if session.flags.dry_run {
            return plan::print(session, plan);
        }
        tell(session, world, &inputs, &plan)?;
        let code = apply::run(session, world, &inputs, &plan)?;
        if code == DONE && session.flags.format == Format::Text {
            let next = session.flags.hint("cargo xtask mesh-connect   # if the clusters were connected");
            session.shell.status(Severity::Hint, "Next", &next);
        }
        Ok(code)
    })
}

/// What changes, as far as it can be asked now. A machine that is off says nothing: it is asked again when it is on.
fn tell(session: &mut Session, world: &mut dyn World, inputs: &Inputs, plan: &Plan) -> Result<(), CmdError> {
    session.shell.status(Severity::Dim, "Asking", "which versions run");
    let asked = questions(&inputs.fleet, &inputs.releases, plan);
    let (answers, _) = query::outputs(session, world, &asked)?;
    let all = changes(&inputs.fleet, &inputs.releases, &answers);
    if session.flags.format == Format::Json {
        let row = |c: &Change| serde_json::json!({ "what": c.what, "from": c.from, "to": c.to });
        let rows: Vec<_> = all.iter().map(row).collect();
        session.shell.result(&format!("{}\n", serde_json::json!({ "event": "changes", "changes": rows })));
    }
    let width = all.iter().map(|c| c.what.len()).max().unwrap_or(0);
    for Change { what, from, to } in &all {
        session.shell.status(Severity::Warning, "Changes", &format!("{what:width$}  {from} -> {to}"));
    }
    if all.is_empty() {
        let silent = asked.steps.iter().filter(|step| !answers.get(&step.id).is_some_and(|o| o.ok())).count();
        let said = match silent {
            0 => "everything is of the version that is pinned".to_owned(),
            n => format!("{} got no answer yet", format::count(n, "question")),
        };
        session.shell.status(Severity::Dim, "Asked", &said);
    }
    Ok(())
}
