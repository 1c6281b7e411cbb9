//! Meshes of 2 to 255 clusters have valid and bounded plans.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use model::fleet::{self, Compatibility, Fleet};
use model::release::{self, Releases};
use plan::mesh::survey::{self, TRIED_FROM, port_id, tried};
use plan::mesh::{self, MeshScope, pairs};
use plan::{Plan, check};
use tool::helm::Helm;

use crate::golden;

/// A fleet of so many small clusters; the first one is the platform.
fn fleet(clusters: u32, links: &str) -> (Fleet, Releases) {
    let head = golden::read("tests/fleets/pairs.toml");
    let (head, _) = head.split_once("[[cluster]]").expect("clusters");
    let mut text = String::new();
    for line in head.lines().filter(|line| !line.starts_with("links")) {
        let line = match line.split_once(" = ").map(|(key, _)| key) {
            Some("memory") => "memory = \"4096G\"",
            Some("usable") => "usable = \"4000G\"",
            _ => line,
        };
        writeln!(text, "{line}").expect("a string");
    }
    if !links.is_empty() {
        text = text.replace("[mesh]", &format!("[mesh]\nlinks = [{links}]"));
    }
    for id in 1..=clusters {
        let role = if id == 1 { "platform" } else { "workload" };
        let (pods, services) = (format!("10.{}.0.0/16", id - 1), format!("172.{}.{}.0/24", 18 + id / 250, id % 250));
        write!(
            text,
            "[[cluster]]\nname = \"c{id}\"\nid = {id}\nrole = \"{role}\"\nmemory = \"12G\"\npod_cidr = \"{pods}\"\n\
             service_cidr = \"{services}\"\n[[cluster.node]]\nname = \"cp\"\nrole = \"control-plane\"\ncpus = 2\n\
             memory = \"10G\"\ndisk = \"20G\"\n"
        )
        .expect("a string");
    }
    let table = "infra/compatibility.toml";
    let known = Compatibility::load(table, &golden::read(table)).expect("the table is in order");
    let fleet = fleet::load("many.toml", &text, &known).unwrap_or_else(|p| panic!("{p:#?}"));
    let list = "charts/releases.toml";
    let releases = release::load(list, &golden::read(list), &fleet).unwrap_or_else(|p| panic!("{p:#?}"));
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
        [(2, "", 1), (3, "", 3), (4, r#"["c1", "c2"], ["c3", "c1"], ["c4", "c3"]"#, 3), (9, "", 36)]
    {
        let (fleet, releases) = fleet(count, links);
        let scope = MeshScope::all(&fleet);
        assert_eq!(pairs(&fleet, &scope).len(), expected, "{count}");
        let plan = connecting(&fleet, &releases, &scope);
        assert_eq!(check::check(&plan), [""; 0], "{count}");
        assert_eq!(check::check(&survey::whole(&fleet, &releases, &scope)), [""; 0], "{count}");
        let connected = plan.steps.iter().filter(|s| s.id.action() == "mesh/connected").count();
        assert_eq!(connected, count as usize);
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
    let overlay = render::mesh::files(&fleet, &scope.addresses(&fleet), &values(&fleet)).expect("it renders");
    assert_eq!(overlay["c7/cilium/mesh.yaml"].matches("enabled: true").count(), 254);
}

fn values(fleet: &Fleet) -> render::Files {
    let file = |name: &str| (format!("{name}/cilium/values.yaml"), format!("cluster:\n  name: {name}\n"));
    fleet.clusters.iter().map(|c| file(&c.name)).collect()
}

#[test]
fn partial_probing_is_reported() {
    let wide = golden::root().join("tests/fleets/wide.toml");
    let ran = crate::ui::Repo::new().run(&format!("mesh-connect --simulate --diagnose --fleet {}", wide.display()));
    assert!(ran.err.contains("Trying each cluster from 3 peers, of all links their ends are asked"), "{}", ran.err);
}
