//! What is asked of every workload cluster three times: before the platform goes, before it comes back, and at the end.

use super::super::{Plan, Step, Want};
use super::{ASKER, SPACE, apps, id, kube_path, kubectl, plan, tools};
use model::fleet::{Cluster, Fleet};
use render::Files;
use render::drill::REFUSED;
use tool::cilium::Cilium;
use tool::{Command, Limits, Tool};

use super::super::bootstrap::KUBECONFIG;

/// The questions, by what they are called in step ids.
pub const LOOKS: [&str; 7] = ["secret", "store", "agents", "refused", "metrics", "workload", "requests"];
/// What the agent says of itself. An agent answers no query (`prometheus --agent` has no storage to ask).
const METRICS: &str = "/api/v1/namespaces/monitoring/pods/prometheus-agent-0:9090/proxy/metrics";

/// The object that copies the secret: when it last did so, and whether that went well.
pub(super) fn external_secret(cluster: &Cluster) -> Command {
    let template = r#"{.status.refreshTime} {.status.conditions[?(@.type=="Ready")].status}"#;
    kubectl(cluster).read(SPACE, &["externalsecrets.external-secrets.io", "sample-credentials"], template)
}

/// Every question to every workload cluster.
pub fn look(fleet: &Fleet, files: &Files) -> Plan {
    let mut steps = tools(fleet);
    steps.extend(apps(fleet).flat_map(of_cluster));
    plan(steps, files)
}

fn of_cluster(cluster: &Cluster) -> Vec<Step> {
    let kubectl = kubectl(cluster);
    // Not what is in it: that it is the same object in the same version.
    let version = "{.metadata.uid} {.metadata.resourceVersion}";
    // A new generation is a new wish of somebody; pods that come and go are none (Kubernetes API conventions).
    let generation = "{.metadata.uid} {.metadata.generation}";
    let asks = [
        (
            "secret",
            "read the version of the secret on",
            kubectl.read(SPACE, &["secret", "sample-credentials"], version),
        ),
        ("store", "ask how the secret is kept on", external_secret(cluster)),
        ("agents", "ask how agents carry packets on", Cilium::with(&format!("out/{KUBECONFIG}")).status(&cluster.name)),
        ("refused", "offer a pod that policies forbid to", kubectl.offer("-").fed(REFUSED)),
        ("metrics", "read what the agent has sent from", kubectl.raw(METRICS)),
        ("workload", "read the version of the sample on", kubectl.read(SPACE, &["deployment", "sample"], generation)),
        ("requests", "read what was asked on", kubectl.logs(SPACE, ASKER, None)),
    ];
    let step = |(what, doing, ask): (&str, &str, Command)| {
        let tool = if ask.tool == Tool::Cilium { "host/cilium" } else { "host/kubectl" };
        Step::new(id(cluster, what), format!("{doing} {}", cluster.name), ask, Want::Exit(0))
            .needs([tool])
            .limits(Limits::QUICK.attempts(1, 2))
            .hint(format!("kubectl --kubeconfig {} get pods --all-namespaces", kube_path(cluster)))
    };
    asks.into_iter().map(step).collect()
}
