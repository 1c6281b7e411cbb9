//! kubeadm configuration of every node: `infra/kubeadm/` plus keys derived from the fleet.
//!
//! Keys are those of `kubeadm.k8s.io/v1beta4`; `kubeadm config validate` decodes them strictly on the node.

use std::time::Duration;

use serde_json::{Value, json};

use super::merge::{Derived, merge, path};
use super::{Data, Files, documents, from_fleet, from_module};
use machines::Machine;
use model::fleet::{Cluster, Fleet, Node};
use model::problem::{At, Problem};
use model::token;
use model::units::parse_duration;
use model::yaml::{self, Document};

pub const API_PORT: u16 = 6443;

/// `InhibitDelayMaxSec` in /usr/lib/systemd/logind.conf.d/unattended-upgrades-logind-maxdelay.conf of Ubuntu, which is
/// read after the kubelet's own 99-kubelet.conf.
const LOGIND: Duration = Duration::from_secs(30);

/// Longer than any bootstrap; `node-token` creates a new one.
const TOKEN_TTL: &str = "2h0m0s";

/// The public half of a cluster's join token: `arc002` for cluster 2.
pub fn token_id(cluster: &Cluster) -> String {
    format!("arc{:03}", cluster.id)
}

/// Name of the secret half: 16 characters that begin with a letter.
pub fn token_secret(cluster: &Cluster) -> String {
    format!("{}.join-secret", cluster.name)
}

/// The fact that holds the hash of a cluster's CA, `sha256:…` of its public key.
pub fn ca_hash_fact(cluster: &Cluster) -> String {
    format!("{}.ca-hash", cluster.name)
}

/// `<cluster>/<control plane>/kubeadm-init.yaml`, `kubeadm-upgrade.yaml` beside it, and
/// `<cluster>/<worker>/kubeadm-join.yaml`.
///
/// # Errors
/// A missing or broken data file, a document of the wrong kind, or a field with two owners.
pub fn files(fleet: &Fleet, data: &Data) -> Result<Files, Vec<Problem>> {
    let init = documents(data, "infra/kubeadm/init.yaml")?;
    let join = documents(data, "infra/kubeadm/join.yaml")?;
    let mut files = Files::new();
    let mut problems: Vec<Problem> = init.iter().filter_map(api_call_too_short).collect();
    problems.extend(kubelet_settings(&init));
    let upgrade = yaml::write(&[upgrade(fleet, &init)]);
    for cluster in &fleet.clusters {
        let control_plane = cluster.control_plane();
        let sets =
            [("InitConfiguration", init_keys(fleet, cluster)), ("ClusterConfiguration", cluster_keys(fleet, cluster))];
        let mut made = vec![(control_plane, "init", complete("infra/kubeadm/init.yaml", &init, &sets))];
        for worker in cluster.workers() {
            let sets = [("JoinConfiguration", join_keys(fleet, cluster, worker))];
            made.push((worker, "join", complete("infra/kubeadm/join.yaml", &join, &sets)));
        }
        files.insert(format!("{}/{}/kubeadm-upgrade.yaml", cluster.name, control_plane.name), upgrade.clone());
        for (node, verb, text) in made {
            match text {
                Ok(text) => drop(files.insert(format!("{}/{}/kubeadm-{verb}.yaml", cluster.name, node.name), text)),
                Err(some) => problems.extend(some),
            }
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

/// All documents of a file, each with the derived keys of its kind.
fn complete(file: &str, documents: &[Document], sets: &[(&str, Vec<Derived>)]) -> Result<String, Vec<Problem>> {
    let mut problems = Vec::new();
    for (kind, _) in sets {
        let count = documents.iter().filter(|d| d.value["kind"] == **kind).count();
        if count != 1 {
            let what = format!("expected one document of kind `{kind}`, found {count}");
            problems.push(Problem::new(what).at(file, None));
        }
    }
    let mut values = Vec::new();
    for document in documents {
        let keys = sets.iter().find(|(kind, _)| document.value["kind"] == **kind);
        match merge(document, keys.map_or(&[], |(_, keys)| keys)) {
            Ok(value) => values.push(value),
            Err(some) => problems.extend(some),
        }
    }
    if problems.is_empty() { Ok(yaml::write(&values)) } else { Err(problems) }
}

/// `wait-control-plane` begins with the admin's binding, which is retried for `kubernetesAPICall` alone: with less than
/// the control plane gets, init fails while the API server still starts (seen with kubeadm 1.35: after 129 s of 6 min).
fn api_call_too_short(init: &Document) -> Option<Problem> {
    let timeouts = &init.value["timeouts"];
    let value = |key: &str, default| timeouts[key].as_str().unwrap_or(default).to_owned();
    let (call, start) = (value("kubernetesAPICall", "1m0s"), value("controlPlaneComponentHealthCheck", "4m0s"));
    let short = parse_duration(&call).zip(parse_duration(&start)).is_some_and(|(call, start)| call < start);
    if init.value["kind"] != "InitConfiguration" || !short {
        return None;
    }
    let line = |key: &str| init.lines.get(&path(key)).copied();
    let what =
        format!("timeouts.kubernetesAPICall is {call}, below controlPlaneComponentHealthCheck, which is {start}");
    let problem = Problem::new(what).at(&init.file, line("timeouts.kubernetesAPICall").or_else(|| line("timeouts")));
    let why = "since 1.35 kubeadm waits for the start of the API server only as long as kubernetesAPICall";
    Some(problem.why(why).hint(format!("kubernetesAPICall: {start}")))
}

/// Settings that kubeadm and the kubelet accept, and that do not work on these nodes.
fn kubelet_settings(documents: &[Document]) -> Vec<Problem> {
    let of = |kind: &str| documents.iter().find(|document| document.value["kind"] == kind);
    let Some(kubelet) = of("KubeletConfiguration") else { return vec![] };
    let value = |key: &str| &kubelet.value[key];
    let refuse = |key: &str, what: String, why: &str, fix: String| {
        let line = kubelet.lines.get(&path(key)).copied();
        Problem::new(format!("{key}: {what}")).at(&kubelet.file, line).why(why).hint(fix)
    };
    let mut problems = Vec::new();
    if value("serverTLSBootstrap") == true {
        let why =
            "nothing approves the requests of kubelets for serving certificates: logs, exec and metrics would fail";
        problems.push(refuse("serverTLSBootstrap", "true".to_owned(), why, "remove it".to_owned()));
    }
    let grace = value("shutdownGracePeriod").as_str().unwrap_or_default();
    if parse_duration(grace).is_some_and(|grace| grace > LOGIND) {
        let why = "Ubuntu's unattended-upgrades lets logind wait for 30s, whatever the kubelet asks for; with more the \
                   kubelet does without a graceful shutdown (kubernetes/kubernetes#102818)";
        problems.push(refuse("shutdownGracePeriod", grace.to_owned(), why, "shutdownGracePeriod: 30s".to_owned()));
    }
    let args =
        of("ClusterConfiguration").and_then(|cluster| cluster.value["controllerManager"]["extraArgs"].as_array());
    let masks = args
        .into_iter()
        .flatten()
        .filter(|arg| ["node-cidr-mask-size", "node-cidr-mask-size-ipv4"].iter().any(|name| arg["name"] == *name));
    let mask: u32 = masks.filter_map(|arg| arg["value"].as_str()?.parse().ok()).next_back().unwrap_or(24);
    let addresses = (1_u64 << 32_u32.saturating_sub(mask)).saturating_sub(2);
    if let Some(pods) = value("maxPods").as_u64().filter(|pods| *pods > addresses) {
        let why = format!("a node has a /{mask} of the pod range, {addresses} addresses; other pods would never start");
        problems.push(refuse("maxPods", pods.to_string(), &why, format!("maxPods: {addresses}, or less")));
    }
    problems
}

/// For `kubeadm upgrade apply`. Its timeouts are those of the init: kubeadm derives the startup probes from them, and
/// with others every upgrade would change manifests. `node-upgrade` decides on `etcdUpgrade`.
fn upgrade(fleet: &Fleet, init: &[Document]) -> Value {
    let init = init.iter().map(|d| &d.value).find(|d| d["kind"] == "InitConfiguration").unwrap_or(&Value::Null);
    let mut document = json!({
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "UpgradeConfiguration",
        "apply": { "kubernetesVersion": format!("v{}", fleet.versions.kubernetes), "etcdUpgrade": true },
    });
    if !init["timeouts"].is_null() {
        document["timeouts"] = init["timeouts"].clone();
    }
    document
}

fn join_token(cluster: &Cluster) -> String {
    format!("{}.{}", token_id(cluster), token::secret(&token_secret(cluster)))
}

/// `nodeRegistration` of both kinds of node.
fn registration(fleet: &Fleet, cluster: &Cluster, node: &Node) -> [Derived; 2] {
    let at = from_fleet(fleet, &format!("{}.{}", cluster.name, node.name));
    let address = token::fact(&cluster.ip_fact(node));
    [
        Derived::new("nodeRegistration.name", cluster.vm(node), at.clone()),
        // Without it the kubelet may choose the address of cilium_host.
        Derived::new("nodeRegistration.kubeletExtraArgs", json!([{"name": "node-ip", "value": address}]), at),
    ]
}

fn init_keys(fleet: &Fleet, cluster: &Cluster) -> Vec<Derived> {
    let node = cluster.control_plane();
    let bootstrap_token = json!([{
        "token": join_token(cluster),
        "description": "joins the workers of this cluster",
        "ttl": TOKEN_TTL,
        "usages": ["signing", "authentication"],
        "groups": ["system:bootstrappers:kubeadm:default-node-token"],
    }]);
    let own = || from_module("kubeadm");
    let mut keys = vec![
        Derived::new("bootstrapTokens", bootstrap_token, own()),
        Derived::new("localAPIEndpoint.advertiseAddress", token::fact(&cluster.ip_fact(node)), own()),
        Derived::new("localAPIEndpoint.bindPort", API_PORT, own()),
    ];
    keys.extend(registration(fleet, cluster, node));
    keys
}

fn cluster_keys(fleet: &Fleet, cluster: &Cluster) -> Vec<Derived> {
    let at = |key: &str| from_fleet(fleet, &format!("{}.{key}", cluster.name));
    let named: At = from_fleet(fleet, &cluster.name);
    let version = format!("v{}", fleet.versions.kubernetes);
    vec![
        Derived::new("clusterName", cluster.name.as_str(), named.clone()),
        Derived::new("kubernetesVersion", version, from_fleet(fleet, "versions.kubernetes")),
        // A name, so that certificates and kubeconfigs stay valid after an address change (ADR-0010).
        Derived::new("controlPlaneEndpoint", endpoint(cluster), named.clone()),
        Derived::new("networking.podSubnet", cluster.pod_cidr.to_string(), at("pod_cidr")),
        Derived::new("networking.serviceSubnet", cluster.service_cidr.to_string(), at("service_cidr")),
        Derived::new("apiServer.certSANs", cert_names(cluster), named),
    ]
}

fn join_keys(fleet: &Fleet, cluster: &Cluster, node: &Node) -> Vec<Derived> {
    let trust = json!({
        "apiServerEndpoint": endpoint(cluster),
        "token": join_token(cluster),
        "caCertHashes": [token::fact(&ca_hash_fact(cluster))],
    });
    let mut keys = vec![Derived::new("discovery.bootstrapToken", trust, from_module("kubeadm"))];
    keys.extend(registration(fleet, cluster, node));
    keys
}

fn endpoint(cluster: &Cluster) -> String {
    format!("{}:{API_PORT}", cluster.api_name())
}

/// Every name of the API server from outside; kubeadm adds the cluster-internal names.
fn cert_names(cluster: &Cluster) -> Value {
    let vm = Machine::of(cluster, cluster.control_plane());
    // node-state uses 127.0.0.1.
    let here = [vm.name(), "localhost", "127.0.0.1"].map(str::to_owned);
    let names = [cluster.api_name()].into_iter().chain(vm.dns_names()).chain(here).chain([vm.peer_address()]);
    names.map(Value::String).collect()
}
