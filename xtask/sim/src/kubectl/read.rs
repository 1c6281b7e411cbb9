//! `kubectl get`, `logs`, `wait` and `rollout`.

use std::borrow::Cow;

use super::kinds::{self, Kind};
use super::objects::Query;
use super::{gotemplate, jsonpath, mesh, objects};
use crate::outage;
use crate::prelude::*;

fn cluster<'a>(sim: &'a SimState, cmd: &Invocation<'_>) -> ToolResult<&'a Cluster> {
    sim.cluster(&cmd.vm).ok_or_else(|| failure(1, "error: the server is gone"))
}

fn kind(cluster: &Cluster, word: &str) -> ToolResult<Kind> {
    kinds::for_word(cluster, word)
        .ok_or_else(|| failure(1, format!("error: the server doesn't have a resource type \"{word}\"")))
}

/// By words: `crd NAME…`, `deploy/x ds/y`, `nodes`. Without names, all that the selector matches.
fn resolve_objects<'a>(
    sim: &'a SimState,
    cmd: &Invocation<'_>,
    words: &[&str],
    quiet: bool,
) -> ToolResult<Vec<(Kind, Cow<'a, Value>)>> {
    let cluster = cluster(sim, cmd)?;
    let all = cmd.args.on("all-namespaces");
    let namespace = (!all).then(|| cmd.namespace());
    let mut wanted: Vec<(Kind, Option<&str>)> = Vec::new();
    match words {
        [] => return Err(failure(1, "error: Required resource not specified.")),
        pairs if pairs[0].contains('/') => {
            for pair in pairs {
                let (word, name) = pair.split_once('/').unwrap_or_default();
                wanted.push((kind(cluster, word)?, Some(name)));
            }
        }
        // `a,b`: all of several kinds.
        [word] => {
            for word in word.split(',') {
                wanted.push((kind(cluster, word)?, None));
            }
        }
        [word, names @ ..] => {
            let kind = kind(cluster, word)?;
            wanted.extend(names.iter().map(|name| (kind.clone(), Some(*name))));
        }
    }
    let mut found = Vec::new();
    for (kind, name) in wanted {
        let Some(name) = name else {
            let selector = cmd.args.get("selector").unwrap_or_default();
            let names_only = cmd.args.get("output").is_none() && words[0].contains(',');
            let wanted = Query { namespace, name: None, selector, names_only };
            let list = objects::list(sim, cluster, &kind, wanted, cmd.now);
            let fields = cmd.args.get("field-selector").unwrap_or_default();
            let fits = |v: &Cow<Value>| objects::matches_fields(v, fields);
            found.extend(list.into_iter().filter(fits).map(|v| (kind.clone(), v)));
            continue;
        };
        match objects::find(sim, cluster, &kind, (namespace, name), cmd.now) {
            Some(object) => found.push((kind, object)),
            None if quiet => {}
            None => {
                let dot = if kind.group.is_empty() { "" } else { "." };
                let plural = format!("{}{dot}{}", kind.plural, kind.group);
                return Err(failure(1, format!("Error from server (NotFound): {plural} \"{name}\" not found")));
            }
        }
    }
    Ok(found)
}

/// Of a workload; only the drill's probe prints anything.
pub fn logs(sim: &mut SimState, cmd: &Invocation<'_>) -> ToolResult<Output> {
    let key = format!("{}/{}", cmd.namespace(), cmd.args.word(0));
    let cluster = cluster(sim, cmd)?;
    let Some(workload) = cluster.workloads.get(&key) else {
        let text = format!("error: error from server (NotFound): {} not found", cmd.args.word(0));
        return Err(failure(1, text));
    };
    if sim.runs_on(cluster, workload, cmd.now).is_none() {
        return Err(failure(1, format!("error: timed out waiting for the condition on {}", cmd.args.word(0))));
    }
    if key != outage::PROBE {
        return Ok(success(""));
    }
    let all = sim.probe_log(cluster, workload, cmd.now);
    let tail = cmd.args.get("tail").and_then(|n| n.parse::<usize>().ok()).unwrap_or(usize::MAX);
    let skip = all.lines().count().saturating_sub(tail);
    Ok(success(all.lines().skip(skip).map(|line| format!("{line}\n")).collect::<String>()))
}

pub fn get(sim: &mut SimState, cmd: &Invocation<'_>) -> ToolResult<Output> {
    if let Some(path) = cmd.args.get("raw") {
        // Printed without a newline (measured).
        return match path {
            "/readyz" | "/livez" | "/healthz" | "/livez/etcd" => Ok(success("ok")),
            "/version" => {
                let version = cluster(sim, cmd)?.version.trim_start_matches('v').to_owned();
                Ok(success(json!({ "major": "1", "minor": "35", "gitVersion": format!("v{version}") }).to_string()))
            }
            path if path.contains("/proxy/") => mesh::proxied(sim, cmd, path),
            _ => {
                Err(sim
                    .unsupported(cmd.request, failure(1, "Error from server (NotFound): the server could not find it")))
            }
        };
    }
    let found = resolve_objects(sim, cmd, &cmd.args.words, cmd.args.on("ignore-not-found"))?;
    match print_objects(cmd, found) {
        Ok(text) => Ok(text),
        Err(PrintError::Tool(output)) => Err(output),
        Err(PrintError::Unsupported(output)) => Err(sim.unsupported(cmd.request, output)),
    }
}

enum PrintError {
    /// The tool's own error.
    Tool(Output),
    /// Unsupported by the simulator.
    Unsupported(Output),
}

fn print_objects(cmd: &Invocation<'_>, found: Vec<(Kind, Cow<'_, Value>)>) -> Result<Output, PrintError> {
    let one = cmd.args.words.len() == 2 || cmd.args.word(0).contains('/');
    if one && found.is_empty() {
        return Ok(success(""));
    }
    match cmd.args.get("output") {
        Some("json") => {
            Ok(success(serde_json::to_string_pretty(&object_or_list(one, found)).unwrap_or_default() + "\n"))
        }
        Some("name") => Ok(success(
            found.iter().map(|(k, v)| format!("{}/{}\n", k.qualified(), text(v, "/metadata/name"))).collect::<String>(),
        )),
        Some(format) if format.starts_with("jsonpath=") => {
            let template = &format["jsonpath=".len()..];
            jsonpath::print(template, &object_or_list(one, found))
                .map(success)
                .map_err(|why| PrintError::Tool(failure(1, format!("error: error parsing jsonpath {template}, {why}"))))
        }
        Some(format) if format.starts_with("go-template=") => {
            let template = &format["go-template=".len()..];
            gotemplate::print(template, &object_or_list(one, found)).map(success).map_err(|bad| match bad {
                gotemplate::TemplateError::Data(why) => PrintError::Tool(failure(1, why)),
                gotemplate::TemplateError::Template => {
                    let text = format!("error: the simulator does not support the template {template}");
                    PrintError::Unsupported(failure(1, text))
                }
            })
        }
        None => Ok(table(cmd, &found)),
        Some(other) => {
            let text = format!("error: unable to match a printer suitable for the output format \"{other}\"");
            Err(PrintError::Unsupported(failure(1, text)))
        }
    }
}

fn object_or_list(one: bool, mut found: Vec<(Kind, Cow<'_, Value>)>) -> Cow<'_, Value> {
    match found.pop() {
        Some((_, single)) if one && found.is_empty() => single,
        last => {
            let items: Vec<Value> = found.into_iter().chain(last).map(|(_, v)| v.into_owned()).collect();
            let mut list = json!({ "apiVersion": "v1", "kind": "List" });
            list["items"] = items.into();
            Cow::Owned(list)
        }
    }
}

/// Columns three spaces apart, as kubectl's tab writer prints them.
fn table(cmd: &Invocation<'_>, found: &[(Kind, Cow<'_, Value>)]) -> Output {
    let kinds = cmd.args.word(0).split(',').count();
    let all = cmd.args.on("all-namespaces");
    if found.is_empty() {
        let place = if all { String::new() } else { format!(" in {} namespace", cmd.namespace()) };
        return Output { stderr: format!("No resources found{place}\n"), ..success("") };
    }
    let labels: Vec<&str> = cmd.args.all("label-columns").flat_map(|l| l.split(',')).collect();
    // A table for each kind; of several the name is behind the kind (upstream: kubectl's `get.go`).
    let tables: Vec<String> = found
        .chunk_by(|(one, _), (other, _)| one == other)
        .map(|of_kind| kind_table(cmd, of_kind, all && of_kind[0].0.namespaced, kinds > 1, &labels))
        .collect();
    success(tables.join(if cmd.args.on("no-headers") { "" } else { "\n" }))
}

fn kind_table(
    cmd: &Invocation<'_>,
    items: &[(Kind, Cow<'_, Value>)],
    all: bool,
    with_kind: bool,
    labels: &[&str],
) -> String {
    let mut rows: Vec<Vec<Cow<'_, str>>> = Vec::new();
    if !cmd.args.on("no-headers") {
        let mut head: Vec<Cow<'_, str>> = all
            .then_some("NAMESPACE")
            .into_iter()
            .chain((items[0].0.kind != "Event").then_some("NAME"))
            .map(Into::into)
            .collect();
        head.extend(extra_columns(&items[0].1).into_iter().map(|(name, _)| Cow::from(name)));
        head.extend(labels.iter().map(|l| Cow::from(l.rsplit('/').next().unwrap_or(l).to_uppercase())));
        rows.push(head);
    }
    for (kind, item) in items {
        let metadata = &item["metadata"];
        let own = |name: &str| Cow::from(metadata[name].as_str().unwrap_or_default());
        let name = if with_kind { Cow::from(format!("{}/{}", kind.qualified(), own("name"))) } else { own("name") };
        // The name of an event is in its wide table only (upstream: eventColumnDefinitions).
        let name = (kind.kind != "Event").then_some(name);
        let mut row: Vec<Cow<'_, str>> = all.then(|| own("namespace")).into_iter().chain(name).collect();
        row.extend(extra_columns(item).into_iter().map(|(_, value)| Cow::from(value)));
        // A missing label prints as nothing.
        row.extend(labels.iter().map(|l| Cow::from(metadata["labels"][*l].as_str().unwrap_or_default())));
        rows.push(row);
    }
    let widths: Vec<usize> = (0..rows[0].len()).map(|i| rows.iter().map(|r| r[i].len()).max().unwrap_or(0)).collect();
    let spaces = " ".repeat(widths.iter().copied().max().unwrap_or(0));
    let mut out = String::new();
    for row in &rows {
        for (place, (cell, width)) in row.iter().zip(&widths).enumerate() {
            out.push_str(if place == 0 { "" } else { "   " });
            out.push_str(cell);
            out.push_str(&spaces[..width.saturating_sub(cell.len())]);
        }
        out.push('\n');
    }
    out
}

fn extra_columns(item: &Value) -> Vec<(&'static str, &str)> {
    match text(item, "/kind") {
        "Secret" => vec![("TYPE", text(item, "/type")), ("DATA", "1"), ("AGE", "1m")],
        "Pod" => {
            let ready = item["status"]["conditions"][0]["status"] == "True";
            let reason = text(item, "/status/containerStatuses/0/state/waiting/reason");
            let status = if ready || reason.is_empty() { text(item, "/status/phase") } else { reason };
            vec![("READY", if ready { "1/1" } else { "0/1" }), ("STATUS", status), ("RESTARTS", "0"), ("AGE", "1m")]
        }
        "Event" => vec![
            ("LAST SEEN", "1m"),
            ("TYPE", text(item, "/type")),
            ("REASON", text(item, "/reason")),
            ("OBJECT", text(item, "/object")),
            ("MESSAGE", text(item, "/message")),
        ],
        "Job" => {
            vec![
                ("STATUS", if item["status"]["conditions"] == json!([]) { "Running" } else { "Complete" }),
                ("COMPLETIONS", "1/1"),
                ("DURATION", "9s"),
                ("AGE", "1m"),
            ]
        }
        "Node" => {
            let ready = text(item, "/status/conditions/0/status");
            let status = if ready == "True" { "Ready" } else { "NotReady" };
            vec![("STATUS", status), ("VERSION", text(item, "/status/nodeInfo/kubeletVersion"))]
        }
        _ => vec![("AGE", "1m")],
    }
}

/// From `--timeout`.
fn timeout(cmd: &Invocation<'_>, default: Duration) -> Duration {
    cmd.args.get("timeout").and_then(duration).unwrap_or(default)
}

fn wait_until(cmd: &Invocation<'_>, limit: Duration, stdout: String, stderr: &str) -> Response {
    let over = cmd.request.since + limit;
    if over <= cmd.now {
        return Response::Done(Output { stdout, ..failure(1, stderr) });
    }
    Response::Pending(timings::LOOK.min(over - cmd.now))
}

/// A missing object or an empty selection fails at once, except with `--for create` (measured).
pub fn wait(sim: &mut SimState, cmd: &Invocation<'_>) -> ToolResult<Response> {
    let goal = cmd.args.get("for").unwrap_or_default().to_owned();
    let limit = timeout(cmd, Duration::from_secs(30));
    if goal == "create" || goal == "delete" {
        let found = match resolve_objects(sim, cmd, &cmd.args.words, false) {
            Ok(found) => !found.is_empty(),
            // An unknown kind has no objects.
            Err(_) => false,
        };
        let words = cmd.args.words.join("/");
        return Ok(if found == (goal == "create") {
            Response::Done(success(format!("{words} condition met\n")))
        } else {
            wait_until(cmd, limit, String::new(), "error: timed out waiting for the condition")
        });
    }
    let found = resolve_objects(sim, cmd, &cmd.args.words, false)?;
    if found.is_empty() {
        return Err(failure(1, "error: no matching resources found"));
    }
    let mut met = String::new();
    for (kind, object) in &found {
        let name = format!("{}/{}", kind.qualified(), text(object, "/metadata/name"));
        let Some(fits) = condition_met(object, &goal) else {
            return Err(sim.unsupported(cmd.request, failure(1, format!("error: unrecognized condition: \"{goal}\""))));
        };
        if !fits {
            let plural = format!("{}/{}", kind.plural, text(object, "/metadata/name"));
            let stderr = format!("error: timed out waiting for the condition on {plural}");
            return Ok(wait_until(cmd, limit, met, &stderr));
        }
        met.push_str(&format!("{name} condition met\n"));
    }
    Ok(Response::Done(success(met)))
}

/// `condition=NAME[=STATUS]` or `jsonpath=TEMPLATE[=VALUE]`; None for another goal.
fn condition_met(object: &Value, goal: &str) -> Option<bool> {
    if let Some(condition) = goal.strip_prefix("condition=") {
        let (kind, status) = condition.split_once('=').unwrap_or((condition, "True"));
        let conditions = object["status"]["conditions"].as_array();
        let fits =
            |c: &Value| text(c, "/type").eq_ignore_ascii_case(kind) && text(c, "/status").eq_ignore_ascii_case(status);
        return Some(conditions.is_some_and(|all| all.iter().any(fits)));
    }
    let template = goal.strip_prefix("jsonpath=")?;
    let (template, wanted) =
        template.split_once("}=").map_or((template.to_owned(), None), |(t, w)| (format!("{t}}}"), Some(w)));
    let found = jsonpath::print(&template, object).ok()?;
    Some(wanted.map_or(!found.is_empty(), |w| found == w))
}

pub fn rollout(sim: &mut SimState, cmd: &Invocation<'_>) -> ToolResult<Response> {
    let (verb, words) =
        cmd.args.words.split_first().ok_or_else(|| failure(1, "error: required resource not specified"))?;
    let found = resolve_objects(sim, cmd, words, false)?;
    let own = |v: &Value, at: &str| text(v, at).to_owned();
    let found: Vec<(Kind, String, String)> =
        found.into_iter().map(|(kind, v)| (kind, own(&v, "/metadata/name"), own(&v, "/metadata/namespace"))).collect();
    let (vm, now) = (cmd.vm.clone(), cmd.now);
    let mut out = String::new();
    for (kind, name, namespace) in &found {
        let shown = kind.kind.to_lowercase();
        let workload = cluster(sim, cmd)?.workloads.get(&format!("{namespace}/{shown}/{name}")).cloned();
        let Some(mut workload) = workload else {
            return Err(failure(1, format!("error: no status viewer has been implemented for {}", kind.kind)));
        };
        match *verb {
            "status" => {
                let cluster = cluster(sim, cmd)?;
                let (wanted, ready) = sim.pods(cluster, &workload, now);
                if !sim.rolled_out(cluster, &workload, now) {
                    let text = format!("{ready} of {wanted} updated pods are available...");
                    let stdout = format!("Waiting for {shown} \"{name}\" rollout to finish: {text}\n");
                    let stderr = "error: timed out waiting for the condition";
                    // No limit without --timeout.
                    return Ok(wait_until(cmd, timeout(cmd, Duration::from_secs(86_400)), stdout, stderr));
                }
                out.push_str(&match shown.as_str() {
                    "statefulset" => format!("partitioned roll out complete: {wanted} new pods have been updated...\n"),
                    "daemonset" => format!("daemon set \"{name}\" successfully rolled out\n"),
                    _ => format!("deployment \"{name}\" successfully rolled out\n"),
                });
            }
            "restart" => {
                workload.restart(now);
                if let Some(cluster) = sim.cluster_mut(&vm) {
                    cluster.workloads.insert(format!("{namespace}/{shown}/{name}"), workload);
                }
                out.push_str(&format!("{}/{name} restarted\n", kind.qualified()));
            }
            other => {
                return Err(sim.unsupported(cmd.request, failure(1, format!("error: unknown command \"{other}\""))));
            }
        }
    }
    Ok(Response::Done(success(out)))
}
