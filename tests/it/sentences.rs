//! `status` and `doctor` speak of things, never of probes.

use std::collections::BTreeSet;
use std::time::Duration;

use plan::survey::{Answer, ProbeState, questions, words};
use regex::Regex;
use serde_json::json;
use tool::helm::Helm;
use tool::{Exit, Output};

use crate::fixtures::connected;
use crate::golden;
use crate::manual_changes::types;
use crate::ui::Repo;

#[test]
fn every_step_that_status_asks_has_a_sentence_of_its_own() {
    let fleets = ["one", "three", "wide"].map(|name| format!("tests/fleets/{name}.toml"));
    let sizes = ["16g", "32g", "64g"].map(|size| format!("infra/fleets/{size}.toml"));
    let (mut seen, mut generic) = (0, BTreeSet::new());
    for path in fleets.into_iter().chain(sizes) {
        let (_, releases) = golden::load(&path);
        let charts = releases.charts.iter().map(|chart| &chart.placement.name);
        let ours: Vec<&String> = charts.chain(releases.manifests.iter().map(|file| &file.placement.name)).collect();
        for step in questions(&golden::plan(&path, Helm::V4)).steps {
            let state = ProbeState::Differs { remedy: None, why: "exit 1".to_owned() };
            let output = Some(Output::of(Exit::Code(0)));
            let sentence =
                words::sentence(&step.id, &Answer { at: Duration::ZERO, output, state }).expect("a sentence");
            let of_files = sentence.ends_with(": differs from the files");
            if sentence.ends_with("not done yet") || of_files && !ours.iter().any(|name| *name == step.id.action()) {
                generic.insert(sentence);
            }
            seen += 1;
        }
    }
    assert!(seen > 500 && generic.is_empty(), "of {seen}: {generic:#?}");
}

/// Lines of a repository's `status` and `doctor` that show what a probe wanted, and not a command to paste.
fn leaks(repo: &Repo) -> Vec<String> {
    let probe = r#"(?-u)\b[Ww]ant(ed)?\b|\b[Gg]ot\b|\\[Sswdb.]|\(\?|\.\*|\bexit \d|\bjsonpath\b|(^|[\s"`(])/[a-z_]+(/\w+)*["`):,]"#;
    let probe = Regex::new(probe).expect("a pattern");
    let mut shown = String::new();
    for line in ["status", "doctor"] {
        let ran = repo.run(&format!("{line} --simulate"));
        assert!(!ran.out.is_empty(), "{line}: {}", ran.err);
        shown += &ran.out;
    }
    let lines = shown.lines().filter(|line| !line.contains("hint: ") && probe.is_match(line));
    lines.map(str::to_owned).collect()
}

#[test]
fn no_screen_shows_a_probe() {
    let mut found = Vec::new();
    for seed in 1..=12 {
        let repo = Repo::new();
        repo.run(&format!("bootstrap --simulate --seed {seed}"));
        found.extend(leaks(&repo));
    }
    let whole = connected();
    let changed = |change: &dyn Fn(&Repo)| {
        let repo = whole.copy();
        change(&repo);
        leaks(&repo)
    };
    for (vm, at, value) in [
        ("app1-w1", "/power", json!("Stopped")),
        ("mgmt-cp", "/power", json!("Stuck")),
        ("app2-cp", "/power", json!("Deleted")),
        ("app1-cp", "/ip", json!("192.168.252.77")),
        ("mgmt-w1", "/guest/hosts/mgmt-api", json!("10.9.9.9")),
        ("app2-w1", "/guest/prep", json!("")),
        ("app1-w1", "/guest/packages", json!("1.34.0")),
    ] {
        found.extend(changed(&|repo| repo.edit_vms(|vms| *vms[vm].pointer_mut(at).expect(at) = value.clone())));
    }
    let loki = "helm upgrade --install loki out/charts/loki-18.11.0.tgz --reuse-values --set singleBinary.replicas=0";
    for command in [
        &format!("{loki} --kubeconfig out/kube/mgmt.yaml --namespace monitoring"),
        "helm uninstall grafana --kubeconfig out/kube/mgmt.yaml --namespace monitoring",
        "kubectl --kubeconfig out/kube/app1.yaml delete daemonset promtail --namespace monitoring",
        "kubectl --kubeconfig out/kube/app1.yaml delete namespace kyverno",
        "kubectl --kubeconfig out/kube/mgmt.yaml cordon mgmt-w1",
        "kubectl --kubeconfig out/kube/mgmt.yaml delete secret vault-seal --namespace vault",
    ] {
        found.extend(changed(&|repo| drop(types(repo, command))));
    }
    assert!(found.is_empty(), "{found:#?}");
}
