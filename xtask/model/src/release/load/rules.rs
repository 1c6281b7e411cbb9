//! What a list of releases must be: names that are safe as paths and steps, and an order that exists.
//! Knows nothing of charts or versions.

use std::collections::{BTreeMap, BTreeSet};

use crate::fleet::document::{Field, Notes, Table};
use crate::fleet::is_label;
use crate::problem::{Problem, nearest};
use crate::release::Placement;

/// Names of our own steps and files of a cluster (`app1/nodes`), which an entry cannot have as well.
const TAKEN: [&str; 4] = ["kubeconfig", "mesh", "nodes", "secrets"];
/// Helm's limit for the name of a release.
const NAME: usize = 53;
/// What `kubectl rollout status` can wait for.
const KINDS: [&str; 3] = ["daemonset", "deployment", "statefulset"];

/// An entry of the list, chart or manifest.
pub(super) struct Placed<'a> {
    pub(super) title: &'a str,
    pub(super) line: Option<usize>,
    pub(super) placement: &'a Placement,
}

pub(super) fn name(notes: &mut Notes, name: &Field<String>) {
    let Some(value) = &name.value else { return };
    if !is_label(value) || value.len() > NAME {
        let problem = Problem::new(format!("`name` of a release cannot be used: {value:?}"))
            .why(format!("it names a folder and a Helm release: small letters, digits and `-`, at most {NAME}"));
        notes.add(problem, name.line);
    }
    if TAKEN.contains(&value.as_str()) {
        let what = format!("a release cannot be called `{value}`");
        notes.add(Problem::new(what).why(format!("our own steps are called {}", TAKEN.join(", "))), name.line);
    }
}

pub(super) fn chart_name(notes: &mut Notes, chart: &Field<String>) {
    if chart.value.as_ref().is_some_and(|c| !is_label(c)) {
        let problem = Problem::new("`chart` is not the name of a chart").why("it is part of a file's name");
        notes.add(problem.hint("chart = \"cilium\""), chart.line);
    }
}

pub(super) fn namespace(notes: &mut Notes, namespace: &Field<String>) {
    if namespace.value.as_ref().is_some_and(|n| !is_label(n) || n.len() > 63) {
        let problem = Problem::new("`namespace` is not a name that Kubernetes accepts");
        notes.add(problem.hint("namespace = \"kube-system\""), namespace.line);
    }
}

/// Where something is fetched from. No redirect through plain HTTP, no credentials, no spaces.
pub(super) fn address(notes: &mut Notes, field: &Field<String>, schemes: &[&str]) {
    let Some(url) = &field.value else { return };
    let rest = schemes.iter().find_map(|scheme| url.strip_prefix(scheme));
    let plain = |c: char| c.is_ascii_graphic() && !"@\"'`<>\\{}".contains(c);
    if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with(['/', '-']) || !rest.chars().all(plain)) {
        let problem = Problem::new(format!("not an address to fetch from: {url:?}"));
        notes.add(problem.why(format!("it begins with {} and has a host", schemes.join(" or "))), field.line);
    }
}

/// A file of this repository: relative, and never above it.
pub(super) fn path(notes: &mut Notes, file: &Field<String>) {
    let Some(path) = &file.value else { return };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let safe = |part: &str| !part.is_empty() && !part.starts_with(['.', '-']) && part.chars().all(plain);
    if !path.split('/').all(safe) {
        let problem = Problem::new(format!("not a path in this repository: {path:?}"));
        notes.add(
            problem.why("it is relative to the root, without `..`").hint("file = \"infra/manifests/x.yaml\""),
            file.line,
        );
    }
}

pub(super) fn ready(notes: &mut Notes, ready: &Field<Vec<String>>) {
    for workload in ready.value.iter().flatten() {
        let good = workload.split_once('/').is_some_and(|(kind, name)| KINDS.contains(&kind) && is_label(name));
        if !good {
            let problem = Problem::new(format!("not a workload to wait for: {workload:?}"));
            notes.add(
                problem.why(format!("kinds: {}", KINDS.join(", "))).hint("ready = [\"daemonset/cilium\"]"),
                ready.line,
            );
        }
    }
}

pub(super) fn crds(notes: &mut Notes, crds: &Field<Vec<String>>) {
    for crd in crds.value.iter().flatten() {
        if !crd.contains('.') || !crd.split('.').all(is_label) {
            let problem = Problem::new(format!("not the name of a custom resource: {crd:?}"));
            notes.add(problem.hint("crds = [\"gateways.gateway.networking.k8s.io\"]"), crds.line);
        }
    }
}

/// Paths in the values: keys with dots between. What a binding may say is known where it is rendered.
pub(super) fn set(notes: &mut Notes, table: &Table<'_>, set: &Field<BTreeMap<String, String>>) {
    entries(notes, table, set, is_path, "\"cluster.name\" = \"cluster.name\"");
}

/// The same in a manifest, where a path begins with the object: `Kind/name:dotted.path`.
pub(super) fn set_objects(notes: &mut Notes, table: &Table<'_>, set: &Field<BTreeMap<String, String>>) {
    let object = |text: &str| {
        text.split_once('/').is_some_and(|(kind, name)| {
            !kind.is_empty() && kind.chars().all(|c| c.is_ascii_alphanumeric()) && name.split('.').all(is_label)
        })
    };
    let good = |path: &str| path.split_once(':').is_some_and(|(of, path)| object(of) && is_path(path));
    entries(notes, table, set, good, "\"ConfigMap/sample:data.CLUSTER\" = \"cluster.name\"");
}

fn is_path(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    path.split('.').all(|key| !key.is_empty() && key.chars().all(plain))
}

fn entries(
    notes: &mut Notes,
    table: &Table<'_>,
    set: &Field<BTreeMap<String, String>>,
    good: impl Fn(&str) -> bool,
    example: &str,
) {
    for (path, binding) in set.value.iter().flatten() {
        if binding.is_empty() || !good(path) {
            let problem = Problem::new(format!("`set` of {} has a bad entry: {path:?} = {binding:?}", table.title));
            notes.add(problem.hint(example), set.line);
        }
    }
}

/// The order among entries. With an unreadable entry in the list (`whole` is false) none is called unknown.
pub(super) fn check(notes: &mut Notes, entries: &[Placed<'_>], whole: bool) {
    let mut by_name: BTreeMap<&str, &Placed<'_>> = BTreeMap::new();
    for entry in entries {
        match by_name.get(entry.placement.name.as_str()) {
            None => drop(by_name.insert(&entry.placement.name, entry)),
            Some(first) => {
                let problem = Problem::new(format!("{} is there twice", entry.title))
                    .why(format!("the first is in line {}", first.line.unwrap_or_default()));
                notes.add(problem, entry.line);
            }
        }
    }
    for entry in entries {
        for need in &entry.placement.needs {
            let problem = match by_name.get(need.as_str()) {
                Some(needed) => order(entry, needed),
                None if whole => Some(stranger(entry, need, by_name.keys().copied())),
                None => None,
            };
            let line = notes.lines.get(&format!("{}.needs", entry.placement.name)).copied();
            problem.into_iter().for_each(|p| notes.add(p, line.or(entry.line)));
        }
    }
    circles(notes, entries, &by_name);
}

/// A need that no entry has as its name.
fn stranger<'a>(entry: &Placed<'_>, need: &str, known: impl Iterator<Item = &'a str>) -> Problem {
    let problem = Problem::new(format!("{} needs what is not there: `{need}`", entry.title));
    let problem = problem.why("a need is the `name` of another entry of this list");
    match nearest(need, known) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem,
    }
}

/// What is needed must be on the same clusters, and not come later.
fn order(entry: &Placed<'_>, needed: &Placed<'_>) -> Option<Problem> {
    let (from, to) = (entry.placement, needed.placement);
    if !from.clusters.iter().all(|role| to.clusters.contains(role)) {
        let problem =
            Problem::new(format!("{} needs {}, which is not on all of its clusters", entry.title, needed.title));
        return Some(problem.why("a cluster never waits for another one: that is what the contract is about"));
    }
    (to.wave > from.wave).then(|| {
        Problem::new(format!(
            "{} needs {}, which comes later: wave {} and {}",
            entry.title, needed.title, from.wave, to.wave
        ))
        .hint(format!("wave = {}", to.wave))
    })
}

/// Needs that lead back to where they began, each circle once: `a -> b -> a`.
fn circles(notes: &mut Notes, entries: &[Placed<'_>], by_name: &BTreeMap<&str, &Placed<'_>>) {
    let mut done = BTreeSet::new();
    for entry in entries {
        let mut path = Vec::new();
        if let Some(circle) = walk(&entry.placement.name, by_name, &mut path, &mut done) {
            let line = notes.lines.get(&format!("{}.needs", circle[0])).copied();
            let line = line.or_else(|| by_name.get(circle[0])?.line);
            notes.add(Problem::new(format!("needs go in a circle: {}", circle.join(" -> "))), line);
        }
    }
}

/// Goes along the needs, without a second visit; as deep as the list is long.
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
