//! Upgrades one node after another: kubeadm, control plane, then drain, kubelet and uncordon for each.

use super::super::bootstrap::kube_path;
use super::super::bootstrap::node::clock_synced;
use super::super::cause::Reader;
use super::super::{Expect, Step, StepKey};
use machines::{Machine, guest};
use model::fleet::{Cluster, Fleet, Node, Role};
use model::release::Releases;
use render::cloud_init::{self, prep_marker};
use render::mesh::peers;
use tool::Limits;
use tool::kubectl::Kubectl;

/// Seconds for evicting pods, and for scheduling them elsewhere.
const DRAIN: u64 = 300;
/// The release whose write-ahead log a restart empties (ADR-0006).
const AGENT: &str = "prometheus-agent";

pub fn id(cluster: &Cluster, node: &Node, what: &str) -> StepKey {
    StepKey::node(cluster, node, what)
}

pub fn each<'a>(cluster: &'a Cluster, steps: &'a mut [Step], what: &str) -> Vec<(&'a Node, &'a mut Step)> {
    let node = |step: &Step| cluster.nodes.iter().find(|node| step.id == id(cluster, node, what));
    steps.iter_mut().filter_map(|step| node(step).map(|node| (node, step))).collect()
}

/// All steps of a cluster's nodes, one after another, the control plane first.
pub fn chain(fleet: &Fleet, cluster: &Cluster, releases: &Releases) -> Vec<Step> {
    let mut steps: Vec<Step> = vec![];
    let nodes = std::iter::once(cluster.control_plane()).chain(cluster.workers());
    for node in nodes {
        let here =
            Here { fleet, cluster, node, vm: Machine::of(cluster, node), kubectl: Kubectl::on(&kube_path(cluster)) };
        steps.push(here.kubeadm());
        steps.extend((node == cluster.control_plane()).then(|| here.control_plane()));
        steps.extend(here.delivered(releases));
        let alone = cluster.nodes.len() == 1;
        steps.extend((!alone).then(|| here.drained()));
        steps.extend([here.kubelet(), here.restarted()]);
        steps.extend((!alone).then(|| here.back()));
    }
    let mut before = StepKey::cluster(&cluster.name, "nodes");
    for step in &mut steps {
        let id = step.id.clone();
        step.needs.push(std::mem::replace(&mut before, id));
    }
    steps
}

struct Here<'a> {
    fleet: &'a Fleet,
    cluster: &'a Cluster,
    node: &'a Node,
    vm: Machine,
    kubectl: Kubectl,
}

impl Here<'_> {
    fn id(&self, what: &str) -> StepKey {
        id(self.cluster, self.node, what)
    }

    /// A step whose probe is the node's state. A running kubeadm is waited for.
    fn machine(&self, what: &str, title: String, field: &str, value: String) -> Step {
        let state = |field: &str, value: &str| Expect::Json(format!("/{field}"), value.to_owned());
        let busy = Expect::Any(vec![state("control_plane", "busy"), state("worker", "busy")]);
        let ask = guest::state(&self.vm, &self.cluster.api_name());
        Step::new(self.id(what), title, ask, state(field, &value)).remedy("busy", busy, [])
    }

    fn kubeadm(&self) -> Step {
        let version = &self.fleet.versions.kubeadm;
        self.machine("kubeadm", format!("install kubeadm {version} on {}", self.vm), "kubeadm", format!("v{version}"))
            .act([guest::keep(&self.vm, guest::VERSIONS, cloud_init::VERSIONS), guest::install_kubeadm(&self.vm)])
            .limits(Limits::QUICK.minutes(15).settle(120).attempts(3, 10))
    }

    fn control_plane(&self) -> Step {
        let version = format!("v{}", self.fleet.versions.kubernetes);
        let title = format!("upgrade the control plane of {} to {version}", self.cluster.name);
        // Every kubelet will check its new certificate.
        let others = self.cluster.workers().flat_map(|worker| clock_synced(&Machine::of(self.cluster, worker), []));
        let file = format!("{}/{}/kubeadm-upgrade.yaml", self.cluster.name, self.node.name);
        let keep = guest::keep(&self.vm, guest::UPGRADE, &file);
        let apply = clock_synced(&self.vm, [guest::upgrade(&self.vm, &version)]);
        let mut step = self.machine("control-plane", title, "version", version);
        let finished = Expect::Json("/upgrade".into(), String::new());
        step.done_when.want = Expect::All(vec![step.done_when.want, finished]);
        step.act(others.chain([keep]).chain(apply))
            .limits(Limits::QUICK.minutes(25).settle(600).attempts(3, 10))
            .observed_by_kubelet(&self.vm)
            .hint(self.vm.ask(&["sudo", "ls", "/etc/kubernetes/tmp", "/var/lib/archipelago"]).to_string())
    }

    /// The platform has the newest samples of this cluster, so a restart of its agent loses no backlog. Only for a cluster
    /// whose agent has a platform to send to.
    fn delivered(&self, releases: &Releases) -> Option<Step> {
        releases.on(self.cluster.role, AGENT)?;
        let platform = peers(self.fleet, self.cluster).into_iter().find(|peer| peer.role == Role::Platform)?;
        let (name, there) = (&self.cluster.name, &platform.name);
        // Seconds since the newest sample of the target that is furthest behind.
        let query = format!("max(time()-timestamp(up%7Bcluster%3D%22{name}%22%7D))%3C120");
        let service = "/api/v1/namespaces/monitoring/services/thanos-query:9090/proxy/api/v1/query?query=";
        let ask = Kubectl::on(&kube_path(platform)).raw(&format!("{service}{query}"));
        let want = Expect::JsonPresent("/data/result/0/value/1".into());
        let title = format!("check that {there} has received all samples of {name} before {} is drained", self.vm);
        let step = Step::new(self.id("delivered"), title, ask, want).needs([StepKey::cluster(there, "kubeconfig")]);
        let step = step.poll(600, 10).observed_by_pods(&self.kubectl, "monitoring");
        Some(step.hint("a restart of the agent would lose what waits: cargo xtask mesh-connect --diagnose"))
    }

    /// A step whose probe is the node in the API.
    fn known(&self, what: &str, title: String, want: Expect) -> Step {
        Step::new(self.id(what), title, self.kubectl.node(self.vm.name()), want)
    }

    fn new_kubelet(&self) -> String {
        format!(r"^v{} ", self.fleet.versions.kubeadm.to_string().replace('.', r"\."))
    }

    /// Annotated before it is cordoned, so that a later run can tell its own cordon from a manual one. A manually cordoned
    /// node keeps its pods: its kubelet is restarted under them, and they could not come back.
    fn drained(&self) -> Step {
        let vm = self.vm.name();
        let done = Expect::Match(r" upgrade=drained(-cordoned)?$".into());
        let want = Expect::Any(vec![Expect::Match(self.new_kubelet()), done]);
        let mark = |how_far| self.kubectl.mark(vm, Some(how_far));
        let by_hand = Expect::Match(r" cordoned=true upgrade=$".into());
        self.known("drain", format!("move everything from {vm} to other nodes"), want)
            .remedy("cordoned by hand", by_hand, [mark("drained-cordoned")])
            .act([mark("begun"), self.kubectl.drain(vm, DRAIN), mark("drained")])
            .limits(Limits::QUICK.minutes(DRAIN / 60 + 3).settle(120).attempts(3, 10))
            .observed(self.kubectl.table_of_all("pods,events"), Reader::Pods)
            .hint(format!("kubectl --kubeconfig {} get pdb,pods --all-namespaces", kube_path(self.cluster)))
    }

    /// All packages; the marker for `bootstrap` is written last.
    fn kubelet(&self) -> Step {
        let version = &self.fleet.versions.kubeadm;
        let worker = self.node != self.cluster.control_plane();
        let configuration =
            worker.then(|| clock_synced(&self.vm, [guest::upgrade_node(&self.vm)])).into_iter().flatten();
        let title = format!("install kubelet {version} on {}", self.vm);
        self.machine("kubelet", title, "prep", prep_marker(self.fleet))
            .act(configuration.chain([guest::prepare(&self.vm)]))
            .limits(Limits::QUICK.minutes(25).settle(60).attempts(3, 10))
            .observed_by_kubelet(&self.vm)
    }

    fn restarted(&self) -> Step {
        let new = self.new_kubelet();
        let title = format!("start the new kubelet of {}", self.vm);
        self.known("restart", title, Expect::Match(format!("{new}True ")))
            .remedy("starting", Expect::Match(new), [])
            .act([guest::restart_kubelet(&self.vm)])
            .limits(Limits::QUICK.settle(300).attempts(2, 5))
            .observed_by_kubelet(&self.vm)
            .hint(guest::kubelet_log(&self.vm).to_string())
    }

    /// A manually cordoned node stays cordoned.
    fn back(&self) -> Step {
        let vm = self.vm.name();
        let unmark = self.kubectl.mark(vm, None);
        self.known("uncordon", format!("let pods onto {vm} again"), Expect::Match(r" upgrade=$".into()))
            .remedy("cordoned by hand", Expect::Match(r" upgrade=\w+-cordoned$".into()), [unmark.clone()])
            .act([self.kubectl.uncordon(vm), self.kubectl.scheduled(DRAIN), unmark])
            .limits(Limits::QUICK.minutes(DRAIN / 60 + 3).settle(60).attempts(3, 5))
            .observed(self.kubectl.table_of_all("pods,events"), Reader::Pods)
    }
}
