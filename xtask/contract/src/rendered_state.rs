//! What the static tier judges: every Helm value and every object of every cluster, each with the line that decides it.

mod origin;

use std::collections::BTreeMap;
use std::rc::Rc;

use ipnet::Ipv4Net;
use serde_json::Value;

use model::fleet::{Cluster, Fleet, Role};
use model::problem::{At, Problem};
use model::release::{Placement, Releases, Source};
use model::yaml::{self, Path};
use render::merge::path as keys;
use render::{Data, Files};

use origin::Origin;
pub use origin::Rendering;
pub(crate) use origin::leaves;

/// Helm marks what it makes with the name of the release.
const RELEASE: &str = "meta.helm.sh/release-name";
const RELEASES: &str = "charts/releases.toml";

#[derive(Debug)]
pub struct RenderedState {
    /// The clusters, in the fleet's order.
    pub clusters: Vec<ClusterManifests>,
    /// What the charts themselves added, if they were rendered.
    pub rendering: Option<Rendering>,
}

#[derive(Debug, Clone)]
pub struct ClusterManifests {
    pub name: String,
    pub role: Role,
    pub nodes: usize,
    pub ranges: [Ipv4Net; 2],
    /// Names under which its API server and its machines are known.
    pub machines: Vec<String>,
    /// Values of releases and objects of manifests, in the order of `charts/releases.toml`.
    pub documents: Vec<Document>,
    /// Files of its nodes: path below `out/`, and text.
    pub texts: Vec<(String, String)>,
    lines: Rc<BTreeMap<String, usize>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Values of a Helm release.
    Values { chart: String, namespace: String },
    /// One object of a manifest.
    Object,
    /// One object that a chart renders.
    Rendered { chart: String, namespace: String },
}

#[derive(Debug, Clone)]
pub struct Document {
    pub name: String,
    pub kind: Kind,
    pub wave: u32,
    pub file: String,
    value: Rc<Value>,
    lines: Rc<BTreeMap<Path, usize>>,
    /// Values that `set` derives, and where.
    set: Vec<(Path, At)>,
    /// Of what a chart renders: where to look for the line that decided it.
    origin: Option<Rc<Origin>>,
}

impl RenderedState {
    /// Gathers it from what was rendered.
    ///
    /// # Errors
    /// A file that is no YAML; `render` refuses those before.
    pub fn gather(
        fleet: &Fleet,
        releases: &Releases,
        data: &Data,
        files: &Files,
    ) -> Result<RenderedState, Vec<Problem>> {
        let mut cache = ParseCache { known: BTreeMap::new() };
        let lines = Rc::new(releases.lines.clone());
        let mut clusters = Vec::new();
        for cluster in &fleet.clusters {
            let documents = documents(cluster, releases, data, files, &mut cache)?;
            clusters.push(manifests(cluster, documents, files, &lines));
        }
        Ok(RenderedState { clusters, rendering: None })
    }

    /// The platform cluster, if the fleet has one.
    pub fn platform(&self) -> Option<&ClusterManifests> {
        self.clusters.iter().find(|g| g.role == Role::Platform)
    }

    pub fn apps(&self) -> impl Iterator<Item = &ClusterManifests> {
        self.clusters.iter().filter(|g| g.role == Role::Workload)
    }
}

fn manifests(
    cluster: &Cluster,
    documents: Vec<Document>,
    files: &Files,
    lines: &Rc<BTreeMap<String, usize>>,
) -> ClusterManifests {
    let nodes = cluster.nodes.iter().map(|n| format!("{}/{}/", cluster.name, n.name));
    let of_nodes = |path: &String| nodes.clone().any(|folder| path.starts_with(&folder));
    ClusterManifests {
        name: cluster.name.clone(),
        role: cluster.role,
        nodes: cluster.nodes.len(),
        ranges: [cluster.pod_cidr, cluster.service_cidr],
        machines: cluster.nodes.iter().map(|n| cluster.vm(n)).chain([cluster.api_name()]).collect(),
        documents,
        texts: files.iter().filter(|(path, _)| of_nodes(path)).map(|(p, t)| (p.clone(), t.clone())).collect(),
        lines: Rc::clone(lines),
    }
}

fn documents(
    cluster: &Cluster,
    releases: &Releases,
    data: &Data,
    files: &Files,
    cache: &mut ParseCache,
) -> Result<Vec<Document>, Vec<Problem>> {
    let mut documents = Vec::new();
    let here = |p: &Placement| p.clusters.contains(&cluster.role);
    for chart in releases.charts.iter().filter(|c| here(&c.placement)) {
        let name = &chart.placement.name;
        let kind = Kind::Values { chart: chart.chart.clone(), namespace: chart.namespace.clone() };
        let file = format!("charts/{name}/values.yaml");
        let rendered = format!("{}/{name}/values.yaml", cluster.name);
        let set = places(releases, name, chart.bindings.keys().map(|path| (path.as_str(), keys(path))));
        documents.extend(cache.read(data, files, &file, &rendered, &chart.placement, &kind, &set)?);
    }
    for manifest in releases.manifests.iter().filter(|m| here(&m.placement)) {
        let Source::File(file) = &manifest.source else { continue };
        let name = &manifest.placement.name;
        let rendered = format!("{}/{name}.yaml", cluster.name);
        let inside = |path: &String| path.split_once(':').map_or_else(Path::new, |(_, path)| keys(path));
        let set = places(releases, name, manifest.bindings.keys().map(|path| (path.as_str(), inside(path))));
        documents.extend(cache.read(data, files, file, &rendered, &manifest.placement, &Kind::Object, &set)?);
    }
    Ok(documents)
}

/// The lines of `set` entries; of a manifest they are kept with all its objects, since paths tell them apart.
fn places<'a>(releases: &Releases, name: &str, set: impl Iterator<Item = (&'a str, Path)>) -> Vec<(Path, At)> {
    let line = |path: &str| {
        let keys = [format!("{name}.bindings.{path}"), format!("{name}.bindings"), name.to_owned()];
        keys.iter().find_map(|key| releases.lines.get(key)).copied()
    };
    set.map(|(written, path)| (path, At { file: RELEASES.to_owned(), line: line(written) })).collect()
}

/// A document and the line of each of its values, shared by all clusters that have it.
type Shared = (Rc<Value>, Rc<BTreeMap<Path, usize>>);

/// Texts that were read already: clusters of one role differ in few of them.
struct ParseCache {
    known: BTreeMap<(String, String), Vec<Shared>>,
}

impl ParseCache {
    #[expect(clippy::too_many_arguments, reason = "one call site for charts and one for manifests")]
    fn read(
        &mut self,
        data: &Data,
        files: &Files,
        file: &str,
        rendered: &str,
        placement: &Placement,
        kind: &Kind,
        set: &[(Path, At)],
    ) -> Result<Vec<Document>, Vec<Problem>> {
        let written = self.parsed(file, data.get(file).map_or("", String::as_str))?;
        let values = match set.is_empty() {
            true => written.clone(),
            false => self.parsed(file, files.get(rendered).map_or("", String::as_str))?,
        };
        let document = |(value, (_, lines)): (&Shared, &Shared)| Document {
            name: placement.name.clone(),
            kind: kind.clone(),
            wave: placement.wave,
            file: file.to_owned(),
            value: Rc::clone(&value.0),
            lines: Rc::clone(lines),
            set: set.to_vec(),
            origin: None,
        };
        Ok(values.iter().zip(&written).map(document).collect())
    }

    fn parsed(&mut self, file: &str, text: &str) -> Result<Vec<Shared>, Vec<Problem>> {
        let key = (file.to_owned(), text.to_owned());
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let read = yaml::parse(file, text)?;
        let pair = |d: yaml::Document| (Rc::new(d.value), Rc::new(d.lines));
        let read: Vec<_> = read.into_iter().map(pair).collect();
        self.known.insert(key, read.clone());
        Ok(read)
    }
}

impl ClusterManifests {
    /// The same cluster with objects as they are live in place of what is rendered. `from` says where they were read.
    pub fn live(&self, objects: &[Value], from: &str) -> ClusterManifests {
        let document = |object: &Value| {
            let release = object["metadata"]["annotations"][RELEASE].as_str();
            let kind = release.map_or(Kind::Object, |release| Kind::Rendered {
                chart: release.to_owned(),
                namespace: object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned(),
            });
            Document {
                name: release.or(object["metadata"]["name"].as_str()).unwrap_or_default().to_owned(),
                kind,
                wave: 0,
                file: from.to_owned(),
                value: Rc::new(object.clone()),
                lines: Rc::default(),
                set: vec![],
                origin: None,
            }
        };
        let documents = objects.iter().map(document).collect();
        ClusterManifests {
            name: self.name.clone(),
            machines: self.machines.clone(),
            documents,
            texts: vec![],
            lines: Rc::default(),
            ..*self
        }
    }

    pub fn release(&self, name: &str) -> Option<&Document> {
        self.documents.iter().find(|s| s.name == name && matches!(s.kind, Kind::Values { .. }))
    }

    pub fn releases(&self) -> impl Iterator<Item = &Document> {
        self.documents.iter().filter(|s| matches!(s.kind, Kind::Values { .. }))
    }

    /// Objects of a kind, such as `Service`, of manifests and of what charts render.
    pub fn objects<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Document> {
        self.documents.iter().filter(move |s| s.chart().is_none() && s.word("kind") == kind)
    }

    /// Objects that charts render. None where they were not.
    pub fn rendered(&self) -> impl Iterator<Item = &Document> {
        self.documents.iter().filter(|s| s.made_by().is_some())
    }

    /// Where an entry of the list of releases stands; the list itself for one that is not there.
    pub fn listed(&self, name: &str) -> At {
        At { file: RELEASES.to_owned(), line: self.lines.get(name).copied() }
    }
}

impl Document {
    /// The value at a dotted path: `server.remoteWrite.0.url`; a dot within a key is escaped.
    pub fn get(&self, path: &str) -> Option<&Value> {
        keys(path).iter().filter(|key| !key.is_empty()).try_fold(&*self.value, |value, key| match value {
            Value::Array(list) => key.parse().ok().and_then(|i: usize| list.get(i)),
            other => other.get(key),
        })
    }

    /// The text at a path, empty where there is none.
    pub fn word(&self, path: &str) -> &str {
        self.get(path).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Where the value at a path is decided; of a missing one, the nearest table around it.
    pub fn at(&self, path: &str) -> At {
        if let Some(origin) = &self.origin {
            return origin.at(path, self.get(path));
        }
        let mut path: Path = keys(path).into_iter().filter(|key| !key.is_empty()).collect();
        if let Some((_, at)) = self.set.iter().find(|(set, _)| *set == path && !self.lines.contains_key(&path)) {
            return at.clone();
        }
        loop {
            if let Some(line) = self.lines.get(&path) {
                return At { file: self.file.clone(), line: Some(*line) };
            }
            if path.pop().is_none() {
                return At { file: self.file.clone(), line: None };
            }
        }
    }

    /// Where one line of the text at a path is decided.
    pub fn at_text(&self, path: &str, line: &str) -> At {
        match &self.origin {
            Some(origin) => origin.at(path, Some(&Value::String(line.trim().to_owned()))),
            None => self.at(path),
        }
    }

    /// How it is called: `kyverno`, or `Deployment/sample`.
    pub fn subject(&self) -> String {
        match self.kind {
            Kind::Values { .. } => self.name.clone(),
            Kind::Object => format!("{}/{}", self.word("kind"), self.word("metadata.name")),
            Kind::Rendered { .. } => format!("{}/{} of {}", self.word("kind"), self.word("metadata.name"), self.name),
        }
    }

    /// The namespace that it is in, or is installed into.
    pub fn namespace(&self) -> &str {
        match &self.kind {
            Kind::Values { namespace, .. } => namespace,
            Kind::Object => self.word("metadata.namespace"),
            Kind::Rendered { namespace, .. } => match self.word("metadata.namespace") {
                "" => namespace,
                own => own,
            },
        }
    }

    pub fn chart(&self) -> Option<&str> {
        match &self.kind {
            Kind::Values { chart, .. } => Some(chart),
            Kind::Object | Kind::Rendered { .. } => None,
        }
    }

    pub fn made_by(&self) -> Option<&str> {
        match &self.kind {
            Kind::Rendered { chart, .. } => Some(chart),
            Kind::Values { .. } | Kind::Object => None,
        }
    }
}
