//! `charts bump`: another version of one release, fetched and locked before any file is changed.
//! Knows nothing of how the files are edited.

use super::super::exit::{CmdError, CmdResult, DONE, FAILED, USAGE};
use super::super::load::{self, Inputs};
use super::super::{Session, query};
use super::{LIMIT, fetch, fetching, locked, read};
use crate::ui::shell::Severity;
use charts::bump::{self, Bumped};
use charts::lock;
use charts::outdated::{About, about};
use model::problem::Problem;
use model::release::Chart;
use model::release::RELEASES;
use tool::World;
use tool::{Command, helm};

/// Raises a release to a version, or to the newest one.
///
/// # Errors
/// There is no such release or version, the files would not be in order with it, or it could not be fetched. No file
/// is changed then.
pub fn run(session: &mut Session, world: &mut dyn World, inputs: &Inputs, name: &str, to: Option<&str>) -> CmdResult {
    let from = bump::version(&inputs.releases, &inputs.fleet, name).map_err(CmdError::with(USAGE))?;
    let to = match to {
        Some(to) => to.to_owned(),
        None => newest(world, inputs, name)?,
    };
    if from == to {
        session.shell.status(Severity::Success, "Kept", &format!("{name} {from}, which it is already"));
        return Ok(DONE);
    }
    let old = Bumped { fleet: read(session, &inputs.fleet.file)?, releases: read(session, RELEASES)? };
    let mut new = bump::bump(&old, &inputs.releases, &inputs.fleet, name, &to).map_err(CmdError::with(USAGE))?;
    let raised = load::with(session, &new.fleet, &new.releases)?;
    let version = bump::version(&raised.releases, &raised.fleet, name).map_err(CmdError::with(USAGE))?;
    if version != to {
        let problem = Problem::new(format!("`{name}` would not be at {to} afterwards, but at {version}"));
        return Err(CmdError::new(USAGE, problem.at(RELEASES, inputs.releases.lines.get(name).copied())));
    }
    let names = [name.to_owned()];
    let code = fetch(session, world, &raised, &fetching(&raised, &names))?;
    if code != DONE {
        return Ok(code);
    }
    if lock::unlocked(&raised.releases).iter().any(|open| open == name) {
        new.releases = locked(session, world, &raised, &names, new.releases)?.0;
    }
    if let Some(chart) = chart(&raised, name) {
        new.releases = with_app_version(world, &raised, chart, new.releases)?;
    }
    write(session, inputs, &old, &new)?;
    session.shell.status(Severity::Success, "Bumped", &format!("{name} {from} -> {to}"));
    for other in bump::siblings(&inputs.releases, name).iter().filter(|other| other.version != to) {
        let said = format!("cargo xtask charts bump {} --to {to}", other.placement.name);
        session.shell.status(
            Severity::Hint,
            "Same chart",
            &format!("{} {}: {said}", other.placement.name, other.version),
        );
    }
    session.shell.status(Severity::Hint, "Next", "cargo xtask charts verify");
    Ok(DONE)
}

fn chart<'a>(inputs: &'a Inputs, name: &str) -> Option<&'a Chart> {
    inputs.releases.charts.iter().find(|c| c.placement.name == name)
}

/// The newest version that is published.
fn newest(world: &mut dyn World, inputs: &Inputs, name: &str) -> Result<String, CmdError> {
    let Some(chart) = chart(inputs, name) else {
        let problem = Problem::new(format!("cannot ask for the newest `{name}`"));
        let problem = problem.why("it is downloaded by its address, and nobody lists those in one place");
        return Err(CmdError::new(USAGE, problem.hint(format!("cargo xtask charts bump {name} --to VERSION"))));
    };
    Ok(said(world, chart, helm::newest(chart))?.version)
}

/// What a chart says of itself.
fn said(world: &mut dyn World, chart: &Chart, question: Command) -> Result<About, CmdError> {
    let output = query::command(world, question, LIMIT)?;
    if !output.ok() {
        let problem = Problem::new(format!("cannot ask what `{}` is", chart.chart));
        return Err(CmdError::new(FAILED, problem.why(query::reason(&output))));
    }
    about(&chart.chart, &output.stdout).map_err(CmdError::with(FAILED))
}

/// The archive itself is asked: `helm show chart --version` of 3.18 answers with the newest one (measured).
fn with_app_version(world: &mut dyn World, raised: &Inputs, chart: &Chart, text: String) -> Result<String, CmdError> {
    let about = said(world, chart, helm::chart_of(&format!("out/charts/{}", chart.archive())))?;
    let Some(app) = about.app_version else { return Ok(text) };
    let releases = load::releases(&text, &raised.fleet)?;
    bump::app_version(&text, &releases, &raised.fleet, chart, &app).map_err(CmdError::with(USAGE))
}

fn write(session: &mut Session, inputs: &Inputs, old: &Bumped, new: &Bumped) -> Result<(), CmdError> {
    let files = [(RELEASES, &old.releases, &new.releases), (inputs.fleet.file.as_str(), &old.fleet, &new.fleet)];
    for (file, old, new) in files.into_iter().filter(|(_, old, new)| old != new) {
        session.workspace.rewrite(file, old, new).map_err(CmdError::with(USAGE))?;
        session.shell.status(Severity::Success, "Changed", file);
    }
    Ok(())
}
