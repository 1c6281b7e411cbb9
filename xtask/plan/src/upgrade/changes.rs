//! What an upgrade changes, from the answers to its own questions: from which version to which.

use std::collections::BTreeMap;

use super::super::{Plan, StepKey};
use super::node;
use model::fleet::Fleet;
use model::release::Releases;
use tool::Output;
use tool::extract::{json, pattern};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `app1-w1 kubelet`, `app1 kyverno`.
    pub what: String,
    /// The version that is there, or what there is instead.
    pub from: String,
    pub to: String,
}

pub fn questions(fleet: &Fleet, releases: &Releases, plan: &Plan) -> Plan {
    let ids = rows(fleet, releases).into_iter().map(|row| row.id).collect::<Vec<_>>();
    plan.checks(&ids)
}

/// Everything whose version is known and is not the one that is wanted.
pub fn changes(fleet: &Fleet, releases: &Releases, answers: &BTreeMap<StepKey, Output>) -> Vec<Change> {
    let of = |row: Row| {
        let from = answers.get(&row.id).filter(|output| output.ok()).and_then(|output| (row.read)(output, &row.key))?;
        (from != row.to).then_some(Change { what: row.what, from, to: row.to })
    };
    rows(fleet, releases).into_iter().filter_map(of).collect()
}

struct Row {
    id: StepKey,
    what: String,
    to: String,
    /// Reads the version from an answer.
    read: fn(&Output, &str) -> Option<String>,
    key: String,
}

fn rows(fleet: &Fleet, releases: &Releases) -> Vec<Row> {
    let (kubernetes, kubeadm) = (format!("v{}", fleet.versions.kubernetes), format!("v{}", fleet.versions.kubeadm));
    let mut rows = Vec::new();
    for cluster in super::order(fleet) {
        let control_plane = node::id(cluster, cluster.control_plane(), "control-plane");
        rows.push(Row {
            id: control_plane,
            what: format!("{} control plane", cluster.name),
            to: kubernetes.clone(),
            read: field,
            key: "version".into(),
        });
        rows.extend(cluster.nodes.iter().map(|n| Row {
            id: node::id(cluster, n, "kubelet"),
            what: format!("{} kubelet", cluster.vm(n)),
            to: kubeadm.clone(),
            read: field,
            key: "kubelet".into(),
        }));
        let here = releases.charts.iter().filter(|chart| chart.placement.clusters.contains(&cluster.role));
        rows.extend(here.map(|chart| Row {
            id: StepKey::cluster(&cluster.name, &chart.placement.name),
            what: format!("{} {}", cluster.name, chart.placement.name),
            to: chart.version.clone(),
            read: newest,
            key: chart.chart.clone(),
        }));
    }
    rows
}

fn field(output: &Output, key: &str) -> Option<String> {
    let state = json(&output.stdout).ok()?;
    let text = |key: &str| state[key].as_str().filter(|text| !text.is_empty());
    state[key].as_str()?;
    let value = text(key).unwrap_or("none");
    // The marker of an upgrade that did not end well.
    let begun = text("upgrade").filter(|_| key == "version");
    Some(begun.map_or_else(|| value.to_owned(), |to| format!("{value}, with an unfinished upgrade to {to}")))
}

/// The version in the label of the newest revision of a chart; rows as `kubectl get secrets` prints them.
fn newest(output: &Output, chart: &str) -> Option<String> {
    let row = format!(r"(?m)\.v(\d+)\s.*\s{}-(\d\S*)", chart.replace('.', r"\."));
    let rows = pattern(&row).ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let found =
        rows.captures_iter(output.stdout.as_bytes()).map(|row| (text(&row[1]).parse::<u64>().ok(), text(&row[2])));
    found.max().map(|(_, version)| version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tool::Exit;

    #[test]
    fn the_newest_revision_tells_the_version() {
        let row = |n: u32, version: &str| {
            let begin = format!("secret/sh.helm.release.v1.kyverno.v{n}   helm.sh/release.v1   1   5m   kyverno");
            format!("{begin}   {n}   deployed   kyverno-{version}   d\n")
        };
        let stdout = row(9, "3.8.1") + &row(10, "3.9.0") + &row(2, "3.7.0");
        let output = Output { stdout, ..Output::of(Exit::Code(0)) };
        assert_eq!(newest(&output, "kyverno").as_deref(), Some("3.9.0"));
        assert_eq!(newest(&output, "kyverno-policies"), None);
        assert_eq!(newest(&Output::of(Exit::Code(0)), "kyverno"), None);
    }
}
