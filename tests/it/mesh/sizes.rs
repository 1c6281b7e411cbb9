//! Meshes of 2 to 255 clusters have valid and bounded plans.

use std::collections::{BTreeMap, BTreeSet};

use model::fleet::Fleet;
use model::release::Releases;
use plan::mesh::survey::{self, TRIED_FROM, port_id, tried};
use plan::mesh::{self, MeshScope, pairs};
use plan::{Plan, check};
use tool::helm::Helm;

use crate::golden;

fn fleet(clusters: usize, links: &str) -> (Fleet, Releases) {
    let text = golden::many(clusters, links, |id| format!("10.{}.0.0/16", id - 1));
    let fleet = golden::fleet(&text);
    let releases = golden::releases(&golden::read(golden::LIST), &fleet);
    (fleet, releases)
}

fn connecting(fleet: &Fleet, releases: &Releases, scope: &MeshScope) -> Plan {
    let mut files = render::files(fleet, releases, &golden::data()).unwrap_or_else(|p| panic!("{p:#?}"));
    let peers = render::mesh::files(fleet, &scope.addresses(fleet), &files);
    files.extend(peers.unwrap_or_else(|p| panic!("{p:#?}")));
    mesh::plan(fleet, releases, files, Helm::V4, scope)
}

#[test]
fn meshes_of_any_size_have_valid_plans() {
    for (count, links, expected) in
        [(2, "", 1), (3, "", 3), (4, r#"links = [["c1", "c2"], ["c3", "c1"], ["c4", "c3"]]"#, 3), (9, "", 36)]
    {
        let (fleet, releases) = fleet(count, links);
        let scope = MeshScope::all(&fleet);
        assert_eq!(pairs(&fleet, &scope).len(), expected, "{count}");
        let plan = connecting(&fleet, &releases, &scope);
        assert_eq!(check::check(&plan), [""; 0], "{count}");
        assert_eq!(check::check(&survey::whole(&fleet, &releases, &scope)), [""; 0], "{count}");
        let connected = plan.steps.iter().filter(|s| s.id.action() == "mesh/connected").count();
        assert_eq!(connected, count);
    }
}

#[test]
fn mesh_of_255_clusters_stays_bounded() {
    let (fleet, releases) = fleet(255, "");
    let scope = MeshScope::all(&fleet);
    assert_eq!(pairs(&fleet, &scope).len(), 255 * 254 / 2);
    let ports: BTreeSet<u16> = fleet.clusters.iter().map(|c| fleet.mesh_port(c)).collect();
    assert_eq!((ports.len(), ports.first(), ports.last()), (255, Some(&32379), Some(&32633)));
    let questions = survey::whole(&fleet, &releases, &scope);
    assert!(questions.steps.len() < 255 * 30, "{}", questions.steps.len());
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for cluster in &fleet.clusters {
        let from = tried(&fleet, cluster, &scope);
        assert_eq!(from.len(), TRIED_FROM);
        from.iter().for_each(|peer| *times.entry(peer.name.as_str()).or_default() += 1);
        assert!(from.iter().all(|peer| questions.step(&port_id(cluster, peer)).is_some()));
    }
    assert!(times.len() == 255 && times.values().all(|n| *n == TRIED_FROM), "{times:?}");
    let files = render::files(&fleet, &releases, &golden::data()).unwrap_or_else(|p| panic!("{p:#?}"));
    assert!(files["c255/cilium/values.yaml"].contains("nodePort: 32633"));
    let overlay = render::mesh::files(&fleet, &scope.addresses(&fleet), &files).expect("it renders");
    assert_eq!(overlay["c7/cilium/mesh.yaml"].matches("enabled: true").count(), 254);
}

#[test]
fn partial_probing_is_reported() {
    let wide = golden::root().join("tests/fleets/wide.toml");
    let ran = crate::ui::Repo::new().run(&format!("mesh-connect --simulate --diagnose --fleet {}", wide.display()));
    assert!(ran.err.contains("Trying each cluster from 3 peers, of all links their ends are asked"), "{}", ran.err);
}
