//! Validation rules of a list of releases: safe names, and an order without cycles.

use std::collections::{BTreeMap, BTreeSet};

use crate::fleet::document::{Diagnostics, Field, Table};
use crate::fleet::is_label;
use crate::problem::{Problem, nearest};
use crate::release::Placement;

/// Names of built-in steps and files of a cluster (`app1/nodes`).
pub(in crate::release) const RESERVED: [&str; 5] = ["control-plane", "kubeconfig", "mesh", "nodes", "secrets"];
const NAME: usize = 53;
/// Accepted by `kubectl rollout status`.
pub(super) const WORKLOADS: [&str; 3] = ["daemonset", "deployment", "statefulset"];
pub(super) const BROUGHT: [&str; 5] = ["crd", "daemonset", "deployment", "secret", "statefulset"];

pub(super) struct Placed<'a> {
    pub(super) title: &'a str,
    pub(super) line: Option<usize>,
    pub(super) placement: &'a Placement,
}

pub(super) fn name(diagnostics: &mut Diagnostics, name: &Field<String>) {
    let Some(value) = &name.value else { return };
    if !is_label(value) || value.len() > NAME {
        let problem = Problem::new(format!("`name` of a release cannot be used: {value:?}"))
            .why(format!("it names a folder and a Helm release: lower-case letters, digits and `-`, at most {NAME}"));
        diagnostics.add(problem, name.line);
    }
    if RESERVED.contains(&value.as_str()) {
        let what = format!("a release cannot be named `{value}`");
        diagnostics
            .add(Problem::new(what).why(format!("reserved for built-in steps: {}", RESERVED.join(", "))), name.line);
    }
}

pub(super) fn chart_name(diagnostics: &mut Diagnostics, chart: &Field<String>) {
    if chart.value.as_ref().is_some_and(|c| !is_label(c)) {
        let problem = Problem::new("`chart` is not a chart name").why("it is part of a file name");
        diagnostics.add(problem.hint("chart = \"cilium\""), chart.line);
    }
}

pub(super) fn namespace(diagnostics: &mut Diagnostics, namespace: &Field<String>) {
    if namespace.value.as_ref().is_some_and(|n| !is_label(n) || n.len() > 63) {
        let problem = Problem::new("`namespace` is not a name that Kubernetes accepts");
        diagnostics.add(problem.hint("namespace = \"kube-system\""), namespace.line);
    }
}

/// A download URL: no plain HTTP, no credentials, no spaces.
pub(super) fn address(diagnostics: &mut Diagnostics, field: &Field<String>, schemes: &[&str]) {
    let Some(url) = &field.value else { return };
    let rest = schemes.iter().find_map(|scheme| url.strip_prefix(scheme));
    let plain = |c: char| c.is_ascii_graphic() && !"@\"'`<>\\{}".contains(c);
    if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with(['/', '-']) || !rest.chars().all(plain)) {
        let problem = Problem::new(format!("not a download URL: {url:?}"));
        diagnostics
            .add(problem.why(format!("it must begin with {} and have a host", schemes.join(" or "))), field.line);
    }
}

/// A path relative to the repository, without `..`.
pub(super) fn path(diagnostics: &mut Diagnostics, file: &Field<String>) {
    let Some(path) = &file.value else { return };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let safe = |part: &str| !part.is_empty() && !part.starts_with(['.', '-']) && part.chars().all(plain);
    if !path.split('/').all(safe) {
        let problem = Problem::new(format!("not a path in this repository: {path:?}"));
        diagnostics.add(
            problem.why("it is relative to the root, without `..`").hint("file = \"infra/manifests/x.yaml\""),
            file.line,
        );
    }
}

/// `kind/name` of these kinds.
pub(super) fn objects(diagnostics: &mut Diagnostics, objects: &Field<Vec<String>>, kinds: &[&str], hint: &str) {
    for object in objects.value.iter().flatten() {
        let good = object
            .split_once('/')
            .is_some_and(|(kind, name)| kinds.contains(&kind) && (is_label(name) || kind == "crd" && is_crd(name)));
        if !good {
            let what = if kinds == WORKLOADS { "a workload" } else { "an object of a release" };
            let problem = Problem::new(format!("not {what}: {object:?}"));
            diagnostics.add(problem.why(format!("kinds: {}", kinds.join(", "))).hint(hint), objects.line);
        }
    }
}

/// Keys of [`Chart::access`](super::super::Chart), and the form of its password.
pub(super) fn access(diagnostics: &mut Diagnostics, access: &Field<BTreeMap<String, String>>) {
    const KEYS: [&str; 7] = ["title", "when", "route", "service", "path", "user", "password"];
    for (key, value) in access.value.iter().flatten() {
        let good = match key.as_str() {
            "password" => {
                value.starts_with("secret:") || value.strip_prefix("cluster:").is_some_and(|v| v.contains('/'))
            }
            "service" => value.split_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()),
            key => KEYS.contains(&key),
        };
        if !good {
            let problem = Problem::new(format!("not an entry of `access`: {key} = {value:?}"));
            diagnostics
                .add(problem.why(format!("keys: {}", KEYS.join(", "))).hint("service = \"grafana:80\""), access.line);
        }
    }
    if access.value.as_ref().is_some_and(|all| !all.is_empty() && !all.contains_key("service")) {
        let problem = Problem::new("`access` needs `service`");
        diagnostics.add(problem.hint("service = \"grafana:80\""), access.line);
    }
}

fn is_crd(name: &str) -> bool {
    name.contains('.') && name.split('.').all(is_label)
}

pub(super) fn crds(diagnostics: &mut Diagnostics, crds: &Field<Vec<String>>) {
    for crd in crds.value.iter().flatten() {
        if !is_crd(crd) {
            let problem = Problem::new(format!("not the name of a CRD: {crd:?}"));
            diagnostics.add(problem.hint("crds = [\"gateways.gateway.networking.k8s.io\"]"), crds.line);
        }
    }
}

/// Dotted paths in the values. Bindings themselves are checked by `render`.
pub(super) fn bindings(diagnostics: &mut Diagnostics, table: &Table<'_>, bindings: &Field<BTreeMap<String, String>>) {
    entries(diagnostics, table, bindings, is_path, "\"cluster.name\" = \"cluster.name\"");
}

/// In a manifest: `Kind/name:dotted.path`.
pub(super) fn object_bindings(
    diagnostics: &mut Diagnostics,
    table: &Table<'_>,
    bindings: &Field<BTreeMap<String, String>>,
) {
    let object = |text: &str| {
        text.split_once('/').is_some_and(|(kind, name)| {
            !kind.is_empty() && kind.chars().all(|c| c.is_ascii_alphanumeric()) && name.split('.').all(is_label)
        })
    };
    let good = |path: &str| path.split_once(':').is_some_and(|(of, path)| object(of) && is_path(path));
    entries(diagnostics, table, bindings, good, "\"ConfigMap/sample:data.CLUSTER\" = \"cluster.name\"");
}

fn is_path(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    path.split('.').all(|key| !key.is_empty() && key.chars().all(plain))
}

fn entries(
    diagnostics: &mut Diagnostics,
    table: &Table<'_>,
    bindings: &Field<BTreeMap<String, String>>,
    good: impl Fn(&str) -> bool,
    example: &str,
) {
    for (path, binding) in bindings.value.iter().flatten() {
        if binding.is_empty() || !good(path) {
            let problem =
                Problem::new(format!("`bindings` of {} has an invalid entry: {path:?} = {binding:?}", table.title));
            diagnostics.add(problem.hint(example), bindings.line);
        }
    }
}

/// The order of entries. With an unreadable entry in the list (`whole` is false) unknown needs are not reported.
pub(super) fn check(diagnostics: &mut Diagnostics, entries: &[Placed<'_>], whole: bool) {
    let mut by_name: BTreeMap<&str, &Placed<'_>> = BTreeMap::new();
    for entry in entries {
        match by_name.get(entry.placement.name.as_str()) {
            None => drop(by_name.insert(&entry.placement.name, entry)),
            Some(first) => {
                let problem = Problem::new(format!("duplicate entry {}", entry.title))
                    .why(format!("first used in line {}", first.line.unwrap_or_default()));
                diagnostics.add(problem, entry.line);
            }
        }
    }
    for entry in entries {
        for need in &entry.placement.needs {
            let problem = match by_name.get(need.as_str()) {
                Some(needed) => order(entry, needed),
                None if whole => Some(unknown_need(entry, need, by_name.keys().copied())),
                None => None,
            };
            let line = diagnostics.lines.get(&format!("{}.needs", entry.placement.name)).copied();
            problem.into_iter().for_each(|p| diagnostics.add(p, line.or(entry.line)));
        }
    }
    cycles(diagnostics, entries, &by_name);
}

fn unknown_need<'a>(entry: &Placed<'_>, need: &str, known: impl Iterator<Item = &'a str>) -> Problem {
    let problem = Problem::new(format!("{} depends on unknown release `{need}`", entry.title));
    let problem = problem.why("`needs` lists names of other entries of this file");
    match nearest(need, known) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem,
    }
}

/// A dependency must be on the same clusters, in the same or an earlier wave.
fn order(entry: &Placed<'_>, needed: &Placed<'_>) -> Option<Problem> {
    let (from, to) = (entry.placement, needed.placement);
    if !from.clusters.iter().all(|role| to.clusters.contains(role)) {
        let problem =
            Problem::new(format!("{} needs {}, which is not on all of its clusters", entry.title, needed.title));
        return Some(problem.why("by the contract a cluster never waits for another one"));
    }
    (to.wave > from.wave).then(|| {
        Problem::new(format!(
            "{} needs {}, which has a later wave: {} and {}",
            entry.title, needed.title, from.wave, to.wave
        ))
        .hint(format!("wave = {}", to.wave))
    })
}

/// Dependency cycles, each once: `a -> b -> a`.
fn cycles(diagnostics: &mut Diagnostics, entries: &[Placed<'_>], by_name: &BTreeMap<&str, &Placed<'_>>) {
    let mut done = BTreeSet::new();
    for entry in entries {
        let mut path = Vec::new();
        if let Some(cycle) = walk(&entry.placement.name, by_name, &mut path, &mut done) {
            let line = diagnostics.lines.get(&format!("{}.needs", cycle[0])).copied();
            let line = line.or_else(|| by_name.get(cycle[0])?.line);
            diagnostics.add(Problem::new(format!("dependency cycle: {}", cycle.join(" -> "))), line);
        }
    }
}

/// Depth-first search for a cycle; each entry is visited once.
fn walk<'a>(
    name: &'a str,
    by_name: &BTreeMap<&str, &Placed<'a>>,
    path: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<Vec<&'a str>> {
    if let Some(start) = path.iter().position(|p| *p == name) {
        return Some(path[start..].iter().copied().chain([name]).collect());
    }
    if done.contains(name) {
        return None;
    }
    path.push(name);
    let needs = by_name.get(name).into_iter().flat_map(|entry| &entry.placement.needs);
    let found = needs.into_iter().find_map(|need| walk(need, by_name, path, done));
    path.pop();
    done.insert(name);
    found
}
