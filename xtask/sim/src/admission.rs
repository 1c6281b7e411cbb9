//! Admission: PodSecurity by the namespace's label, Kyverno by its policies.

use std::collections::BTreeMap;

use crate::cluster::Revision;
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
    let release = cluster.release("kyverno").filter(|_| cluster.objects.contains_key(WEBHOOK))?;
    let config = &release.values["config"];
    if is_excluded(cluster, release, namespace, pod) {
        return None;
    }
    let asked = |kind: &'static str| cluster.objects_of(kind).map(|(_, policy)| policy);
    let policies: Vec<&Value> = asked("validatingpolicy")
        .filter(|p| p["spec"]["validationActions"].as_array().is_some_and(|a| a.contains(&json!("Deny"))))
        .filter(|p| is_asked(cluster, p, namespace, pod))
        .collect();
    let older: Vec<&Value> = asked("clusterpolicy").filter(|p| enforces(p, namespace)).collect();
    if policies.is_empty() && older.is_empty() {
        return None;
    }
    let hook = "vpol.validate.kyverno.svc-fail";
    if !up {
        let forced = feature(release, "forceFailurePolicyIgnore", "enabled") == json!(true);
        let closed = |p: &&Value| {
            let spec = &p["spec"];
            let own = spec["webhookConfiguration"]["failurePolicy"].as_str().or(spec["failurePolicy"].as_str());
            !forced && own != Some("Ignore")
        };
        let why = "no endpoints available for service \"kyverno-svc\"";
        // Text of the API server (upstream: webhook errors).
        return policies.iter().chain(&older).any(closed).then(|| {
            format!(
                "Internal error occurred: failed calling webhook \"{hook}\": failed to call webhook: Post \
                 \"https://kyverno-svc.kyverno.svc:443/vpol/validate/fail?timeout=10s\": {why}"
            )
        });
    }
    if is_filtered(config, namespace) {
        return None;
    }
    let failed = policies.into_iter().filter(|p| !is_excepted(cluster, release, p)).find_map(|policy| {
        let message = first_violation(policy, &pod["spec"])?;
        Some(format!("Policy {} failed: {message}", text(policy, "/metadata/name")))
    });
    let unknown = |p: &&Value| format!("Policy {} failed: the simulator knows no patterns", text(p, "/metadata/name"));
    let failed = failed.or_else(|| older.first().map(unknown));
    // Text from Kyverno's own pages for a ValidatingPolicy; not measured.
    failed.map(|why| format!("admission webhook \"{hook}\" denied the request: {why}"))
}

/// A feature of the admission controller; overrides win (templates of chart 3.9).
fn feature(release: &Revision, name: &str, key: &str) -> Value {
    let controller = &release.values["admissionController"]["featuresOverride"][name][key];
    if controller.is_null() { release.values["features"][name][key].clone() } else { controller.clone() }
}

pub fn is_selected(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    let pairs = selector["matchLabels"].as_object().into_iter().flatten();
    let mut terms = selector["matchExpressions"].as_array().into_iter().flatten();
    pairs.into_iter().all(|(key, want)| labels.get(key).is_some_and(|v| want == v.as_str()))
        && terms.all(|term| {
            let label = labels.get(text(term, "/key"));
            let listed = label.is_some_and(|l| term["values"].as_array().is_some_and(|v| v.contains(&json!(l))));
            match text(term, "/operator") {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => label.is_some(),
                _ => label.is_none(),
            }
        })
}

pub fn namespace_labels(cluster: &Cluster, namespace: &str) -> BTreeMap<String, String> {
    let mut labels = cluster.namespaces.get(namespace).cloned().unwrap_or_default();
    labels.insert("kubernetes.io/metadata.name".into(), namespace.to_owned());
    labels
}

fn pod_labels(pod: &Value) -> BTreeMap<String, String> {
    let labels = pod["metadata"]["labels"].as_object().into_iter().flatten();
    labels.map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())).collect()
}

/// The webhook's own selectors: the API server does not ask.
fn is_excluded(cluster: &Cluster, release: &Revision, namespace: &str, pod: &Value) -> bool {
    let config = &release.values["config"];
    let own = config["excludeKyvernoNamespace"] != json!(false) && namespace == release.namespace;
    own || !is_selected(&config["webhooks"]["namespaceSelector"], &namespace_labels(cluster, namespace))
        || !is_selected(&config["webhooks"]["objectSelector"], &pod_labels(pod))
        || !holds(&config["matchConditions"])
}

/// Conditions of CEL: of them `false` alone is known; any other lets the request through to the policy.
fn holds(conditions: &Value) -> bool {
    !conditions.as_array().into_iter().flatten().any(|c| text(c, "/expression").trim() == "false")
}

/// Requests that Kyverno admits unseen, by its ConfigMap (pkg/webhooks/handlers/filter.go).
fn is_filtered(config: &Value, namespace: &str) -> bool {
    let list = |key: &str| config[key].as_array().cloned().unwrap_or_default();
    let everybody = list("excludeGroups").iter().any(|g| g == "*" || g == "system:authenticated");
    let filters = ["resourceFilters", "resourceFiltersInclude"].into_iter().flat_map(list);
    let named = filters.filter_map(|f| {
        let mut parts = f.as_str()?.trim_matches(['[', ']']).split(',').map(str::to_owned);
        Some((parts.next()?, parts.next()?))
    });
    let mut named = named.filter(|(kind, _)| ["Pod", "v1/Pod", "*", "*/*"].contains(&kind.as_str()));
    let spaces = list("resourceFiltersIncludeNamespaces");
    everybody || spaces.contains(&json!(namespace)) || named.any(|(_, of)| of == "*" || of == namespace)
}

/// Whether a policy's webhook is called for a new pod (pkg/controllers/webhook/validating.go).
fn is_asked(cluster: &Cluster, policy: &Value, namespace: &str, pod: &Value) -> bool {
    let (spec, at) = (&policy["spec"], &policy["spec"]["matchConstraints"]);
    let has = |rule: &Value, key: &str, words: &[&str]| {
        rule[key].as_array().is_some_and(|list| list.iter().any(|v| words.iter().any(|w| v == w)))
    };
    let on_pods = |rule: &Value| {
        has(rule, "resources", &["pods", "*", "*/*"])
            && has(rule, "apiGroups", &["", "*"])
            && has(rule, "operations", &["CREATE", "*"])
            && rule["scope"] != "Cluster"
            && rule["resourceNames"].as_array().is_none_or(Vec::is_empty)
    };
    let any = |key: &str| at[key].as_array().is_some_and(|rules| rules.iter().any(on_pods));
    let mode = spec["evaluation"]["mode"].as_str().unwrap_or("Kubernetes");
    spec["evaluation"]["admission"]["enabled"] != json!(false)
        && mode == "Kubernetes"
        && any("resourceRules")
        && !any("excludeResourceRules")
        && is_selected(&at["namespaceSelector"], &namespace_labels(cluster, namespace))
        && is_selected(&at["objectSelector"], &pod_labels(pod))
        && holds(&spec["matchConditions"])
}

/// An exception from a whole policy, accepted from its namespace (`--exceptionNamespace`).
fn is_excepted(cluster: &Cluster, release: &Revision, policy: &Value) -> bool {
    let of = |key: &str| feature(release, "policyExceptions", key);
    let (on, space) = (of("enabled") == json!(true), of("namespace"));
    on && cluster.objects_of("policyexception").any(|(_, e)| {
        let accepted = space == "*" || (space.is_string() && space == e["metadata"]["namespace"]);
        let whole = ["images", "allowedValues"].iter().all(|key| e["spec"][*key].as_array().is_none_or(Vec::is_empty));
        let mut refs = e["spec"]["policyRefs"].as_array().into_iter().flatten();
        accepted
            && whole
            && holds(&e["spec"]["matchConditions"])
            && refs.any(|r| r["name"] == policy["metadata"]["name"] && r["kind"] == policy["kind"])
    })
}

/// Whether an older policy refuses pods of a namespace; what it demands of them is not modelled.
fn enforces(policy: &Value, namespace: &str) -> bool {
    let spec = &policy["spec"];
    let here = |list: &Value| list.as_array().is_none_or(|l| l.iter().any(|n| n == "*" || n == namespace));
    let action = |of: &Value, key: &str| {
        let over = of[format!("{key}Overrides")].as_array().into_iter().flatten().find(|o| here(&o["namespaces"]));
        over.and_then(|o| o["action"].as_str()).or(of[key].as_str()).map(|a| a.eq_ignore_ascii_case("enforce"))
    };
    let on_pods = |rule: &Value| {
        let blocks = rule["match"]["any"].as_array().or(rule["match"]["all"].as_array()).cloned();
        blocks.unwrap_or_else(|| vec![rule["match"].clone()]).iter().any(|block| {
            let kinds = block["resources"]["kinds"].as_array();
            kinds.is_some_and(|k| k.iter().any(|k| k == "Pod" || k == "*")) && here(&block["resources"]["namespaces"])
        })
    };
    let mut rules = spec["rules"].as_array().into_iter().flatten();
    spec["admission"] != json!(false)
        && holds(&spec["webhookConfiguration"]["matchConditions"])
        && rules.any(|rule| {
            let own = action(&rule["validate"], "failureAction");
            let all = own.or_else(|| action(spec, "validationFailureAction")) == Some(true);
            rule["validate"].is_object() && all && on_pods(rule)
        })
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
