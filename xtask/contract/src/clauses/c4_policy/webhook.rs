//! A webhook that fails closed and its own way back: what Kyverno needs to start must not ask Kyverno.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::policies::{Covered, NAME, conditions, is_system, selects};
use crate::context::{ClauseContext, plain, shown};
use crate::rendered_state::{ClusterManifests, Document};

/// The selector, as it is written into the webhook itself.
const SELECTOR: &str = "config.webhooks.namespaceSelector";
/// Who may go around Kyverno by its own configuration; the kubelets must, and are bound by Pod Security alone.
const REQUESTERS: [&str; 4] = ["excludeGroups", "excludeUsernames", "excludeRoles", "excludeClusterRoles"];

/// Judges the values of Kyverno on one cluster.
pub(super) fn judge(cluster: &ClusterManifests, kyverno: &Document, ctx: &mut ClauseContext) {
    ctx.rule("closed");
    let hint = "enabled: false; it makes every policy advice";
    switch(cluster, kyverno, "forceFailurePolicyIgnore", "false", hint, ctx);
    ctx.rule("restart");
    let hint = "enabled: true; without it a node cannot register while Kyverno is down (kyverno#16177)";
    switch(cluster, kyverno, "excludeBootstrapResources", "true", hint, ctx);
    let hint = "enabled: true; otherwise its webhooks are called for everything, nodes too";
    switch(cluster, kyverno, "autoUpdateWebhooks", "true", hint, ctx);
    let path = "admissionController.priorityClassName";
    let priority = ctx.text(kyverno, path);
    if !priority.as_deref().is_some_and(|p| p.starts_with("system-")) {
        let want = "a system priority: pods of covered namespaces wait for this one";
        let hint = "priorityClassName: system-cluster-critical";
        ctx.breach(cluster, kyverno, path, want, shown(priority.as_deref()), hint);
    }
    let covered = Covered::of(cluster);
    exempt(cluster, kyverno, &covered, ctx);
    configuration(cluster, kyverno, &covered, ctx);
    last(cluster, kyverno, ctx);
}

/// A setting of one feature and where it stands: the chart writes further arguments last, before them its overrides,
/// before them the features of all controllers. Of a flag given twice, the last counts.
pub(super) fn feature(kyverno: &Document, name: &str, (key, flag, otherwise): (&str, &str, &str)) -> (String, String) {
    let path = format!("features.{name}.{key}");
    let further = format!("admissionController.container.extraArgs.{flag}");
    let places = [further, format!("admissionController.featuresOverride.{name}.{key}"), path.clone()];
    let set = places.into_iter().find_map(|at| Some((kyverno.get(&at).filter(|v| !v.is_null()).map(plain)?, at)));
    set.unwrap_or((otherwise.to_owned(), path))
}

/// A feature that is a flag of its own name; the chart's default is the opposite of what is wanted, or it is off.
fn switch(cluster: &ClusterManifests, kyverno: &Document, name: &str, want: &str, hint: &str, ctx: &mut ClauseContext) {
    let otherwise = if name == "autoUpdateWebhooks" { "true" } else { "false" };
    let (got, path) = feature(kyverno, name, ("enabled", name, otherwise));
    ctx.read(kyverno, &path);
    if got != want {
        ctx.breach(cluster, kyverno, &path, format!("{name}: {want}"), got, hint);
    }
}

/// Kyverno's namespace and those it stands on are left out, by their name; those with workloads are not.
fn exempt(cluster: &ClusterManifests, kyverno: &Document, covered: &Covered, ctx: &mut ClauseContext) {
    let selector = ctx.read(kyverno, SELECTOR).cloned().unwrap_or_default();
    let terms = selector["matchExpressions"].as_array().map_or(&[][..], Vec::as_slice);
    let index = terms.iter().position(|e| e["key"] == NAME && e["operator"] == "NotIn");
    let at = index.map_or_else(|| SELECTOR.to_owned(), |i| format!("{SELECTOR}.matchExpressions.{i}.values"));
    ctx.read(kyverno, &at);
    let own = ctx.on(kyverno, "config.excludeKyvernoNamespace", true);
    for space in ["kube-system", kyverno.namespace()] {
        let itself = space == kyverno.namespace();
        let by_name = BTreeMap::from([(NAME.to_owned(), space.to_owned())]);
        let left_out = !selects(&selector, &by_name) || (itself && own && selector.is_null());
        if !left_out || (itself && !own) {
            let want = format!("`{space}` left out of the webhook by its name");
            let got = "it must ask Kyverno to bring Kyverno back".to_owned();
            ctx.breach(cluster, kyverno, &at, want, got, format!("- {space} under NotIn {NAME}"));
        }
    }
    let excluded = index.and_then(|i| terms[i]["values"].as_array()).map_or(&[][..], Vec::as_slice);
    let named: Vec<&str> = excluded.iter().filter_map(Value::as_str).filter(|s| !is_system(cluster, s)).collect();
    let others = covered.left_out_by(&selector).into_iter().filter(|space| !named.contains(space));
    for space in named.iter().copied().chain(others) {
        let i = excluded.iter().position(|v| v == space);
        let path = i.map_or_else(|| SELECTOR.to_owned(), |i| format!("{at}.{i}"));
        let want = "only namespaces of the system left out";
        let got = format!("`{space}`, whose pods are not checked");
        ctx.breach(cluster, kyverno, &path, want, got, format!("remove {space}"));
    }
    ctx.metric("namespaces left out", excluded.len().to_string());
}

/// Kyverno's own configuration: requests that it admits unseen.
fn configuration(cluster: &ClusterManifests, kyverno: &Document, covered: &Covered, ctx: &mut ClauseContext) {
    ctx.rule("configuration");
    let mut breach = |path: &str, want: &str, got: String, hint: &str| {
        ctx.breach(cluster, kyverno, path, want, got, hint);
    };
    if kyverno.get("config.create").is_some_and(|v| v == false) {
        let got = "one that is not made here".to_owned();
        breach("config.create", "the configuration of the chart", got, "create: true");
    }
    let selector = "config.webhooks.objectSelector";
    if kyverno.get(selector).is_some_and(|s| s.as_object().is_some_and(|s| !s.is_empty())) {
        let got = "a pod's own labels decide whether it is checked".to_owned();
        breach(selector, "every pod of a covered namespace is checked", got, "remove objectSelector");
    }
    let items = |path: &str| kyverno.get(path).and_then(Value::as_array).cloned().unwrap_or_default();
    for key in REQUESTERS {
        let path = format!("config.{key}");
        for (i, who) in items(&path).iter().enumerate() {
            let who = plain(who);
            if !who.starts_with('!') && who != "system:nodes" {
                let want = "only the kubelets pass unchecked";
                breach(&format!("{path}.{i}"), want, who.clone(), &format!("remove {who}"));
            }
        }
    }
    for key in ["resourceFilters", "resourceFiltersInclude"] {
        let path = format!("config.{key}");
        for (i, filter) in items(&path).iter().enumerate() {
            let filter = plain(filter);
            let spaces = covered.filtered_by(&filter);
            if !spaces.is_empty() {
                let got = format!("{filter} passes those of {}", spaces.join(", "));
                breach(
                    &format!("{path}.{i}"),
                    "pods of covered namespaces are checked",
                    got,
                    &format!("remove {filter}"),
                );
            }
        }
    }
    let path = "config.resourceFiltersIncludeNamespaces";
    for (i, space) in items(path).iter().map(plain).enumerate().filter(|(_, space)| covered.contains(space)) {
        let got = format!("those of {space} are not");
        breach(&format!("{path}.{i}"), "pods of covered namespaces are checked", got, &format!("remove {space}"));
    }
    conditions(cluster, kyverno, "config.matchConditions", ctx);
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
