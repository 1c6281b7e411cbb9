//! What is installed on a cluster: archives, manifests and Helm releases, in waves, from `charts/releases.toml`.

use std::collections::BTreeSet;

use super::super::{Expect, Pool, Step, StepKey};
use super::node::{EXPIRING, RENEW_DAYS, clock_synced};
use super::upgrade::Upgrade;
use super::{kube_path, secrets, vault, volumes};
use machines::{Machine, guest};
use model::fleet::{Cluster, Fleet};
use model::release::apps::APPS;
use model::release::{Chart, Manifest, Placement, Releases, Source};
use model::token::digest;
use model::yaml;
use render::{Files, mesh};
use serde_json::Value;
use tool::helm::{self, Helm, Release};
use tool::kubectl::Kubectl;
use tool::{Command, Limits, builtin, curl};

/// What a policy does with what it rejects.
const ACTIONS: &str = "/spec/validationActions";
/// The CronJob of the mesh's certificates, and the begin of the name of its Jobs (upstream: chart of Cilium).
const CERTIFICATES: &str = "clustermesh-apiserver-generate-certs";

/// One step per archive, however many clusters use it.
pub(crate) fn downloads(releases: &Releases) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for chart in &releases.charts {
        let pull = helm::pull(chart, "out/charts");
        push_once(&mut steps, download(&chart.archive(), chart.sha256.as_deref(), pull, "host/helm"));
    }
    for manifest in &releases.manifests {
        if let Source::Url { url, sha256 } = &manifest.source {
            let get = curl::get(url, &archive_path(&file_of(manifest)));
            push_once(&mut steps, download(&file_of(manifest), sha256.as_deref(), get, "host/curl"));
        }
    }
    steps
}

fn push_once(steps: &mut Vec<Step>, step: Step) {
    if !steps.iter().any(|s| s.id == step.id) {
        steps.push(step);
    }
}

pub(crate) fn archive_path(file: &str) -> String {
    format!("out/charts/{file}")
}

pub fn archive_step(file: &str) -> StepKey {
    StepKey::charts(file.trim_end_matches(".tgz").trim_end_matches(".yaml"))
}

/// The file name of a downloaded manifest: its name and the last two parts of its address, one of which is a version.
pub fn file_of(manifest: &Manifest) -> String {
    match &manifest.source {
        Source::File(path) => path.clone(),
        Source::Url { url, .. } => {
            let mut tail: Vec<&str> = url.rsplit('/').take(2).collect();
            tail.reverse();
            format!("{}-{}", manifest.placement.name, tail.join("-"))
        }
    }
}

/// A pinned archive must have its digest. An unlocked one must at least be there.
fn download(file: &str, sha256: Option<&str>, get: Command, tool: &str) -> Step {
    let want = match sha256 {
        Some(digest) => Expect::Stdout(digest.into()),
        None => Expect::Match("^[0-9a-f]{64}$".into()),
    };
    let path = archive_path(file);
    let path = path.trim_start_matches("out/");
    let check = sha256.map(|digest| builtin::check(path, &format!("sha256:{digest}")));
    let open = if sha256.is_none() { ", unlocked: the list has no digest of it" } else { "" };
    Step::new(archive_step(file), format!("download {file}{open}"), builtin::sha256(path), want)
        .needs([tool])
        .pool(Pool::Pull)
        .act([builtin::folder("charts"), get])
        .act(check)
        .limits(Limits::QUICK.minutes(5).attempts(4, 5))
        .hint("a digest that differs means another file than the one that was reviewed: do not go on")
}

/// The steps that install everything on one cluster, with the wait for its nodes among them.
pub(super) fn steps(fleet: &Fleet, cluster: &Cluster, releases: &Releases, files: &Files, helm: Helm) -> Vec<Step> {
    let here = Here { cluster, releases, helm, login: vault::login(fleet, releases, cluster) };
    let mut steps = vec![];
    for manifest in releases.manifests.iter().filter(|m| here.has(&m.placement)) {
        steps.push(here.manifest(manifest));
        steps.extend(here.exact(manifest, files));
        steps.extend(here.ready(manifest, files));
    }
    for chart in releases.charts.iter().filter(|c| here.has(&c.placement)) {
        steps.push(here.chart(chart));
        steps.extend(here.rollout(chart));
        steps.extend((chart.placement.name == mesh::RELEASE).then(|| here.certificates(chart)));
    }
    steps.push(here.nodes());
    steps.push(here.control_plane());
    steps
}

struct Here<'a> {
    cluster: &'a Cluster,
    releases: &'a Releases,
    helm: Helm,
    /// The step after which this cluster can log in at Vault.
    login: Option<StepKey>,
}

impl Here<'_> {
    fn has(&self, placement: &Placement) -> bool {
        placement.clusters.contains(&self.cluster.role)
    }

    fn id(&self, name: &str) -> StepKey {
        StepKey::cluster(&self.cluster.name, name)
    }

    fn kubectl(&self) -> Kubectl {
        Kubectl::on(&kube_path(self.cluster))
    }

    /// What must be there before: everything of a smaller wave and everything named; and, for what waits for its pods,
    /// the nodes and the others' pods too.
    fn needs(&self, placement: &Placement, waits: bool) -> Vec<StepKey> {
        let first = |p: &Placement| self.has(p) && (p.wave < placement.wave || placement.needs.contains(&p.name));
        let manifests = self.releases.manifests.iter().filter(|m| first(&m.placement));
        let mut needs: Vec<StepKey> = manifests.map(|m| self.id(&m.placement.name)).collect();
        for chart in self.releases.charts.iter().filter(|c| first(&c.placement)) {
            needs.push(self.id(&chart.placement.name));
            needs.extend(if waits { self.rollout_ids(chart) } else { vec![] });
        }
        if needs.is_empty() {
            // The first things of a cluster; all others come behind them. A digest that differs or a chart server that
            // is down is known before anything is installed.
            needs.extend(self.archives());
        }
        needs.insert(0, self.id("kubeconfig"));
        needs.extend(waits.then(|| self.id("nodes")));
        needs
    }

    fn archives(&self) -> BTreeSet<StepKey> {
        let charts = self.releases.charts.iter().filter(|c| self.has(&c.placement)).map(|c| c.archive());
        let manifests = self.releases.manifests.iter().filter(|m| self.has(&m.placement) && m.is_downloaded());
        charts.chain(manifests.map(file_of)).map(|file| archive_step(&file)).collect()
    }

    /// The steps that wait for the pods of a release where Helm does not.
    fn rollout_ids(&self, chart: &Chart) -> Vec<StepKey> {
        let ready = if chart.wait { &[][..] } else { &chart.ready };
        ready.iter().map(|workload| self.id(&format!("{}/{workload}", chart.placement.name))).collect()
    }

    /// What makes nodes ready: the releases that Helm does not wait for, as long as none came that it waits for (those
    /// have pods, and pods need nodes).
    fn network(&self) -> impl Iterator<Item = &Chart> {
        let here = || self.releases.charts.iter().filter(|c| self.has(&c.placement));
        let pods = here().filter(|c| c.wait).map(|c| c.placement.wave).min().unwrap_or(u32::MAX);
        here().filter(move |c| !c.wait && c.placement.wave < pods)
    }

    /// Every node is known, has its pod addresses, and is ready. That takes the network, which goes before; whatever
    /// waits for its pods goes after, and pods with a volume take its folder.
    fn nodes(&self) -> Step {
        let cluster = self.cluster;
        let line = |n| Expect::Match(format!(r"^{} \S+ True( |$)", cluster.vm(n)));
        let title = format!("wait for the nodes of {}", cluster.name);
        // A recreated control plane has no record of its workers, and a kubelet registers only when it starts.
        let unknown = |n| Expect::Match(format!(r"^{} ", cluster.vm(n))).negated();
        let missing = Expect::All(vec![Expect::Exit(0), Expect::Any(cluster.nodes.iter().map(unknown).collect())]);
        let want = Expect::All(cluster.nodes.iter().map(line).collect());
        let vms = cluster.nodes.iter().map(|node| Machine::of(cluster, node));
        let kubelets = vms.clone().map(|vm| guest::restart_kubelet(&vm));
        // A kubelet whose clock stood still takes the certificate of its API server for one of the future.
        let clocks = vms.flat_map(|vm| clock_synced(&vm, []));
        Step::new(self.id("nodes"), title, self.kubectl().nodes(), want)
            .needs(self.network().map(|c| self.id(&c.placement.name)))
            .needs(cluster.workers().map(|w| StepKey::node(cluster, w, "join")))
            .needs(cluster.nodes.iter().map(|n| volumes::id(cluster, n)))
            .remedy("one missing", missing, clocks.clone().chain(kubelets))
            .remedy("not yet", Expect::ALWAYS, clocks)
            .limits(Limits::QUICK.settle(600).attempts(2, 5))
            // What keeps nodes from being ready are the pods of the network.
            .observed_by_pods(&self.kubectl(), "kube-system")
            .hint(format!("kubectl --kubeconfig {} describe nodes", kube_path(cluster)))
    }

    /// kubeadm finds control planes by a label, which an upgrade needs and somebody may have removed.
    fn control_plane(&self) -> Step {
        let vm = self.cluster.vm(self.cluster.control_plane());
        let want = Expect::Lines(vec![format!("node/{vm}")]);
        let title = format!("label the control plane of {}", self.cluster.name);
        Step::new(self.id("control-plane"), title, self.kubectl().control_planes(), want)
            .needs([self.id("nodes")])
            .act([self.kubectl().label_control_plane(&vm)])
    }

    fn manifest(&self, manifest: &Manifest) -> Step {
        let placement = &manifest.placement;
        let name = &placement.name;
        let (from, file) = match &manifest.source {
            Source::File(_) => ("-".to_owned(), Some(format!("{}/{name}.yaml", self.cluster.name))),
            Source::Url { .. } => (archive_path(&file_of(manifest)), None),
        };
        let fed = |command: Command| match &file {
            Some(file) => command.stdin_file(file),
            None => command,
        };
        let kubectl = self.kubectl();
        let mut act = vec![fed(kubectl.apply(&from))];
        if !manifest.crds.is_empty() {
            act.push(kubectl.established(&manifest.crds));
        }
        let needs = self.needs(placement, false).into_iter();
        let archive = file.is_none().then(|| archive_step(&file_of(manifest)));
        Step::new(self.id(name), format!("apply {name}"), fed(kubectl.diff(&from)), Expect::Exit(0))
            .needs(needs.chain(archive).chain(secrets::needs(&manifest.bindings)))
            .after(self.login(placement))
            .act(act)
            .undo([fed(kubectl.delete(&from))])
            .limits(self.limits(placement))
    }

    /// What a policy does is a set to the API server: an entry that somebody added stays when ours are applied, and
    /// `kubectl diff` no longer shows it.
    fn exact(&self, manifest: &Manifest, files: &Files) -> Option<Step> {
        let name = &manifest.placement.name;
        let file = format!("{}/{name}.yaml", self.cluster.name);
        let documents = yaml::values(files.get(&file)?).ok()?;
        let many = documents.len() > 1;
        let actions = documents.iter().enumerate().filter_map(|(i, document)| {
            let list = document.pointer(ACTIONS)?.as_array()?;
            let texts = list.iter().filter_map(|text| Some(text.as_str()?.to_owned())).collect();
            let item = if many { format!("/items/{i}") } else { String::new() };
            Some(Expect::JsonSet(item + ACTIONS, texts))
        });
        let wants: Vec<Expect> = actions.collect();
        let kubectl = self.kubectl();
        let title = format!("compare {name} with what others added to it");
        let step = Step::new(
            self.id(&format!("{name}/exact")),
            title,
            kubectl.live("-").stdin_file(&file),
            Expect::All(wants.clone()),
        )
        .needs([self.id(name)])
        .act([kubectl.replace("-").stdin_file(&file)])
        .limits(self.limits(&manifest.placement));
        (!wants.is_empty()).then_some(step)
    }

    fn chart(&self, chart: &Chart) -> Step {
        let name = &chart.placement.name;
        let values = format!("{}/{name}/values.yaml", self.cluster.name);
        let kubeconfig = kube_path(self.cluster);
        let release = Release { chart, cluster: &self.cluster.name, kubeconfig: &kubeconfig, helm: self.helm };
        let archive = archive_path(&chart.archive());
        let title = format!("install {name} {} on {}", chart.version, self.cluster.name);
        let labels = format!(r"{} ours \S+", digest(&values));
        Upgrade { release, archive: &archive, values: &values, labels }
            .step(self.id(name), title, name == mesh::RELEASE)
            .needs(self.needs(&chart.placement, chart.wait))
            .needs([archive_step(&chart.archive())])
            .needs(secrets::needs(&chart.bindings))
            .after(self.login(&chart.placement))
            .limits(self.limits(&chart.placement))
            .observed_by_pods(&self.kubectl(), &chart.namespace)
            .hint(format!("helm history {name} --namespace {} --kubeconfig {kubeconfig}", chart.namespace))
    }

    /// Entries that use what Vault holds come when their cluster can log in there: an order, for they also work later.
    fn login(&self, placement: &Placement) -> Option<StepKey> {
        self.login.clone().filter(|_| vault::is_read_by(&placement.needs))
    }

    /// Where Helm does not wait, a step per workload does, once the nodes can be ready.
    fn rollout(&self, chart: &Chart) -> Vec<Step> {
        let ids = self.rollout_ids(chart).into_iter().zip(&chart.ready);
        ids.map(|(id, workload)| self.wait(id, &chart.placement, &chart.namespace, workload)).collect()
    }

    /// Waits for the workloads of an application.
    fn ready(&self, manifest: &Manifest, files: &Files) -> Vec<Step> {
        let name = &manifest.placement.name;
        let text = match &manifest.source {
            Source::File(file) if file.starts_with(APPS) => files.get(&format!("{}/{name}.yaml", self.cluster.name)),
            _ => None,
        };
        let documents = text.and_then(|text| yaml::values(text).ok()).unwrap_or_default();
        let step = |document: &Value| {
            let text = |pointer| document.pointer(pointer).and_then(Value::as_str);
            let kind = text("/kind").filter(|kind| ["DaemonSet", "Deployment", "StatefulSet"].contains(kind))?;
            let workload = format!("{}/{}", kind.to_lowercase(), text("/metadata/name")?);
            let namespace = text("/metadata/namespace").unwrap_or("default");
            Some(self.wait(self.id(&format!("{name}/{workload}")), &manifest.placement, namespace, &workload))
        };
        documents.iter().filter_map(step).collect()
    }

    fn wait(&self, id: StepKey, placement: &Placement, namespace: &str, workload: &str) -> Step {
        let ask = self.kubectl().rolled_out(namespace, workload);
        Step::new(id, format!("wait for {workload}"), ask, Expect::Exit(0))
            .needs([self.id(&placement.name), self.id("nodes")])
            .remedy("not yet", Expect::ALWAYS, [])
            .limits(Limits::QUICK.settle(placement.timeout.as_secs()).attempts(1, 5))
            .observed_by_pods(&self.kubectl(), namespace)
    }

    /// A CronJob issues the mesh's certificates for a year, every four months where the cluster runs then (upstream: chart
    /// of Cilium 1.20). Deleted and expired ones come back by another run of it alone; servers and agents read them again.
    fn certificates(&self, chart: &Chart) -> Step {
        let rows = ["remote", "server"].map(|of| format!("Secret/clustermesh-apiserver-{of}-cert"));
        let issuing = Expect::Match(format!(r"^Job/{CERTIFICATES}\S* +ca= +$"));
        let there = Expect::Rows(rows.into());
        let expiring = Expect::All(vec![there.clone(), Expect::CertificateDays(RENEW_DAYS).negated()]);
        let issue = self.kubectl().run_cron_job(&chart.namespace, CERTIFICATES, &format!("{CERTIFICATES}-again"));
        let title = format!("issue the mesh certificates of {}", self.cluster.name);
        Step::new(
            self.id(mesh::CERTIFICATES),
            title,
            self.kubectl().certificates(&chart.namespace),
            Expect::All(vec![there, Expect::CertificateDays(RENEW_DAYS)]),
        )
        .needs([self.id(mesh::RELEASE), self.id("nodes")])
        .remedy("being issued", issuing, [])
        .remedy(EXPIRING[0], expiring, issue.clone())
        .act(issue)
        .limits(Limits::QUICK.settle(180).attempts(3, 10))
        .observed_by_pods(&self.kubectl(), &chart.namespace)
        .hint(format!(
            "kubectl --kubeconfig {} --namespace {} describe jobs",
            kube_path(self.cluster),
            chart.namespace
        ))
    }

    /// Half as much again as the placement allows: `helm --timeout` is not an overall limit (measured).
    fn limits(&self, placement: &Placement) -> Limits {
        let minutes = (placement.timeout.as_secs() * 3 / 2).div_ceil(60);
        Limits::QUICK.minutes(minutes.max(2)).attempts(3, 10)
    }
}
