//! C1, live: workloads of app clusters are ready, and no live object depends on the platform in a way that an outage
//! would break. Dependencies are found as in the static tier.

use serde_json::Value;

use super::{counts, dependencies, failure_impact, judge_dependencies};
use crate::live::{LiveContext, Site, probes};
use crate::rendered_state::{ClusterManifests, RenderedState};
use model::fleet::{Cluster, Role};
use plan::Step;

pub(super) fn probes(cluster: &Cluster, manifests: &ClusterManifests) -> Vec<Step> {
    let mut steps = vec![probes::nodes(cluster), probes::namespaces(cluster), probes::webhooks(cluster)];
    if cluster.role == Role::Platform {
        let kinds = "applications.argoproj.io,applicationsets.argoproj.io";
        let ask = probes::kubectl(cluster).list(kinds, &["--all-namespaces"]);
        steps.push(probes::question(cluster, "deliveries", "read the deliveries of", ask, probes::any_list()));
        return steps;
    }
    let workloads = "deployments,statefulsets,daemonsets";
    steps.push(probes::everywhere(cluster, "workloads", "read the workloads of", workloads));
    steps.push(probes::everywhere(cluster, "services", "read the Services of", "services"));
    steps.extend(probes::secret_stores(cluster));
    steps.extend(failure_impact::probes(cluster, manifests));
    steps
}

pub(super) fn judge(ctx: &mut LiveContext<'_>) {
    let mut ready = Vec::new();
    let sites = ctx.apps();
    for site in &sites {
        ctx.rule("ready");
        let Some(items) = ctx.items(site.name(), "workloads") else { continue };
        let good = items.iter().filter(|item| is_ready(ctx, site, item)).count();
        present(ctx, site, &items);
        ready.push(format!("{good} of {} on {}", items.len(), site.name()));
    }
    ctx.rule("dependencies");
    let found = find(ctx, &sites);
    judge_dependencies(&found, ctx);
    let ready = if ready.is_empty() { "none".to_owned() } else { ready.join(", ") };
    ctx.summary(format!("workloads ready: {ready}; dependencies in live objects: {}", counts(&found)));
    ctx.metric("workloads ready", ready);
    ctx.rationale("live workloads, Services, webhooks and stores are searched as rendered ones are");
    ctx.dependencies = found;
    failure_impact::judge_live(ctx);
}

/// Dependencies of live objects. The platform is known by what was rendered for it.
fn find(ctx: &mut LiveContext<'_>, sites: &[Site<'_>]) -> Vec<dependencies::Dependency> {
    for site in sites {
        for what in ["services", "webhooks", "stores", "external-secrets", "namespaces"] {
            ctx.items(site.name(), what);
        }
    }
    let live = sites.iter().map(|site| site.live);
    let clusters = live.chain(ctx.rendered.platform()).cloned().collect();
    dependencies::find(&RenderedState { clusters, rendering: None })
}

/// How many pods a workload wants, and how many are ready: a DaemonSet counts nodes, the others replicas.
fn pods(item: &Value) -> (u64, u64) {
    let number = |pointer: &str| item.pointer(pointer).and_then(Value::as_u64);
    match item["kind"].as_str() {
        Some("DaemonSet") => {
            (number("/status/desiredNumberScheduled").unwrap_or(0), number("/status/numberReady").unwrap_or(0))
        }
        _ => (number("/spec/replicas").unwrap_or(1), number("/status/readyReplicas").unwrap_or(0)),
    }
}

fn is_ready(ctx: &mut LiveContext<'_>, site: &Site<'_>, item: &Value) -> bool {
    let (wanted, ready) = pods(item);
    let number = |pointer: &str| item.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let observed = number("/status/observedGeneration") >= number("/metadata/generation");
    if ready >= wanted && observed {
        return true;
    }
    let word = |key: &str| item["metadata"][key].as_str().unwrap_or_default();
    let (kind, name) = (item["kind"].as_str().unwrap_or_default(), word("name"));
    let got =
        if observed { format!("{ready} of {wanted}") } else { "a change that no controller has observed".to_owned() };
    let describe = format!("--namespace {} describe {}/{name}", word("namespace"), kind.to_lowercase());
    let (subject, want) = (format!("{kind}/{name}"), format!("{wanted} of {wanted} pods ready"));
    ctx.breach(site.name(), "workloads", &subject, &want, &got, &site.kubectl(&describe));
    false
}

fn present(ctx: &mut LiveContext<'_>, site: &Site<'_>, items: &[Value]) {
    for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
        for document in site.rendered.objects(kind) {
            let (space, name) = (document.namespace(), document.word("metadata.name"));
            let same =
                |v: &Value| v["kind"] == kind && v["metadata"]["name"] == name && v["metadata"]["namespace"] == space;
            if !items.iter().any(same) {
                let (subject, want) = (document.subject(), "the workload exists");
                ctx.breach(site.name(), "workloads", &subject, want, "nothing", &site.reapply());
            }
        }
    }
}
