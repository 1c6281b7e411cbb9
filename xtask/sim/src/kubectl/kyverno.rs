//! What controllers write beside what was applied: states of policies, the webhooks that Kyverno makes of its policies.
//! Knows nothing of how anyone asks. All of it follows from releases, so that equal ends stay equal.

use serde_json::{Value, json};

use crate::admission;
use crate::cluster::Cluster;
use crate::yaml::text;

/// The state of an object, where a controller keeps one.
pub fn status(object: &Value) -> Option<Value> {
    // The fields of the CRD of kyverno 3.9.
    let ready = || json!({ "conditionStatus": { "ready": true, "message": "", "conditions": [] } });
    (text(object, "/kind") == "ValidatingPolicy").then(ready)
}

/// The webhooks of Kyverno's configuration: one for all policies that fail closed, one for the others. Names, path and
/// selector as its controller writes them; `sideEffects` from its sources, not measured.
pub fn webhooks(cluster: &Cluster) -> Value {
    let Some(release) = cluster.release("kyverno") else { return json!([]) };
    let selector = release.values.pointer("/config/webhooks/namespaceSelector").cloned().unwrap_or_default();
    let mut hooks = Vec::new();
    for (policy, name) in [("Fail", "fail"), ("Ignore", "ignore")] {
        let all = cluster.objects_of("validatingpolicy");
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
