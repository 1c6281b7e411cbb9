//! Values of every Helm release: `charts/<release>/values.yaml`, plus what `set` in `charts/releases.toml` binds.
//! Knows nothing of charts or of Helm's flags.
//!
//! A binding is a name for a value that follows from the fleet, never a template: [`BINDINGS`] is the whole language.

use serde_json::Value;

use super::merge::{Derived, merge};
use super::yaml::{self, Document};
use super::{Data, Files, document, kubeadm, listed};
use model::fleet::{Cluster, Fleet, Role};
use model::problem::{At, Problem, nearest};
use model::release::{Chart, Releases};
use model::token;

/// Where releases are listed.
const RELEASES: &str = "charts/releases.toml";

/// The secrets of the mesh's authority.
const AUTHORITY: [&str; 2] = ["mesh-ca.cert", "mesh-ca.key"];

/// What `set` may name, and what it stands for.
pub const BINDINGS: [(&str, &str); 15] = [
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
    ("secret:NAME", "a kept secret, put in only when the tool is fed; made at random unless its name has a dot"),
    ("fact:NAME", "a value read from the world, such as `fact:mgmt.cp.ip` or `fact:mgmt.ca-hash`"),
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
        let written = listed(data, &file, entry(releases, name, "name"), "every release has one, if only an empty one");
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
        match resolve(fleet, cluster, binding) {
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

/// The line of a key of an entry of the list, or that of the entry.
pub(super) fn entry(releases: &Releases, name: &str, key: &str) -> At {
    let keys = [format!("{name}.{key}"), name.to_owned()];
    At { file: RELEASES.to_owned(), line: keys.iter().find_map(|key| releases.lines.get(key)).copied() }
}

/// The line of one `set` entry, or of the nearest table around it that is known.
pub(super) fn place(releases: &Releases, name: &str, path: &str) -> At {
    let keys = [format!("{name}.bindings.{path}"), format!("{name}.bindings"), name.to_owned()];
    At { file: RELEASES.to_owned(), line: keys.iter().find_map(|key| releases.lines.get(key)).copied() }
}

/// What a binding stands for on a cluster.
///
/// # Errors
/// A name that is not in [`BINDINGS`], or a fact that no step learns; without a place.
pub fn resolve(fleet: &Fleet, cluster: &Cluster, binding: &str) -> Result<Value, Problem> {
    if let Some(name) = binding.strip_prefix("secret:") {
        return secret(fleet, name);
    }
    if let Some(name) = binding.strip_prefix("fact:") {
        return fact(fleet, name);
    }
    let versions = &fleet.versions;
    let value = match binding {
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

/// A secret must be one that some step makes, or the run would wait for it in vain. Those without a dot are minted.
fn secret(fleet: &Fleet, name: &str) -> Result<Value, Problem> {
    let written = token::secret(name);
    if !matches!(token::tokens(&written)[..], [token::Token::Secret(_)]) {
        return Err(Problem::new(format!("a secret's name has letters, digits and `./-_`: `{name}`")));
    }
    let of = |c: &Cluster| ["ca", "admin-cert", "admin-key"].map(|what| format!("{}.{what}", c.name));
    let told: Vec<String> =
        AUTHORITY.iter().map(|n| (*n).to_owned()).chain(fleet.clusters.iter().flat_map(of)).collect();
    if !name.contains('.') || told.iter().any(|t| t == name) {
        return Ok(written.into());
    }
    let problem = Problem::new(format!("no step makes a secret of this name: `{name}`"));
    Err(match nearest(name, told.iter().map(String::as_str)) {
        Some(near) => problem.hint(format!("did you mean `secret:{near}`?")),
        None => problem.hint("a secret that is made here, once and at random, has a name without a dot"),
    })
}

/// A fact must be one that some step learns, or the run would wait for it in vain.
fn fact(fleet: &Fleet, name: &str) -> Result<Value, Problem> {
    let of = |c: &Cluster| c.nodes.iter().map(|n| c.ip_fact(n)).chain([kubeadm::ca_hash_fact(c)]).collect::<Vec<_>>();
    let known: Vec<String> = fleet.clusters.iter().flat_map(of).collect();
    if known.iter().any(|fact| fact == name) {
        return Ok(token::fact(name).into());
    }
    let problem = Problem::new(format!("no step learns a fact of this name: `{name}`"));
    Err(match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => problem.hint(format!("did you mean `fact:{near}`?")),
        None => problem,
    })
}

fn unknown(binding: &str) -> Problem {
    let names = || BINDINGS.iter().map(|(name, _)| *name);
    let why = format!("`set` may name {}", names().collect::<Vec<_>>().join(", "));
    let problem = Problem::new(format!("unknown binding: `{binding}`")).why(why);
    match nearest(binding, names()) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.hint("a value that does not follow from the fleet belongs into the release's values.yaml"),
    }
}
