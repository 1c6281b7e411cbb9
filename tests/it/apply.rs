//! `apply` and `charts diff`: single releases, again when their files change.
#![expect(clippy::disallowed_methods, reason = "changes the data of a repository of its own")]

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use crate::fake_tools::machine::FakeMachine;
use crate::fixtures::{bootstrapped, copy_folder};
use crate::golden;
use crate::ui::Repo;

const GRAFANA: &str = "charts/grafana/values.yaml";
const PROMTAIL: &str = "charts/promtail/values.yaml";

/// Gives a repository data of its own.
fn own(root: &Utf8Path, folder: &str) {
    fs::remove_file(root.join(folder)).expect("the link");
    copy_folder(&Utf8PathBuf::from_path_buf(golden::root().join(folder)).expect("UTF-8"), &root.join(folder));
}

fn changeable() -> Repo {
    let repo = bootstrapped();
    ["charts", "infra"].into_iter().for_each(|folder| own(repo.root(), folder));
    repo
}

fn edit(root: &Utf8Path, file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(root.join(file)).expect("a file");
    assert!(text.contains(from), "{from} is not in {file}");
    fs::write(root.join(file), text.replacen(from, to, 1)).expect("written");
}

#[test]
fn diff_names_what_apply_then_changes_and_nothing_else_runs() {
    let repo = changeable();
    let same = repo.must("charts diff grafana sample --simulate");
    assert!(same.out.is_empty() && same.err.contains("Unchanged grafana on mgmt"), "{}{}", same.out, same.err);
    edit(repo.root(), GRAFANA, "replicas: 1", "replicas: 2");
    edit(repo.root(), "infra/manifests/sample.yaml", "replicas: 2", "replicas: 3");
    let diff = "grafana on mgmt\n  ~ ConfigMap grafana\n      data.replicas: 1 -> 2\n\
                sample on app1\n  -  replicas: 2\n  +  replicas: 3\n";
    for line in ["charts diff grafana sample", "apply grafana sample"] {
        let ran = repo.must(&format!("{line} --cluster mgmt,app1 --simulate"));
        assert_eq!(ran.out, diff, "{}", ran.err);
    }
    let dry = repo.must("apply grafana sample --simulate --dry-run");
    assert!(dry.out.contains("app2: 1 step") && !dry.out.contains("app1"), "{}", dry.out);
    let json = repo.must("apply sample --simulate --format json");
    assert!(json.out.contains(r#""lines":["-  replicas: 2","+  replicas: 3"],"release":"sample""#), "{}", json.out);
    assert!(repo.must("apply grafana sample --simulate").err.contains("nothing to do"));
    let other = repo.must("bootstrap --simulate --dry-run");
    assert!(other.err.contains("bootstrap: 0 would run"), "{}", other.err);
}

#[test]
fn unknown_names_and_clusters_without_an_answer_are_refused_with_a_way_on() {
    let repo = changeable();
    for (line, code, words) in [
        (
            "apply grafnaa",
            2,
            "error: no release `grafnaa`\n  --> charts/releases.toml\n  hint: did you mean `grafana`?",
        ),
        ("charts diff grafana --cluster app9", 2, "the fleet has no cluster `app9`"),
    ] {
        let ran = repo.run(&format!("{line} --simulate"));
        assert!(ran.code == code && ran.err.contains(words), "{line}: {} {}", ran.code, ran.err);
    }
    repo.edit_vms(|vms| vms["mgmt-cp"]["power"] = "Stopped".into());
    let ran = repo.run("apply grafana --simulate");
    assert!(ran.code == 1 && ran.err.contains("hint: cargo xtask start --simulate   # or"), "{}", ran.err);
    assert!(ran.err.contains("Warning mgmt/grafana cannot be compared"), "{}", ran.err);
}

#[test]
fn values_with_secrets_are_compared_without_showing_them() {
    let repo = changeable();
    edit(repo.root(), "charts/cilium/values.yaml", "replicas: 1", "replicas: 2");
    let key = fs::read_to_string(repo.simulated("secrets/mesh-ca.key")).expect("a secret");
    let ran = repo.must("charts diff cilium --simulate");
    assert!(ran.out.contains("replicas: 1 -> 2") && !ran.out.contains(key.trim()), "{}", ran.out);
}

/// Without a repository `apply` alone owns what is in `apps/`, with one Argo CD does.
#[test]
fn an_application_of_ones_own_is_a_folder_with_one_owner() {
    let repo = changeable();
    let (apps, file) = (repo.root().join("apps/hello"), "apps/hello/hello.yaml");
    fs::create_dir_all(&apps).expect("a folder");
    fs::write(repo.root().join(file), golden::read("docs/examples/hello/hello.yaml")).expect("written");
    repo.must("verify-contract");
    let ran = repo.must("apply hello --cluster app1 --simulate");
    assert!(ran.err.contains("app1/hello/deployment/hello"), "{}", ran.err);
    let rest = repo.must("bootstrap --simulate --dry-run");
    assert!(
        rest.err.contains("bootstrap: 2 would run") && rest.out.contains("app2: 2 steps"),
        "{}{}",
        rest.out,
        rest.err
    );
    edit(repo.root(), file, "ghcr.io/stefanprodan/podinfo", "podinfo");
    let ran = repo.run("apply hello --cluster app1 --simulate");
    let words =
        "error: policy `image-registries` denies `hello` on app1\n  --> apps/hello/hello.yaml\n   why: every image";
    assert!(ran.code == 1 && ran.err.contains(words), "{}", ran.err);
    fs::create_dir_all(repo.root().join("apps/loki")).expect("a folder");
    fs::write(repo.root().join("apps/loki/x.yaml"), "").expect("written");
    let ran = repo.run("fleet check");
    let taken = "cannot be named `loki`\n  --> apps/loki/x.yaml\n   why: charts/releases.toml:";
    assert!(ran.code == 2 && ran.err.contains(taken), "{}", ran.err);
    fs::remove_dir_all(repo.root().join("apps/loki")).expect("removed");

    edit(repo.root(), "infra/fleet.toml", "# repository = ", "repository = ");
    let ran = repo.run("apply hello --simulate");
    let owner = "error: Argo CD delivers `hello`, from https://github.com/you/archipelago\n  --> infra/fleet.toml:";
    assert!(ran.code == 2 && ran.err.contains(owner) && ran.err.contains("hint: git push"), "{}", ran.err);
    let ran = repo.must("bootstrap --simulate");
    assert!(ran.err.contains("Done fleet/argo-cd/apps-of-git") && !ran.err.contains("hello"), "{}", ran.err);
    repo.must("verify-contract");
    edit(repo.root(), "infra/fleet.toml", "https://github.com/you/archipelago", "https://u:p@github.com/you");
    let ran = repo.run("fleet check");
    assert!(ran.code == 2 && ran.err.contains("`repository` of [gitops]"), "{}", ran.err);
}

/// Errors stay on the screen, and the next change goes on.
#[test]
fn a_watched_release_is_applied_at_each_change_until_it_is_interrupted() {
    let machine = FakeMachine::bootstrapped();
    own(machine.root(), "charts");
    let mut run = machine.start("apply promtail --cluster app1 --watch", 2000);
    run.until("Watching the input files");
    edit(machine.root(), PROMTAIL, "memory: 64Mi", "memory: [64Mi");
    run.until("error: ");
    edit(machine.root(), PROMTAIL, "memory: [64Mi", "memory: 65Mi");
    run.until("1 changed, 3 unchanged\n    Watching");
    run.signal("INT");
    let ran = run.end();
    assert_eq!(ran.code, Some(130), "{}", ran.err);
    assert!(ran.out.contains("\"64Mi\" -> \"65Mi\""), "{}", ran.out);
    machine.end();
    let none = machine.must("apply promtail --cluster app1");
    assert!(none.err.contains("nothing to do"), "{}", none.err);
}
