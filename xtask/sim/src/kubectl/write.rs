//! `kubectl apply`, `diff`, `delete`, `label` and `annotate`: what the API server takes and what it refuses.
//! Knows nothing of Helm or of readiness.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::super::admission;
use super::super::ask::{self, Disk, Go, refused, said};
use super::super::cluster::Cluster;
use super::super::safe::Safe;
use super::super::stage::Stage;
use super::super::workload::Workload;
use super::super::yaml::{self, text};
use super::desk::Desk;
use super::kinds::{self, Kind};
use super::objects::Wanted;
use super::{accept, objects, shapes};
use tool::Output;

/// The objects of `--filename`, with where they are from. `-` is standard input.
pub(super) fn given(desk: &Desk<'_>, disk: &dyn Disk, code: i32) -> Go<Vec<(Rc<str>, Rc<Value>)>> {
    let mut all = Vec::new();
    for file in desk.parsed.all("filename") {
        let (from, source): (Rc<str>, Cow<str>) = match file {
            "-" => (Rc::from("STDIN"), desk.ask.text()),
            path => {
                let bytes = disk
                    .read(path)
                    .ok_or_else(|| refused(code, format!("error: the path \"{path}\" does not exist")))?;
                (Rc::from(path), Cow::Owned(ask::text(&bytes).into_owned()))
            }
        };
        let documents = yaml::documents(&source).map_err(|why| {
            refused(code, format!("error: error parsing {from}: error converting YAML to JSON: yaml: {why}"))
        })?;
        for document in documents.iter() {
            let with_source = |object: Rc<Value>| (from.clone(), accept::normal(object));
            match document["items"].as_array().filter(|_| text(document, "/kind").ends_with("List")) {
                Some(items) => all.extend(items.iter().map(|item| with_source(Rc::new(item.clone())))),
                None => all.push(with_source(document.clone())),
            }
        }
    }
    if desk.parsed.get("filename").is_none() {
        return Err(refused(code, "error: must specify one of -f and -k"));
    }
    if all.is_empty() {
        return Err(refused(code, "error: no objects passed to apply"));
    }
    Ok(all)
}

/// What is wrong with an object before anything is sent, or its kind.
pub(super) fn mapped(cluster: &Cluster, from: &str, object: &Value) -> Result<Kind, String> {
    let (version, kind, name) = (text(object, "/apiVersion"), text(object, "/kind"), text(object, "/metadata/name"));
    for (value, field) in [(version, "apiVersion"), (kind, "kind")] {
        if value.is_empty() {
            return Err(format!("error validating \"{from}\": error validating data: {field} not set"));
        }
    }
    if name.is_empty() {
        return Err(format!(
            "error when retrieving current configuration of {kind} from \"{from}\": resource name may not be empty"
        ));
    }
    kinds::of_manifest(cluster, version, kind).ok_or_else(|| {
        let namespace = text(object, "/metadata/namespace");
        format!(
            "resource mapping not found for name: \"{name}\" namespace: \"{namespace}\" from \"{from}\": no matches \
             for \
             kind \"{kind}\" in version \"{version}\"\nensure CRDs are installed first"
        )
    })
}

pub(super) fn place<'a>(kind: &Kind, object: &'a Value, desk: &'a Desk<'_>) -> &'a str {
    let own = text(object, "/metadata/namespace");
    match (kind.namespaced, own) {
        (false, _) => "",
        (true, "") => desk.namespace(),
        (true, own) => own,
    }
}

/// `kubectl apply --server-side`: goes on behind a refused object, and exits 1 if any was.
pub fn apply(stage: &mut Stage, desk: &Desk<'_>, disk: &dyn Disk) -> Go<Output> {
    let given = given(desk, disk, 1)?;
    if !desk.parsed.on("server-side") {
        let text = "error: the embedded world applies on the server side only: --server-side";
        return Err(stage.strange(desk.ask, refused(1, text)));
    }
    let dry = desk.parsed.get("dry-run") == Some("server");
    let (mut out, mut warned, mut bad, mut missing) = (String::new(), String::new(), Vec::new(), Vec::new());
    let up = kyverno_up(stage, desk);
    let Some(cluster) = stage.cluster_mut(&desk.vm) else { return Err(refused(1, "error: the server is gone")) };
    for (from, object) in &given {
        let kind = match mapped(cluster, from, object) {
            Ok(kind) => kind,
            Err(why) => {
                missing.push(why);
                continue;
            }
        };
        let namespace = place(&kind, object, desk);
        match accept::admitted(cluster, &kind, object, namespace, up) {
            Err(why) => bad.push(why),
            Ok(warning) => {
                warned.push_str(&warning);
                if !dry {
                    accept::put(cluster, &kind, object, namespace, desk.now);
                }
                let mode = if dry { " (server dry run)" } else { "" };
                out.push_str(&format!(
                    "{}/{} serverside-applied{mode}\n",
                    kind.shown(),
                    text(object, "/metadata/name")
                ));
            }
        }
    }
    match missing.as_slice() {
        [] => {}
        [one] => bad.push(format!("error: {one}")),
        many => bad.push(format!("error: [{}]", many.join(", "))),
    }
    if bad.is_empty() {
        return Ok(Output { stderr: warned, ..said(out) });
    }
    Err(Output { stdout: out, ..refused(1, warned + &bad.join("\n")) })
}

/// Whether Kyverno answers its webhook.
pub(super) fn kyverno_up(stage: &Stage, desk: &Desk<'_>) -> bool {
    let ready = |cluster: &Cluster| {
        cluster.workloads.get(admission::KYVERNO).is_some_and(|k| stage.rolled_out(cluster, k, desk.now))
    };
    stage.cluster(&desk.vm).is_some_and(ready)
}

/// `kubectl diff --server-side`: 0 the same, 1 different, above 1 it could not tell (upstream: CheckDiffErr).
pub fn diff(stage: &mut Stage, desk: &Desk<'_>, disk: &dyn Disk) -> Go<Output> {
    let given = given(desk, disk, 2)?;
    let up = kyverno_up(stage, desk);
    let cluster = stage.cluster(&desk.vm).ok_or_else(|| refused(2, "error: the server is gone"))?;
    let mut out = String::new();
    for (from, object) in &given {
        let kind = mapped(cluster, from, object).map_err(|why| refused(2, format!("error: {why}")))?;
        let namespace = place(&kind, object, desk);
        accept::admitted(cluster, &kind, object, namespace, up).map_err(|why| refused(2, why))?;
        let name = text(object, "/metadata/name");
        if !holds(stage, cluster, &kind, object, (namespace, name), desk.now) {
            let file = format!("{}.{}.{namespace}.{name}", kind.group, kind.kind);
            out.push_str(&format!("diff -u -N LIVE/{file} MERGED/{file}\n"));
        }
    }
    if out.is_empty() { Ok(said("")) } else { Err(Output { stdout: out, ..refused(1, "exit status 1") }) }
}

/// Whether a live object already has every field that is applied. The embedded world keeps of a CRD what it needs.
fn holds(
    stage: &Stage,
    cluster: &Cluster,
    kind: &Kind,
    wanted: &Value,
    (namespace, name): (&str, &str),
    now: Duration,
) -> bool {
    if kind.kind == "CustomResourceDefinition" {
        let bundle = wanted["metadata"]["annotations"][accept::BUNDLE].as_str();
        let live = cluster.crds.get(name).filter(|_| !objects::is_gone(stage, cluster, &kind.kind, namespace, name));
        return live.is_some_and(|crd| crd.bundle.as_deref() == bundle);
    }
    objects::one(stage, cluster, kind, (Some(namespace), name), now).is_some_and(|live| within(&live, wanted))
}

fn within(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            wanted.iter().all(|(key, value)| live.get(key).is_some_and(|l| within(l, value)) || empty(value))
        }
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(l, w)| within(l, w))
        }
        _ => live == wanted,
    }
}

/// Fields that the API server drops.
fn empty(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// `kubectl delete`, by name, selector or file.
pub fn delete(stage: &mut Stage, desk: &Desk<'_>, disk: &dyn Disk) -> Go<Output> {
    let Some(cluster) = stage.cluster(&desk.vm) else { return Err(refused(1, "error: the server is gone")) };
    let mut doomed: Vec<(Kind, String, String)> = Vec::new();
    if desk.parsed.get("filename").is_some() {
        for (from, object) in given(desk, disk, 1)? {
            let kind = mapped(cluster, &from, &object).map_err(|why| refused(1, format!("error: {why}")))?;
            doomed.push((
                kind.clone(),
                place(&kind, &object, desk).to_owned(),
                text(&object, "/metadata/name").to_owned(),
            ));
        }
    } else {
        let word = desk.parsed.word(0);
        let (word, mut names) = match word.split_once('/') {
            Some((word, name)) => (word, vec![name.to_owned()]),
            None => (word, desk.parsed.words.iter().skip(1).map(|name| (*name).to_owned()).collect()),
        };
        let kind = kinds::of_word(cluster, word)
            .ok_or_else(|| refused(1, format!("error: the server doesn't have a resource type \"{word}\"")))?;
        let namespace = if kind.namespaced { desk.namespace() } else { "" };
        if let Some(selector) = desk.parsed.get("selector") {
            let wanted = Wanted { namespace: Some(namespace), selector, ..Wanted::default() };
            let list = objects::list(stage, cluster, &kind, wanted, desk.now);
            names.extend(list.iter().map(|v| text(v, "/metadata/name").to_owned()));
        }
        doomed.extend(names.into_iter().map(|name| (kind.clone(), namespace.to_owned(), name)));
    }
    let quiet = desk.parsed.on("ignore-not-found") || desk.parsed.get("selector").is_some();
    let Some(cluster) = stage.cluster_mut(&desk.vm) else { return Err(refused(1, "error: the server is gone")) };
    let mut out = String::new();
    for (kind, namespace, name) in &doomed {
        if remove(cluster, kind, namespace, name, desk.now) {
            out.push_str(&format!("{} \"{name}\" deleted\n", kind.shown()));
        } else if !quiet {
            let text = format!("Error from server (NotFound): {} \"{name}\" not found", kind.plural);
            return Err(Output { stdout: out, ..refused(1, text) });
        }
    }
    if out.is_empty() { Ok(said("No resources found\n")) } else { Ok(said(out)) }
}

fn remove(cluster: &mut Cluster, kind: &Kind, namespace: &str, name: &str, now: Duration) -> bool {
    let releases = cluster.releases.len();
    match &*kind.kind {
        "Secret" => {
            cluster.releases.retain(|r| r.namespace != namespace || !shapes::is_secret_of(r, name));
        }
        "Namespace" => {
            let inside = |key: &String| key.split('/').nth(1) == Some(name);
            cluster.objects.retain(|key, _| !inside(key));
            cluster.workloads.retain(|_, w| w.namespace != name);
            cluster.releases.retain(|r| r.namespace != name);
            return cluster.namespaces.remove(name).is_some();
        }
        "CustomResourceDefinition" => return cluster.crds.remove(name).is_some(),
        "Node" => return cluster.nodes.remove(name).is_some(),
        "Pod" => return restarted(cluster, namespace, name, now),
        "PersistentVolumeClaim" if name == "data-vault-0" => cluster.vault = Safe::default(),
        _ => {}
    }
    let key = format!("{namespace}/{}/{name}", kind.kind.to_lowercase());
    let controlled = cluster.workloads.remove(&key).is_some();
    let stored = cluster.objects.remove(&objects::key(&kind.kind, namespace, name)).is_some();
    controlled || stored || cluster.releases.len() < releases
}

/// A pod is deleted, and its controller makes another. Of a StatefulSet all are made anew: they keep their names.
fn restarted(cluster: &mut Cluster, namespace: &str, pod: &str, now: Duration) -> bool {
    let own = |w: &&mut Workload| {
        let rest = pod.strip_prefix(w.name.as_str()).and_then(|rest| rest.strip_prefix('-'));
        let index = rest.map(|rest| rest.strip_prefix("0a1b2c3d4e-").unwrap_or(rest));
        w.namespace == namespace && w.made && index.is_some_and(|index| index.parse::<usize>().is_ok())
    };
    let Some(workload) = cluster.workloads.values_mut().find(own) else { return false };
    let number = pod.rsplit('-').next().and_then(|number| number.parse::<usize>().ok());
    let Some(place) = (0..workload.placed.len()).find(|place| Some(workload.number(*place)) == number) else {
        return false;
    };
    match workload.kind.as_str() {
        "StatefulSet" => workload.restart(now),
        _ => workload.lose(place, now),
    }
    true
}

/// `kubectl label` and `annotate`.
pub fn mark(stage: &mut Stage, desk: &Desk<'_>, verb: &str) -> Go<Output> {
    let Some(cluster) = stage.cluster_mut(&desk.vm) else { return Err(refused(1, "error: the server is gone")) };
    let mut words = desk.parsed.words.clone();
    if let Some((kind, name)) = words.first().and_then(|first| first.split_once('/')) {
        words.splice(..1, [kind, name]);
    }
    let &[word, name, ref pairs @ ..] = words.as_slice() else {
        return Err(refused(1, "error: at least one label update is required"));
    };
    let kind = kinds::of_word(cluster, word)
        .ok_or_else(|| refused(1, format!("error: the server doesn't have a resource type \"{word}\"")))?;
    let absent = || refused(1, format!("Error from server (NotFound): {} \"{name}\" not found", kind.plural));
    if kind.kind == "Node" && verb == "annotate" {
        if !cluster.nodes.contains_key(name) {
            return Err(absent());
        }
        return annotated(cluster, name, pairs, desk.parsed.on("overwrite"));
    }
    if kind.kind == "ExternalSecret" && verb == "annotate" {
        let copy = cluster.copies.get_mut(&format!("{}/{name}", desk.namespace())).ok_or_else(absent)?;
        copy.marked = pairs.join(" ");
        return Ok(said(format!("{}/{name} annotated\n", kind.shown())));
    }
    if kind.kind != "Namespace" || verb != "label" {
        // What marks mean to other kinds, the embedded world has no use for.
        return Ok(said(format!("{}/{name} {verb}d\n", kind.shown())));
    }
    let labels = cluster.namespaces.get_mut(name).ok_or_else(absent)?;
    for pair in pairs {
        match pair.split_once('=') {
            Some((label, value)) => drop(labels.insert(label.to_owned(), value.to_owned())),
            None => drop(labels.remove(pair.trim_end_matches('-'))),
        }
    }
    Ok(said(format!("namespace/{name} labeled\n")))
}

fn annotated(cluster: &mut Cluster, node: &str, pairs: &[&str], overwrite: bool) -> Go<Output> {
    let marks = cluster.marks.entry(node.to_owned()).or_default();
    for pair in pairs {
        match pair.split_once('=') {
            Some((name, value)) => {
                if let Some(old) = marks.get(name).filter(|old| *old != value && !overwrite) {
                    let text = "error: --overwrite is false but found the following declared annotation(s):";
                    return Err(refused(1, format!("{text} '{name}' already has a value ({old})")));
                }
                marks.insert(name.to_owned(), value.to_owned());
            }
            None => drop(marks.remove(pair.trim_end_matches('-'))),
        }
    }
    if marks.is_empty() {
        cluster.marks.remove(node);
    }
    Ok(said(format!("node/{node} annotated\n")))
}
