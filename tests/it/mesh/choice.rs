//! What `--cluster` and an unreachable cluster mean for a mesh.
//! Knows nothing of how it is connected.

use super::Scene;
use crate::golden;

#[test]
fn a_cluster_that_is_away_is_skipped_and_joins_later() {
    let scene = Scene::after(&["bootstrap --simulate"]);
    scene.arrange(|s| s.switch_off("app2-cp"));
    let ran = scene.well("mesh-connect --simulate");
    assert!(ran.err.contains("Skipping app2 is away"), "{}", ran.err);
    assert!(ran.err.contains("Connected mgmt, app1: 1 link"), "{}", ran.err);
    scene.well("bootstrap --simulate");
    let ran = scene.well("mesh-connect --simulate");
    assert!(ran.err.contains("mgmt, app1, app2: 3 links"), "{}", ran.err);
}

/// An outage of one cluster changes nothing on the others, and its end nothing either.
#[test]
fn a_peer_that_goes_away_stays_one() {
    let scene = Scene::after(&["bootstrap --simulate", "mesh-connect --simulate"]);
    scene.arrange(|s| s.switch_off("app2-cp"));
    let ran = scene.well("mesh-connect --simulate");
    assert!(ran.err.contains("Leaving app2 the peer that it is") && ran.err.contains("nothing to do"), "{}", ran.err);
    scene.well("bootstrap --simulate");
    scene.rests("mesh-connect --simulate");
}

/// A link that one side alone knows of never comes up: the peer's server takes no user that it was not told of.
#[test]
fn only_makes_no_half_of_a_link_and_takes_none_away() {
    let scene = Scene::after(&["bootstrap --simulate"]);
    let ran = scene.well("mesh-connect --simulate --cluster app1,app2");
    assert!(ran.err.contains("Connected app1, app2: 1 link") && !ran.err.contains("mgmt"), "{}", ran.err);
    // No figure of an earlier run is told as one of this.
    assert!(!ran.err.contains("Arrived"), "{}", ran.err);
    let peers = |cluster: &str| scene.peers(cluster);
    assert_eq!((peers("app1"), peers("app2"), peers("mgmt")), (vec!["app2".into()], vec!["app1".into()], vec![]));
    let ran = scene.well("mesh-connect --simulate");
    assert!(ran.err.contains("mgmt, app1, app2: 3 links"), "{}", ran.err);
    let ran = scene.well("mesh-connect --simulate --cluster app1,app2");
    assert!(ran.err.contains("Leaving mgmt the peer that it is") && ran.err.contains("nothing to do"), "{}", ran.err);
    assert_eq!(peers("app1"), ["app2", "mgmt"]);
    scene.rests("mesh-connect --simulate");
}

#[test]
fn choices_that_mean_nothing_are_refused() {
    let scene = Scene::after(&["bootstrap --simulate"]);
    for (line, why) in [
        ("--cluster app1,ap2", "the fleet has no cluster `ap2`"),
        ("--cluster app1", "a mesh needs two clusters"),
        ("--skip app1", "unexpected argument '--skip'"),
        ("--until app1/mesh/peers", "unexpected argument '--until'"),
        ("--diagnose --explain", "cannot be used with"),
        ("--diagnose --full", "cannot be used with"),
        ("--cluster app1,app2 --fleet tests/fleets/pairs.toml", "links none of app1 and app2"),
    ] {
        let line = line.replace("tests/", &format!("{}/tests/", golden::root().display()));
        let ran = scene.place.run(&format!("mesh-connect --simulate {line}"));
        assert!(ran.code == 2 && ran.err.contains(why), "{line}: {}\n{}", ran.code, ran.err);
    }
}
