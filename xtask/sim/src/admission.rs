//! Admission: PodSecurity by the namespace's label, Kyverno by its policies.

use crate::prelude::*;

pub const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
/// Kyverno's configuration of its own webhook; its controller creates it when it first runs, not the chart (measured).
pub const WEBHOOK: &str = "validatingwebhookconfiguration//kyverno-resource-validating-webhook-cfg";
pub const KYVERNO: &str = "kyverno/deployment/kyverno-admission-controller";

/// The error for pods with these violations in a namespace.
pub fn pod_security(cluster: &Cluster, namespace: &str, violations: &str) -> Option<String> {
    let labels = cluster.namespaces.get(namespace);
    let level = labels.and_then(|l| l.get(ENFORCE)).map_or("privileged", String::as_str);
    // What violates `baseline` violates `restricted` too; violations of that alone are not modelled.
    (level != "privileged" && !violations.is_empty())
        .then(|| format!("violates PodSecurity \"{level}:latest\": {violations}"))
}

/// The error of Kyverno's webhook for a pod (or a pod template), whose server is `up` or not. None before it has
/// created its webhook.
pub fn kyverno(cluster: &Cluster, namespace: &str, pod: &Value, up: bool) -> Option<String> {
    if !cluster.objects.contains_key(WEBHOOK) || is_excluded(cluster, namespace) {
        return None;
    }
    let policies: Vec<&Value> = cluster
        .objects_of("validatingpolicy")
        .map(|(_, policy)| policy)
        .filter(|p| p["spec"]["validationActions"].as_array().is_some_and(|a| a.contains(&json!("Deny"))))
        .collect();
    if policies.is_empty() {
        return None;
    }
    let hook = "vpol.validate.kyverno.svc-fail";
    if !up {
        let closed = policies.iter().any(|p| p["spec"]["failurePolicy"] != json!("Ignore"));
        let why = "no endpoints available for service \"kyverno-svc\"";
        // Text of the API server (upstream: webhook errors).
        return closed.then(|| {
            format!(
                "Internal error occurred: failed calling webhook \"{hook}\": failed to call webhook: Post \
                 \"https://kyverno-svc.kyverno.svc:443/vpol/validate/fail?timeout=10s\": {why}"
            )
        });
    }
    let failed = policies.into_iter().find_map(|policy| {
        let message = first_violation(policy, &pod["spec"])?;
        Some(format!("Policy {} failed: {message}", text(policy, "/metadata/name")))
    });
    // Text from Kyverno's own pages for a ValidatingPolicy; not measured.
    failed.map(|why| format!("admission webhook \"{hook}\" denied the request: {why}"))
}

fn is_excluded(cluster: &Cluster, namespace: &str) -> bool {
    let Some(release) = cluster.release("kyverno") else { return true };
    let own = release.values["config"]["excludeKyvernoNamespace"] != json!(false) && namespace == release.namespace;
    let terms = release.values.pointer("/config/webhooks/namespaceSelector/matchExpressions");
    let listed = |term: &Value| term["values"].as_array().is_some_and(|v| v.contains(&json!(namespace)));
    let by_name = |term: &&Value| text(term, "/key") == "kubernetes.io/metadata.name";
    let out = |term: &Value| match text(term, "/operator") {
        "NotIn" => listed(term),
        "In" => !listed(term),
        _ => false,
    };
    own || terms.and_then(Value::as_array).is_some_and(|terms| terms.iter().filter(by_name).any(out))
}

/// The message of the first validation that a pod fails. Of CEL the four shapes of our policies are known; another
/// expression fails rather than passes.
fn first_violation(policy: &Value, spec: &Value) -> Option<String> {
    let list = |key: &str| spec[key].as_array().cloned().unwrap_or_default();
    let containers: Vec<Value> = list("containers").into_iter().chain(list("initContainers")).collect();
    let every = |fits: &dyn Fn(&Value) -> bool| containers.iter().all(fits);
    for validation in policy["spec"]["validations"].as_array().into_iter().flatten() {
        let expression = text(validation, "/expression");
        let passed = if expression.contains("endsWith(':latest')") {
            every(&|c| has_fixed_tag(text(c, "/image")))
        } else if expression.contains("variables.registries.exists") {
            let registries = registries(policy);
            every(&|c| registries.iter().any(|r| text(c, "/image").starts_with(r.as_str())))
        } else if expression.contains("c.resources.requests") {
            every(&|c| ["cpu", "memory"].iter().all(|r| !c["resources"]["requests"][*r].is_null()))
        } else if expression.contains("c.resources.limits") {
            every(&|c| !c["resources"]["limits"]["memory"].is_null())
        } else {
            return Some(format!("the simulator cannot evaluate `{expression}`"));
        };
        if !passed {
            return Some(text(validation, "/message").to_owned());
        }
    }
    None
}

fn has_fixed_tag(image: &str) -> bool {
    let tag = image.rsplit('/').next().and_then(|name| name.split_once(':')).map(|(_, tag)| tag);
    image.contains("@sha256:") || tag.is_some_and(|tag| !tag.is_empty() && tag != "latest")
}

/// The texts in single quotes of the variable `registries`.
fn registries(policy: &Value) -> Vec<String> {
    let variables = policy["spec"]["variables"].as_array().into_iter().flatten();
    let found = variables.filter(|v| text(v, "/name") == "registries").map(|v| text(v, "/expression"));
    found.flat_map(|e| e.split('\'').skip(1).step_by(2).map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_needs_a_tag_that_stays() {
        for image in ["docker.io/a/b:1.2", "host:5000/a:1", "a@sha256:00"] {
            assert!(has_fixed_tag(image), "{image}");
        }
        for image in ["a", "a:latest", "host:5000/a", "a:"] {
            assert!(!has_fixed_tag(image), "{image}");
        }
    }
}
