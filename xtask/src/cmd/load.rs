//! From the disk to what every command begins with: fleet, releases and generated files, or all problems at once.
//! Knows nothing of what a command does with them.

use camino::Utf8Path;

use super::Session;
use super::exit::{CmdError, USAGE};
use super::git::Git;
use charts::verify::namespaces;
use model::fleet::binaries::{self, Binary};
use model::fleet::{self, Compatibility, Fleet};
use model::problem::{Problem, nearest};
use model::release::{self, RELEASES, Releases};
use plan::mesh::{self, MeshScope};
use plan::{Plan, bootstrap, upgrade};
use render::{self, Data, Files};
use tool::helm::Helm;

/// Which versions work together.
const COMPATIBILITY: &str = "infra/compatibility.toml";
/// What is installed on the clusters.
/// Which builds of the command-line tools are pinned.
const TOOLS: &str = "infra/tools.toml";

/// What a person wrote, read and checked, and the files that follow from it.
pub struct Inputs {
    /// What we want.
    pub fleet: Fleet,
    /// What is installed.
    pub releases: Releases,
    /// Builds of tools that are pinned.
    pub tools: Vec<Binary>,
    /// Generated files.
    pub files: Files,
    /// The data files that all of it was read from.
    pub data: Data,
}

impl Inputs {
    /// What `bootstrap` does, in the words of one Helm.
    pub fn bootstrap(&self, helm: Helm) -> Plan {
        bootstrap::plan(&self.fleet, &self.releases, self.files.clone(), helm)
    }

    /// What `upgrade` does.
    pub fn upgrade(&self, helm: Helm) -> Plan {
        upgrade::plan(&self.fleet, &self.releases, self.bootstrap(helm))
    }

    /// What `mesh-connect` does once it has looked, for the clusters of a scope.
    ///
    /// # Errors
    /// A data file names peers.
    pub fn mesh(&self, helm: Helm, scope: &MeshScope) -> Result<Plan, CmdError> {
        let peers = render::mesh::files(&self.fleet, &scope.addresses(&self.fleet), &self.files);
        let mut files = self.files.clone();
        files.extend(peers.map_err(CmdError::all(USAGE))?);
        Ok(mesh::plan(&self.fleet, &self.releases, files, helm, scope))
    }

    /// What brings the nodes of some clusters home before they are connected.
    pub fn home(&self, helm: Helm, clusters: &[String]) -> Plan {
        mesh::home::plan(&self.fleet, self.bootstrap(helm), clusters)
    }

    /// The same with all that goes before: the questions, and what nodes that moved need.
    ///
    /// # Errors
    /// As for [`Inputs::mesh`].
    pub fn mesh_whole(&self, helm: Helm, scope: &MeshScope) -> Result<Plan, CmdError> {
        let before = mesh::whole(mesh::survey::plan(&self.fleet, scope), self.home(helm, &scope.clusters));
        Ok(mesh::whole(before, self.mesh(helm, scope)?))
    }
}

/// Reads everything.
///
/// # Errors
/// All problems of the first stage that has any: files, fleet, releases, rendering.
pub fn inputs(session: &Session) -> Result<Inputs, CmdError> {
    let now = || {
        let data = session.workspace.data()?;
        let (file, text) = fleet_text(session).map_err(|problem| vec![problem])?;
        all(data, &file, &text)
    };
    now().map_err(CmdError::all(USAGE))
}

/// Everything as it would be with other texts of the fleet and of the list of releases.
///
/// # Errors
/// As for [`inputs`].
pub fn with(session: &Session, fleet: &str, releases: &str) -> Result<Inputs, CmdError> {
    let read = || {
        let mut data = session.workspace.data()?;
        data.insert(RELEASES.to_owned(), releases.to_owned());
        let (file, _) = fleet_text(session).map_err(|problem| vec![problem])?;
        // Of the fleet only what the flag names counts, wherever it lies.
        all(data, &file, fleet)
    };
    read().map_err(CmdError::all(USAGE))
}

/// Reads everything as it would be with more text at the end of the fleet's file.
///
/// # Errors
/// All problems of the first stage that has any.
pub fn with_more(session: &Session, more: &str) -> Result<Inputs, Vec<Problem>> {
    let (file, text) = fleet_text(session).map_err(|problem| vec![problem])?;
    all(session.workspace.data()?, &file, &format!("{text}{more}"))
}

/// The clusters that `--cluster` names, or all, in the order of the fleet.
///
/// # Errors
/// Every name that the fleet does not have.
pub fn clusters(session: &Session, fleet: &Fleet) -> Result<Vec<String>, CmdError> {
    let given = &session.flags.clusters;
    let known = || fleet.clusters.iter().map(|cluster| cluster.name.as_str());
    let problem = |name: &String| {
        let problem = Problem::new(format!("the fleet has no cluster `{name}`"));
        match nearest(name, known()) {
            Some(near) => problem.hint(format!("did you mean `--cluster {near}`?")),
            None => problem.hint(format!("it has {}", known().collect::<Vec<_>>().join(", "))),
        }
    };
    let problems: Vec<Problem> = given.iter().filter(|name| !known().any(|k| k == *name)).map(problem).collect();
    if !problems.is_empty() {
        return Err(CmdError { code: USAGE, problems });
    }
    Ok(known().filter(|name| given.is_empty() || given.iter().any(|g| g == name)).map(str::to_owned).collect())
}

/// A text of the list of releases, read for a fleet.
///
/// # Errors
/// All problems that it has.
pub fn releases(text: &str, fleet: &Fleet) -> Result<Releases, CmdError> {
    release::load(RELEASES, text, fleet).map_err(CmdError::all(USAGE))
}

/// Reads everything as a commit has it.
///
/// # Errors
/// No such commit, a fleet that it does not have, or its problems.
pub fn inputs_at(session: &Session, commit: &str) -> Result<Inputs, CmdError> {
    let then = || {
        let git = Git::at(session.workspace.root(), commit).map_err(|problem| vec![problem])?;
        let data = git.texts(&["infra", "charts"]).map_err(|problem| vec![problem])?;
        let file = session.workspace.shown(&session.flags.fleet).to_owned();
        let text = git.text(&file).map_err(|problem| vec![problem])?;
        all(data, &file, &text)
    };
    then().map_err(CmdError::all(USAGE))
}

fn all(data: Data, file: &str, text_of_fleet: &str) -> Result<Inputs, Vec<Problem>> {
    let known = Compatibility::load(COMPATIBILITY, text(&data, COMPATIBILITY)?)?;
    let fleet = fleet::load(file, text_of_fleet, &known)?;
    let releases = release::load(RELEASES, text(&data, RELEASES)?, &fleet)?;
    let tools = binaries::load(TOOLS, text(&data, TOOLS)?, &fleet)?;
    let files = render::files(&fleet, &releases, &data)?;
    let homeless = namespaces::homeless(&fleet, &releases, &data).map_err(|problem| vec![problem])?;
    if homeless.is_empty() { Ok(Inputs { fleet, releases, tools, files, data }) } else { Err(homeless) }
}

/// The fleet's file as the user named it: from where they stand, or from the repository if it is only there.
fn fleet_text(session: &Session) -> Result<(String, String), Problem> {
    let named = &session.flags.fleet;
    let from_here = session.cwd.join(named);
    let path = if session.workspace.exists(from_here.as_str()) { from_here.as_path() } else { named.as_path() };
    let text = session.workspace.read_input(path)?;
    Ok((session.workspace.shown(path).to_owned(), text))
}

fn text<'a>(data: &'a Data, file: &str) -> Result<&'a str, Vec<Problem>> {
    let missing = || vec![Problem::new(format!("a data file is missing: `{file}`")).hint(git_checkout(file))];
    data.get(file).map(String::as_str).ok_or_else(missing)
}

fn git_checkout(file: &str) -> String {
    format!("git checkout -- {}", Utf8Path::new(file))
}
