//! C4: Kyverno is on every app cluster and on no other, and it enforces; Pod Security is baseline everywhere.

mod live;
mod outage;
mod pod_security;
mod policies;
mod rendered;
mod webhook;

use super::Definition;
use crate::context::ClauseContext;
use crate::rendered_state::{ClusterManifests, Document, RenderedState};
use model::fleet::Role;
use policies::Covered;
pub(super) use policies::{labels, selects};

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
            policies = policies::judge(cluster, &Covered::of(cluster), ctx);
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
    ctx.rationale(
        "judged is whether Kyverno is asked about every pod and refuses; what a rule demands of it, `--live` tries",
    );
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
