//! The summary by which the final states of two runs are compared.

use serde_json::Map;

use crate::cluster::Ready;
use crate::mesh;
use crate::prelude::*;
use crate::vms::Control;

impl SimState {
    /// Without times, addresses and revisions, which differ between equivalent runs.
    pub fn summary(&mut self, now: Duration) -> Value {
        self.run_due_jobs(now);
        for vm in self.vms.keys().cloned().collect::<Vec<_>>() {
            self.reconcile_cluster(&vm, now);
        }
        let vms = self.vms.iter().map(|(name, vm)| {
            let guest = &vm.guest;
            let state = json!({ "power": vm.power, "cpus": vm.cpus, "memory": vm.memory, "disk": vm.disk,
                "prep": guest.prep, "kubelet": guest.kubelet(), "scripts": guest.scripts,
                "sealed": guest.sealed, "worker": guest.worker,
                "partial": guest.control == Control::Partial,
                "cluster": self.cluster(name).map(|c| self.cluster_summary(c, now)) });
            (name.clone(), state)
        });
        Value::Object(vms.collect())
    }

    fn cluster_summary(&self, cluster: &Cluster, now: Duration) -> Value {
        let ready = |name: &String| json!(self.node_ready(cluster, name, now) == Ready::Yes);
        let nodes: Map<_, _> = cluster.nodes.keys().map(|name| (name.clone(), ready(name))).collect();
        let newest = cluster.releases.iter().filter(|r| cluster.release(&r.name).is_some_and(|n| n.number == r.number));
        let releases: Map<_, _> = newest.map(|r| (r.name.clone(), json!([r.status, r.chart, r.version]))).collect();
        let rolled_out = cluster.workloads.iter().filter(|(_, w)| self.rolled_out(cluster, w, now));
        let names = |all: Vec<&String>| json!(all);
        let vault = json!([
            cluster.vault.keys.is_some(),
            self.vault_sealed(cluster),
            names(cluster.vault.paths.keys().collect())
        ]);
        let peers = mesh::peers(cluster).map(|peers| names(peers.keys().collect()));
        json!({ "vault": vault, "peers": peers, "name": cluster.name, "version": cluster.version,
            "cordoned": cluster.cordoned, "marked": names(cluster.annotations.keys().collect()),
            "pods": cluster.pods, "services": cluster.services, "nodes": nodes, "releases": releases,
            "namespaces": cluster.namespaces, "crds": names(cluster.crds.keys().collect()),
            "objects": names(cluster.objects.keys().collect()),
            "ready": names(rolled_out.map(|(name, _)| name).collect()) })
    }
}
