//! Order and independence of steps in the bootstrap plan.

use std::collections::BTreeSet;

use model::fleet::Fleet;
use plan::choose::{Choice, choose};
use plan::{Plan, Scope, Step, StepKey, check, diff};
use render::Data;
use tool::helm::Helm;
use tool::{Exit, Output};

use crate::golden::{self, FLEET, LIST, data, load, plan, read};

fn chosen(plan: &Plan, only: &str) -> BTreeSet<StepKey> {
    let choice = Choice { only: vec![only.to_owned()], ..Choice::default() };
    choose(plan, &choice).unwrap_or_else(|p| panic!("{p:#?}"))
}

/// All steps that must be done before this one, however far.
fn before(plan: &Plan, id: &str) -> BTreeSet<StepKey> {
    let mut found = BTreeSet::new();
    let mut todo = vec![StepKey::from(id)];
    while let Some(id) = todo.pop() {
        for need in &plan.step(&id).unwrap_or_else(|| panic!("no step {id}")).needs {
            if found.insert(need.clone()) {
                todo.push(need.clone());
            }
        }
    }
    found
}

fn changed(fleet: &Fleet, list: &str, data: &Data) -> Plan {
    golden::bootstrap(fleet, list, data, Helm::V4)
}

#[test]
fn no_cluster_depends_on_another() {
    let plan = plan(FLEET, Helm::V4);
    for (cluster, others) in [("mgmt", ["app1", "app2"]), ("app1", ["mgmt", "app2"]), ("app2", ["mgmt", "app1"])] {
        let foreign: Vec<StepKey> = chosen(&plan, &format!("{cluster}/*"))
            .into_iter()
            .filter(|id| others.iter().any(|other| id.as_str().split('/').any(|part| part == *other)))
            .collect();
        assert_eq!(foreign, Vec::<StepKey>::new(), "{cluster}");
    }
}

/// A wrong digest or an unreachable chart server shows before anything is installed.
#[test]
fn every_archive_comes_before_the_first_install() {
    let plan = plan(FLEET, Helm::V4);
    let archives =
        |ids: BTreeSet<StepKey>| ids.into_iter().filter(|id| *id.scope() == Scope::Charts).collect::<BTreeSet<_>>();
    let all = archives(plan.ids());
    for cluster in ["mgmt", "app1", "app2"] {
        let here = archives(chosen(&plan, &format!("{cluster}/*")));
        assert!(here.len() > 5 && here.len() < all.len(), "{cluster}: {here:?}");
        for step in plan.steps.iter().filter(|step| step.id.scope().name() == cluster && installs(step)) {
            let before = before(&plan, step.id.as_str());
            let missing: Vec<_> = here.iter().filter(|archive| !before.contains(*archive)).collect();
            assert_eq!(missing, Vec::<&StepKey>::new(), "{}", step.id);
        }
    }
    // What makes and starts machines needs none of them.
    assert!(archives(before(&plan, "app1/kubeconfig")).is_empty());
}

fn installs(step: &Step) -> bool {
    step.act.iter().any(|c| c.args.iter().any(|a| a == "apply") || c.tool == tool::Tool::Helm && c.args[0] == "upgrade")
}

#[test]
fn dependencies_come_before_dependents() {
    let plan = plan(FLEET, Helm::V4);
    let order = [
        ("app1/cilium", "app1/gateway-api"),
        ("app1/prometheus-agent", "app1/mesh-services"),
        ("app1/promtail", "app1/mesh-services"),
        ("app1/secret-stores", "app1/external-secrets"),
        ("app1/kyverno", "app1/sample"),
        ("app1/kyverno", "app1/prometheus-agent"),
        ("app1/policies", "app1/kyverno"),
        ("mgmt/argo-cd", "mgmt/nodes"),
        ("mgmt/velero", "mgmt/nodes"),
        ("mgmt/seaweedfs", "mgmt/nodes"),
        ("mgmt/grafana", "fleet/secrets/grafana-password"),
        ("mgmt/vault/unseal", "mgmt/vault/keys"),
        ("fleet/vault/app1/role", "mgmt/vault/unseal"),
        ("fleet/vault/app1/role", "fleet/vault/app1/config"),
        ("fleet/argo-cd/app2", "app2/argocd-access/token"),
        ("fleet/argo-cd/app2", "mgmt/argo-cd"),
    ];
    for (user, used) in order {
        assert!(before(&plan, user).contains(used), "{user} must need {used}");
    }
    // Vault and its chart do not hold up the nodes that they run on.
    assert!(!before(&plan, "mgmt/nodes").contains("mgmt/vault"));
    let stores = plan.step("app1/secret-stores").expect("a step");
    assert_eq!(stores.after, ["fleet/vault/app1/role"], "an order, and not a need");
}

#[test]
fn namespaces_come_before_everything_in_them() {
    let plan = plan(FLEET, Helm::V4);
    for step in plan.steps.iter().filter(|s| s.act.iter().any(|c| c.args.first().is_some_and(|a| a == "upgrade"))) {
        let cluster = step.id.scope().name();
        let own = if cluster == "mgmt" { "namespaces-platform" } else { "namespaces-workload" };
        let before = before(&plan, step.id.as_str());
        assert!(before.contains(&StepKey::cluster(cluster, "namespaces")), "{}", step.id);
        assert!(step.id.action() == "cilium" || before.contains(&StepKey::cluster(cluster, own)), "{}", step.id);
    }
}

#[test]
fn one_value_changes_one_release() {
    let (fleet, _) = load(FLEET);
    let list = read(LIST);
    let before = changed(&fleet, &list, &data());
    let mut data = data();
    let loki = data.get_mut("charts/loki/values.yaml").expect("a data file");
    assert!(loki.contains("retention_period: 72h"));
    *loki = loki.replace("retention_period: 72h", "retention_period: 96h");
    let after = changed(&fleet, &list, &data);
    assert_eq!(before.steps, after.steps, "what differs is the file and its digest");
    let changes = diff::diff(&before, &after);
    assert_eq!(changes.iter().map(|c| format!("{}{}", c.sign, c.step)).collect::<Vec<_>>(), ["~mgmt/loki"]);
}

#[test]
fn new_release_needs_no_rust() {
    let (fleet, _) = load(FLEET);
    let entry = "\n[[chart]]\nname = \"more\"\nchart = \"more\"\nrepository = \"https://charts.example.org\"\n\
        version = \"1.2.3\"\nclusters = [\"workload\"]\nnamespace = \"sample\"\nwave = 6\n\
        needs = [\"external-secrets\"]\n\
        ready = [\"deployment/more\"]\n[chart.bindings]\n\"password\" = \"secret:more-password\"\n";
    let mut data = data();
    data.insert("charts/more/values.yaml".into(), "replicas: 1\n".into());
    let plan = changed(&fleet, &(read(LIST) + entry), &data);
    assert_eq!(check::check(&plan), Vec::<String>::new());
    for id in ["charts/more-1.2.3", "app1/more", "app2/more", "fleet/secrets/more-password"] {
        assert!(plan.step(id).is_some(), "{id}");
    }
    assert!(plan.step("mgmt/more").is_none());
    assert!(before(&plan, "app1/more").contains("fleet/secrets/more-password"));
    let vault = ["fleet/vault/app1/role"];
    assert_eq!(plan.step("app1/more").expect("a step").after, vault, "it uses what External Secrets brings");
}

#[test]
fn disabled_releases_have_no_steps() {
    let (fleet, _) = load(FLEET);
    let list = read(LIST);
    let without = |names: &[&str]| -> String {
        let entries: Vec<&str> = list.split("\n[[").collect();
        let named = |entry: &str| names.iter().any(|n| entry.contains(&format!("name = \"{n}\"")));
        entries.into_iter().filter(|entry| !named(entry)).collect::<Vec<_>>().join("\n[[")
    };
    let plan = changed(&fleet, &without(&["vault", "argo-cd", "argocd-apps", "gateway-platform"]), &data());
    assert_eq!(check::check(&plan), Vec::<String>::new());
    let ids: Vec<_> = plan.steps.iter().map(|s| s.id.as_str()).collect();
    assert!(!ids.iter().any(|id| id.contains("/vault") || id.contains("argo-cd")), "{ids:?}");
    assert!(!ids.contains(&"fleet/secrets/sample-password"));
}

#[test]
fn vault_is_initialised_once_and_unsealed_always() {
    let plan = plan(FLEET, Helm::V4);
    let answer = |initialised: bool, sealed: bool| Output {
        stdout: format!(r#"{{"type":"shamir","initialized":{initialised},"sealed":{sealed},"t":1}}"#),
        ..Output::of(Exit::Code(0))
    };
    let holds = |id: &str, output: &Output| {
        let probe = &plan.step(id).expect("a step").done_when;
        probe.want.holds(&probe.ask, output)
    };
    assert!(holds("mgmt/vault/init", &answer(true, true)) && holds("mgmt/vault/init", &answer(true, false)));
    assert!(!holds("mgmt/vault/init", &answer(false, true)));
    assert!(holds("mgmt/vault/unseal", &answer(true, false)) && !holds("mgmt/vault/unseal", &answer(true, true)));
    let init = |s: &&Step| s.act.iter().any(|c| c.args.iter().any(|a| a.contains("operator init")) && c.sensitive());
    assert_eq!(plan.steps.iter().filter(init).map(|s| s.id.as_str()).collect::<Vec<_>>(), ["mgmt/vault/init"]);
    let keys = plan.step("mgmt/vault/keys").expect("a step");
    assert!(keys.remedies.is_empty() && keys.act.iter().all(|c| !c.mutates), "it only looks");
    assert!(before(&plan, "mgmt/vault/forget").contains("mgmt/vault/unseal"), "not before the key has been used");
    assert!(plan.step("mgmt/vault/init").is_some_and(|s| s.remedies.is_empty()));
}
