//! Why a mesh does not carry traffic: answers to the survey's questions become findings, most likely cause first.
//!
//! The order of [`CHECKS`] is that in which causes hide each other: with another authority no link can come up, with
//! clocks apart no certificate is valid. The first finding is therefore the most likely cause.

use std::collections::BTreeMap;
use std::time::Duration;

use model::fleet::{Cluster, Fleet};
use model::problem::Problem;
use plan::StepKey;
use plan::mesh::MeshScope;
use plan::mesh::survey::{self, port_id};
use render::mesh::{Addresses, peers};
use tool::{Exit, Output};

mod cluster_checks;
mod evidence;
mod links;
mod moved_nodes;
mod traffic;

pub const CHECKS: [&str; 16] = [
    "tools",
    "API servers",
    "clocks",
    "nodes",
    "releases",
    "names and ids",
    "authority",
    "pod ranges",
    "datapath",
    "certificates",
    "ports",
    "peers",
    "KVStoreMesh",
    "agents",
    "health",
    "pods",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// The cluster does not answer: the others are connected without it.
    Unreachable,
    /// A VM has another address than its node was made with: it is readdressed before anything else.
    Moved,
    /// Connecting would fail or do harm.
    Blocks,
    /// The same, and it may pass by itself: a pod that starts.
    Passing,
    /// Connecting repairs it, or shows it.
    Open,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// One of [`CHECKS`].
    pub check: &'static str,
    /// The cluster it was found on, the first of several.
    pub cluster: String,
    pub grade: Grade,
    pub problem: Problem,
}

pub struct Survey<'a> {
    pub fleet: &'a Fleet,
    pub scope: &'a MeshScope,
    /// Answers by the step that asked.
    pub answers: &'a BTreeMap<StepKey, Output>,
    /// Captured facts: addresses of nodes.
    pub facts: &'a BTreeMap<String, String>,
    /// When each answer came, by the world's clock.
    pub times: &'a BTreeMap<StepKey, Duration>,
}

/// Everything that is wrong, in the order of [`CHECKS`].
pub fn judge(survey: &Survey<'_>) -> Vec<Finding> {
    let mut found = tools(survey);
    found.extend(moved_nodes::findings(survey));
    let moved: Vec<String> = found.iter().filter(|f| f.grade == Grade::Moved).map(|f| f.cluster.clone()).collect();
    // A cluster that is unreachable because it moved is reported once, as moved.
    let unreachable = |f: &Finding| f.grade == Grade::Unreachable && moved.contains(&f.cluster);
    found.extend(cluster_checks::findings(survey).into_iter().filter(|f| !unreachable(f)));
    found.extend(unreachable_ports(survey));
    found.extend(links::findings(survey));
    found.extend(traffic::findings(survey));
    let place = |f: &Finding| CHECKS.iter().position(|c| *c == f.check);
    found.sort_by_key(place);
    found
}

impl<'a> Survey<'a> {
    /// Clusters of the scope, reachable or not.
    fn asked(&self) -> impl Iterator<Item = &'a Cluster> {
        let scope = self.scope;
        self.fleet.clusters.iter().filter(move |c| scope.has(c))
    }

    pub fn here(&self) -> impl Iterator<Item = &'a Cluster> {
        self.asked().filter(|c| self.stdout(c, "api").is_some())
    }

    fn answer(&self, cluster: &Cluster, what: &str) -> Option<&'a Output> {
        self.answers.get(&survey::id(cluster, what))
    }

    /// The trimmed stdout of a probe that succeeded.
    fn stdout(&self, cluster: &Cluster, what: &str) -> Option<&'a str> {
        self.answer(cluster, what).filter(|o| o.ok()).map(|o| o.stdout.trim())
    }

    fn address(&self, cluster: &Cluster, node: &model::fleet::Node) -> Option<&'a str> {
        self.facts.get(&cluster.ip_fact(node)).map(String::as_str)
    }
}

/// Peers outside of a scope that a cluster inside is configured with, and their configured addresses. A cluster whose
/// configuration cannot be read counts as configured with all of its peers, without addresses: removing a peer by mistake
/// would be worse.
pub fn configured_peers(survey: &Survey<'_>) -> Addresses {
    let mut known = Addresses::new();
    for cluster in survey.here() {
        for peer in peers(survey.fleet, cluster).into_iter().filter(|p| !survey.scope.has(p)) {
            match survey.stdout(cluster, "peers").map(|aliases| evidence::configured_addresses(aliases, &peer.name)) {
                Some(addresses) if addresses.is_empty() => {}
                addresses => drop(known.entry(peer.name.clone()).or_insert(addresses.unwrap_or_default())),
            }
        }
    }
    known
}

fn finding(check: &'static str, cluster: &Cluster, grade: Grade, problem: Problem) -> Finding {
    Finding { check, cluster: cluster.name.clone(), grade, problem }
}

/// Why a command failed, or how it ended; 124 is that of `timeout 5`.
fn why(output: &Output) -> String {
    if output.exit == Exit::Code(124) { "no answer within 5 s".to_owned() } else { output.reason_or_end() }
}

fn tools(survey: &Survey<'_>) -> Vec<Finding> {
    let missing = survey.answers.iter().filter(|(id, output)| id.is_host() && !output.ok());
    let problem = |id: &StepKey, output: &Output| {
        let problem = Problem::new(format!("{} does not run on this machine", id.action()));
        problem.why(why(output)).hint("cargo xtask bootstrap --only 'host/*'   # shows how to install it")
    };
    let all = missing.map(|(id, output)| (Grade::Blocks, problem(id, output)));
    all.map(|(grade, problem)| Finding { check: "tools", cluster: String::new(), grade, problem }).collect()
}

/// Peers reach a cluster's mesh server through a port of its nodes; the survey tried it from theirs.
fn unreachable_ports(survey: &Survey<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for cluster in survey.here() {
        let port = survey.fleet.mesh_port(cluster);
        for peer in survey.here() {
            let Some(output) = survey.answers.get(&port_id(cluster, peer)).filter(|o| !o.ok()) else { continue };
            let vm = peer.vm(peer.control_plane());
            let at = survey.address(cluster, cluster.control_plane()).unwrap_or("an unknown address");
            let problem = Problem::new(format!("{vm} does not reach the mesh port of {}: {at}:{port}", cluster.name))
                .why(why(output))
                .hint(format!(
                    "kubectl --kubeconfig out/kube/{}.yaml --namespace kube-system describe \
                     deployment/clustermesh-apiserver",
                    cluster.name
                ));
            // An agent that still uses the old address of its node does not serve the port at the new one.
            let repaired = cluster_checks::outdated(survey, cluster) || links::moved(survey, cluster).is_some();
            let grade = if repaired { Grade::Open } else { Grade::Passing };
            found.push(finding("ports", cluster, grade, problem));
        }
    }
    found
}
