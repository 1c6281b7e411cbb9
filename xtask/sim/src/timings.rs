//! How long everything takes in the embedded world: one table, each with where it is from.
//! Knows nothing of what the commands do.

use std::time::Duration;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What clocks show when a story begins: seconds since 1970.
pub const EPOCH: u64 = 1_763_855_000;
/// How long the machine sleeps, in seconds.
pub const NIGHT: u64 = 6 * 3600;
/// How far kubeadm dates certificates back, in seconds (upstream: `CertificateBackdate`).
pub const BACKDATE: u64 = 300;
/// First launch of all: 600 MB of image, then boot (assumption: 100 Mbit/s).
pub const FIRST_BOOT_WITH_IMAGE: Duration = s(90);
/// Launch from the cached image to the first SSH (assumption; upstream's own samples show 20 to 45 s).
pub const FIRST_BOOT: Duration = s(35);
/// `start` of a stopped VM to SSH (assumption).
pub const BOOT: Duration = s(20);
/// `stop` (assumption).
pub const HALT: Duration = s(8);
/// cloud-init without our preparation (assumption).
pub const CLOUD_INIT: Duration = s(10);
/// The preparation script: apt, containerd, kubelet, pause image (assumption: 250 MB of packages).
pub const PREP: Duration = s(120);
/// `kubeadm init`: 8 s were measured with the images there, the rest is their download (assumption).
pub const INIT: Duration = s(60);
/// The static pods of a control plane after a boot (assumption).
pub const API_AFTER_BOOT: Duration = s(25);
/// `kubeadm join` once cluster-info is signed (measured: 1.7 s; the rest is the kubelet's start, assumption).
pub const JOIN: Duration = s(20);
/// kubeadm's pause between two reads of cluster-info (upstream: DiscoveryRetryInterval).
pub const DISCOVERY: Duration = s(5);
/// `node-readdress` until the API answers again (assumption: certificates and manifests within seconds, then a boot).
pub const READDRESS: Duration = s(30);
/// kubeadm's package alone (assumption: 20 MB).
pub const KUBEADM: Duration = s(15);
/// `kubeadm upgrade apply`: new images, and four static pods one after another (assumption).
pub const UPGRADE: Duration = s(90);
/// From a pod's eviction until it is gone (assumption; upstream's grace period is 30 s for those that do not end).
pub const LEAVE: Duration = s(10);
/// `kubeadm reset` of a half-made control plane (assumption).
pub const RESET: Duration = s(12);
/// Seconds until the images of pods that are not a chart's are pulled (assumption, as in `data/charts.toml`): below
/// 150 MB, and below 300 MB.
pub const PULL_SMALL: u64 = 20;
pub const PULL_MEDIUM: u64 = 30;
/// The Cilium agent's images (assumption, as in `data/charts.toml`).
pub const IMAGE: Duration = s(40);
/// A container whose image is there, until it is ready (assumption).
pub const START: Duration = s(5);
/// From a claim whose pod has a node to its volume: a helper pod makes the folder (assumption).
pub const VOLUME: Duration = s(10);
/// How long pods stay on a node that went away before they are made elsewhere (upstream: tolerationSeconds 300).
pub const EVICTION: Duration = s(300);
/// From a bootable node to a kubelet that reports (assumption).
pub const KUBELET: Duration = s(8);
/// From registration to `spec.podCIDR` (measured: within 3 s).
pub const POD_CIDR: Duration = s(3);
/// A node whose heartbeat stopped still looks Ready this long (measured: about 55 s).
pub const HEARTBEAT: Duration = s(55);
/// `docker compose up --wait` with the images there (assumption).
pub const COMPOSE: Duration = s(60);
/// How often a waiting tool looks (cilium-cli 2 s, kubectl watches; one figure for all).
pub const LOOK: Duration = s(2);
/// A connection that nobody accepts nor refuses, per try (measured: 10 s for the TLS handshake).
pub const NO_ROUTE: Duration = s(3);

/// `helm rollback` and `helm uninstall`: measured for uninstalling small charts, 11 s for Kyverno; the rest is assumed.
pub const ROLLBACK: Duration = Duration::from_secs(4);
