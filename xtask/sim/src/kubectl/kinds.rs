//! Kinds of the simulated API server: those built in, and those that CRDs add.
//! Knows nothing of objects.

use std::borrow::Cow;

use super::super::cluster::{Cluster, Crd};

/// A kind that the API server serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// As in manifests: `DaemonSet`.
    pub kind: Cow<'static, str>,
    /// As in URLs: `daemonsets`.
    pub plural: Cow<'static, str>,
    /// `apps`, or nothing for the core group.
    pub group: Cow<'static, str>,
    pub namespaced: bool,
}

impl Kind {
    /// As kubectl names it in output: `daemonset.apps`.
    pub fn shown(&self) -> String {
        let kind = self.kind.to_lowercase();
        if self.group.is_empty() { kind } else { format!("{kind}.{}", self.group) }
    }
}

/// Kinds whose pods are simulated.
pub const CONTROLLERS: &[&str] = &["DaemonSet", "Deployment", "StatefulSet"];

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

/// The kind that a resource definition adds; its name is `gateways.gateway.networking.k8s.io`.
fn added(name: &str, crd: &Crd) -> Kind {
    let (plural, group) = name.split_once('.').unwrap_or((name, ""));
    let own = |text: &str| Cow::Owned(text.to_owned());
    Kind { kind: own(&crd.kind), plural: own(plural), group: own(group), namespaced: crd.namespaced }
}

fn native(fits: impl Fn(&str, &str, &str, &str) -> bool) -> Option<Kind> {
    let found = BUILT_IN.iter().find(|(kind, plural, group, _, short)| fits(kind, plural, group, short))?;
    let (kind, plural, group, namespaced, _) = *found;
    Some(Kind { kind: kind.into(), plural: plural.into(), group: group.into(), namespaced })
}

/// The kind of a manifest, if the API server knows it.
pub fn of_manifest(cluster: &Cluster, version: &str, kind: &str) -> Option<Kind> {
    let (group, short) = version.rsplit_once('/').unwrap_or(("", version));
    let built_in = native(|name, _, of, _| name == kind && of == group).filter(|_| VERSIONS.contains(&version));
    built_in.or_else(|| {
        let fits = |(name, crd): &(&String, &Crd)| {
            crd.kind == kind
                && name.split_once('.').is_some_and(|(_, of)| of == group)
                && crd.versions.iter().any(|v| v == short)
        };
        cluster.crds.iter().find(fits).map(|(name, crd)| added(name, crd))
    })
}

/// The kind that a word on the command line means: `nodes`, `deploy`, `crd`, `gateways.gateway.networking.k8s.io`.
pub fn of_word(cluster: &Cluster, word: &str) -> Option<Kind> {
    let word = word.to_lowercase();
    let (head, tail) = word.split_once('.').unwrap_or((&word, ""));
    let named = |kind: &str, plural: &str, group: &str| {
        (tail.is_empty() || tail == group) && (head == plural || head.eq_ignore_ascii_case(kind))
    };
    native(|kind, plural, group, short| word == short || named(kind, plural, group)).or_else(|| {
        let fits = |(name, crd): &(&String, &Crd)| {
            name.split_once('.').is_some_and(|(plural, group)| named(&crd.kind, plural, group))
        };
        cluster.crds.iter().find(fits).map(|(name, crd)| added(name, crd))
    })
}
