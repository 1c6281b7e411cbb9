//! The objects that a release creates, and those it waits for.

use std::collections::BTreeMap;

use crate::catalog::{Chart, Hook};
use crate::cluster::{Crd, Revision};
use crate::kubectl::objects::{deleted, key};
use crate::mesh;
use crate::prelude::*;
use crate::volumes::claim_key;
use crate::workload::{PendingReason, PodNeeds};

pub fn apply_chart(cluster: &mut Cluster, chart: &Chart, release: &Revision, now: Duration) {
    let (name, namespace, values) = (&release.name, &release.namespace, &release.values);
    for mut workload in Workload::all_of_chart(chart, name, namespace, values, now) {
        if workload.is(mesh::SERVER) {
            workload.needs.template = mesh::server_template(values);
        }
        if workload.is(mesh::CILIUM_AGENT) {
            workload.needs.template = mesh::agent_template(values);
        }
        if let Some((claim, class)) = &workload.needs.claim {
            let object = json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": { "name": claim, "namespace": namespace },
                "spec": { "storageClassName": class }, "status": { "phase": "Pending" } });
            cluster.ensure_object(claim_key(namespace, claim), object);
        }
        let key = workload.key();
        let old = cluster.workloads.remove(&key);
        cluster.workloads.insert(key, workload.replacing(old));
    }
    for definition in &chart.crds {
        let switch = definition.switch.as_ref().map(|path| format!("/{}", path.replace('.', "/")));
        if switch.is_some_and(|switch| values.pointer(&switch) == Some(&json!(false))) {
            continue;
        }
        let (kind, versions) = (definition.kind.clone(), definition.versions.clone());
        let crd = Crd { kind, versions, namespaced: definition.namespaced, bundle: None, since: now };
        cluster.crds.entry(definition.name.clone()).or_insert(crd);
    }
    if chart.name == "cilium" {
        // Of the Secrets of the mesh those that a Job issues are not the chart's.
        let own = deleted("Secret", namespace, "cilium-");
        cluster.objects.retain(|key, _| !key.starts_with(&own));
    }
    ensure_classes(cluster, chart, values);
}

fn ensure_classes(cluster: &mut Cluster, chart: &Chart, values: &Value) {
    let object = |kind: &str, version: &str, name: &str| {
        let metadata = json!({ "name": name });
        json!({ "apiVersion": version, "kind": kind, "metadata": metadata })
    };
    if chart.name == "local-path-provisioner" && values["storageClass"]["create"] != json!(false) {
        let name = values["storageClass"]["name"].as_str().unwrap_or("local-path");
        let mut class = object("StorageClass", "storage.k8s.io/v1", name);
        if values["storageClass"]["defaultClass"] == json!(true) {
            class["metadata"]["annotations"] = json!({ "storageclass.kubernetes.io/is-default-class": "true" });
        }
        class["provisioner"] = json!("rancher.io/local-path");
        cluster.ensure_object(key("StorageClass", "", name), class);
    }
    let gateway = values["gatewayAPI"]["enabled"] == json!(true);
    if chart.name == "cilium" && gateway && cluster.crds.contains_key("gatewayclasses.gateway.networking.k8s.io") {
        let class = object("GatewayClass", "gateway.networking.k8s.io/v1", "cilium");
        cluster.ensure_object(key("GatewayClass", "", "cilium"), class);
    }
}

pub fn finish_hook(cluster: &mut Cluster, hook: &Hook, namespace: &str) {
    if !hook.makes.is_empty() {
        let object = json!({ "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": { "name": hook.makes, "namespace": namespace }, "data": {} });
        cluster.ensure_object(key("Secret", namespace, &hook.makes), object);
    }
}

/// Why a hook Job has not ended: without a node it never does (measured, with and without `--wait`). The bucket hook
/// also needs the store itself.
pub fn hook_pending(
    sim: &SimState,
    cluster: &Cluster,
    hook: &Hook,
    release: &Revision,
    now: Duration,
) -> Option<String> {
    let fits = sim.job_fits(cluster, &PodNeeds::of_hook(hook, &release.values), now);
    let ready = hook.before || !has_unready(sim, cluster, release, now);
    let phase = if hook.before { "pre-install" } else { "post-install" };
    (!fits || !ready).then(|| {
        let job = format!("Job/{}/{}", release.namespace, hook.name);
        format!("failed {phase}: resource {job} not ready. status: InProgress, message: Job in progress")
    })
}

fn unready<'a>(
    sim: &SimState,
    cluster: &'a Cluster,
    release: &Revision,
    now: Duration,
) -> impl Iterator<Item = &'a Workload> {
    let of = |w: &&Workload| w.release == release.name && w.namespace == release.namespace;
    cluster.workloads.values().filter(of).filter(move |w| !sim.rolled_out(cluster, w, now))
}

pub fn has_unready(sim: &SimState, cluster: &Cluster, release: &Revision, now: Duration) -> bool {
    unready(sim, cluster, release, now).next().is_some()
}

/// A line per workload that is not ready, as Helm 4 prints it (measured): `Current` means that pods could not even be
/// created.
pub fn unready_report(sim: &SimState, cluster: &Cluster, release: &Revision, now: Duration) -> Vec<String> {
    let mut by_kind: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for w in unready(sim, cluster, release, now) {
        let (wanted, ready) = sim.pods(cluster, w, now);
        let what = match (&w.pending, w.kind.as_str()) {
            (PendingReason::Refused(_), _) => "Current",
            (_, "StatefulSet") => "Ready",
            _ => "Available",
        };
        let line = format!(
            "resource {}/{}/{} not ready. status: InProgress, message: {what}: {ready}/{wanted}",
            w.kind, w.namespace, w.name
        );
        by_kind.insert((&w.kind, &w.name), line);
    }
    by_kind.into_values().collect()
}
