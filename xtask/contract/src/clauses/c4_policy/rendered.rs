//! What charts bring along that admits or refuses pods: webhooks of their own, definitions of Kyverno, pods that their
//! namespace would not let in, and Kyverno's own arguments.

use std::collections::BTreeMap;

use serde_json::Value;

use super::policies::{NAME, labels, selects};
use crate::context::ClauseContext;
use crate::rendered_state::{ClusterManifests, Document};
use charts::rendered::workload;
use charts::verify::namespaces;
use model::fleet::Role;

/// Arguments of Kyverno's admission controller that decide how it fails, as chart 3.9.0 renders them: what is wanted, and
/// what counts where they are not given.
const ARGUMENTS: [(&str, &str, &str); 3] = [
    ("--forceFailurePolicyIgnore", "false", "false"),
    ("--excludeBootstrapResources", "true", "false"),
    ("--autoUpdateWebhooks", "true", "true"),
];

pub(super) fn judge(cluster: &ClusterManifests, ctx: &mut ClauseContext) {
    if cluster.role == Role::Platform {
        definitions(cluster, ctx);
    }
    for kind in ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"] {
        cluster.objects(kind).for_each(|document| webhooks(cluster, document, ctx));
    }
    ctx.rule("pod-security");
    pods(cluster, ctx);
    ctx.rule("restart");
    cluster
        .rendered()
        .filter(|s| s.made_by() == Some("kyverno"))
        .for_each(|document| arguments(cluster, document, ctx));
}

/// The platform does not even know what a policy of Kyverno is.
fn definitions(cluster: &ClusterManifests, ctx: &mut ClauseContext) {
    ctx.rule("placement");
    for definition in cluster.objects("CustomResourceDefinition") {
        let group = ctx.text(definition, "spec.group").unwrap_or_default();
        if group == "kyverno.io" || group.ends_with(".kyverno.io") {
            let want = "no definition of Kyverno on the platform";
            ctx.breach(cluster, definition, "spec.group", want, group, "clusters = [\"workload\"]");
        }
    }
}

/// A webhook that is asked about pods: none on the platform, and elsewhere none that could keep itself from starting.
fn webhooks(cluster: &ClusterManifests, document: &Document, ctx: &mut ClauseContext) {
    for (i, hook) in ctx.list(document, "webhooks").iter().enumerate().filter(|(_, hook)| is_asked_about_pods(hook)) {
        let path = format!("webhooks.{i}");
        let name = hook["name"].as_str().unwrap_or_default();
        if cluster.role == Role::Platform {
            ctx.rule("placement");
            let want = "nothing but Pod Security admits pods on the platform";
            let got = format!("webhook {name} is asked about them");
            ctx.breach(
                cluster,
                document,
                &format!("{path}.name"),
                want,
                got,
                "a value of the chart that leaves it out",
            );
            continue;
        }
        ctx.rule("restart");
        let own = hook["clientConfig"]["service"]["namespace"].as_str().unwrap_or_default();
        let closed = hook["failurePolicy"] != "Ignore";
        let spared = |space: &str| space.is_empty() || !selects(&hook["namespaceSelector"], &labels(cluster, space));
        let asked = ["kube-system", own].into_iter().any(|space| !spared(space));
        if closed && asked {
            let want = format!("a webhook that fails open, or leaves out kube-system and {own}");
            let got = format!("webhook {name} fails closed and is asked about the pods that it needs itself");
            ctx.breach(cluster, document, &path, want, got, format!("namespaceSelector with {NAME} NotIn"));
        }
    }
}

fn is_asked_about_pods(hook: &Value) -> bool {
    let rules = hook["rules"].as_array().into_iter().flatten();
    rules.into_iter().any(|rule| {
        let has = |key: &str, words: &[&str]| {
            rule[key].as_array().is_some_and(|list| list.iter().filter_map(Value::as_str).any(|w| words.contains(&w)))
        };
        has("apiGroups", &["", "*"]) && has("operations", &["CREATE", "*"]) && has("resources", &["pods", "*", "*/*"])
    })
}

/// Pods that the label of their namespace forbids never start.
fn pods(cluster: &ClusterManifests, ctx: &mut ClauseContext) {
    let levels: BTreeMap<&str, &str> = cluster
        .objects("Namespace")
        .map(|s| (s.word("metadata.name"), namespaces::level(s.value()).unwrap_or_default()))
        .collect();
    let mut seen = 0;
    for document in cluster.rendered() {
        let Some(made) = workload(document.value(), document.namespace()) else { continue };
        seen += 1;
        let level = levels.get(document.namespace()).copied().unwrap_or_default();
        let reasons = namespaces::refused(level, &made);
        if !reasons.is_empty() {
            let want = format!("pods that namespace {} lets in ({level})", document.namespace());
            let hint = "a value of the chart, another namespace, or an exception in ADR-0003";
            ctx.breach(cluster, document, "metadata.name", want, reasons.join(", "), hint);
        }
    }
    if seen > 0 {
        ctx.metric(&format!("workloads rendered for {}", cluster.name), seen.to_string());
    }
}

fn arguments(cluster: &ClusterManifests, document: &Document, ctx: &mut ClauseContext) {
    let Some(containers) = document.get("spec.template.spec.containers").and_then(Value::as_array) else { return };
    let named = |c: &Value| c["name"] == "kyverno" && c["args"].is_array();
    let Some(i) = containers.iter().position(named) else { return };
    let path = format!("spec.template.spec.containers.{i}.args");
    for (name, want, otherwise) in ARGUMENTS {
        let args = ctx.list(document, &path).iter().filter_map(Value::as_str);
        let mut given = args.filter_map(|arg| arg.strip_prefix(name)?.strip_prefix('='));
        let got = given.next_back();
        if got.unwrap_or(otherwise) != want {
            let got = got.map_or("nothing".to_owned(), |got| format!("{name}={got}"));
            ctx.breach(
                cluster,
                document,
                &path,
                format!("{name}={want}"),
                got,
                "features in charts/kyverno/values.yaml",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn webhooks_that_see_pods_are_found_by_their_rules() {
        let asked = |groups: Value, resources: Value, operations: Value| {
            let rule = json!({"apiGroups": groups, "resources": resources, "operations": operations});
            is_asked_about_pods(&json!({"rules": [rule]}))
        };
        assert!(asked(json!([""]), json!(["pods"]), json!(["CREATE"])));
        assert!(asked(json!(["*"]), json!(["*/*"]), json!(["*"])));
        assert!(!asked(json!(["external-secrets.io"]), json!(["*"]), json!(["CREATE"])));
        assert!(!asked(json!([""]), json!(["pods"]), json!(["DELETE"])) && !is_asked_about_pods(&json!({})));
    }
}
