//! Problems of fleets and release lists as they are printed.
#![expect(clippy::disallowed_methods, reason = "tests read their fleets from the disk")]

use std::collections::BTreeMap;
use std::fs;

use model::fleet::{Fleet, Role, free_range, load, network_conflicts};
use model::problem::Problem;
use model::release;

use crate::golden::{self, FLEET, known, many, read, root};

fn fleet(path: &str) -> Fleet {
    golden::load(path).0
}

fn shown(problems: &[Problem]) -> String {
    let mut out = String::new();
    for p in problems {
        out += &format!("error: {}\n", p.what);
        let lines = [
            ("  --> ", p.at.as_ref().map(|a| a.to_string())),
            ("   why: ", p.why.clone()),
            ("  hint: ", p.hint.clone()),
        ];
        for (label, text) in lines {
            out += &text.map_or_else(String::new, |t| format!("{label}{t}\n"));
        }
    }
    out
}

/// The files of a folder below `tests/fleets`, by name.
fn files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).expect("the folder is there");
    let mut names: Vec<String> =
        entries.map(|e| e.expect("readable").file_name().into_string().expect("a plain name")).collect();
    names.sort();
    names.retain(|n| n.ends_with(".toml"));
    names
}

fn snapshots(folder: &str, check: impl FnOnce()) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("tests/snapshots").join(folder));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(check);
}

#[test]
fn invalid_fleet_is_refused_with_all_problems() {
    let known = known();
    snapshots("wrong", || {
        for name in files("tests/fleets/wrong") {
            let path = format!("tests/fleets/wrong/{name}");
            let problems = load(&path, &read(&path), &known).expect_err(&name);
            for problem in &problems {
                assert!(problem.at.is_some(), "{name}: `{}` says no place", problem.what);
                assert!(!problem.what.starts_with("bug:"), "{name}: {}", problem.what);
            }
            insta::assert_snapshot!(name.trim_end_matches(".toml"), shown(&problems));
        }
    });
}

/// Does what the hints say, each at its line: `key = value` replaces the line of that key, or follows a header.
fn apply_hints(text: &str, problems: &[Problem]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut added: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for problem in problems {
        let (Some(hint), Some(line)) = (&problem.hint, problem.at.as_ref().and_then(|at| at.line)) else { continue };
        let Some((key, _)) = hint.split_once(" = ") else { continue };
        let at = &mut lines[line - 1];
        if at.trim_start().starts_with(&format!("{key} =")) {
            *at = hint.clone();
        } else if at.trim_start().starts_with('[') {
            added.entry(line).or_default().push(hint.clone());
        }
    }
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        out += &format!("{line}\n");
        added.get(&(index + 1)).into_iter().flatten().for_each(|hint| out += &format!("{hint}\n"));
    }
    out
}

#[test]
fn pasted_hints_make_the_fleet_valid() {
    let known = known();
    for name in files("tests/fleets/wrong") {
        let path = format!("tests/fleets/wrong/{name}");
        let text = read(&path);
        if text.starts_with("# not to be mended by hints") {
            continue;
        }
        let mut now = text;
        for _ in 0..3 {
            match load(&path, &now, &known) {
                Ok(_) => break,
                Err(problems) => now = apply_hints(&now, &problems),
            }
        }
        if let Err(left) = load(&path, &now, &known) {
            panic!("{name} still has problems after its hints were pasted:\n{}\n{now}", shown(&left));
        }
    }
}

#[test]
fn shipped_and_test_fleets_are_valid() {
    let default = fleet(FLEET);
    let three = fleet("tests/fleets/three.toml");
    assert_eq!(Fleet { file: three.file.clone(), lines: three.lines.clone(), ..default }, three);
    assert_eq!(fleet("tests/fleets/one.toml").clusters.len(), 1);
    let wide = fleet("tests/fleets/wide.toml");
    assert_eq!(wide.clusters.len(), 8);
    assert_eq!(wide.mesh_port(&wide.clusters[7]), 32386);
}

#[test]
fn default_fleet_matches_the_design() {
    let fleet = fleet(FLEET);
    let of = |c: &model::fleet::Cluster| {
        let nodes: Vec<String> = c.nodes.iter().map(|n| format!("{} {}/{}", n.name, n.cpus, n.memory)).collect();
        format!(
            "{} {} {:?} {} {} {} [{}]",
            c.name,
            c.id,
            c.role,
            c.memory,
            c.pod_cidr,
            c.service_cidr,
            nodes.join(", ")
        )
    };
    let clusters: Vec<String> = fleet.clusters.iter().map(of).collect();
    assert_eq!(
        clusters,
        [
            "mgmt 1 Platform 10G 10.100.0.0/16 10.96.0.0/16 [cp 2/4G, w1 2/6G]",
            "app1 2 Workload 7G 10.101.0.0/16 10.97.0.0/16 [cp 2/3G, w1 2/4G]",
            "app2 3 Workload 7G 10.102.0.0/16 10.98.0.0/16 [cp 2/3G, w1 2/4G]",
        ]
    );
    let text = read(FLEET);
    for (path, begins) in [
        ("app1.service_cidr", "service_cidr = \"10.97"),
        ("mgmt.w1.memory", "memory = \"6G\""),
        ("app2", "[[cluster]]"),
    ] {
        let line = fleet.lines.get(path).unwrap_or_else(|| panic!("no line for {path}: {:?}", fleet.lines));
        assert!(text.lines().nth(line - 1).expect("there").starts_with(begins), "{path} is not in line {line}");
    }
}

#[test]
fn new_cluster_needs_only_its_own_lines() {
    let fleet = fleet(FLEET);
    let pods = free_range(&fleet, &[]);
    let services = free_range(&fleet, &[pods]);
    let more = format!(
        "{}\n[[cluster]]\nname = \"app3\"\nid = 4\nrole = \"workload\"\nmemory = \"7G\"\npod_cidr = \"{pods}\"\n\
         service_cidr = \"{services}\"\n[[cluster.node]]\nname = \"cp\"\nrole = \"control-plane\"\nmemory = \"3G\"\n",
        read(FLEET)
    );
    let four = golden::fleet(&more);
    assert_eq!((four.clusters[3].name.as_str(), four.clusters[3].role), ("app3", Role::Workload));
    assert_eq!((pods.to_string(), services.to_string()), ("10.99.0.0/16".into(), "10.103.0.0/16".into()));
}

#[test]
fn vm_network_overlap_names_the_line_to_change() {
    let fleet = fleet(FLEET);
    let nets = |list: &[&str]| list.iter().map(|n| n.parse().expect("a range")).collect::<Vec<_>>();
    assert_eq!(network_conflicts(&fleet, &nets(&["192.168.252.0/24"])), []);
    let fresh_linux = network_conflicts(&fleet, &nets(&["10.97.0.0/24", "10.97.1.0/24", "10.97.2.0/24"]));
    insta::assert_snapshot!(shown(&fresh_linux), @r#"
    error: `service_cidr` of `app1` overlaps the VM network: 10.97.0.0/16 and 10.97.0.0/24
      --> infra/fleet.toml:90
       why: 10.97.0.1 is in both; the nodes themselves have addresses there
      hint: service_cidr = "10.99.0.0/16"
    "#);
    let text = apply_hints(&read(FLEET), &fresh_linux);
    let moved = golden::fleet(&text);
    assert_eq!(network_conflicts(&moved, &nets(&["10.97.0.0/24"])), []);
}

#[test]
fn changed_vm_network_is_detected() {
    let text = read(FLEET).replace("# network = \"192.168.252.0/24\"", "network = \"192.168.252.0/24\"");
    let fleet = golden::fleet(&text);
    let moved = network_conflicts(&fleet, &["192.168.2.0/24".parse().expect("a range")]);
    insta::assert_snapshot!(shown(&moved), @r#"
    error: `network` differs from the network of the VMs: 192.168.252.0/24 and 192.168.2.0/24
      --> infra/fleet.toml:16
       why: it is pinned so that a changed network is detected before it breaks a cluster
      hint: network = "192.168.2.0/24"
    "#);
}

#[test]
fn fleet_of_255_clusters_is_validated() {
    let known = known();
    let text = many(255, "first_node_port = 32379", |i| format!("10.{}.{}.0/20", i / 16, i % 16 * 16));
    let fleet = load("wide", &text, &known).unwrap_or_else(|p| panic!("{}", shown(&p)));
    assert_eq!(fleet.mesh_port(&fleet.clusters[254]), 32633);
    assert_eq!(free_range(&fleet, &[]).to_string(), "10.96.0.0/16");
    let all_the_same = many(255, "first_node_port = 32379", |_| "10.0.0.0/8".to_owned());
    let problems = load("wide", &all_the_same, &known).expect_err("all overlap");
    assert!(problems.len() < 255 * 8, "one range is named at most a few times: {}", problems.len());
}

#[test]
fn shipped_releases_are_valid() {
    let (_, releases) = golden::load(FLEET);
    let cilium = releases.charts.iter().find(|c| c.placement.name == "cilium").expect("there");
    assert_eq!((cilium.version.as_str(), cilium.wait), ("1.20.2", false));
    assert!(cilium.sha256.is_some());
    assert_eq!(cilium.bindings["clustermesh.apiserver.service.nodePort"], "cluster.mesh_port");
}

#[test]
fn invalid_release_list_is_refused_with_all_problems() {
    let fleet = fleet(FLEET);
    snapshots("wrong/releases", || {
        for name in files("tests/fleets/wrong/releases") {
            let path = format!("tests/fleets/wrong/releases/{name}");
            let problems = release::load(&path, &read(&path), &fleet).expect_err(&name);
            insta::assert_snapshot!(name.trim_end_matches(".toml"), shown(&problems));
        }
    });
}
