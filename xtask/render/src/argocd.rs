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
    workload.map(|c| (file(platform, c), cluster_secret(c, &argo.namespace))).collect()
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
