//! The charts of the platform, as their pinned values render: pods, what those need, CRDs, hooks.
//! Knows nothing of clusters. Rendered with Helm 4.1.4 and 3.18.0; names and kinds are the same with both.

use super::super::clockwork::pull;

/// What a chart puts into a cluster. `{r}` is the release's name.
#[derive(Debug, Clone, Copy)]
pub struct Chart {
    pub name: &'static str,
    /// Where it is published: an index, or an OCI folder with the chart's name at its end.
    pub from: &'static [&'static str],
    pub pods: &'static [Pods],
    /// Full name, kind and version. Only as far as anything waits for them or uses them.
    pub crds: &'static [(&'static str, &'static str, &'static str)],
    /// Its hook Job: Helm 3 and 4 wait for it also without `--wait` (measured).
    pub hook: Option<Hook>,
}

/// A hook Job.
#[derive(Debug, Clone, Copy)]
pub struct Hook {
    pub name: &'static str,
    /// Before everything else of the chart is made; otherwise after it is ready.
    pub before: bool,
    /// Pointers to its memory requests.
    pub memory: &'static [&'static str],
    /// A Secret that the Job makes.
    pub makes: &'static str,
}

/// Pods with a controller. Pointers are JSON pointers into the values; `*` stands for every entry.
#[derive(Debug, Clone, Copy)]
pub struct Pods {
    pub kind: &'static str,
    pub name: &'static str,
    /// A switch: not made if it says `false`, nor, with `+` before it, if it says nothing.
    pub only: &'static str,
    /// How many; one if nothing is said.
    pub replicas: &'static str,
    /// On the host's network: needs no CNI, and no ready node.
    pub host_network: bool,
    /// What PodSecurity `baseline` says against it (measured); nothing if it is let in.
    pub offends: &'static str,
    /// The `resources` of its containers; their memory requests are added up.
    pub memory: &'static [&'static str],
    /// A claim, and the pointer to its storage class.
    pub claim: Option<(&'static str, &'static str)>,
    /// Pointers to names of Secrets without which it does not start. Without `/` it is the name itself.
    pub secrets: &'static [&'static str],
    /// The same of ConfigMaps.
    pub configs: &'static [&'static str],
    /// Seconds until its images are there.
    pub pull: u64,
}

const fn pods(kind: &'static str, name: &'static str, memory: &'static [&'static str], pull: u64) -> Pods {
    Pods {
        kind,
        name,
        only: "",
        replicas: "",
        host_network: false,
        offends: "",
        memory,
        claim: None,
        secrets: &[],
        configs: &[],
        pull,
    }
}

const fn chart(name: &'static str, from: &'static [&'static str], pods: &'static [Pods]) -> Chart {
    Chart { name, from, pods, crds: &[], hook: None }
}

const HOST: &str = "host namespaces (hostNetwork=true)";
const OPERATOR: &str = "host namespaces (hostNetwork=true), hostPort (container \"cilium-operator\" uses hostPorts \
    9234, 9963), probe or lifecycle host (container \"cilium-operator\" uses probe or lifecycle host \"127.0.0.1\")";
const EXPORTER: &str = "host namespaces (hostNetwork=true, hostPID=true), hostPath volumes (volumes \"proc\", \"sys\", \
    \"root\"), hostPort (container \"node-exporter\" uses hostPort 9100)";
const PROMTAIL: &str = "hostPath volumes (volumes \"positions\", \"pods\")";

/// The charts.
pub const CHARTS: &[Chart] = &[
    chart(
        "cilium",
        &["https://helm.cilium.io", "oci://quay.io/cilium/charts"],
        &[
            Pods { host_network: true, offends: HOST, ..pods("DaemonSet", "cilium", &["/resources"], pull::CILIUM) },
            Pods {
                host_network: true,
                offends: HOST,
                ..pods("DaemonSet", "cilium-envoy", &["/envoy/resources"], pull::CILIUM)
            },
            Pods {
                host_network: true,
                offends: OPERATOR,
                ..pods("Deployment", "cilium-operator", &["/operator/resources"], pull::CILIUM)
            },
            Pods {
                only: "+/clustermesh/useAPIServer",
                replicas: "/clustermesh/apiserver/replicas",
                ..pods(
                    "Deployment",
                    "clustermesh-apiserver",
                    &[
                        "/clustermesh/apiserver/resources",
                        "/clustermesh/apiserver/kvstoremesh/resources",
                        "/clustermesh/apiserver/etcd/resources",
                    ],
                    pull::SMALL,
                )
            },
        ],
    ),
    chart(
        "local-path-provisioner",
        &["oci://ghcr.io/rancher/local-path-provisioner/charts"],
        &[pods("Deployment", "local-path-provisioner", &["/resources"], pull::SMALL)],
    ),
    chart(
        "prometheus",
        &["https://prometheus-community.github.io/helm-charts", "oci://ghcr.io/prometheus-community/charts"],
        &[
            Pods {
                claim: Some(("storage-volume-{r}-0", "/server/persistentVolume/storageClass")),
                ..pods(
                    "StatefulSet",
                    "{r}",
                    &["/server/resources", "/configmapReload/prometheus/resources"],
                    pull::MIDDLE,
                )
            },
            Pods {
                only: "/prometheus-node-exporter/enabled",
                host_network: true,
                offends: EXPORTER,
                ..pods(
                    "DaemonSet",
                    "{r}-prometheus-node-exporter",
                    &["/prometheus-node-exporter/resources"],
                    pull::SMALL,
                )
            },
        ],
    ),
    chart(
        "thanos",
        &["https://thanos-community.github.io/helm-charts", "oci://ghcr.io/thanos-community/helm-charts"],
        &[
            pods("Deployment", "thanos-query", &["/query/resources"], pull::MIDDLE),
            Pods {
                claim: Some(("data-thanos-receive-0", "/receive/persistence/storageClass")),
                secrets: &["/global/objstore/secretName"],
                ..pods("StatefulSet", "thanos-receive", &["/receive/resources"], pull::MIDDLE)
            },
        ],
    ),
    chart(
        "loki",
        &["https://grafana-community.github.io/helm-charts", "oci://ghcr.io/grafana-community/helm-charts"],
        &[Pods {
            claim: Some(("storage-loki-0", "/singleBinary/persistence/storageClass")),
            ..pods("StatefulSet", "loki", &["/singleBinary/resources"], pull::SMALL)
        }],
    ),
    chart(
        "grafana",
        &["https://grafana-community.github.io/helm-charts", "oci://ghcr.io/grafana-community/helm-charts"],
        &[Pods {
            claim: Some(("grafana", "/persistence/storageClassName")),
            secrets: &["/admin/existingSecret"],
            configs: &["/dashboardsConfigMaps/*"],
            ..pods("Deployment", "grafana", &["/resources"], pull::LARGE)
        }],
    ),
    chart(
        "promtail",
        &["https://grafana.github.io/helm-charts"],
        &[Pods { offends: PROMTAIL, ..pods("DaemonSet", "promtail", &["/resources"], pull::MIDDLE) }],
    ),
    chart(
        "vault",
        &["https://helm.releases.hashicorp.com"],
        &[Pods {
            claim: Some(("data-vault-0", "/server/dataStorage/storageClass")),
            ..pods("StatefulSet", "vault", &["/server/resources"], pull::LARGE)
        }],
    ),
    Chart {
        crds: &[
            ("clustersecretstores.external-secrets.io", "ClusterSecretStore", "v1"),
            ("externalsecrets.external-secrets.io", "ExternalSecret", "v1"),
            ("secretstores.external-secrets.io", "SecretStore", "v1"),
        ],
        ..chart(
            "external-secrets",
            &["https://charts.external-secrets.io"],
            &[pods("Deployment", "external-secrets", &["/resources"], pull::MIDDLE)],
        )
    },
    Chart {
        crds: &[
            ("validatingpolicies.policies.kyverno.io", "ValidatingPolicy", "v1"),
            ("policyexceptions.policies.kyverno.io", "PolicyException", "v1"),
            ("clusterpolicies.kyverno.io", "ClusterPolicy", "v1"),
        ],
        ..chart(
            "kyverno",
            &["https://kyverno.github.io/kyverno"],
            &[pods(
                "Deployment",
                "kyverno-admission-controller",
                &["/admissionController/container/resources"],
                pull::MIDDLE,
            )],
        )
    },
    chart("kyverno-policies", &["https://kyverno.github.io/kyverno"], &[]),
    Chart {
        crds: &[
            ("applications.argoproj.io", "Application", "v1alpha1"),
            ("applicationsets.argoproj.io", "ApplicationSet", "v1alpha1"),
            ("appprojects.argoproj.io", "AppProject", "v1alpha1"),
        ],
        hook: Some(Hook {
            name: "argocd-redis-secret-init",
            before: true,
            memory: &["/redisSecretInit/resources"],
            makes: "argocd-redis",
        }),
        ..chart(
            "argo-cd",
            &["https://argoproj.github.io/argo-helm", "oci://ghcr.io/argoproj/argo-helm"],
            &[
                Pods {
                    replicas: "/applicationSet/replicas",
                    ..pods(
                        "Deployment",
                        "argocd-applicationset-controller",
                        &["/applicationSet/resources"],
                        pull::LARGE,
                    )
                },
                Pods {
                    secrets: &["argocd-redis"],
                    ..pods("Deployment", "argocd-repo-server", &["/repoServer/resources"], pull::LARGE)
                },
                Pods {
                    secrets: &["argocd-redis"],
                    ..pods("Deployment", "argocd-server", &["/server/resources"], pull::LARGE)
                },
                Pods {
                    secrets: &["argocd-redis"],
                    ..pods("Deployment", "argocd-redis", &["/redis/resources"], pull::SMALL)
                },
                Pods {
                    secrets: &["argocd-redis"],
                    ..pods("StatefulSet", "argocd-application-controller", &["/controller/resources"], pull::LARGE)
                },
            ],
        )
    },
    Chart {
        hook: Some(Hook {
            name: "seaweedfs-bucket-hook",
            before: false,
            memory: &["/allInOne/s3/createBucketsHook/resources"],
            makes: "",
        }),
        ..chart(
            "seaweedfs",
            &["https://seaweedfs.github.io/seaweedfs/helm"],
            &[Pods {
                claim: Some(("seaweedfs-all-in-one-data", "/allInOne/data/storageClass")),
                secrets: &["/allInOne/secretExtraEnvironmentVars/*/secretKeyRef/name"],
                ..pods("Deployment", "seaweedfs-all-in-one", &["/allInOne/resources"], pull::MIDDLE)
            }],
        )
    },
    Chart {
        crds: &[
            ("backups.velero.io", "Backup", "v1"),
            ("schedules.velero.io", "Schedule", "v1"),
            ("backupstoragelocations.velero.io", "BackupStorageLocation", "v1"),
        ],
        hook: Some(Hook { name: "velero-upgrade-crds", before: true, memory: &["/upgradeJobResources"], makes: "" }),
        ..chart(
            "velero",
            &["https://vmware-tanzu.github.io/helm-charts"],
            &[Pods {
                secrets: &["/credentials/extraSecretRef"],
                ..pods("Deployment", "velero", &["/resources"], pull::MIDDLE)
            }],
        )
    },
];

/// The chart of that name.
pub fn find(name: &str) -> Option<&'static Chart> {
    CHARTS.iter().find(|c| c.name == name)
}
