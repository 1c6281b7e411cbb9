//! Values of every Helm release: `charts/<release>/values.yaml`, plus the `bindings` of `charts/releases.toml`.
//!
//! A binding names a value derived from the fleet; it is not a template language. [`BINDINGS`] is the complete list.

use serde_json::Value;

use super::merge::{Derived, merge};
use super::{Data, Files, document, kubeadm, listed};
use model::fleet::{Cluster, Fleet, Role};
use model::problem::{At, Problem, nearest};
use model::release::{Chart, RELEASES, Releases};
use model::token;
use model::yaml::{self, Document};

const MESH_CA: [&str; 2] = ["mesh-ca.cert", "mesh-ca.key"];

pub const BINDINGS: [(&str, &str); 16] = [
    ("file.digest", "sha256 of what stands in the data file: an annotation with it makes new pods of any change"),
    ("cluster.name", "the cluster's name"),
    ("cluster.id", "its Cilium cluster id, a number"),
    ("cluster.role", "`platform` or `workload`"),
    ("cluster.ip", "address of its control plane"),
    ("cluster.mesh_port", "NodePort of its clustermesh-apiserver, a number"),
    ("cluster.pod_cidr", "its pod addresses"),
    ("cluster.service_cidr", "its service addresses"),
    ("platform.name", "name of the platform cluster"),
    ("versions.kubernetes", "Kubernetes version, without `v`"),
    ("versions.kubeadm", "version of kubeadm and the kubelets, without `v`"),
    ("versions.pause", "tag of the pause image"),
    ("versions.cilium", "Cilium version"),
    ("versions.gateway_api", "Gateway API version"),
    (
        "secret:NAME",
        "a stored secret, inserted only when the tool starts; generated at random unless its name has a dot",
    ),
    ("fact:NAME", "a value read at run time, such as `fact:mgmt.cp.ip` or `fact:mgmt.ca-hash`"),
];

/// `<cluster>/<release>/values.yaml` of every release on every cluster of its roles.
///
/// # Errors
/// A missing or broken values file, a field with two owners, or an unknown binding.
pub fn files(fleet: &Fleet, releases: &Releases, data: &Data) -> Result<Files, Vec<Problem>> {
    let mut files = Files::new();
    let mut problems = Vec::new();
    for chart in &releases.charts {
        let name = &chart.placement.name;
        let file = format!("charts/{name}/values.yaml");
        let written = listed(data, &file, entry(releases, name, "name"), "every release needs one, possibly empty");
        let written = match written.and_then(|()| document(data, &file)) {
            Ok(written) => written,
            Err(some) => {
                problems.extend(some);
                continue;
            }
        };
        for cluster in fleet.clusters.iter().filter(|c| chart.placement.clusters.contains(&c.role)) {
            match values(fleet, releases, cluster, chart, &written) {
                Ok(text) => drop(files.insert(format!("{}/{name}/values.yaml", cluster.name), text)),
                Err(some) => problems.extend(some),
            }
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

fn values(
    fleet: &Fleet,
    releases: &Releases,
    cluster: &Cluster,
    chart: &Chart,
    written: &Document,
) -> Result<String, Vec<Problem>> {
    let mut keys = Vec::new();
    let mut problems = Vec::new();
    for (path, binding) in &chart.bindings {
        let from = place(releases, &chart.placement.name, path);
        match resolve(fleet, cluster, binding, &[&written.value]) {
            Ok(value) => keys.push(Derived::new(path, value, from)),
            Err(problem) => problems.push(problem.at(from.file, from.line)),
        }
    }
    match merge(written, &keys) {
        Ok(value) if problems.is_empty() => return Ok(yaml::write(&[value])),
        Ok(_) => {}
        Err(some) => problems.extend(some),
    }
    Err(problems)
}

/// The line of an entry's key, or of the entry.
pub(super) fn entry(releases: &Releases, name: &str, key: &str) -> At {
    let keys = [format!("{name}.{key}"), name.to_owned()];
    At { file: RELEASES.to_owned(), line: keys.iter().find_map(|key| releases.lines.get(key)).copied() }
}

/// The line of one binding, or of the nearest enclosing table.
pub(super) fn place(releases: &Releases, name: &str, path: &str) -> At {
    let keys = [format!("{name}.bindings.{path}"), format!("{name}.bindings"), name.to_owned()];
    At { file: RELEASES.to_owned(), line: keys.iter().find_map(|key| releases.lines.get(key)).copied() }
}

/// The value of a binding on a cluster, in a data file with these values.
///
/// # Errors
/// A name that is not in [`BINDINGS`], or a fact that no step captures; without a position.
pub fn resolve(fleet: &Fleet, cluster: &Cluster, binding: &str, file: &[&Value]) -> Result<Value, Problem> {
    if let Some(name) = binding.strip_prefix("secret:") {
        return secret(fleet, name);
    }
    if let Some(name) = binding.strip_prefix("fact:") {
        return fact(fleet, name);
    }
    let versions = &fleet.versions;
    let value = match binding {
        "file.digest" => {
            let text: String = file.iter().map(|value| value.to_string()).collect();
            let bytes = hmac_sha256::Hash::hash(text.as_bytes());
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
        }
        "cluster.name" => cluster.name.as_str().into(),
        "cluster.id" => cluster.id.into(),
        "cluster.role" => role(cluster.role).into(),
        "cluster.ip" => token::fact(&cluster.ip_fact(cluster.control_plane())).into(),
        "cluster.mesh_port" => fleet.mesh_port(cluster).into(),
        "cluster.pod_cidr" => cluster.pod_cidr.to_string().into(),
        "cluster.service_cidr" => cluster.service_cidr.to_string().into(),
        "platform.name" => fleet.clusters.iter().find(|c| c.role == Role::Platform).map(|c| c.name.as_str()).into(),
        "versions.kubernetes" => versions.kubernetes.to_string().into(),
        "versions.kubeadm" => versions.kubeadm.to_string().into(),
        "versions.pause" => versions.pause.as_str().into(),
        "versions.cilium" => versions.cilium.to_string().into(),
        "versions.gateway_api" => versions.gateway_api.to_string().into(),
        _ => return Err(unknown(binding)),
    };
    Ok(value)
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Platform => "platform",
        Role::Workload => "workload",
    }
}

/// Some step must create the secret. Names without a dot are generated.
fn secret(fleet: &Fleet, name: &str) -> Result<Value, Problem> {
    let written = token::secret(name);
    if !matches!(token::tokens(&written)[..], [token::Token::Secret(_)]) {
        return Err(Problem::new(format!("a secret's name may have letters, digits and `./-_`: `{name}`")));
    }
    let of = |c: &Cluster| ["ca", "admin-cert", "admin-key"].map(|what| format!("{}.{what}", c.name));
    let known_secrets: Vec<String> =
        MESH_CA.iter().map(|n| (*n).to_owned()).chain(fleet.clusters.iter().flat_map(of)).collect();
    if !name.contains('.') || known_secrets.iter().any(|t| t == name) {
        return Ok(written.into());
    }
    let problem = Problem::new(format!("no step creates a secret named `{name}`"));
    Err(match nearest(name, known_secrets.iter().map(String::as_str)) {
        Some(near) => problem.hint(format!("did you mean `secret:{near}`?")),
        None => problem.hint("generated secrets have a name without a dot"),
    })
}

fn fact(fleet: &Fleet, name: &str) -> Result<Value, Problem> {
    let of = |c: &Cluster| c.nodes.iter().map(|n| c.ip_fact(n)).chain([kubeadm::ca_hash_fact(c)]).collect::<Vec<_>>();
    let known: Vec<String> = fleet.clusters.iter().flat_map(of).collect();
    if known.iter().any(|fact| fact == name) {
        return Ok(token::fact(name).into());
    }
    let problem = Problem::new(format!("no step captures a fact named `{name}`"));
    Err(match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => problem.hint(format!("did you mean `fact:{near}`?")),
        None => problem,
    })
}

fn unknown(binding: &str) -> Problem {
    let names = || BINDINGS.iter().map(|(name, _)| *name);
    let why = format!("bindings: {}", names().collect::<Vec<_>>().join(", "));
    let problem = Problem::new(format!("unknown binding: `{binding}`")).why(why);
    match nearest(binding, names()) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.hint("a value that is not derived from the fleet belongs in the release's values.yaml"),
    }
}
