//! Names and ids: accepted by Kubernetes, Multipass and Cilium, and unique.

use std::collections::BTreeMap;

use crate::fleet::document::{Diagnostics, Field};
use crate::fleet::draft::{Draft, DraftCluster};
use crate::problem::Problem;

/// Cilium's limit for `cluster.name`.
const CLUSTER_NAME: usize = 32;
/// A host name is one DNS label, shared by VM, Kubernetes node and `/etc/hosts`.
const HOST_NAME: usize = 63;
/// Cilium's `cluster.id` with `maxConnectedClusters: 255`.
const IDS: std::ops::RangeInclusive<i64> = 1..=255;
/// Names of tables of the input, scopes of steps (`fleet/mesh-ca`) and folders below `out/`.
const RESERVED: [&str; 14] = [
    "charts",
    "cluster",
    "fleet",
    "host",
    "journal",
    "kube",
    "logs",
    "mesh",
    "mesh-ca",
    "reports",
    "secrets",
    "simulation",
    "versions",
    "vm",
];

pub(super) fn check(diagnostics: &mut Diagnostics, draft: &Draft) {
    let mut names: BTreeMap<&str, &DraftCluster> = BTreeMap::new();
    for cluster in &draft.clusters {
        cluster_name(diagnostics, draft, cluster);
        if let Some(name) = cluster.name.value.as_deref() {
            match names.get(name) {
                Some(first) => {
                    let problem = duplicate("cluster name", &format!("`{name}`"), first.name.line);
                    diagnostics
                        .add(problem.hint(format!("name = \"{}\"", free_cluster(draft, name))), cluster.name.line);
                }
                None => drop(names.insert(name, cluster)),
            }
        }
        cluster.nodes.iter().for_each(|n| label(diagnostics, &n.name, "`name` of a node", HOST_NAME));
    }
    hosts(diagnostics, draft);
    ids(diagnostics, draft);
}

fn cluster_name(diagnostics: &mut Diagnostics, draft: &Draft, cluster: &DraftCluster) {
    if !cluster.name.written {
        let problem = Problem::new(format!("`name` is missing in {}", cluster.title))
            .why("without it Cilium would name the cluster `default`, which a mesh refuses")
            .hint(format!("name = \"{}\"", free_cluster(draft, "app1")));
        diagnostics.add(problem, cluster.line);
    }
    let Some(name) = cluster.name.value.as_deref() else { return };
    label(diagnostics, &cluster.name, "`name` of a cluster", CLUSTER_NAME);
    if name == "default" {
        let problem = Problem::new("a cluster cannot be named `default`")
            .why("it is Cilium's name for clusters without one, and refused in a mesh");
        let hint = format!("name = \"{}\"", free_cluster(draft, "app1"));
        diagnostics.add(problem.hint(hint), cluster.name.line);
    }
    if RESERVED.contains(&name) {
        let problem = Problem::new(format!("a cluster cannot be named `{name}`"))
            .why(format!("its steps and files would collide with others; reserved: {}", RESERVED.join(", ")));
        diagnostics.add(problem.hint(format!("name = \"{}\"", free_cluster(draft, name))), cluster.name.line);
    }
}

/// A lower-case DNS label (Kubernetes) that begins with a letter (Multipass).
fn label(diagnostics: &mut Diagnostics, field: &Field<String>, what: &str, longest: usize) {
    let Some(name) = field.value.as_deref() else { return };
    if is_label(name) && name.len() <= longest {
        return;
    }
    let why = if is_label(name) {
        format!("it has {} characters, the maximum is {longest}", name.len())
    } else {
        "it is part of a host name: lower-case letters, digits and `-`, beginning with a letter, not ending in `-`"
            .to_owned()
    };
    let problem = Problem::new(format!("{what} cannot be used: {name:?}")).why(why);
    let sanitized = sanitized(name, longest);
    let hint = (!sanitized.is_empty()).then(|| format!("name = \"{sanitized}\""));
    diagnostics.add(Problem { hint, ..problem }, field.line);
}

/// Whether it is a lower-case DNS label that begins with a letter (Multipass: `valid_hostname`; RFC 1123).
pub fn is_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(inner) && !name.ends_with('-')
}

/// The valid name closest to what was written; empty if nothing is left.
fn sanitized(name: &str, longest: usize) -> String {
    let lower = name.to_lowercase();
    let kept: String = lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let kept = kept.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    kept[..kept.len().min(longest)].trim_end_matches('-').to_owned()
}

/// Every host name: a VM's `<cluster>-<node>` and an API server's `<cluster>-api`.
fn hosts(diagnostics: &mut Diagnostics, draft: &Draft) {
    let mut hosts: BTreeMap<String, String> = BTreeMap::new();
    for cluster in &draft.clusters {
        if let Some(name) = &cluster.name.value {
            hosts.insert(format!("{name}-api"), format!("the API server of {}", cluster.title));
        }
    }
    for (index, cluster) in draft.clusters.iter().enumerate() {
        if draft.clusters[..index].iter().any(|c| c.name.value.is_some() && c.name.value == cluster.name.value) {
            continue; // a duplicate name is reported already
        }
        for node in &cluster.nodes {
            let (Some(c), Some(n)) = (&cluster.name.value, &node.name.value) else { continue };
            let host = format!("{c}-{n}");
            if host.len() > HOST_NAME && c.len() <= CLUSTER_NAME && n.len() <= HOST_NAME {
                let problem = Problem::new(format!("the name of a VM is too long: {host}"))
                    .why(format!("it has {} characters, the maximum is {HOST_NAME}", host.len()));
                let hint = sanitized(n, HOST_NAME - c.len() - 1);
                diagnostics.add(problem.hint(format!("name = \"{hint}\"")), node.name.line);
            }
            if let Some(first) = hosts.get(&host) {
                let problem = Problem::new(format!("two machines would be named `{host}`: {} and {first}", node.title))
                    .why("a VM and its Kubernetes node are named <cluster>-<node>");
                diagnostics.add(problem.hint(format!("name = \"{}\"", free_name(draft, c, n))), node.name.line);
            } else {
                hosts.insert(host, node.title.clone());
            }
        }
    }
}

/// An unused node name: the same letters with the next number.
fn free_name(draft: &Draft, cluster: &str, node: &str) -> String {
    let hosts = |c: &DraftCluster| -> Vec<String> {
        let name = c.name.value.clone().unwrap_or_default();
        c.nodes
            .iter()
            .flat_map(|n| &n.name.value)
            .map(|n| format!("{name}-{n}"))
            .chain([format!("{name}-api")])
            .collect()
    };
    let taken: Vec<String> = draft.clusters.iter().flat_map(hosts).collect();
    let stem = node.trim_end_matches(|c: char| c.is_ascii_digit());
    let mut names = (1..).map(|i| format!("{stem}{i}"));
    names.find(|n| !taken.contains(&format!("{cluster}-{n}"))).unwrap_or_default()
}

/// An unused cluster name: the same letters with the next number.
fn free_cluster(draft: &Draft, like: &str) -> String {
    let stem = like.trim_end_matches(|c: char| c.is_ascii_digit());
    let taken = |name: &str| draft.clusters.iter().any(|c| c.name.value.as_deref() == Some(name));
    (1..).map(|i| format!("{stem}{i}")).find(|name| !taken(name)).unwrap_or_default()
}

fn ids(diagnostics: &mut Diagnostics, draft: &Draft) {
    let mut seen: BTreeMap<i64, &DraftCluster> = BTreeMap::new();
    let used: Vec<i64> = draft.clusters.iter().filter_map(|c| c.id.value).collect();
    let mut free = IDS.filter(|id| !used.contains(id));
    for cluster in &draft.clusters {
        let problem = match cluster.id.value {
            None if cluster.id.written => continue,
            None => Problem::new(format!("`id` is missing in {}", cluster.title))
                .why("without it Cilium would use 0, which a mesh refuses"),
            Some(id) if !IDS.contains(&id) => {
                Problem::new(format!("`id` of {} is not between 1 and 255: {id}", cluster.title))
                    .why("Cilium encodes it in one byte of every identity")
            }
            Some(id) => match seen.get(&id) {
                Some(first) => duplicate("`id`", &id.to_string(), first.id.line),
                None => {
                    seen.insert(id, cluster);
                    continue;
                }
            },
        };
        let hint = free.next().map(|id| format!("id = {id}"));
        diagnostics.add(Problem { hint, ..problem }, cluster.id.line);
    }
}

fn duplicate(what: &str, value: &str, first: Option<usize>) -> Problem {
    let problem = Problem::new(format!("duplicate {what}: {value}"));
    match first {
        Some(line) => problem.why(format!("first used in line {line}; the mesh identifies clusters by it")),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sanitized() {
        for (written, expected) in [("Mgmt_CP", "mgmt-cp"), ("1x", "x"), ("a-", "a"), ("straße", "stra-e"), ("42", "")]
        {
            assert_eq!(sanitized(written, 32), expected);
        }
        assert_eq!(sanitized(&"ab-".repeat(20), 33).len(), 32);
        assert!(
            is_label("app1") && is_label("a") && !is_label("-a") && !is_label("a-") && !is_label("") && !is_label("A")
        );
    }
}
