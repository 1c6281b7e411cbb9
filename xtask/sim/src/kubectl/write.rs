//! `kubectl apply`, `diff`, `delete`, `label` and `annotate`.

use std::borrow::Cow;
use std::rc::Rc;

use super::kinds::{self, Kind};
use super::objects::Query;
use super::{admit, manifests, objects};
use crate::admission;
use crate::prelude::*;
use crate::request;
use crate::vault_store::VaultStore;
use crate::yaml;
use tool::Exit;

/// Objects of `--filename` with their source; `-` is standard input.
pub(super) fn read_manifests(
    cmd: &Invocation<'_>,
    disk: &dyn Disk,
    code: i32,
) -> ToolResult<Vec<(Rc<str>, Rc<Value>)>> {
    let mut all = Vec::new();
    for file in cmd.args.all("filename") {
        let (from, source): (Rc<str>, Cow<str>) = match file {
            "-" => (Rc::from("STDIN"), cmd.request.text()),
            path => {
                let bytes = disk
                    .read(path)
                    .ok_or_else(|| failure(code, format!("error: the path \"{path}\" does not exist")))?;
                (Rc::from(path), Cow::Owned(request::text(&bytes).into_owned()))
            }
        };
        let documents = yaml::documents(&source).map_err(|why| {
            failure(code, format!("error: error parsing {from}: error converting YAML to JSON: yaml: {why}"))
        })?;
        for document in documents.iter() {
            let with_source = |object: Rc<Value>| (from.clone(), admit::normal(object));
            match document["items"].as_array().filter(|_| text(document, "/kind").ends_with("List")) {
                Some(items) => all.extend(items.iter().map(|item| with_source(Rc::new(item.clone())))),
                None => all.push(with_source(document.clone())),
            }
        }
    }
    if cmd.args.get("filename").is_none() {
        return Err(failure(code, "error: must specify one of -f and -k"));
    }
    if all.is_empty() {
        return Err(failure(code, "error: no objects passed to apply"));
    }
    Ok(all)
}

/// An object's kind, or its error before anything is sent.
pub(super) fn resolve_kind(cluster: &Cluster, from: &str, object: &Value) -> Result<Kind, String> {
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
    kinds::for_manifest(cluster, version, kind).ok_or_else(|| {
        let namespace = text(object, "/metadata/namespace");
        format!(
            "resource mapping not found for name: \"{name}\" namespace: \"{namespace}\" from \"{from}\": no matches \
             for \
             kind \"{kind}\" in version \"{version}\"\nensure CRDs are installed first"
        )
    })
}

pub(super) fn namespace_of<'a>(kind: &Kind, object: &'a Value, cmd: &'a Invocation<'_>) -> &'a str {
    let own = text(object, "/metadata/namespace");
    match (kind.namespaced, own) {
        (false, _) => "",
        (true, "") => cmd.namespace(),
        (true, own) => own,
    }
}

/// Continues after a refused object, and then exits 1.
pub fn apply(sim: &mut SimState, cmd: &Invocation<'_>, disk: &dyn Disk) -> ToolResult<Output> {
    let given = read_manifests(cmd, disk, 1)?;
    if !cmd.args.on("server-side") {
        let text = "error: the simulator applies on the server side only: --server-side";
        return Err(sim.unsupported(cmd.request, failure(1, text)));
    }
    let dry = cmd.args.get("dry-run") == Some("server");
    let (mut out, mut warned, mut bad, mut missing) = (String::new(), String::new(), Vec::new(), Vec::new());
    let up = kyverno_up(sim, cmd);
    let Some(cluster) = sim.cluster_mut(&cmd.vm) else { return Err(failure(1, "error: the server is gone")) };
    for (from, object) in &given {
        let kind = match resolve_kind(cluster, from, object) {
            Ok(kind) => kind,
            Err(why) => {
                missing.push(why);
                continue;
            }
        };
        let namespace = namespace_of(&kind, object, cmd);
        match admit::admitted(cluster, &kind, object, namespace, up) {
            Err(why) => bad.push(why),
            Ok(warning) => {
                warned.push_str(&warning);
                if !dry {
                    admit::put(cluster, &kind, object, namespace, cmd.now);
                }
                let mode = if dry { " (server dry run)" } else { "" };
                out.push_str(&format!(
                    "{}/{} serverside-applied{mode}\n",
                    kind.qualified(),
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
        return Ok(Output { stderr: warned, ..success(out) });
    }
    Err(Output { stdout: out, ..failure(1, warned + &bad.join("\n")) })
}

pub(super) fn kyverno_up(sim: &SimState, cmd: &Invocation<'_>) -> bool {
    let ready = |cluster: &Cluster| {
        cluster.workloads.get(admission::KYVERNO).is_some_and(|k| sim.rolled_out(cluster, k, cmd.now))
    };
    sim.cluster(&cmd.vm).is_some_and(ready)
}

/// `kubectl get --filename - --output json`: the objects in the order of the file.
pub fn live(sim: &mut SimState, cmd: &Invocation<'_>, disk: &dyn Disk) -> ToolResult<Output> {
    let given = read_manifests(cmd, disk, 1)?;
    let cluster = sim.cluster(&cmd.vm).ok_or_else(|| failure(1, "error: the server is gone"))?;
    let mut items = Vec::new();
    for (from, object) in &given {
        let kind = resolve_kind(cluster, from, object).map_err(|why| failure(1, format!("error: {why}")))?;
        let (namespace, name) = (namespace_of(&kind, object, cmd), text(object, "/metadata/name"));
        let found = objects::find(sim, cluster, &kind, (Some(namespace), name), cmd.now);
        let missing =
            || failure(1, format!("Error from server (NotFound): {}.{} \"{name}\" not found", kind.plural, kind.group));
        items.push(found.ok_or_else(missing)?.into_owned());
    }
    let whole =
        if items.len() == 1 { items.remove(0) } else { json!({ "apiVersion": "v1", "kind": "List", "items": items }) };
    Ok(success(serde_json::to_string_pretty(&whole).unwrap_or_default() + "\n"))
}

/// Whole objects, with what other owners had in them.
pub fn replace(sim: &mut SimState, cmd: &Invocation<'_>, disk: &dyn Disk) -> ToolResult<Output> {
    let given = read_manifests(cmd, disk, 1)?;
    let cluster = sim.cluster_mut(&cmd.vm).ok_or_else(|| failure(1, "error: the server is gone"))?;
    let mut out = String::new();
    for (from, object) in &given {
        let kind = resolve_kind(cluster, from, object).map_err(|why| failure(1, format!("error: {why}")))?;
        let (namespace, name) = (namespace_of(&kind, object, cmd), text(object, "/metadata/name"));
        if cluster.objects.remove(&objects::key(&kind.kind, namespace, name)).is_none() {
            return Err(failure(1, format!("Error from server (NotFound): {} \"{name}\" not found", kind.plural)));
        }
        cluster.objects.remove(&admit::added(&kind.kind, namespace, name));
        admit::put(cluster, &kind, object, namespace, cmd.now);
        out.push_str(&format!("{}/{name} replaced\n", kind.qualified()));
    }
    Ok(success(out))
}

/// `kubectl patch KIND NAME --type merge --patch JSON`. What it writes into a set is owned by its writer from then on.
pub fn patch(sim: &mut SimState, cmd: &Invocation<'_>) -> ToolResult<Output> {
    let (word, name) = (cmd.args.word(0).to_owned(), cmd.args.word(1).to_owned());
    let patch: Value = serde_json::from_str(cmd.args.get("patch").unwrap_or_default())
        .map_err(|why| failure(1, format!("error: unable to parse {why}")))?;
    let cluster = sim.cluster_mut(&cmd.vm).ok_or_else(|| failure(1, "error: the server is gone"))?;
    let kind = kinds::for_word(cluster, &word)
        .ok_or_else(|| failure(1, format!("error: the server doesn't have a resource type \"{word}\"")))?;
    let namespace = if kind.namespaced { cmd.namespace() } else { "" };
    if cmd.args.get("type") != Some("merge") {
        return Err(failure(1, "error: the simulator patches only with --type merge"));
    }
    let added = patch.pointer(admit::SET).cloned();
    let object = cluster.object_mut(&objects::key(&kind.kind, namespace, &name));
    let object = object
        .ok_or_else(|| failure(1, format!("Error from server (NotFound): {} \"{name}\" not found", kind.plural)))?;
    admit::overlay(object, patch);
    if let Some(added) = added {
        cluster.objects.insert(admit::added(&kind.kind, namespace, &name), Rc::new(added));
    }
    Ok(success(format!("{}/{name} patched\n", kind.qualified())))
}

/// Exit 0: the same, 1: different, above 1: it failed (upstream: CheckDiffErr).
pub fn diff(sim: &mut SimState, cmd: &Invocation<'_>, disk: &dyn Disk) -> ToolResult<Output> {
    let given = read_manifests(cmd, disk, 2)?;
    let up = kyverno_up(sim, cmd);
    let cluster = sim.cluster(&cmd.vm).ok_or_else(|| failure(2, "error: the server is gone"))?;
    let mut out = String::new();
    for (from, object) in &given {
        let kind = resolve_kind(cluster, from, object).map_err(|why| failure(2, format!("error: {why}")))?;
        let namespace = namespace_of(&kind, object, cmd);
        admit::admitted(cluster, &kind, object, namespace, up).map_err(|why| failure(2, why))?;
        let name = text(object, "/metadata/name");
        if !matches_live(sim, cluster, &kind, object, (namespace, name), cmd.now) {
            let live = objects::find(sim, cluster, &kind, (Some(namespace), name), cmd.now);
            out.push_str(&unified(&kind, live.as_deref(), object, (namespace, name)));
        }
    }
    if out.is_empty() { Ok(success("")) } else { Err(Output { stdout: out, ..Output::of(Exit::Code(1)) }) }
}

/// As `kubectl diff` prints one object, with the first field that differs.
fn unified(kind: &Kind, live: Option<&Value>, wanted: &Value, (namespace, name): (&str, &str)) -> String {
    let version = text(wanted, "/apiVersion").replace('/', ".");
    let file = format!("{version}.{}.{namespace}.{name}", kind.kind);
    let (old, new) = (format!("/tmp/LIVE-1/{file}"), format!("/tmp/MERGED-1/{file}"));
    let hunk = match live {
        None => format!("@@ -0,0 +1,2 @@\n+apiVersion: {}\n+kind: {}\n", text(wanted, "/apiVersion"), kind.kind),
        Some(live) => format!("@@ -1,3 +1,3 @@\n{}", first_difference(live, wanted, 0)),
    };
    let at = "2026-11-29 23:14:14.783195923 +0000";
    format!("diff -u -N {old} {new}\n--- {old}\t{at}\n+++ {new}\t{at}\n{hunk}")
}

/// Lines of the field with those of its parents before it.
fn first_difference(live: &Value, wanted: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let fields = wanted.as_object().into_iter().flatten();
    let differ =
        |(key, value): &(&String, &Value)| !live.get(*key).is_some_and(|l| is_subset(l, value)) && !is_dropped(value);
    let Some((key, value)) = fields.into_iter().find(differ) else { return String::new() };
    match live.get(key) {
        Some(inner) if inner.is_object() && value.is_object() => {
            format!(" {indent}{key}:\n{}", first_difference(inner, value, depth + 1))
        }
        Some(old) => format!("-{indent}{key}: {old}\n+{indent}{key}: {value}\n"),
        None => format!("+{indent}{key}: {value}\n"),
    }
}

/// Whether the live object has every applied field. Of a CRD only what is needed is stored.
fn matches_live(
    sim: &SimState,
    cluster: &Cluster,
    kind: &Kind,
    wanted: &Value,
    (namespace, name): (&str, &str),
    now: Duration,
) -> bool {
    if kind.kind == "CustomResourceDefinition" {
        let bundle = wanted["metadata"]["annotations"][admit::BUNDLE].as_str();
        let live = cluster.crds.get(name).filter(|_| !objects::is_removed(sim, cluster, &kind.kind, namespace, name));
        return live.is_some_and(|crd| crd.bundle.as_deref() == bundle);
    }
    objects::find(sim, cluster, kind, (Some(namespace), name), now).is_some_and(|live| is_subset(&live, wanted))
}

fn is_subset(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            wanted.iter().all(|(key, value)| match (key.as_str(), live.get(key)) {
                // A set: entries of others are no difference.
                ("validationActions", Some(Value::Array(live))) => {
                    value.as_array().is_some_and(|wanted| wanted.iter().all(|entry| live.contains(entry)))
                }
                (_, live) => live.is_some_and(|l| is_subset(l, value)) || is_dropped(value),
            })
        }
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(l, w)| is_subset(l, w))
        }
        _ => live == wanted,
    }
}

fn is_dropped(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
}

pub fn delete(sim: &mut SimState, cmd: &Invocation<'_>, disk: &dyn Disk) -> ToolResult<Output> {
    let Some(cluster) = sim.cluster(&cmd.vm) else { return Err(failure(1, "error: the server is gone")) };
    let mut targets: Vec<(Kind, String, String)> = Vec::new();
    if cmd.args.get("filename").is_some() {
        for (from, object) in read_manifests(cmd, disk, 1)? {
            let kind = resolve_kind(cluster, &from, &object).map_err(|why| failure(1, format!("error: {why}")))?;
            targets.push((
                kind.clone(),
                namespace_of(&kind, &object, cmd).to_owned(),
                text(&object, "/metadata/name").to_owned(),
            ));
        }
    } else {
        let word = cmd.args.word(0);
        let (word, mut names) = match word.split_once('/') {
            Some((word, name)) => (word, vec![name.to_owned()]),
            None => (word, cmd.args.words.iter().skip(1).map(|name| (*name).to_owned()).collect()),
        };
        let kind = kinds::for_word(cluster, word)
            .ok_or_else(|| failure(1, format!("error: the server doesn't have a resource type \"{word}\"")))?;
        let namespace = if kind.namespaced { cmd.namespace() } else { "" };
        if let Some(selector) = cmd.args.get("selector") {
            let wanted = Query { namespace: Some(namespace), selector, ..Query::default() };
            let list = objects::list(sim, cluster, &kind, wanted, cmd.now);
            names.extend(list.iter().map(|v| text(v, "/metadata/name").to_owned()));
        }
        targets.extend(names.into_iter().map(|name| (kind.clone(), namespace.to_owned(), name)));
    }
    let quiet = cmd.args.on("ignore-not-found") || cmd.args.get("selector").is_some();
    let Some(cluster) = sim.cluster_mut(&cmd.vm) else { return Err(failure(1, "error: the server is gone")) };
    let mut out = String::new();
    for (kind, namespace, name) in &targets {
        if remove(cluster, kind, namespace, name, cmd.now) {
            out.push_str(&format!("{} \"{name}\" deleted\n", kind.qualified()));
        } else if !quiet {
            let text = format!("Error from server (NotFound): {} \"{name}\" not found", kind.plural);
            return Err(Output { stdout: out, ..failure(1, text) });
        }
    }
    if out.is_empty() { Ok(success("No resources found\n")) } else { Ok(success(out)) }
}

fn remove(cluster: &mut Cluster, kind: &Kind, namespace: &str, name: &str, now: Duration) -> bool {
    let releases = cluster.releases.len();
    match &*kind.kind {
        "Secret" if super::mesh::SECRETS.contains(&name) => {
            return cluster.objects.insert(objects::deleted("Secret", namespace, name), Rc::default()).is_none();
        }
        "Secret" => {
            cluster.releases.retain(|r| r.namespace != namespace || !manifests::is_secret_of(r, name));
        }
        "Namespace" => {
            let inside = |key: &String| key.split('/').nth(1) == Some(name);
            cluster.objects.retain(|key, _| !inside(key));
            cluster.workloads.retain(|_, w| w.namespace != name);
            cluster.releases.retain(|r| r.namespace != name);
            return cluster.namespaces.remove(name).is_some();
        }
        "CustomResourceDefinition" => {
            let Some(crd) = cluster.crds.remove(name) else { return false };
            let of = format!("{}/", crd.kind.to_lowercase());
            cluster.objects.retain(|key, _| !key.starts_with(&of));
            return true;
        }
        "Node" => return cluster.nodes.remove(name).is_some(),
        "Pod" => return delete_pod(cluster, namespace, name, now),
        "PersistentVolumeClaim" if name == "data-vault-0" => cluster.vault = VaultStore::default(),
        _ => {}
    }
    let key = format!("{namespace}/{}/{name}", kind.kind.to_lowercase());
    let controlled = cluster.workloads.remove(&key).is_some();
    let stored = cluster.objects.remove(&objects::key(&kind.kind, namespace, name)).is_some();
    controlled || stored || cluster.releases.len() < releases
}

/// Its controller creates another. Of a StatefulSet all are recreated, with the same names.
fn delete_pod(cluster: &mut Cluster, namespace: &str, pod: &str, now: Duration) -> bool {
    let own = |w: &&mut Workload| {
        let rest = pod.strip_prefix(w.name.as_str()).and_then(|rest| rest.strip_prefix('-'));
        let index = rest.map(|rest| rest.strip_prefix("0a1b2c3d4e-").unwrap_or(rest));
        w.namespace == namespace && w.admitted && index.is_some_and(|index| index.parse::<usize>().is_ok())
    };
    let Some(workload) = cluster.workloads.values_mut().find(own) else { return false };
    let number = pod.rsplit('-').next().and_then(|number| number.parse::<usize>().ok());
    let Some(place) = (0..workload.placed.len()).find(|place| Some(workload.ordinal(*place)) == number) else {
        return false;
    };
    match workload.kind.as_str() {
        "StatefulSet" => workload.restart(now),
        _ => workload.delete_pod(place, now),
    }
    true
}

pub fn label_or_annotate(sim: &mut SimState, cmd: &Invocation<'_>, verb: &str) -> ToolResult<Output> {
    let Some(cluster) = sim.cluster_mut(&cmd.vm) else { return Err(failure(1, "error: the server is gone")) };
    let mut words = cmd.args.words.clone();
    if let Some((kind, name)) = words.first().and_then(|first| first.split_once('/')) {
        words.splice(..1, [kind, name]);
    }
    let &[word, name, ref pairs @ ..] = words.as_slice() else {
        return Err(failure(1, "error: at least one label update is required"));
    };
    let kind = kinds::for_word(cluster, word)
        .ok_or_else(|| failure(1, format!("error: the server doesn't have a resource type \"{word}\"")))?;
    let absent = || failure(1, format!("Error from server (NotFound): {} \"{name}\" not found", kind.plural));
    if kind.kind == "Node" && verb == "annotate" {
        if !cluster.nodes.contains_key(name) {
            return Err(absent());
        }
        return annotate_node(cluster, name, pairs, cmd.args.on("overwrite"));
    }
    if kind.kind == "Node" && pairs.iter().any(|pair| pair.starts_with("node-role.kubernetes.io/control-plane")) {
        let removed = objects::deleted("Label", "", name);
        match pairs.iter().any(|pair| pair.ends_with('-')) {
            true => cluster.ensure_object(removed, Value::Null),
            false => drop(cluster.objects.remove(&removed)),
        }
        return Ok(success(format!("node/{name} labeled\n")));
    }
    if kind.kind == "ExternalSecret" && verb == "annotate" {
        let copy = cluster.synced_secrets.get_mut(&format!("{}/{name}", cmd.namespace())).ok_or_else(absent)?;
        copy.marked = pairs.join(" ");
        return Ok(success(format!("{}/{name} annotated\n", kind.qualified())));
    }
    if kind.kind != "Namespace" || verb != "label" {
        // Labels and annotations of other kinds are not stored.
        return Ok(success(format!("{}/{name} {verb}d\n", kind.qualified())));
    }
    let labels = cluster.namespaces.get_mut(name).ok_or_else(absent)?;
    for pair in pairs {
        match pair.split_once('=') {
            Some((label, value)) => drop(labels.insert(label.to_owned(), value.to_owned())),
            None => drop(labels.remove(pair.trim_end_matches('-'))),
        }
    }
    Ok(success(format!("namespace/{name} labeled\n")))
}

fn annotate_node(cluster: &mut Cluster, node: &str, pairs: &[&str], overwrite: bool) -> ToolResult<Output> {
    let annotations = cluster.annotations.entry(node.to_owned()).or_default();
    for pair in pairs {
        match pair.split_once('=') {
            Some((name, value)) => {
                if let Some(old) = annotations.get(name).filter(|old| *old != value && !overwrite) {
                    let text = "error: --overwrite is false but found the following declared annotation(s):";
                    return Err(failure(1, format!("{text} '{name}' already has a value ({old})")));
                }
                annotations.insert(name.to_owned(), value.to_owned());
            }
            None => drop(annotations.remove(pair.trim_end_matches('-'))),
        }
    }
    if annotations.is_empty() {
        cluster.annotations.remove(node);
    }
    Ok(success(format!("node/{node} annotated\n")))
}
