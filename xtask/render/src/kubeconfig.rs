//! Kubeconfigs: one per cluster, and one with all of them.
//!
//! kubeadm names the user of every cluster `kubernetes-admin`, so merging its files keeps one user and locks out of the
//! other clusters (measured); here each cluster has its own. The server is an address, verified against a name: tools on
//! this machine need no `/etc/hosts`, and the certificate stays valid after an address change.

use serde_json::{Value, json};

use super::kubeadm::API_PORT;
use super::merge::{Derived, merge};
use super::{Data, Files, document, from_module};
use machines::Machine;
use model::fleet::{Cluster, Fleet, Role};
use model::problem::Problem;
use model::token;
use model::yaml::{self, Document};

/// `<cluster>/kubeconfig.yaml` of every cluster, and `kubeconfig.yaml` with all of them, the platform as current context.
///
/// # Errors
/// A missing or broken base file, or a field with two owners.
pub fn files(fleet: &Fleet, data: &Data) -> Result<Files, Vec<Problem>> {
    let base = document(data, "infra/kubeadm/kubeconfig.yaml")?;
    let mut files = Files::new();
    for cluster in &fleet.clusters {
        files.insert(format!("{}/kubeconfig.yaml", cluster.name), kubeconfig(&base, &[cluster], &cluster.name)?);
    }
    let all: Vec<&Cluster> = fleet.clusters.iter().collect();
    let platform = fleet.clusters.iter().find(|c| c.role == Role::Platform);
    let current = platform.map_or("", |c| &c.name);
    files.insert("kubeconfig.yaml".to_owned(), kubeconfig(&base, &all, current)?);
    Ok(files)
}

fn kubeconfig(base: &Document, clusters: &[&Cluster], current: &str) -> Result<String, Vec<Problem>> {
    let list = |entry: fn(&Cluster) -> Value| clusters.iter().map(|c| entry(c)).collect::<Value>();
    let owner = || from_module("kubeconfig");
    let keys = [
        Derived::new("clusters", list(cluster_entry), owner()),
        Derived::new("users", list(user_entry), owner()),
        Derived::new("contexts", list(context_entry), owner()),
        Derived::new("current-context", current, owner()),
    ];
    Ok(yaml::write(&[merge(base, &keys)?]))
}

fn secret(cluster: &Cluster, what: &str) -> String {
    token::secret(&format!("{}.{what}", cluster.name))
}

fn user(cluster: &Cluster) -> String {
    format!("{}-admin", cluster.name)
}

fn cluster_entry(cluster: &Cluster) -> Value {
    let (address, port) = Machine::of(cluster, cluster.control_plane()).host_endpoint(API_PORT);
    json!({"name": cluster.name, "cluster": {
        "certificate-authority-data": secret(cluster, "ca"),
        "server": format!("https://{address}:{port}"),
        "tls-server-name": cluster.api_name(),
    }})
}

fn user_entry(cluster: &Cluster) -> Value {
    json!({"name": user(cluster), "user": {
        "client-certificate-data": secret(cluster, "admin-cert"),
        "client-key-data": secret(cluster, "admin-key"),
    }})
}

fn context_entry(cluster: &Cluster) -> Value {
    json!({"name": cluster.name, "context": {"cluster": cluster.name, "user": user(cluster)}})
}
