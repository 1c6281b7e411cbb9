//! How long everything takes in the simulator, each with its source.

use std::time::Duration;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Clocks at the start of a simulation: seconds since 1970.
pub const EPOCH: u64 = 1_763_855_000;
pub const NIGHT: u64 = 6 * 3600;
/// Seconds by which kubeadm backdates certificates (upstream: `CertificateBackdate`).
pub const BACKDATE: u64 = 300;
/// First launch: 600 MB of image, then boot (assumption: 100 Mbit/s).
pub const FIRST_BOOT_WITH_IMAGE: Duration = s(90);
/// Launch from the cached image to SSH (assumption; upstream's own samples show 20 to 45 s).
pub const FIRST_BOOT: Duration = s(35);
/// Of it, downloading or copying the image (assumption; 0.8 s for a copy of 340 MB was seen).
pub const PREPARE: Duration = s(5);
/// `start` to SSH (assumption).
pub const BOOT: Duration = s(20);
/// `stop` (assumption).
pub const HALT: Duration = s(8);
/// A boot's last part, with a known address: `Starting`; before, it is `Unknown` (seen on 1.16.3; how long: assumption).
pub const ADDRESS_KNOWN: Duration = s(8);
/// Until `info` and `exec` give up a slow guest (seen on 1.16.3), and how long it is slow (assumption).
pub const SLOW_GUEST: Duration = s(5);
pub const SLOW: Duration = s(60);
/// Until `stop` gives up a guest that ignores ACPI (seen on 1.16.3).
pub const ACPI: Duration = s(300);
/// Between two runs of a command that ended with 4 (24 times in 60 s were seen).
pub const RETRY: Duration = Duration::from_millis(2500);
/// cloud-init without our preparation (assumption).
pub const CLOUD_INIT: Duration = s(10);
/// `node-prep`: apt, containerd, kubelet, pause image (assumption: 250 MB of packages).
pub const PREP: Duration = s(120);
/// `kubeadm init`: measured 8 s with cached images, the rest is their download (assumption).
pub const INIT: Duration = s(60);
/// Static pods after a boot (assumption).
pub const API_AFTER_BOOT: Duration = s(25);
/// `kubeadm join` once cluster-info is signed (measured: 1.7 s; the rest is the kubelet's start, assumption).
pub const JOIN: Duration = s(20);
/// kubeadm's pause between reads of cluster-info (upstream: DiscoveryRetryInterval).
pub const DISCOVERY: Duration = s(5);
/// `node-readdress` until the API answers (assumption: certificates and manifests within seconds, then a boot).
pub const READDRESS: Duration = s(30);
/// kubeadm's package alone (assumption: 20 MB).
pub const KUBEADM: Duration = s(15);
/// `kubeadm upgrade apply`: new images, and four static pods one after another (assumption).
pub const UPGRADE: Duration = s(90);
/// Eviction of a pod (assumption; upstream's grace period is 30 s for those that do not end).
pub const LEAVE: Duration = s(10);
/// `kubeadm reset` of a partial control plane (assumption).
pub const RESET: Duration = s(12);
/// Seconds until the images of pods that are not a chart's are pulled (assumption, as in `data/charts.toml`): below
/// 150 MB, and below 300 MB.
pub const PULL_SMALL: u64 = 20;
pub const PULL_MEDIUM: u64 = 30;
/// The Cilium agent's images (assumption, as in `data/charts.toml`).
pub const IMAGE: Duration = s(40);
/// Start of a container with a cached image (assumption).
pub const START: Duration = s(5);
/// Provisioning a volume once its pod has a node: a helper pod creates the folder (assumption).
pub const VOLUME: Duration = s(10);
/// Pods stay on an unreachable node this long (upstream: tolerationSeconds 300).
pub const EVICTION: Duration = s(300);
/// From boot to a reporting kubelet (assumption).
pub const KUBELET: Duration = s(8);
/// From registration to `spec.podCIDR` (measured: within 3 s).
pub const POD_CIDR: Duration = s(3);
/// A node stays Ready this long after its last heartbeat (measured: about 55 s).
pub const HEARTBEAT: Duration = s(55);
/// `docker compose up --wait` with cached images (assumption).
pub const COMPOSE: Duration = s(60);
/// Poll interval of waiting tools (cilium-cli 2 s, kubectl watches; one value for all).
pub const LOOK: Duration = s(2);
/// Connection timeout of one attempt (measured: 10 s for the TLS handshake).
pub const NO_ROUTE: Duration = s(3);

/// `helm rollback` and `helm uninstall`: measured for small charts, 11 s for Kyverno; the rest is assumed.
pub const ROLLBACK: Duration = Duration::from_secs(4);
