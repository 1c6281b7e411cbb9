//! Summary of a survey: clusters with their VMs and releases, and other steps that do not match.

use std::collections::BTreeMap;

use super::drift::CHANGED;
use super::links::LinkView;
use super::{Answer, Answers, ProbeState, words};
use crate::{Scope, StepKey};
use machines::{Machine, MachineState};
use model::fleet::{Cluster, Fleet, Node, Role};
use model::release::Releases;
use render::mesh;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overview {
    pub clusters: Vec<ClusterView>,
    /// How clusters are linked; empty where nothing is to be linked.
    pub links: Vec<LinkView>,
    /// Steps that do not match and are in no row of a cluster, each with a sentence.
    pub others: Vec<(StepKey, String)>,
    /// How many checks passed, of how many.
    pub passed: (usize, usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterView {
    pub name: String,
    /// `platform` or `workload`.
    pub role: &'static str,
    /// `up`, or why its API does not answer.
    pub api: String,
    /// Its VMs, the control plane first.
    pub nodes: Vec<NodeView>,
    /// Days until the first of the mesh's certificates, or their CA, expires.
    pub mesh_certificates: Option<u64>,
    pub releases: Vec<ReleaseView>,
}

/// A VM and the node in it. What is not known is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeView {
    pub vm: String,
    /// As its driver reports it.
    pub state: MachineState,
    pub address: String,
    /// Memory in use and in all, bytes.
    pub memory: Option<(u64, u64)>,
    /// Disk in use and in all, bytes.
    pub disk: Option<(u64, u64)>,
    pub kubelet: String,
    /// Days until the first of its certificates expires, 0 if one has.
    pub certificates: Option<u64>,
    /// `ready`, `not ready`, `unknown`, or empty if the API does not know it.
    pub node: String,
    pub pods: String,
    /// Since when it is cordoned, if it is.
    pub cordoned: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseView {
    pub name: String,
    pub version: String,
    /// `up to date`, `not installed yet`, `differs`, a half-done state, or `unknown`.
    pub state: String,
}

pub fn overview(fleet: &Fleet, releases: &Releases, answers: &Answers) -> Overview {
    let clusters: Vec<ClusterView> = fleet.clusters.iter().map(|c| cluster(c, releases, answers)).collect();
    let shown = |id: &StepKey| fleet.clusters.iter().any(|c| in_rows(c, releases, id));
    let open = answers
        .iter()
        .filter(|(id, _)| !shown(id))
        .filter_map(|(id, answer)| Some((id.clone(), words::sentence(id, answer)?)));
    let passed = answers.values().filter(|answer| answer.state == ProbeState::Matches).count();
    Overview { clusters, links: vec![], others: open.collect(), passed: (passed, answers.len()) }
}

impl Overview {
    /// Whether no VM is known, and `before`, the facts of earlier runs, has the address of none.
    pub fn is_empty(&self, fleet: &Fleet, before: &BTreeMap<String, String>) -> bool {
        let mut rows = self.clusters.iter().flat_map(|cluster| &cluster.nodes);
        let mut nodes = fleet.clusters.iter().flat_map(|c| c.nodes.iter().map(|node| c.ip_fact(node)));
        rows.all(|row| [MachineState::Absent, MachineState::NoAnswer].contains(&row.state))
            && !nodes.any(|fact| before.contains_key(&fact))
    }

    /// The same with how clusters are linked, which counts among the questions where it was asked.
    #[must_use]
    pub fn linked(self, links: Vec<LinkView>) -> Self {
        let asked: Vec<bool> = links.iter().filter_map(|link| link.matches).collect();
        let passed = (self.passed.0 + asked.iter().filter(|ok| **ok).count(), self.passed.1 + asked.len());
        Overview { links, passed, ..self }
    }
}

/// Whether a step's answer shows in the rows of a cluster.
fn in_rows(cluster: &Cluster, releases: &Releases, id: &StepKey) -> bool {
    let is_chart = |name: &str| releases.charts.iter().any(|c| c.placement.name == name);
    match (id.scope(), id.action()) {
        _ if !id.is_in(cluster) => false,
        (Scope::Node { .. }, action) => action == "launch",
        (_, action) => ["kubeconfig", "nodes"].contains(&action) || is_chart(action),
    }
}

fn cluster(cluster: &Cluster, releases: &Releases, answers: &Answers) -> ClusterView {
    let id = |action: &str| StepKey::cluster(&cluster.name, action);
    let asked = answers.get(&id("kubeconfig"));
    let none = asked.and_then(|a| a.output.as_ref()).is_some_and(|output| output.stderr.contains("no such file"));
    let charts = releases.charts.iter().filter(|chart| chart.placement.clusters.contains(&cluster.role));
    let nodes = answers.get(&id("nodes")).and_then(|answer| answer.output.as_ref());
    let lines = nodes.filter(|output| output.ok()).map_or("", |output| output.stdout.as_str());
    let rows: Vec<NodeView> = cluster.nodes.iter().map(|node| node_view(cluster, node, lines, answers)).collect();
    let off = off_reason(cluster, &rows);
    ClusterView {
        name: cluster.name.clone(),
        role: if cluster.role == Role::Platform { "platform" } else { "workload" },
        api: match asked {
            _ if rows.iter().all(|row| row.state == MachineState::Absent) => "not created yet".into(),
            _ if none => "not initialised yet".into(),
            Some(Answer { state: ProbeState::NotAsked(_), .. }) => off.unwrap_or_else(|| "no answer".into()),
            Some(answer) => off.or_else(|| words::state(&id("kubeconfig"), answer)).unwrap_or_else(|| "up".into()),
            None => "unknown".into(),
        },
        nodes: rows,
        mesh_certificates: answers.get(&id(mesh::CERTIFICATES)).and_then(words::certificate_days),
        releases: charts
            .map(|chart| ReleaseView {
                name: chart.placement.name.clone(),
                version: chart.version.clone(),
                state: release(&id(&chart.placement.name), answers),
            })
            .collect(),
    }
}

/// Why an API cannot answer, if its VM does not run.
fn off_reason(cluster: &Cluster, rows: &[NodeView]) -> Option<String> {
    let vm = cluster.vm(cluster.control_plane());
    let row = rows
        .iter()
        .find(|row| row.vm == vm && ![MachineState::Running, MachineState::NoAnswer].contains(&row.state))?;
    Some(format!("off: {vm} is {}", row.state.to_string().to_lowercase()))
}

fn node_view(cluster: &Cluster, node: &Node, lines: &str, answers: &Answers) -> NodeView {
    let vm = Machine::of(cluster, node);
    let launch = answers.get(&StepKey::node(cluster, node, "launch")).and_then(|answer| answer.output.as_ref());
    let info = launch.map(|output| vm.read(output)).unwrap_or_default();
    let prep = answers.get(&StepKey::node(cluster, node, "prep"));
    let guest = prep.map(Answer::json).unwrap_or_default();
    let row = lines.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|row| row[0] == vm.name());
    let (pods, ready) = row.map_or(("", None), |row| (row.get(1).copied().unwrap_or(""), row.get(2).copied()));
    let ready = ready.map_or("", |ready| match ready {
        "True" => "ready",
        "False" => "not ready",
        _ => "unknown",
    });
    let row = lines.lines().find(|line| line.starts_with(&format!("{vm} ")));
    let cordoned = row.and_then(|row| row.split(' ').nth(3)).filter(|since| !since.is_empty()).map(str::to_owned);
    NodeView {
        vm: vm.to_string(),
        state: info.state,
        address: info.address.unwrap_or_default(),
        memory: info.memory,
        disk: info.disk,
        certificates: prep.and_then(words::certificate_days),
        kubelet: guest["kubelet"].as_str().unwrap_or_default().to_owned(),
        node: if cordoned.is_some() { format!("{ready}, cordoned") } else { ready.to_owned() },
        pods: pods.to_owned(),
        cordoned,
    }
}

fn release(id: &StepKey, answers: &Answers) -> String {
    let Some(answer) = answers.get(id) else { return "unknown".into() };
    // The table is that of all releases.
    let none = matches!(&answer.state, ProbeState::Differs { why, .. } if why.starts_with("there is no revision"));
    match &answer.state {
        ProbeState::Matches => "up to date".into(),
        ProbeState::Differs { .. } if none => "not installed yet".into(),
        ProbeState::Differs { remedy: Some(remedy), why } if remedy.starts_with(CHANGED) => format!("{remedy}: {why}"),
        ProbeState::Differs { remedy: Some(remedy), .. } => (*remedy).to_owned(),
        ProbeState::Differs { remedy: None, .. } if answer.output.as_ref().is_some_and(|output| output.ok()) => {
            "differs".into()
        }
        _ => "unknown".into(),
    }
}
