//! The questions of the live tier: each with its exact arguments, and none that changes anything.
//!
//! A cluster whose API server does not answer is asked nothing more. Names of pods are learnt in the run: one question
//! finds the pod of a node, the next uses its name.

use std::collections::{BTreeMap, BTreeSet};

use crate::Clause;
use crate::rendered_state::{ClusterManifests, Document, RenderedState};
use model::fleet::{Cluster, Fleet, Node};
use model::token::fact;
use plan::bootstrap::{host, kube_path};
use plan::{Expect, Plan, Step, StepKey};
use render::Files;
use serde_json::json;
use tool::kubectl::Kubectl;
use tool::{Command, Extractor, Limits};

/// Every question to these clusters: those of all clauses, each once. No step has an act.
pub fn plan(fleet: &Fleet, clusters: &[String], state: &RenderedState) -> Plan {
    // Their versions stand in the report; a missing tool keeps no question from being asked.
    let mut steps = host::machine_tools(fleet, &["helm", "kubectl", "cilium"]);
    let mut known = BTreeSet::new();
    for cluster in fleet.clusters.iter().filter(|c| clusters.contains(&c.name)) {
        let Some(manifests) = state.clusters.iter().find(|m| m.name == cluster.name) else { continue };
        let api =
            question(cluster, "api", "reach the API server of", kubectl(cluster).ready(), Expect::Stdout("ok".into()));
        let version = Expect::JsonPresent("/gitVersion".into());
        let version = question(cluster, "version", "read the version of", kubectl(cluster).raw("/version"), version);
        let own = Clause::all().flat_map(|clause| (clause.definition().probes)(cluster, manifests));
        steps.extend([api, version].into_iter().chain(own).filter(|step| known.insert(step.id.clone())));
    }
    Plan { name: "verify-contract", steps, files: Files::new(), pools: BTreeMap::new() }
}

pub fn id(cluster: &str, what: &str) -> StepKey {
    StepKey::cluster(cluster, &format!("live/{what}"))
}

/// A question, and what an answer looks like that holds.
pub(crate) fn question(cluster: &Cluster, what: &str, title: &str, ask: Command, want: Expect) -> Step {
    let title = format!("{title} {}", cluster.name);
    let step = Step::new(id(&cluster.name, what), title, ask, want).limits(Limits::QUICK.attempts(1, 2));
    if what == "api" { step } else { step.needs([id(&cluster.name, "api")]) }
}

pub(crate) fn not_empty() -> Expect {
    Expect::JsonPresent("/items/0/metadata/name".into())
}

/// A list of objects, empty or not.
pub(crate) fn any_list() -> Expect {
    Expect::JsonPresent("/items".into())
}

pub(crate) fn kubectl(cluster: &Cluster) -> Kubectl {
    Kubectl::on(&kube_path(cluster))
}

/// All objects of these kinds, of every namespace; there is at least one.
pub(crate) fn everywhere(cluster: &Cluster, what: &str, title: &str, kinds: &str) -> Step {
    let ask = kubectl(cluster).list(kinds, &["--all-namespaces"]);
    question(cluster, what, title, ask, not_empty())
}

pub(crate) fn nodes(cluster: &Cluster) -> Step {
    question(cluster, "nodes", "read the nodes of", kubectl(cluster).list("nodes", &[]), not_empty())
}

pub(crate) fn namespaces(cluster: &Cluster) -> Step {
    question(cluster, "namespaces", "read the namespaces of", kubectl(cluster).list("namespaces", &[]), not_empty())
}

pub(crate) fn webhooks(cluster: &Cluster) -> Step {
    let kinds = "validatingwebhookconfigurations,mutatingwebhookconfigurations";
    question(cluster, "webhooks", "read the webhooks of", kubectl(cluster).list(kinds, &[]), any_list())
}

/// Stores of secrets, and the secrets that are copied from them.
pub(crate) fn secret_stores(cluster: &Cluster) -> [Step; 2] {
    let stores = "clustersecretstores.external-secrets.io,secretstores.external-secrets.io";
    [
        everywhere(cluster, "stores", "read the secret stores of", stores),
        everywhere(cluster, "external-secrets", "read the ExternalSecrets of", "externalsecrets.external-secrets.io"),
    ]
}

/// A pod of a DaemonSet on a node, and a question to it.
pub(crate) fn on_node(
    (cluster, node): (&Cluster, &Node),
    (of, namespace, selector): (&str, &str, &str),
    title: &str,
    ask: &dyn Fn(&str) -> Command,
    want: Expect,
) -> [Step; 2] {
    let (vm, name) = (cluster.vm(node), format!("{}.{}.{of}", cluster.name, node.name));
    let field = format!("spec.nodeName={vm}");
    let whose = ["--namespace", namespace, "--selector", selector, "--field-selector", &field];
    let find = kubectl(cluster).list("pods", &whose);
    let find = find.capture(&name, Extractor::Pointer("/items/0/metadata/name".into()));
    let found =
        question(cluster, &format!("{vm}/{of}-pod"), &format!("find the {of} pod on {vm} of"), find, not_empty());
    let pod = found.id.clone();
    let asked = question(cluster, &format!("{vm}/{of}"), &format!("{title} {vm} of"), ask(&fact(&name)), want);
    [found, asked.needs([pod])]
}

/// The pod in `default` that is submitted with `--dry-run=server`, with this container.
pub(crate) fn dry_run_pod(
    cluster: &Cluster,
    what: &str,
    title: &str,
    container: serde_json::Value,
    want: Expect,
) -> Step {
    let metadata = json!({ "name": "contract-probe", "namespace": "default" });
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
        "spec": { "automountServiceAccountToken": false, "containers": [container] } });
    question(cluster, what, title, kubectl(cluster).tried().stdin_text(pod.to_string()), want)
}

/// A container that passes Pod Security `baseline` and every policy.
pub(crate) fn compliant_container() -> serde_json::Value {
    json!({ "name": "probe", "image": "registry.k8s.io/pause:3.10.1",
        "resources": { "requests": { "cpu": "1m", "memory": "1Mi" }, "limits": { "memory": "8Mi" } } })
}

/// A pod that admission lets in. Its creation time is the API server's clock.
pub(crate) fn good_pod(cluster: &Cluster) -> Step {
    let admitted = Expect::JsonPresent("/metadata/creationTimestamp".into());
    dry_run_pod(cluster, "good-pod", "dry-run a compliant pod on", compliant_container(), admitted)
}

/// Namespace and name of the object that a release or an ExternalSecret makes, where `path` may name it.
pub(crate) fn named_by<'a>(document: &'a Document, path: &str, otherwise: &'a str) -> (&'a str, &'a str) {
    let name = Some(document.word(path)).filter(|name| !name.is_empty());
    (document.namespace(), name.unwrap_or(otherwise))
}

pub(crate) fn release_of<'a>(manifests: &'a ClusterManifests, chart: &str) -> Option<&'a Document> {
    manifests.releases().find(|s| s.chart() == Some(chart))
}
