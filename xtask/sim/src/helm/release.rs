//! `helm rollback`, `uninstall`, `list`, `history`, `status`, `get values` and `get manifest`.

use super::chart_objects;
use crate::admission::WEBHOOK;
use crate::catalog;
use crate::cluster::Revision;
use crate::prelude::*;
use crate::volumes::claim_key;

fn cluster<'a>(sim: &'a mut SimState, cmd: &Invocation<'_>) -> ToolResult<&'a mut Cluster> {
    sim.cluster_mut(&cmd.vm).ok_or_else(|| failure(1, "Error: the server is gone"))
}

/// To the given revision, or to the one before the newest, whatever its status (upstream: `prepareRollback`). The first
/// has none before it (measured: `release has no 0 version`). A pending revision does not prevent it. Labels and
/// objects are those of the target (upstream).
pub fn rollback(sim: &mut SimState, cmd: &Invocation<'_>) -> ToolResult<Response> {
    let name = cmd.args.word(0).to_owned();
    let cluster = cluster(sim, cmd)?;
    if let Some(own) = cluster.releases.iter().position(|r| r.run == Some(cmd.request.run)) {
        return Ok(Response::Done(finish_rollback(cluster, own, cmd.now)));
    }
    let newest = cluster.release(&name).cloned().ok_or_else(|| failure(1, "Error: release: not found"))?;
    let number = match cmd.args.word(1).parse::<u32>() {
        Ok(given) if given > 0 => given,
        _ => newest.number - 1,
    };
    let target = cluster.releases.iter().find(|r| r.name == name && r.number == number).cloned();
    let target = target.ok_or_else(|| failure(1, format!("Error: release has no {number} version")))?;
    cluster.releases.push(Revision {
        number: newest.number + 1,
        status: "pending-rollback".into(),
        description: format!("Rollback to {number}"),
        stale: false,
        run: Some(cmd.request.run),
        ..target
    });
    Ok(Response::Pending(timings::ROLLBACK))
}

fn finish_rollback(cluster: &mut Cluster, own: usize, now: Duration) -> Output {
    let name = cluster.releases[own].name.clone();
    for revision in cluster.releases.iter_mut().filter(|r| r.name == name && r.status == "deployed") {
        revision.status = "superseded".into();
    }
    let revision = &mut cluster.releases[own];
    (revision.status, revision.run) = ("deployed".into(), None);
    let revision = revision.clone();
    if let Some(chart) = catalog::find(&revision.chart) {
        chart_objects::apply_chart(cluster, chart, &revision, now);
    }
    success("Rollback was a success! Happy Helming!\n")
}

/// In any status. Claims and Argo CD's CRDs stay; Kyverno removes its CRDs and with them every policy (measured).
pub fn uninstall(sim: &mut SimState, cmd: &Invocation<'_>) -> ToolResult<Response> {
    let name = cmd.args.word(0).to_owned();
    let cluster = cluster(sim, cmd)?;
    let Some(number) = cluster.release(&name).map(|release| release.number) else {
        if cmd.args.on("ignore-not-found") {
            return Ok(Response::Done(success(format!("release \"{name}\" uninstalled\n"))));
        }
        return Err(failure(1, format!("Error: uninstall: Release not loaded: {name}: release: not found")));
    };
    let newest = cluster.releases.iter_mut().find(|r| r.name == name && r.number == number);
    let newest = newest.ok_or_else(|| failure(1, "Error: release: not found"))?;
    if newest.run != Some(cmd.request.run) {
        // The record is updated first and deleted last (upstream).
        (newest.status, newest.run) = ("uninstalling".into(), Some(cmd.request.run));
        return Ok(Response::Pending(timings::ROLLBACK));
    }
    let release = newest.clone();
    cluster.releases.retain(|r| r.name != name);
    cluster.workloads.retain(|_, w| w.release != name);
    // Claims of a StatefulSet stay, a chart's own are deleted.
    for claim in catalog::find(&release.chart).into_iter().flat_map(|chart| &chart.pods) {
        if let (Some((name, _)), "Deployment") = (&claim.claim, claim.kind.as_str()) {
            cluster.objects.remove(&claim_key(&release.namespace, name));
        }
    }
    match release.chart.as_str() {
        "kyverno" => {
            let ours = catalog::find("kyverno").map_or(&[][..], |chart| &chart.crds);
            cluster.crds.retain(|crd, _| !ours.iter().any(|definition| definition.name == *crd));
            cluster.objects.retain(|key, _| key != WEBHOOK && !key.starts_with("validatingpolicy/"));
        }
        "local-path-provisioner" => drop(cluster.objects.remove("storageclass//local-path")),
        _ => {}
    }
    Ok(Response::Done(success(format!("release \"{name}\" uninstalled\n"))))
}

pub fn read(sim: &mut SimState, subcommand: &str, cmd: &Invocation<'_>) -> ToolResult<Output> {
    if cmd.request.args.get(1).is_some_and(|what| what == "manifest") {
        let release = cluster(sim, cmd)?.release(cmd.args.word(0));
        let release = release.ok_or_else(|| failure(1, "Error: release: not found"))?;
        return Ok(success(manifest(&release.name, &release.values)));
    }
    if cmd.args.get("output") != Some("json") {
        let text = "Error: the simulator prints JSON only: --output json";
        return Err(sim.unsupported(cmd.request, failure(1, text)));
    }
    let helm3 = sim.is_helm3();
    let cluster = cluster(sim, cmd)?;
    let name = cmd.args.word(0);
    let found = cluster.release(name).ok_or_else(|| failure(1, "Error: release: not found"));
    let value = match subcommand {
        "list" => list(cluster, cmd, helm3),
        "history" => {
            found?;
            cluster.releases.iter().filter(|r| r.name == name).map(|r| history_row(r, false)).collect()
        }
        "status" => {
            let r = found?;
            // Neither chart nor version (measured).
            json!({ "name": r.name, "info": { "description": r.description, "status": r.status }, "config": r.values,
                "version": r.number, "namespace": r.namespace })
        }
        _ => Value::clone(&found?.values),
    };
    Ok(success(format!("{value}\n")))
}

/// Simulated archives hold no templates: one object stands for all, and holds the values.
pub fn manifest(name: &str, values: &Value) -> String {
    let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": values });
    format!("---\n# Source: {name}/templates/all.yaml\n{object}\n")
}

/// Helm 3 hides pending releases without `--all`; Helm 4 shows them (measured).
fn list(cluster: &Cluster, cmd: &Invocation<'_>, helm3: bool) -> Value {
    let newest = |r: &&Revision| cluster.release(&r.name).is_some_and(|n| n.number == r.number);
    let here = |r: &&Revision| cmd.args.on("all-namespaces") || r.namespace == cmd.namespace();
    let shown = |r: &&Revision| !helm3 || cmd.args.on("all") || !r.status.starts_with("pending");
    cluster.releases.iter().filter(newest).filter(here).filter(shown).map(|r| history_row(r, true)).collect()
}

fn history_row(r: &Revision, named: bool) -> Value {
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
