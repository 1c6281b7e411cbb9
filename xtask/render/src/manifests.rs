//! Plain manifests per cluster: the file, plus the `bindings` of `charts/releases.toml`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::helm::{entry, place, resolve};
use super::merge::{Derived, merge};
use super::{Data, Files, documents, listed, text};
use model::fleet::{Cluster, Fleet};
use model::problem::{At, Problem};
use model::release::{Manifest, Releases, Source};
use model::yaml::{self, Document};

/// `<cluster>/<manifest>.yaml` of every manifest file on every cluster of its roles: unchanged where it has no
/// bindings.
///
/// # Errors
/// A missing or broken file, a document that is not an object, a binding into an object that is missing (or
/// duplicate), a field with two owners, an unknown binding.
pub fn files(fleet: &Fleet, releases: &Releases, data: &Data) -> Result<Files, Vec<Problem>> {
    let mut files = Files::new();
    let mut problems = Vec::new();
    let mut definitions = Definitions::default();
    for manifest in &releases.manifests {
        let Source::File(file) = &manifest.source else { continue };
        let at = entry(releases, &manifest.placement.name, "file");
        let there = listed(data, file, at, "charts/releases.toml lists it");
        let objects = match there.and_then(|()| objects(data, file)) {
            Ok(objects) => objects,
            Err(some) => {
                problems.extend(some);
                continue;
            }
        };
        for cluster in fleet.clusters.iter().filter(|c| manifest.placement.clusters.contains(&c.role)) {
            problems.extend(definitions.duplicates(cluster, &objects));
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

/// Where each object is defined, by cluster, API group, kind, namespace and name.
#[derive(Default)]
struct Definitions(BTreeMap<[String; 5], At>);

impl Definitions {
    /// Objects that the cluster has already: one `apply` would undo the other, and no run would converge.
    fn duplicates(&mut self, cluster: &Cluster, objects: &[Document]) -> Vec<Problem> {
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
                    Problem::new(format!("duplicate object `{kind}/{name}`"))
                        .at(at.file, at.line)
                        .why(format!("first defined in {first}; one would undo the other"))
                        .hint("remove one of them, or give it another name"),
                ),
            }
        }
        problems
    }
}

/// The documents of a manifest file, each with the fields that `kubectl apply` requires.
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
        problems.push(Problem::new(format!("`{file}` has no object")).at(file, None));
    }
    if problems.is_empty() { Ok(documents) } else { Err(problems) }
}

/// The objects with their bindings; `None` without bindings.
fn rendered(
    fleet: &Fleet,
    releases: &Releases,
    cluster: &Cluster,
    manifest: &Manifest,
    objects: &[Document],
) -> Result<Option<String>, Vec<Problem>> {
    let mut keys: Vec<Vec<Derived>> = vec![Vec::new(); objects.len()];
    let mut problems = Vec::new();
    let file: Vec<&Value> = objects.iter().map(|object| &object.value).collect();
    for (path, binding) in &manifest.bindings {
        let from = place(releases, &manifest.placement.name, path);
        let (object, path) = path.split_once(':').expect("bug: `bindings` of a manifest are validated on load");
        match (find(objects, object), resolve(fleet, cluster, binding, &file)) {
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

/// The index of the object `Kind/name`.
fn find(objects: &[Document], object: &str) -> Result<usize, Problem> {
    let full_name = |value: &Value| {
        let text = |pointer| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        format!("{}/{}", text("/kind"), text("/metadata/name"))
    };
    let found: Vec<usize> =
        objects.iter().enumerate().filter(|(_, o)| full_name(&o.value) == object).map(|(at, _)| at).collect();
    match found[..] {
        [at] => Ok(at),
        [] => {
            let there: Vec<String> = objects.iter().map(|o| full_name(&o.value)).collect();
            Err(Problem::new(format!("`bindings` names an object that the file does not have: `{object}`"))
                .why(format!("it has {}", there.join(", "))))
        }
        _ => Err(Problem::new(format!("`bindings` names an object that the file has twice: `{object}`"))
            .hint("rename one of them, or move it to a file of its own")),
    }
}
