//! The last questions of a diagnosis: whether nodes reach nodes, and pods pods, with a small request and a large one.

use super::super::bootstrap::kube_path;
use super::super::{Expect, Step, StepKey};
use super::{MeshScope, SYSTEM, is_platform, proof};
use model::fleet::{Cluster, Fleet, Role};
use model::release::Releases;
use model::token::fact;
use render::mesh::peers;
use tool::kubectl::Kubectl;
use tool::{Extractor, Limits};

/// From this many peers a cluster is tried. All pairs of 255 clusters would be 64,770 questions, half an hour's work;
/// what is in the way of one pair alone shows in the links, which are asked for all of them (ADR-0008).
pub const TRIED_FROM: usize = 3;

/// What listens in a pod that every cluster of a role has: where the pod is, and what is asked of it.
struct Target {
    namespace: &'static str,
    pod: &'static [&'static str],
    address: &'static str,
    page: &'static str,
}

/// The sample's page of itself (`infra/manifests/sample.yaml`).
const SAMPLE: Target = Target {
    namespace: "sample",
    pod: &["pods", "--selector", "app=sample"],
    address: "{.items[0].status.podIP}",
    page: ":9898/api/info",
};
/// Vault's health: it needs no login, and answers whether it is sealed or not.
const VAULT: Target =
    Target { namespace: "vault", pod: &["pod", "vault-0"], address: "{.status.podIP}", page: ":8200/v1/sys/health" };

/// All of them. Only workload clusters ask pods: curl is in the sample's image, and answers take the way back anyway.
pub(super) fn steps(fleet: &Fleet, releases: &Releases, scope: &MeshScope) -> Vec<Step> {
    let here = || fleet.clusters.iter().filter(|c| scope.has(c));
    let mut steps: Vec<Step> = here().map(health).collect();
    let asks = releases.manifest_on(Role::Workload, "sample");
    let target = |c: &Cluster| match is_platform(c) {
        true => releases.on(Role::Platform, "vault").map(|_| VAULT),
        false => Some(SAMPLE).filter(|_| asks),
    };
    steps.extend(here().filter(|_| asks).filter_map(|c| Some(pod(c, &target(c)?))));
    for cluster in here().filter(|c| asks && !is_platform(c)) {
        for peer in tried(fleet, cluster, scope) {
            steps.extend(target(peer).into_iter().flat_map(|to| requests(cluster, peer, &to)));
        }
    }
    steps
}

fn question(id: StepKey, title: String, ask: tool::Command) -> Step {
    Step::new(id, title, ask, Expect::Exit(0)).limits(Limits::QUICK.attempts(1, 2))
}

/// The question what a cluster's agent found at every node.
pub fn health_id(cluster: &Cluster) -> StepKey {
    id(cluster, "health")
}

/// One agent is asked: each tries every node of every cluster. It tells what it found last, at most minutes ago; to
/// try again (`--probe`) would take as long as the slowest node.
fn health(cluster: &Cluster) -> Step {
    let words = ["cilium-health", "status", "--output", "json"];
    let ask = Kubectl::on(&kube_path(cluster)).exec(SYSTEM, "daemonset/cilium", "cilium-agent", &words);
    question(health_id(cluster), format!("ask an agent of {} what nodes it reaches", cluster.name), ask)
        .needs([id(cluster, "api")])
}

fn pod_fact(cluster: &Cluster) -> String {
    format!("{}.mesh.pod", cluster.name)
}

fn pod(cluster: &Cluster, target: &Target) -> Step {
    let ask = Kubectl::on(&kube_path(cluster)).read(target.namespace, target.pod, target.address);
    let ask = ask.capture(pod_fact(cluster), Extractor::Stdout);
    question(id(cluster, "pod"), format!("read the address of a pod of {}", cluster.name), ask)
        .needs([id(cluster, "api")])
}

/// The question whether a pod of one cluster reaches a pod of another; `size` is `small` or `large`.
pub fn pod_id(cluster: &Cluster, peer: &Cluster, size: &str) -> StepKey {
    id(cluster, &format!("{size}-to-{}", peer.name))
}

fn requests(cluster: &Cluster, peer: &Cluster, target: &Target) -> [Step; 2] {
    let url = format!("http://{}{}", fact(&pod_fact(peer)), target.page);
    let asks = [("small", proof::curl(cluster, &proof::status_of(&url))), ("large", proof::large(cluster, &url))];
    asks.map(|(size, ask)| {
        let title = format!("send a {size} request from a pod of {} to one of {}", cluster.name, peer.name);
        question(pod_id(cluster, peer, size), title, ask).needs([id(cluster, "api"), id(peer, "pod")])
    })
}

/// The peers that try a cluster, and that it tries: all of a small mesh, and else the next ones in the order of the
/// fleet, so that each cluster tries and is tried as often as any other, and at every run by the same.
pub fn tried<'a>(fleet: &'a Fleet, cluster: &Cluster, scope: &MeshScope) -> Vec<&'a Cluster> {
    let place = |c: &Cluster| fleet.clusters.iter().position(|other| other.name == c.name);
    let peers: Vec<&Cluster> = peers(fleet, cluster).into_iter().filter(|p| scope.has(p)).collect();
    let (before, behind): (Vec<&Cluster>, Vec<&Cluster>) = peers.into_iter().partition(|p| place(p) < place(cluster));
    behind.into_iter().chain(before).take(TRIED_FROM).collect()
}

pub fn id(cluster: &Cluster, what: &str) -> StepKey {
    StepKey::cluster(&cluster.name, &format!("look/{what}"))
}
