//! From the disk to what every command begins with: fleet, releases and generated files, or all problems at once.
//! Knows nothing of what a command does with them.

use camino::Utf8Path;

use super::Session;
use super::exit::{Stop, WRONG};
use crate::fleet::{self, Compatibility, Fleet};
use crate::plan::{Plan, bootstrap};
use crate::problem::Problem;
use crate::release::{self, Releases};
use crate::render::{self, Data, Files};
use crate::tools::helm::Helm;

/// Which versions work together.
const COMPATIBILITY: &str = "infra/compatibility.toml";
/// What is installed on the clusters.
const RELEASES: &str = "charts/releases.toml";

/// What a person wrote, read and checked, and the files that follow from it.
pub struct Inputs {
    /// What we want.
    pub fleet: Fleet,
    /// What is installed.
    pub releases: Releases,
    /// Generated files.
    pub files: Files,
    /// The data files that they were made from.
    pub data: Data,
}

impl Inputs {
    /// What `bootstrap` does, in the words of one Helm.
    pub fn bootstrap(&self, helm: Helm) -> Plan {
        bootstrap::plan(&self.fleet, &self.releases, self.files.clone(), helm)
    }
}

/// Reads everything.
///
/// # Errors
/// All problems of the first stage that has any: files, fleet, releases, rendering.
pub fn inputs(session: &Session) -> Result<Inputs, Stop> {
    all(session).map_err(Stop::all(WRONG))
}

fn all(session: &Session) -> Result<Inputs, Vec<Problem>> {
    let data = session.space.data()?;
    let known = Compatibility::load(COMPATIBILITY, text(&data, COMPATIBILITY)?)?;
    let (file, text_of_fleet) = fleet_text(session).map_err(|problem| vec![problem])?;
    let fleet = fleet::load(&file, &text_of_fleet, &known)?;
    let releases = release::load(RELEASES, text(&data, RELEASES)?, &fleet)?;
    let files = render::files(&fleet, &releases, &data)?;
    Ok(Inputs { fleet, releases, files, data })
}

/// The fleet's file as the user named it: from where they stand, or from the repository if it is only there.
fn fleet_text(session: &Session) -> Result<(String, String), Problem> {
    let named = &session.flags.fleet;
    let from_here = session.here.join(named);
    let path = if session.space.holds(from_here.as_str()) { from_here.as_path() } else { named.as_path() };
    let text = session.space.read(path)?;
    Ok((session.space.shown(path).to_owned(), text))
}

fn text<'a>(data: &'a Data, file: &str) -> Result<&'a str, Vec<Problem>> {
    let missing = || vec![Problem::new(format!("a data file is missing: `{file}`")).hint(git_checkout(file))];
    data.get(file).map(String::as_str).ok_or_else(missing)
}

fn git_checkout(file: &str) -> String {
    format!("git checkout -- {}", Utf8Path::new(file))
}
