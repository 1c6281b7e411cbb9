//! Names and ids: what Kubernetes, Multipass and Cilium all accept, and what is not taken twice.
//! Knows nothing of what the names are used for beyond the rule that each tool has.

use std::collections::BTreeMap;

use crate::fleet::document::{Field, Notes};
use crate::fleet::draft::{Draft, DraftCluster};
use crate::problem::Problem;

/// Cilium's limit for `cluster.name`.
const CLUSTER_NAME: usize = 32;
/// A host name is one DNS label: VM, Kubernetes node and `/etc/hosts` share it.
const HOST_NAME: usize = 63;
/// Cilium's `cluster.id` with `maxConnectedClusters: 255`.
const IDS: std::ops::RangeInclusive<i64> = 1..=255;
/// Taken: tables of the input, groups of steps (`fleet/mesh-ca`) and folders below `out/` are named beside clusters.
const TAKEN: [&str; 14] = [
    "charts",
    "cluster",
    "fleet",
    "host",
    "journal",
    "kube",
    "logs",
    "mesh",
    "mesh-ca",
    "rehearsal",
    "reports",
    "secrets",
    "versions",
    "vm",
];

pub(super) fn check(notes: &mut Notes, draft: &Draft) {
    let mut names: BTreeMap<&str, &DraftCluster> = BTreeMap::new();
    for cluster in &draft.clusters {
        cluster_name(notes, draft, cluster);
        if let Some(name) = cluster.name.value.as_deref() {
            match names.get(name) {
                Some(first) => {
                    let problem = twice("the name of a cluster", &format!("`{name}`"), first.name.line);
                    notes.add(problem.hint(format!("name = \"{}\"", free_cluster(draft, name))), cluster.name.line);
                }
                None => drop(names.insert(name, cluster)),
            }
        }
        cluster.nodes.iter().for_each(|n| label(notes, &n.name, "`name` of a node", HOST_NAME));
    }
    hosts(notes, draft);
    ids(notes, draft);
}

fn cluster_name(notes: &mut Notes, draft: &Draft, cluster: &DraftCluster) {
    if !cluster.name.written {
        let problem = Problem::new(format!("`name` is missing in {}", cluster.title))
            .why("without it Cilium would call the cluster `default`, and a mesh refuses that name")
            .hint(format!("name = \"{}\"", free_cluster(draft, "app1")));
        notes.add(problem, cluster.line);
    }
    let Some(name) = cluster.name.value.as_deref() else { return };
    label(notes, &cluster.name, "`name` of a cluster", CLUSTER_NAME);
    if name == "default" {
        let problem = Problem::new("a cluster cannot be called `default`")
            .why("Cilium gives that name to clusters without one, and refuses it in a mesh");
        let hint = format!("name = \"{}\"", free_cluster(draft, "app1"));
        notes.add(problem.hint(hint), cluster.name.line);
    }
    if TAKEN.contains(&name) {
        let problem = Problem::new(format!("a cluster cannot be called `{name}`"))
            .why(format!("its steps and files would mix with others of the same name; taken are {}", TAKEN.join(", ")));
        notes.add(problem.hint(format!("name = \"{}\"", free_cluster(draft, name))), cluster.name.line);
    }
}

/// A lower-case DNS label that begins with a letter: Kubernetes wants the one, Multipass the other.
fn label(notes: &mut Notes, field: &Field<String>, what: &str, longest: usize) {
    let Some(name) = field.value.as_deref() else { return };
    if is_label(name) && name.len() <= longest {
        return;
    }
    let why = if is_label(name) {
        format!("it has {} characters, the most is {longest}", name.len())
    } else {
        "it is part of a host name: small letters, digits and `-`, first a letter, last no `-`".to_owned()
    };
    let problem = Problem::new(format!("{what} cannot be used: {name:?}")).why(why);
    let mended = mended(name, longest);
    let hint = (!mended.is_empty()).then(|| format!("name = \"{mended}\""));
    notes.add(Problem { hint, ..problem }, field.line);
}

/// Whether it is a lower-case DNS label that begins with a letter (Multipass: `valid_hostname`; RFC 1123).
pub fn is_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(inner) && !name.ends_with('-')
}

/// The name as near to what was written as the rule allows; empty if nothing is left.
fn mended(name: &str, longest: usize) -> String {
    let lower = name.to_lowercase();
    let kept: String = lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let kept = kept.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    kept[..kept.len().min(longest)].trim_end_matches('-').to_owned()
}

/// Every name that a machine of the fleet answers to: a VM's `<cluster>-<node>` and an API server's `<cluster>-api`.
fn hosts(notes: &mut Notes, draft: &Draft) {
    let mut hosts: BTreeMap<String, String> = BTreeMap::new();
    for cluster in &draft.clusters {
        if let Some(name) = &cluster.name.value {
            hosts.insert(format!("{name}-api"), format!("the API server of {}", cluster.title));
        }
    }
    for (index, cluster) in draft.clusters.iter().enumerate() {
        if draft.clusters[..index].iter().any(|c| c.name.value.is_some() && c.name.value == cluster.name.value) {
            continue; // a name that is there twice has its problem already
        }
        for node in &cluster.nodes {
            let (Some(c), Some(n)) = (&cluster.name.value, &node.name.value) else { continue };
            let host = format!("{c}-{n}");
            if host.len() > HOST_NAME && c.len() <= CLUSTER_NAME && n.len() <= HOST_NAME {
                let problem = Problem::new(format!("the name of a VM is too long: {host}"))
                    .why(format!("it has {} characters, the most is {HOST_NAME}", host.len()));
                let hint = mended(n, HOST_NAME - c.len() - 1);
                notes.add(problem.hint(format!("name = \"{hint}\"")), node.name.line);
            }
            if let Some(first) = hosts.get(&host) {
                let problem =
                    Problem::new(format!("two machines would be called `{host}`: {} and {first}", node.title))
                        .why("a VM is called <cluster>-<node>, and so is its Kubernetes node");
                notes.add(problem.hint(format!("name = \"{}\"", free_name(draft, c, n))), node.name.line);
            } else {
                hosts.insert(host, node.title.clone());
            }
        }
    }
}

/// A node name that no machine of the fleet has yet: the same letters with the next number.
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

/// A name that no cluster has yet: the same letters with the next number.
fn free_cluster(draft: &Draft, like: &str) -> String {
    let stem = like.trim_end_matches(|c: char| c.is_ascii_digit());
    let taken = |name: &str| draft.clusters.iter().any(|c| c.name.value.as_deref() == Some(name));
    (1..).map(|i| format!("{stem}{i}")).find(|name| !taken(name)).unwrap_or_default()
}

fn ids(notes: &mut Notes, draft: &Draft) {
    let mut seen: BTreeMap<i64, &DraftCluster> = BTreeMap::new();
    let used: Vec<i64> = draft.clusters.iter().filter_map(|c| c.id.value).collect();
    let mut free = IDS.filter(|id| !used.contains(id));
    for cluster in &draft.clusters {
        let problem = match cluster.id.value {
            None if cluster.id.written => continue,
            None => Problem::new(format!("`id` is missing in {}", cluster.title))
                .why("without it Cilium would use 0, with which no mesh connects"),
            Some(id) if !IDS.contains(&id) => {
                Problem::new(format!("`id` of {} is not from 1 to 255: {id}", cluster.title))
                    .why("Cilium has one byte for it in every identity")
            }
            Some(id) => match seen.get(&id) {
                Some(first) => twice("`id`", &id.to_string(), first.id.line),
                None => {
                    seen.insert(id, cluster);
                    continue;
                }
            },
        };
        let hint = free.next().map(|id| format!("id = {id}"));
        notes.add(Problem { hint, ..problem }, cluster.id.line);
    }
}

fn twice(what: &str, value: &str, first: Option<usize>) -> Problem {
    let problem = Problem::new(format!("{what} is there twice: {value}"));
    match first {
        Some(line) => problem.why(format!("the first is in line {line}, and the mesh tells clusters apart by it")),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_mended_to_what_every_tool_accepts() {
        for (written, mended_to) in [("Mgmt_CP", "mgmt-cp"), ("1x", "x"), ("a-", "a"), ("straße", "stra-e"), ("42", "")]
        {
            assert_eq!(mended(written, 32), mended_to);
        }
        assert_eq!(mended(&"ab-".repeat(20), 33).len(), 32);
        assert!(
            is_label("app1") && is_label("a") && !is_label("-a") && !is_label("a-") && !is_label("") && !is_label("A")
        );
    }
}
