//! The questions of the contract's live tier: each with its exact arguments, and none that changes anything.
//!
//! Whoever does not answer at all is asked nothing more. Names of pods are known to a run alone: where a pod is, is
//! asked by its node, and what it says itself by the name that this taught.

use std::collections::BTreeMap;

use serde_json::json;

use super::bootstrap::{host, kube_path};
use super::{Plan, Step, StepKey, Want};
use model::fleet::{Cluster, Fleet, Node, Role};
use model::token::fact;
use render::Files;
use tool::kubectl::Kubectl;
use tool::{Command, Limits, Reading};

const SYSTEM: &str = "kube-system";
/// Where pods are tried: on every cluster, labelled `baseline`, and not left out by Kyverno.
const TRIED_IN: &str = "default";

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub namespace: String,
    pub name: String,
}

/// What is looked for by name on a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    pub agent: Option<Place>,
    pub promtail: Option<Place>,
    pub secrets: Vec<Place>,
}

pub fn plan(fleet: &Fleet, clusters: &[String], targets: &BTreeMap<String, Targets>) -> Plan {
    // Their versions stand in the report; a missing one keeps no question from being asked.
    let mut steps = host::machine_tools(fleet, &["helm", "kubectl", "cilium"]);
    for cluster in fleet.clusters.iter().filter(|c| clusters.contains(&c.name)) {
        steps.extend(of_cluster(cluster));
        match (cluster.role, targets.get(&cluster.name)) {
            (Role::Platform, _) => steps.push(deliveries(cluster)),
            (Role::Workload, targets) => steps.extend(of_apps(cluster, targets.unwrap_or(&Targets::default()))),
        }
    }
    Plan { name: "verify-contract", steps, files: Files::new(), lanes: BTreeMap::new() }
}

pub fn id(cluster: &str, what: &str) -> StepKey {
    StepKey::cluster(cluster, &format!("live/{what}"))
}

/// A question, and what an answer looks like that holds: what it is worth, the contract says.
fn question(cluster: &Cluster, what: &str, doing: &str, ask: Command, want: Want) -> Step {
    let doing = format!("{doing} {}", cluster.name);
    let step = Step::new(id(&cluster.name, what), doing, ask, want).limits(Limits::QUICK.attempts(1, 2));
    if what == "api" { step } else { step.needs([id(&cluster.name, "api")]) }
}

fn items() -> Want {
    Want::JsonPresent("/items".into())
}

/// The first object of a list has a name.
fn named() -> Want {
    Want::JsonPresent("/items/0/metadata/name".into())
}

fn kubectl(cluster: &Cluster) -> Kubectl {
    Kubectl::on(&kube_path(cluster))
}

fn of_cluster(cluster: &Cluster) -> Vec<Step> {
    let kubectl = kubectl(cluster);
    let hooks = "validatingwebhookconfigurations,mutatingwebhookconfigurations";
    let ask = |what: &str, doing: &str, command: Command, want| question(cluster, what, doing, command, want);
    let let_in = || Want::JsonPresent("/metadata/creationTimestamp".into());
    let kyverno = r"^customresourcedefinition\.apiextensions\.k8s\.io/\S+\.kyverno\.io$";
    let (bad, crds) = match cluster.role {
        Role::Platform => (let_in(), Want::All(vec![Want::Exit(0), Want::Match(kyverno.into()).negated()])),
        Role::Workload => (Want::Stderr("kyverno\\.svc.* denied the request".into()), Want::Match(kyverno.into())),
    };
    let tried = |trial| kubectl.tried().told(pod(trial));
    let refused = Want::Stderr("violates PodSecurity".into());
    let mut steps = vec![
        ask("api", "look for the API server of", kubectl.ready(), Want::Stdout("ok".into())),
        ask("version", "read the version of", kubectl.raw("/version"), Want::JsonPresent("/gitVersion".into())),
        ask("nodes", "read the nodes of", kubectl.list("nodes", &[]), named()),
        ask("namespaces", "read the namespaces of", kubectl.list("namespaces", &[]), named()),
        ask("crds", "read the names of the resources of", kubectl.names("customresourcedefinitions"), crds),
        ask("webhooks", "read the webhooks of", kubectl.list(hooks, &[]), items()),
        ask("good-pod", "try a pod that is in order on", tried(Trial::Good), let_in()),
        ask("bad-pod", "try a pod that breaks every policy on", tried(Trial::Bad), bad),
        ask("privileged-pod", "try a privileged pod on", tried(Trial::Privileged), refused),
    ];
    steps.extend(cluster.nodes.iter().flat_map(|node| of_agent(cluster, node)));
    steps
}

/// Cilium's agent of a node: where it is, and what it says of itself. The ConfigMap can be ahead of it.
fn of_agent(cluster: &Cluster, node: &Node) -> [Step; 2] {
    let vm = cluster.vm(node);
    let words = ["cilium-dbg", "status", "--output", "json"];
    let says = |key: &str, value: &str| Want::Json(format!("/routing/{key}"), value.into());
    let vxlan = Want::All(vec![says("inter-host-routing-mode", "Tunnel"), says("tunnel-protocol", "vxlan")]);
    let status = |pod: &str| kubectl(cluster).exec(SYSTEM, pod, "cilium-agent", &words);
    on_node(cluster, node, ("cilium", SYSTEM, "k8s-app=cilium"), &format!("ask Cilium on {vm} of"), &status, vxlan)
}

/// A pod of a DaemonSet on a node, and a question to it.
fn on_node(
    cluster: &Cluster,
    node: &Node,
    (of, namespace, selector): (&str, &str, &str),
    doing: &str,
    ask: &dyn Fn(&str) -> Command,
    want: Want,
) -> [Step; 2] {
    let (vm, name) = (cluster.vm(node), format!("{}.{}.{of}", cluster.name, node.name));
    let field = format!("spec.nodeName={vm}");
    let whose = ["--namespace", namespace, "--selector", selector, "--field-selector", &field];
    let find = kubectl(cluster).list("pods", &whose);
    let find = find.learn(&name, Reading::Pointer("/items/0/metadata/name".into()));
    let pod = id(&cluster.name, &format!("{vm}/{of}-pod"));
    let looked = question(cluster, &format!("{vm}/{of}-pod"), &format!("look for {of} on {vm} of"), find, named());
    let asked = question(cluster, &format!("{vm}/{of}"), doing, ask(&fact(&name)), want);
    [looked, asked.needs([pod])]
}

/// What Argo CD is told to do with app clusters.
fn deliveries(cluster: &Cluster) -> Step {
    let kinds = "applications.argoproj.io,applicationsets.argoproj.io";
    question(
        cluster,
        "deliveries",
        "read the deliveries of",
        kubectl(cluster).list(kinds, &["--all-namespaces"]),
        items(),
    )
}

fn of_apps(cluster: &Cluster, targets: &Targets) -> Vec<Step> {
    let kubectl = kubectl(cluster);
    let all = |kinds: &str| kubectl.list(kinds, &["--all-namespaces"]);
    let stores = "clustersecretstores.external-secrets.io,secretstores.external-secrets.io";
    let asks = [
        ("workloads", "read the workloads of", all("deployments,statefulsets,daemonsets")),
        ("services", "read the Services of", all("services")),
        ("policies", "read the policies of", kubectl.list("validatingpolicies.policies.kyverno.io", &[])),
        ("stores", "read the stores of secrets of", all(stores)),
        ("external-secrets", "read the secrets that are asked for on", all("externalsecrets.external-secrets.io")),
    ];
    let mut steps: Vec<Step> =
        asks.into_iter().map(|(what, doing, ask)| question(cluster, what, doing, ask, named())).collect();
    steps.extend(targets.secrets.iter().map(|place| secret(cluster, place)));
    steps.extend(targets.agent.iter().flat_map(|place| of_buffer(cluster, place)));
    let promtail = targets.promtail.iter().flat_map(|p| cluster.nodes.iter().flat_map(|n| of_promtail(cluster, n, p)));
    steps.extend(promtail);
    steps
}

/// A Secret without what is in it: when it was made, who owns it.
fn secret(cluster: &Cluster, place: &Place) -> Step {
    let Place { namespace, name } = place;
    let template = r#"{.metadata.name}{"\n"}{.metadata.creationTimestamp}{"\n"}{.metadata.ownerReferences}"#;
    let ask = kubectl(cluster).read(namespace, &["secret", name], template);
    question(
        cluster,
        &secret_of(place),
        &format!("look for the Secret {namespace}/{name} of"),
        ask,
        Want::Match(format!("^{name}$")),
    )
}

pub fn secret_of(place: &Place) -> String {
    format!("secret/{}/{}", place.namespace, place.name)
}

/// The Prometheus Agent: its pod, the flags it runs with, its own figures, and its volume. Paths and figures were read
/// off a real agent; an agent answers `status/flags` too, hidden flags included.
fn of_buffer(cluster: &Cluster, place: &Place) -> Vec<Step> {
    let Place { namespace, name } = place;
    let (kubectl, pod) = (kubectl(cluster), format!("{name}-0"));
    let through = |path: &str| kubectl.raw(&format!("/api/v1/namespaces/{namespace}/pods/{pod}:9090/proxy{path}"));
    let inside = |words: &[&str]| kubectl.exec(namespace, &pod, "prometheus-server", words);
    let one = kubectl.list("pods", &["--namespace", namespace, "--field-selector", &format!("metadata.name={pod}")]);
    let ask = |what: &str, doing: &str, command, want| {
        question(cluster, what, &format!("{doing} the Agent of"), command, want)
    };
    let flag = "/data/storage.agent.wal-truncate-frequency";
    let pages = r"^prometheus_tsdb_wal_completed_pages_total \S+$";
    vec![
        ask("agent", "look for", one, named()),
        ask("agent/flags", "read the flags of", through("/api/v1/status/flags"), Want::JsonPresent(flag.into())),
        ask("agent/metrics", "read the figures of", through("/metrics"), Want::Match(pages.into())),
        ask("agent/log", "measure the log of", inside(&["du", "-s", "-k", "/data/wal"]), Want::Match(r"^\d+\s".into())),
        ask(
            "agent/volume",
            "measure the volume of",
            inside(&["df", "-P", "-k", "/data"]),
            Want::Match("Available".into()),
        ),
    ]
}

/// Promtail on a node, and the configuration that it runs with; credentials in it are masked by Promtail itself.
fn of_promtail(cluster: &Cluster, node: &Node, place: &Place) -> [Step; 2] {
    let Place { namespace, name } = place;
    let selector = format!("app.kubernetes.io/name={name}");
    let path = |pod: &str| format!("/api/v1/namespaces/{namespace}/pods/{pod}:3101/proxy/config");
    let endless = Want::Match("max_retries: 0$".into());
    let doing = format!("ask Promtail on {} of", cluster.vm(node));
    on_node(cluster, node, ("promtail", namespace, &selector), &doing, &|pod| kubectl(cluster).raw(&path(pod)), endless)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trial {
    Good,
    Bad,
    Privileged,
}

/// A pod to be tried. The good one passes Pod Security `baseline` and every policy; the bad one passes Pod Security and
/// no policy; the privileged one passes the policies and not Pod Security.
fn pod(trial: Trial) -> String {
    let mut container = json!({ "name": "probe", "image": "registry.k8s.io/pause:3.10.1",
        "resources": { "requests": { "cpu": "1m", "memory": "1Mi" }, "limits": { "memory": "8Mi" } } });
    match trial {
        Trial::Good => {}
        Trial::Bad => container = json!({ "name": "probe", "image": "pause" }),
        Trial::Privileged => container["securityContext"] = json!({ "privileged": true }),
    }
    let metadata = json!({ "name": "contract-probe", "namespace": TRIED_IN });
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
        "spec": { "automountServiceAccountToken": false, "containers": [container] } })
    .to_string()
}
