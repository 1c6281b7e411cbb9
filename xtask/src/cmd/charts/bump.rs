//! `charts bump`: changes the version of a release, downloaded and locked before any file is changed.

use super::super::exit::{CmdError, CmdResult, DONE, FAILED, USAGE};
use super::super::inputs::{self, Inputs};
use super::super::{Session, query};
use super::{LIMIT, download_plan, fetch, locked, read, require_helm};
use crate::ui::shell::Severity;
use charts::bump::{self, VersionFiles};
use charts::lock;
use charts::outdated::{ChartYaml, parse_chart_yaml};
use model::problem::Problem;
use model::release::{Chart, RELEASES};
use tool::{Command, World, helm};

/// # Errors
/// There is no such release or version, the files would be invalid with it, or it cannot be downloaded. No file is changed
/// then.
pub fn run(session: &mut Session, world: &mut dyn World, inputs: &Inputs, name: &str, to: Option<&str>) -> CmdResult {
    let from = bump::version(&inputs.releases, &inputs.fleet, name).map_err(CmdError::with(USAGE))?;
    let to = match to {
        Some(to) => to.to_owned(),
        None => {
            require_helm(session, world, inputs)?;
            newest(world, inputs, name)?
        }
    };
    if from == to {
        session.shell.status(Severity::Success, "Unchanged", &format!("{name} is already at {from}"));
        return Ok(DONE);
    }
    let old = VersionFiles { fleet: read(session, &inputs.fleet.file)?, releases: read(session, RELEASES)? };
    let mut new = bump::bump(&old, &inputs.releases, &inputs.fleet, name, &to).map_err(CmdError::with(USAGE))?;
    let bumped = inputs::with_texts(session, &new.fleet, &new.releases)?;
    let version = bump::version(&bumped.releases, &bumped.fleet, name).map_err(CmdError::with(USAGE))?;
    if version != to {
        let problem = Problem::new(format!("`{name}` would be at {version}, not at {to}"));
        return Err(CmdError::new(USAGE, problem.at(RELEASES, inputs.releases.line(name))));
    }
    let names = [name.to_owned()];
    let code = fetch(session, world, &bumped, &download_plan(&bumped, &names))?;
    if code != DONE {
        return Ok(code);
    }
    if lock::unlocked(&bumped.releases).iter().any(|open| open == name) {
        new.releases = locked(session, world, &bumped, &names, new.releases)?.0;
    }
    if let Some(chart) = bumped.releases.chart(name) {
        new.releases = with_app_version(world, &bumped, chart, new.releases)?;
    }
    write(session, inputs, &old, &new)?;
    session.shell.status(Severity::Success, "Bumped", &format!("{name} {from} -> {to}"));
    for other in bump::siblings(&inputs.releases, name).iter().filter(|other| other.version != to) {
        let command = format!("cargo xtask charts bump {} --to {to}", other.placement.name);
        session.shell.status(
            Severity::Hint,
            "Same chart",
            &format!("{} {}: {command}", other.placement.name, other.version),
        );
    }
    Ok(DONE)
}

/// The newest published version.
fn newest(world: &mut dyn World, inputs: &Inputs, name: &str) -> Result<String, CmdError> {
    let Some(chart) = inputs.releases.chart(name) else {
        let problem = Problem::new(format!("cannot determine the newest version of `{name}`"));
        let problem = problem.why("it is downloaded by its address, and there is no index of its versions");
        return Err(CmdError::new(USAGE, problem.hint(format!("cargo xtask charts bump {name} --to VERSION"))));
    };
    Ok(chart_yaml(world, chart, helm::newest(chart))?.version)
}

/// The `Chart.yaml` that `helm show chart` prints.
fn chart_yaml(world: &mut dyn World, chart: &Chart, show: Command) -> Result<ChartYaml, CmdError> {
    let output = query::command(world, show, LIMIT)?;
    if !output.ok() {
        let problem = Problem::new(format!("cannot read the Chart.yaml of `{}`", chart.chart));
        return Err(CmdError::new(FAILED, problem.why(query::reason(&output))));
    }
    parse_chart_yaml(&chart.chart, &output.stdout).map_err(CmdError::with(FAILED))
}

/// From the archive itself: `helm show chart --version` of Helm 3.18 prints the newest chart (measured).
fn with_app_version(world: &mut dyn World, bumped: &Inputs, chart: &Chart, text: String) -> Result<String, CmdError> {
    let metadata = chart_yaml(world, chart, helm::chart_of(&format!("out/charts/{}", chart.archive())))?;
    let Some(app) = metadata.app_version else { return Ok(text) };
    let releases = inputs::load_releases(&text, &bumped.fleet)?;
    bump::set_app_version(&text, &releases, &bumped.fleet, chart, &app).map_err(CmdError::with(USAGE))
}

fn write(session: &mut Session, inputs: &Inputs, old: &VersionFiles, new: &VersionFiles) -> Result<(), CmdError> {
    let files = [(RELEASES, &old.releases, &new.releases), (inputs.fleet.file.as_str(), &old.fleet, &new.fleet)];
    for (file, old, new) in files.into_iter().filter(|(_, old, new)| old != new) {
        session.workspace.rewrite(file, old, new).map_err(CmdError::with(USAGE))?;
        session.shell.status(Severity::Success, "Changed", file);
    }
    Ok(())
}
