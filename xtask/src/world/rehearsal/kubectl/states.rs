//! What controllers write beside what was applied: states of secrets and policies, Secrets copied from Vault, the
//! webhooks that Kyverno makes of its policies.
//! Knows nothing of how anyone asks. All of it follows from releases and machines, so that equal ends stay equal.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::admission;
use super::super::clockwork;
use super::super::cluster::Cluster;
use super::super::mesh as links;
use super::super::stage::Stage;
use super::super::yaml::text;
use super::mesh::platform;

/// External Secrets asks once an hour; the embedded world asks at whole hours of its story (assumption).
const HOUR: u64 = 3600;

/// The state of an object, where a controller keeps one.
pub fn status(stage: &Stage, cluster: &Cluster, object: &Value, now: Duration) -> Option<Value> {
    match text(object, "/kind") {
        "ExternalSecret" => Some(external_secret(stage, cluster, object, now)),
        // The fields of the CRD of kyverno 3.9 (status.conditionStatus).
        "ValidatingPolicy" => Some(json!({ "conditionStatus": { "ready": true, "message": "", "conditions": [] } })),
        _ => None,
    }
}

/// Conditions and words of External Secrets 2.9 (`SecretSynced`, `SecretSyncedError`).
fn external_secret(stage: &Stage, cluster: &Cluster, object: &Value, now: Duration) -> Value {
    let condition = |status: &str, reason: &str, message: &str| {
        let ready = json!({ "type": "Ready", "status": status, "reason": reason, "message": message });
        json!([ready])
    };
    let name = target(object);
    if platform(stage, cluster, "vault", now).is_some() {
        let read =
            Duration::from_secs(now.as_secs() - (clockwork::EPOCH + now.as_secs()) % HOUR.min(now.as_secs().max(1)));
        return json!({ "conditions": condition("True", "SecretSynced", "secret synced"),
            "refreshTime": clockwork::utc(read), "binding": { "name": name } });
    }
    let why = "could not get secret data from provider";
    let mut state = json!({ "conditions": condition("False", "SecretSyncedError", why) });
    if ever_linked(stage, cluster) {
        // Read once, when the clusters were linked: since then nobody answered.
        state["refreshTime"] = json!(clockwork::utc(Duration::ZERO));
        state["binding"] = json!({ "name": name });
    }
    state
}

fn target(object: &Value) -> &str {
    match text(object, "/spec/target/name") {
        "" => text(object, "/metadata/name"),
        name => name,
    }
}

/// Whether a cluster was told of one with a Vault: then its secrets were copied, and they stay.
fn ever_linked(stage: &Stage, cluster: &Cluster) -> bool {
    let peers = links::told(cluster).into_iter().flatten().map(|(name, _)| name);
    let there = peers.filter_map(|peer| stage.cluster(&stage.control_plane(peer)?));
    there.into_iter().any(|other| other.release("vault").is_some())
}

/// Objects of a kind that controllers made.
pub fn objects(stage: &Stage, cluster: &Cluster, kind: &str) -> Vec<Value> {
    if kind != "Secret" || !ever_linked(stage, cluster) {
        return vec![];
    }
    let asked = cluster.objects.iter().filter(|(key, _)| key.starts_with("externalsecret/")).map(|(_, v)| v);
    let secret = |asked: &Value| {
        let mut metadata = json!({ "name": target(asked), "namespace": text(asked, "/metadata/namespace"),
            "creationTimestamp": clockwork::utc(Duration::ZERO),
            "labels": { "reconcile.external-secrets.io/managed": "true" } });
        if text(asked, "/spec/target/creationPolicy") == "Owner" {
            metadata["ownerReferences"] =
                json!([{ "kind": "ExternalSecret", "name": text(asked, "/metadata/name"), "controller": true }]);
        }
        json!({ "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata })
    };
    asked.map(secret).collect()
}

/// The webhooks of Kyverno's configuration: one for all policies that fail closed, one for the others. Names, path and
/// selector as its controller writes them; `sideEffects` from its sources, not measured.
pub fn webhooks(cluster: &Cluster) -> Value {
    let Some(release) = cluster.release("kyverno") else { return json!([]) };
    let selector = release.values.pointer("/config/webhooks/namespaceSelector").cloned().unwrap_or_default();
    let mut hooks = Vec::new();
    for (policy, name) in [("Fail", "fail"), ("Ignore", "ignore")] {
        let all = cluster.objects.iter().filter(|(key, _)| key.starts_with("validatingpolicy/"));
        let of = all.filter(|(_, p)| p["spec"]["failurePolicy"].as_str().unwrap_or("Fail") == policy);
        let rules: Vec<Value> = of.flat_map(|(_, p)| rules(p)).collect();
        if rules.is_empty() {
            continue;
        }
        hooks.push(json!({ "name": format!("vpol.validate.kyverno.svc-{name}"), "failurePolicy": policy,
            "sideEffects": "NoneOnDryRun", "matchPolicy": "Equivalent", "timeoutSeconds": 10,
            "namespaceSelector": selector, "rules": rules,
            "clientConfig": { "service": { "name": "kyverno-svc", "namespace": release.namespace,
                "path": format!("/vpol/validate/{name}"), "port": 443 } } }));
    }
    json!(hooks)
}

fn rules(policy: &Value) -> Vec<Value> {
    policy["spec"]["matchConstraints"]["resourceRules"].as_array().cloned().unwrap_or_default()
}

/// Whether an object is Kyverno's configuration of its webhooks.
pub fn is_kyvernos(object: &Value) -> bool {
    let name = admission::WEBHOOK.rsplit('/').next().unwrap_or_default();
    text(object, "/kind") == "ValidatingWebhookConfiguration" && text(object, "/metadata/name") == name
}
