//! What each policy does at admission, as Kyverno 1.19 decides it: whether its webhook is asked about every pod of the
//! covered namespaces, and whether it refuses then. Whatever leaves a pod out is a breach.
//!
//! Sources: `pkg/controllers/webhook`, `pkg/cel/policies/vpol`, `pkg/engine/api/engineresponse.go` and
//! `api/kyverno/v1/spec_types.go` of kyverno/kyverno.

use std::collections::BTreeMap;

use serde_json::Value;

use super::kyverno;
use crate::context::{ClauseContext, plain, shown};
use crate::rendered_state::{ClusterManifests, Document};
use plan::choose::is_glob_match;

/// Kinds of policies that refuse, by their CEL group; and the older ones.
const CEL: [&str; 4] =
    ["ValidatingPolicy", "NamespacedValidatingPolicy", "ImageValidatingPolicy", "NamespacedImageValidatingPolicy"];
const OLDER: [&str; 2] = ["ClusterPolicy", "Policy"];
/// Set by the API server, immutable.
pub(super) const NAME: &str = "kubernetes.io/metadata.name";
const EVERY_POD: &str = "every pod of a covered namespace is checked";

/// The namespaces whose pods policies must check, each with its labels: those of manifests, and `default`.
pub(super) struct Covered(BTreeMap<String, BTreeMap<String, String>>);

impl Covered {
    pub fn of(cluster: &ClusterManifests) -> Covered {
        let manifests = cluster.objects("Namespace").map(|s| s.word("metadata.name"));
        let names = manifests.chain(["default"]).filter(|name| !is_system(cluster, name));
        Covered(names.map(|name| (name.to_owned(), labels(cluster, name))).collect())
    }

    /// Those that a policy of one namespace is about: of a cluster's, all.
    fn within(&self, namespace: &str) -> Covered {
        let here = self.0.iter().filter(|(name, _)| namespace.is_empty() || *name == namespace);
        Covered(here.map(|(name, labels)| (name.clone(), labels.clone())).collect())
    }

    pub fn contains(&self, namespace: &str) -> bool {
        self.0.contains_key(namespace)
    }

    /// The names of those that a selector leaves out.
    pub fn left_out_by(&self, selector: &Value) -> Vec<&str> {
        self.without(|_, labels| selects(selector, labels))
    }

    /// The names of those whose pods a resource filter of Kyverno's configuration names: `[Pod,sample,*]`.
    pub fn filtered_by(&self, filter: &str) -> Vec<&str> {
        let mut fields = filter.trim_matches(['[', ']', ' ']).split(',').map(str::trim);
        let (kind, space) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let (kind, sub) = kind.trim_start_matches("v1/").split_once('/').unwrap_or((kind, ""));
        let pods = is_glob_match(kind.trim_start_matches("v1/"), "Pod") && is_glob_match(sub, "");
        self.without(|name, _| !pods || !is_glob_match(space, name))
    }

    /// The names of those for which something does not hold.
    fn without(&self, holds: impl Fn(&str, &BTreeMap<String, String>) -> bool) -> Vec<&str> {
        self.0.iter().filter(|(name, labels)| !holds(name, labels)).map(|(name, _)| name.as_str()).collect()
    }
}

/// A namespace of the system or of a release, which holds no workloads.
pub(super) fn is_system(cluster: &ClusterManifests, space: &str) -> bool {
    let released = || cluster.releases().any(|release| release.namespace() == space);
    space.starts_with("kube-") || space.starts_with("cilium-") || released()
}

/// The labels that a namespace has by its manifest, and the one that it always has.
pub(in crate::clauses) fn labels(cluster: &ClusterManifests, space: &str) -> BTreeMap<String, String> {
    let made = cluster.objects("Namespace").find(|s| s.word("metadata.name") == space);
    let own = made.and_then(|s| s.get("metadata.labels")?.as_object()).into_iter().flatten();
    own.map(|(key, value)| (key.clone(), plain(value))).chain([(NAME.to_owned(), space.to_owned())]).collect()
}

/// Whether a label selector selects an object with these labels. An empty one selects everything.
pub(in crate::clauses) fn selects(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    let wanted = selector["matchLabels"].as_object().into_iter().flatten();
    let mut expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    wanted.into_iter().all(|(key, value)| labels.get(key).is_some_and(|have| value == have.as_str()))
        && expressions.all(|e| {
            let have = labels.get(e["key"].as_str().unwrap_or_default());
            let named =
                have.is_some_and(|have| e["values"].as_array().is_some_and(|v| v.iter().any(|v| v == have.as_str())));
            match e["operator"].as_str() {
                Some("In") => named,
                Some("NotIn") => !named,
                Some("Exists") => have.is_some(),
                Some("DoesNotExist") => have.is_none(),
                _ => false,
            }
        })
}

/// Judges every policy and exception; how many policies there are that refuse.
pub(super) fn judge(cluster: &ClusterManifests, covered: &Covered, ctx: &mut ClauseContext) -> usize {
    ctx.rule("enforced");
    let mut found = 0;
    for policy in CEL.iter().flat_map(|kind| cluster.objects(kind)) {
        found += 1;
        cel(cluster, policy, &covered.within(policy.namespace()), ctx);
        fails_closed(cluster, policy, "spec.failurePolicy", ctx);
    }
    for policy in OLDER.iter().flat_map(|kind| cluster.objects(kind)).filter(|p| refuses(p)) {
        found += 1;
        older(cluster, policy, &covered.within(policy.namespace()), ctx);
        let own = "spec.webhookConfiguration.failurePolicy";
        fails_closed(cluster, policy, if policy.get(own).is_some() { own } else { "spec.failurePolicy" }, ctx);
    }
    if found == 0 {
        let hint = "give app clusters the manifest `policies`";
        ctx.missing(cluster, "policies", "at least one policy", "none", hint);
    }
    ctx.metric("policies", found.to_string());
    exceptions(cluster, covered, ctx);
    found
}

/// `Fail`, which is Kyverno's default.
fn fails_closed(cluster: &ClusterManifests, policy: &Document, path: &str, ctx: &mut ClauseContext) {
    if ctx.text(policy, path).is_some_and(|f| f != "Fail") {
        ctx.expect(cluster, policy, path, "Fail", "failurePolicy: Fail");
    }
}

/// A policy of the group `policies.kyverno.io`.
fn cel(cluster: &ClusterManifests, policy: &Document, covered: &Covered, ctx: &mut ClauseContext) {
    let path = "spec.validationActions";
    let actions: Vec<&str> = ctx.list(policy, path).iter().filter_map(Value::as_str).collect();
    if !actions.contains(&"Deny") {
        let want = "validationActions: [Deny]";
        let got = if actions.is_empty() { "nothing".to_owned() } else { format!("[{}]", actions.join(", ")) };
        ctx.breach(cluster, policy, path, want, got, want);
    }
    is_unset(cluster, policy, "spec.evaluation.admission.enabled", "true", ctx);
    is_unset(cluster, policy, "spec.evaluation.mode", "Kubernetes", ctx);
    let always = |v: &Value| v["expression"].as_str().is_none_or(|e| e.trim() == "true");
    let path = "spec.validations";
    if ctx.list(policy, path).iter().all(always) {
        ctx.breach(cluster, policy, path, "a validation that a pod can fail", "none", "validations: [{expression: …}]");
    }
    conditions(cluster, policy, "spec.matchConditions", ctx);
    let path = "spec.autogen.validatingAdmissionPolicy.enabled";
    if ctx.on(policy, path, false) {
        let want = "a policy that spares the namespaces Kyverno leaves out";
        ctx.breach(cluster, policy, path, want, "the API server's own, which spares none", "enabled: false");
    }
    let at = |key: &str| format!("spec.matchConstraints.{key}");
    let selector = ctx.read(policy, &at("namespaceSelector")).cloned().unwrap_or_default();
    unchecked(cluster, policy, &at("namespaceSelector"), &covered.left_out_by(&selector), ctx);
    let selector = ctx.read(policy, &at("objectSelector")).cloned().unwrap_or_default();
    let selects_all = |s: &Value| s.as_object().is_none_or(|s| s.values().all(is_empty));
    if !selects_all(&selector) {
        let got = "its labels decide, and its author sets them";
        ctx.breach(cluster, policy, &at("objectSelector"), EVERY_POD, got, "remove objectSelector");
    }
    for (i, rule) in ctx.list(policy, &at("excludeResourceRules")).iter().enumerate().filter(|(_, r)| on_pods(r)) {
        let got = format!("not where {} excludes it", at("excludeResourceRules"));
        let path = format!("{}.{i}", at("excludeResourceRules"));
        ctx.breach(cluster, policy, &path, EVERY_POD, got, format!("remove {rule}"));
    }
    reach(cluster, policy, &at("resourceRules"), ctx);
}

/// A policy is evaluated when a pod is created, and for nothing without a namespace: that could keep a node out.
fn reach(cluster: &ClusterManifests, policy: &Document, list: &str, ctx: &mut ClauseContext) {
    let rules = ctx.list(policy, list);
    if rules.is_empty() {
        ctx.breach(cluster, policy, list, "resources to check", "none", "resourceRules: [{resources: [pods], …}]");
    }
    for (i, rule) in rules.iter().enumerate() {
        let path = format!("{list}.{i}");
        ctx.read(policy, &path);
        if !has(rule, "operations", &["CREATE", "*"]) {
            let at = format!("{path}.operations");
            ctx.breach(cluster, policy, &at, "evaluated when a pod is created: CREATE", "never then", "- CREATE");
        }
        let boundless = ["*", "*/*", "nodes", "certificatesigningrequests", "leases"];
        if let Some(word) = boundless.iter().find(|word| has(rule, "resources", &[word])) {
            let want = "nothing that has no namespace: a node must register while Kyverno is down";
            let at = format!("{path}.resources");
            ctx.breach(cluster, policy, &at, want, (*word).to_owned(), "- pods");
        }
        if !on_pods(rule) {
            continue;
        }
        let wrong = [
            ("apiGroups", !has(rule, "apiGroups", &["", "*"]), "apiGroups: [\"\"]"),
            ("apiVersions", !has(rule, "apiVersions", &["v1", "*"]), "apiVersions: [v1]"),
            ("scope", rule["scope"] == "Cluster", "remove scope"),
            ("resourceNames", !is_empty(&rule["resourceNames"]), "remove resourceNames"),
        ];
        for (key, _, hint) in wrong.iter().filter(|(_, wrong, _)| *wrong) {
            let got = format!("{key} {}", rule[*key]);
            ctx.breach(cluster, policy, &format!("{path}.{key}"), EVERY_POD, got, *hint);
        }
    }
}

fn has(rule: &Value, key: &str, words: &[&str]) -> bool {
    rule[key].as_array().is_some_and(|list| list.iter().filter_map(Value::as_str).any(|w| words.contains(&w)))
}

fn on_pods(rule: &Value) -> bool {
    has(rule, "resources", &["pods", "*", "*/*", "pods/*"])
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// A switch that is not set, or set to what it is without.
fn is_unset(cluster: &ClusterManifests, policy: &Document, path: &str, standard: &str, ctx: &mut ClauseContext) {
    if ctx.read(policy, path).is_some() {
        ctx.expect(cluster, policy, path, standard, &format!("remove {path}"));
    }
}

/// CEL conditions on which a request reaches a policy. Only `true` is known to leave nothing out.
pub(super) fn conditions(cluster: &ClusterManifests, document: &Document, path: &str, ctx: &mut ClauseContext) {
    for (i, condition) in ctx.list(document, path).iter().enumerate() {
        let expression = condition["expression"].as_str().unwrap_or_default().trim();
        if expression != "true" {
            let got = format!("only where `{expression}`");
            let hint = "demand it in validations, or `--allow C4 --because …`";
            ctx.breach(cluster, document, &format!("{path}.{i}"), EVERY_POD, got, hint);
        }
    }
}

fn unchecked(cluster: &ClusterManifests, policy: &Document, path: &str, spaces: &[&str], ctx: &mut ClauseContext) {
    if !spaces.is_empty() {
        let got = format!("not in {}", spaces.join(", "));
        ctx.breach(cluster, policy, path, EVERY_POD, got, "select no namespaces, or leave out those of the system");
    }
}

/// Rules that only change or generate objects refuse nothing.
fn refuses(policy: &Document) -> bool {
    let rules = policy.get("spec.rules").and_then(Value::as_array).into_iter().flatten();
    let mut rules = rules.filter(|r| !is_empty(&r["validate"]) || !is_empty(&r["verifyImages"])).peekable();
    rules.peek().is_some() || policy.get("spec.rules").is_none()
}

/// A policy of the group `kyverno.io`: each rule by its own action, then by the policy's.
fn older(cluster: &ClusterManifests, policy: &Document, covered: &Covered, ctx: &mut ClauseContext) {
    is_unset(cluster, policy, "spec.admission", "true", ctx);
    conditions(cluster, policy, "spec.webhookConfiguration.matchConditions", ctx);
    let rules = ctx.list(policy, "spec.rules");
    if rules.len() > 1 {
        is_unset(cluster, policy, "spec.applyRules", "All", ctx);
    }
    let spec = action(policy.get("spec").unwrap_or(&Value::Null), "validationFailureAction");
    for (i, rule) in rules.iter().enumerate() {
        let path = format!("spec.rules.{i}");
        let own = action(&rule["validate"], "failureAction");
        let images = rule["verifyImages"].as_array().into_iter().flatten();
        let images: Vec<&str> = images.filter_map(|v| v["failureAction"].as_str()).collect();
        if is_empty(&rule["validate"]) && is_empty(&rule["verifyImages"]) {
            continue;
        }
        let enforces = |name: &str, labels: &BTreeMap<String, String>| {
            let enforced = |a: &str| a.eq_ignore_ascii_case("enforce");
            // Of several images, one that enforces is enough.
            let image = images.iter().map(|a| enforced(a)).max();
            let own = effective(&own, name, labels).map(enforced).or(image);
            own.or_else(|| effective(&spec, name, labels).map(enforced)).unwrap_or(false)
        };
        let audited = covered.without(enforces);
        if !audited.is_empty() {
            let keys = ["validate.failureActionOverrides", "validate.failureAction"].map(|key| format!("{path}.{key}"));
            let of_spec = "spec.validationFailureActionOverrides".to_owned();
            let at = keys.into_iter().chain([of_spec]).find(|at| policy.get(at).is_some());
            let at = at.unwrap_or_else(|| "spec.validationFailureAction".to_owned());
            let got = format!("pods in {} are only reported", audited.join(", "));
            ctx.breach(cluster, policy, &at, "every rule enforces", got, "failureAction: Enforce");
        }
        rule_reach(cluster, policy, &path, rule, covered, ctx);
    }
}

/// Overrides by namespace, and the action without them.
type Action<'a> = (Vec<&'a Value>, Option<&'a str>);

fn action<'a>(of: &'a Value, key: &str) -> Action<'a> {
    let overrides = of[format!("{key}Overrides")].as_array().into_iter().flatten();
    (overrides.collect(), of[key].as_str())
}

fn effective<'a>((overrides, action): &Action<'a>, name: &str, labels: &BTreeMap<String, String>) -> Option<&'a str> {
    let here = |over: &&&Value| {
        let named = over["namespaces"].as_array().is_none_or(|globs| any_glob(globs, name));
        named && selects(&over["namespaceSelector"], labels)
    };
    overrides.iter().find(here).and_then(|over| over["action"].as_str()).or(*action)
}

fn any_glob(globs: &[Value], name: &str) -> bool {
    globs.iter().filter_map(Value::as_str).any(|glob| is_glob_match(glob, name))
}

/// What a rule matches and excludes, and on which conditions.
fn rule_reach(
    cluster: &ClusterManifests,
    policy: &Document,
    path: &str,
    rule: &Value,
    covered: &Covered,
    ctx: &mut ClauseContext,
) {
    for key in ["preconditions", "celPreconditions"].into_iter().filter(|key| !is_empty(&rule[*key])) {
        let at = format!("{path}.{key}");
        ctx.breach(cluster, policy, &at, EVERY_POD, "only on conditions", format!("demand it in validate; no {key}"));
    }
    let (matched, excluded) = (&rule["match"], &rule["exclude"]);
    let all = |filter: &Value, name: &str, labels: &_| reaches(filter, name, labels) == Some(true);
    let missed = covered.without(|name, labels| match (matched["any"].as_array(), matched["all"].as_array()) {
        (Some(any), _) => any.iter().any(|f| all(f, name, labels)),
        (_, Some(every)) => every.iter().all(|f| all(f, name, labels)),
        _ => all(matched, name, labels),
    });
    unchecked(cluster, policy, &format!("{path}.match"), &missed, ctx);
    let hit =
        |filter: &Value, name: &str, labels: &_| !is_empty(filter) && reaches(filter, name, labels) != Some(false);
    let missed = covered.without(|name, labels| match (excluded["any"].as_array(), excluded["all"].as_array()) {
        (Some(any), _) => !any.iter().any(|f| hit(f, name, labels)),
        (_, Some(every)) => every.is_empty() || !every.iter().all(|f| hit(f, name, labels)),
        _ => !hit(excluded, name, labels),
    });
    unchecked(cluster, policy, &format!("{path}.exclude"), &missed, ctx);
}

/// Whether a filter holds for every pod that is created in a namespace, for none, or (`None`) for some.
fn reaches(filter: &Value, name: &str, labels: &BTreeMap<String, String>) -> Option<bool> {
    let resources = &filter["resources"];
    let spaces = resources["namespaces"].as_array().is_none_or(|globs| any_glob(globs, name));
    let created = is_empty(&resources["operations"]) || has(resources, "operations", &["CREATE"]);
    if !spaces || !created || !selects(&resources["namespaceSelector"], labels) {
        return Some(false);
    }
    let some = ["name", "names", "selector", "annotations"].iter().any(|key| !is_empty(&resources[*key]));
    let who = ["subjects", "roles", "clusterRoles"].iter().any(|key| !is_empty(&filter[*key]));
    (!some && !who).then_some(true)
}

/// Exceptions take effect only where they are switched on, and from the namespace that is named there.
fn exceptions(cluster: &ClusterManifests, covered: &Covered, ctx: &mut ClauseContext) {
    ctx.rule("exceptions");
    let Some(release) = kyverno(cluster) else { return };
    let feature = |name| super::webhook::feature(release, "policyExceptions", name);
    let (enabled, _) = feature(("enabled", "enablePolicyException", "false"));
    let (namespace, path) = feature(("namespace", "exceptionNamespace", ""));
    ctx.read(release, &path);
    if enabled != "true" || namespace.is_empty() {
        return;
    }
    if namespace == "*" || covered.contains(&namespace) {
        let want = "no exceptions that a workload can write for itself";
        ctx.breach(
            cluster,
            release,
            &path,
            want,
            format!("accepted from {namespace}"),
            "policyExceptions: {enabled: false}",
        );
    }
    let counts = |e: &&Document| namespace == "*" || e.namespace() == namespace;
    for exception in cluster.objects("PolicyException").filter(counts) {
        let got = shown(exception.get("spec.policyRefs").or(exception.get("spec.exceptions")).map(plain).as_deref());
        let hint = "remove it, or `--allow C4 --because …`";
        ctx.breach(cluster, exception, "spec", "no exception from a policy", got, hint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_select_as_in_kubernetes() {
        let labels: BTreeMap<String, String> = [(NAME.to_owned(), "x".to_owned()), ("team".into(), "a".into())].into();
        let by = |key: &str, operator: &str, values: Value| {
            selects(&json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]}), &labels)
        };
        assert!(!by(NAME, "NotIn", json!(["kube-system", "x"])) && by(NAME, "NotIn", json!(["y"])));
        assert!(by(NAME, "In", json!(["x"])) && !by(NAME, "In", json!(["apps"])) && !by("tier", "In", json!(["x"])));
        assert!(by("tier", "NotIn", json!(["x"])) && by("team", "Exists", json!(null)));
        assert!(!by("team", "DoesNotExist", json!(null)) && by("tier", "DoesNotExist", json!(null)));
        assert!(selects(&json!(null), &labels) && selects(&json!({"matchLabels": {"team": "a"}}), &labels));
        assert!(!selects(&json!({"matchLabels": {"team": "b"}}), &labels));
    }
}
