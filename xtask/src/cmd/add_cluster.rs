//! `add-cluster NAME`: the block that makes the fleet one cluster larger, and what to do with it. Edits nothing.
//! Knows nothing of ids and ranges; `fleet` has them.

use super::exit::{CmdError, CmdResult, DONE, USAGE};
use super::{Session, inputs};
use crate::ui::shell::Severity;
use model::fleet::{is_label, next_cluster};
use model::problem::Problem;

/// Prints it, if a fleet with it would be valid.
///
/// # Errors
/// Problems of the input, of the name, or of the fleet that it would become: no room for it in the budget.
pub fn run(session: &mut Session, name: &str) -> CmdResult {
    // Text from the command line becomes TOML here: only a name that needs no quoting does.
    if !is_label(name) {
        let rule = "lower-case letters, digits and hyphens, a letter first";
        let problem = Problem::new(format!("not a name for a cluster: `{name}`")).why(rule);
        return Err(CmdError::new(USAGE, problem.hint("cargo xtask add-cluster app3")));
    }
    let inputs = inputs::load(session)?;
    let fleet = &inputs.fleet;
    let none = || CmdError::new(USAGE, Problem::new("there is no id left").why("Cilium knows 255 clusters"));
    let block = next_cluster(fleet, name).ok_or_else(none)?;
    inputs::with_appended(session, &block).map_err(|problems| {
        // Lines beyond the end of the file would only confuse.
        let beyond = |p: Problem| Problem { at: None, hint: p.hint.as_deref().map(typed), ..p };
        CmdError { code: USAGE, problems: problems.into_iter().map(beyond).collect() }
    })?;
    session.shell.result(&block);
    let way = [
        ("Append", format!("cargo xtask add-cluster {name} >> {}", fleet.file)),
        ("Look", format!("cargo xtask plan bootstrap --only '{name}/*'")),
        ("Make", "cargo xtask bootstrap   # what is there already is kept".to_owned()),
        ("Connect", "cargo xtask mesh-connect   # the others are told of it".to_owned()),
    ];
    for (verb, line) in way {
        session.shell.status(Severity::Hint, verb, &line);
    }
    Ok(DONE)
}

/// What would be written into the file, as it is typed here: a name is an argument.
fn typed(hint: &str) -> String {
    let name = hint.strip_prefix("name = \"").and_then(|rest| rest.strip_suffix('"'));
    name.map_or(hint.to_owned(), |name| format!("cargo xtask add-cluster {name}"))
}
