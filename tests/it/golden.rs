//! Plans and generated files of the golden fleets as snapshots; `snapshots/` mirrors `out/`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use model::fleet::{self, Compatibility, Fleet};
use model::release::{self, Releases};
use plan::mesh::readdress;
use plan::{Plan, StepKey, bootstrap, check, power, text, upgrade};
use render::{self, Data};
use tool::helm::Helm;
use tool::{Command, Tool};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository")
}

#[expect(clippy::disallowed_methods, reason = "tests read the repository's own data")]
pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// A list of texts in a JSON file.
pub fn list(path: &str) -> Vec<String> {
    serde_json::from_str(&read(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The data files, as the workspace gives them to a render.
pub fn data() -> Data {
    let root = camino::Utf8Path::from_path(root()).expect("the repository's path is UTF-8");
    let space = exec::workspace::Workspace::open(root, camino::Utf8Path::new("out"));
    space.data().expect("the data files can be read")
}

pub const FLEET: &str = "infra/fleet.toml";
pub const LIST: &str = "charts/releases.toml";

pub fn known() -> Compatibility {
    let table = "infra/compatibility.toml";
    Compatibility::load(table, &read(table)).unwrap_or_else(|p| panic!("{p:#?}"))
}

pub fn fleet(text: &str) -> Fleet {
    fleet::load(FLEET, text, &known()).unwrap_or_else(|p| panic!("{p:#?}"))
}

pub fn releases(text: &str, fleet: &Fleet) -> Releases {
    release::load(LIST, text, fleet).unwrap_or_else(|p| panic!("{p:#?}"))
}

pub fn load(path: &str) -> (Fleet, Releases) {
    let fleet = fleet::load(path, &read(path), &known()).unwrap_or_else(|p| panic!("{p:#?}"));
    let releases = releases(&read(LIST), &fleet);
    (fleet, releases)
}

/// The bootstrap of a fleet, with this list of releases and these data files.
pub fn bootstrap(fleet: &Fleet, list: &str, data: &Data, helm: Helm) -> Plan {
    let releases = releases(list, fleet);
    let files = render::files(fleet, &releases, data).unwrap_or_else(|p| panic!("{p:#?}"));
    bootstrap::plan(fleet, &releases, files, helm)
}

pub fn plan(path: &str, helm: Helm) -> Plan {
    let (fleet, _) = load(path);
    bootstrap(&fleet, &read(LIST), &data(), helm)
}

/// A fleet of so many clusters, the first of which is the platform, each with one node and these pod addresses.
pub fn many(clusters: usize, mesh: &str, pods: impl Fn(usize) -> String) -> String {
    let head = read("tests/fleets/pairs.toml");
    let (head, _) = head.split_once("[mesh]").expect("a mesh");
    let head = head.replace("\"64G\"", "\"4096G\"").replace("\"56G\"", "\"4000G\"");
    let cluster = |id: usize| {
        let role = if id == 1 { "platform" } else { "workload" };
        format!(
            "[[cluster]]\nname = \"c{id}\"\nid = {id}\nrole = \"{role}\"\nmemory = \"12G\"\npod_cidr = \"{}\"\n\
             service_cidr = \"172.{}.{}.0/24\"\n[[cluster.node]]\nname = \"cp\"\nrole = \"control-plane\"\ncpus = 2\n\
             memory = \"10G\"\ndisk = \"20G\"\n",
            pods(id),
            18 + id / 250,
            id % 250,
        )
    };
    format!("{head}[mesh]\n{mesh}\n{}", (1..=clusters).map(cluster).collect::<String>())
}

pub fn commands(plan: &Plan) -> impl Iterator<Item = &Command> {
    plan.steps.iter().flat_map(|step| {
        let acts = step.act.iter().chain(step.remedies.iter().flat_map(|remedy| &remedy.act)).chain(&step.undo);
        std::iter::once(&step.done_when.ask).chain(acts)
    })
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
    let plan = bootstrap(&fleet(&text), &read(LIST), &data(), Helm::V4);
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

/// Whether it may take minutes without a word of its command: preparations print what they install, objects are applied
/// at once, a stop has no cause but the machine, and nodes register by the kubelet of each.
fn is_slow(step: &plan::Step) -> bool {
    let prints = ["prep", "kubeadm", "stop", "destroy", "mesh/registered"].contains(&step.id.action());
    let applies = step.act.iter().any(|command| command.args.iter().any(|arg| arg == "apply"));
    let minutes = !step.only_checks() && step.limits.act.as_secs() > 300 || step.limits.settle.as_secs() > 120;
    minutes && !prints && !applies
}

#[test]
fn every_plan_of_every_fleet_is_valid() {
    for of in [FLEET, "tests/fleets/one.toml", "tests/fleets/wide.toml", "tests/fleets/pairs.toml"] {
        let (fleet, releases) = load(of);
        for helm in [Helm::V3, Helm::V4] {
            let bootstrap = || plan(of, helm);
            let mut plans = vec![bootstrap(), power::stop(&fleet), power::destroy(&fleet)];
            plans.push(power::start(&fleet, bootstrap()));
            plans.push(upgrade::plan(&fleet, &releases, bootstrap()));
            let names: Vec<String> = fleet.clusters.iter().map(|cluster| cluster.name.clone()).collect();
            plans.push(readdress::plan(&fleet, bootstrap(), &names));
            // It knows the facts of earlier runs.
            let questions = check::check(&upgrade::changes::questions(&fleet, &releases, &plans[4]));
            assert!(!questions.iter().any(|wrong| wrong.contains("runs a command in")), "{questions:?}");
            plans.extend((fleet.clusters.len() > 1).then(|| crate::mesh::whole(of, helm)));
            for plan in plans {
                assert_eq!(check::check(&plan), [""; 0], "{} of {of}", plan.name);
                let silent = plan.steps.iter().filter(|step| step.observer.is_none() && is_slow(step));
                let silent: Vec<&str> = silent.map(|step| step.id.action()).collect();
                assert_eq!(silent, [""; 0], "{} of {of} shows no cause", plan.name);
                // What has just failed is no way on.
                let command = format!("cargo xtask {}", plan.name);
                let mut hints = plan.steps.iter().filter_map(|step| step.hint.as_deref());
                assert_eq!(hints.find(|hint| xtask::ui::report::repeats(hint, &command)), None, "{command}");
            }
        }
    }
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
    let after = bootstrap(&fleet(&more), &read(LIST), &data(), Helm::V4);
    let new: Vec<&StepKey> = after.steps.iter().map(|s| &s.id).filter(|id| before.step(*id).is_none()).collect();
    let its_own =
        |id: &str| id.starts_with("app3/") || id.starts_with("fleet/vault/app3/") || id == "fleet/argo-cd/app3";
    assert!(!new.is_empty() && new.iter().all(|id| its_own(id.as_str())), "{new:?}");
    for step in &before.steps {
        assert_eq!(after.step(&step.id).map(|s| &s.act), Some(&step.act), "{}", step.id);
    }
}
