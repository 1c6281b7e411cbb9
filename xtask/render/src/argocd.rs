//! The Secret that registers a workload cluster with Argo CD on the platform (ADR-0001).

use serde_json::json;

use model::yaml;

use super::Files;
use model::fleet::{Cluster, Fleet, Role};
use model::release::Releases;
use model::token::{fact, secret};

pub const ARGO_CD: &str = "argo-cd";
/// The manifest that creates its ServiceAccount on a workload cluster.
pub const ACCESS: &str = "argocd-access";
/// The only namespace where that account has rights.
pub const NAMESPACE: &str = "gitops";
pub const TOKEN: &str = "argocd-manager-token";

pub fn token_secret(cluster: &Cluster) -> String {
    format!("{}.argocd-token", cluster.name)
}

/// Path of a cluster's Secret, below `out/`.
pub fn file(platform: &Cluster, cluster: &Cluster) -> String {
    format!("{}/{ARGO_CD}/{}.yaml", platform.name, cluster.name)
}

/// `<platform>/argo-cd/<cluster>.yaml` of every workload cluster, if the releases hold Argo CD.
pub fn files(fleet: &Fleet, releases: &Releases) -> Files {
    let platform = fleet.clusters.iter().find(|c| c.role == Role::Platform);
    let argo = releases.on(Role::Platform, ARGO_CD).filter(|_| releases.manifest_on(Role::Workload, ACCESS));
    let Some((platform, argo)) = platform.zip(argo) else { return Files::new() };
    let workload = fleet.clusters.iter().filter(|c| c.role == Role::Workload);
    let mut files: Files = workload.map(|c| (file(platform, c), cluster_secret(c, &argo.namespace))).collect();
    if let Some(repository) = &fleet.gitops.repository {
        files.insert(apps_file(platform), apps(repository, &fleet.gitops.revision, &argo.namespace));
    }
    files
}

/// Path of what delivers the folders of a git repository, below `out/`.
pub fn apps_file(platform: &Cluster) -> String {
    format!("{}/{ARGO_CD}/apps-of-git.yaml", platform.name)
}

/// An Application for every folder below `apps/` and every registered workload cluster. What a sync no longer finds stays.
/// <https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/Generators-Matrix/>
fn apps(repository: &str, revision: &str, namespace: &str) -> String {
    let metadata = json!({"name": "apps", "namespace": namespace});
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": metadata,
        "spec": {
            "description": "Folders below apps/", "sourceRepos": [repository], "clusterResourceWhitelist": [],
            "destinations": [{"server": "*", "namespace": NAMESPACE}],
        },
    });
    let folders = json!({"git": {"repoURL": repository, "revision": revision, "directories": [{"path": "apps/*"}]}});
    let clusters = json!({"clusters": {"selector": {"matchLabels": {"archipelago/role": "workload"}}}});
    let retry = json!({"limit": 5, "backoff": {"duration": "30s", "factor": 2, "maxDuration": "10m"}});
    let spec = json!({
        "project": "apps",
        "source": {"repoURL": repository, "targetRevision": revision, "path": "{{.path.path}}"},
        "destination": {"server": "{{.server}}", "namespace": NAMESPACE},
        "syncPolicy": {"automated": {"selfHeal": true, "prune": false}, "retry": retry},
    });
    let set = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "metadata": metadata,
        "spec": {
            "goTemplate": true, "goTemplateOptions": ["missingkey=error"],
            "generators": [{"matrix": {"generators": [folders, clusters]}}],
            "syncPolicy": {"applicationsSync": "create-update", "preserveResourcesOnDeletion": true},
            "template": {"metadata": {"name": "{{.path.basename}}-{{.name}}"}, "spec": spec},
        },
    });
    yaml::write(&[project, set])
}

/// <https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#clusters>. The server is an
/// address, the certificate is checked against the name: a changed address changes this Secret, not the certificate.
fn cluster_secret(cluster: &Cluster, namespace: &str) -> String {
    let tls = json!({"caData": secret(&format!("{}.ca", cluster.name)), "serverName": cluster.api_name()});
    let config = json!({"bearerToken": secret(&token_secret(cluster)), "tlsClientConfig": tls});
    let object = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": format!("cluster-{}", cluster.name),
            "namespace": namespace,
            "labels": {"argocd.argoproj.io/secret-type": "cluster", "archipelago/role": "workload"},
        },
        "type": "Opaque",
        "stringData": {
            "name": cluster.name,
            "server": format!("https://{}:6443", fact(&cluster.ip_fact(cluster.control_plane()))),
            "namespaces": NAMESPACE,
            "clusterResources": "false",
            "config": config.to_string(),
        },
    });
    yaml::write(&[object])
}
