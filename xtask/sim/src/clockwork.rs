//! How long everything takes in the embedded world: one table, each with where it is from.
//! Knows nothing of what the commands do.

use std::time::Duration;

use tool::Tool;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
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
/// Seconds from a pod's creation until its images are there and it has started, by the size of the images: 100 Mbit/s
/// and ten seconds for unpacking and starting (assumption; sizes as the registries show them, rounded).
pub mod pull {
    /// Below 150 MB.
    pub const SMALL: u64 = 20;
    /// Below 300 MB.
    pub const MIDDLE: u64 = 30;
    /// The agent's image with its tools.
    pub const CILIUM: u64 = 40;
    /// 400 MB and more: Grafana, Vault, Argo CD.
    pub const LARGE: u64 = 50;
}
/// The Cilium agent's images (see [`pull`]).
pub const IMAGE: Duration = s(pull::CILIUM);
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

/// Clean installs on a real API server without any pod running (measured); what is not listed takes 3 s.
pub fn helm_upgrade(chart: &str) -> Duration {
    ms(match chart {
        "cilium" => 5_500,
        "local-path-provisioner" => 1_700,
        "seaweedfs" => 5_500,
        "vault" => 2_700,
        "thanos" => 3_600,
        "loki" => 5_700,
        "prometheus" => 2_400,
        "grafana" => 3_500,
        "argo-cd" => 15_100,
        "velero" => 4_700,
        "promtail" => 2_000,
        "kyverno" => 20_000,
        "kyverno-policies" => 700,
        _ => 3_000,
    })
}

/// The shortest time in which a command can answer.
pub fn latency(tool: Tool, args: &[String]) -> Duration {
    let word = args.first().map_or("", String::as_str);
    ms(match (tool, word) {
        (Tool::Multipass, "exec") => 500,     // an SSH connection (assumption)
        (Tool::Multipass, "info") => 700,     // asks each VM for its addresses (assumption)
        (Tool::Multipass, "delete") => 3_000, // assumption
        (Tool::Multipass, _) => 200,
        (Tool::Helm, "pull") => 4_000,     // assumption
        (Tool::Helm, "version") => 100,    // assumption
        (Tool::Helm, _) => 950,            // `helm list` was measured at 0.95 s
        (Tool::Kubectl, _) => 100,         // measured: 0.06 to 0.2 s
        (Tool::Cilium, "status") => 1_500, // assumption
        (Tool::Cilium, _) => 500,          // assumption
        (Tool::Curl, _) => 2_000,          // assumption
        (Tool::Openssl, _) => 100,         // assumption
        (Tool::Tar, _) => 600,             // assumption
        (Tool::Docker, _) => 300,          // assumption
        (Tool::Own, _) => 10,
    })
}
