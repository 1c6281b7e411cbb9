//! Objects as the simulated API server shows them: nodes, releases' Secrets, workloads, CRDs, and what was applied.
//! Knows nothing of how they are printed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::cluster::{Cluster, Ready, Revision};
use super::super::copies;
use super::super::mesh as mesh_model;
use super::super::mishap::{Breach, Mishap};
use super::super::pki;
use super::super::pods;
use super::super::stage::Stage;
use super::super::workload::{Held, Workload};
use super::super::yaml::text;
use super::kinds::Kind;
use super::{inside, mesh, states};

/// The key of a plain object.
pub fn key(kind: &str, namespace: &str, name: &str) -> String {
    format!("{}/{namespace}/{name}", kind.to_lowercase())
}

/// Every object of a kind; `namespace` limits it.
pub fn list(stage: &Stage, cluster: &Cluster, kind: &Kind, namespace: Option<&str>, now: Duration) -> Vec<Value> {
    some(stage, cluster, kind, (namespace, None), now)
}

/// The object of that name, or the first of several if the namespace is left open.
pub fn one(
    stage: &Stage,
    cluster: &Cluster,
    kind: &Kind,
    namespace: Option<&str>,
    name: &str,
    now: Duration,
) -> Option<Value> {
    some(stage, cluster, kind, (namespace, Some(name)), now).into_iter().next()
}

/// Objects of a kind; those that do not fit are not even made where that can be told before.
fn some(
    stage: &Stage,
    cluster: &Cluster,
    kind: &Kind,
    (namespace, name): (Option<&str>, Option<&str>),
    now: Duration,
) -> Vec<Value> {
    let fits = |other: &str| name.is_none_or(|name| name == other);
    let prefix = format!("{}/", kind.kind.to_lowercase());
    let stored = cluster.objects.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
    let stored = stored.filter(|(key, _)| fits(key.rsplit('/').next().unwrap_or_default())).map(|(_, v)| v.clone());
    let mut all: Vec<Value> = match kind.kind.as_str() {
        "Node" => cluster.nodes.keys().filter(|n| fits(n)).map(|name| node(stage, cluster, name, now)).collect(),
        "Namespace" => {
            let spaces = cluster.namespaces.iter().filter(|(name, _)| fits(name));
            spaces.map(|(name, labels)| namespaced(name, labels)).collect()
        }
        "Secret" => cluster
            .releases
            .iter()
            .filter(|r| fits(&secret_name(r)))
            .map(secret)
            .chain(copies::secrets(cluster))
            .collect(),
        "CustomResourceDefinition" => {
            let crds = cluster.crds.iter().filter(|(name, _)| fits(name));
            crds.map(|(name, crd)| definition(name, crd, now)).collect()
        }
        "ServiceCIDR" => vec![services(cluster)],
        "PersistentVolume" => cluster.objects.values().filter_map(volume).collect(),
        _ => vec![],
    };
    // What was applied is stored; its status is made here.
    let stored = stored.map(|object| match cluster.workloads.get(&workload_key(&object)) {
        Some(w) => identified(stage, cluster, merged(object, &workload(stage, cluster, w, now))),
        None => object,
    });
    let applied = |w: &&Workload| cluster.objects.contains_key(&key(&w.kind, &w.namespace, &w.name));
    let ours = cluster.workloads.values().filter(|w| w.kind == kind.kind && fits(&w.name) && !applied(w));
    all.extend(ours.map(|w| workload(stage, cluster, w, now)));
    match kind.kind.as_str() {
        "Event" => all.extend(cluster.workloads.values().filter_map(event)),
        "Pod" => all.extend(cluster.workloads.values().flat_map(|w| pods(stage, cluster, w, now))),
        _ => {}
    }
    let copied = |object: &Value| (kind.kind == "ExternalSecret").then(|| copies::status(cluster, object)).flatten();
    let status = |object: &Value| {
        let others = || mesh::status(stage, cluster, &kind.kind, now).or_else(|| states::status(object));
        copied(object).or_else(others)
    };
    all.extend(stored.map(|object| match status(&object) {
        Some(status) => merged(object, &json!({ "status": status })),
        None if states::is_kyvernos(&object) => {
            let mut object = object;
            object["webhooks"] = states::webhooks(cluster);
            object
        }
        None => object,
    }));
    all.extend(mesh::objects(stage, cluster, &kind.kind));
    let gone = |v: &Value| key(&kind.kind, text(v, "/metadata/namespace"), text(v, "/metadata/name"));
    all.retain(|v| !stage.mishaps(&cluster.name).any(|m| matches!(m, Mishap::Gone(key) if *key == gone(v))));
    all.retain(|v| !kind.namespaced || namespace.is_none_or(|ns| text(v, "/metadata/namespace") == ns));
    all.retain(|v| fits(text(v, "/metadata/name")));
    all.sort_by_cached_key(|v| (text(v, "/metadata/namespace").to_owned(), text(v, "/metadata/name").to_owned()));
    all
}

/// The volume of a bound claim, as our storage class makes it (upstream: `createPersistentVolumeSource`).
fn volume(claim: &Value) -> Option<Value> {
    let node = pods::selected_node(claim).filter(|_| text(claim, "/kind") == "PersistentVolumeClaim")?;
    let (namespace, name) = (text(claim, "/metadata/namespace"), text(claim, "/metadata/name"));
    let annotations = json!({ "local.path.provisioner/selected-node": node });
    Some(json!({ "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": { "name": pods::volume_name(namespace, name), "annotations": annotations },
        "spec": { "local": { "path": pods::volume_path(namespace, name) } }, "status": { "phase": "Bound" } }))
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({ "type": kind, "status": status, "reason": reason, "message": message })
}

fn node(stage: &Stage, cluster: &Cluster, name: &str, now: Duration) -> Value {
    let member = &cluster.nodes[name];
    let ready = match stage.node_ready(cluster, name, now) {
        Ready::Yes => condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        Ready::No => condition(
            "Ready",
            "False",
            "KubeletNotReady",
            "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network \
             plugin returns error: cni plugin not initialized",
        ),
        Ready::Unknown => condition("Ready", "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."),
    };
    let mut labels = json!({ "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" });
    if member.control_plane {
        labels["node-role.kubernetes.io/control-plane"] = json!("");
    }
    let mut spec = json!({});
    // Handed out within three seconds, or never (measured).
    if let Some(net) = member.pod_cidr.filter(|_| member.joined + super::super::clockwork::POD_CIDR <= now) {
        spec = json!({ "podCIDR": net.to_string(), "podCIDRs": [net.to_string()] });
    }
    if cluster.cordoned.contains(name) {
        spec["unschedulable"] = json!(true);
    }
    let annotations = cluster.marks.get(name).cloned().unwrap_or_default();
    let version = stage.vms.get(&member.vm).map(|vm| vm.guest.kubelet()).unwrap_or_default();
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": name, "labels": labels, "annotations": annotations },
        "spec": spec,
        "status": {
            "addresses": [
                { "type": "InternalIP", "address": member.ip.to_string() },
                { "type": "Hostname", "address": name },
            ],
            "conditions": [ready],
            "nodeInfo": { "kubeletVersion": format!("v{version}"), "containerRuntimeVersion": "containerd://2.2.1",
                "osImage": "Ubuntu 24.04.3 LTS", "architecture": "arm64", "kubeProxyVersion": "" },
        },
    })
}

fn namespaced(name: &str, labels: &BTreeMap<String, String>) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels },
        "status": { "phase": "Active" } })
}

/// A release's Secret: chart and values are not in its labels, only what `--labels` put there (measured).
fn secret(revision: &Revision) -> Value {
    let mut labels = revision.labels.clone();
    labels.insert("owner".into(), "helm".into());
    labels.insert("name".into(), revision.name.clone());
    labels.insert("version".into(), revision.number.to_string());
    labels.insert("status".into(), revision.status.clone());
    json!({ "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
        "metadata": { "name": secret_name(revision), "namespace": revision.namespace, "labels": labels } })
}

fn secret_name(revision: &Revision) -> String {
    format!("sh.helm.release.v1.{}.v{}", revision.name, revision.number)
}

fn definition(name: &str, crd: &super::super::cluster::Crd, now: Duration) -> Value {
    let (plural, group) = name.split_once('.').unwrap_or((name, ""));
    let versions: Vec<Value> = crd.versions.iter().map(|v| json!({ "name": v, "served": true })).collect();
    // Established a moment after creation.
    let status = if crd.since + Duration::from_secs(1) <= now { "True" } else { "False" };
    let annotations = match &crd.bundle {
        Some(bundle) => json!({ "gateway.networking.k8s.io/bundle-version": bundle }),
        None => json!({}),
    };
    json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": name, "annotations": annotations },
        "spec": { "group": group, "names": { "kind": crd.kind, "plural": plural },
            "scope": if crd.namespaced { "Namespaced" } else { "Cluster" }, "versions": versions },
        "status": { "conditions": [condition("Established", status, "InitialNamesAccepted", "")] } })
}

/// The range as the API server understands it: masked, whatever was written (measured).
fn services(cluster: &Cluster) -> Value {
    json!({ "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": { "name": "kubernetes" },
        "spec": { "cidrs": [cluster.services.trunc().to_string()] },
        "status": { "conditions": [condition("Ready", "True", "", "Kubernetes Service CIDR is ready")] } })
}

fn workload_key(object: &Value) -> String {
    let kind = text(object, "/kind").to_lowercase();
    format!("{}/{kind}/{}", text(object, "/metadata/namespace"), text(object, "/metadata/name"))
}

fn merged(mut object: Value, made: &Value) -> Value {
    object["status"] = made["status"].clone();
    object["metadata"]["generation"] = json!(1);
    object
}

/// An applied workload is one object for as long as it is there; its generation counts what it was told.
fn identified(stage: &Stage, cluster: &Cluster, mut object: Value) -> Value {
    let key = workload_key(&object);
    object["metadata"]["uid"] = json!(&pki::sha256(format!("{} {key}", cluster.ca).as_bytes())[..32]);
    if key == mesh_model::SAMPLE && stage.broke(cluster, Breach::Touched) {
        object["metadata"]["generation"] = json!(2);
    }
    object
}

fn workload(stage: &Stage, cluster: &Cluster, workload: &Workload, now: Duration) -> Value {
    let (wanted, ready) = stage.pods(cluster, workload, now);
    let status = if workload.kind == "DaemonSet" {
        // A DaemonSet has no condition, only events (measured).
        json!({ "desiredNumberScheduled": wanted, "numberReady": ready, "numberAvailable": ready,
            "updatedNumberScheduled": wanted, "observedGeneration": 1 })
    } else {
        let available = if ready == wanted { "True" } else { "False" };
        let mut conditions = vec![condition("Available", available, "", "")];
        if let Held::Refused(why) = &workload.held
            && workload.kind == "Deployment"
        {
            conditions.push(condition("ReplicaFailure", "True", "FailedCreate", why));
        }
        json!({ "replicas": wanted, "readyReplicas": ready, "availableReplicas": ready, "updatedReplicas": wanted,
            "observedGeneration": 1, "conditions": conditions })
    };
    let mut metadata = json!({ "name": workload.name, "namespace": workload.namespace, "generation": 1 });
    if !workload.release.is_empty() {
        // Helm marks what it makes.
        metadata["labels"] = json!({ "app.kubernetes.io/managed-by": "Helm" });
        metadata["annotations"] = json!({ "meta.helm.sh/release-name": workload.release,
            "meta.helm.sh/release-namespace": workload.namespace });
    }
    json!({ "apiVersion": "apps/v1", "kind": workload.kind, "metadata": metadata,
        "spec": { "replicas": wanted, "template": workload.wants.template }, "status": status })
}

/// What `kubectl get events` shows of pods that are kept from running.
fn event(workload: &Workload) -> Option<Value> {
    let (reason, message) = match &workload.held {
        Held::No => return None,
        Held::Refused(why) => ("FailedCreate", why),
        Held::Unschedulable(why) => ("FailedScheduling", why),
        Held::Unmounted(why) => ("FailedMount", why),
    };
    let object = json!({ "kind": workload.kind, "name": workload.name, "namespace": workload.namespace });
    Some(json!({ "apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": reason, "message": message,
        "involvedObject": object, "metadata": { "name": workload.name, "namespace": workload.namespace } }))
}

/// The pods of a workload. Names of a Deployment's and a DaemonSet's pods are counted here, not random.
fn pods(stage: &Stage, cluster: &Cluster, workload: &Workload, now: Duration) -> Vec<Value> {
    if !workload.made {
        return vec![];
    }
    let (wanted, ready) = stage.pods(cluster, workload, now);
    let middle = if workload.kind == "Deployment" { "-0a1b2c3d4e" } else { "" };
    let pod = |n: usize| {
        let status = if n < ready { "True" } else { "False" };
        let phase = if n < ready { "Running" } else { "Pending" };
        let placed = if workload.placed.len() > n { "True" } else { "False" };
        let scheduled = condition("PodScheduled", placed, "", "");
        let mut labels = workload.wants.template["metadata"]["labels"].clone();
        if labels.is_null() {
            labels = json!({ "app.kubernetes.io/name": workload.name });
            if workload.name == "cilium" {
                labels["k8s-app"] = json!("cilium");
            }
        }
        let name = format!("{}{middle}-{}", workload.name, workload.number(n));
        json!({ "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": name, "namespace": workload.namespace, "labels": labels },
            "spec": { "nodeName": workload.placed.get(n) },
            "status": { "phase": phase, "podIP": stage.pod_ip(cluster, workload, n),
                "conditions": [condition("Ready", status, "", ""), scheduled] } })
    };
    let there = (0..wanted).filter(|n| !inside::is_missing(stage, cluster, workload, workload.placed.get(*n)));
    there.map(pod).map(|pod| inside::dressed(stage, cluster, workload, pod)).collect()
}

/// Whether labels fit a selector: `a=b,c!=d,e,!f`.
pub fn selected(object: &Value, selector: &str) -> bool {
    let labels = &object["metadata"]["labels"];
    let value = |name: &str| labels.get(name.trim()).and_then(Value::as_str);
    selector.split(',').filter(|s| !s.is_empty()).all(|term| {
        if let Some((name, wanted)) = term.split_once("!=") {
            value(name) != Some(wanted.trim())
        } else if let Some((name, wanted)) = term.split_once("==").or_else(|| term.split_once('=')) {
            value(name) == Some(wanted.trim())
        } else if let Some(name) = term.strip_prefix('!') {
            value(name).is_none()
        } else {
            value(term).is_some()
        }
    })
}

/// Whether an object has the fields of a field selector: `spec.nodeName=a,metadata.name=b`.
pub fn has_fields(object: &Value, selector: &str) -> bool {
    selector.split(',').filter(|s| !s.is_empty()).all(|term| {
        let (path, wanted) = term.split_once('=').unwrap_or((term, ""));
        text(object, &format!("/{}", path.replace('.', "/"))) == wanted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_read_as_the_api_server_reads_them() {
        let object = json!({ "metadata": { "labels": { "owner": "helm", "status": "deployed" } } });
        for (selector, fits) in [
            ("owner=helm,status!=superseded", true),
            ("owner=helm,status!=deployed", false),
            ("owner", true),
            ("!owner", false),
            ("name!=x", true),
            ("owner==helm", true),
        ] {
            assert_eq!(selected(&object, selector), fits, "{selector}");
        }
    }
}
