//! Plain manifests of this repository, as each cluster gets them: the file, plus what `set` in `charts/releases.toml`
//! binds. Knows nothing of how they are applied, nor of those that are downloaded.

use std::collections::BTreeMap;

use serde_json::Value;

use super::helm::{entry, place, resolve};
use super::merge::{Derived, merge};
use super::yaml::{self, Document};
use super::{Data, Files, documents, listed, text};
use model::fleet::{Cluster, Fleet};
use model::problem::{At, Problem};
use model::release::{Manifest, Releases, Source};

/// `<cluster>/<manifest>.yaml` of every manifest file on every cluster of its roles: as it is written where nothing is
/// bound in it.
///
/// # Errors
/// A missing or broken file, a document that is not an object, a binding into an object that is not there (or there
/// twice), a field with two owners, an unknown binding.
pub fn files(fleet: &Fleet, releases: &Releases, data: &Data) -> Result<Files, Vec<Problem>> {
    let mut files = Files::new();
    let mut problems = Vec::new();
    let mut described = Described::default();
    for manifest in &releases.manifests {
        let Source::File(file) = &manifest.source else { continue };
        let at = entry(releases, &manifest.placement.name, "file");
        let there = listed(data, file, at, "the list of releases names it");
        let objects = match there.and_then(|()| objects(data, file)) {
            Ok(objects) => objects,
            Err(some) => {
                problems.extend(some);
                continue;
            }
        };
        for cluster in fleet.clusters.iter().filter(|c| manifest.placement.clusters.contains(&c.role)) {
            problems.extend(described.twice(cluster, &objects));
            match rendered(fleet, releases, cluster, manifest, &objects) {
                Ok(None) => drop(files.insert(name(cluster, manifest), text(data, file)?.to_owned())),
                Ok(Some(text)) => drop(files.insert(name(cluster, manifest), text)),
                Err(some) => problems.extend(some),
            }
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

fn name(cluster: &Cluster, manifest: &Manifest) -> String {
    format!("{}/{}.yaml", cluster.name, manifest.placement.name)
}

/// Where each object of each cluster is described: by cluster, API group, kind, namespace and name.
#[derive(Default)]
struct Described(BTreeMap<[String; 5], At>);

impl Described {
    /// A problem for each object of a file that the cluster has already: one `apply` would undo the other, and no run
    /// would find all as it should be.
    fn twice(&mut self, cluster: &Cluster, objects: &[Document]) -> Vec<Problem> {
        let mut problems = Vec::new();
        for object in objects {
            let text = |pointer| object.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let (kind, namespace, name) = (text("/kind"), text("/metadata/namespace"), text("/metadata/name"));
            let group = text("/apiVersion").rsplit_once('/').map_or("", |(group, _)| group);
            let key = [cluster.name.as_str(), group, kind, namespace, name].map(str::to_owned);
            let at = At { file: object.file.clone(), line: object.lines.get(&Vec::new()).copied() };
            match self.0.get(&key) {
                None => drop(self.0.insert(key, at)),
                Some(first) => problems.push(
                    Problem::new(format!("an object is described twice: `{kind}/{name}`"))
                        .at(at.file, at.line)
                        .why(format!("the first is {first}, and one would undo the other"))
                        .hint("remove one of them, or give it another name"),
                ),
            }
        }
        problems
    }
}

/// The documents of a manifest file, once every one has what `kubectl apply` asks for.
fn objects(data: &Data, file: &str) -> Result<Vec<Document>, Vec<Problem>> {
    let documents = documents(data, file)?;
    let incomplete = documents.iter().flat_map(|document| {
        let missing = |pointer: &&str| document.value.pointer(pointer).is_none_or(|v| !v.is_string());
        let at = document.lines.get(&Vec::new()).copied();
        let problem = move |pointer: &str| {
            let key = pointer[1..].replace('/', ".");
            Problem::new(format!("an object has no `{key}`")).at(file, at)
        };
        ["/apiVersion", "/kind", "/metadata/name"].into_iter().filter(missing).map(problem)
    });
    let mut problems: Vec<Problem> = incomplete.collect();
    if documents.is_empty() {
        problems.push(Problem::new(format!("a manifest has no object: `{file}`")).at(file, None));
    }
    if problems.is_empty() { Ok(documents) } else { Err(problems) }
}

/// The objects with what is bound in them; nothing where nothing is.
fn rendered(
    fleet: &Fleet,
    releases: &Releases,
    cluster: &Cluster,
    manifest: &Manifest,
    objects: &[Document],
) -> Result<Option<String>, Vec<Problem>> {
    let mut keys: Vec<Vec<Derived>> = vec![Vec::new(); objects.len()];
    let mut problems = Vec::new();
    for (path, binding) in &manifest.bindings {
        let from = place(releases, &manifest.placement.name, path);
        let (object, path) = path.split_once(':').expect("bug: `set` of a manifest was checked when it was read");
        match (find(objects, object), resolve(fleet, cluster, binding)) {
            (Ok(at), Ok(value)) => keys[at].push(Derived::new(path, value, from)),
            (Err(problem), _) | (_, Err(problem)) => problems.push(problem.at(from.file, from.line)),
        }
    }
    let mut values = Vec::with_capacity(objects.len());
    for (object, keys) in objects.iter().zip(&keys) {
        match merge(object, keys) {
            Ok(value) => values.push(value),
            Err(some) => problems.extend(some),
        }
    }
    match (problems.is_empty(), manifest.bindings.is_empty()) {
        (false, _) => Err(problems),
        (true, true) => Ok(None),
        (true, false) => Ok(Some(yaml::write(&values))),
    }
}

/// The place of the one object called `Kind/name`.
fn find(objects: &[Document], object: &str) -> Result<usize, Problem> {
    let called = |value: &Value| {
        let text = |pointer| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        format!("{}/{}", text("/kind"), text("/metadata/name"))
    };
    let found: Vec<usize> =
        objects.iter().enumerate().filter(|(_, o)| called(&o.value) == object).map(|(at, _)| at).collect();
    match found[..] {
        [at] => Ok(at),
        [] => {
            let there: Vec<String> = objects.iter().map(|o| called(&o.value)).collect();
            Err(Problem::new(format!("`set` names no object of the file: `{object}`"))
                .why(format!("it has {}", there.join(", "))))
        }
        _ => Err(Problem::new(format!("`set` names an object that the file has twice: `{object}`"))
            .hint("give one of them another name, or a file of its own")),
    }
}
