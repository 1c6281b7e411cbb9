//! `charts pull|lock|verify|outdated|bump`: upkeep of the list of releases and of the archives that it names.
//! Knows nothing of what stands in a chart.

use std::time::Duration;

use super::exit::{CmdError, CmdResult, DONE, FAILED, USAGE};
use super::load::Inputs;
use super::{Session, conduct, digests, load, place, plan, query};
use crate::cli::Charts;
use crate::ui::format;
use crate::ui::shell::Severity;
use ::plan::{Plan, StepKey, bootstrap};
use charts::lock;
use model::problem::Problem;
use model::release::RELEASES;
use model::release::Releases;
use tool::World;
use tool::builtin;

mod bump;
mod offers;
mod outdated;
pub(super) mod slips;
pub(super) mod templates;
mod verify;

/// How long one question may take: a repository's index has megabytes, a large chart renders for seconds.
pub(super) const LIMIT: Duration = Duration::from_secs(120);

/// Does one of them.
///
/// # Errors
/// Problems of the input, of what was downloaded, or of what was found.
pub fn run(session: &mut Session, command: &Charts) -> CmdResult {
    let inputs = load::inputs(session)?;
    let offered = bootstrap::downloads(&inputs.fleet, &inputs.releases);
    let lock = match command {
        Charts::Pull(_) => Some("charts pull"),
        Charts::Lock { .. } => Some("charts lock"),
        Charts::Bump { .. } => Some("charts bump"),
        Charts::Verify { .. } | Charts::Outdated => None,
    };
    place::within(session, lock, &offered, &mut |session, world| match command {
        Charts::Pull(_) => pull(session, world, &inputs),
        Charts::Lock { .. } => learn(session, world, &inputs),
        Charts::Verify { values_only } => verify::run(session, world, &inputs, *values_only),
        Charts::Outdated => outdated::run(session, world, &inputs),
        Charts::Bump { release, to, .. } => bump::run(session, world, &inputs, release, to.as_deref()),
    })
}

fn pull(session: &mut Session, world: &mut dyn World, inputs: &Inputs) -> CmdResult {
    let plan = bootstrap::downloads(&inputs.fleet, &inputs.releases);
    if session.flags.dry_run {
        return plan::print(session, plan);
    }
    let code = fetch(session, world, inputs, &plan)?;
    say_unlocked(session, &inputs.releases);
    Ok(code)
}

/// Names what would be installed from whatever its server says today.
fn say_unlocked(session: &mut Session, releases: &Releases) {
    let open = lock::unlocked(releases);
    if !open.is_empty() {
        let line = format!("{}: cargo xtask charts lock", format::list(&open));
        session.shell.status(Severity::Warning, "Unlocked", &line);
    }
}

/// Learns the digests that are missing and writes them into the list.
fn learn(session: &mut Session, world: &mut dyn World, inputs: &Inputs) -> CmdResult {
    let open = lock::unlocked(&inputs.releases);
    let plan = fetching(inputs, &open);
    if session.flags.dry_run {
        return plan::print(session, plan);
    }
    if open.is_empty() {
        session.shell.status(Severity::Success, "Locked", &format!("{RELEASES}: every download has its digest"));
        return Ok(DONE);
    }
    let code = fetch(session, world, inputs, &plan)?;
    let old = read(session, RELEASES)?;
    let (text, left) = locked(session, world, inputs, &open, old.clone())?;
    if text != old {
        session.workspace.rewrite(RELEASES, &old, &text).map_err(CmdError::with(USAGE))?;
    }
    if left.is_empty() {
        return Ok(code);
    }
    let problem = Problem::new(format!("{} still unlocked: {}", format::count(left.len(), "release"), left.join(", ")));
    let code = if code == DONE { FAILED } else { code };
    Err(CmdError::new(code, problem.at(RELEASES, None).hint("cargo xtask charts lock")))
}

/// The list with the digest of each of these whose archive is there, and the names of the others.
fn locked(
    session: &mut Session,
    world: &mut dyn World,
    inputs: &Inputs,
    names: &[String],
    mut text: String,
) -> Result<(String, Vec<String>), CmdError> {
    let mut left = Vec::new();
    for name in names {
        let digest = match digests::file(&inputs.releases, name) {
            Some(file) => digest(world, &file)?,
            None => None,
        };
        let Some(digest) = digest else {
            left.push(name.clone());
            continue;
        };
        let releases = load::releases(&text, &inputs.fleet)?;
        text = lock::lock(&text, &releases, &inputs.fleet, name, &digest).map_err(CmdError::with(USAGE))?;
        session.shell.status(Severity::Success, "Locked", &format!("{name} sha256 {digest}"));
    }
    Ok((text, left))
}

/// The downloads of these entries alone, with the checks that they need.
fn fetching(inputs: &Inputs, names: &[String]) -> Plan {
    let mut plan = bootstrap::downloads(&inputs.fleet, &inputs.releases);
    let wanted: Vec<StepKey> = names
        .iter()
        .filter_map(|name| digests::file(&inputs.releases, name))
        .map(|f| bootstrap::archive_step(&f))
        .collect();
    let archives: Vec<_> = plan.steps.iter().filter(|step| wanted.contains(&step.id)).cloned().collect();
    let needed = |id: &StepKey| wanted.contains(id) || archives.iter().any(|step| step.needs.contains(id));
    plan.steps.retain(|step| needed(&step.id));
    // A person waits, and a version that does not exist will not come by waiting.
    plan.steps.iter_mut().for_each(|step| step.limits = step.limits.attempts(2, 1));
    plan
}

/// The digest of a file in `out/charts`, if it is there.
fn digest(world: &mut dyn World, file: &str) -> Result<Option<String>, CmdError> {
    let output = query::command(world, builtin::sha256(&format!("charts/{file}")), LIMIT)?;
    Ok(output.ok().then(|| output.stdout.trim().to_owned()))
}

/// Names each archive that is not the one whose digest the list has.
///
/// # Errors
/// There is one, or the user said stop.
pub fn refuse_others(world: &mut dyn World, releases: &Releases) -> Result<(), CmdError> {
    let mut problems = Vec::new();
    for (name, file, want) in digests::pinned(releases) {
        if let Some(got) = digest(world, &file)?.filter(|got| got != want) {
            problems.push(digests::other(releases, name, &got));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(CmdError { code: FAILED, problems }) }
}

/// Runs the downloads of a plan.
fn fetch(session: &mut Session, world: &mut dyn World, inputs: &Inputs, plan: &Plan) -> CmdResult {
    conduct::run(session, world, plan, &|failure| digests::problems(&inputs.releases, failure))
}

fn read(session: &Session, file: &str) -> Result<String, CmdError> {
    session.workspace.read(file.into()).map_err(CmdError::with(USAGE))
}
