//! Every generated file, as bytes in memory: data from `infra/` and `charts/` plus the keys that follow from the fleet.
//! Knows nothing of commands or of the disk.
//!
//! Data files are real files for their own tools and never templates: a derived key is merged in, and refused where a
//! person set it too (`merge`). What only a run knows stands in the files as a token, which a person may not write.

pub mod argocd;
pub mod cloud_init;
pub mod docker;
pub mod drill;
pub mod helm;
pub mod kubeadm;
pub mod kubeconfig;
pub mod manifests;
pub mod merge;
pub mod mesh;
pub mod yaml;
pub mod yaml11;

use std::collections::BTreeMap;

use model::fleet::Fleet;
use model::problem::{At, Problem, nearest};
use model::release::Releases;
use yaml::Document;

/// Generated files by their path below `out/`, with tokens in place of what only a run knows.
pub type Files = BTreeMap<String, String>;

/// Texts of the data files of this repository (everything under `infra/` and `charts/`) by their path.
pub type Data = BTreeMap<String, String>;

/// Every generated file of a fleet.
///
/// # Errors
/// All problems of all data files at once: not YAML, missing, a field with two owners, an unknown binding, a scalar
/// that would not survive Multipass, a token written by hand.
pub fn files(fleet: &Fleet, releases: &Releases, data: &Data) -> Result<Files, Vec<Problem>> {
    let mut problems = tokens_by_hand(data);
    let mut files = Files::new();
    let parts = [
        cloud_init::files(fleet, data),
        kubeadm::files(fleet, data),
        kubeconfig::files(fleet, data),
        helm::files(fleet, releases, data),
        manifests::files(fleet, releases, data),
        Ok(argocd::files(fleet, releases)),
        docker::files(fleet, data),
    ];
    for part in parts {
        match part {
            Ok(part) => files.extend(part),
            Err(some) => problems.extend(some),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(each_once(problems)) }
}

/// One data file makes the same problem on every cluster it is for: the first is kept.
fn each_once(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort();
    problems.dedup_by(|b, a| (&a.what, &a.at) == (&b.what, &b.at));
    problems
}

/// Tokens are for Rust to write: one in a data file would be a placeholder, and could name another cluster's secret.
fn tokens_by_hand(data: &Data) -> Vec<Problem> {
    let token = |line: &str| ["<fact:", "<secret:", "<digest:"].into_iter().find(|token| line.contains(token));
    let lines = data.iter().flat_map(|(file, text)| text.lines().enumerate().map(move |(i, line)| (file, i + 1, line)));
    lines
        .filter_map(|(file, number, line)| {
            let what = format!("a data file holds a token: `{}…>`", token(line)?);
            let why = "tokens are written by `render` alone; data files are valid for their own tools";
            let hint = "remove it; Helm values get such a value by `set` in charts/releases.toml";
            Some(Problem::new(what).at(file, Some(number)).why(why).hint(hint))
        })
        .collect()
}

/// The text of a data file.
fn text<'a>(data: &'a Data, file: &str) -> Result<&'a str, Vec<Problem>> {
    let lost = || vec![missing(file).hint(format!("git checkout -- {file}"))];
    data.get(file).map(String::as_str).ok_or_else(lost)
}

fn missing(file: &str) -> Problem {
    Problem::new(format!("a data file is missing: `{file}`"))
}

/// A problem if a file that stands in the list of releases is not there: a name in the list may be wrong, or the file
/// was never written.
fn listed(data: &Data, file: &str, at: At, why: &str) -> Result<(), Vec<Problem>> {
    if data.contains_key(file) {
        return Ok(());
    }
    let problem = missing(file).at(at.file, at.line).why(why);
    let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
    let beside = data.keys().filter_map(|path| path.rsplit_once('/')).filter(|(of, _)| *of == folder);
    Err(vec![match nearest(name, beside.map(|(_, name)| name)) {
        Some(near) => problem.hint(format!("did you mean `{folder}/{near}`?")),
        None => problem.hint(format!("write it, or get it back: git checkout -- {file}")),
    }])
}

/// The documents of a data file.
fn documents(data: &Data, file: &str) -> Result<Vec<Document>, Vec<Problem>> {
    yaml::parse(file, text(data, file)?)
}

/// The one document of a data file; an empty file is an empty table.
fn document(data: &Data, file: &str) -> Result<Document, Vec<Problem>> {
    let mut documents = documents(data, file)?;
    match documents.len() {
        0 => Ok(Document { file: file.to_owned(), value: serde_json::Value::Null, lines: BTreeMap::new() }),
        1 => Ok(documents.remove(0)),
        n => Err(vec![
            Problem::new(format!("a file has {n} documents where its tool reads one: `{file}`")).at(file, None),
        ]),
    }
}

/// The place in the fleet file that a derived key follows from.
fn from_fleet(fleet: &Fleet, key: &str) -> At {
    At { file: fleet.file.clone(), line: fleet.lines.get(key).copied() }
}

/// The place of a derived key that is a decision of this project, not of the fleet.
fn from_here(module: &str) -> At {
    At { file: format!("xtask/src/render/{module}.rs"), line: None }
}
