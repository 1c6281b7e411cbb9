//! `helm upgrade --install`: checks, the pending revision, objects, waiting, and the result.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::chart_objects;
use crate::catalog::{self, Chart, Hook};
use crate::cluster::Revision;
use crate::prelude::*;
use crate::request;
use crate::yaml;

/// The description of a revision whose Helm got SIGTERM (measured).
pub const CANCELLED: &str = "context canceled";
const BUSY: &str = "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress";

/// In steps: the revision becomes pending, the objects are created, then it waits.
pub fn upgrade(sim: &mut SimState, cmd: &Invocation<'_>, disk: &dyn Disk) -> ToolResult<Response> {
    let gone = || failure(1, "Error: the server is gone");
    let cluster = sim.cluster(&cmd.vm).ok_or_else(gone)?;
    let Some(own) = cluster.releases.iter().position(|r| r.run == Some(cmd.request.run)) else {
        if sim.helm_started.contains(&cmd.request.run) {
            // Its revision was deleted meanwhile (upstream: the Secret to update is gone).
            let secret = format!("secrets \"sh.helm.release.v1.{}.v1\" not found", cmd.args.word(0));
            return Err(failure(1, format!("Error: UPGRADE FAILED: update: failed to update: {secret}")));
        }
        if cmd.args.get("dry-run").is_some_and(|how| how != "none") {
            return planned(sim, cmd, disk).map(Response::Done);
        }
        // Files are read once, at the start.
        let (chart, archive, values) = sources(sim, cmd, disk)?;
        let helm3 = sim.is_helm3();
        let cluster = sim.cluster_mut(&cmd.vm).ok_or_else(gone)?;
        let values = effective_values(cluster, cmd, values);
        start_revision(cluster, cmd, helm3, chart, archive, values)?;
        sim.helm_started.insert(cmd.request.run);
        return Ok(Response::Pending(Duration::from_millis(chart.install_ms)));
    };
    let cluster = sim.cluster(&cmd.vm).ok_or_else(gone)?;
    let chart = &cluster.releases[own].chart;
    let unknown = || failure(1, format!("Error: chart \"{chart}\" is not known here"));
    let chart = sim.chart(chart).ok_or_else(unknown)?;
    let limit = cmd.args.get("timeout").and_then(duration).unwrap_or(Duration::from_secs(300));
    let left = (cmd.request.since + limit + Duration::from_millis(chart.install_ms)).saturating_sub(cmd.now);
    if let Some(cause) = pending_reason(sim, cmd, chart, own, left.is_zero()) {
        if !left.is_zero() {
            return Ok(Response::Pending(timings::LOOK.min(left)));
        }
        return Err(fail_on_timeout(sim, cmd, own, &cause));
    }
    let cluster = sim.cluster_mut(&cmd.vm).ok_or_else(gone)?;
    // Ten by default (upstream).
    let most = cmd.args.get("history-max").and_then(|n| n.parse().ok()).unwrap_or(10);
    Ok(Response::Done(finish_upgrade(cluster, own, most)))
}

/// `--dry-run=server --output json`: the release as it would be.
fn planned(sim: &mut SimState, cmd: &Invocation<'_>, disk: &dyn Disk) -> ToolResult<Output> {
    let (_, _, values) = sources(sim, cmd, disk)?;
    let cluster = sim.cluster(&cmd.vm).ok_or_else(|| failure(1, "Error: the server is gone"))?;
    let name = cmd.args.word(0);
    let values = effective_values(cluster, cmd, values);
    let manifest = super::release::manifest(name, &values);
    Ok(success(json!({ "name": name, "config": values, "manifest": manifest }).to_string()))
}

type Archive = (String, String);

/// The chart, its archive, and all values merged.
fn sources(sim: &mut SimState, cmd: &Invocation<'_>, disk: &dyn Disk) -> ToolResult<(&'static Chart, Archive, Value)> {
    let (args, request) = (cmd.args, cmd.request);
    if args.words.len() != 2 || !args.on("install") {
        let text = "Error: \"helm upgrade\" requires 2 arguments\n\nUsage:  helm upgrade [RELEASE] [CHART] [flags]";
        return Err(sim.unsupported(request, failure(1, text)));
    }
    let path = args.word(1);
    let bytes = disk.read(path).ok_or_else(|| failure(1, format!("Error: path \"{path}\" not found")))?;
    let (name, version) = catalog::parse_archive(&request::text(&bytes)).ok_or_else(|| {
        let kind = "application/octet-stream";
        failure(1, format!("Error: file '{path}' does not appear to be a gzipped archive; got '{kind}'"))
    })?;
    let chart = sim.chart(&name).ok_or_else(|| failure(1, format!("Error: chart \"{name}\" is not known here")))?;
    let mut values = json!({});
    for file in args.all("values") {
        let text = match file {
            "-" => request.text().into_owned(),
            path => {
                let bytes = disk.read(path);
                let bytes =
                    bytes.ok_or_else(|| failure(1, format!("Error: open {path}: no such file or directory")))?;
                request::text(&bytes).into_owned()
            }
        };
        let documents = yaml::documents(&text).map_err(|why| {
            failure(1, format!("Error: failed to parse {file}: error converting YAML to JSON: yaml: {why}"))
        })?;
        for document in documents.iter() {
            merge(&mut values, Value::clone(document));
        }
    }
    args.all("set").for_each(|given| set_value(&mut values, given));
    Ok((chart, (name, version), values))
}

/// The given values, merged over those of the deployed revision if a flag asks for it or none are given at all
/// (upstream: `reuseValues`). Of the flags the first of these counts.
fn effective_values(cluster: &Cluster, cmd: &Invocation<'_>, values: Value) -> Value {
    let none = values.as_object().is_some_and(serde_json::Map::is_empty);
    let keep = cmd.args.on("reuse-values") || cmd.args.on("reset-then-reuse-values") || none;
    if cmd.args.on("reset-values") || !keep {
        return values;
    }
    let all = cluster.releases.iter().filter(|r| r.name == cmd.args.word(0));
    let last = all.max_by_key(|r| (r.status == "deployed", r.number));
    let mut old = last.map_or(json!({}), |r| Value::clone(&r.values));
    merge(&mut old, values);
    old
}

/// `--set a.b=c,d=1`: dotted keys; numbers and booleans become such (upstream: `strvals`). Lists are unsupported.
fn set_value(values: &mut Value, given: &str) {
    for (path, text) in given.split(',').filter_map(|pair| pair.split_once('=')) {
        let scalar = match serde_json::from_str::<Value>(text) {
            Ok(value) if value.is_number() || value.is_boolean() || value.is_null() => value,
            _ => json!(text),
        };
        let nested = path.split('.').rev().fold(scalar, |inner, key| json!({ key: inner }));
        merge(values, nested);
    }
}

/// Checks, then the first effects: a pending revision with its Secret, and the objects.
fn start_revision(
    cluster: &mut Cluster,
    cmd: &Invocation<'_>,
    helm3: bool,
    chart: &'static Chart,
    archive: Archive,
    values: Value,
) -> ToolResult<()> {
    let (name, namespace) = (cmd.args.word(0), cmd.namespace());
    let last = cluster.release(name).cloned();
    if last.as_ref().is_some_and(|r| r.status.starts_with("pending")) {
        return Err(failure(1, BUSY));
    }
    if !cluster.namespaces.contains_key(namespace) {
        if !cmd.args.on("create-namespace") {
            return Err(failure(1, format!("Error: create: failed to create: namespaces \"{namespace}\" not found")));
        }
        cluster.namespaces.insert(namespace.to_owned(), BTreeMap::new());
    }
    let deployed = cluster.releases.iter().any(|r| r.name == name && r.status == "deployed");
    if last.as_ref().is_some_and(|r| r.status == "uninstalling") && !deployed {
        return Err(failure(1, format!("Error: UPGRADE FAILED: \"{name}\" has no deployed releases")));
    }
    check_crds(cluster, chart, &values)?;
    let cancelled = |r: &Revision| r.description == CANCELLED && *r.values != values && deployed;
    let stale = helm3 && last.as_ref().is_some_and(|r| r.stale || cancelled(r));
    let sticky = last.as_ref().map(|r| r.labels.clone()).unwrap_or_default();
    let labels = parse_labels(cmd.args.get("labels").unwrap_or_default(), &sticky)?;
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
        run: Some(cmd.request.run),
    });
    if let (None, Some(release)) = (chart.hook.as_ref().filter(|hook| hook.before), cluster.release(name).cloned()) {
        chart_objects::apply_chart(cluster, chart, &release, cmd.now);
    }
    Ok(())
}

/// CRDs of kinds that the rendered chart uses must exist.
fn check_crds(cluster: &Cluster, chart: &Chart, values: &Value) -> ToolResult<()> {
    let missing = |kind: &str, version: &str, name: &str| {
        failure(
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

/// What a release still waits for: a hook Job, and with `--wait` its pods, which are listed once the time is over.
/// Creates the objects when they are due.
fn pending_reason(sim: &mut SimState, cmd: &Invocation<'_>, chart: &Chart, own: usize, over: bool) -> Option<String> {
    let waits = |sim: &SimState, hook: &Hook| {
        let cluster = sim.cluster(&cmd.vm)?;
        chart_objects::hook_pending(sim, cluster, hook, &cluster.releases[own], cmd.now)
    };
    let before = chart.hook.as_ref().filter(|hook| hook.before);
    let cause = before.and_then(|hook| waits(sim, hook));
    if cause.is_some() {
        return cause;
    }
    if sim.helm_applied.insert(cmd.request.run) {
        let declared = sim.objects_of_chart(&sim.cluster(&cmd.vm)?.releases[own].chart);
        let cluster = sim.cluster_mut(&cmd.vm)?;
        let revision = cluster.releases[own].clone();
        if let Some(hook) = before {
            chart_objects::finish_hook(cluster, hook, &revision.namespace);
        }
        chart_objects::apply_chart(cluster, chart, &revision, cmd.now);
        declared.into_iter().for_each(|(key, object)| cluster.ensure_object(key, object));
        sim.reconcile_cluster(&cmd.vm, cmd.now);
    }
    let cluster = sim.cluster(&cmd.vm)?;
    let revision = &cluster.releases[own];
    if cmd.args.on("wait") && revision.stale {
        return Some(String::new());
    }
    if cmd.args.on("wait") && chart_objects::has_unready(sim, cluster, revision, cmd.now) {
        let told = over.then(|| chart_objects::unready_report(sim, cluster, revision, cmd.now).join("\n"));
        return Some(told.unwrap_or_default());
    }
    chart.hook.as_ref().filter(|hook| !hook.before).and_then(|hook| waits(sim, hook))
}

fn fail_on_timeout(sim: &mut SimState, cmd: &Invocation<'_>, own: usize, cause: &str) -> Output {
    let helm3 = sim.is_helm3();
    let Some(cluster) = sim.cluster_mut(&cmd.vm) else { return failure(1, "Error: the server is gone") };
    let revision = &mut cluster.releases[own];
    let first = revision.number == 1;
    revision.run = None;
    revision.status = "failed".into();
    revision.description = cause.lines().next().unwrap_or_default().to_owned();
    let prefix = if first { "Error: " } else { "Error: UPGRADE FAILED: " };
    // Helm 3 names no object.
    let cause = if helm3 { String::new() } else { format!("{cause}\n") };
    failure(1, format!("{prefix}{cause}context deadline exceeded"))
}

fn finish_upgrade(cluster: &mut Cluster, own: usize, most: u32) -> Output {
    let (name, number) = (cluster.releases[own].name.clone(), cluster.releases[own].number);
    // The revision that was deployed when it began, and none that came later (assumption: not looked up in Helm's
    // source). An orphan that ends after a later revision was deployed leaves that one deployed.
    let before = |r: &&mut Revision| r.name == name && r.number < number && r.status == "deployed";
    for revision in cluster.releases.iter_mut().filter(before) {
        revision.status = "superseded".into();
    }
    let revision = &mut cluster.releases[own];
    revision.run = None;
    revision.status = "deployed".into();
    revision.description = if number == 1 { "Install complete" } else { "Upgrade complete" }.into();
    trim_history(cluster, &name, most);
    let head = if number == 1 {
        format!("Release \"{name}\" does not exist. Installing it now.\n")
    } else {
        format!("Release \"{name}\" has been upgraded. Happy Helming!\n")
    };
    success(format!("{head}NAME: {name}\nSTATUS: deployed\nREVISION: {number}\n"))
}

fn trim_history(cluster: &mut Cluster, name: &str, most: u32) {
    let newest = cluster.release(name).map_or(0, |r| r.number);
    cluster.releases.retain(|r| r.name != name || r.number + most > newest);
}

/// `k=v,k=v`; `null` removes a label.
fn parse_labels(given: &str, sticky: &BTreeMap<String, String>) -> ToolResult<BTreeMap<String, String>> {
    let mut labels = sticky.clone();
    for (key, value) in given.split(',').filter_map(|pair| pair.split_once('=')) {
        if ["name", "owner", "status", "version", "createdAt", "modifiedAt"].contains(&key) {
            let system = "System labels: [name owner status version createdAt modifiedAt]";
            return Err(failure(
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
