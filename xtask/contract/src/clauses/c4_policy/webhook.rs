//! A webhook that fails closed and its own way back: what Kyverno needs to start must not ask Kyverno.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::context::{ClauseContext, shown};
use crate::rendered_state::{ClusterManifests, Document};

/// The selector, as it is written into the webhook itself.
const SELECTOR: &str = "config.webhooks.namespaceSelector.matchExpressions";
/// Set by the API server, immutable.
const NAME: &str = "kubernetes.io/metadata.name";

/// Judges the values of Kyverno on one cluster.
pub(super) fn judge(cluster: &ClusterManifests, kyverno: &Document, ctx: &mut ClauseContext) {
    ctx.rule("closed");
    let hint = "enabled: false; it makes every policy advice";
    ctx.expect(cluster, kyverno, "features.forceFailurePolicyIgnore.enabled", "false", hint);
    ctx.rule("restart");
    let hint = "enabled: true; without it a node cannot register while Kyverno is down (kyverno#16177)";
    ctx.expect(cluster, kyverno, "features.excludeBootstrapResources.enabled", "true", hint);
    let path = "admissionController.priorityClassName";
    let priority = ctx.text(kyverno, path);
    if !priority.as_deref().is_some_and(|p| p.starts_with("system-")) {
        let want = "a system priority: pods of covered namespaces wait for this one";
        let hint = "priorityClassName: system-cluster-critical";
        ctx.breach(cluster, kyverno, path, want, shown(priority.as_deref()), hint);
    }
    exempt(cluster, kyverno, ctx);
    last(cluster, kyverno, ctx);
}

/// Kyverno's namespace and those it stands on are left out, by their name; those with workloads are not.
fn exempt(cluster: &ClusterManifests, kyverno: &Document, ctx: &mut ClauseContext) {
    let (index, excluded) = excluded(ctx.list(kyverno, SELECTOR));
    let at = index.map_or_else(|| SELECTOR.to_owned(), |i| format!("{SELECTOR}.{i}.values"));
    ctx.read(kyverno, &at);
    let own = ctx.on(kyverno, "config.excludeKyvernoNamespace", true);
    let must = ["kube-system", kyverno.namespace()];
    for space in must {
        let itself = space == kyverno.namespace();
        let left_out = excluded.contains(space) || (itself && own && index.is_none());
        if !left_out || (itself && !own) {
            let want = format!("`{space}` left out of the webhook by its name");
            let got = "it must ask Kyverno to bring Kyverno back".to_owned();
            ctx.breach(cluster, kyverno, &at, want, got, format!("- {space} under NotIn {NAME}"));
        }
    }
    let ours: BTreeSet<&str> = cluster.releases().map(Document::namespace).collect();
    let system = |space: &str| space.starts_with("kube-") || space.starts_with("cilium-") || ours.contains(space);
    for space in excluded.iter().filter(|space| !system(space)) {
        let i = kyverno.get(&at).and_then(Value::as_array).and_then(|l| l.iter().position(|v| v == space.as_str()));
        let path = i.map_or_else(|| at.clone(), |i| format!("{at}.{i}"));
        let want = "only namespaces of the system left out";
        let got = format!("`{space}`, whose pods are not checked");
        ctx.breach(cluster, kyverno, &path, want, got, format!("remove {space}"));
    }
    ctx.metric("namespaces left out", excluded.len().to_string());
}

/// Names under `NotIn` of the name label, and the index of that expression.
fn excluded(expressions: &[Value]) -> (Option<usize>, BTreeSet<String>) {
    let by_name = |e: &Value| e["key"] == NAME && e["operator"] == "NotIn";
    let Some(i) = expressions.iter().position(by_name) else { return (None, BTreeSet::new()) };
    let values = expressions[i]["values"].as_array().into_iter().flatten().filter_map(Value::as_str);
    (Some(i), values.map(str::to_owned).collect())
}

/// Last of the releases: what is installed before it never has to ask it.
fn last(cluster: &ClusterManifests, kyverno: &Document, ctx: &mut ClauseContext) {
    ctx.rule("order");
    let latest = cluster.releases().filter(|s| s.name != kyverno.name).map(|s| s.wave).max().unwrap_or(0);
    if kyverno.wave <= latest {
        let got = format!("wave {} of {latest}", kyverno.wave);
        ctx.missing(cluster, &kyverno.name, "Kyverno is the last release", &got, "a later `wave`");
    }
    let policies = cluster.objects("ValidatingPolicy").filter(|p| p.wave <= kyverno.wave).map(|p| p.name.clone());
    for name in policies.collect::<BTreeSet<_>>() {
        ctx.missing(cluster, &name, "policies come after Kyverno", "before it is ready", "a later `wave`");
    }
}
