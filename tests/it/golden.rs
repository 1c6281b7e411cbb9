//! Plans and generated files of the golden fleets as snapshots; `snapshots/` mirrors `out/`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use model::fleet::{self, Compatibility, Fleet};
use model::release::{self, Releases};
use plan::{Plan, bootstrap, check, text};
use render::{self, Data};
use tool::Tool;
use tool::helm::Helm;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository")
}

#[expect(clippy::disallowed_methods, reason = "tests read the repository's own data")]
pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The data files, as the workspace gives them to a render.
pub fn data() -> Data {
    let root = camino::Utf8Path::from_path(root()).expect("the repository's path is UTF-8");
    let space = exec::workspace::Workspace::open(root, camino::Utf8Path::new("out"));
    space.data().expect("the data files can be read")
}

pub fn load(path: &str) -> (Fleet, Releases) {
    let table = "infra/compatibility.toml";
    let compatibility = Compatibility::load(table, &read(table)).expect("the table is in order");
    let fleet = fleet::load(path, &read(path), &compatibility).unwrap_or_else(|p| panic!("{p:#?}"));
    let list = "charts/releases.toml";
    let releases = release::load(list, &read(list), &fleet).unwrap_or_else(|p| panic!("{p:#?}"));
    (fleet, releases)
}

pub fn plan(path: &str, helm: Helm) -> Plan {
    let (fleet, releases) = load(path);
    let files = render::files(&fleet, &releases, &data()).unwrap_or_else(|p| panic!("{p:#?}"));
    bootstrap::plan(&fleet, &releases, files, helm)
}

/// Where a snapshot lies, from the path below `out/`.
pub fn snapshot(folder: &str, path: &str, text: &str, seen: &mut BTreeSet<PathBuf>) {
    let path = PathBuf::from("snapshots").join(folder).join(path);
    let name = path.file_name().and_then(|n| n.to_str()).expect("a file has a name").to_owned();
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join(path.parent().expect("it has a folder")));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    seen.insert(path.with_file_name(format!("{name}.snap")));
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Snapshots of one fleet: its plan, and each of its files. What lies there and was not made now is stale.
fn golden(folder: &str, fleet: &str) {
    let plan = plan(fleet, Helm::V4);
    let mut seen = BTreeSet::new();
    snapshot(folder, "bootstrap.plan", &text::print(&plan), &mut seen);
    for (path, text) in &plan.files {
        snapshot(folder, path, text, &mut seen);
    }
    let there = files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots").join(folder));
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let stale: Vec<_> = there.iter().filter(|p| !seen.contains(p.strip_prefix(here).expect("below"))).collect();
    assert!(stale.is_empty(), "stale snapshots, delete them: {stale:#?}");
}

#[expect(clippy::disallowed_methods, reason = "tests read the repository's own data")]
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() { found.extend(files_below(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

#[test]
fn three_clusters() {
    golden("three", "infra/fleet.toml");
}

#[test]
fn one_cluster() {
    golden("one", "tests/fleets/one.toml");
}

#[test]
fn disabled_features() {
    let tables = "\n[docker]\nservices = true\nharbor = true\n[registry]\nmirror = \"http://192.168.64.1:8082\"\n";
    let text = read("tests/fleets/one.toml") + tables;
    let table = "infra/compatibility.toml";
    let compatibility = Compatibility::load(table, &read(table)).expect("the table is in order");
    let fleet = fleet::load("f", &text, &compatibility).unwrap_or_else(|p| panic!("{p:#?}"));
    let list = "charts/releases.toml";
    let releases = release::load(list, &read(list), &fleet).expect("the list is in order");
    let files = render::files(&fleet, &releases, &data()).expect("it renders");
    let plan = bootstrap::plan(&fleet, &releases, files, Helm::V4);
    assert_eq!(check::check(&plan), Vec::<String>::new());
    let off = self::plan("tests/fleets/one.toml", Helm::V4);
    let mut seen = BTreeSet::new();
    let more = plan.steps.iter().filter(|s| off.step(&s.id).is_none());
    let more: String = more.map(|s| text::print_step(s) + "\n").collect();
    snapshot("switches", "bootstrap.plan", &more, &mut seen);
    for (path, text) in plan.files.iter().filter(|(path, _)| !off.files.contains_key(*path)) {
        snapshot("switches", path, text, &mut seen);
    }
    let user_data = &plan.files["mgmt/cp/cloud-init.yaml"];
    let (begin, end) =
        (user_data.find("- content: |\n    server =").expect("a mirror"), user_data.rfind("/hosts.toml"));
    snapshot("switches", "mirrors.yaml", &user_data[begin..end.expect("likewise")], &mut seen);
    assert!(seen.len() == 3, "{seen:?}");
}

#[test]
fn helm_3_gets_no_unknown_flag() {
    let helm = |version| -> Vec<Vec<String>> {
        let commands = plan("infra/fleet.toml", version).steps.into_iter().flat_map(|s| s.act);
        commands.filter(|c| c.tool == Tool::Helm).map(|c| c.args).collect()
    };
    let without = |args: &Vec<String>| args.iter().filter(|a| *a != "--force-conflicts").cloned().collect::<Vec<_>>();
    assert_eq!(helm(Helm::V3), helm(Helm::V4).iter().map(without).collect::<Vec<_>>());
    assert_ne!(helm(Helm::V3), helm(Helm::V4));
}

#[test]
fn plans_are_valid() {
    for fleet in ["infra/fleet.toml", "tests/fleets/one.toml", "tests/fleets/wide.toml"] {
        for helm in [Helm::V3, Helm::V4] {
            assert_eq!(check::check(&plan(fleet, helm)), Vec::<String>::new(), "{fleet}");
        }
    }
}

#[test]
fn plan_is_deterministic() {
    let first = text::print(&plan("infra/fleet.toml", Helm::V4));
    assert!(text::print(&plan("infra/fleet.toml", Helm::V4)) == first);
}

#[test]
fn default_fleet_equals_the_test_fleet_three() {
    let shape = |path| {
        let (fleet, _) = load(path);
        let plan = plan(path, Helm::V4);
        (fleet.clusters, plan.steps.len(), plan.files.keys().cloned().collect::<Vec<_>>())
    };
    assert_eq!(shape("infra/fleet.toml"), shape("tests/fleets/three.toml"));
}

#[test]
fn new_cluster_changes_no_other_plan() {
    let before = plan("infra/fleet.toml", Helm::V4);
    let node = |name, role, memory| {
        format!("[[cluster.node]]\nname = '{name}'\nrole = '{role}'\ncpus = 2\nmemory = '{memory}'\ndisk = '20G'\n")
    };
    let app3 = "[[cluster]]\nname = 'app3'\nid = 4\nrole = 'workload'\nmemory = '7G'\n\
                pod_cidr = '10.103.0.0/16'\nservice_cidr = '10.99.0.0/16'\n";
    let nodes = node("cp", "control-plane", "3G") + &node("w1", "worker", "4G");
    let more = format!("{}\n{app3}{nodes}", read("infra/fleet.toml"));
    let table = "infra/compatibility.toml";
    let compatibility = Compatibility::load(table, &read(table)).expect("the table is in order");
    let fleet = fleet::load("f", &more, &compatibility).unwrap_or_else(|p| panic!("{p:#?}"));
    let list = "charts/releases.toml";
    let releases = release::load(list, &read(list), &fleet).expect("the list is in order");
    let files = render::files(&fleet, &releases, &data()).expect("it renders");
    let after = bootstrap::plan(&fleet, &releases, files, Helm::V4);
    let acts = |plan: &Plan| -> BTreeMap<String, Vec<String>> {
        let of = |s: &plan::Step| s.act.iter().map(ToString::to_string).collect();
        plan.steps.iter().map(|s| (s.id.to_string(), of(s))).collect()
    };
    let (before_acts, after_acts) = (acts(&before), acts(&after));
    let new: Vec<_> = after_acts.keys().filter(|id| !before_acts.contains_key(*id)).collect();
    let its_own =
        |id: &str| id.starts_with("app3/") || id.starts_with("fleet/vault/app3/") || id == "fleet/argo-cd/app3";
    assert!(!new.is_empty() && new.iter().all(|id| its_own(id)), "{new:?}");
    assert!(before_acts.iter().all(|(id, act)| after_acts[id] == *act));
}
