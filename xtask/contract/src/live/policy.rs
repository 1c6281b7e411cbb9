//! C4, live: Kyverno is absent from the platform and enforces on app clusters, Pod Security holds in every namespace;
//! and pods that are only tried show it.
//! Knows nothing of what a policy's expressions mean; the rules for policies and labels are those of the static tier.
//!
//! A pod is tried with `--dry-run=server`: the request goes through admission like any other and nothing is kept. The
//! API server refuses to try where a webhook has side effects that it does not deny (`sideEffects` other than `None`
//! and `NoneOnDryRun`); then nothing is known, and that is said.

use serde_json::Value;

use super::super::c4_policy::{enforced, walls};
use super::super::evidence::Ground;
use super::bench::{Bench, Site, reason};
use tool::Output;

/// Namespaces that hold no pods and that charts make: Cilium keeps TLS secrets of Gateways in it.
const EMPTY: [&str; 1] = ["cilium-secrets"];
/// How Kyverno's webhooks are called: `vpol.validate.kyverno.svc-fail` and the like.
const HOOK: &str = ".kyverno.svc";

pub(super) fn judge(bench: &mut Bench<'_>) {
    let (mut absent, mut refusing, mut apps) = (false, 0, 0);
    for site in bench.sites() {
        if site.is_platform() {
            absent = nowhere(bench, &site);
            tried_on_platform(bench, &site);
        } else {
            apps += 1;
            hooks(bench, &site);
            policies(bench, &site);
            refusing += usize::from(tried_on_apps(bench, &site));
        }
        privileged(bench, &site);
        bench.case.rule("pod-security");
        if bench.items(site.name(), "namespaces").is_some() {
            walls::judge(&inhabited(site.live), &mut bench.case);
        }
    }
    let there = if absent { "absent from the platform" } else { "not shown to be absent from the platform" };
    bench.case.headline(format!("a bad pod is refused on {refusing} of {apps} app clusters; Kyverno is {there}"));
    bench.case.because("pods are tried by `create --dry-run=server`: all of admission, and nothing is made");
}

/// Without namespaces that no pod is ever in.
fn inhabited(ground: &Ground) -> Ground {
    let mut ground = ground.clone();
    ground.sheets.retain(|s| s.word("kind") != "Namespace" || !EMPTY.contains(&s.word("metadata.name")));
    ground
}

/// A webhook of Kyverno among the configurations of a cluster.
fn kyvernos(configurations: &[Value]) -> Vec<&Value> {
    let name = |hook: &Value| hook["name"].as_str().is_some_and(|n| n.contains(HOOK));
    let ours = |c: &&Value| {
        let named = c["metadata"]["name"].as_str().is_some_and(|n| n.starts_with("kyverno-"));
        named || c["webhooks"].as_array().is_some_and(|hooks| hooks.iter().any(name))
    };
    configurations.iter().filter(ours).collect()
}

/// The platform has neither webhooks nor resources of Kyverno.
fn nowhere(bench: &mut Bench<'_>, site: &Site<'_>) -> bool {
    bench.case.rule("placement");
    let hint = "helm --namespace kyverno uninstall kyverno   # on the platform";
    let (want, mut clean) = ("no Kyverno on the platform", true);
    let hooks = bench.items(site.name(), "webhooks");
    for hook in hooks.iter().flat_map(|hooks| kyvernos(hooks)) {
        let name = hook["metadata"]["name"].as_str().unwrap_or_default();
        let subject = format!("{}/{name}", hook["kind"].as_str().unwrap_or_default());
        bench.breach(site.name(), "webhooks", &subject, want, "a webhook of it", hint);
        clean = false;
    }
    let crds = bench.said(site.name(), "crds");
    let of_kyverno = |line: &&str| line.trim().ends_with(".kyverno.io");
    let found: Vec<&str> = crds.into_iter().flat_map(str::lines).filter(of_kyverno).collect();
    if let Some(first) = found.first() {
        let subject = first.rsplit('/').next().unwrap_or(first).trim();
        bench.breach(site.name(), "crds", subject, want, &format!("{} of its resources", found.len()), hint);
        clean = false;
    }
    clean && hooks.is_some() && crds.is_some()
}

/// An app cluster has a webhook of Kyverno that is asked about new pods and fails closed.
fn hooks(bench: &mut Bench<'_>, site: &Site<'_>) {
    bench.case.rule("webhook");
    let Some(all) = bench.items(site.name(), "webhooks") else { return };
    let has = |list: &Value, words: [&str; 2]| {
        list.as_array().is_some_and(|l| l.iter().any(|v| words.iter().any(|w| v == w)))
    };
    let pods = |rule: &Value| has(&rule["resources"], ["pods", "*"]) && has(&rule["operations"], ["CREATE", "*"]);
    let ours = kyvernos(&all);
    let validating = ours.iter().filter(|c| c["kind"] == "ValidatingWebhookConfiguration");
    let hooks: Vec<&Value> = validating.flat_map(|c| c["webhooks"].as_array().into_iter().flatten()).collect();
    let asked = |h: &&&Value| h["rules"].as_array().is_some_and(|rules| rules.iter().any(pods));
    let asked: Vec<&&Value> = hooks.iter().filter(asked).collect();
    let hint = format!("kubectl --kubeconfig out/kube/{}.yaml --namespace kyverno get pods", site.name());
    if asked.is_empty() {
        let want = "a webhook of Kyverno that is asked about every new pod";
        bench.breach(site.name(), "webhooks", "kyverno", want, "none", &hint);
    } else if !asked.iter().any(|h| h["failurePolicy"] == "Fail") {
        let hint = "features.forceFailurePolicyIgnore.enabled: false, failurePolicy: Fail in every policy";
        bench.breach(site.name(), "webhooks", "kyverno", "a webhook that fails closed", "failurePolicy: Ignore", hint);
    }
}

/// The policies that were rendered are there, each ready, and every policy that is there denies.
fn policies(bench: &mut Bench<'_>, site: &Site<'_>) {
    bench.case.rule("enforced");
    let Some(items) = bench.items(site.name(), "policies") else { return };
    enforced(site.live, &mut bench.case);
    for wanted in site.rendered.objects("ValidatingPolicy") {
        let name = wanted.word("metadata.name");
        let hint = format!("cargo xtask bootstrap --only '{}/*'", site.name());
        match items.iter().find(|p| p["metadata"]["name"] == name) {
            None => bench.breach(site.name(), "policies", &wanted.subject(), "the policy is there", "nothing", &hint),
            Some(policy) if policy.pointer("/status/conditionStatus/ready") == Some(&Value::Bool(false)) => {
                let said = policy.pointer("/status/conditionStatus/message").and_then(Value::as_str).unwrap_or("no");
                let hint = "kubectl describe validatingpolicies.policies.kyverno.io";
                bench.breach(site.name(), "policies", &wanted.subject(), "a policy that is ready", said, hint);
            }
            Some(_) => {}
        }
    }
}

/// What became of a pod that was tried.
#[derive(Debug, PartialEq, Eq)]
enum Trial {
    LetIn,
    ByKyverno,
    ByPodSecurity,
    /// Nobody can say.
    Unknown(String),
}

fn outcome(output: &Output) -> Trial {
    let said = &output.stderr;
    if output.ok() {
        Trial::LetIn
    } else if said.contains("violates PodSecurity") {
        Trial::ByPodSecurity
    } else if said.contains(HOOK) && said.contains("denied the request") {
        Trial::ByKyverno
    } else {
        Trial::Unknown(reason(output))
    }
}

fn trial(bench: &mut Bench<'_>, cluster: &str, what: &str) -> Trial {
    match bench.output(cluster, what) {
        Some(output) => outcome(output),
        None => Trial::Unknown("what it depends on has no answer".to_owned()),
    }
}

fn unknown(bench: &mut Bench<'_>, cluster: &str, what: &str, why: String) {
    bench.unheard::<()>(cluster, what, why);
}

/// On the platform the bad pod is let in: nothing there asks Kyverno.
fn tried_on_platform(bench: &mut Bench<'_>, site: &Site<'_>) {
    bench.case.rule("tried");
    let want = "let in by `create --dry-run=server`: operators are free on the platform";
    match trial(bench, site.name(), "bad-pod") {
        Trial::LetIn => {}
        Trial::ByKyverno | Trial::ByPodSecurity => {
            let got = bench.output(site.name(), "bad-pod").map(reason).unwrap_or_default();
            bench.breach(site.name(), "bad-pod", "a pod that no policy would pass", want, &got, "no policy there");
        }
        Trial::Unknown(why) => unknown(bench, site.name(), "bad-pod", why),
    }
}

/// On an app cluster the bad pod is refused by Kyverno, and one that is in order is let in.
fn tried_on_apps(bench: &mut Bench<'_>, site: &Site<'_>) -> bool {
    bench.case.rule("tried");
    match trial(bench, site.name(), "good-pod") {
        Trial::LetIn => {}
        Trial::ByKyverno | Trial::ByPodSecurity => {
            let got = bench.output(site.name(), "good-pod").map(reason).unwrap_or_default();
            let hint = "kubectl get validatingpolicies.policies.kyverno.io";
            bench.breach(site.name(), "good-pod", "a pod that is in order", "let in", &got, hint);
        }
        Trial::Unknown(why) => unknown(bench, site.name(), "good-pod", why),
    }
    let want = "refused by Kyverno, tried with `create --dry-run=server`";
    let hint = format!("kubectl --kubeconfig out/kube/{}.yaml get validatingwebhookconfigurations", site.name());
    match trial(bench, site.name(), "bad-pod") {
        Trial::ByKyverno => return true,
        Trial::LetIn => {
            bench.breach(site.name(), "bad-pod", "a pod that breaks every policy", want, "it was let in", &hint);
        }
        Trial::ByPodSecurity => {
            let got = "refused by Pod Security alone";
            bench.breach(site.name(), "bad-pod", "a pod that breaks every policy", want, got, &hint);
        }
        Trial::Unknown(why) => unknown(bench, site.name(), "bad-pod", why),
    }
    false
}

/// A privileged pod is refused everywhere, and by Pod Security: Kyverno is asked after it.
fn privileged(bench: &mut Bench<'_>, site: &Site<'_>) {
    bench.case.rule("pod-security");
    let want = "refused by Pod Security, tried with `create --dry-run=server`";
    let hint = "kubectl label namespace default pod-security.kubernetes.io/enforce=baseline";
    match trial(bench, site.name(), "privileged-pod") {
        Trial::ByPodSecurity => {}
        Trial::LetIn => {
            bench.breach(site.name(), "privileged-pod", "a privileged pod in default", want, "it was let in", hint);
        }
        Trial::ByKyverno => {
            let got = "refused by Kyverno alone";
            bench.breach(site.name(), "privileged-pod", "a privileged pod in default", want, got, hint);
        }
        Trial::Unknown(why) => unknown(bench, site.name(), "privileged-pod", why),
    }
}
