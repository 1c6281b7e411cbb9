//! Releases that a person changed with helm: detected, explained, reverted.

mod states;

use std::collections::BTreeMap;

use camino::Utf8Path;
use exec::driver::drive;
use exec::workspace::Workspace;
use plan::engine::Engine;
use plan::journal;
use sim::{Faults, SimWorld};
use tool::Event;
use tool::helm::Helm;
use tool::{Call, World};
use tool::{Exit, Output, Tool};

use crate::fixtures::bootstrapped;
use crate::golden;
use crate::ui::Repo;
use crate::workdir::WorkDir;

fn space(repo: &Repo) -> Workspace {
    Workspace::open(repo.root(), Utf8Path::new("out/simulation")).without_fsync()
}

fn world(repo: &Repo) -> SimWorld {
    SimWorld::load(&repo.state(), Box::new(WorkDir(space(repo)))).expect("saved state")
}

pub fn types(repo: &Repo, line: &str) -> Output {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    replay(repo, &words, "")
}

/// Runs a command in the saved simulation, which it changes.
pub fn replay(repo: &Repo, words: &[String], stdin: &str) -> Output {
    let mut world = world(repo);
    let tools = [Tool::Helm, Tool::Kubectl, Tool::Cilium, Tool::Multipass, Tool::Curl, Tool::Openssl];
    let tool = tools.into_iter().find(|tool| tool.program() == words[0]);
    let (tool, args, stdin) = (tool.expect("a tool"), words[1..].to_vec(), stdin.as_bytes().to_vec());
    let env = vec![("KUBECONFIG".to_owned(), "out/kube/config.yaml".to_owned())];
    let env = if tool == Tool::Cilium { env } else { vec![] };
    world.start(Call { task: 1, tool, args, stdin, env, acts: None });
    let output = loop {
        match world.wait(None) {
            Event::Ended(1, output) => break output,
            Event::Interrupt => panic!("no signal is sent"),
            _ => {}
        }
    };
    repo.set_state(&world.save());
    output
}

const ON_MGMT: &str = "--kubeconfig out/kube/mgmt.yaml --namespace monitoring";

fn changes(repo: &Repo, values: &str) {
    let archive = "out/charts/loki-18.11.0.tgz";
    let output = types(repo, &format!("helm upgrade --install loki {archive} {ON_MGMT} --reuse-values {values}"));
    assert_eq!(output.exit, Exit::Code(0), "{output:?}");
}

#[test]
fn second_bootstrap_lists_releases_once_per_cluster() {
    let repo = bootstrapped();
    let plan = golden::plan("infra/fleet.toml", Helm::V4);
    let (mut world, mut space) = (world(&repo), space(&repo));
    world.with_faults(Faults::recording());
    let facts = journal::read(&space.journal().expect("a journal")).facts;
    let engine = Engine::new(&plan, plan.ids(), facts, 8);
    let outcome = drive(&plan, engine, &mut world, &mut space, &mut |_, _| {});
    assert_eq!(outcome.unchanged.len(), plan.steps.len(), "{:#?}", outcome.failed.first());
    let mut asked: BTreeMap<&str, std::collections::BTreeSet<u64>> = BTreeMap::new();
    for injected in world.faults().injected() {
        for cluster in ["mgmt", "app1", "app2"] {
            let its = injected.command.contains(&format!("out/kube/{cluster}.yaml"));
            if its && injected.command.contains("status!=superseded") {
                asked.entry(cluster).or_default().insert(injected.point);
            }
        }
    }
    let calls: Vec<(&str, usize)> = asked.into_iter().map(|(cluster, points)| (cluster, points.len())).collect();
    assert_eq!(calls, [("app1", 1), ("app2", 1), ("mgmt", 1)]);
}

#[test]
fn manual_upgrade_is_reported_with_keys_and_reverted() {
    let repo = bootstrapped();
    changes(&repo, "--set singleBinary.replicas=1,extra.word=top-secret");
    let status = repo.run("status --simulate");
    assert_eq!(status.code, 1);
    let row = status.out.lines().find(|line| line.contains("loki 18.11.0")).expect("a row");
    let words = "changed by hand: revision 2 of monitoring/loki is not ours, unless a repair was cut off; values that \
        differ: extra.word";
    assert!(row.ends_with(words), "{row}");
    let doctor = repo.run("doctor --simulate");
    assert!(doctor.code == 1 && doctor.out.contains("values that differ: extra.word"), "{}", doctor.out);
    let again = repo.must("bootstrap --simulate");
    let found = "       Drift mgmt/loki (changed by hand: revision 2 of monitoring/loki is not ours";
    assert!(again.err.contains(found), "{}", again.err);
    assert!(again.err.contains(" 1 changed, "), "{}", again.err);
    let values = types(&repo, &format!("helm get values loki {ON_MGMT} --output json")).stdout;
    for printed in [&status.out, &doctor.out, &again.err, &values] {
        assert!(!printed.contains("top-secret"), "{printed}");
    }
    repo.must("status --simulate");
}

#[test]
fn manual_rollback_is_reported_despite_our_labels() {
    let repo = bootstrapped();
    changes(&repo, "--set extra.word=x");
    assert_eq!(types(&repo, &format!("helm rollback loki {ON_MGMT}")).exit, Exit::Code(0));
    let status = repo.run("status --simulate");
    let row = status.out.lines().find(|line| line.contains("loki 18.11.0")).expect("a row");
    assert!(
        row.contains("revision 3 of monitoring/loki is not ours") && row.ends_with("; its values are ours"),
        "{row}"
    );
    let again = repo.run("bootstrap --simulate");
    assert!(again.code == 0 && again.err.contains("Drift mgmt/loki (changed by hand: revision 3"), "{}", again.err);
    assert!(repo.run("bootstrap --simulate").err.contains("nothing to do"));
}

#[test]
fn removed_release_is_reinstalled() {
    let repo = bootstrapped();
    assert_eq!(types(&repo, &format!("helm uninstall loki {ON_MGMT}")).exit, Exit::Code(0));
    let status = repo.run("status --simulate");
    assert!(
        status.out.lines().any(|line| line.contains("loki 18.11.0") && line.ends_with(" not installed yet")),
        "{}",
        status.out
    );
    repo.must("bootstrap --simulate");
    repo.must("status --simulate");
}

/// What a deployed release has brought can be deleted later.
#[test]
fn deleted_objects_of_a_release_come_back() {
    let repo = bootstrapped();
    for (gone, step, missing) in [
        (
            "crd clustersecretstores.external-secrets.io",
            "app1/external-secrets",
            "customresourcedefinition.apiextensions.k8s.io/clustersecretstores.external-secrets.io",
        ),
        ("deployment clustermesh-apiserver", "app1/cilium", "kube-system deployment.apps/clustermesh-apiserver"),
        ("secret cilium-clustermesh", "app1/cilium", "kube-system secret/cilium-clustermesh"),
        (
            "secret clustermesh-apiserver-remote-cert",
            "app1/cilium/certificates",
            "Secret/clustermesh-apiserver-remote-cert",
        ),
    ] {
        let deleted =
            types(&repo, &format!("kubectl --kubeconfig out/kube/app1.yaml --namespace kube-system delete {gone}"));
        assert_eq!(deleted.exit, Exit::Code(0), "{deleted:?}");
        let doctor = repo.run("doctor --simulate");
        assert!(
            doctor.code == 1 && doctor.out.contains(&format!("missing: {missing}")),
            "{}{}",
            doctor.out,
            doctor.err
        );
        let again = repo.must("bootstrap --simulate");
        assert!(again.err.contains(&format!("Started {step}: ")), "{}", again.err);
        repo.must("status --simulate");
    }
}

/// The API server takes it for a set, to which others may add: their entry survives what we apply.
#[test]
fn entry_added_to_a_policy_is_named_and_removed() {
    let repo = bootstrapped();
    let patch = r#"{"spec":{"validationActions":["Audit"]}}"#;
    let words = ["kubectl", "--kubeconfig", "out/kube/app1.yaml", "patch", "validatingpolicies.policies.kyverno.io"];
    let rest = ["POLICY", "--type", "merge", "--patch", patch];
    let mut words: Vec<String> = words.iter().chain(&rest).map(|word| (*word).to_owned()).collect();
    words[5] = policy();
    assert_eq!(replay(&repo, &words, "").exit, Exit::Code(0));
    let doctor = repo.run("doctor --simulate").out;
    assert!(doctor.contains("differs: somebody added Audit to /items/0/spec/validationActions"), "{doctor}");
    let again = repo.must("bootstrap --simulate");
    assert!(again.err.contains("Started app1/policies/exact: "), "{}", again.err);
    repo.must("status --simulate");
}

/// The first of our policies.
fn policy() -> String {
    let text = golden::read("infra/manifests/policies.yaml");
    text.lines().find_map(|line| line.strip_prefix("  name: ")).expect("a policy").to_owned()
}

#[test]
fn nodes_and_fields_changed_by_hand_are_named() {
    let repo = bootstrapped();
    for line in [
        "cordon app1-w1",
        "label node app1-cp node-role.kubernetes.io/control-plane-",
        "label namespace sample pod-security.kubernetes.io/enforce=privileged --overwrite",
    ] {
        let output = types(&repo, &format!("kubectl --kubeconfig out/kube/app1.yaml {line}"));
        assert_eq!(output.exit, Exit::Code(0), "{output:?}");
    }
    let cordoned = "node `app1-w1` is cordoned since 20";
    let label = "the control plane of app1: its node lacks the label";
    let field = "differs: Namespace sample: metadata.labels.pod-security.kubernetes.io/enforce";
    let doctor = repo.run("doctor --simulate").out;
    assert!([cordoned, label, field].iter().all(|words| doctor.contains(words)), "{doctor}");
    assert!(repo.run("status --simulate").out.contains("ready, cordoned"));
    repo.must("bootstrap --simulate");
    let doctor = repo.run("doctor --simulate").out;
    assert!(doctor.contains(cordoned) && !doctor.contains(label) && !doctor.contains(field), "{doctor}");
}

/// The node of a purged and recreated worker is the old one to the cluster, and its volumes have no folders.
#[test]
fn volumes_of_a_recreated_vm_get_their_folders() {
    let repo = bootstrapped();
    repo.edit_vms(|vms| {
        vms.as_object_mut().expect("VMs").remove("mgmt-w1").expect("a worker");
    });
    let ran = repo.must("bootstrap --simulate -v");
    let found =
        ran.err.lines().find(|line| line.contains("Drift mgmt/w1/volumes (gone with its VM")).expect("it is said");
    assert!(found.contains("cannot statx '/opt/local-path-provisioner/pvc-"), "{found}");
    let again = repo.run("bootstrap --simulate");
    assert!(again.err.contains("nothing to do"), "{}", again.err);
    repo.must("status --simulate");
    let summary = world(&repo).summary();
    let ready = summary["mgmt-cp"]["cluster"]["ready"].to_string();
    assert!(ready.contains("monitoring/statefulset/loki") && ready.contains("vault/statefulset/vault"), "{ready}");
}
