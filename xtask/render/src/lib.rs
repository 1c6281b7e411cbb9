//! Every generated file, in memory: data from `infra/` and `charts/` plus keys derived from the fleet.
//!
//! Data files are valid for their own tools, never templates: derived keys are merged in, and refused where the data file
//! sets them, too (`merge`). Run-time values are tokens, which data files must not contain.

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

use std::collections::BTreeMap;

use model::fleet::Fleet;
use model::problem::{At, Problem, nearest};
use model::release::Releases;
use model::yaml::{self, Document};

/// Generated files by path below `out/`, with tokens for run-time values.
pub type Files = BTreeMap<String, String>;

/// Texts of the data files (everything under `infra/` and `charts/`) by path.
pub type Data = BTreeMap<String, String>;

/// # Errors
/// All problems of all data files at once: not YAML, missing, a field with two owners, an unknown binding, a scalar
/// that would change its type without quotes, a hand-written token.
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

/// A data file causes the same problem on every cluster: keep the first.
fn each_once(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort();
    problems.dedup_by(|b, a| (&a.what, &a.at) == (&b.what, &b.at));
    problems
}

/// Refuses tokens in data files: one could name another cluster's secret.
fn tokens_by_hand(data: &Data) -> Vec<Problem> {
    let token = |line: &str| ["<fact:", "<secret:", "<digest:"].into_iter().find(|token| line.contains(token));
    let lines = data.iter().flat_map(|(file, text)| text.lines().enumerate().map(move |(i, line)| (file, i + 1, line)));
    lines
        .filter_map(|(file, number, line)| {
            let what = format!("a data file contains a token: `{}…>`", token(line)?);
            let why = "only `render` writes tokens; data files must be valid for their own tools";
            let hint = "remove it; Helm values get such a value by `bindings` in charts/releases.toml";
            Some(Problem::new(what).at(file, Some(number)).why(why).hint(hint))
        })
        .collect()
}

fn text<'a>(data: &'a Data, file: &str) -> Result<&'a str, Vec<Problem>> {
    let error = || vec![missing(file).hint(format!("git checkout -- {file}"))];
    data.get(file).map(String::as_str).ok_or_else(error)
}

fn missing(file: &str) -> Problem {
    Problem::new(format!("a data file is missing: `{file}`"))
}

/// Refuses a file that is in the list of releases but not on disk.
fn listed(data: &Data, file: &str, at: At, why: &str) -> Result<(), Vec<Problem>> {
    if data.contains_key(file) {
        return Ok(());
    }
    let problem = missing(file).at(at.file, at.line).why(why);
    let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
    let beside = data.keys().filter_map(|path| path.rsplit_once('/')).filter(|(of, _)| *of == folder);
    Err(vec![match nearest(name, beside.map(|(_, name)| name)) {
        Some(near) => problem.hint(format!("did you mean `{folder}/{near}`?")),
        None => problem.hint(format!("create it, or restore it: git checkout -- {file}")),
    }])
}

fn documents(data: &Data, file: &str) -> Result<Vec<Document>, Vec<Problem>> {
    yaml::parse(file, text(data, file)?)
}

/// The single document of a data file; an empty file is an empty map.
fn document(data: &Data, file: &str) -> Result<Document, Vec<Problem>> {
    let mut documents = documents(data, file)?;
    match documents.len() {
        0 => Ok(Document { file: file.to_owned(), value: serde_json::Value::Null, lines: BTreeMap::new() }),
        1 => Ok(documents.remove(0)),
        n => Err(vec![Problem::new(format!("`{file}` has {n} YAML documents, its tool reads one")).at(file, None)]),
    }
}

/// The position in the fleet file that a derived key comes from.
fn from_fleet(fleet: &Fleet, key: &str) -> At {
    At { file: fleet.file.clone(), line: fleet.lines.get(key).copied() }
}

/// The position of a derived key that this project decides, not the fleet.
fn from_module(module: &str) -> At {
    At { file: format!("xtask/render/src/{module}.rs"), line: None }
}
