//! After DHCP has given VMs other addresses: `mesh-connect` alone brings every cluster home and links it again.
//! Knows nothing of the scripts inside the VMs.

use std::time::Duration;

use sim::{Mishap, Stage};

use super::Scene;

/// Which VMs of a cluster move.
const WHO: [&[&str]; 3] = [&["cp"], &["w1"], &["cp", "w1"]];

/// A way to move a VM, and its name.
type Way = (&'static str, fn(&mut Stage, &str));

/// In two ways: a lease that was not renewed while the VM ran, and a boot after a long time off.
const HOW: [Way; 2] = [("running", Stage::drift), ("rebooted", |s, vm| s.readdress(vm, Duration::ZERO))];

#[test]
fn whatever_has_moved_is_connected_again() {
    let scene = Scene::after(&["bootstrap --simulate", "mesh-connect --simulate"]);
    let story = scene.story();
    for cluster in ["mgmt", "app1", "app2"] {
        for (who, (how, moves)) in WHO.iter().flat_map(|who| HOW.iter().map(move |how| (who, how))) {
            let said = format!("{cluster} {who:?} {how}");
            scene.tell(&story);
            scene.arrange(|s| who.iter().for_each(|node| moves(s, &format!("{cluster}-{node}"))));
            let ill = scene.place.run("mesh-connect --simulate --diagnose");
            assert!(ill.code == 1 && ill.err.contains("most likely cause: "), "{said}\n{}", ill.err);
            let ran = scene.well("mesh-connect --simulate");
            for node in *who {
                assert!(ran.err.contains(&format!("Moved {cluster}-{node} has moved: ")), "{said}\n{}", ran.err);
            }
            assert!(ran.err.contains("mgmt, app1, app2: 3 links"), "{said}\n{}", ran.err);
            // The peers hear of it, and so does the cluster's own release where the API server moved.
            for other in ["mgmt", "app1", "app2"] {
                let told = ran.err.contains(&format!("{other}/mesh/peers in "));
                assert_eq!(told, other != cluster || who.contains(&"cp"), "{said}: {other}\n{}", ran.err);
            }
            // The new values of a control plane start agents anew; after a worker's move alone nothing else would.
            let restarted = ran.err.contains(&format!("{cluster}/mesh/agents in "));
            assert_eq!(restarted, *who == ["w1"] && *how == "running", "{said}\n{}", ran.err);
            scene.rests("mesh-connect --simulate");
            let good = scene.well("mesh-connect --simulate --diagnose");
            assert!(good.err.contains("the mesh is as the fleet says"), "{said}\n{}", good.err);
        }
    }
}

#[test]
fn all_that_moved_at_once_comes_home_in_one_run() {
    let scene = Scene::after(&["bootstrap --simulate", "mesh-connect --simulate"]);
    let all = ["mgmt", "app1", "app2"].into_iter().flat_map(|c| [format!("{c}-cp"), format!("{c}-w1")]);
    scene.arrange(|s| all.for_each(|vm| s.drift(&vm)));
    let ran = scene.well("mesh-connect --simulate");
    assert!(ran.err.contains("cargo xtask start "), "{}", ran.err);
    scene.rests("mesh-connect --simulate");
    // What is none of the mesh's business is left to the command that was named, and it breaks nothing.
    scene.well("start --simulate");
    scene.rests("mesh-connect --simulate");
    scene.rests("start --simulate");
}

#[test]
fn a_node_that_does_not_come_home_does_not_keep_the_others_apart() {
    let scene = Scene::after(&["bootstrap --simulate"]);
    scene.arrange(|s| {
        s.drift("app2-cp");
        s.befall("app2", Mishap::Jammed);
    });
    let ran = scene.well("mesh-connect --simulate");
    assert!(ran.err.contains("Skipping app2-cp has moved: "), "{}", ran.err);
    assert!(ran.err.contains("mgmt, app1: 1 link"), "{}", ran.err);
}

#[test]
fn a_half_upgrade_is_mended() {
    let scene = Scene::after(&["bootstrap --simulate", "mesh-connect --simulate"]);
    scene.arrange(|s| s.interrupt_upgrade("app1", "cilium"));
    let ran = scene.well("mesh-connect --simulate");
    assert!(ran.err.contains("app1/mesh/peers in "), "{}", ran.err);
    scene.rests("mesh-connect --simulate");
}

/// Faults while it mends, our own death among them; the same command again arrives, or says whose business it is.
#[test]
fn whatever_strikes_while_it_mends_the_same_command_arrives() {
    let scene = Scene::after(&["bootstrap --simulate", "mesh-connect --simulate"]);
    let story = scene.story();
    for seed in 1..=8 {
        scene.tell(&story);
        scene.arrange(|s| ["app1-cp", "app2-w1"].iter().for_each(|vm| s.drift(vm)));
        scene.place.run(&format!("mesh-connect --simulate --seed {seed} -q"));
        let again = scene.place.run("mesh-connect --simulate");
        if again.code != 0 || again.err.contains("Skipping") {
            // A VM that a fault stopped or deleted is started by these alone.
            scene.well("bootstrap --simulate -q");
        }
        let ran = scene.well("mesh-connect --simulate");
        assert!(ran.err.contains("mgmt, app1, app2: 3 links"), "seed {seed}\n{}", ran.err);
        scene.rests("mesh-connect --simulate");
    }
}
