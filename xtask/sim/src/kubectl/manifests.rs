//! The shape of objects: nodes, releases' Secrets, workloads, CRDs, and applied objects with their status.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::kinds::{CONTROLLERS, Kind};
use super::{kyverno, mesh, objects, pod_endpoints};
use crate::catalog;
use crate::cluster::{Crd, Ready, Revision};
use crate::conditions::Breach;
use crate::external_secrets;
use crate::mesh as mesh_model;
use crate::prelude::*;
use crate::volumes;
use crate::workload::PendingReason;

pub fn with_status<'a>(
    sim: &SimState,
    cluster: &Cluster,
    kind: &Kind,
    object: &'a Value,
    now: Duration,
) -> Cow<'a, Value> {
    let mut object = Cow::Borrowed(object);
    let runs = CONTROLLERS.contains(&&*kind.kind);
    if let Some(w) = runs.then(|| cluster.workloads.get(&workload_key(&object))).flatten() {
        let running = set_status(object.into_owned(), workload_status(sim, cluster, w, now));
        object = Cow::Owned(set_identity(sim, cluster, running));
    }
    let copied = (kind.kind == "ExternalSecret").then(|| external_secrets::status(cluster, &object)).flatten();
    let copied = copied.or_else(|| gateway_status(sim, cluster, &object, now));
    let status = copied.or_else(|| mesh::status(sim, cluster, &kind.kind, now)).or_else(|| kyverno::status(&object));
    if let Some(status) = status {
        return Cow::Owned(set_status(object.into_owned(), status));
    }
    if kyverno::is_kyvernos(&object) {
        object.to_mut()["webhooks"] = kyverno::webhooks(cluster);
    }
    object
}

/// As Cilium's operator writes it: a Gateway has the addresses of nodes that are not excluded from load balancers, as kubeadm
/// excludes control planes; a route is accepted where a listener allows its namespace.
fn gateway_status(sim: &SimState, cluster: &Cluster, object: &Value, now: Duration) -> Option<Value> {
    match object["kind"].as_str()? {
        "Gateway" => {
            let workers = cluster.nodes.keys().map(|name| node(sim, cluster, name, now));
            let workers =
                workers.filter(|n| n["metadata"]["labels"]["node-role.kubernetes.io/control-plane"].is_null());
            let address = |n: Value| n["status"]["addresses"][0]["address"].as_str().map(str::to_owned);
            let addresses = workers.filter_map(address).map(|ip| json!({ "type": "IPAddress", "value": ip }));
            Some(json!({ "addresses": addresses.collect::<Vec<_>>() }))
        }
        "HTTPRoute" => {
            let own = object["metadata"]["namespace"].as_str()?;
            let parent = &object["spec"]["parentRefs"][0];
            let (namespace, name) = (parent["namespace"].as_str().unwrap_or(own), parent["name"].as_str()?);
            let gateway = cluster.object(&objects::key("Gateway", namespace, name));
            let allows = |listener: &Value| {
                let from = &listener["allowedRoutes"]["namespaces"];
                let values = &from["selector"]["matchExpressions"][0]["values"];
                from["from"] == "All"
                    || own == namespace && from["from"] != "Selector"
                    || values.as_array().is_some_and(|values| values.iter().any(|value| value == own))
            };
            let listeners = gateway.and_then(|gateway| gateway["spec"]["listeners"].as_array());
            let accepted = listeners.is_some_and(|listeners| listeners.iter().any(allows));
            let status = if accepted { "True" } else { "False" };
            let conditions = [json!({ "type": "Accepted", "status": status })];
            Some(json!({ "parents": [{ "parentRef": parent, "conditions": conditions }] }))
        }
        _ => None,
    }
}

/// As our storage class creates it (upstream: `createPersistentVolumeSource`).
pub fn volume(claim: &Value) -> Option<Value> {
    let node = volumes::selected_node(claim)?;
    let (namespace, name) = (text(claim, "/metadata/namespace"), text(claim, "/metadata/name"));
    let annotations = json!({ "local.path.provisioner/selected-node": node });
    Some(json!({ "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": { "name": volumes::volume_name(namespace, name), "annotations": annotations },
        "spec": { "local": { "path": volumes::volume_path(namespace, name) } }, "status": { "phase": "Bound" } }))
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({ "type": kind, "status": status, "reason": reason, "message": message })
}

pub fn node(sim: &SimState, cluster: &Cluster, name: &str, now: Duration) -> Value {
    let member = &cluster.nodes[name];
    let ready = match sim.node_ready(cluster, name, now) {
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
    if member.control_plane && !cluster.objects.contains_key(&objects::deleted("Label", "", name)) {
        labels["node-role.kubernetes.io/control-plane"] = json!("");
    }
    let mut spec = json!({});
    // Assigned within three seconds, or never (measured).
    if let Some(net) = member.pod_cidr.filter(|_| member.joined + crate::timings::POD_CIDR <= now) {
        spec = json!({ "podCIDR": net.to_string(), "podCIDRs": [net.to_string()] });
    }
    if cluster.cordoned.contains(name) {
        spec["unschedulable"] = json!(true);
        // When it was cordoned is not kept here.
        let since = crate::external_secrets::utc(timings::EPOCH);
        spec["taints"] =
            json!([{ "key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": since }]);
    }
    let annotations = cluster.annotations.get(name).cloned().unwrap_or_default();
    let guest = sim.vms.get(&member.vm).map(|vm| &vm.guest);
    let version = guest.map(|guest| guest.kubelet()).unwrap_or_default();
    let containerd = guest.and_then(|guest| guest.containerd.as_deref()).unwrap_or("2.2.1");
    let mut made = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": name, "annotations": annotations },
        "status": {
            "addresses": [
                { "type": "InternalIP", "address": member.ip.to_string() },
                { "type": "Hostname", "address": name },
            ],
            "nodeInfo": { "kubeletVersion": format!("v{version}"), "containerRuntimeVersion": format!("containerd://{containerd}"),
                "osImage": "Ubuntu 24.04.3 LTS", "architecture": "arm64", "kubeProxyVersion": "" },
        },
    });
    (made["metadata"]["labels"], made["spec"]) = (labels, spec);
    made["status"]["conditions"] = vec![ready].into();
    made
}

pub fn namespace(name: &str, labels: &BTreeMap<String, String>) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels },
        "status": { "phase": "Active" } })
}

/// Chart and values are not in its labels, only what `--labels` sets (measured).
pub fn release_secret(revision: &Revision) -> &Value {
    revision.status.secret(|| {
        let mut labels = json!(revision.labels);
        let fixed = [("owner", "helm"), ("name", &revision.name), ("status", &revision.status)];
        fixed.into_iter().for_each(|(label, value)| labels[label] = json!(value));
        labels["version"] = json!(revision.number.to_string());
        json!({ "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
            "metadata": { "name": secret_name(revision), "namespace": revision.namespace, "labels": labels } })
    })
}

fn secret_name(revision: &Revision) -> String {
    format!("sh.helm.release.v1.{}.v{}", revision.name, revision.number)
}

pub fn is_secret_of(revision: &Revision, name: &str) -> bool {
    let rest = name.strip_prefix("sh.helm.release.v1.").and_then(|rest| rest.strip_prefix(revision.name.as_str()));
    rest.and_then(|rest| rest.strip_prefix(".v")).is_some_and(|number| number == revision.number.to_string())
}

pub fn crd(name: &str, crd: &Crd, now: Duration) -> Value {
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

/// The range as the API server reads it: masked (measured).
pub fn service_cidr(cluster: &Cluster) -> Value {
    json!({ "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": { "name": "kubernetes" },
        "spec": { "cidrs": [cluster.services.trunc().to_string()] },
        "status": { "conditions": [condition("Ready", "True", "", "Kubernetes Service CIDR is ready")] } })
}

fn workload_key(object: &Value) -> String {
    let kind = text(object, "/kind").to_lowercase();
    format!("{}/{kind}/{}", text(object, "/metadata/namespace"), text(object, "/metadata/name"))
}

fn set_status(mut object: Value, status: Value) -> Value {
    object["status"] = status;
    object["metadata"]["generation"] = json!(1);
    object
}

/// An applied workload keeps its uid; its generation counts changes.
fn set_identity(sim: &SimState, cluster: &Cluster, mut object: Value) -> Value {
    let key = workload_key(&object);
    object["metadata"]["uid"] = json!(&pki::sha256(format!("{} {key}", cluster.ca).as_bytes())[..32]);
    if key == mesh_model::SAMPLE && sim.breach_happened(cluster, Breach::SampleChanged) {
        object["metadata"]["generation"] = json!(2);
    }
    object
}

fn workload_status(sim: &SimState, cluster: &Cluster, workload: &Workload, now: Duration) -> Value {
    let (wanted, ready) = sim.pods(cluster, workload, now);
    if workload.kind == "DaemonSet" {
        // A DaemonSet has no conditions, only events (measured).
        return json!({ "desiredNumberScheduled": wanted, "numberReady": ready, "numberAvailable": ready,
            "updatedNumberScheduled": wanted, "observedGeneration": 1 });
    }
    let available = if ready == wanted { "True" } else { "False" };
    let mut conditions = vec![condition("Available", available, "", "")];
    if let PendingReason::Refused(why) = &workload.pending
        && workload.kind == "Deployment"
    {
        conditions.push(condition("ReplicaFailure", "True", "FailedCreate", why));
    }
    let mut status = json!({ "replicas": wanted, "readyReplicas": ready, "availableReplicas": ready,
        "updatedReplicas": wanted, "observedGeneration": 1 });
    status["conditions"] = conditions.into();
    status
}

pub fn workload(sim: &SimState, cluster: &Cluster, workload: &Workload, now: Duration) -> Value {
    let mut metadata = json!({ "name": workload.name, "namespace": workload.namespace, "generation": 1 });
    if !workload.release.is_empty() {
        metadata["labels"] = json!({ "app.kubernetes.io/managed-by": "Helm" });
        metadata["annotations"] = json!({ "meta.helm.sh/release-name": workload.release,
            "meta.helm.sh/release-namespace": workload.namespace });
    }
    let (wanted, _) = sim.pods(cluster, workload, now);
    let mut made = json!({ "apiVersion": "apps/v1", "kind": workload.kind,
        "spec": { "replicas": wanted, "template": workload.needs.template } });
    (made["metadata"], made["status"]) = (metadata, workload_status(sim, cluster, workload, now));
    made
}

/// The events of pods that cannot start.
pub fn event(workload: &Workload) -> Option<Value> {
    let (reason, message) = match &workload.pending {
        PendingReason::None => return None,
        PendingReason::Refused(why) => ("FailedCreate", why),
        PendingReason::Unschedulable(why) => ("FailedScheduling", why),
        PendingReason::Unmounted(why) => ("FailedMount", why),
    };
    let object = json!({ "kind": workload.kind, "name": workload.name, "namespace": workload.namespace });
    // As the table of events names it: the first pod that is not placed, or what could create none.
    let named = match &workload.pending {
        PendingReason::Refused(_) => format!("{}/{}", workload.kind.to_lowercase(), workload.name),
        _ => format!(
            "pod/{}",
            pod_name(workload, workload.placed.len().saturating_sub(usize::from(reason == "FailedMount")))
        ),
    };
    let metadata = json!({ "name": workload.name, "namespace": workload.namespace });
    Some(json!({ "apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": reason, "message": message,
        "involvedObject": object, "object": named, "metadata": metadata }))
}

fn pod_name(workload: &Workload, n: usize) -> String {
    let middle = if workload.kind == "Deployment" { "-0a1b2c3d4e" } else { "" };
    format!("{}{middle}-{}", workload.name, workload.ordinal(n))
}

/// Names of a Deployment's and a DaemonSet's pods are numbered, not random.
pub fn pods(sim: &SimState, cluster: &Cluster, workload: &Workload, now: Duration) -> Vec<Value> {
    if !workload.admitted {
        return vec![];
    }
    let (wanted, ready) = sim.pods(cluster, workload, now);
    let pod = |n: usize| {
        let status = if n < ready { "True" } else { "False" };
        let phase = if n < ready { "Running" } else { "Pending" };
        let placed = if workload.placed.len() > n { "True" } else { "False" };
        let scheduled = condition("PodScheduled", placed, "", "");
        let mut labels = workload.needs.template["metadata"]["labels"].clone();
        if labels.is_null() {
            // Of a chart with one workload it is the chart's name, whatever the release's (upstream: their `_helpers.tpl`).
            let chart = cluster.release(&workload.release).and_then(|release| catalog::find(&release.chart));
            let name = chart.filter(|chart| chart.files.is_some()).map_or(&workload.name, |chart| &chart.name);
            labels = json!({ "app.kubernetes.io/name": name });
            if workload.name == "cilium" {
                labels["k8s-app"] = json!("cilium");
            }
        }
        let name = pod_name(workload, n);
        json!({ "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": name, "namespace": workload.namespace, "labels": labels },
            "spec": { "nodeName": workload.placed.get(n) },
            "status": { "phase": phase, "podIP": sim.pod_ip(cluster, workload, n),
                "conditions": [condition("Ready", status, "", ""), scheduled] } })
    };
    let there = (0..wanted).filter(|n| !pod_endpoints::agent_missing(sim, cluster, workload, workload.placed.get(*n)));
    there.map(pod).map(|pod| pod_endpoints::with_container_details(sim, cluster, workload, pod)).collect()
}
