//! Bootstraps with one thing wrong: which step fails, and with which message.

use std::collections::BTreeSet;
use std::time::Duration;

use camino::Utf8Path;
use exec::driver::drive;
use exec::workspace::Workspace;
use plan::choose::{Choice, choose};
use plan::engine::{Engine, Outcome};
use plan::{Expect, Plan, StepKey};
use sim::{Faults, Machine, SimState, SimWorld};
use tool::Tool;
use tool::helm::Helm;

use crate::golden::{self, FLEET, LIST, data, load};
use crate::workdir::WorkDir;

/// The plan, with one text of the data exchanged for another.
fn broken(file: &str, from: &str, to: &str, helm: Helm) -> Plan {
    let (fleet, _) = load(FLEET);
    let mut data = data();
    let text = data.get_mut(file).unwrap_or_else(|| panic!("no {file}"));
    assert!(text.contains(from), "{file} has no {from:?}");
    *text = text.replacen(from, to, 1);
    golden::bootstrap(&fleet, &data[LIST], &data, helm)
}

/// The same without some of its steps.
fn without(mut plan: Plan, gone: &[&str]) -> Plan {
    let out = |id: &StepKey| gone.iter().any(|g| id == g || id.as_str().starts_with(&format!("{g}/")));
    plan.steps.retain(|step| !out(&step.id));
    for step in &mut plan.steps {
        step.needs.retain(|need| !out(need));
        step.after.retain(|after| !out(after));
    }
    plan
}

/// Runs the steps that a pattern chooses, with what they need.
fn run(plan: &Plan, only: &str, helm: &str) -> (Outcome, Duration) {
    run_in(plan, only, helm, |stage| stage)
}

/// The same where the outside world is not as it should be.
fn run_in(plan: &Plan, only: &str, helm: &str, change: impl FnOnce(SimState) -> SimState) -> (Outcome, Duration) {
    let folder = tempfile::tempdir().unwrap();
    let open = || Workspace::open(Utf8Path::from_path(folder.path()).unwrap(), Utf8Path::new("out")).without_fsync();
    let mut machine = Machine::default();
    machine.tools.insert("helm".into(), helm.into());
    let mut stage = SimState::new(machine);
    for (file, digest) in published(plan) {
        stage = stage.publishing(&file, &digest);
    }
    let mut world = SimWorld::new(change(stage), Faults::none(), Box::new(WorkDir(open())));
    let choice = Choice { only: vec![only.to_owned()], ..Choice::default() };
    let chosen: BTreeSet<StepKey> = choose(plan, &choice).unwrap_or_else(|p| panic!("{p:#?}"));
    let engine = Engine::new(plan, chosen, Default::default(), 8);
    let outcome = drive(plan, engine, &mut world, &mut open(), &mut |_, _| {});
    assert_eq!(world.unknown(), [""; 0]);
    (outcome, tool::World::now(&world))
}

fn installed(outcome: &Outcome) -> Vec<&StepKey> {
    let charts = ["namespaces", "gateway-api", "cilium", "loki", "vault", "kyverno", "nodes", "namespaces-workload"];
    outcome.done.iter().filter(|id| id.as_str().split('/').nth(1).is_some_and(|rest| charts.contains(&rest))).collect()
}

#[test]
fn missing_or_wrong_archive_blocks_installs() {
    let plan = bootstrap_plan(Helm::V4);
    let other = "f".repeat(64);
    let away = |host: &'static str| move |stage: SimState| stage.without(host);
    type Change<'a> = Box<dyn FnOnce(SimState) -> SimState + 'a>;
    let changes: [(&str, &[&str], &str, Change<'_>); 4] = [
        (
            "charts/loki-18.11.0",
            &["mgmt"],
            "is not a valid chart repository or cannot be reached",
            Box::new(away("grafana-community.github.io")),
        ),
        (
            "charts/gateway-api-v1.6.1-standard-install",
            &["mgmt", "app1", "app2"],
            "Could not resolve host: github.com",
            Box::new(away("github.com")),
        ),
        (
            "charts/kyverno-3.9.0",
            &["app1", "app2"],
            "",
            Box::new(|stage: SimState| stage.publishing("kyverno-3.9.0.tgz", &other)),
        ),
        (
            "charts/cilium-1.20.2",
            &["mgmt", "app1", "app2"],
            "",
            Box::new(|stage: SimState| stage.publishing("cilium-1.20.2.tgz", &other)),
        ),
    ];
    for (step, held, words, change) in changes {
        let (outcome, _) = run_in(&plan, "*", "4.1.4", change);
        let failed: Vec<&str> = outcome.failed.iter().map(|f| f.step.as_str()).collect();
        assert!(failed.contains(&step), "{step}: {failed:?}");
        assert!(outcome.failed.iter().any(|f| f.output.stderr.contains(words)), "{:#?}", outcome.failed);
        assert!(outcome.done.iter().any(|id| id == "app1/kubeconfig"), "what needs no archive goes on");
        let installed = installed(&outcome);
        for cluster in ["mgmt", "app1", "app2"] {
            let waits =
                outcome.blocked.iter().any(|(id, by)| *id == StepKey::cluster(cluster, "namespaces") && *by == step);
            let has = installed.iter().any(|id| id.scope().name() == cluster);
            assert_eq!((waits, has), (held.contains(&cluster), !held.contains(&cluster)), "{step} on {cluster}");
        }
    }
}

fn published(plan: &Plan) -> Vec<(String, String)> {
    let pinned = |step: &plan::Step| match (&step.done_when.ask, &step.done_when.want) {
        (ask, Expect::Stdout(digest)) if ask.tool == Tool::Builtin && ask.args[0] == "sha256" => {
            Some((ask.args[1].rsplit('/').next().unwrap_or_default().to_owned(), digest.clone()))
        }
        _ => None,
    };
    plan.steps.iter().filter_map(pinned).collect()
}

/// Exactly this step fails first, with these words.
fn fails(plan: &Plan, step: &str, words: &str) -> (Outcome, Duration) {
    fails_with(plan, step, words, "4.1.4")
}

fn fails_with(plan: &Plan, step: &str, words: &str, helm: &str) -> (Outcome, Duration) {
    let (outcome, took) = run(plan, step, helm);
    let failed: Vec<&str> = outcome.failed.iter().map(|f| f.step.as_str()).collect();
    assert_eq!(failed, [step]);
    let printed = &outcome.failed[0].output.stderr;
    assert!(printed.contains(words), "{printed}");
    (outcome, took)
}

#[test]
fn bootstrap_converges_with_helm_3_and_4() {
    let plan = |helm| bootstrap_plan(helm);
    for (helm, version) in [(Helm::V4, "4.1.4"), (Helm::V3, "3.18.0")] {
        let (outcome, took) = run(&plan(helm), "*", version);
        assert!(outcome.failed.is_empty(), "{:#?}", outcome.failed.first());
        assert!(outcome.blocked.is_empty());
        // Of the same order as the time that the measured parts and the assumed downloads add up to.
        assert!((10..40).contains(&(took.as_secs() / 60)), "{took:?}");
    }
}

fn bootstrap_plan(helm: Helm) -> Plan {
    crate::golden::plan(FLEET, helm)
}

#[test]
fn custom_resources_need_their_crds_first() {
    let plan = without(bootstrap_plan(Helm::V4), &["app1/external-secrets"]);
    let words = "no matches for kind \"ClusterSecretStore\" in version \"external-secrets.io/v1\"\nensure CRDs are";
    fails(&plan, "app1/secret-stores", words);
    let plan = without(bootstrap_plan(Helm::V4), &["app1/kyverno"]);
    fails(&plan, "app1/policies", "no matches for kind \"ValidatingPolicy\" in version \"policies.kyverno.io/v1\"");
    let plan = without(bootstrap_plan(Helm::V4), &["mgmt/argo-cd"]);
    fails(&plan, "mgmt/argocd-apps", "no matches for kind \"AppProject\" in version \"argoproj.io/v1alpha1\"");
    let plan = without(bootstrap_plan(Helm::V4), &["app1/gateway-api"]);
    fails(&plan, "app1/cilium", "no matches for kind \"GatewayClass\" in version \"gateway.networking.k8s.io/v1\"");
}

#[test]
fn pods_are_not_ready_without_a_network() {
    let blind = || without(bootstrap_plan(Helm::V4), &["mgmt/cilium", "mgmt/nodes"]);
    let words = "Error: UPGRADE FAILED: resource Deployment/local-path-storage/local-path-provisioner not ready. \
        status: InProgress, message: Available: 0/1\ncontext deadline exceeded";
    fails(&blind(), "mgmt/local-path-provisioner", words);
    // Hook Jobs are waited for in any case.
    for (release, words) in [
        ("argo-cd", "failed pre-install: resource Job/argocd/argocd-redis-secret-init not ready. status: InProgress"),
        ("velero", "failed pre-install: resource Job/velero/velero-upgrade-crds not ready. status: InProgress"),
    ] {
        let plan = without(blind(), &["mgmt/local-path-provisioner", "mgmt/seaweedfs", "mgmt/thanos", "mgmt/loki"]);
        let plan = without(plan, &["mgmt/prometheus", "mgmt/grafana", "mgmt/vault"]);
        fails(&plan, &format!("mgmt/{release}"), words);
    }
}

#[test]
fn claims_need_a_storage_class_and_provisioner() {
    let file = "charts/local-path-provisioner/values.yaml";
    let plan = broken(file, "create: true", "create: false", Helm::V4);
    let words = "resource StatefulSet/monitoring/loki not ready. status: InProgress, message: Ready: 0/1";
    fails(&without(plan, &["mgmt/seaweedfs"]), "mgmt/loki", words);
    let plan = broken("charts/grafana/values.yaml", "storageClassName: local-path", "storageClassName: fast", Helm::V4);
    fails(&plan, "mgmt/grafana", "resource Deployment/monitoring/grafana not ready");
    // The helper that makes a folder for a volume has a hostPath; the provisioner itself would run (measured).
    let from = "name: local-path-storage\n  labels:\n";
    let plan = broken("infra/manifests/namespaces.yaml", from, from, Helm::V4);
    let storage = relabelled(plan, "local-path-storage");
    fails(&without(storage, &["mgmt/seaweedfs"]), "mgmt/loki", words);
}

/// Every namespaces file of a plan with this namespace at `baseline`.
fn relabelled(mut plan: Plan, namespace: &str) -> Plan {
    for (_, text) in plan.files.iter_mut().filter(|(path, _)| path.ends_with("/namespaces.yaml")) {
        let documents: Vec<String> = text
            .split("---\n")
            .map(|d| {
                if d.contains(&format!("name: {namespace}\n")) { d.replace("privileged", "baseline") } else { d.into() }
            })
            .collect();
        *text = documents.join("---\n");
    }
    plan
}

#[test]
fn oversized_pod_is_never_ready() {
    let plan = broken("charts/thanos/values.yaml", "memory: 1Gi", "memory: 8Gi", Helm::V4);
    let words = "resource StatefulSet/monitoring/thanos-receive not ready. status: InProgress, message: Ready: 0/1";
    let (outcome, _) = fails(&plan, "mgmt/thanos", words);
    let cause = "; cause: thanos-receive-0 Pending (FailedScheduling: 0/2 nodes are available";
    assert!(outcome.failed[0].why.contains(cause), "{}", outcome.failed[0].why);
    let plan = broken("charts/promtail/values.yaml", "memory: 64Mi", "memory: 3000Mi", Helm::V4);
    // It fits the worker of 4G, not the control plane of 3G.
    fails(
        &plan,
        "app1/promtail",
        "resource DaemonSet/monitoring/promtail not ready. status: InProgress, message: Available: 1/2",
    );
}

#[test]
fn pod_security_rejection_is_named_by_helm_4_only() {
    let plan = |helm| relabelled(bootstrap_plan(helm), "monitoring");
    let words = "resource DaemonSet/monitoring/promtail not ready. status: InProgress, message: Current: 0/2";
    fails(&plan(Helm::V4), "app1/promtail", words);
    fails_with(&plan(Helm::V3), "app1/promtail", "Error: UPGRADE FAILED: context deadline exceeded", "3.18.0");
    let plan = relabelled(bootstrap_plan(Helm::V4), "kube-system");
    let (outcome, _) = run(&plan, "app1/nodes", "4.1.4");
    assert_eq!(outcome.failed[0].step, "app1/nodes");
}

#[test]
fn missing_namespace_is_named() {
    let plan = without(bootstrap_plan(Helm::V4), &["mgmt/namespaces-platform"]);
    fails(&plan, "mgmt/platform-secrets", "Error from server (NotFound): namespaces \"seaweedfs\" not found");
    fails(&plan, "mgmt/vault", "Error: create: failed to create: namespaces \"vault\" not found");
}

#[test]
fn mounted_secret_must_exist() {
    let file = "infra/manifests/platform-secrets.yaml";
    for (from, step, words) in [
        ("name: thanos-objstore", "mgmt/thanos", "StatefulSet/monitoring/thanos-receive not ready"),
        ("name: velero-s3", "mgmt/velero", "Deployment/velero/velero not ready"),
    ] {
        let plan = renamed(file, from);
        fails(&plan, step, words);
    }
    let plan = broken("charts/grafana/values.yaml", "existingSecret: grafana-admin", "existingSecret: other", Helm::V4);
    fails(
        &plan,
        "mgmt/grafana",
        "Deployment/monitoring/grafana not ready. status: InProgress, message: Available: 0/1",
    );
    let plan =
        broken("charts/grafana/values.yaml", "contract: grafana-dashboard-contract", "contract: other", Helm::V4);
    fails(
        &plan,
        "mgmt/grafana",
        "Deployment/monitoring/grafana not ready. status: InProgress, message: Available: 0/1",
    );
}

/// The generated manifest with another name; the list of releases names it too, so it is changed behind that.
fn renamed(file: &str, from: &str) -> Plan {
    let mut plan = bootstrap_plan(Helm::V4);
    let name = file.rsplit('/').next().unwrap_or(file);
    let mut changed = 0;
    for (_, text) in plan.files.iter_mut().filter(|(path, _)| path.ends_with(name)) {
        changed += usize::from(text.contains(from));
        *text = text.replace(&format!("{from}\n"), &format!("{from}-other\n"));
    }
    assert!(changed > 0, "{file}: {from}");
    plan
}
