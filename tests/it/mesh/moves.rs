//! `mesh-connect` after DHCP has given VMs other addresses.

use std::time::Duration;

use sim::{Condition, SimState};

use crate::fixtures::{bootstrapped, connected};

type Way = fn(&mut SimState, &str);

/// A lease that was not renewed while the VM ran, and a boot after a long time off. Other clusters and other VMs are
/// covered by `simulate --command mesh-connect --readdressed`.
const CASES: [(&[&str], bool, Way); 3] = [
    (&["cp"], true, SimState::change_lease),
    (&["w1"], true, SimState::change_lease),
    (&["cp", "w1"], false, |s, vm| s.readdress(vm, Duration::ZERO)),
];

#[test]
fn readdressed_cluster_is_connected_again() {
    let repo = connected();
    let state = repo.state();
    for (nodes, running, readdress) in CASES {
        repo.set_state(&state);
        repo.edit_stage(|s| nodes.iter().for_each(|node| readdress(s, &format!("app1-{node}"))));
        let ill = repo.run("mesh-connect --simulate --diagnose");
        assert!(ill.code == 1 && ill.err.contains("most likely cause: "), "{nodes:?}\n{}", ill.err);
        let ran = repo.must("mesh-connect --simulate");
        for node in nodes {
            assert!(ran.err.contains(&format!("Readdress app1-{node} has a new address: ")), "{nodes:?}\n{}", ran.err);
        }
        assert!(ran.err.contains("mgmt, app1, app2: 3 links"), "{nodes:?}\n{}", ran.err);
        // Peers get the new address, and so does the cluster's own release where the API server moved.
        for other in ["mgmt", "app1", "app2"] {
            let changed = ran.err.contains(&format!("{other}/mesh/peers in "));
            assert_eq!(changed, other != "app1" || nodes.contains(&"cp"), "{nodes:?}: {other}\n{}", ran.err);
        }
        // New values of a control plane restart its agents; after a worker's move alone nothing else would.
        let restarted = ran.err.contains("app1/mesh/agents in ");
        assert_eq!(restarted, nodes == ["w1"] && running, "{nodes:?}\n{}", ran.err);
        repo.unchanged("mesh-connect --simulate");
        let good = repo.must("mesh-connect --simulate --diagnose");
        assert!(good.err.contains("the mesh matches the fleet"), "{nodes:?}\n{}", good.err);
    }
}

#[test]
fn all_readdressed_clusters_are_repaired_in_one_run() {
    let repo = connected();
    let all = ["mgmt", "app1", "app2"].into_iter().flat_map(|c| [format!("{c}-cp"), format!("{c}-w1")]);
    repo.edit_stage(|s| all.for_each(|vm| s.change_lease(&vm)));
    let ran = repo.must("mesh-connect --simulate");
    assert!(ran.err.contains("cargo xtask start "), "{}", ran.err);
    repo.unchanged("mesh-connect --simulate");
    // What is none of the mesh's business is left to the command that was named, and it breaks nothing.
    repo.must("start --simulate");
    repo.unchanged("mesh-connect --simulate");
    repo.unchanged("start --simulate");
}

#[test]
fn node_that_cannot_be_repaired_does_not_block_others() {
    let repo = bootstrapped();
    repo.edit_stage(|s| {
        s.change_lease("app2-cp");
        s.inject("app2", Condition::ReaddressFails);
    });
    let ran = repo.must("mesh-connect --simulate");
    assert!(ran.err.contains("Skipping app2-cp has a new address: "), "{}", ran.err);
    assert!(ran.err.contains("mgmt, app1: 1 link"), "{}", ran.err);
}

#[test]
fn interrupted_upgrade_is_repaired() {
    let repo = connected();
    repo.edit_stage(|s| s.leave_pending_upgrade("app1", "cilium"));
    let ran = repo.must("mesh-connect --simulate");
    assert!(ran.err.contains("app1/mesh/peers in "), "{}", ran.err);
    repo.unchanged("mesh-connect --simulate");
}
