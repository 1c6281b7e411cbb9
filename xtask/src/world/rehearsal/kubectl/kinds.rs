//! Kinds of the simulated API server: those built in, and those that CRDs add.
//! Knows nothing of objects.

use super::super::cluster::Cluster;

/// A kind that the API server serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// As in manifests: `DaemonSet`.
    pub kind: String,
    /// As in URLs: `daemonsets`.
    pub plural: String,
    /// `apps`, or nothing for the core group.
    pub group: String,
    pub namespaced: bool,
}

impl Kind {
    /// As kubectl names it in output: `daemonset.apps`.
    pub fn shown(&self) -> String {
        let kind = self.kind.to_lowercase();
        if self.group.is_empty() { kind } else { format!("{kind}.{}", self.group) }
    }
}

/// Kind, plural, group, namespaced, short name.
const BUILT_IN: &[(&str, &str, &str, bool, &str)] = &[
    ("ConfigMap", "configmaps", "", true, "cm"),
    ("Event", "events", "", true, "ev"),
    ("Namespace", "namespaces", "", false, "ns"),
    ("Node", "nodes", "", false, "no"),
    ("PersistentVolume", "persistentvolumes", "", false, "pv"),
    ("PersistentVolumeClaim", "persistentvolumeclaims", "", true, "pvc"),
    ("Pod", "pods", "", true, "po"),
    ("Secret", "secrets", "", true, "secret"),
    ("Service", "services", "", true, "svc"),
    ("ServiceAccount", "serviceaccounts", "", true, "sa"),
    ("DaemonSet", "daemonsets", "apps", true, "ds"),
    ("Deployment", "deployments", "apps", true, "deploy"),
    ("StatefulSet", "statefulsets", "apps", true, "sts"),
    ("CronJob", "cronjobs", "batch", true, "cj"),
    ("Job", "jobs", "batch", true, "job"),
    ("PodDisruptionBudget", "poddisruptionbudgets", "policy", true, "pdb"),
    ("NetworkPolicy", "networkpolicies", "networking.k8s.io", true, "netpol"),
    ("ServiceCIDR", "servicecidrs", "networking.k8s.io", false, "servicecidr"),
    ("ClusterRole", "clusterroles", "rbac.authorization.k8s.io", false, "clusterrole"),
    ("ClusterRoleBinding", "clusterrolebindings", "rbac.authorization.k8s.io", false, "clusterrolebinding"),
    ("Role", "roles", "rbac.authorization.k8s.io", true, "role"),
    ("RoleBinding", "rolebindings", "rbac.authorization.k8s.io", true, "rolebinding"),
    ("StorageClass", "storageclasses", "storage.k8s.io", false, "sc"),
    ("CustomResourceDefinition", "customresourcedefinitions", "apiextensions.k8s.io", false, "crd"),
    (
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        "admissionregistration.k8s.io",
        false,
        "validatingwebhookconfiguration",
    ),
    (
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        "admissionregistration.k8s.io",
        false,
        "mutatingwebhookconfiguration",
    ),
    ("ValidatingAdmissionPolicy", "validatingadmissionpolicies", "admissionregistration.k8s.io", false, "vap"),
    (
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        "admissionregistration.k8s.io",
        false,
        "vapb",
    ),
];

/// Versions of the built-in groups.
const VERSIONS: &[&str] = &[
    "v1",
    "apps/v1",
    "batch/v1",
    "networking.k8s.io/v1",
    "policy/v1",
    "rbac.authorization.k8s.io/v1",
    "storage.k8s.io/v1",
    "apiextensions.k8s.io/v1",
    "admissionregistration.k8s.io/v1",
];

fn built_in(entry: &(&str, &str, &str, bool, &str)) -> Kind {
    Kind { kind: entry.0.into(), plural: entry.1.into(), group: entry.2.into(), namespaced: entry.3 }
}

fn added(cluster: &Cluster) -> impl Iterator<Item = (Kind, &Vec<String>)> {
    cluster.crds.iter().map(|(name, crd)| {
        let (plural, group) = name.split_once('.').unwrap_or((name, ""));
        let kind = Kind {
            kind: crd.kind.clone(),
            plural: plural.to_owned(),
            group: group.to_owned(),
            namespaced: crd.namespaced,
        };
        (kind, &crd.versions)
    })
}

/// The kind of a manifest, if the API server knows it.
pub fn of_manifest(cluster: &Cluster, version: &str, kind: &str) -> Option<Kind> {
    let native = BUILT_IN.iter().find(|k| k.0 == kind).map(built_in).filter(|k| {
        let group = version.rsplit_once('/').map_or("", |(group, _)| group);
        group == k.group && VERSIONS.contains(&version)
    });
    native.or_else(|| {
        let (group, version) = version.split_once('/')?;
        let fits = |(k, versions): &(Kind, &Vec<String>)| {
            k.kind == kind && k.group == group && versions.iter().any(|v| v == version)
        };
        added(cluster).find(fits).map(|(k, _)| k)
    })
}

/// The kind that a word on the command line means: `nodes`, `deploy`, `crd`, `gateways.gateway.networking.k8s.io`.
pub fn of_word(cluster: &Cluster, word: &str) -> Option<Kind> {
    let word = word.to_lowercase();
    let named = |k: &Kind| {
        let full = |name: &str| word == name || word == format!("{name}.{}", k.group);
        full(&k.plural) || full(&k.kind.to_lowercase())
    };
    let native = BUILT_IN.iter().find(|k| k.4 == word || named(&built_in(k))).map(built_in);
    native.or_else(|| added(cluster).map(|(k, _)| k).find(|k| named(k)))
}
