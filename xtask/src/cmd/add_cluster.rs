//! `add-cluster`: prints a `[[cluster]]` block for a new cluster, and the next commands. Edits nothing.

use super::exit::{CmdError, CmdResult, DONE, USAGE};
use super::{Session, inputs};
use crate::ui::shell::Severity;
use model::fleet::{is_label, next_cluster};
use model::problem::Problem;

/// # Errors
/// Problems of the input, of the name, or of the fleet with the new cluster: the budget is exceeded.
pub fn run(session: &mut Session, name: &str, write: bool) -> CmdResult {
    // The name becomes TOML: it must need no quoting.
    if !is_label(name) {
        let rule = "lower-case letters, digits and hyphens, a letter first";
        let problem = Problem::new(format!("invalid name for a cluster: `{name}`")).why(rule);
        return Err(CmdError::new(USAGE, problem.hint("cargo xtask add-cluster app3")));
    }
    let inputs = inputs::load(session)?;
    let fleet = &inputs.fleet;
    let none = || CmdError::new(USAGE, Problem::new("all 255 Cilium cluster ids are in use"));
    let block = next_cluster(fleet, name).ok_or_else(none)?;
    inputs::with_appended(session, &block).map_err(|problems| {
        // Their lines are behind the end of the file.
        let without_line = |p: Problem| Problem { at: None, hint: p.hint.as_deref().map(as_argument), ..p };
        CmdError { code: USAGE, problems: problems.into_iter().map(without_line).collect() }
    })?;
    if write {
        let old = session.workspace.read(fleet.file.as_str().into()).map_err(CmdError::with(USAGE))?;
        let new = format!("{old}{block}");
        session.workspace.rewrite(&fleet.file, &old, &new).map_err(CmdError::with(USAGE))?;
        session.shell.status(Severity::Success, "Wrote", &format!("`{name}` into {}", fleet.file));
    } else {
        session.shell.result(&block);
    }
    let next = [
        ("Write", format!("cargo xtask add-cluster {name} --write")),
        ("Plan", format!("cargo xtask plan bootstrap --only '{name}/*'")),
        ("Create", "cargo xtask bootstrap   # existing clusters are unchanged".to_owned()),
        ("Connect", "cargo xtask mesh-connect   # adds it to the mesh".to_owned()),
    ];
    for (verb, line) in next.into_iter().skip(usize::from(write)) {
        session.shell.status(Severity::Hint, verb, &line);
    }
    Ok(DONE)
}

/// A hint about the line `name` becomes the command with that argument.
fn as_argument(hint: &str) -> String {
    let name = hint.strip_prefix("name = \"").and_then(|rest| rest.strip_suffix('"'));
    name.map_or(hint.to_owned(), |name| format!("cargo xtask add-cluster {name}"))
}
