//! C1, live: workloads of app clusters are ready, and no object that is there leads to the platform in a way that an
//! outage would break.
//! Knows nothing of how references are found: the walker is the one of the static tier.

use serde_json::Value;

use super::super::evidence::{Evidence, Ground};
use super::super::references::{self, Class, Reference};
use super::bench::{Bench, Site};

pub(super) fn judge(bench: &mut Bench<'_>) -> Vec<Reference> {
    let mut told = Vec::new();
    let sites = bench.apps();
    for site in &sites {
        bench.case.rule("ready");
        let Some(items) = bench.items(site.name(), "workloads") else { continue };
        let ready = items.iter().filter(|item| is_ready(bench, site, item)).count();
        present(bench, site, &items);
        told.push(format!("{ready} of {} on {}", items.len(), site.name()));
    }
    bench.case.rule("references");
    let found = walk(bench, &sites);
    found.iter().for_each(|reference| bench.case.reference(reference));
    let number = |class| found.iter().filter(|r| r.class == class).count();
    let counts: Vec<String> = Class::ALL.iter().map(|class| format!("{} {}", number(*class), class.word())).collect();
    let told = if told.is_empty() { "none".to_owned() } else { told.join(", ") };
    bench.case.headline(format!("workloads ready: {told}; references in live objects: {}", counts.join(", ")));
    bench.case.figure("workloads ready", told);
    bench.case.because("live workloads, Services, webhooks and stores go through the walker of the static tier");
    found
}

/// References in the objects that are there. The platform is known by what was rendered for it.
fn walk(bench: &mut Bench<'_>, sites: &[Site<'_>]) -> Vec<Reference> {
    for site in sites {
        for what in ["services", "webhooks", "stores", "external-secrets", "namespaces"] {
            bench.items(site.name(), what);
        }
    }
    let live = sites.iter().map(|site| site.live);
    let grounds: Vec<Ground> = live.chain(bench.rendered.platform()).cloned().collect();
    references::walk(&Evidence { grounds, rendering: None })
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

fn is_ready(bench: &mut Bench<'_>, site: &Site<'_>, item: &Value) -> bool {
    let (wanted, ready) = pods(item);
    let number = |pointer: &str| item.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let seen = number("/status/observedGeneration") >= number("/metadata/generation");
    if ready >= wanted && seen {
        return true;
    }
    let word = |key: &str| item["metadata"][key].as_str().unwrap_or_default();
    let kind = item["kind"].as_str().unwrap_or_default();
    let got = if seen { format!("{ready} of {wanted}") } else { "a change that no controller has seen".to_owned() };
    let subject = format!("{kind}/{}", word("name"));
    let hint = format!(
        "kubectl --kubeconfig out/kube/{}.yaml --namespace {} describe {}/{}",
        site.name(),
        word("namespace"),
        kind.to_lowercase(),
        word("name")
    );
    bench.breach(site.name(), "workloads", &subject, &format!("{wanted} of {wanted} pods ready"), &got, &hint);
    false
}

/// Workloads of our own manifests are there at all.
fn present(bench: &mut Bench<'_>, site: &Site<'_>, items: &[Value]) {
    for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
        for sheet in site.rendered.objects(kind) {
            let (space, name) = (sheet.namespace(), sheet.word("metadata.name"));
            let here =
                |v: &Value| v["kind"] == kind && v["metadata"]["name"] == name && v["metadata"]["namespace"] == space;
            if !items.iter().any(here) {
                let hint = format!("cargo xtask bootstrap --only '{}/*'", site.name());
                bench.breach(site.name(), "workloads", &sheet.subject(), "the workload is there", "nothing", &hint);
            }
        }
    }
}
