//! Volumes: claims bound to a folder on a node, and folders that were lost with their machine.

use crate::admission;
use crate::prelude::*;
use crate::workload::PendingReason;

/// The provisioner runs a helper pod with a hostPath for every volume (measured).
const STORAGE: &str = "local-path-storage";
/// PodSecurity's violation of that pod (measured).
const HELPER: &str = "hostPath volumes (volume \"data\")";

impl SimState {
    /// A claim whose pod has a node gets a volume there, once.
    pub(super) fn bind_claim(&mut self, vm: &str, namespace: &str, claim: &str, node: &str) {
        let Some(cluster) = self.cluster_mut(vm) else { return };
        let host = cluster.nodes.get(node).map(|member| member.vm.clone());
        let object = cluster.object_mut(&claim_key(namespace, claim));
        let Some(object) = object.filter(|o| o["status"]["phase"] != json!("Bound")) else { return };
        object["status"]["phase"] = json!("Bound");
        object["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] = json!(node);
        if let Some(host) = host.and_then(|host| self.vms.get_mut(&host)) {
            host.guest.volumes.insert(volume_path(namespace, claim));
        }
    }

    /// The kubelet does not create a volume's folder that went with its VM (upstream: the plugin `local-volume`).
    pub(super) fn missing_volume_folder(&self, cluster: &Cluster, w: &Workload) -> Option<PendingReason> {
        let (claim, _) = w.needs.claim.as_ref()?;
        // Called for every claim at every poll: no digest is computed for a folder that exists, usually where the pod
        // is.
        let holds = |node: &str| {
            let vm = cluster.nodes.get(node).and_then(|member| self.vms.get(&member.vm));
            vm.is_some_and(|vm| vm.guest.volumes.iter().any(|path| is_volume_of(path, &w.namespace, claim)))
        };
        if w.placed.first().is_some_and(|node| holds(node)) {
            return None;
        }
        let node = selected_node(cluster.object(&claim_key(&w.namespace, claim))?)?;
        if holds(node) || !cluster.nodes.contains_key(node) {
            return None;
        }
        let (volume, path) = (volume_name(&w.namespace, claim), volume_path(&w.namespace, claim));
        let why = format!(
            "MountVolume.NewMounter initialization failed for volume \"{volume}\" : path \"{path}\" does not exist"
        );
        Some(PendingReason::Unmounted(why))
    }

    /// No class, no provisioner, or one whose helper pod is refused.
    pub(super) fn unbound_claim_reason(&self, cluster: &Cluster, w: &Workload, now: Duration) -> Option<String> {
        let (claim, class) = w.needs.claim.as_ref()?;
        let object = cluster.object(&claim_key(&w.namespace, claim));
        if object.is_some_and(|o| o["status"]["phase"] == json!("Bound")) {
            return None;
        }
        let waiting = "pod has unbound immediate PersistentVolumeClaims.".to_owned();
        let known = if class.is_empty() {
            let default = "storageclass.kubernetes.io/is-default-class";
            cluster.objects_of("storageclass").any(|(_, c)| c["metadata"]["annotations"][default] == json!("true"))
        } else {
            cluster.objects.contains_key(&format!("storageclass//{class}"))
        };
        if !known {
            return Some(waiting);
        }
        let provisioner = cluster.workloads.get("local-path-storage/deployment/local-path-provisioner");
        let works = provisioner.is_some_and(|p| self.rolled_out(cluster, p, now));
        let helper = admission::pod_security(cluster, STORAGE, HELPER).is_none();
        (!works || !helper).then_some(waiting)
    }
}

pub fn selected_node(claim: &Value) -> Option<&str> {
    let bound = claim["status"]["phase"] == json!("Bound");
    claim["metadata"]["annotations"]["volume.kubernetes.io/selected-node"].as_str().filter(|_| bound)
}

/// `pvc-` and the claim's uid.
pub fn volume_name(namespace: &str, claim: &str) -> String {
    format!("pvc-{}", &pki::sha256(format!("{namespace}/{claim}").as_bytes())[..8])
}

/// Upstream: name, namespace and claim below the provisioner's default path.
pub fn volume_path(namespace: &str, claim: &str) -> String {
    format!("/opt/local-path-provisioner/{}_{namespace}_{claim}", volume_name(namespace, claim))
}

/// Names contain no underscore, so the end is enough.
fn is_volume_of(path: &str, namespace: &str, claim: &str) -> bool {
    let rest = path.strip_suffix(claim).and_then(|rest| rest.strip_suffix('_'));
    rest.and_then(|rest| rest.strip_suffix(namespace)).is_some_and(|rest| rest.ends_with('_'))
}

pub fn claim_key(namespace: &str, claim: &str) -> String {
    ["persistentvolumeclaim/", namespace, "/", claim].concat()
}
