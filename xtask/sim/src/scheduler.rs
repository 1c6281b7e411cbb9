//! Where pods run and when they are ready, by upstream's rules: admission, memory, volumes, mounts, images.

use crate::admission;
use crate::cluster::Ready;
use crate::prelude::*;
use crate::vms::Power;
use crate::workload::{PendingReason, PodNeeds};

/// Requests of the control plane's static pods: etcd (upstream: kubeadm's manifest). The API server requests CPU alone.
const CONTROL_PLANE: u64 = 100;
/// The kubelet's reserve (upstream: `evictionHard` memory.available 100Mi).
const EVICTION: u64 = 100;
/// Steps into which a long interval is divided.
const STEPS: u32 = 12;

struct NodeView<'a> {
    node: &'a String,
    /// MiB that pods may still request.
    free: u64,
    cordoned: bool,
    online: bool,
    ready: bool,
}

impl SimState {
    /// Controllers and scheduler up to now; a long interval is divided into steps, since one thing waits for another.
    /// Returns whether no pod has pending work.
    pub(super) fn reconcile_pods(&mut self, vm: &str, now: Duration) -> bool {
        let Some(cluster) = self.cluster_mut(vm) else { return true };
        let last = cluster.reconciled_until.max(cluster.api_from).min(now);
        cluster.reconciled_until = now;
        let steps = if now - last > timings::LOOK { STEPS } else { 1 };
        let mut moments = (1..=steps).map(|step| last + (now - last) * step / steps);
        !moments.all(|moment| self.reconcile_pods_at(vm, moment))
    }

    fn reconcile_pods_at(&mut self, vm: &str, now: Duration) -> bool {
        let Some(cluster) = self.cluster(vm) else { return false };
        let mut order = self.workloads_with_pending_work(cluster);
        if order.is_empty() {
            return false;
        }
        let mut changed: Vec<(String, Workload)> = Vec::new();
        let mut views = self.node_views(cluster, now);
        order.sort_by_key(|(_, old)| old.since);
        for (key, old) in order {
            let mut new = old.clone();
            self.reconcile_workload(cluster, &mut new, &mut views, now);
            if new != *old {
                changed.push((key.clone(), new));
            }
        }
        let with_node = |w: &Workload| {
            let (claim, _) = w.needs.claim.as_ref()?;
            Some((w.namespace.clone(), claim.clone(), w.placed.first()?.clone()))
        };
        let bound: Vec<_> = changed.iter().filter_map(|(_, w)| with_node(w)).collect();
        let Some(cluster) = self.cluster_mut(vm) else { return false };
        cluster.workloads.extend(changed);
        for (namespace, claim, node) in bound {
            self.bind_claim(vm, &namespace, &claim, &node);
        }
        true
    }

    /// Of other workloads every pod is placed on a running machine and nothing keeps it from running, whatever the
    /// time.
    fn workloads_with_pending_work<'a>(&self, cluster: &'a Cluster) -> Vec<(&'a String, &'a Workload)> {
        let runs = |vm: &String| self.vms.get(vm).is_some_and(|vm| vm.power == Power::Running);
        let running: Vec<&String> = cluster.nodes.iter().filter(|(_, n)| runs(&n.vm)).map(|(name, _)| name).collect();
        let quiet = |w: &Workload| {
            let places = if w.kind == "DaemonSet" { cluster.nodes.len() } else { w.replicas };
            let placed = w.placed.len() == places && w.placed.iter().all(|node| running.contains(&node));
            w.admitted
                && placed
                && w.pending == PendingReason::None
                && missing_mount(cluster, w).is_none()
                && self.missing_volume_folder(cluster, w).is_none()
        };
        cluster.workloads.iter().filter(|(_, w)| !quiet(w)).collect()
    }

    fn node_views<'a>(&self, cluster: &'a Cluster, now: Duration) -> Vec<NodeView<'a>> {
        let taken = |node: &String| {
            let here = |w: &Workload| w.placed.iter().filter(|placed| *placed == node).count() as u64;
            cluster.workloads.values().map(|w| here(w) * w.needs.memory).sum()
        };
        let view = |node: &'a String| NodeView {
            node,
            free: self.allocatable(cluster, node).saturating_sub(taken(node)),
            cordoned: cluster.cordoned.contains(node),
            online: self.kubelet_since(cluster, node).is_some_and(|since| since <= now),
            ready: self.node_ready(cluster, node, now) == Ready::Yes,
        };
        cluster.nodes.keys().map(view).collect()
    }

    /// Memory for pods, in MiB: the VM's without a twentieth for kernel and firmware (assumption), the kubelet's
    /// reserve and the control plane.
    fn allocatable(&self, cluster: &Cluster, node: &str) -> u64 {
        let Some(member) = cluster.nodes.get(node) else { return 0 };
        let memory = self.vms.get(&member.vm).map_or(0, |vm| vm.memory >> 20);
        let own = if member.control_plane { CONTROL_PLANE } else { 0 };
        (memory - memory / 20).saturating_sub(EVICTION + own)
    }

    fn reconcile_workload(&self, cluster: &Cluster, w: &mut Workload, views: &mut [NodeView<'_>], now: Duration) {
        self.evict(cluster, w, now);
        let pending = self.admit(cluster, w, now).or_else(|| self.place_pods(cluster, w, views, now));
        let pending = pending
            .or_else(|| missing_mount(cluster, w))
            .or_else(|| self.missing_volume_folder(cluster, w))
            .unwrap_or_default();
        // Some pods of a DaemonSet may have nodes while others wait.
        let some = w.kind == "DaemonSet" && matches!(pending, PendingReason::Unschedulable(_));
        if !some && !matches!(pending, PendingReason::None | PendingReason::Refused(_)) {
            w.pending_until = now;
        }
        w.pending = pending;
    }

    /// Pods of deleted nodes are removed, and those of a Deployment on a node that was down too long; not those of a
    /// StatefulSet or with a volume there.
    fn evict(&self, cluster: &Cluster, w: &mut Workload, now: Duration) {
        let gone = |node: &String| {
            let Some(member) = cluster.nodes.get(node) else { return true };
            let away = self.vms.get(&member.vm).is_none_or(|vm| {
                vm.power != Power::Running && vm.power_changed_at + timings::HEARTBEAT + timings::EVICTION < now
            });
            away && w.kind == "Deployment" && w.needs.claim.is_none()
        };
        let placed = w.placed.len();
        w.placed.retain(|node| !gone(node));
        if w.placed.len() < placed && w.kind != "DaemonSet" {
            w.since = now;
        }
    }

    /// After a refusal controllers retry with a growing pause, up to 1000 s (upstream: 5 ms doubled each time), even if
    /// the reason is gone; measured: still nothing 85 s later.
    fn admit(&self, cluster: &Cluster, w: &mut Workload, now: Duration) -> Option<PendingReason> {
        if w.admitted {
            return None;
        }
        let up = cluster.workloads.get(admission::KYVERNO).is_some_and(|k| self.rolled_out(cluster, k, now));
        let forbidden = |why| format!("pods \"{}-\" is forbidden: {why}", w.name);
        let failure = admission::pod_security(cluster, &w.namespace, &w.needs.violations).map(forbidden);
        let failure = failure.or_else(|| admission::kyverno(cluster, &w.namespace, &w.needs.template, up));
        if let Some(why) = failure {
            w.pending_until = now;
            return Some(PendingReason::Refused(format!("Error creating: {why}")));
        }
        if let PendingReason::Refused(_) = &w.pending {
            if !backoff_elapsed(w.since, w.pending_until, now) {
                return Some(w.pending.clone());
            }
            w.pending_until = now;
        }
        w.admitted = true;
        None
    }

    fn place_pods(
        &self,
        cluster: &Cluster,
        w: &mut Workload,
        views: &mut [NodeView<'_>],
        now: Duration,
    ) -> Option<PendingReason> {
        if w.kind == "DaemonSet" {
            return place_daemon_pods(w, views);
        }
        while w.placed.len() < w.replicas {
            if let Some(why) = self.unbound_claim_reason(cluster, w, now) {
                return Some(PendingReason::Unschedulable(format!("0/{} nodes are available: {why}", views.len())));
            }
            let volume_node = w.volume_node.as_deref().filter(|volume_node| cluster.nodes.contains_key(*volume_node));
            match best_node(views, &w.needs, volume_node) {
                Ok(place) => {
                    let NodeView { node, free, .. } = &mut views[place];
                    *free = free.saturating_sub(w.needs.memory);
                    w.volume_node = w.needs.claim.is_some().then(|| node.to_string());
                    w.placed.push(node.to_string());
                    w.pending_until = now;
                }
                Err(why) => return Some(PendingReason::Unschedulable(why)),
            }
        }
        w.placed.truncate(w.replicas);
        None
    }

    pub(super) fn job_fits(&self, cluster: &Cluster, needs: &PodNeeds, now: Duration) -> bool {
        best_node(&self.node_views(cluster, now), needs, None).is_ok()
    }

    fn running_since(&self, cluster: &Cluster, w: &Workload, node: &str) -> Option<Duration> {
        let member = cluster.nodes.get(node)?;
        let online = match (w.name.as_str(), w.needs.host_network) {
            ("cilium", _) | (_, false) => self.agent_since(cluster, node)?,
            (_, true) => self.kubelet_since(cluster, node)?,
        };
        let pull = if w.images_cached { timings::START } else { Duration::from_secs(w.needs.pull) };
        let volume = if w.needs.claim.is_some() { timings::VOLUME } else { Duration::ZERO };
        Some(online.max(w.since.max(member.joined).max(w.pending_until) + pull + volume))
    }

    /// The node of a workload's first pod, if that runs now.
    pub(super) fn runs_on<'a>(&self, cluster: &Cluster, w: &'a Workload, now: Duration) -> Option<&'a String> {
        let node = w.placed.first().filter(|_| w.pending == PendingReason::None)?;
        self.running_since(cluster, w, node).filter(|since| *since <= now).map(|_| node)
    }

    pub(super) fn pods(&self, cluster: &Cluster, w: &Workload, now: Duration) -> (usize, usize) {
        let wanted = if w.kind == "DaemonSet" { cluster.nodes.len() } else { w.replicas };
        // Placed pods of a DaemonSet run, whatever another one waits for.
        if w.pending != PendingReason::None
            && !(w.kind == "DaemonSet" && matches!(w.pending, PendingReason::Unschedulable(_)))
        {
            return (wanted, 0);
        }
        let runs = |(n, node): &(usize, &String)| {
            self.running_since(cluster, w, node).is_some_and(|since| since.max(w.replacement_ready_at(*n)) <= now)
        };
        let running = w.placed.iter().enumerate().filter(runs).count();
        // A sealed Vault runs and is not ready (upstream: the chart's probe is `vault status`).
        let sealed = w.is(crate::vault::WORKLOAD) && self.vault_sealed(cluster);
        // CoreDNS asks the API server by its Service, and is not ready without an answer.
        let mute = w.is("kube-system/deployment/coredns") && !crate::mesh::has_services(cluster);
        (wanted, if sealed || mute { 0 } else { running })
    }

    pub(super) fn rolled_out(&self, cluster: &Cluster, workload: &Workload, now: Duration) -> bool {
        let (wanted, ready) = self.pods(cluster, workload, now);
        wanted == ready && (wanted > 0 || workload.replicas == 0)
    }
}

/// The index of the node with the most memory among those that a pod may use.
fn best_node(views: &[NodeView<'_>], needs: &PodNeeds, volume_node: Option<&str>) -> Result<usize, String> {
    let open = |view: &NodeView<'_>| match needs.host_network {
        _ if view.cordoned || volume_node.is_some_and(|volume_node| volume_node != view.node) => false,
        // Cilium's operator tolerates every taint.
        true => view.online,
        false => view.ready,
    };
    let all = || views.iter().enumerate().filter(|(_, view)| open(view));
    if let Some((place, _)) = all().filter(|(_, view)| view.free >= needs.memory).max_by_key(|(_, view)| view.free) {
        return Ok(place);
    }
    let nodes = views.len();
    let small = all().count();
    let cordoned = views.iter().filter(|view| view.cordoned).count();
    let elsewhere =
        volume_node.map_or(0, |volume_node| views.iter().filter(|s| s.node != volume_node && !s.cordoned).count());
    let tainted = nodes - small - cordoned - elsewhere;
    let mut why = Vec::new();
    if small > 0 {
        why.push(format!("{small} Insufficient memory"));
    }
    if tainted > 0 {
        why.push(format!("{tainted} node(s) had untolerated taint {{node.kubernetes.io/not-ready: }}"));
    }
    if cordoned > 0 {
        why.push(format!("{cordoned} node(s) were unschedulable"));
    }
    if elsewhere > 0 {
        why.push(format!("{elsewhere} node(s) had volume node affinity conflict"));
    }
    // Text of the scheduler (upstream).
    Err(format!("0/{nodes} nodes are available: {}.", why.join(", ")))
}

/// One on each node with enough memory. They tolerate the taints of a new node (upstream: tolerations that the
/// controller adds; those of the pinned values for the rest).
fn place_daemon_pods(w: &mut Workload, views: &mut [NodeView<'_>]) -> Option<PendingReason> {
    let nodes = views.len();
    let mut full = 0;
    for view in views {
        if w.placed.contains(view.node) {
            continue;
        }
        if view.free >= w.needs.memory {
            view.free -= w.needs.memory;
            w.placed.push(view.node.clone());
        } else {
            full += 1;
        }
    }
    let why = format!("0/{nodes} nodes are available: {full} Insufficient memory.");
    (full > 0).then_some(PendingReason::Unschedulable(why))
}

/// A mounted object that does not exist (upstream: `MountVolume.SetUp failed`, `CreateContainerConfigError`).
fn missing_mount(cluster: &Cluster, w: &Workload) -> Option<PendingReason> {
    let copied = |key: &str| key.strip_prefix("secret/").is_some_and(|key| cluster.has_synced_secret(key));
    let missing = |key: &&String| !cluster.objects.contains_key(*key) && !copied(key);
    let mut parts = w.needs.mounts.iter().find(missing)?.split('/');
    let (kind, name) = (parts.next().unwrap_or_default(), parts.next_back().unwrap_or_default());
    Some(PendingReason::Unmounted(format!("{kind} \"{name}\" not found")))
}

/// Whether a controller that backs off since `first` has retried after `last`.
fn backoff_elapsed(first: Duration, last: Duration, now: Duration) -> bool {
    let mut pause = Duration::from_millis(5);
    let mut at = first;
    while at <= last {
        at += pause;
        pause = (pause * 2).min(Duration::from_secs(1000));
    }
    at <= now
}
