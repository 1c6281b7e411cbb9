//! C1, live, the logs: Promtail on every node keeps its positions on the node's disk and pushes until it succeeds.
//! Knows nothing of Loki.
//!
//! `/config` of Promtail is a page with the whole configuration it runs with, escaped, in its one `<pre>`
//! (clients/pkg/promtail/server in grafana/loki).

use serde_json::Value;

use super::super::degradation::is_lasting;
use super::bench::{Bench, Site};
use model::yaml;

pub(super) fn judge(bench: &mut Bench<'_>) {
    bench.case.rule("logs");
    for site in bench.apps() {
        let Some(nodes) = bench.items(site.name(), "nodes") else { continue };
        if !site.rendered.releases().any(|s| s.chart() == Some("promtail")) {
            continue;
        }
        let good = nodes.iter().filter_map(|n| n["metadata"]["name"].as_str()).filter(|n| of_node(bench, &site, n));
        let good = good.count();
        bench.case.figure(&format!("log followers of {}", site.name()), format!("{good} of {} nodes", nodes.len()));
    }
}

fn of_node(bench: &mut Bench<'_>, site: &Site<'_>, node: &str) -> bool {
    let cluster = site.name();
    let Some(pods) = bench.items(cluster, &format!("{node}/promtail-pod")) else { return false };
    let Some(pod) = pods.first() else {
        let hint =
            format!("kubectl --kubeconfig out/kube/{cluster}.yaml --namespace monitoring get daemonset/promtail");
        let question = format!("{node}/promtail-pod");
        bench.breach(cluster, &question, node, "Promtail on the node", "none", &hint);
        return false;
    };
    let what = format!("{node}/promtail");
    let Some(page) = bench.said(cluster, &what) else { return false };
    let Some(config) = configuration(page) else {
        return bench.unheard::<()>(cluster, &what, "no configuration on its page".to_owned()).is_some();
    };
    positions(bench, cluster, &what, pod, &config) & retries(bench, cluster, &what, &config)
}

/// The configuration on Promtail's page.
fn configuration(page: &str) -> Option<Value> {
    let text = page.split_once("<pre")?.1.split_once('>')?.1.split_once("</pre>")?.0;
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    let text = pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    Some(yaml::parse("config", &text).ok()?.into_iter().next()?.value)
}

/// The file of positions lies below a path of the node that outlives a reboot.
fn positions(bench: &mut Bench<'_>, cluster: &str, what: &str, pod: &Value, config: &Value) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let file = config["positions"]["filename"].as_str().unwrap_or_default();
    let containers = list(&pod["spec"]["containers"]);
    let mounts: Vec<Value> = containers.iter().flat_map(|c| list(&c["volumeMounts"])).collect();
    let mount =
        mounts.iter().find(|m| m["mountPath"].as_str().is_some_and(|p| !file.is_empty() && file.starts_with(p)));
    let volumes = list(&pod["spec"]["volumes"]);
    let volume = mount.and_then(|m| volumes.iter().find(|v| v["name"] == m["name"]));
    let on_disk = volume.and_then(|v| v["hostPath"]["path"].as_str()).is_some_and(is_lasting);
    if !on_disk {
        let got = format!("{} on no lasting path of the node", if file.is_empty() { "nothing" } else { file });
        let hint = "charts/promtail/values.yaml: a hostPath such as /var/lib/promtail";
        bench.breach(cluster, what, "promtail", "positions that outlive a reboot", &got, hint);
    }
    on_disk
}

/// Each client tries for ever: `max_retries: 0` (grafana/dskit, backoff).
fn retries(bench: &mut Bench<'_>, cluster: &str, what: &str, config: &Value) -> bool {
    let clients = config["clients"].as_array().cloned().unwrap_or_default();
    let given_up: Vec<String> = clients
        .iter()
        .map(|c| c["backoff_config"]["max_retries"].clone())
        .filter(|tries| tries.as_u64() != Some(0))
        .map(|tries| format!("given up after {tries} tries"))
        .collect();
    if clients.is_empty() || !given_up.is_empty() {
        let got = given_up.first().cloned().unwrap_or_else(|| "no client".to_owned());
        let hint = "charts/promtail/values.yaml: max_retries: 0; it means for ever";
        bench.breach(cluster, what, "promtail", "lines pushed until it succeeds", &got, hint);
    }
    given_up.is_empty() && !clients.is_empty()
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
