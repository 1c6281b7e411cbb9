//! `--only`, `--skip` and `--until` with a mesh, and unreachable clusters.

use crate::fixtures::{bootstrapped, connected};
use crate::golden;
use crate::ui::Repo;

#[test]
fn unreachable_cluster_is_skipped_and_joins_later() {
    let repo = bootstrapped();
    repo.edit_stage(|s| s.power_off_vm("app2-cp"));
    let ran = repo.must("mesh-connect --simulate");
    assert!(ran.err.contains("Skipping app2 is unreachable"), "{}", ran.err);
    assert!(ran.err.contains("Connected mgmt, app1: 1 link"), "{}", ran.err);
    repo.must("bootstrap --simulate");
    let ran = repo.must("mesh-connect --simulate");
    assert!(ran.err.contains("mgmt, app1, app2: 3 links"), "{}", ran.err);
}

#[test]
fn unreachable_peer_stays_configured() {
    let repo = connected();
    repo.edit_stage(|s| s.power_off_vm("app2-cp"));
    let ran = repo.must("mesh-connect --simulate");
    assert!(ran.err.contains("Keeping app2 as an existing peer") && ran.err.contains("nothing to do"), "{}", ran.err);
    repo.must("bootstrap --simulate");
    repo.unchanged("mesh-connect --simulate");
}

/// A peer's server accepts no user that it has no entry for, so half a link never connects.
#[test]
fn only_makes_whole_links_and_removes_none() {
    let repo = bootstrapped();
    let ran = repo.must("mesh-connect --simulate --cluster app1,app2");
    assert!(ran.err.contains("Connected app1, app2: 1 link") && !ran.err.contains("mgmt"), "{}", ran.err);
    // No figure of an earlier run is printed.
    assert!(!ran.err.contains("Received"), "{}", ran.err);
    let peers = |cluster: &str| repo.peers(cluster);
    assert_eq!((peers("app1"), peers("app2"), peers("mgmt")), (vec!["app2".into()], vec!["app1".into()], vec![]));
    let ran = repo.must("mesh-connect --simulate");
    assert!(ran.err.contains("mgmt, app1, app2: 3 links"), "{}", ran.err);
    let ran = repo.must("mesh-connect --simulate --cluster app1,app2");
    assert!(ran.err.contains("Keeping mgmt as an existing peer") && ran.err.contains("nothing to do"), "{}", ran.err);
    assert_eq!(peers("app1"), ["app2", "mgmt"]);
    repo.unchanged("mesh-connect --simulate");
}

#[test]
fn meaningless_cluster_choices_are_refused() {
    let repo = bootstrapped();
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
        let ran = repo.run(&format!("mesh-connect --simulate {line}"));
        assert!(ran.code == 2 && ran.err.contains(why), "{line}: {}\n{}", ran.code, ran.err);
    }
}

#[test]
fn a_cluster_that_is_not_made_yet_is_not_taken_for_moved() {
    let repo = Repo::new();
    repo.must("bootstrap --simulate --only mgmt/* --only app1/*");
    let ran = repo.run("mesh-connect --simulate --diagnose");
    let why = "why: VM app2-cp does not exist";
    let what = "app2 has not been created yet, or not to its end";
    assert!(ran.code == 1 && ran.err.contains(what) && ran.err.contains(why), "{}", ran.err);
}
