//! `helm rollback`, `uninstall`, `list`, `history`, `status` and `get values`.
//! Knows nothing of installing.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::admission::WEBHOOK;
use super::super::ask::{Answer, Go, refused, said};
use super::super::catalog;
use super::super::clockwork;
use super::super::cluster::{Cluster, Revision};
use super::super::stage::Stage;
use super::super::volumes::claim_key;
use super::desk::Desk;
use super::made;
use tool::Output;

fn cluster<'a>(stage: &'a mut Stage, desk: &Desk<'_>) -> Go<&'a mut Cluster> {
    stage.cluster_mut(&desk.vm).ok_or_else(|| refused(1, "Error: the server is gone"))
}

/// Goes back to the revision given, or to the one before the newest, whatever became of that (upstream:
/// `prepareRollback`). The first has none before it (measured: `release has no 0 version`). Nothing pending is in the
/// way. The labels are those of the revision gone back to (upstream), and so are the objects.
pub fn rollback(stage: &mut Stage, desk: &Desk<'_>) -> Go<Answer> {
    let name = desk.parsed.word(0).to_owned();
    let cluster = cluster(stage, desk)?;
    if let Some(own) = cluster.releases.iter().position(|r| r.run == Some(desk.ask.run)) {
        return Ok(Answer::Done(rolled_back(cluster, own, desk.now)));
    }
    let newest = cluster.release(&name).cloned().ok_or_else(|| refused(1, "Error: release: not found"))?;
    let number = match desk.parsed.word(1).parse::<u32>() {
        Ok(given) if given > 0 => given,
        _ => newest.number - 1,
    };
    let target = cluster.releases.iter().find(|r| r.name == name && r.number == number).cloned();
    let target = target.ok_or_else(|| refused(1, format!("Error: release has no {number} version")))?;
    cluster.releases.push(Revision {
        number: newest.number + 1,
        status: "pending-rollback".into(),
        description: format!("Rollback to {number}"),
        stale: false,
        run: Some(desk.ask.run),
        ..target
    });
    Ok(Answer::Again(clockwork::ROLLBACK))
}

fn rolled_back(cluster: &mut Cluster, own: usize, now: Duration) -> Output {
    let name = cluster.releases[own].name.clone();
    for revision in cluster.releases.iter_mut().filter(|r| r.name == name && r.status == "deployed") {
        revision.status = "superseded".into();
    }
    let revision = &mut cluster.releases[own];
    (revision.status, revision.run) = ("deployed".into(), None);
    let revision = revision.clone();
    if let Some(chart) = catalog::find(&revision.chart) {
        made::make(cluster, chart, &revision, now);
    }
    said("Rollback was a success! Happy Helming!\n")
}

/// Takes a release away in whatever state. What stays is measured: claims, Argo CD's CRDs; Kyverno takes its CRDs and
/// with them every policy.
pub fn uninstall(stage: &mut Stage, desk: &Desk<'_>) -> Go<Answer> {
    let name = desk.parsed.word(0).to_owned();
    let cluster = cluster(stage, desk)?;
    let Some(number) = cluster.release(&name).map(|release| release.number) else {
        if desk.parsed.on("ignore-not-found") {
            return Ok(Answer::Done(said(format!("release \"{name}\" uninstalled\n"))));
        }
        return Err(refused(1, format!("Error: uninstall: Release not loaded: {name}: release: not found")));
    };
    let newest = cluster.releases.iter_mut().find(|r| r.name == name && r.number == number);
    let newest = newest.ok_or_else(|| refused(1, "Error: release: not found"))?;
    if newest.run != Some(desk.ask.run) {
        // The record says so before anything goes, and is the last thing to go (upstream).
        (newest.status, newest.run) = ("uninstalling".into(), Some(desk.ask.run));
        return Ok(Answer::Again(clockwork::ROLLBACK));
    }
    let release = newest.clone();
    cluster.releases.retain(|r| r.name != name);
    cluster.workloads.retain(|_, w| w.release != name);
    // A StatefulSet's claims stay, a chart's own go.
    for claim in catalog::find(&release.chart).into_iter().flat_map(|chart| chart.pods) {
        if let (Some((claim, _)), "Deployment") = (claim.claim, claim.kind) {
            cluster.objects.remove(&claim_key(&release.namespace, claim));
        }
    }
    match release.chart.as_str() {
        "kyverno" => {
            cluster.crds.retain(|crd, _| !crd.ends_with("kyverno.io"));
            cluster.objects.retain(|key, _| key != WEBHOOK && !key.starts_with("validatingpolicy/"));
        }
        "local-path-provisioner" => drop(cluster.objects.remove("storageclass//local-path")),
        _ => {}
    }
    Ok(Answer::Done(said(format!("release \"{name}\" uninstalled\n"))))
}

/// The subcommands that only read.
pub fn read(stage: &mut Stage, subcommand: &[&str], desk: &Desk<'_>) -> Go<Output> {
    if desk.parsed.get("output") != Some("json") {
        let text = "Error: the embedded world prints JSON only: --output json";
        return Err(stage.strange(desk.ask, refused(1, text)));
    }
    let three = desk.three;
    let cluster = cluster(stage, desk)?;
    let name = desk.parsed.word(0);
    let found = cluster.release(name).ok_or_else(|| refused(1, "Error: release: not found"));
    let value = match subcommand {
        ["list"] => list(cluster, desk, three),
        ["history"] => {
            found?;
            cluster.releases.iter().filter(|r| r.name == name).map(|r| row(r, false)).collect()
        }
        ["status"] => {
            let r = found?;
            // Neither chart nor its version is in there (measured).
            json!({ "name": r.name, "info": { "description": r.description, "status": r.status }, "config": r.values,
                "version": r.number, "namespace": r.namespace })
        }
        _ => Value::clone(&found?.values),
    };
    Ok(said(format!("{value}\n")))
}

/// Helm 3 hides pending releases without `--all`; Helm 4 shows them (measured).
fn list(cluster: &Cluster, desk: &Desk<'_>, three: bool) -> Value {
    let newest = |r: &&Revision| cluster.release(&r.name).is_some_and(|n| n.number == r.number);
    let here = |r: &&Revision| desk.parsed.on("all-namespaces") || r.namespace == desk.namespace();
    let shown = |r: &&Revision| !three || desk.parsed.on("all") || !r.status.starts_with("pending");
    cluster.releases.iter().filter(newest).filter(here).filter(shown).map(|r| row(r, true)).collect()
}

fn row(r: &Revision, named: bool) -> Value {
    let mut row = json!({ "updated": "2026-11-22 09:02:36.679215979 +0000 UTC", "status": r.status,
        "chart": format!("{}-{}", r.chart, r.version), "app_version": r.version });
    if named {
        row["name"] = json!(r.name);
        row["namespace"] = json!(r.namespace);
        row["revision"] = json!(r.number.to_string());
    } else {
        row["revision"] = json!(r.number);
        row["description"] = json!(r.description);
    }
    row
}
