//! Loads the inputs of a command: fleet, releases and generated files, or all problems at once.

use super::Session;
use super::exit::{CmdError, USAGE};
use super::git::Git;
use charts::verify::{cilium, namespaces};
use exec::workspace::clock;
use model::end_of_life::{self, END_OF_LIFE, Line};
use model::fleet::binaries::{self, Binary};
use model::fleet::{self, Compatibility, Fleet};
use model::problem::{Problem, nearest};
use model::release::{self, Chart, RELEASES, Releases, apps};
use model::yaml;
use plan::mesh::{self, MeshScope};
use plan::{Plan, bootstrap, choose, upgrade};
use render::{self, Data, Files};
use tool::helm::Helm;

const COMPATIBILITY: &str = "infra/compatibility.toml";
const TOOLS: &str = "infra/tools.toml";

/// The checked input files, and the files generated from them.
pub struct Inputs {
    pub fleet: Fleet,
    pub releases: Releases,
    /// Pinned builds of tools.
    pub tools: Vec<Binary>,
    /// Generated files.
    pub files: Files,
    /// The data files.
    pub data: Data,
}

impl Inputs {
    pub fn bootstrap(&self, helm: Helm) -> Plan {
        bootstrap::plan(&self.fleet, &self.releases, self.files.clone(), helm)
    }

    pub fn upgrade(&self, helm: Helm) -> Plan {
        upgrade::plan(&self.fleet, &self.releases, self.bootstrap(helm))
    }

    /// The plan of `apply` for every entry and cluster.
    pub fn apply_all(&self, helm: Helm) -> Plan {
        let clusters: Vec<String> = self.fleet.clusters.iter().map(|cluster| cluster.name.clone()).collect();
        let names: Vec<String> = self.releases.names().map(str::to_owned).collect();
        choose::of_releases(&self.bootstrap(helm), &names, &clusters)
    }

    /// The plan of `mesh-connect` after its survey, for the clusters of a scope.
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
        mesh::readdress::plan(&self.fleet, self.bootstrap(helm), clusters)
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

/// # Errors
/// All problems of the first stage that has any: files, fleet, releases, rendering.
pub fn load(session: &Session) -> Result<Inputs, CmdError> {
    with_appended(session, "").map_err(CmdError::all(USAGE))
}

/// The inputs with other texts of the fleet and of the list of releases.
pub fn with_texts(session: &Session, fleet: &str, releases: &str) -> Result<Inputs, CmdError> {
    let read = || {
        let mut data = session.workspace.data()?;
        data.insert(RELEASES.to_owned(), releases.to_owned());
        let (file, _) = fleet_text(session).map_err(|problem| vec![problem])?;
        check(data, &file, fleet)
    };
    read().map_err(CmdError::all(USAGE))
}

/// The inputs with more text at the end of the fleet file.
pub fn with_appended(session: &Session, more: &str) -> Result<Inputs, Vec<Problem>> {
    let data = session.workspace.data()?;
    let (file, text) = fleet_text(session).map_err(|problem| vec![problem])?;
    check(data, &file, &format!("{text}{more}"))
}

/// The clusters of `--cluster`, or all, in the order of the fleet.
///
/// # Errors
/// Every unknown name.
pub fn selected_clusters(session: &Session, fleet: &Fleet) -> Result<Vec<String>, CmdError> {
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

pub fn load_releases(text: &str, fleet: &Fleet) -> Result<Releases, CmdError> {
    release::load(RELEASES, text, fleet).map_err(CmdError::all(USAGE))
}

/// The inputs of a git commit.
pub fn at_commit(session: &Session, commit: &str) -> Result<Inputs, CmdError> {
    let then = || {
        let git = Git::at(session.workspace.root(), commit).map_err(|problem| vec![problem])?;
        let data = git.texts(&["infra", "charts", apps::APPS]).map_err(|problem| vec![problem])?;
        let file = session.workspace.shown(&session.flags.fleet).to_owned();
        let text = git.text(&file).map_err(|problem| vec![problem])?;
        check(data, &file, &text)
    };
    then().map_err(CmdError::all(USAGE))
}

fn check(data: Data, file: &str, text_of_fleet: &str) -> Result<Inputs, Vec<Problem>> {
    let known = Compatibility::load(COMPATIBILITY, text(&data, COMPATIBILITY)?)?;
    let fleet = fleet::load(file, text_of_fleet, &known)?;
    let mut releases = release::load(RELEASES, text(&data, RELEASES)?, &fleet)?;
    apps::add(&mut releases, &fleet, data.keys())?;
    let tools = binaries::load(TOOLS, text(&data, TOOLS)?, &fleet)?;
    let files = render::files(&fleet, &releases, &data)?;
    let mut problems = namespaces::missing_namespaces(&fleet, &releases, &data).map_err(|problem| vec![problem])?;
    problems.extend(cilium::problems(&fleet, &releases, &data).map_err(|problem| vec![problem])?);
    if problems.is_empty() { Ok(Inputs { fleet, releases, tools, files, data }) } else { Err(problems) }
}

/// The ends of life that are near or past, of Kubernetes, Cilium and every release, each once.
///
/// # Errors
/// A table that cannot be read.
pub fn ends_of_life(inputs: &Inputs) -> Result<Vec<String>, CmdError> {
    let lines = lifetimes(inputs)?;
    let versions = &inputs.fleet.versions;
    let own = [("kubernetes", versions.kubernetes.to_string()), ("cilium", versions.cilium.to_string())];
    let charts = inputs.releases.charts.iter().map(|chart| (chart.chart.as_str(), installed(inputs, chart)));
    let mut found: Vec<String> = Vec::new();
    for notice in own.into_iter().chain(charts).filter_map(|(what, version)| ended(&lines, what, &version)) {
        if !found.contains(&notice) {
            found.push(notice);
        }
    }
    Ok(found)
}

/// # Errors
/// As [`ends_of_life`].
pub fn lifetimes(inputs: &Inputs) -> Result<Vec<Line>, CmdError> {
    let text = inputs.data.get(END_OF_LIFE).map_or("", String::as_str);
    end_of_life::load(text).map_err(|problem| CmdError { code: USAGE, problems: vec![problem] })
}

/// What is to be said today of a version of a product.
pub fn ended(lines: &[Line], product: &str, version: &str) -> Option<String> {
    end_of_life::notice(lines, product, version, clock::now().split('T').next().unwrap_or_default())
}

/// The version that a release installs: the tag of its image where its values set one, else that of its chart.
pub fn installed(inputs: &Inputs, chart: &Chart) -> String {
    let file = format!("charts/{}/values.yaml", chart.placement.name);
    let documents = inputs.data.get(&file).and_then(|text| yaml::foreign(&file, text).ok()).unwrap_or_default();
    let tag =
        documents.first().and_then(|d| ["/server/image/tag", "/image/tag"].iter().find_map(|at| d.value.pointer(at)));
    let tag = tag.and_then(|tag| tag.as_str()).map(str::to_owned);
    tag.unwrap_or_else(|| chart.app_version.clone())
}

/// The path and text of the fleet file, relative to the current directory, or to the repository if it exists only there.
fn fleet_text(session: &Session) -> Result<(String, String), Problem> {
    let named = &session.flags.fleet;
    let from_here = session.cwd.join(named);
    let path = if session.workspace.exists(from_here.as_str()) { from_here.as_path() } else { named.as_path() };
    let text = session.workspace.read_input(path)?;
    Ok((session.workspace.shown(path).to_owned(), text))
}

fn text<'a>(data: &'a Data, file: &str) -> Result<&'a str, Vec<Problem>> {
    let missing =
        || vec![Problem::new(format!("a data file is missing: `{file}`")).hint(format!("git checkout -- {file}"))];
    data.get(file).map(String::as_str).ok_or_else(missing)
}
