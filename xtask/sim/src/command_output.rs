//! What long commands print while they run.

use crate::prelude::*;
use tool::Tool;

/// Lines and their times, spread over the duration of a command.
pub fn lines(request: &Request, now: Duration, takes: Duration) -> Vec<(Duration, String)> {
    if takes < Duration::from_secs(10) || takes == Duration::MAX {
        return vec![];
    }
    let has = |word: &str| request.args.iter().any(|a| a.rsplit('/').next() == Some(word));
    let texts: &[&str] = match request.tool {
        Tool::Multipass if has("launch") => {
            &["Retrieving image: 38%", "Creating", "Configuring", "Starting", "Waiting for initialization to complete"]
        }
        Tool::Multipass if has("node-prep") => &[
            "node-prep: kernel modules and sysctls",
            "Get:14 noble-updates/main arm64 containerd",
            "Setting up kubelet (1.35) ...",
            "node-prep: containerd config written",
            "node-prep: pause image pulled",
        ],
        Tool::Multipass if has("kubeadm") && has("init") => &[
            "[preflight] Pulling images required for setting up a Kubernetes cluster",
            "[certs] Generating \"apiserver\" certificate and key",
            "[etcd] Creating static Pod manifest for local etcd in \"/etc/kubernetes/manifests\"",
            "[wait-control-plane] Waiting for the kubelet to boot up the control plane as static Pods",
            "[addons] Applied essential addon: CoreDNS",
        ],
        Tool::Multipass if has("kubeadm") && has("join") => &[
            "[preflight] Reading configuration from the \"kubeadm-config\" ConfigMap in namespace \"kube-system\"...",
            "[kubelet-start] Waiting for the kubelet to perform the TLS Bootstrap",
        ],
        Tool::Kubectl if has("rollout") => &["Waiting for rollout to finish: 0 of 2 updated pods are available..."],
        _ => &[],
    };
    let step = takes / (texts.len() as u32 + 1);
    texts.iter().zip(1..).map(|(text, n)| (now + step * n, (*text).to_owned())).collect()
}
