//! Admission by the API server, and storing admitted objects.

use std::rc::Rc;

use super::kinds::{self, CONTROLLERS, Kind};
use super::objects;
use crate::admission::{self, ENFORCE};
use crate::cluster::Crd;
use crate::pod_security::baseline_violations;
use crate::prelude::*;

impl SimState {
    /// Stores an object without admission.
    pub fn put(&mut self, cluster: &str, object: &Value) {
        let Some(cluster) = self.control_plane(cluster).and_then(|vm| self.cluster_mut(&vm)) else { return };
        let kind = kinds::for_manifest(cluster, text(object, "/apiVersion"), text(object, "/kind"));
        let Some(kind) = kind else { return };
        put(cluster, &kind, object, text(object, "/metadata/namespace"), Duration::ZERO);
    }
}

/// Gateway API's version, an annotation of each of its CRDs.
pub const BUNDLE: &str = "gateway.networking.k8s.io/bundle-version";

/// As stored: `stringData` of a Secret becomes base64.
pub fn normal(object: Rc<Value>) -> Rc<Value> {
    if text(&object, "/kind") != "Secret" || object.get("stringData").is_none() {
        return object;
    }
    let mut object = Rc::unwrap_or_clone(object);
    let texts = object.as_object_mut().and_then(|o| o.remove("stringData")).unwrap_or_default();
    for (key, value) in texts.as_object().into_iter().flatten() {
        object["data"][key] = json!(pki::base64(value.as_str().unwrap_or_default().as_bytes()));
    }
    Rc::new(object)
}

/// The error, or warnings; `up` is whether Kyverno's webhook answers.
pub fn admitted(cluster: &Cluster, kind: &Kind, object: &Value, namespace: &str, up: bool) -> Result<String, String> {
    let name = text(object, "/metadata/name");
    if kind.namespaced && !cluster.namespaces.contains_key(namespace) {
        return Err(format!("Error from server (NotFound): namespaces \"{namespace}\" not found"));
    }
    if kind.kind == "Namespace" {
        let level = object["metadata"]["labels"][ENFORCE].as_str().unwrap_or("privileged");
        if !["privileged", "baseline", "restricted"].contains(&level) {
            let rule = "must be one of privileged, baseline, restricted";
            let path = format!("metadata.labels[{ENFORCE}]");
            return Err(format!("The Namespace \"{name}\" is invalid: {path}: Invalid value: \"{level}\": {rule}"));
        }
    }
    older_bundle(cluster, kind, object)?;
    pods_admitted(cluster, kind, object, namespace, up)
}

/// A violating pod is refused; of a controller only its pods are, later, and the apply warns (both measured). Kyverno
/// refuses controllers too (`autogen` in the policies).
fn pods_admitted(cluster: &Cluster, kind: &Kind, object: &Value, namespace: &str, up: bool) -> Result<String, String> {
    let pod = match &*kind.kind {
        "Pod" => object,
        "Job" => &object["spec"]["template"],
        "CronJob" => &object["spec"]["jobTemplate"]["spec"]["template"],
        kind if CONTROLLERS.contains(&kind) => &object["spec"]["template"],
        _ => return Ok(String::new()),
    };
    let name = text(object, "/metadata/name");
    let offended = admission::pod_security(cluster, namespace, &baseline_violations(&pod["spec"]));
    if let Some(why) = offended.as_ref().filter(|_| kind.kind == "Pod") {
        let head = "Error from server (Forbidden): error when creating \"STDIN\"";
        return Err(format!("{head}: pods \"{name}\" is forbidden: {why}"));
    }
    if let Some(why) = admission::kyverno(cluster, namespace, pod, up) {
        let reason = if up { "" } else { " (InternalError)" };
        return Err(format!("Error from server{reason}: {why}"));
    }
    Ok(offended.map(|why| format!("Warning: would {}\n", why.replacen("violates", "violate", 1))).unwrap_or_default())
}

/// The policy that ships with Gateway API from v1.5 keeps older CRDs out (measured: v1.4.1 over v1.6.1).
fn older_bundle(cluster: &Cluster, kind: &Kind, object: &Value) -> Result<(), String> {
    if kind.kind != "CustomResourceDefinition" {
        return Ok(());
    }
    let policy = "safe-upgrades.gateway.networking.k8s.io";
    let guarded = cluster.objects.contains_key(&objects::key("ValidatingAdmissionPolicy", "", policy));
    let bundle = object["metadata"]["annotations"][BUNDLE].as_str().unwrap_or_default();
    let version = semver::Version::parse(bundle.trim_start_matches('v')).ok();
    if !guarded || version.is_none_or(|v| v >= semver::Version::new(1, 5, 0)) {
        return Ok(());
    }
    let name = text(object, "/metadata/name");
    Err(format!(
        "Error from server (Invalid): customresourcedefinitions.apiextensions.k8s.io \"{name}\" is forbidden: \
         ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request: Installing CRDs with version \
         before v1.5.0 is prohibited by default. Uninstall ValidatingAdmissionPolicy {policy} to install older \
         versions."
    ))
}

pub fn put(cluster: &mut Cluster, kind: &Kind, object: &Value, namespace: &str, now: Duration) {
    let name = text(object, "/metadata/name").to_owned();
    match &*kind.kind {
        "Namespace" => {
            let labels = cluster.namespaces.entry(name.clone()).or_default();
            labels.insert("kubernetes.io/metadata.name".into(), name);
            for (label, value) in object["metadata"]["labels"].as_object().into_iter().flatten() {
                labels.insert(label.clone(), value.as_str().unwrap_or_default().to_owned());
            }
        }
        "CustomResourceDefinition" => {
            let versions = object["spec"]["versions"].as_array().into_iter().flatten();
            let since = cluster.crds.get(&name).map_or(now, |crd| crd.since);
            let crd = Crd {
                kind: text(object, "/spec/names/kind").to_owned(),
                versions: versions
                    .filter(|v| v["served"] != json!(false))
                    .map(|v| text(v, "/name").to_owned())
                    .collect(),
                namespaced: text(object, "/spec/scope") == "Namespaced",
                bundle: object["metadata"]["annotations"][BUNDLE].as_str().map(Into::into),
                since,
            };
            cluster.crds.insert(name, crd);
        }
        _ => {
            let key = objects::key(&kind.kind, namespace, &name);
            let mut object = object.clone();
            if kind.namespaced {
                object["metadata"]["namespace"] = json!(namespace);
            }
            if CONTROLLERS.contains(&&*kind.kind) {
                let workload = Workload::from_manifest(&object, namespace, now);
                let old = cluster.workloads.remove(&workload.key());
                cluster.workloads.insert(workload.key(), workload.replacing(old));
            }
            // Fields of other owners stay: a token filled in by a controller, a status.
            let others = cluster.objects.get(&added(&kind.kind, namespace, &name)).cloned();
            let stored = cluster.objects.entry(key).or_insert_with(|| Rc::new(json!({})));
            let stored = Rc::make_mut(stored);
            overlay(stored, object);
            // A set keeps the entries of its other owners (seen with Kubernetes 1.35 and Kyverno's CRD).
            if let (Some(others), Some(set)) = (others, stored.pointer_mut(SET).and_then(Value::as_array_mut)) {
                let foreign = others.as_array().into_iter().flatten().filter(|entry| !set.contains(entry));
                let foreign: Vec<Value> = foreign.cloned().collect();
                set.splice(0..0, foreign);
            }
        }
    }
}

/// The set that several may own entries of.
pub const SET: &str = "/spec/validationActions";

/// Where the entries of other owners of an object's set are kept.
pub fn added(kind: &str, namespace: &str, name: &str) -> String {
    format!("added/{}", objects::key(kind, namespace, name))
}

/// Applied fields win, key by key; lists are replaced whole.
pub fn overlay(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                overlay(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}
