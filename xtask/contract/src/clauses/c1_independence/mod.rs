//! C1: with the platform down, workloads of app clusters keep running and keep answering.

pub mod dependencies;
mod failure_impact;
mod live;
mod outage;

use std::collections::BTreeSet;

use super::Definition;
use crate::context::ClauseContext;
use crate::rendered_state::RenderedState;
use dependencies::{Class, Dependency};
pub use outage::GAP;

pub(super) static CLAUSE: Definition = Definition {
    probes: live::probes,
    objects: &["namespaces", "deliveries", "workloads", "services", "webhooks", "stores", "external-secrets"],
    live: live::judge,
    observations: outage::observations,
    outage: outage::judge,
    recovery: outage::recovery,
    model: |need, _| {
        let (sent, failed) = need.requests;
        (failed > 0).then(|| format!("{failed} of {sent} requests failed while the platform was down"))
    },
    mutants: include_str!("mutants.toml"),
    ..Definition::new("app workloads run while the platform is down", "adr/0001-platform-in-mgmt.md", check)
};

/// Judges every dependency on the platform, and that there is a workload which a drill can watch.
fn check(state: &RenderedState, ctx: &mut ClauseContext) {
    let found = dependencies::find(state);
    judge_dependencies(&found, ctx);
    summarise(state, &found, ctx);
    ctx.dependencies = found;
    ctx.rule("canary");
    for cluster in state.apps() {
        let Some(sample) = cluster.objects("Deployment").find(|d| d.word("metadata.name") == "sample") else {
            let hint = "give the app clusters the manifest `sample` in charts/releases.toml";
            ctx.missing(cluster, "sample", "a workload that shows whether the cluster serves", "nothing", hint);
            continue;
        };
        let replicas = ctx.text(sample, "spec.replicas").and_then(|r| r.parse::<u32>().ok()).unwrap_or(1);
        if replicas < 2 {
            let got = format!("{replicas} replica");
            let hint = "replicas: 2; a drill deletes one and keeps sending requests";
            ctx.breach(cluster, sample, "spec.replicas", "two replicas of the sample workload", got, hint);
        }
    }
    failure_impact::judge(state, ctx);
}

/// A dependency without any known way to survive an outage is a breach.
fn judge_dependencies(found: &[Dependency], ctx: &mut ClauseContext) {
    ctx.rule("dependencies");
    for Dependency { cluster, subject, path, to, class, why, at } in found {
        ctx.record_read(at.clone(), path);
        if *class == Class::Fatal {
            let want = "no dependency on the platform that an outage would break";
            let hint = "remove it, or buffer, cache or make optional what it asks for";
            ctx.breach_at(cluster, at.clone(), subject, want, &format!("{to}: {why}"), hint);
        }
    }
}

/// `2 buffered, 5 cached, 0 optional, 0 fatal`.
fn counts(found: &[Dependency]) -> String {
    let number = |class| found.iter().filter(|r| r.class == class).count();
    Class::ALL.map(|class| format!("{} {}", number(class), class.word())).join(", ")
}

fn summarise(state: &RenderedState, found: &[Dependency], ctx: &mut ClauseContext) {
    let apps: Vec<&str> = state.apps().map(|g| g.name.as_str()).collect();
    let documents: usize = state.apps().map(|g| g.documents.len() + g.texts.len()).sum();
    ctx.summary(format!("{} dependencies on the platform: {}", found.len(), counts(found)));
    ctx.metric("app clusters", apps.join(", "));
    ctx.metric("documents searched", documents.to_string());
    for class in Class::ALL {
        let number = found.iter().filter(|r| r.class == class).count();
        ctx.metric(&format!("dependencies, {}", class.word()), number.to_string());
    }
    let lines: BTreeSet<String> = found.iter().map(|one| line(found, one)).collect();
    lines.into_iter().for_each(|line| ctx.rationale(line));
    ctx.rationale(match state.rendering {
        Some(_) => "every object that charts render was searched too; the live tier sees what controllers make",
        None => "charts were not rendered: what one adds is seen once `out/charts` is pulled, or in the live tier",
    });
}

/// `promtail -> monitoring/loki: buffered, lines wait … (app1, app2; charts/promtail/values.yaml:53)`.
fn line(all: &[Dependency], one: &Dependency) -> String {
    let same = |r: &&Dependency| (&r.subject, &r.to, &r.at) == (&one.subject, &one.to, &one.at);
    let clusters: BTreeSet<&str> = all.iter().filter(same).map(|r| r.cluster.as_str()).collect();
    let clusters: Vec<&str> = clusters.into_iter().collect();
    let Dependency { subject, to, class, why, at, .. } = one;
    format!("{subject} -> {to}: {}; {why} ({}; {at})", class.word(), clusters.join(", "))
}
