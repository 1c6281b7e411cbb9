//! C4: Kyverno is on every app cluster and on no other, and it enforces; Pod Security is baseline everywhere.
//! Knows nothing of what a policy's expressions mean.

mod rendered;
pub(super) mod walls;
mod webhook;

use super::case::{Case, shown};
use super::evidence::{Evidence, Ground, Sheet};
use model::fleet::Role;

/// Kinds of policies that refuse, old and new.
const POLICIES: [&str; 4] = ["ValidatingPolicy", "ClusterPolicy", "ImageValidatingPolicy", "Policy"];

/// Judges every cluster.
pub(super) fn judge(evidence: &Evidence, case: &mut Case) {
    let (mut with, mut policies) = (0, 0);
    for ground in &evidence.grounds {
        if ground.role == Role::Platform {
            absent(ground, case);
        } else {
            with += usize::from(present(ground, case));
            policies = enforced(ground, case);
        }
        walls::judge(ground, case);
        rendered::judge(ground, case);
    }
    case.headline(format!(
        "Kyverno on {with} of {} app clusters and not on the platform, {policies} policies deny, fail closed",
        evidence.apps().count()
    ));
    case.because("a webhook that fails open lets everything in while its pod starts, so policies fail closed");
    case.because("a webhook that fails closed must leave out what it needs to start: adr/0003 says which namespaces");
}

fn kyverno(ground: &Ground) -> Option<&Sheet> {
    ground.releases().find(|s| s.chart() == Some("kyverno"))
}

/// The platform has no Kyverno: no release, no policy, no webhook of it.
fn absent(ground: &Ground, case: &mut Case) {
    case.rule("placement");
    for release in ground.releases().filter(|s| s.chart().is_some_and(|c| c.starts_with("kyverno"))) {
        let hint = "clusters = [\"workload\"]";
        case.missing(ground, &release.name, "no Kyverno on the platform", "it is installed there", hint);
    }
    for object in ground.sheets.iter().filter(|s| s.chart().is_none()) {
        let version = case.text(object, "apiVersion").unwrap_or_default();
        let group = version.split('/').next().unwrap_or_default();
        if group == "kyverno.io" || group.ends_with(".kyverno.io") {
            let want = "no object of Kyverno on the platform";
            let hint = "clusters = [\"workload\"] for its manifest";
            case.breach(ground, object, "apiVersion", want, version.clone(), hint);
        }
    }
}

fn present(ground: &Ground, case: &mut Case) -> bool {
    case.rule("placement");
    let Some(release) = kyverno(ground) else {
        let hint = "clusters = [\"workload\"] for the chart kyverno in charts/releases.toml";
        case.missing(ground, "kyverno", "Kyverno on every app cluster", "nothing", hint);
        return false;
    };
    let path = "admissionController.replicas";
    let replicas = case.text(release, path).and_then(|text| text.parse::<u32>().ok()).unwrap_or(1);
    if replicas == 0 {
        case.breach(ground, release, path, "at least one replica that admits", "none", "replicas: 1");
    }
    webhook::judge(ground, release, case);
    true
}

/// Every policy denies and fails closed; how many there are.
pub(super) fn enforced(ground: &Ground, case: &mut Case) -> usize {
    case.rule("enforced");
    let mut found = 0;
    for policy in POLICIES.iter().flat_map(|kind| ground.objects(kind)) {
        found += 1;
        if matches!(policy.word("kind"), "ClusterPolicy" | "Policy") {
            case.expect(ground, policy, "spec.validationFailureAction", "Enforce", "validationFailureAction: Enforce");
        } else {
            denies(ground, policy, case);
        }
        let path = "spec.failurePolicy";
        let fails = case.text(policy, path);
        // Kyverno's own default is Fail.
        if fails.as_deref().is_some_and(|f| f != "Fail") {
            let want = "failurePolicy: Fail";
            case.breach(ground, policy, path, want, shown(fails.as_deref()), want);
        }
        reach(ground, policy, case);
    }
    if found == 0 {
        let hint = "give app clusters the manifest `policies`";
        case.missing(ground, "policies", "at least one policy", "none", hint);
    }
    case.figure("policies", found.to_string());
    found
}

/// `[Deny]`, which is to refuse; `Audit` and `Warn` only talk.
fn denies(ground: &Ground, policy: &Sheet, case: &mut Case) {
    let path = "spec.validationActions";
    let actions: Vec<&str> = case.list(policy, path).iter().filter_map(serde_json::Value::as_str).collect();
    if actions != ["Deny"] {
        let want = "validationActions: [Deny]";
        let got = if actions.is_empty() { "nothing".to_owned() } else { format!("[{}]", actions.join(", ")) };
        case.breach(ground, policy, path, want, got, want);
    }
}

/// A policy is asked when a pod is made, and about nothing without a namespace: that could keep a node out.
fn reach(ground: &Ground, policy: &Sheet, case: &mut Case) {
    for (i, rule) in case.list(policy, "spec.matchConstraints.resourceRules").iter().enumerate() {
        let path = format!("spec.matchConstraints.resourceRules.{i}");
        let has = |key: &str, word: &str| rule[key].as_array().is_some_and(|list| list.iter().any(|v| v == word));
        case.read(policy, &path);
        if !has("operations", "CREATE") && !has("operations", "*") {
            let at = format!("{path}.operations");
            case.breach(ground, policy, &at, "asked when a pod is made: CREATE", "never then", "- CREATE");
        }
        let boundless = ["*", "*/*", "nodes", "certificatesigningrequests", "leases"];
        if let Some(word) = boundless.iter().find(|word| has("resources", word)) {
            let want = "nothing that has no namespace: a node must register while Kyverno is down";
            let at = format!("{path}.resources");
            case.breach(ground, policy, &at, want, (*word).to_owned(), "- pods");
        }
    }
}
