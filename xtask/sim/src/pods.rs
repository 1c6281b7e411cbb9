//! Where pods run and when they are ready: admission, room on nodes, volumes, what they mount, images.
//! Knows nothing of how anyone asks about them. Upstream's rules; where a figure is assumed it stands in `clockwork`.

use std::time::Duration;

use super::admission;
use super::clockwork;
use super::cluster::{Cluster, Ready};
use super::stage::Stage;
use super::vms::Power;
use super::workload::{Held, Wants, Workload};

/// The control plane's own requests: etcd (upstream: kubeadm's manifest). The API server asks for CPU alone.
const CONTROL_PLANE: u64 = 100;
/// What the kubelet keeps free (upstream: `evictionHard` memory.available 100Mi).
const EVICTION: u64 = 100;
/// Into how many steps a long time is cut.
const STEPS: u32 = 12;

/// A node as the scheduler sees it.
struct Seat<'a> {
    node: &'a String,
    /// MiB that pods may still ask for.
    free: u64,
    cordoned: bool,
    /// Whether its kubelet reports.
    online: bool,
    /// Whether it is Ready.
    ready: bool,
}

impl Stage {
    /// What the controllers and the scheduler did since anyone looked last; a long time in between is gone through in
    /// steps, because one thing waits for another. Whether in the end nothing can happen to any pod as things are.
    pub(super) fn settle_pods(&mut self, vm: &str, now: Duration) -> bool {
        let Some(cluster) = self.cluster_mut(vm) else { return true };
        let last = cluster.settled.max(cluster.api_from).min(now);
        cluster.settled = now;
        let steps = if now - last > clockwork::LOOK { STEPS } else { 1 };
        let mut moments = (1..=steps).map(|step| last + (now - last) * step / steps);
        !moments.all(|moment| self.settle_at(vm, moment))
    }

    /// Whether anything was restless, so that it is worth looking once more.
    fn settle_at(&mut self, vm: &str, now: Duration) -> bool {
        let Some(cluster) = self.cluster(vm) else { return false };
        let mut order = self.restless(cluster);
        if order.is_empty() {
            return false;
        }
        let mut changed: Vec<(String, Workload)> = Vec::new();
        let mut seats = self.seats(cluster, now);
        order.sort_by_key(|(_, old)| old.since);
        for (key, old) in order {
            let mut new = old.clone();
            self.settle_one(cluster, &mut new, &mut seats, now);
            if new != *old {
                changed.push((key.clone(), new));
            }
        }
        let with_node = |w: &Workload| {
            let (claim, _) = w.wants.claim.as_ref()?;
            Some((w.namespace.clone(), claim.clone(), w.placed.first()?.clone()))
        };
        let bound: Vec<_> = changed.iter().filter_map(|(_, w)| with_node(w)).collect();
        let Some(cluster) = self.cluster_mut(vm) else { return false };
        cluster.workloads.extend(changed);
        for (namespace, claim, node) in bound {
            self.bind(vm, &namespace, &claim, &node);
        }
        true
    }

    /// Workloads that something can happen to as things are. Of the others each pod has its place on a machine that
    /// runs and nothing holds it, however late it gets.
    fn restless<'a>(&self, cluster: &'a Cluster) -> Vec<(&'a String, &'a Workload)> {
        let runs = |vm: &String| self.vms.get(vm).is_some_and(|vm| vm.power == Power::Running);
        let running: Vec<&String> = cluster.nodes.iter().filter(|(_, n)| runs(&n.vm)).map(|(name, _)| name).collect();
        let quiet = |w: &Workload| {
            let places = if w.kind == "DaemonSet" { cluster.nodes.len() } else { w.replicas };
            let placed = w.placed.len() == places && w.placed.iter().all(|node| running.contains(&node));
            w.made
                && placed
                && w.held == Held::No
                && unmounted(cluster, w).is_none()
                && self.lost_folder(cluster, w).is_none()
        };
        cluster.workloads.iter().filter(|(_, w)| !quiet(w)).collect()
    }

    /// The nodes as the scheduler sees them at this moment, by name.
    fn seats<'a>(&self, cluster: &'a Cluster, now: Duration) -> Vec<Seat<'a>> {
        let taken = |node: &String| {
            let here = |w: &Workload| w.placed.iter().filter(|placed| *placed == node).count() as u64;
            cluster.workloads.values().map(|w| here(w) * w.wants.memory).sum()
        };
        let seat = |node: &'a String| Seat {
            node,
            free: self.allocatable(cluster, node).saturating_sub(taken(node)),
            cordoned: cluster.cordoned.contains(node),
            online: self.kubelet_since(cluster, node).is_some_and(|since| since <= now),
            ready: self.node_ready(cluster, node, now) == Ready::Yes,
        };
        cluster.nodes.keys().map(seat).collect()
    }

    /// Memory of a node for pods, in MiB: the VM's without a twentieth for kernel and firmware (assumption), without
    /// what the kubelet keeps free and what the control plane's static pods ask for.
    fn allocatable(&self, cluster: &Cluster, node: &str) -> u64 {
        let Some(member) = cluster.nodes.get(node) else { return 0 };
        let memory = self.vms.get(&member.vm).map_or(0, |vm| vm.memory >> 20);
        let own = if member.control_plane { CONTROL_PLANE } else { 0 };
        (memory - memory / 20).saturating_sub(EVICTION + own)
    }

    fn settle_one(&self, cluster: &Cluster, w: &mut Workload, seats: &mut [Seat<'_>], now: Duration) {
        self.evict(cluster, w, now);
        let held = self.create(cluster, w, now).or_else(|| self.place(cluster, w, seats, now));
        let held = held.or_else(|| unmounted(cluster, w)).or_else(|| self.lost_folder(cluster, w)).unwrap_or_default();
        // Of a DaemonSet some pods may have their nodes while others wait.
        let some = w.kind == "DaemonSet" && matches!(held, Held::Unschedulable(_));
        if !some && !matches!(held, Held::No | Held::Refused(_)) {
            w.held_at = now;
        }
        w.held = held;
    }

    /// Pods of nodes that are no more go, and those of a Deployment on a node that has been away too long. Of a
    /// StatefulSet none is ever made elsewhere while its node is only away, nor any that has a volume there.
    fn evict(&self, cluster: &Cluster, w: &mut Workload, now: Duration) {
        let gone = |node: &String| {
            let Some(member) = cluster.nodes.get(node) else { return true };
            let away = self.vms.get(&member.vm).is_none_or(|vm| {
                vm.power != Power::Running && vm.turned + clockwork::HEARTBEAT + clockwork::EVICTION < now
            });
            away && w.kind == "Deployment" && w.wants.claim.is_none()
        };
        let placed = w.placed.len();
        w.placed.retain(|node| !gone(node));
        if w.placed.len() < placed && w.kind != "DaemonSet" {
            w.since = now;
        }
    }

    /// Whether admission lets the pods in. After a refusal controllers try again ever more rarely, up to 1000 s
    /// (upstream: 5 ms doubled each time), also when the reason is gone; measured: still nothing 85 s later.
    fn create(&self, cluster: &Cluster, w: &mut Workload, now: Duration) -> Option<Held> {
        if w.made {
            return None;
        }
        let up = cluster.workloads.get(admission::KYVERNO).is_some_and(|k| self.rolled_out(cluster, k, now));
        let forbidden = |why| format!("pods \"{}-\" is forbidden: {why}", w.name);
        let refused = admission::pod_security(cluster, &w.namespace, &w.wants.offends).map(forbidden);
        let refused = refused.or_else(|| admission::kyverno(cluster, &w.namespace, &w.wants.template, up));
        if let Some(why) = refused {
            w.held_at = now;
            return Some(Held::Refused(format!("Error creating: {why}")));
        }
        if let Held::Refused(_) = &w.held {
            if !retried(w.since, w.held_at, now) {
                return Some(w.held.clone());
            }
            w.held_at = now;
        }
        w.made = true;
        None
    }

    fn place(&self, cluster: &Cluster, w: &mut Workload, seats: &mut [Seat<'_>], now: Duration) -> Option<Held> {
        if w.kind == "DaemonSet" {
            return everywhere(w, seats);
        }
        while w.placed.len() < w.replicas {
            if let Some(why) = self.unbound(cluster, w, now) {
                return Some(Held::Unschedulable(format!("0/{} nodes are available: {why}", seats.len())));
            }
            let home = w.home.as_deref().filter(|home| cluster.nodes.contains_key(*home));
            match best(seats, &w.wants, home) {
                Ok(place) => {
                    let Seat { node, free, .. } = &mut seats[place];
                    *free = free.saturating_sub(w.wants.memory);
                    w.home = w.wants.claim.is_some().then(|| node.to_string());
                    w.placed.push(node.to_string());
                    w.held_at = now;
                }
                Err(why) => return Some(Held::Unschedulable(why)),
            }
        }
        w.placed.truncate(w.replicas);
        None
    }

    /// Whether a Job could run at this moment.
    pub(super) fn job_fits(&self, cluster: &Cluster, wants: &Wants, now: Duration) -> bool {
        best(&self.seats(cluster, now), wants, None).is_ok()
    }

    /// From when a pod's containers run on this node, while its machine does.
    fn running_since(&self, cluster: &Cluster, w: &Workload, node: &str) -> Option<Duration> {
        let member = cluster.nodes.get(node)?;
        let online = match (w.name.as_str(), w.wants.host_network) {
            ("cilium", _) | (_, false) => self.agent_since(cluster, node)?,
            (_, true) => self.kubelet_since(cluster, node)?,
        };
        let pull = if w.warm { clockwork::START } else { Duration::from_secs(w.wants.pull) };
        let volume = if w.wants.claim.is_some() { clockwork::VOLUME } else { Duration::ZERO };
        Some(online.max(w.since.max(member.joined).max(w.held_at) + pull + volume))
    }

    /// The node on which a workload's first pod runs at this moment.
    pub(super) fn runs_on<'a>(&self, cluster: &Cluster, w: &'a Workload, now: Duration) -> Option<&'a String> {
        let node = w.placed.first().filter(|_| w.held == Held::No)?;
        self.running_since(cluster, w, node).filter(|since| *since <= now).map(|_| node)
    }

    /// How many pods of a workload are wanted, and how many are ready.
    pub(super) fn pods(&self, cluster: &Cluster, w: &Workload, now: Duration) -> (usize, usize) {
        let wanted = if w.kind == "DaemonSet" { cluster.nodes.len() } else { w.replicas };
        // Of a DaemonSet the pods that have a place run, whatever another one waits for.
        if w.held != Held::No && !(w.kind == "DaemonSet" && matches!(w.held, Held::Unschedulable(_))) {
            return (wanted, 0);
        }
        let runs = |(n, node): &(usize, &String)| {
            self.running_since(cluster, w, node).is_some_and(|since| since.max(w.remade(*n)) <= now)
        };
        let running = w.placed.iter().enumerate().filter(runs).count();
        // A sealed Vault runs and is not ready (upstream: the chart's probe is `vault status`).
        let sealed = w.is(super::vault::WORKLOAD) && self.vault_sealed(cluster);
        (wanted, if sealed { 0 } else { running })
    }

    /// Whether all pods of a workload are ready.
    pub(super) fn rolled_out(&self, cluster: &Cluster, workload: &Workload, now: Duration) -> bool {
        let (wanted, ready) = self.pods(cluster, workload, now);
        wanted == ready && (wanted > 0 || workload.replicas == 0)
    }
}

/// The node with the most room among those that a pod may go to, by its place.
fn best(seats: &[Seat<'_>], wants: &Wants, home: Option<&str>) -> Result<usize, String> {
    let open = |seat: &Seat<'_>| match wants.host_network {
        _ if seat.cordoned || home.is_some_and(|home| home != seat.node) => false,
        // Cilium's operator tolerates every taint.
        true => seat.online,
        false => seat.ready,
    };
    let all = || seats.iter().enumerate().filter(|(_, seat)| open(seat));
    if let Some((place, _)) = all().filter(|(_, seat)| seat.free >= wants.memory).max_by_key(|(_, seat)| seat.free) {
        return Ok(place);
    }
    let nodes = seats.len();
    let small = all().count();
    let cordoned = seats.iter().filter(|seat| seat.cordoned).count();
    let elsewhere = home.map_or(0, |home| seats.iter().filter(|s| s.node != home && !s.cordoned).count());
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
    // Words of the scheduler (upstream).
    Err(format!("0/{nodes} nodes are available: {}.", why.join(", ")))
}

/// A DaemonSet's pods: one on each node that has room. They wait for no taint of a new node (upstream: tolerations
/// that its controller adds; those of the pinned values for the rest).
fn everywhere(w: &mut Workload, seats: &mut [Seat<'_>]) -> Option<Held> {
    let nodes = seats.len();
    let mut full = 0;
    for seat in seats {
        if w.placed.contains(seat.node) {
            continue;
        }
        if seat.free >= w.wants.memory {
            seat.free -= w.wants.memory;
            w.placed.push(seat.node.clone());
        } else {
            full += 1;
        }
    }
    let why = format!("0/{nodes} nodes are available: {full} Insufficient memory.");
    (full > 0).then_some(Held::Unschedulable(why))
}

/// What a pod mounts and nobody has made (upstream: `MountVolume.SetUp failed`, `CreateContainerConfigError`).
fn unmounted(cluster: &Cluster, w: &Workload) -> Option<Held> {
    let copied = |key: &str| key.strip_prefix("secret/").is_some_and(|key| cluster.copied(key));
    let missing = |key: &&String| !cluster.objects.contains_key(*key) && !copied(key);
    let mut parts = w.wants.mounts.iter().find(missing)?.split('/');
    let (kind, name) = (parts.next().unwrap_or_default(), parts.next_back().unwrap_or_default());
    Some(Held::Unmounted(format!("{kind} \"{name}\" not found")))
}

/// Whether a controller that backs off since `first` has tried again after `last`.
fn retried(first: Duration, last: Duration, now: Duration) -> bool {
    let mut pause = Duration::from_millis(5);
    let mut at = first;
    while at <= last {
        at += pause;
        pause = (pause * 2).min(Duration::from_secs(1000));
    }
    at <= now
}
