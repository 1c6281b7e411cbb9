//! Why a mesh does not carry traffic: answers to the survey's questions become findings, most likely cause first.
//! Knows nothing of how the questions were asked.
//!
//! The order of [`CHECKS`] is that in which causes hide each other: with another authority no link can come up, with
//! clocks apart no certificate is valid. The first finding is therefore the most likely cause.

use std::collections::BTreeMap;

use model::fleet::{Cluster, Fleet};
use model::problem::Problem;
use plan::StepKey;
use plan::mesh::MeshScope;
use plan::mesh::survey::{self, port_id};
use render::mesh::{Addresses, peers};
use tool::{Exit, Output};

mod evidence;
mod homes;
mod links;
mod sites;
mod traffic;
mod validity;

/// What is looked at, in this order.
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

/// What a finding means for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// The cluster does not answer: the others go on without it.
    Away,
    /// A VM has another address than its node was made with: it is readdressed before anything else.
    Moved,
    /// Connecting would fail or do harm.
    Blocks,
    /// The same, and it may pass by itself: a pod that starts.
    Passing,
    /// Connecting mends it, or shows it.
    Open,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// One of [`CHECKS`].
    pub check: &'static str,
    /// The cluster it was found on, the first of several.
    pub cluster: String,
    /// What it means.
    pub grade: Grade,
    /// Cause and mend.
    pub problem: Problem,
}

/// What is known when it is judged.
pub struct Survey<'a> {
    /// What is wanted.
    pub fleet: &'a Fleet,
    /// Which clusters were asked.
    pub scope: &'a MeshScope,
    /// Answers by the step that asked.
    pub answers: &'a BTreeMap<StepKey, Output>,
    /// Facts that the answers taught: addresses of nodes.
    pub facts: &'a BTreeMap<String, String>,
}

/// Everything that is wrong, in the order of [`CHECKS`].
pub fn judge(survey: &Survey<'_>) -> Vec<Finding> {
    let mut found = tools(survey);
    found.extend(homes::findings(survey));
    let moved: Vec<String> = found.iter().filter(|f| f.grade == Grade::Moved).map(|f| f.cluster.clone()).collect();
    // What does not answer because it moved is told once, with that as its cause.
    let away = |f: &Finding| f.grade == Grade::Away && moved.contains(&f.cluster);
    found.extend(sites::findings(survey).into_iter().filter(|f| !away(f)));
    found.extend(ports_in_the_way(survey));
    found.extend(links::findings(survey));
    found.extend(traffic::findings(survey));
    let place = |f: &Finding| CHECKS.iter().position(|c| *c == f.check);
    found.sort_by_key(place);
    found
}

impl<'a> Survey<'a> {
    /// Clusters that were asked, away or not.
    fn asked(&self) -> impl Iterator<Item = &'a Cluster> {
        let scope = self.scope;
        self.fleet.clusters.iter().filter(move |c| scope.has(c))
    }

    /// Clusters whose API server answers.
    pub fn here(&self) -> impl Iterator<Item = &'a Cluster> {
        self.asked().filter(|c| self.said(c, "api").is_some())
    }

    fn answer(&self, cluster: &Cluster, what: &str) -> Option<&'a Output> {
        self.answers.get(&survey::id(cluster, what))
    }

    /// What a question got, if it was answered well.
    fn said(&self, cluster: &Cluster, what: &str) -> Option<&'a str> {
        self.answer(cluster, what).filter(|o| o.ok()).map(|o| o.stdout.trim())
    }

    /// Where a node is now.
    fn address(&self, cluster: &Cluster, node: &model::fleet::Node) -> Option<&'a str> {
        self.facts.get(&cluster.ip_fact(node)).map(String::as_str)
    }
}

/// Peers outside of a scope that some cluster inside was told of, and where they are looked for. A cluster that could
/// not be asked counts as one that knows all of its peers, and says nothing of where: taking a peer away by mistake
/// would be worse.
pub fn told(survey: &Survey<'_>) -> Addresses {
    let mut known = Addresses::new();
    for cluster in survey.here() {
        for peer in peers(survey.fleet, cluster).into_iter().filter(|p| !survey.scope.has(p)) {
            match survey.said(cluster, "peers").map(|aliases| evidence::told(aliases, &peer.name)) {
                Some(addresses) if addresses.is_empty() => {}
                addresses => drop(known.entry(peer.name.clone()).or_insert(addresses.unwrap_or_default())),
            }
        }
    }
    known
}

/// A finding on one cluster.
fn finding(check: &'static str, cluster: &Cluster, grade: Grade, problem: Problem) -> Finding {
    Finding { check, cluster: cluster.name.clone(), grade, problem }
}

/// The last thing that a command said, or how it ended.
fn last_words(output: &Output) -> String {
    // kubectl's own last line only repeats the exit code of what ran in the pod.
    let said = |l: &&str| !l.trim().is_empty() && !l.starts_with("command terminated with exit code");
    let line = output.stderr.lines().rev().find(said);
    match (&output.exit, line) {
        (Exit::Code(124), _) => "no answer within 5 s".to_owned(),
        (_, Some(line)) => line.trim().trim_start_matches("Error: ").trim_start_matches("error: ").to_owned(),
        (Exit::Code(code), None) => format!("exit {code}"),
        (exit, None) => format!("{exit:?}").to_lowercase(),
    }
}

fn tools(survey: &Survey<'_>) -> Vec<Finding> {
    let missing = survey.answers.iter().filter(|(id, output)| id.is_host() && !output.ok());
    let problem = |id: &StepKey, output: &Output| {
        let problem = Problem::new(format!("{} does not run on this machine", id.action()));
        problem.why(last_words(output)).hint("cargo xtask bootstrap --only 'host/*'   # says how to get it")
    };
    let all = missing.map(|(id, output)| (Grade::Blocks, problem(id, output)));
    all.map(|(grade, problem)| Finding { check: "tools", cluster: String::new(), grade, problem }).collect()
}

/// Peers reach a cluster's mesh server through a port of its nodes; the survey tried it from theirs.
fn ports_in_the_way(survey: &Survey<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for cluster in survey.here() {
        let port = survey.fleet.mesh_port(cluster);
        for peer in survey.here() {
            let Some(output) = survey.answers.get(&port_id(cluster, peer)).filter(|o| !o.ok()) else { continue };
            let vm = peer.vm(peer.control_plane());
            let at = survey.address(cluster, cluster.control_plane()).unwrap_or("an unknown address");
            let problem = Problem::new(format!("{vm} does not reach the mesh port of {}: {at}:{port}", cluster.name))
                .why(last_words(output))
                .hint(format!(
                    "kubectl --kubeconfig out/kube/{}.yaml --namespace kube-system describe \
                     deployment/clustermesh-apiserver",
                    cluster.name
                ));
            // An agent that knows the old address of its node does not serve the port at the new one.
            let mended = sites::outdated(survey, cluster) || links::moved(survey, cluster).is_some();
            let grade = if mended { Grade::Open } else { Grade::Passing };
            found.push(finding("ports", cluster, grade, problem));
        }
    }
    found
}
