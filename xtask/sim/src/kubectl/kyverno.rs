//! What Kyverno's controllers write: status of policies, and its webhooks. All of it is derived from releases.

use crate::admission;
use crate::prelude::*;

pub fn status(object: &Value) -> Option<Value> {
    // The fields of the CRD of kyverno 3.9.
    let ready = || json!({ "conditionStatus": { "ready": true, "message": "", "conditions": [] } });
    (text(object, "/kind") == "ValidatingPolicy").then(ready)
}

/// One webhook for policies that fail closed, one for the others. Names, path and selector as its controller writes
/// them; `sideEffects` from its sources, not measured.
pub fn webhooks(cluster: &Cluster) -> Value {
    let Some(release) = cluster.release("kyverno") else { return json!([]) };
    let selector = release.values.pointer("/config/webhooks/namespaceSelector").cloned().unwrap_or_default();
    let mut hooks = Vec::new();
    for (policy, name) in [("Fail", "fail"), ("Ignore", "ignore")] {
        let called = |p: &Value| p["spec"]["evaluation"]["admission"]["enabled"] != json!(false);
        let all = cluster.objects_of("validatingpolicy").filter(|(_, p)| called(p));
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

pub fn is_kyvernos(object: &Value) -> bool {
    let name = admission::WEBHOOK.rsplit('/').next().unwrap_or_default();
    text(object, "/kind") == "ValidatingWebhookConfiguration" && text(object, "/metadata/name") == name
}
