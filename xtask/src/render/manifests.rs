//! Plain manifests of this repository, as each cluster gets them.
//! Knows nothing of how they are applied, nor of those that are downloaded.

use super::{Data, Files, documents, text};
use crate::fleet::Fleet;
use crate::problem::Problem;
use crate::release::{Manifest, Releases, Source};

/// `<cluster>/<manifest>.yaml` of every manifest file on every cluster of its roles, as it is written.
///
/// # Errors
/// A missing or broken file, or a document that is not an object.
pub fn files(fleet: &Fleet, releases: &Releases, data: &Data) -> Result<Files, Vec<Problem>> {
    let mut files = Files::new();
    let mut problems = Vec::new();
    for manifest in &releases.manifests {
        let Source::File(file) = &manifest.source else { continue };
        match objects(data, file) {
            Ok(text) => files.extend(names(fleet, manifest).map(|name| (name, text.to_owned()))),
            Err(some) => problems.extend(some),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

fn names(fleet: &Fleet, manifest: &Manifest) -> impl Iterator<Item = String> {
    let clusters = fleet.clusters.iter().filter(|c| manifest.placement.clusters.contains(&c.role));
    clusters.map(|c| format!("{}/{}.yaml", c.name, manifest.placement.name))
}

/// The text of a manifest file, once every document in it has what `kubectl apply` asks for.
fn objects<'a>(data: &'a Data, file: &str) -> Result<&'a str, Vec<Problem>> {
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
    if problems.is_empty() { text(data, file) } else { Err(problems) }
}
