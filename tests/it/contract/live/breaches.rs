//! Breaches of running clusters, one at a time, and the finding of each.

use serde_json::{Value, json};
use sim::{Condition, SimState};

pub type Breach = (&'static str, fn(&mut SimState), &'static str, &'static str);

fn policy(actions: &str, name: &str) -> Value {
    json!({ "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy", "metadata": { "name": name },
        "spec": { "validationActions": [actions] } })
}

fn namespace(name: &str, level: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": name, "labels": { "pod-security.kubernetes.io/enforce": level } } })
}

/// A Deployment in the sample's namespace.
fn deployment(image: &str, volumes: &Value) -> Value {
    let container = json!({ "name": "c", "image": image, "resources": { "requests": { "cpu": "1m", "memory": "1Mi" },
        "limits": { "memory": "2Mi" } } });
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "extra", "namespace": "sample" },
        "spec": { "replicas": 1, "template": { "metadata": { "labels": { "app": "extra" } },
            "spec": { "containers": [container], "volumes": volumes } } } })
}

fn runs(release: &str, pointer: &str, value: Value) -> Condition {
    Condition::RunsWith { release: release.into(), pointer: pointer.into(), value }
}

pub const BREACHES: [Breach; 24] = [
    (
        "a Deployment whose image is on the platform",
        |s| s.put("app1", &deployment("harbor.mgmt.local/extra:1", &json!([]))),
        "C1",
        "Deployment/extra on app1 (c1.references)|got   harbor.mgmt.local",
    ),
    (
        "a Deployment that never starts",
        |s| {
            let volume = json!([{ "name": "v", "secret": { "secretName": "nobody" } }]);
            s.put("app2", &deployment("docker.io/extra:1", &volume));
        },
        "C1",
        "Deployment/extra on app2 (c1.ready)|got   0 of 1",
    ),
    (
        "a workload of ours is gone",
        |s| s.inject("app1", Condition::Removed("deployment/sample/sample".into())),
        "C1",
        "Deployment/sample on app1 (c1.ready)|want  the workload is there",
    ),
    (
        "Promtail gives up after ten tries",
        |s| s.inject("app1", runs("promtail", "/config/clients/0/backoff_config/max_retries", json!(10))),
        "C1",
        "promtail on app1 (c1.logs)|got   given up after 10 tries",
    ),
    (
        "Promtail's positions are on a tmpfs",
        |s| s.inject("app2", runs("promtail", "/config/positions/filename", json!("/run/positions.yaml"))),
        "C1",
        "promtail on app2 (c1.logs)|got   /run/positions.yaml on no lasting path of the node",
    ),
    (
        "an Application prunes",
        |s| {
            let app = json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
                "metadata": { "name": "x", "namespace": "argocd" },
                "spec": { "syncPolicy": { "automated": { "prune": true } } } });
            s.put("mgmt", &app);
        },
        "C1",
        "Application/x on mgmt (c1.deliveries)|got   prune: true",
    ),
    (
        "the agent was killed",
        |s| s.inject("app1", Condition::AgentKilled("OOMKilled".into())),
        "C2",
        "prometheus-agent on app1 (c2.restarts)|last by OOMKilled (exit 137)",
    ),
    (
        "the agent has no pod",
        |s| s.inject("app2", Condition::Removed("pod/monitoring/prometheus-agent-0".into())),
        "C2",
        "prometheus-agent on app2 (c2.restarts)|got   it has no pod",
    ),
    (
        "the log grows faster than promised",
        |s| s.inject("app1", Condition::WalBytesPerSecond(60 << 10)),
        "C2",
        "prometheus-agent on app1 (c2.measured)|want  no loss for 2.7 h: less than 36.41 KiB/s written",
    ),
    (
        "the agent runs with older flags",
        |s| {
            let flags = json!(["--agent", "--storage.agent.wal-truncate-frequency=1h"]);
            s.inject("app2", runs("prometheus-agent", "/server/defaultFlagsOverride", flags));
        },
        "C2",
        "prometheus-agent on app2 (c2.flags)|got   1 h",
    ),
    (
        "the Secret is gone",
        |s| s.inject("app1", Condition::Removed("secret/sample/sample-credentials".into())),
        "C3",
        "Secret/sample-credentials on app1 (c3.present)|got   nothing",
    ),
    (
        "the ExternalSecret is gone",
        |s| s.inject("app1", Condition::Removed("externalsecret/sample/sample-credentials".into())),
        "C3",
        "(c3.present)|got   nothing",
    ),
    (
        "the Secret belongs to its ExternalSecret",
        |s| {
            let owner = json!({ "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret",
                "metadata": { "name": "sample-credentials", "namespace": "sample" },
                "spec": { "target": { "creationPolicy": "Owner" } } });
            s.put("app2", &owner);
        },
        "C3",
        "ExternalSecret/sample-credentials on app2 (c3.keeping)|got   Owner",
    ),
    (
        "the store does not reach Vault",
        |s| s.inject("app1", Condition::PacketsLost),
        "C3",
        "ClusterSecretStore/vault on app1 (c3.store)|got   InvalidProviderConfig",
    ),
    (
        "a webhook of Kyverno on the platform",
        |s| {
            let hook = json!({ "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingWebhookConfiguration",
                "metadata": { "name": "kyverno-policy-validating-webhook-cfg" }, "webhooks": [] });
            s.put("mgmt", &hook);
        },
        "C4",
        "ValidatingWebhookConfiguration/kyverno-policy-validating-webhook-cfg on mgmt (c4.placement)|got   a webhook",
    ),
    (
        "resources of Kyverno on the platform",
        |s| {
            let crd = json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": { "name": "clusterpolicies.kyverno.io" }, "spec": { "scope": "Cluster",
                    "names": { "kind": "ClusterPolicy" }, "versions": [{ "name": "v1", "served": true }] } });
            s.put("mgmt", &crd);
        },
        "C4",
        "clusterpolicies.kyverno.io on mgmt (c4.placement)|got   1 of its resources",
    ),
    (
        "a policy only audits",
        |s| s.put("app1", &policy("Audit", "resources")),
        "C4",
        "ValidatingPolicy/resources on app1 (c4.enforced)|got   [Audit]",
    ),
    (
        "every policy only audits, and a bad pod gets in",
        |s| ["resources", "image-tags", "image-registries"].iter().for_each(|p| s.put("app2", &policy("Audit", p))),
        "C4",
        "a pod that breaks every policy on app2 (c4.tried)|got   it was let in",
    ),
    (
        "a policy is gone",
        |s| s.inject("app1", Condition::Removed("validatingpolicy//image-tags".into())),
        "C4",
        "ValidatingPolicy/image-tags on app1 (c4.enforced)|want  the policy is there",
    ),
    (
        "the webhook is gone",
        |s| {
            let name = "validatingwebhookconfiguration//kyverno-resource-validating-webhook-cfg";
            s.inject("app2", Condition::Removed(name.into()));
        },
        "C4",
        "kyverno on app2 (c4.webhook)|got   none",
    ),
    (
        "a namespace was relabelled",
        |s| s.put("app1", &namespace("sample", "privileged")),
        "C4",
        "Namespace/sample on app1 (c4.pod-security)|got   privileged",
    ),
    (
        "a privileged pod gets in",
        |s| s.put("mgmt", &namespace("default", "privileged")),
        "C4",
        "a privileged pod in default on mgmt (c4.pod-security)|got   it was let in",
    ),
    (
        "the ConfigMap says vxlan, an agent runs geneve",
        |s| s.inject("app1", Condition::AgentTunnel { node: "app1-w1".into(), tunnel: "geneve".into() }),
        "C5",
        "agent on app1-w1 on app1 (c5.agents)|says: tunnel geneve",
    ),
    (
        "a node without an agent",
        |s| s.inject("mgmt", Condition::NoAgentOn("mgmt-cp".into())),
        "C5",
        "mgmt-cp on mgmt (c5.agents)|want  one agent of Cilium on the node",
    ),
];
