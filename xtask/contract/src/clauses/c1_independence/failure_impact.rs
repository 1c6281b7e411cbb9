//! What else ADR-0001 promises of an outage: logs wait in their files, and deliveries remove nothing. Rendered values and
//! live configuration are judged by the same rules.
//!
//! Promtail's page `/config` holds the configuration it runs with, escaped, in its one `<pre>`
//! (clients/pkg/promtail/server in grafana/loki).

use std::time::Duration;

use serde_json::Value;

use crate::context::{ClauseContext, plain, shown};
use crate::live::{LiveContext, Site, probes};
use crate::rendered_state::{ClusterManifests, Document, RenderedState};
use model::fleet::Cluster;
use model::units::{format_hours, parse_duration};
use model::yaml;
use plan::{Expect, Step};

/// How old lines may be when they are received; a laptop is closed over a weekend.
const OLDEST: Duration = Duration::from_secs(24 * 3600);
const PROMTAIL: &str = "promtail";
/// The question for the ConfigMap of a log shipper.
const CONFIG: &str = "log-shipper";
const LASTING: &str = "positions that outlive a reboot";
const ENDLESS: &str = "a push is tried again without end";

/// A chart that ships logs: where its values set the file of positions (and what counts otherwise), mounts and volumes of
/// the pod, and the kind of workload.
struct Shipper {
    chart: &'static str,
    positions: (&'static str, &'static str),
    mounts: &'static str,
    volumes: &'static str,
    kind: (&'static str, &'static str),
    settings: Settings,
}

/// Where it is written how often a push is tried.
enum Settings {
    /// In values that Promtail's page shows as it runs with them.
    Page,
    /// In a text of the values, which is a key of a ConfigMap there.
    Text { path: &'static str, key: &'static str, gives_up: fn(&str) -> Option<String> },
}

impl Shipper {
    fn of(manifests: &ClusterManifests) -> Option<(&'static Shipper, &Document)> {
        SHIPPERS.iter().find_map(|shipper| Some((shipper, probes::release_of(manifests, shipper.chart)?)))
    }

    /// The first place at which it gives up, if there is one: path and what stands there.
    fn gives_up(&self, values: &Document) -> Option<(String, String)> {
        if let Settings::Text { path, gives_up, .. } = &self.settings {
            return gives_up(values.word(path)).map(|got| ((*path).to_owned(), got));
        }
        let clients = values.get("config.clients").and_then(Value::as_array).into_iter().flatten().enumerate();
        let mut tries = clients.map(|(i, c)| (i, plain(&c["backoff_config"]["max_retries"])));
        let (i, tries) = tries.find(|(_, tries)| tries != "0")?;
        Some((format!("config.clients.{i}.backoff_config.max_retries"), tries))
    }
}

const SHIPPERS: [Shipper; 3] = [
    Shipper {
        chart: PROMTAIL,
        positions: ("config.positions.filename", "/run/promtail/positions.yaml"),
        mounts: "defaultVolumeMounts",
        volumes: "defaultVolumes",
        kind: ("daemonset.enabled", "true"),
        settings: Settings::Page,
    },
    // `max_backoff_retries` of each endpoint of `loki.write` is 10 unless it is set; 0 is without end (dskit/backoff).
    Shipper {
        chart: "alloy",
        positions: ("alloy.storagePath", "/tmp/alloy"),
        mounts: "alloy.mounts.extra",
        volumes: "controller.volumes.extra",
        kind: ("controller.type", "daemonset"),
        settings: Settings::Text {
            path: "alloy.configMap.content",
            key: "config.alloy",
            gives_up: |text| {
                let endpoints = blocks(text, |line| line.starts_with("endpoint") && line.ends_with('{'));
                let mut words = endpoints.iter().map(|block| setting(block, "max_backoff_retries").unwrap_or("10"));
                let got = if endpoints.is_empty() { Some("no endpoint") } else { words.find(|tries| *tries != "0") };
                got.map(|got| format!("max_backoff_retries: {got}"))
            },
        },
    },
    // `DB` of the input `tail` is its file of positions; `Retry_Limit` is 1 unless it is set.
    Shipper {
        chart: "fluent-bit",
        positions: ("config.inputs", ""),
        mounts: "daemonSetVolumeMounts",
        volumes: "daemonSetVolumes",
        kind: ("kind", "DaemonSet"),
        settings: Settings::Text {
            path: "config.outputs",
            key: "fluent-bit.conf",
            gives_up: |text| {
                let outputs = blocks(text, |line| line.eq_ignore_ascii_case("[OUTPUT]"));
                let limits = outputs.iter().map(|block| setting(block, "retry_limit").unwrap_or("1"));
                let got = { limits }.find(|limit| !["False", "false", "no_limits"].contains(limit));
                got.map(|got| format!("Retry_Limit {got}"))
            },
        },
    },
];

/// The parts of a text that begin at such lines.
fn blocks(text: &str, begins: impl Fn(&str) -> bool) -> Vec<&str> {
    let line = |line: &str| line.as_ptr() as usize - text.as_ptr() as usize;
    let mut starts: Vec<usize> = text.lines().filter(|l| begins(l.trim())).map(line).collect();
    starts.push(text.len());
    starts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

/// The value of `name = value` or `Name value` in a block.
fn setting<'a>(block: &'a str, name: &str) -> Option<&'a str> {
    let words = |line: &'a str| line.split_once('#').map_or(line, |(line, _)| line).split([' ', '=', '\t']);
    block.lines().find_map(|line| {
        let mut words = words(line.trim()).filter(|word| !word.is_empty());
        words.next().filter(|word| word.eq_ignore_ascii_case(name)).and_then(|_| words.next())
    })
}

pub(super) fn judge(state: &RenderedState, ctx: &mut ClauseContext) {
    for cluster in state.apps() {
        ctx.rule("logs");
        match Shipper::of(cluster) {
            Some((shipper, values)) => logs(cluster, shipper, values, ctx),
            None => {
                let names: Vec<&str> = SHIPPERS.iter().map(|s| s.chart).collect();
                let want = format!("a log shipper on every app cluster whose settings are known: {}", names.join(", "));
                let hint = "list one of these charts for `workload` in charts/releases.toml";
                ctx.missing(cluster, PROMTAIL, &want, "none", hint);
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

/// It runs on every node, its positions outlive a reboot, and a push is retried until it succeeds.
fn logs(cluster: &ClusterManifests, shipper: &Shipper, values: &Document, ctx: &mut ClauseContext) {
    let (path, daemon) = shipper.kind;
    let kind = ctx.text(values, path).unwrap_or_else(|| daemon.to_owned());
    if kind != daemon {
        ctx.breach(cluster, values, path, "a log shipper on every node", kind, format!("{path}: {daemon}"));
    }
    let (path, otherwise) = shipper.positions;
    let set = ctx.text(values, path);
    let file = match shipper.chart {
        "fluent-bit" => set.as_deref().and_then(|text| setting(text, "db")).unwrap_or_default().to_owned(),
        _ => set.unwrap_or_else(|| otherwise.to_owned()),
    };
    let (mounts, volumes) = (ctx.list(values, shipper.mounts), ctx.list(values, shipper.volumes));
    if !on_disk(&file, mounts, volumes) {
        let hint = format!("a hostPath such as /var/lib/{}, mounted where the positions are", shipper.chart);
        let got =
            format!("{} on no lasting path of the node", shown(Some(&file).filter(|f| !f.is_empty()).map(|f| &**f)));
        ctx.breach(cluster, values, path, LASTING, got, hint);
    }
    if let Some((path, got)) = shipper.gives_up(values) {
        ctx.breach(
            cluster,
            values,
            &path,
            ENDLESS,
            got,
            "max_retries: 0, max_backoff_retries = 0, Retry_Limit no_limits",
        );
    }
    let path = "config.snippets.extraLimitsConfig";
    let limits = ctx.text(values, path).unwrap_or_default();
    if limits.lines().any(|line| line.trim() == "readline_rate_drop: true") {
        let (got, hint) = ("lines are dropped at a high rate", "readline_rate_drop: false");
        ctx.breach(cluster, values, path, "lines wait", got, hint);
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

/// The log shipper on each node, and the configuration that it runs with: Promtail's page masks credentials itself, the
/// others' is a ConfigMap.
pub(super) fn probes(cluster: &Cluster, manifests: &ClusterManifests) -> Vec<Step> {
    let Some((shipper, release)) = Shipper::of(manifests) else { return vec![] };
    let (namespace, kubectl) = (release.namespace(), probes::kubectl(cluster));
    let selector = format!("app.kubernetes.io/name={}", shipper.chart);
    let ask = |pod: &str| kubectl.raw(&format!("/api/v1/namespaces/{namespace}/pods/{pod}:3101/proxy/config"));
    let (pod, want) = ((shipper.chart, namespace, selector.as_str()), Expect::Match("max_retries: 0$".into()));
    let of_node = |node| probes::on_node((cluster, node), pod, "read Promtail's configuration on", &ask, want.clone());
    let steps = cluster.nodes.iter().map(of_node);
    if matches!(shipper.settings, Settings::Page) {
        return steps.flatten().collect();
    }
    let whose = ["--namespace", namespace, "--selector", &selector];
    let title = format!("read the configuration of {} on", shipper.chart);
    let config = probes::question(cluster, CONFIG, &title, kubectl.list("configmaps", &whose), probes::not_empty());
    steps.map(|[found, _]| found).chain([config]).collect()
}

pub(super) fn judge_live(ctx: &mut LiveContext<'_>) {
    ctx.rule("logs");
    for site in ctx.apps() {
        let Some(nodes) = ctx.items(site.name(), "nodes") else { continue };
        let Some((shipper, release)) = Shipper::of(site.rendered) else { continue };
        let names = nodes.iter().filter_map(|n| n["metadata"]["name"].as_str());
        let good = names.filter(|node| logs_of_node(ctx, &site, (shipper, release), node)).count();
        ctx.metric(&format!("log followers of {}", site.name()), format!("{good} of {} nodes", nodes.len()));
    }
    ctx.rule("deliveries");
    let Some(platform) = ctx.sites().into_iter().find(Site::is_platform) else { return };
    if ctx.items(platform.name(), "deliveries").is_some() {
        let read = deliveries(platform.live, &mut ctx.base);
        ctx.metric("deliveries read", read.to_string());
    }
}

fn logs_of_node(
    ctx: &mut LiveContext<'_>,
    site: &Site<'_>,
    (shipper, release): (&Shipper, &Document),
    node: &str,
) -> bool {
    let (cluster, chart) = (site.name(), shipper.chart);
    let (what, found) = (format!("{node}/{chart}"), format!("{node}/{chart}-pod"));
    let Some(pods) = ctx.items(cluster, &found) else { return false };
    let Some(pod) = pods.first() else {
        let hint = site.kubectl(&format!("--namespace {} get daemonsets", release.namespace()));
        ctx.breach(cluster, &found, node, &format!("{chart} on the node"), "none", &hint);
        return false;
    };
    let (what, file, gives_up, fix) = match &shipper.settings {
        Settings::Page => {
            let Some(page) = ctx.answer(cluster, &what) else { return false };
            let Some(config) = configuration(page) else {
                return ctx.no_answer::<()>(cluster, &what, "no configuration on its page").is_some();
            };
            let file = config["positions"]["filename"].as_str().unwrap_or_default().to_owned();
            (what, file, retries(&config), "max_retries: 0; it means without end")
        }
        Settings::Text { key, gives_up, path } => {
            let Some(maps) = ctx.items(cluster, CONFIG) else { return false };
            let Some(text) = maps.iter().find_map(|map| map["data"][key].as_str()) else {
                return ctx.no_answer::<()>(cluster, CONFIG, format!("no ConfigMap has {key}")).is_some();
            };
            (CONFIG.to_owned(), positions_file(text, pod), gives_up(text), *path)
        }
    };
    let mut good = positions(ctx, cluster, &what, (shipper, release), pod, &file);
    if let Some(got) = gives_up {
        let hint = format!("charts/{}/values.yaml: {fix}", release.name);
        ctx.breach(cluster, &what, chart, "lines pushed until it succeeds", &got, &hint);
        good = false;
    }
    good
}

/// `DB` of Fluent Bit, `--storage.path` of Alloy.
fn positions_file(text: &str, pod: &Value) -> String {
    let args = pod["spec"]["containers"].as_array().into_iter().flatten().flat_map(|c| c["args"].as_array()).flatten();
    let path = { args }.find_map(|arg| arg.as_str()?.strip_prefix("--storage.path="));
    path.or_else(|| setting(text, "db")).unwrap_or_default().to_owned()
}

fn configuration(page: &str) -> Option<Value> {
    let text = page.split_once("<pre")?.1.split_once('>')?.1.split_once("</pre>")?.0;
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    let text = pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    Some(yaml::parse("config", &text).ok()?.into_iter().next()?.value)
}

fn positions(
    ctx: &mut LiveContext<'_>,
    cluster: &str,
    what: &str,
    (shipper, release): (&Shipper, &Document),
    pod: &Value,
    file: &str,
) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mounts: Vec<Value> = list(&pod["spec"]["containers"]).iter().flat_map(|c| list(&c["volumeMounts"])).collect();
    let good = on_disk(file, &mounts, &list(&pod["spec"]["volumes"]));
    if !good {
        let got = format!("{} on no lasting path of the node", if file.is_empty() { "nothing" } else { file });
        let hint = format!("charts/{}/values.yaml: a hostPath such as /var/lib/{}", release.name, shipper.chart);
        ctx.breach(cluster, what, shipper.chart, LASTING, &got, &hint);
    }
    good
}

/// Where Promtail gives up: each client retries without end by `max_retries: 0` (grafana/dskit, backoff).
fn retries(config: &Value) -> Option<String> {
    let clients = config["clients"].as_array().cloned().unwrap_or_default();
    let tries = clients.iter().map(|c| &c["backoff_config"]["max_retries"]);
    let limited = tries.filter(|tries| tries.as_u64() != Some(0)).map(|tries| format!("given up after {tries} tries"));
    limited.chain(clients.is_empty().then(|| "no client".to_owned())).next()
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
