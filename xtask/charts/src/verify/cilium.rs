//! Values of Cilium that a cluster made here cannot work with, found before anything is made: Services without anything
//! that serves them, peers that `mesh-connect` writes, and ways to set the datapath that no value shows.

use std::collections::BTreeSet;

use serde_json::Value;

use model::fleet::Fleet;
use model::problem::Problem;
use model::release::{Releases, Source};
use model::yaml::{self, Document};
use render::Data;

/// Keys of the ConfigMap `cilium-config`, which are the agent's flags too, that change how packets travel or which
/// cluster a node is in; each with what it must be where it is set.
const DATAPATH: [(&str, &[&str]); 24] = [
    ("routing-mode", &["tunnel"]),
    ("tunnel", &[]),
    ("tunnel-protocol", &["vxlan"]),
    ("tunnel-port", &["8472"]),
    ("tunnel-source-port-range", &[]),
    ("underlay-protocol", &["ipv4"]),
    ("auto-direct-node-routes", &["false"]),
    ("direct-routing-skip-unreachable", &["false"]),
    ("enable-endpoint-routes", &["false"]),
    ("enable-bgp-control-plane", &["false"]),
    ("ipv4-native-routing-cidr", &[]),
    ("enable-ipv4", &["true"]),
    ("enable-wireguard", &["false"]),
    ("enable-ipsec", &["false"]),
    ("datapath-mode", &["veth"]),
    ("ipam", &["kubernetes"]),
    ("kube-proxy-replacement", &["true"]),
    ("cluster-id", &[]),
    ("cluster-name", &[]),
    ("cluster-pool-ipv4-cidr", &[]),
    ("max-connected-clusters", &["255"]),
    ("cni-chaining-mode", &["none"]),
    ("k8s-require-ipv4-pod-cidr", &["true"]),
    ("mtu", &["0"]),
];

/// A setting of the datapath beside the values that are made for it: path, key and value.
pub type Override = (String, String, String);

/// Those in the values of Cilium: `extraConfig`, `extraArgs` and `extraEnv` of the agent.
pub fn overrides_in_values(values: &Value) -> Vec<Override> {
    let mut found: Vec<Override> = Vec::new();
    for (key, value) in values["extraConfig"].as_object().into_iter().flatten() {
        found.push((format!("extraConfig.{}", key.replace('.', "\\.")), key.clone(), plain(value)));
    }
    for (i, word) in values["extraArgs"].as_array().into_iter().flatten().enumerate() {
        let Some(word) = word.as_str().and_then(|word| word.strip_prefix("--")) else { continue };
        let (key, value) = word.split_once('=').unwrap_or((word, "true"));
        found.push((format!("extraArgs.{i}"), key.to_owned(), value.to_owned()));
    }
    for (i, entry) in values["extraEnv"].as_array().into_iter().flatten().enumerate() {
        let Some(name) = entry["name"].as_str().and_then(|name| name.strip_prefix("CILIUM_")) else { continue };
        found.push((format!("extraEnv.{i}"), name.to_lowercase().replace('_', "-"), plain(&entry["value"])));
    }
    found.retain(is_override);
    found
}

/// Those of a `CiliumNodeConfig`, which wins over the ConfigMap on the nodes that it selects.
pub fn overrides_in_object(object: &Value) -> Vec<Override> {
    if object["kind"] != "CiliumNodeConfig" {
        return vec![];
    }
    let defaults = object["spec"]["defaults"].as_object().into_iter().flatten();
    let all =
        defaults.map(|(key, value)| (format!("spec.defaults.{}", key.replace('.', "\\.")), key.clone(), plain(value)));
    all.filter(is_override).collect()
}

fn is_override((_, key, value): &Override) -> bool {
    DATAPATH.iter().any(|(known, allowed)| known == key && !allowed.contains(&value.as_str()))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Every problem of Cilium's values and of manifests for it, each once at its line.
///
/// # Errors
/// A file that is no YAML.
pub fn problems(fleet: &Fleet, releases: &Releases, data: &Data) -> Result<Vec<Problem>, Problem> {
    let mut problems = Vec::new();
    let documents = |file: &str| yaml::foreign(file, data.get(file).map_or("", String::as_str));
    let init = documents("infra/kubeadm/init.yaml")?;
    let serves = init.iter().all(|d| d.value["proxy"]["disabled"] != true)
        && !init
            .iter()
            .any(|d| d.value["skipPhases"].as_array().is_some_and(|p| p.iter().any(|p| p == "addon/kube-proxy")));
    for chart in releases.charts.iter().filter(|chart| chart.chart == "cilium") {
        let documents = documents(&format!("charts/{}/values.yaml", chart.placement.name))?;
        let Some(values) = documents.first() else { continue };
        of_values(values, serves, &mut problems);
        problems.extend(overrides_in_values(&values.value).into_iter().map(|found| overridden(values, found)));
    }
    let roles = fleet.clusters.iter().map(|cluster| cluster.role).collect::<BTreeSet<_>>();
    let files =
        roles.iter().flat_map(|role| releases.manifests_on(*role)).filter_map(|manifest| match &manifest.source {
            Source::File(file) => Some(file),
            _ => None,
        });
    for file in files.collect::<BTreeSet<_>>() {
        for document in documents(file)? {
            let found = overrides_in_object(&document.value);
            problems.extend(found.into_iter().map(|found| overridden(&document, found)));
        }
    }
    Ok(problems)
}

fn at(document: &Document, path: &str, problem: Problem) -> Problem {
    let keys: Vec<String> = path.split('.').map(str::to_owned).collect();
    problem.at(document.file.clone(), document.line(&keys))
}

fn of_values(values: &Document, serves: bool, problems: &mut Vec<Problem>) {
    let text = |path: &str| values.value.pointer(&format!("/{}", path.replace('.', "/"))).map(plain);
    let path = "kubeProxyReplacement";
    let replaced = text(path).unwrap_or_else(|| "false".to_owned());
    if !serves && replaced != "true" {
        let problem = Problem::new(format!("no Service would work: `{path}` is {replaced}")).why(
            "kubeadm installs no kube-proxy (infra/kubeadm/init.yaml), so Cilium must serve the addresses of Services",
        );
        problems.push(at(values, path, problem.hint("kubeProxyReplacement: \"true\"")));
    }
    let path = "clustermesh.config.clusters";
    if text(path).is_some_and(|peers| !matches!(peers.as_str(), "[]" | "{}" | "null")) {
        let problem = Problem::new("the values of Cilium name peers of the mesh")
            .why("`mesh-connect` writes them, with the addresses that machines have when it runs");
        problems.push(at(
            values,
            path,
            problem.hint("remove clustermesh.config.clusters; peers are [mesh] links of the fleet"),
        ));
    }
    let path = "clustermesh.apiserver.service.type";
    let kind = text(path).unwrap_or_else(|| "NodePort".to_owned());
    if kind != "NodePort" {
        let problem = Problem::new(format!("the mesh server cannot be reached by a Service of type {kind}"))
            .why("peers are given addresses of nodes and a NodePort: nothing here hands out addresses that other clusters reach");
        problems.push(at(values, path, problem.hint("type: NodePort")));
    }
}

fn overridden(document: &Document, (path, key, value): Override) -> Problem {
    let problem = Problem::new(format!("`{key}: {value}` changes the datapath of Cilium behind its values"))
        .why("contract C5 rests on one tunnel that is the same on every node (ADR-0005)");
    at(document, &path, problem.hint(format!("remove {path}")))
}
