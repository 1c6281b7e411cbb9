//! C4: Kyverno is on every app cluster and on no other, and it enforces; Pod Security is baseline everywhere.

mod live;
mod outage;
mod pod_security;
mod rendered;
mod webhook;

use super::Definition;
use crate::context::{ClauseContext, shown};
use crate::rendered_state::{ClusterManifests, Document, RenderedState};
use model::fleet::Role;

/// Kinds of policies that refuse, old and new.
const POLICIES: [&str; 4] = ["ValidatingPolicy", "ClusterPolicy", "ImageValidatingPolicy", "Policy"];

pub(super) static CLAUSE: Definition = Definition {
    probes: live::probes,
    objects: &["namespaces", "policies"],
    live: live::judge,
    observations: outage::observations,
    ready: outage::ready,
    outage: outage::judge,
    mutants: include_str!("mutants.toml"),
    ..Definition::new(
        "Kyverno enforces on app clusters alone, Pod Security everywhere",
        "adr/0003-psa-and-kyverno.md",
        check,
    )
};

fn check(state: &RenderedState, ctx: &mut ClauseContext) {
    let (mut with, mut policies) = (0, 0);
    for cluster in &state.clusters {
        if cluster.role == Role::Platform {
            absent(cluster, ctx);
        } else {
            with += usize::from(present(cluster, ctx));
            policies = enforced(cluster, ctx);
        }
        pod_security::judge(cluster, ctx);
        rendered::judge(cluster, ctx);
    }
    ctx.summary(format!(
        "Kyverno on {with} of {} app clusters and not on the platform, {policies} policies deny, fail closed",
        state.apps().count()
    ));
    ctx.rationale("a webhook that fails open lets everything in while its pod starts, so policies fail closed");
    ctx.rationale("a webhook that fails closed must leave out what it needs to start: adr/0003 says which namespaces");
}

fn kyverno(cluster: &ClusterManifests) -> Option<&Document> {
    cluster.releases().find(|s| s.chart() == Some("kyverno"))
}

/// The platform has no Kyverno: no release, no policy, no webhook of it.
fn absent(cluster: &ClusterManifests, ctx: &mut ClauseContext) {
    ctx.rule("placement");
    for release in cluster.releases().filter(|s| s.chart().is_some_and(|c| c.starts_with("kyverno"))) {
        let hint = "clusters = [\"workload\"]";
        ctx.missing(cluster, &release.name, "no Kyverno on the platform", "it is installed there", hint);
    }
    for object in cluster.documents.iter().filter(|s| s.chart().is_none()) {
        let version = ctx.text(object, "apiVersion").unwrap_or_default();
        let group = version.split('/').next().unwrap_or_default();
        if group == "kyverno.io" || group.ends_with(".kyverno.io") {
            let want = "no object of Kyverno on the platform";
            let hint = "clusters = [\"workload\"] for its manifest";
            ctx.breach(cluster, object, "apiVersion", want, version.clone(), hint);
        }
    }
}

fn present(cluster: &ClusterManifests, ctx: &mut ClauseContext) -> bool {
    ctx.rule("placement");
    let Some(release) = kyverno(cluster) else {
        let hint = "clusters = [\"workload\"] for the chart kyverno in charts/releases.toml";
        ctx.missing(cluster, "kyverno", "Kyverno on every app cluster", "nothing", hint);
        return false;
    };
    let path = "admissionController.replicas";
    let replicas = ctx.text(release, path).and_then(|text| text.parse::<u32>().ok()).unwrap_or(1);
    if replicas == 0 {
        ctx.breach(cluster, release, path, "at least one replica that admits", "none", "replicas: 1");
    }
    webhook::judge(cluster, release, ctx);
    true
}

/// Every policy denies and fails closed; how many there are.
fn enforced(cluster: &ClusterManifests, ctx: &mut ClauseContext) -> usize {
    ctx.rule("enforced");
    let mut found = 0;
    for policy in POLICIES.iter().flat_map(|kind| cluster.objects(kind)) {
        found += 1;
        if matches!(policy.word("kind"), "ClusterPolicy" | "Policy") {
            ctx.expect(cluster, policy, "spec.validationFailureAction", "Enforce", "validationFailureAction: Enforce");
        } else {
            denies(cluster, policy, ctx);
        }
        let path = "spec.failurePolicy";
        let fails = ctx.text(policy, path);
        // Kyverno's own default is Fail.
        if fails.as_deref().is_some_and(|f| f != "Fail") {
            let want = "failurePolicy: Fail";
            ctx.breach(cluster, policy, path, want, shown(fails.as_deref()), want);
        }
        reach(cluster, policy, ctx);
    }
    if found == 0 {
        let hint = "give app clusters the manifest `policies`";
        ctx.missing(cluster, "policies", "at least one policy", "none", hint);
    }
    ctx.metric("policies", found.to_string());
    found
}

/// `[Deny]`; `Audit` and `Warn` only report.
fn denies(cluster: &ClusterManifests, policy: &Document, ctx: &mut ClauseContext) {
    let path = "spec.validationActions";
    let actions: Vec<&str> = ctx.list(policy, path).iter().filter_map(serde_json::Value::as_str).collect();
    if actions != ["Deny"] {
        let want = "validationActions: [Deny]";
        let got = if actions.is_empty() { "nothing".to_owned() } else { format!("[{}]", actions.join(", ")) };
        ctx.breach(cluster, policy, path, want, got, want);
    }
}

/// A policy is evaluated when a pod is created, and for nothing without a namespace: that could keep a node out.
fn reach(cluster: &ClusterManifests, policy: &Document, ctx: &mut ClauseContext) {
    for (i, rule) in ctx.list(policy, "spec.matchConstraints.resourceRules").iter().enumerate() {
        let path = format!("spec.matchConstraints.resourceRules.{i}");
        let has = |key: &str, word: &str| rule[key].as_array().is_some_and(|list| list.iter().any(|v| v == word));
        ctx.read(policy, &path);
        if !has("operations", "CREATE") && !has("operations", "*") {
            let at = format!("{path}.operations");
            ctx.breach(cluster, policy, &at, "evaluated when a pod is created: CREATE", "never then", "- CREATE");
        }
        let boundless = ["*", "*/*", "nodes", "certificatesigningrequests", "leases"];
        if let Some(word) = boundless.iter().find(|word| has("resources", word)) {
            let want = "nothing that has no namespace: a node must register while Kyverno is down";
            let at = format!("{path}.resources");
            ctx.breach(cluster, policy, &at, want, (*word).to_owned(), "- pods");
        }
    }
}
