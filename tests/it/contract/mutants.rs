//! Mutants of the shipped data: one change each, caught by one clause.

use contract::Clause::{self, C1, C2, C3, C4, C5};

pub(super) struct Mutant {
    pub(super) name: &'static str,
    pub(super) owner: Clause,
    pub(super) file: &'static str,
    /// Text that stands there; its first occurrence is replaced.
    pub(super) from: &'static str,
    pub(super) to: &'static str,
}

const fn m(owner: Clause, name: &'static str, file: &'static str, from: &'static str, to: &'static str) -> Mutant {
    Mutant { name, owner, file, from, to }
}

const AGENT: &str = "charts/prometheus-agent/values.yaml";
const CILIUM: &str = "charts/cilium/values.yaml";
const KYVERNO: &str = "charts/kyverno/values.yaml";
const LOKI: &str = "charts/loki/values.yaml";
const MESH: &str = "infra/manifests/mesh-services.yaml";
const POLICIES: &str = "infra/manifests/policies.yaml";
const PROMTAIL: &str = "charts/promtail/values.yaml";
const RELEASES: &str = "charts/releases.toml";
const SAMPLE: &str = "infra/manifests/sample.yaml";
const SECRETS: &str = "charts/external-secrets/values.yaml";
const STORES: &str = "infra/manifests/secret-stores.yaml";
const THANOS: &str = "charts/thanos/values.yaml";
const SPACES_MGMT: &str = "infra/manifests/namespaces-platform.yaml";
const SPACES: &str = "infra/manifests/namespaces-workload.yaml";
const ARGO: &str = "infra/manifests/argocd-apps.yaml";
const RECEIVER: &str = "http://thanos-receive.monitoring.svc.cluster.local:19291/api/v1/receive";
const IMAGE: &str = "ghcr.io/stefanprodan/podinfo:6.14.1";
const UI: &str = "  PODINFO_UI_COLOR: \"#34577c\"";
const KYVERNO_ON: &str =
    "clusters = [\"workload\"]\nnamespace = \"kyverno\"\nwave = 7\nneeds = [\"namespaces-workload\", \"cilium\"]";
const KYVERNO_EVERYWHERE: &str =
    "clusters = [\"platform\", \"workload\"]\nnamespace = \"kyverno\"\nwave = 8\nneeds = [\"cilium\"]";
const A_POLICY: &str =
    "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata:\n  name: stray\n---\napiVersion: v1\n";
const GLOBAL: &str = "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: orders\n  namespace: sample\n  \
                      annotations:\n    service.cilium.io/global: \"true\"\nspec:\n  ports:\n    - port: 80\n---\n\
                      apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n";
const HOOK: &str = "---\napiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\n\
                    metadata:\n  name: central\nwebhooks:\n  - name: central.sample.io\n    clientConfig:\n      \
                    service:\n        name: vault\n        namespace: vault\n---\n\
                    apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n";
const GATEWAY: &str = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n";

pub(super) const MUTANTS: &[Mutant] = &[
    m(C1, "an app pulls from Harbor on mgmt", SAMPLE, IMAGE, "harbor.mgmt.local/library/podinfo:6.14.1"),
    m(C1, "an app pulls from a registry by address", SAMPLE, IMAGE, "192.168.64.1:8082/library/podinfo:6.14.1"),
    m(C1, "an app pulls from a registry of its own", SAMPLE, IMAGE, "registry.corp.example/podinfo:6.14.1"),
    m(C1, "an agent pulls from a registry of its own", PROMTAIL, "registry: docker.io", "registry: harbor.local"),
    m(C1, "remote_write to an IP", AGENT, RECEIVER, "http://192.168.64.10:19291/api/v1/receive"),
    m(C1, "remote_write to the machine's name", AGENT, RECEIVER, "http://mgmt-w1:30291/api/v1/receive"),
    m(C1, "remote_write to a name without a Service here", AGENT, RECEIVER, "http://gw.argocd.svc:80/api/v1/receive"),
    m(C1, "logs pushed to an address of mgmt", PROMTAIL, "loki.monitoring.svc.cluster.local:3100", "10.96.7.7:3100"),
    m(C1, "an app asks Vault itself", SAMPLE, UI, "  VAULT_ADDR: http://vault.vault.svc.cluster.local:8200"),
    m(C1, "an app logs to Loki itself", SAMPLE, UI, "  LOKI: http://loki.monitoring:3100"),
    m(C1, "an app calls mgmt's API server", SAMPLE, UI, "  API: https://mgmt-api:6443"),
    m(C1, "an app names a host of mgmt", SAMPLE, UI, "  FLAGS: flags.mgmt.internal:8080"),
    m(C1, "an app calls a pod of mgmt", SAMPLE, UI, "  PEER: 10.100.1.5:8080"),
    m(C1, "a route goes to the platform", SAMPLE, "        - name: sample\n          port: 80", ROUTE),
    m(C1, "a global Service without a local fallback", SAMPLE, GATEWAY, GLOBAL),
    m(C1, "a webhook whose backend is on mgmt", SAMPLE, GATEWAY, HOOK),
    m(C1, "a pod that waits for its Secret", SAMPLE, "            optional: true", "            optional: false"),
    m(
        C1,
        "secrets fetched from mgmt's machine",
        STORES,
        "http://vault.vault.svc.cluster.local:8200",
        "http://mgmt-cp:8200",
    ),
    m(C1, "one replica of the witness", SAMPLE, "replicas: 2", "replicas: 1"),
    m(C1, "a node configured to ask mgmt", "infra/node/chrony.conf", "", "server mgmt-cp iburst\n"),
    m(C1, "Promtail's positions on a tmpfs", PROMTAIL, "path: /var/lib/promtail", "path: /run/promtail"),
    m(C1, "Promtail gives up after ten tries", PROMTAIL, "max_retries: 0", "max_retries: 10"),
    m(C1, "Promtail drops what comes fast", PROMTAIL, "readline_rate_drop: false", "readline_rate_drop: true"),
    m(C1, "nothing that ships logs", RELEASES, "chart = \"promtail\"", "chart = \"fluent-bit\""),
    m(C1, "Loki refuses lines of an hour ago", LOKI, "max_age: 168h", "max_age: 1h"),
    m(C1, "Argo CD prunes", ARGO, "prune: false", "prune: true"),
    m(
        C1,
        "Argo CD deletes with its Application",
        ARGO,
        "preserveResourcesOnDeletion: true",
        "preserveResourcesOnDeletion: false",
    ),
    m(C1, "Argo CD deletes Applications", ARGO, "applicationsSync: create-update", "applicationsSync: sync"),
    m(C2, "truncated every hour", AGENT, "frequency=3h", "frequency=1h"),
    m(C2, "truncated every 80 minutes", AGENT, "frequency=3h", "frequency=1h20m"),
    m(C2, "a period that is no duration", AGENT, "frequency=3h", "frequency=three"),
    m(
        C2,
        "the log on an emptyDir",
        AGENT,
        "  persistentVolume:\n    enabled: true",
        "  persistentVolume:\n    enabled: false",
    ),
    m(
        C2,
        "a Deployment that moves from its volume",
        AGENT,
        "  statefulSet:\n    enabled: true",
        "  statefulSet:\n    enabled: false",
    ),
    m(C2, "a volume smaller than the log", AGENT, "size: 2Gi", "size: 256Mi"),
    m(C2, "series forgotten after an hour", AGENT, "max-time=8h", "max-time=1h"),
    m(C2, "killed before it has flushed", AGENT, "GracePeriodSeconds: 120", "GracePeriodSeconds: 30"),
    m(C2, "a flush longer than the grace period", AGENT, "flush-deadline=1m", "flush-deadline=5m"),
    m(
        C2,
        "killed for memory while catching up",
        AGENT,
        "      memory: 256Mi\n  # Last",
        "      memory: 128Mi\n  # Last",
    ),
    m(
        C2,
        "evicted like any other pod",
        AGENT,
        "  priorityClassName: system-cluster-critical",
        "  priorityClassName: low",
    ),
    m(C2, "a nervous liveness probe", AGENT, "livenessProbeFailureThreshold: 20", "livenessProbeFailureThreshold: 3"),
    m(
        C2,
        "samples given up after an hour",
        AGENT,
        "        capacity: 2500",
        "        sample_age_limit: 1h\n        capacity: 2500",
    ),
    m(C2, "no receiver", AGENT, WRITES, "  remoteWrite: []\n  unused:\n    - queue_config:"),
    m(C2, "a job without a ceiling", AGENT, "    sample_limit: 3000", "    sample_limit: 0"),
    m(C2, "node jobs that fill the log", AGENT, "sample_limit: 10000", "sample_limit: 100000"),
    m(C2, "a full Prometheus instead of an agent", AGENT, "    - --agent\n", ""),
    m(C2, "the receiver refuses old samples", THANOS, "time-window=12h", "time-window=1h"),
    m(C2, "no out-of-order window at all", THANOS, "    - --tsdb.out-of-order.time-window=12h\n", ""),
    m(C2, "the receiver forgets within hours", THANOS, "retention: 7d", "retention: 2h"),
    m(
        C2,
        "the receiver keeps nothing",
        THANOS,
        "  persistence:\n    enabled: true",
        "  persistence:\n    enabled: false",
    ),
    m(C2, "the receiver hidden from the mesh", THANOS, "global: \"true\"", "global: \"false\""),
    m(C2, "the receiver on another port", THANOS, "remoteWritePort: 19291", "remoteWritePort: 10908"),
    m(C2, "ports that the mesh cannot pair", MESH, "name: remote-write", "name: http"),
    m(C3, "asked every five minutes", STORES, "refreshInterval: 1h0m0s", "refreshInterval: 5m"),
    m(C3, "asked once a day", STORES, "refreshInterval: 1h0m0s", "refreshInterval: 24h"),
    m(C3, "never asked again", STORES, "refreshInterval: 1h0m0s", "refreshInterval: 0s"),
    m(C3, "asked only when it changes here", STORES, "refreshPolicy: Periodic", "refreshPolicy: OnChange"),
    m(C3, "deletionPolicy Delete", STORES, "deletionPolicy: Retain", "deletionPolicy: Delete"),
    m(C3, "deletionPolicy Merge", STORES, "deletionPolicy: Retain", "deletionPolicy: Merge"),
    m(C3, "the Secret goes with its object", STORES, "creationPolicy: Orphan", "creationPolicy: Owner"),
    m(C3, "nobody makes the Secret", STORES, "creationPolicy: Orphan", "creationPolicy: None"),
    m(
        C3,
        "a store that is not there",
        STORES,
        "    kind: ClusterSecretStore\n    name: vault",
        "    kind: ClusterSecretStore\n    name: vaults",
    ),
    m(
        C3,
        "the store refreshes itself",
        STORES,
        "spec:\n  retrySettings",
        "spec:\n  refreshInterval: 60\n  retrySettings",
    ),
    m(C3, "a silent store asked every second", SECRETS, "storeRequeueInterval: 5m", "storeRequeueInterval: 1s"),
    m(C3, "a silent store asked once a day", SECRETS, "storeRequeueInterval: 5m", "storeRequeueInterval: 24h"),
    m(C3, "no resource for stores", SECRETS, "createClusterSecretStore: true", "createClusterSecretStore: false"),
    m(C4, "Kyverno on mgmt", RELEASES, KYVERNO_ON, KYVERNO_EVERYWHERE),
    m(C4, "a policy on mgmt", SPACES_MGMT, "apiVersion: v1\n", A_POLICY),
    m(C4, "another admission controller", RELEASES, "chart = \"kyverno\"", "chart = \"gatekeeper\""),
    m(C4, "a policy that only audits", POLICIES, "    - Deny", "    - Audit"),
    m(C4, "a policy that only warns", POLICIES, "    - Deny", "    - Warn"),
    m(C4, "a policy that fails open", POLICIES, "failurePolicy: Fail", "failurePolicy: Ignore"),
    m(C4, "a policy that is never asked", POLICIES, "          - CREATE\n          - UPDATE", "          - DELETE"),
    m(C4, "a policy about everything", POLICIES, "          - pods\n", "          - \"*\"\n"),
    m(C4, "a policy about nodes", POLICIES, "          - pods\n", "          - pods\n          - nodes\n"),
    m(
        C4,
        "every policy made advice",
        KYVERNO,
        "forceFailurePolicyIgnore:\n    enabled: false",
        "forceFailurePolicyIgnore:\n    enabled: true",
    ),
    m(
        C4,
        "nodes cannot register",
        KYVERNO,
        "excludeBootstrapResources:\n    enabled: true",
        "excludeBootstrapResources:\n    enabled: false",
    ),
    m(C4, "Kyverno Fail on its own namespace", KYVERNO, "            - kyverno\n", ""),
    m(
        C4,
        "Kyverno guards itself by its own switch",
        KYVERNO,
        "excludeKyvernoNamespace: true",
        "excludeKyvernoNamespace: false",
    ),
    m(C4, "Kyverno Fail on kube-system", KYVERNO, "            - kube-system\n", ""),
    m(C4, "the selector turned round", KYVERNO, "operator: NotIn", "operator: In"),
    m(
        C4,
        "a workload left out of the webhook",
        KYVERNO,
        "            - kube-public\n",
        "            - kube-public\n            - sample\n",
    ),
    m(
        C4,
        "Kyverno waits behind workloads",
        KYVERNO,
        "  priorityClassName: system-cluster-critical",
        "  priorityClassName: low",
    ),
    m(C4, "no replica that admits", KYVERNO, "replicas: 1", "replicas: 0"),
    m(
        C4,
        "Kyverno before what it must not block",
        RELEASES,
        "namespace = \"kyverno\"\nwave = 7",
        "namespace = \"kyverno\"\nwave = 4",
    ),
    m(C4, "a namespace without Pod Security", SPACES, BASELINE, "  name: sample"),
    m(C4, "a privileged namespace for workloads", SPACES, BASELINE, PRIVILEGED),
    m(C4, "a privileged namespace on mgmt", SPACES_MGMT, "enforce: baseline", "enforce: privileged"),
    m(C5, "native routing", CILIUM, "routingMode: tunnel", "routingMode: native"),
    m(C5, "no routing mode", CILIUM, "routingMode: tunnel\n", ""),
    m(C5, "geneve", CILIUM, "tunnelProtocol: vxlan", "tunnelProtocol: geneve"),
    m(C5, "no tunnel protocol", CILIUM, "tunnelProtocol: vxlan\n", ""),
    m(C5, "the key of older guides", CILIUM, "routingMode: tunnel", "routingMode: tunnel\ntunnel: vxlan"),
    m(C5, "routes beside the tunnel", CILIUM, "routingMode: tunnel", "routingMode: tunnel\nautoDirectNodeRoutes: true"),
    m(
        C5,
        "a range that is routed natively",
        CILIUM,
        "routingMode: tunnel",
        "routingMode: tunnel\nipv4NativeRoutingCIDR: 10.0.0.0/8",
    ),
    m(C5, "pods from the default range everywhere", CILIUM, "  mode: kubernetes", "  mode: cluster-pool"),
    m(C5, "another network than Cilium", RELEASES, "chart = \"cilium\"", "chart = \"calico\""),
];
const BASELINE: &str = "  name: sample\n  labels:\n    pod-security.kubernetes.io/enforce: baseline";
const PRIVILEGED: &str = "  name: sample\n  labels:\n    pod-security.kubernetes.io/enforce: privileged";
const WRITES: &str = "  remoteWrite:\n    # A global Service of the mesh: the name is local, the pod behind it runs \
                      on the platform cluster.\n    - url: \
                      http://thanos-receive.monitoring.svc.cluster.local:19291/api/v1/receive\n      queue_config:";
const ROUTE: &str = "        - name: loki\n          namespace: monitoring\n          port: 3100";
