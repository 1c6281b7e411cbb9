//! `fleet check` lists every problem of the input; `fleet use` takes one of the fleets in `infra/fleets/`.

use super::exit::{CmdError, CmdResult, DONE, FAILED, USAGE};
use super::git::Git;
use super::run_plan::facts;
use super::{Session, inputs};
use crate::cli::Fleet;
use crate::ui::format;
use crate::ui::shell::Severity;
use model::problem::{Problem, nearest};

/// # Errors
/// All problems of the input.
pub fn run(session: &mut Session, command: &Fleet) -> CmdResult {
    match command {
        Fleet::Check => check(session),
        Fleet::Use { size } => switch(session, size),
    }
}

/// Writes a fleet of `infra/fleets/` over the fleet file. What git or that folder does not have is not lost by it.
fn switch(session: &mut Session, size: &str) -> CmdResult {
    let refuse = |code, problem: Problem| Err(CmdError::new(code, problem));
    let (file, folder) = (session.flags.fleet.clone(), "infra/fleets");
    let shipped = session.workspace.data().map_err(CmdError::all(USAGE))?;
    let shipped: Vec<(&str, &String)> = shipped
        .iter()
        .filter_map(|(path, text)| Some((path.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".toml")?, text)))
        .collect();
    let Some((_, text)) = shipped.iter().find(|(name, _)| *name == size) else {
        let names: Vec<&str> = shipped.iter().map(|(name, _)| *name).collect();
        let near = nearest(size, names.iter().copied()).or(names.first().copied()).unwrap_or_default();
        let problem = Problem::new(format!("there is no fleet `{size}`")).at(folder, None);
        let why = format!("there are {}", names.join(", "));
        return refuse(USAGE, problem.why(why).hint(format!("cargo xtask fleet use {near}")));
    };
    let now = session.workspace.read_input(&file).map_err(CmdError::with(USAGE))?;
    if now == **text {
        session.shell.status(Severity::Success, "Unchanged", &format!("{file} is the fleet {size} already"));
        return Ok(DONE);
    }
    let machines: Vec<String> = facts(session).into_keys().filter(|fact| fact.ends_with(".ip")).collect();
    if let Some(first) = machines.first() {
        let problem = Problem::new(format!("{file} has machines: {}", first.trim_end_matches(".ip").replace('.', "-")));
        let why =
            format!("an earlier run created {}, which another fleet would forget", format::count(machines.len(), "VM"));
        return refuse(FAILED, problem.why(why).hint("cargo xtask destroy"));
    }
    let committed = Git::at(session.workspace.root(), "HEAD").and_then(|git| git.text(file.as_str()));
    if committed.as_ref() != Ok(&now) && shipped.iter().all(|(_, known)| **known != now) {
        let problem = Problem::new(format!("{file} has edits that are not committed")).at(file.as_str(), None);
        let why = "they would be lost";
        return refuse(
            USAGE,
            problem.why(why).hint(format!("cargo xtask up --fleet {folder}/{size}.toml   # leaves it as it is")),
        );
    }
    session.workspace.rewrite(file.as_str(), &now, text).map_err(CmdError::with(USAGE))?;
    session.shell.status(Severity::Success, "Wrote", &format!("{file}: the fleet {size}"));
    Ok(DONE)
}

fn check(session: &mut Session) -> CmdResult {
    let inputs = inputs::load(session)?;
    let fleet = &inputs.fleet;
    let nodes = fleet.clusters.iter().map(|c| c.nodes.len()).sum();
    let summary = format!(
        "{}: {}, {}, {} of {} planned",
        fleet.file,
        format::count(fleet.clusters.len(), "cluster"),
        format::count(nodes, "node"),
        format::size(fleet.memory().0),
        format::size(fleet.host.usable.0),
    );
    for notice in inputs::ends_of_life(&inputs)? {
        session.shell.status(Severity::Warning, "Warning", &notice);
    }
    session.shell.status(Severity::Success, "Checked", &summary);
    Ok(DONE)
}
