//! `charts pull|lock|verify|diff|outdated|bump`: maintains the list of releases and their archives.

use std::time::Duration;

use super::exit::{CmdError, CmdResult, DONE, FAILED, USAGE};
use super::inputs::Inputs;
use super::{Session, download_help, inputs, plan, preflight_help, query, run_plan, world_factory};
use crate::cli::Charts;
use crate::ui::format;
use crate::ui::shell::Severity;
use ::plan::{Plan, StepKey, bootstrap};
use charts::lock;
use model::problem::Problem;
use model::release::{RELEASES, Releases};
use tool::helm::Helm;
use tool::{World, builtin};

mod archives;
mod bump;
pub(super) mod diff;
mod outdated;
pub(super) mod templates;
pub(super) mod typos;
pub(super) mod verify;

/// Limit of one query: the index of a repository has megabytes, a large chart renders for seconds.
pub(super) const LIMIT: Duration = Duration::from_secs(120);

pub fn run(session: &mut Session, command: &Charts) -> CmdResult {
    let inputs = inputs::load(session)?;
    let downloads = bootstrap::downloads(&inputs.fleet, &inputs.releases);
    let lock = match command {
        Charts::Pull(_) => Some("charts pull"),
        Charts::Lock { .. } => Some("charts lock"),
        Charts::Bump { .. } => Some("charts bump"),
        Charts::Verify { .. } | Charts::Outdated | Charts::Diff { .. } => None,
    };
    let served = if matches!(command, Charts::Diff { .. }) { &inputs.bootstrap(Helm::V4) } else { &downloads };
    world_factory::with_world(session, lock, served, &mut |session, world| match command {
        Charts::Pull(_) => pull(session, world, &inputs),
        Charts::Lock { .. } => lock_missing(session, world, &inputs),
        Charts::Verify { values_only } => verify::run(session, world, &inputs, *values_only),
        Charts::Diff { names, .. } => diff::run(session, world, &inputs, names),
        Charts::Outdated => outdated::run(session, world, &inputs),
        Charts::Bump { release, to, .. } => bump::run(session, world, &inputs, release, to.as_deref()),
    })
}

/// Charts are asked by Helm.
fn require_helm(session: &mut Session, world: &mut dyn World, inputs: &Inputs) -> Result<(), CmdError> {
    preflight_help::require(session, world, &inputs.fleet, &["helm"], false)
}

fn pull(session: &mut Session, world: &mut dyn World, inputs: &Inputs) -> CmdResult {
    let plan = bootstrap::downloads(&inputs.fleet, &inputs.releases);
    if session.flags.dry_run {
        return plan::print(session, plan);
    }
    let code = fetch(session, world, inputs, &plan)?;
    warn_unlocked(session, &inputs.releases);
    Ok(code)
}

/// Warns of releases whose download is not verified by a digest.
fn warn_unlocked(session: &mut Session, releases: &Releases) {
    let open = lock::unlocked(releases);
    if !open.is_empty() {
        let line = format!("{}: cargo xtask charts lock", format::list(&open));
        session.shell.status(Severity::Warning, "Unlocked", &line);
    }
}

/// Downloads unlocked releases and writes their digests into the list.
fn lock_missing(session: &mut Session, world: &mut dyn World, inputs: &Inputs) -> CmdResult {
    let open = lock::unlocked(&inputs.releases);
    let plan = download_plan(inputs, &open);
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
    // A download that failed has been reported.
    if left.is_empty() || code != DONE {
        return Ok(code);
    }
    let problem = Problem::new(format!("{} still unlocked: {}", format::count(left.len(), "release"), left.join(", ")));
    Err(CmdError::new(FAILED, problem.at(RELEASES, None).hint("cargo xtask charts pull")))
}

/// The list with the digest of each downloaded archive, and the names of those without one.
fn locked(
    session: &mut Session,
    world: &mut dyn World,
    inputs: &Inputs,
    names: &[String],
    mut text: String,
) -> Result<(String, Vec<String>), CmdError> {
    let mut left = Vec::new();
    for name in names {
        let digest = match download_help::downloads(&inputs.releases).find(|download| download.name == name) {
            Some(download) => digest(world, &download.file)?,
            None => None,
        };
        let Some(digest) = digest else {
            left.push(name.clone());
            continue;
        };
        let releases = inputs::load_releases(&text, &inputs.fleet)?;
        text = lock::lock(&text, &releases, &inputs.fleet, name, &digest).map_err(CmdError::with(USAGE))?;
        session.shell.status(Severity::Success, "Locked", &format!("{name} sha256 {digest}"));
    }
    Ok((text, left))
}

/// The downloads of these entries only, with the checks that they need.
fn download_plan(inputs: &Inputs, names: &[String]) -> Plan {
    let mut plan = bootstrap::downloads(&inputs.fleet, &inputs.releases);
    let downloads = download_help::downloads(&inputs.releases).filter(|d| names.iter().any(|name| name == d.name));
    let wanted: Vec<StepKey> = downloads.map(|d| bootstrap::archive_step(&d.file)).collect();
    let archives: Vec<_> = plan.steps.iter().filter(|step| wanted.contains(&step.id)).cloned().collect();
    let needed = |id: &StepKey| wanted.contains(id) || archives.iter().any(|step| step.needs.contains(id));
    plan.steps.retain(|step| needed(&step.id));
    // A missing version does not appear by waiting.
    plan.steps.iter_mut().for_each(|step| step.limits = step.limits.attempts(2, 1));
    plan
}

/// The digest of a file in `out/charts`, if it exists.
fn digest(world: &mut dyn World, file: &str) -> Result<Option<String>, CmdError> {
    let output = query::command(world, builtin::sha256(&format!("charts/{file}")), LIMIT)?;
    Ok(output.ok().then(|| output.stdout.trim().to_owned()))
}

/// # Errors
/// Every archive with another digest than in the list.
pub fn refuse_mismatches(world: &mut dyn World, releases: &Releases) -> Result<(), CmdError> {
    let mut problems = Vec::new();
    for download in download_help::downloads(releases).filter(|download| download.sha256.is_some()) {
        let got = digest(world, &download.file)?;
        problems.extend(got.and_then(|got| download_help::mismatch(releases, &download, &got)));
    }
    if problems.is_empty() { Ok(()) } else { Err(CmdError { code: FAILED, problems }) }
}

fn fetch(session: &mut Session, world: &mut dyn World, inputs: &Inputs, plan: &Plan) -> CmdResult {
    run_plan::run(session, world, plan, &|failure| download_help::explain_failure(&inputs.releases, failure))
}

fn read(session: &Session, file: &str) -> Result<String, CmdError> {
    session.workspace.read(file.into()).map_err(CmdError::with(USAGE))
}
