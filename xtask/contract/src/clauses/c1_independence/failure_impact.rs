//! What else ADR-0001 promises of an outage: logs wait in their files, and deliveries remove nothing. Rendered values and
//! live configuration are judged by the same rules.
//!
//! Promtail's page `/config` holds the configuration it runs with, escaped, in its one `<pre>`
//! (clients/pkg/promtail/server in grafana/loki).

use std::time::Duration;

use serde_json::Value;

use crate::context::{ClauseContext, shown};
use crate::live::{LiveContext, Site, probes};
use crate::rendered_state::{ClusterManifests, Document, RenderedState};
use model::fleet::Cluster;
use model::units::{format_hours, parse_duration};
use model::yaml;
use plan::{Expect, Step};

/// How old lines may be when they are received; a laptop is closed over a weekend.
const OLDEST: Duration = Duration::from_secs(24 * 3600);
const PROMTAIL: &str = "promtail";
const LASTING: &str = "positions that outlive a reboot";

pub(super) fn judge(state: &RenderedState, ctx: &mut ClauseContext) {
    for cluster in state.apps() {
        ctx.rule("logs");
        match probes::release_of(cluster, PROMTAIL) {
            Some(promtail) => logs(cluster, promtail, ctx),
            None => {
                let hint = "list the chart promtail for `workload` in charts/releases.toml";
                ctx.missing(cluster, PROMTAIL, "Promtail on every app cluster", "nothing", hint);
            }
        }
    }
    let Some(platform) = state.platform() else { return };
    ctx.rule("old-lines");
    if let Some(loki) = probes::release_of(platform, "loki") {
        accepted(platform, loki, ctx);
    }
    ctx.rule("deliveries");
    deliveries(platform, ctx);
    ctx.rationale("Argo CD runs on the platform and stops with it; nothing depends on it, and nothing is pruned");
}

/// Positions outlive a reboot, and a push is retried until it succeeds.
fn logs(cluster: &ClusterManifests, promtail: &Document, ctx: &mut ClauseContext) {
    let path = "config.positions.filename";
    let file = ctx.text(promtail, path).unwrap_or_default();
    let (mounts, volumes) = (ctx.list(promtail, "defaultVolumeMounts"), ctx.list(promtail, "defaultVolumes"));
    if !on_disk(&file, mounts, volumes) {
        let hint = "a hostPath such as /var/lib/promtail, mounted where positions.filename points";
        let got = format!("{} on no lasting path of the node", shown(Some(&file)));
        ctx.breach(cluster, promtail, path, LASTING, got, hint);
    }
    for (i, _) in ctx.list(promtail, "config.clients").iter().enumerate() {
        let path = format!("config.clients.{i}.backoff_config.max_retries");
        ctx.expect(cluster, promtail, &path, "0", "max_retries: 0; it means without end");
    }
    let path = "config.snippets.extraLimitsConfig";
    let limits = ctx.text(promtail, path).unwrap_or_default();
    if limits.lines().any(|line| line.trim() == "readline_rate_drop: true") {
        let (got, hint) = ("lines are dropped at a high rate", "readline_rate_drop: false");
        ctx.breach(cluster, promtail, path, "lines wait", got, hint);
    }
    ctx.metric("log lines", "positions on the node's disk, pushed until it succeeds");
}

/// Whether a file lies on a hostPath that outlives a reboot: not below `/run`, `/tmp` and `/dev/shm`.
fn on_disk(file: &str, mounts: &[Value], volumes: &[Value]) -> bool {
    let volatile = ["/run", "/var/run", "/tmp", "/dev/shm"];
    let lasting = |path: &str| path.starts_with('/') && !volatile.iter().any(|gone| path.starts_with(gone));
    let mount = mounts.iter().find(|m| m["mountPath"].as_str().is_some_and(|p| file.starts_with(p)));
    mount.is_some_and(|mount| {
        volumes.iter().any(|v| v["name"] == mount["name"] && v["hostPath"]["path"].as_str().is_some_and(lasting))
    })
}

/// Lines of an outage are old when they are received; Promtail drops what is refused with 400.
fn accepted(platform: &ClusterManifests, loki: &Document, ctx: &mut ClauseContext) {
    let path = "loki.limits_config.reject_old_samples_max_age";
    if !ctx.on(loki, "loki.limits_config.reject_old_samples", true) {
        return;
    }
    let week = Duration::from_secs(7 * 24 * 3600);
    let age = ctx.text(loki, path).and_then(|text| parse_duration(&text)).unwrap_or(week);
    ctx.metric("oldest line accepted", format_hours(age));
    if age < OLDEST {
        let want = format!("lines accepted that are {} old", format_hours(OLDEST));
        ctx.breach(platform, loki, path, want, format_hours(age), "reject_old_samples_max_age: 168h");
    }
}

/// Argo CD removes nothing by itself. How many objects it was told to deliver.
fn deliveries(platform: &ClusterManifests, ctx: &mut ClauseContext) -> usize {
    let sets: Vec<&Document> = platform.objects("ApplicationSet").collect();
    for set in &sets {
        for (key, want) in [("preserveResourcesOnDeletion", "true"), ("applicationsSync", "create-update")] {
            ctx.expect(platform, set, &format!("spec.syncPolicy.{key}"), want, &format!("{key}: {want}"));
        }
        removes_nothing(platform, set, "spec.template.", ctx);
    }
    let apps = platform.objects("Application").inspect(|app| removes_nothing(platform, app, "", ctx)).count();
    sets.len() + apps
}

/// An Application does not prune, and leaves what it delivered when it is deleted.
fn removes_nothing(platform: &ClusterManifests, app: &Document, below: &str, ctx: &mut ClauseContext) {
    let prune = format!("{below}spec.syncPolicy.automated.prune");
    if ctx.on(app, &prune, false) {
        ctx.breach(platform, app, &prune, "a sync removes nothing that runs", "prune: true", "prune: false");
    }
    let finalizers = format!("{below}metadata.finalizers");
    let list = ctx.list(app, &finalizers);
    if list.iter().any(|f| f.as_str().is_some_and(|f| f.starts_with("resources-finalizer"))) {
        let want = "an Application that leaves what it delivered when it is deleted";
        ctx.breach(platform, app, &finalizers, want, "a finalizer that deletes it", "remove the finalizer");
    }
}

/// Promtail on each node, and the configuration that it runs with; it masks credentials itself.
pub(super) fn probes(cluster: &Cluster, manifests: &ClusterManifests) -> Vec<Step> {
    let Some(release) = probes::release_of(manifests, PROMTAIL) else { return vec![] };
    let (namespace, name) = (release.namespace(), &release.name);
    let selector = format!("app.kubernetes.io/name={name}");
    let ask = |pod: &str| {
        probes::kubectl(cluster).raw(&format!("/api/v1/namespaces/{namespace}/pods/{pod}:3101/proxy/config"))
    };
    let (pod, want) = ((PROMTAIL, namespace, selector.as_str()), Expect::Match("max_retries: 0$".into()));
    let of_node = |node| probes::on_node((cluster, node), pod, "read Promtail's configuration on", &ask, want.clone());
    cluster.nodes.iter().flat_map(of_node).collect()
}

pub(super) fn judge_live(ctx: &mut LiveContext<'_>) {
    ctx.rule("logs");
    for site in ctx.apps() {
        let Some(nodes) = ctx.items(site.name(), "nodes") else { continue };
        if probes::release_of(site.rendered, PROMTAIL).is_none() {
            continue;
        }
        let names = nodes.iter().filter_map(|n| n["metadata"]["name"].as_str());
        let good = names.filter(|node| logs_of_node(ctx, &site, node)).count();
        ctx.metric(&format!("log followers of {}", site.name()), format!("{good} of {} nodes", nodes.len()));
    }
    ctx.rule("deliveries");
    let Some(platform) = ctx.sites().into_iter().find(Site::is_platform) else { return };
    if ctx.items(platform.name(), "deliveries").is_some() {
        let read = deliveries(platform.live, &mut ctx.base);
        ctx.metric("deliveries read", read.to_string());
    }
}

fn logs_of_node(ctx: &mut LiveContext<'_>, site: &Site<'_>, node: &str) -> bool {
    let (cluster, what, found) = (site.name(), format!("{node}/promtail"), format!("{node}/promtail-pod"));
    let Some(pods) = ctx.items(cluster, &found) else { return false };
    let Some(pod) = pods.first() else {
        let hint = site.kubectl("--namespace monitoring get daemonset/promtail");
        ctx.breach(cluster, &found, node, "Promtail on the node", "none", &hint);
        return false;
    };
    let Some(page) = ctx.answer(cluster, &what) else { return false };
    let Some(config) = configuration(page) else {
        return ctx.no_answer::<()>(cluster, &what, "no configuration on its page").is_some();
    };
    positions(ctx, cluster, &what, pod, &config) & retries(ctx, cluster, &what, &config)
}

fn configuration(page: &str) -> Option<Value> {
    let text = page.split_once("<pre")?.1.split_once('>')?.1.split_once("</pre>")?.0;
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    let text = pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    Some(yaml::parse("config", &text).ok()?.into_iter().next()?.value)
}

fn positions(ctx: &mut LiveContext<'_>, cluster: &str, what: &str, pod: &Value, config: &Value) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let file = config["positions"]["filename"].as_str().unwrap_or_default();
    let mounts: Vec<Value> = list(&pod["spec"]["containers"]).iter().flat_map(|c| list(&c["volumeMounts"])).collect();
    let good = !file.is_empty() && on_disk(file, &mounts, &list(&pod["spec"]["volumes"]));
    if !good {
        let got = format!("{} on no lasting path of the node", if file.is_empty() { "nothing" } else { file });
        let hint = "charts/promtail/values.yaml: a hostPath such as /var/lib/promtail";
        ctx.breach(cluster, what, PROMTAIL, LASTING, &got, hint);
    }
    good
}

/// Each client retries without end: `max_retries: 0` (grafana/dskit, backoff).
fn retries(ctx: &mut LiveContext<'_>, cluster: &str, what: &str, config: &Value) -> bool {
    let clients = config["clients"].as_array().cloned().unwrap_or_default();
    let tries = clients.iter().map(|c| &c["backoff_config"]["max_retries"]);
    let limited = tries.filter(|tries| tries.as_u64() != Some(0)).map(|tries| format!("given up after {tries} tries"));
    let got = limited.chain(clients.is_empty().then(|| "no client".to_owned())).next();
    if let Some(got) = &got {
        let hint = "charts/promtail/values.yaml: max_retries: 0; it means without end";
        ctx.breach(cluster, what, PROMTAIL, "lines pushed until it succeeds", got, hint);
    }
    got.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_read_off_the_page() {
        let page =
            "<html><h2>Configuration</h2>\n<pre id=\"config_yaml\">positions:\n  filename: &#34;/a&#34;\n</pre></html>";
        assert_eq!(configuration(page).unwrap()["positions"]["filename"], "/a");
        assert_eq!(configuration("<html></html>"), None);
    }
}
