//! Readdresses the nodes of clusters whose VMs have other addresses than their nodes were created with.
//!
//! The steps are those of `bootstrap`, and of each only what writes an address down (ADR-0010): nothing is made or
//! replaced. What follows from the address in Cilium's release is then a matter of [`super::plan`].

use std::collections::{BTreeMap, BTreeSet};

use super::super::bootstrap::{host, kube_path};
use super::super::survey::findings::safe_subset;
use super::super::{Expect, Plan, Step, StepKey};
use super::{address, address_step, id};
use model::fleet::{Cluster, Fleet};
use model::token::fact;
use tool::kubectl::Kubectl;

fn merged_kubeconfig() -> StepKey {
    StepKey::fleet("kubeconfig")
}

pub fn plan(fleet: &Fleet, bootstrap: Plan, clusters: &[String]) -> Plan {
    let ours: Vec<&Cluster> = fleet.clusters.iter().filter(|c| clusters.contains(&c.name)).collect();
    let wanted: BTreeSet<StepKey> = ours.iter().flat_map(|c| address_steps(c)).chain([merged_kubeconfig()]).collect();
    let mut steps = host::machine_tools(fleet, &["kubectl"]);
    for cluster in &ours {
        steps.extend(cluster.nodes.iter().map(|node| address(cluster, node)));
    }
    let here: BTreeSet<StepKey> = steps.iter().map(|s| s.id.clone()).chain(wanted.iter().cloned()).collect();
    for mut step in bootstrap.steps.into_iter().filter(|s| wanted.contains(&s.id)).map(safe_subset) {
        step.needs.retain(|id| here.contains(id));
        step.after.clear();
        let own = ours.iter().filter(|c| step.id.is_in(c));
        let addresses = own.flat_map(|c| c.nodes.iter().map(|node| address_step(c, node)));
        step.needs.extend(addresses.chain([StepKey::host("kubectl")]));
        steps.push(step);
    }
    steps.extend(ours.iter().map(|cluster| registered(cluster)));
    Plan { name: "mesh-connect", steps, files: bootstrap.files, pools: BTreeMap::new() }
}

/// Waits until the kubelets have registered their new addresses: an agent that starts earlier reads the old one.
fn registered(cluster: &Cluster) -> Step {
    let kubeconfig = kube_path(cluster);
    let line = |node| format!("{} {}", cluster.vm(node), fact(&cluster.ip_fact(node)));
    let title = format!("wait for the nodes of {} to register their addresses", cluster.name);
    let want = Expect::Lines(cluster.nodes.iter().map(line).collect());
    let waits_for = address_steps(cluster).into_iter().filter(|id| id.action() != "hosts");
    Step::new(id(cluster, "registered"), title, Kubectl::on(&kubeconfig).node_addresses(), want)
        .needs(waits_for)
        .poll(180, 5)
        .hint(format!("kubectl --kubeconfig {kubeconfig} get nodes --output wide"))
}

/// The steps of a cluster that hold addresses outside of what is installed on it.
fn address_steps(cluster: &Cluster) -> Vec<StepKey> {
    let hosts = cluster.nodes.iter().map(|node| StepKey::node(cluster, node, "hosts"));
    let joins = cluster.workers().map(|node| StepKey::node(cluster, node, "join"));
    let init = StepKey::node(cluster, cluster.control_plane(), "init");
    let own = [init, StepKey::cluster(&cluster.name, "kubeconfig")];
    hosts.chain(joins).chain(own).collect()
}
