//! `helm upgrade --install`: what it refuses, the pending revision, what the chart makes, waiting, and how it ends.
//! Knows nothing of other subcommands.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::ask::{self, Answer, Ask, Disk, Go, refused, said};
use super::super::catalog::{self, Chart, Hook};
use super::super::clockwork;
use super::super::cluster::{Cluster, Revision};
use super::super::flags::duration;
use super::super::stage::Stage;
use super::super::yaml;
use super::desk::Desk;
use super::made;
use tool::Output;

/// The description of a revision whose Helm was told to stop (measured).
pub const CANCELLED: &str = "context canceled";
const BUSY: &str = "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress";

/// Answers until it is done: at first the revision becomes pending, then the objects are there, then it waits.
pub fn upgrade(stage: &mut Stage, desk: &Desk<'_>, disk: &dyn Disk) -> Go<Answer> {
    let gone = || refused(1, "Error: the server is gone");
    let cluster = stage.cluster(&desk.vm).ok_or_else(gone)?;
    let Some(own) = cluster.releases.iter().position(|r| r.run == Some(desk.ask.run)) else {
        if stage.begun.contains(&desk.ask.run) {
            // Someone took its revision away meanwhile (upstream: the Secret to update is gone).
            let secret = format!("secrets \"sh.helm.release.v1.{}.v1\" not found", desk.parsed.word(0));
            return Err(refused(1, format!("Error: UPGRADE FAILED: update: failed to update: {secret}")));
        }
        // Files are read once, at the beginning.
        let (chart, archive, values) = sources(stage, desk, disk)?;
        let cluster = stage.cluster_mut(&desk.vm).ok_or_else(gone)?;
        let values = given(cluster, desk, values);
        begin(cluster, desk, chart, archive, values)?;
        stage.begun.insert(desk.ask.run);
        return Ok(Answer::Again(clockwork::helm_upgrade(chart.name)));
    };
    let cluster = stage.cluster(&desk.vm).ok_or_else(gone)?;
    let chart = &cluster.releases[own].chart;
    let unknown = || refused(1, format!("Error: chart \"{chart}\" is not known here"));
    let chart = stage.chart(chart).ok_or_else(unknown)?;
    let limit = desk.parsed.get("timeout").and_then(duration).unwrap_or(Duration::from_secs(300));
    let left = (desk.ask.since + limit + clockwork::helm_upgrade(chart.name)).saturating_sub(desk.now);
    if let Some(cause) = unready(stage, desk, chart, own, left.is_zero()) {
        if !left.is_zero() {
            return Ok(Answer::Again(clockwork::LOOK.min(left)));
        }
        return Err(timed_out(stage, desk, own, &cause));
    }
    let cluster = stage.cluster_mut(&desk.vm).ok_or_else(gone)?;
    // Ten are kept by default (upstream).
    let most = desk.parsed.get("history-max").and_then(|n| n.parse().ok()).unwrap_or(10);
    Ok(Answer::Done(deployed(cluster, own, most)))
}

/// A chart's name and version, as its archive has them.
type Archive = (String, String);

/// What the chart makes, its archive, and all values merged.
fn sources(stage: &mut Stage, desk: &Desk<'_>, disk: &dyn Disk) -> Go<(&'static Chart, Archive, Value)> {
    let (parsed, ask) = (desk.parsed, desk.ask);
    if parsed.words.len() != 2 || !parsed.on("install") {
        let text = "Error: \"helm upgrade\" requires 2 arguments\n\nUsage:  helm upgrade [RELEASE] [CHART] [flags]";
        return Err(stage.strange(ask, refused(1, text)));
    }
    let path = parsed.word(1);
    let bytes = disk.read(path).ok_or_else(|| refused(1, format!("Error: path \"{path}\" not found")))?;
    let (name, version) = catalog::opened(&ask::text(&bytes)).ok_or_else(|| {
        let kind = "application/octet-stream";
        refused(1, format!("Error: file '{path}' does not appear to be a gzipped archive; got '{kind}'"))
    })?;
    let chart = stage.chart(&name).ok_or_else(|| refused(1, format!("Error: chart \"{name}\" is not known here")))?;
    let mut values = json!({});
    for file in parsed.all("values") {
        let text = match file {
            "-" => ask.text().into_owned(),
            path => {
                let bytes = disk.read(path);
                let bytes =
                    bytes.ok_or_else(|| refused(1, format!("Error: open {path}: no such file or directory")))?;
                ask::text(&bytes).into_owned()
            }
        };
        let documents = yaml::documents(&text).map_err(|why| {
            refused(1, format!("Error: failed to parse {file}: error converting YAML to JSON: yaml: {why}"))
        })?;
        for document in documents.iter() {
            merge(&mut values, Value::clone(document));
        }
    }
    parsed.all("set").for_each(|given| set(&mut values, given));
    Ok((chart, (name, version), values))
}

/// The values given, over those of the revision in force where they are to stay: when a flag says so, and when none
/// are given at all (upstream: `reuseValues`). Of the flags the first of these counts.
fn given(cluster: &Cluster, desk: &Desk<'_>, values: Value) -> Value {
    let none = values.as_object().is_some_and(serde_json::Map::is_empty);
    let keep = desk.parsed.on("reuse-values") || desk.parsed.on("reset-then-reuse-values") || none;
    if desk.parsed.on("reset-values") || !keep {
        return values;
    }
    let all = cluster.releases.iter().filter(|r| r.name == desk.parsed.word(0));
    let last = all.max_by_key(|r| (r.status == "deployed", r.number));
    let mut old = last.map_or(json!({}), |r| Value::clone(&r.values));
    merge(&mut old, values);
    old
}

/// `--set a.b=c,d=1`: dotted keys; numbers and booleans become such (upstream: `strvals`). Lists are not known here.
fn set(values: &mut Value, given: &str) {
    for (path, text) in given.split(',').filter_map(|pair| pair.split_once('=')) {
        let scalar = match serde_json::from_str::<Value>(text) {
            Ok(value) if value.is_number() || value.is_boolean() || value.is_null() => value,
            _ => json!(text),
        };
        let nested = path.split('.').rev().fold(scalar, |inner, key| json!({ key: inner }));
        merge(values, nested);
    }
}

/// Checks, and the first effects: a pending revision whose Secret is there from now on, and the objects.
fn begin(cluster: &mut Cluster, desk: &Desk<'_>, chart: &'static Chart, archive: Archive, values: Value) -> Go<()> {
    let (name, namespace) = (desk.parsed.word(0), desk.namespace());
    let last = cluster.release(name).cloned();
    if last.as_ref().is_some_and(|r| r.status.starts_with("pending")) {
        return Err(refused(1, BUSY));
    }
    if !cluster.namespaces.contains_key(namespace) {
        if !desk.parsed.on("create-namespace") {
            return Err(refused(1, format!("Error: create: failed to create: namespaces \"{namespace}\" not found")));
        }
        cluster.namespaces.insert(namespace.to_owned(), BTreeMap::new());
    }
    let deployed = cluster.releases.iter().any(|r| r.name == name && r.status == "deployed");
    if last.as_ref().is_some_and(|r| r.status == "uninstalling") && !deployed {
        return Err(refused(1, format!("Error: UPGRADE FAILED: \"{name}\" has no deployed releases")));
    }
    needs_met(cluster, chart, &values)?;
    let cancelled = |r: &Revision| r.description == CANCELLED && *r.values != values && deployed;
    let stale = desk.three && last.as_ref().is_some_and(|r| r.stale || cancelled(r));
    let sticky = last.as_ref().map(|r| r.labels.clone()).unwrap_or_default();
    let labels = labels(desk.parsed.get("labels").unwrap_or_default(), &sticky)?;
    let fresh = !deployed;
    let first = last.is_none();
    cluster.releases.push(Revision {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        number: last.map_or(1, |r| r.number + 1),
        status: if first { "pending-install" } else { "pending-upgrade" }.into(),
        chart: archive.0,
        version: archive.1,
        description: if fresh { "Initial install underway" } else { "Preparing upgrade" }.into(),
        labels,
        values: Rc::new(values),
        stale,
        run: Some(desk.ask.run),
    });
    if let (None, Some(release)) = (chart.hook.filter(|hook| hook.before), cluster.release(name).cloned()) {
        made::make(cluster, chart, &release, desk.now);
    }
    Ok(())
}

/// Kinds that the rendered chart uses must be there before.
fn needs_met(cluster: &Cluster, chart: &Chart, values: &Value) -> Go<()> {
    let missing = |kind: &str, version: &str, name: &str| {
        refused(
            1,
            format!(
                "Error: unable to build kubernetes objects from release manifest: resource mapping not found for name: \
                 \"{name}\" namespace: \"\" from \"\": no matches for kind \"{kind}\" in version \"{version}\"\nensure \
                 CRDs are installed first"
            ),
        )
    };
    let class = &values["gatewayAPI"]["gatewayClass"]["create"];
    let gateway = values["gatewayAPI"]["enabled"] == json!(true) && (class == "true" || class == &json!(true));
    if chart.name == "cilium" && gateway && !cluster.crds.contains_key("gatewayclasses.gateway.networking.k8s.io") {
        return Err(missing("GatewayClass", "gateway.networking.k8s.io/v1", "cilium"));
    }
    if chart.name == "kyverno-policies" && !cluster.crds.contains_key("validatingpolicies.policies.kyverno.io") {
        return Err(missing("ValidatingPolicy", "policies.kyverno.io/v1beta1", "disallow-capabilities"));
    }
    Ok(())
}

/// What a release still waits for: a hook Job, and with `--wait` its pods, which are named when the time is over.
/// Makes what is due, once.
fn unready(stage: &mut Stage, desk: &Desk<'_>, chart: &Chart, own: usize, over: bool) -> Option<String> {
    let waits = |stage: &Stage, hook: &Hook| {
        let cluster = stage.cluster(&desk.vm)?;
        made::hook_waits(stage, cluster, hook, &cluster.releases[own], desk.now)
    };
    let before = chart.hook.filter(|hook| hook.before);
    let cause = before.and_then(|hook| waits(stage, &hook));
    if cause.is_some() {
        return cause;
    }
    if stage.made.insert(desk.ask.run) {
        let cluster = stage.cluster_mut(&desk.vm)?;
        let revision = cluster.releases[own].clone();
        if let Some(hook) = before {
            made::hooked(cluster, &hook, &revision.namespace);
        }
        made::make(cluster, chart, &revision, desk.now);
        stage.settle_cluster(&desk.vm, desk.now);
    }
    let cluster = stage.cluster(&desk.vm)?;
    let revision = &cluster.releases[own];
    if desk.parsed.on("wait") && revision.stale {
        return Some(String::new());
    }
    if desk.parsed.on("wait") && made::is_waiting(stage, cluster, revision, desk.now) {
        let told = over.then(|| made::waits(stage, cluster, revision, desk.now).join("\n"));
        return Some(told.unwrap_or_default());
    }
    chart.hook.filter(|hook| !hook.before).and_then(|hook| waits(stage, &hook))
}

fn timed_out(stage: &mut Stage, desk: &Desk<'_>, own: usize, cause: &str) -> Output {
    let Some(cluster) = stage.cluster_mut(&desk.vm) else { return refused(1, "Error: the server is gone") };
    let revision = &mut cluster.releases[own];
    let first = revision.number == 1;
    revision.run = None;
    revision.status = "failed".into();
    revision.description = cause.lines().next().unwrap_or_default().to_owned();
    let prefix = if first { "Error: " } else { "Error: UPGRADE FAILED: " };
    // Helm 3 names no object.
    let cause = if desk.three { String::new() } else { format!("{cause}\n") };
    refused(1, format!("{prefix}{cause}context deadline exceeded"))
}

fn deployed(cluster: &mut Cluster, own: usize, most: u32) -> Output {
    let (name, number) = (cluster.releases[own].name.clone(), cluster.releases[own].number);
    // What was deployed when it began, and no revision that came after (assumed: not looked up in Helm's source).
    // One that goes on alone, and ends when a later one is deployed already, leaves that as it is.
    let before = |r: &&mut Revision| r.name == name && r.number < number && r.status == "deployed";
    for revision in cluster.releases.iter_mut().filter(before) {
        revision.status = "superseded".into();
    }
    let revision = &mut cluster.releases[own];
    revision.run = None;
    revision.status = "deployed".into();
    revision.description = if number == 1 { "Install complete" } else { "Upgrade complete" }.into();
    trim(cluster, &name, most);
    let head = if number == 1 {
        format!("Release \"{name}\" does not exist. Installing it now.\n")
    } else {
        format!("Release \"{name}\" has been upgraded. Happy Helming!\n")
    };
    said(format!("{head}NAME: {name}\nSTATUS: deployed\nREVISION: {number}\n"))
}

/// Revisions beyond `--history-max` go.
fn trim(cluster: &mut Cluster, name: &str, most: u32) {
    let newest = cluster.release(name).map_or(0, |r| r.number);
    cluster.releases.retain(|r| r.name != name || r.number + most > newest);
}

/// The API went away under a running Helm: its revision stays pending, nobody is at it any more.
pub fn cut_off(stage: &mut Stage, ask: &Ask, output: Output) -> Output {
    super::killed(stage, ask, true);
    output
}

/// `k=v,k=v`; `null` takes a label away.
fn labels(given: &str, sticky: &BTreeMap<String, String>) -> Go<BTreeMap<String, String>> {
    let mut labels = sticky.clone();
    for (key, value) in given.split(',').filter_map(|pair| pair.split_once('=')) {
        if ["name", "owner", "status", "version", "createdAt", "modifiedAt"].contains(&key) {
            let system = "System labels: [name owner status version createdAt modifiedAt]";
            return Err(refused(
                1,
                format!("Error: user supplied labels contains system reserved label name. {system}"),
            ));
        }
        match value {
            "null" => drop(labels.remove(key)),
            _ => drop(labels.insert(key.to_owned(), value.to_owned())),
        }
    }
    Ok(labels)
}

/// Later documents win, key by key; lists are replaced whole.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(json!({})), value);
            }
        }
        (into, from) => *into = from,
    }
}
