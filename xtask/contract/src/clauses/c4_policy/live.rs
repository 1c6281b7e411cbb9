//! C4, live: Kyverno is absent from the platform and enforces on app clusters, Pod Security holds in every namespace.
//! Policies and labels are judged by the rules of the static tier; dry-run pods show the effect.
//!
//! `create --dry-run=server` goes through admission like any request and keeps nothing. The API server refuses it where
//! a webhook has side effects that it does not deny (`sideEffects` other than `None` and `NoneOnDryRun`); then the
//! question has no answer.

use serde_json::{Value, json};

use super::pod_security;
use super::policies::{self, Covered};
use crate::live::{LiveContext, Site, UNASKED, probes};
use crate::rendered_state::ClusterManifests;
use model::fleet::{Cluster, Role};
use plan::{Expect, Step};
use tool::Output;

/// Namespaces that hold no pods and that charts make: Cilium keeps TLS secrets of Gateways in it.
const EMPTY: [&str; 1] = ["cilium-secrets"];
/// How Kyverno's webhooks are called: `vpol.validate.kyverno.svc-fail` and the like.
const HOOK: &str = ".kyverno.svc";
const REFUSED: &str = "refused by Kyverno, tried with `create --dry-run=server`";

pub(super) fn probes(cluster: &Cluster, _: &ClusterManifests) -> Vec<Step> {
    let kubectl = probes::kubectl(cluster);
    let kyverno = Expect::Match(r"^customresourcedefinition\.apiextensions\.k8s\.io/\S+\.kyverno\.io$".into());
    let admitted = Expect::JsonPresent("/metadata/creationTimestamp".into());
    let (bad, crds) = match cluster.role {
        Role::Platform => (admitted, Expect::All(vec![Expect::Exit(0), kyverno.negated()])),
        Role::Workload => (Expect::Stderr("kyverno\\.svc.* denied the request".into()), kyverno),
    };
    let crds_of = kubectl.names("customresourcedefinitions");
    let mut privileged = probes::compliant_container();
    privileged["securityContext"] = json!({ "privileged": true });
    let refused = Expect::Stderr("violates PodSecurity".into());
    // The bad pod passes Pod Security and no policy; the privileged one passes the policies and not Pod Security.
    let bad_container = json!({ "name": "probe", "image": "pause" });
    let mut steps = vec![
        probes::namespaces(cluster),
        probes::question(cluster, "crds", "read the names of the CRDs of", crds_of, crds),
        probes::webhooks(cluster),
        probes::good_pod(cluster),
        probes::dry_run_pod(cluster, "bad-pod", "dry-run a pod that breaks every policy on", bad_container, bad),
        probes::dry_run_pod(cluster, "privileged-pod", "dry-run a privileged pod on", privileged, refused),
    ];
    if cluster.role == Role::Workload {
        let list = kubectl.list("validatingpolicies.policies.kyverno.io", &[]);
        steps.push(probes::question(cluster, "policies", "read the policies of", list, probes::not_empty()));
    }
    steps
}

pub(super) fn judge(ctx: &mut LiveContext<'_>) {
    let (mut absent, mut refusing, mut apps) = (false, 0, 0);
    for site in ctx.sites() {
        if site.is_platform() {
            absent = no_kyverno(ctx, &site);
            try_on_platform(ctx, &site);
        } else {
            apps += 1;
            hooks(ctx, &site);
            live_policies(ctx, &site);
            refusing += usize::from(try_on_apps(ctx, &site));
        }
        ctx.rule("pod-security");
        let hint = "kubectl label namespace default pod-security.kubernetes.io/enforce=baseline";
        let want = "refused by Pod Security, tried with `create --dry-run=server`";
        let subject = "a privileged pod in default";
        let by_kyverno = "refused by Kyverno alone";
        let others = [(Admission::Admitted, ADMITTED), (Admission::ByKyverno, by_kyverno)];
        expect(ctx, &site, "privileged-pod", subject, &Admission::ByPodSecurity, &others, [want, hint]);
        if ctx.items(site.name(), "namespaces").is_some() {
            pod_security::judge(&inhabited(site.live), ctx);
        }
    }
    let there = if absent { "absent from the platform" } else { "not shown to be absent from the platform" };
    ctx.summary(format!("a bad pod is refused on {refusing} of {apps} app clusters; Kyverno is {there}"));
    ctx.rationale("pods are tried by `create --dry-run=server`: all of admission, and nothing is created");
}

/// Without namespaces that never hold a pod.
fn inhabited(cluster: &ClusterManifests) -> ClusterManifests {
    let mut cluster = cluster.clone();
    cluster.documents.retain(|s| s.word("kind") != "Namespace" || !EMPTY.contains(&s.word("metadata.name")));
    cluster
}

/// Webhook configurations of Kyverno among those of a cluster.
fn of_kyverno(configurations: &[Value]) -> Vec<&Value> {
    let hook = |hook: &Value| hook["name"].as_str().is_some_and(|n| n.contains(HOOK));
    let ours = |c: &&Value| {
        let named = c["metadata"]["name"].as_str().is_some_and(|n| n.starts_with("kyverno-"));
        named || c["webhooks"].as_array().is_some_and(|hooks| hooks.iter().any(hook))
    };
    configurations.iter().filter(ours).collect()
}

/// The platform has neither webhooks nor CRDs of Kyverno.
fn no_kyverno(ctx: &mut LiveContext<'_>, site: &Site<'_>) -> bool {
    ctx.rule("placement");
    let hint = "helm --namespace kyverno uninstall kyverno   # on the platform";
    let (want, mut clean) = ("no Kyverno on the platform", true);
    let hooks = ctx.items(site.name(), "webhooks");
    for hook in hooks.iter().flat_map(|hooks| of_kyverno(hooks)) {
        let name = hook["metadata"]["name"].as_str().unwrap_or_default();
        let subject = format!("{}/{name}", hook["kind"].as_str().unwrap_or_default());
        ctx.breach(site.name(), "webhooks", &subject, want, "a webhook of it", hint);
        clean = false;
    }
    let crds = ctx.answer(site.name(), "crds");
    let lines = crds.into_iter().flat_map(str::lines).map(str::trim);
    let found: Vec<&str> = lines.filter(|line| line.ends_with(".kyverno.io")).collect();
    if let Some(first) = found.first() {
        let subject = first.rsplit('/').next().unwrap_or(first);
        ctx.breach(site.name(), "crds", subject, want, &format!("{} of its CRDs", found.len()), hint);
        clean = false;
    }
    clean && hooks.is_some() && crds.is_some()
}

/// An app cluster has a webhook of Kyverno that is called for new pods and fails closed.
fn hooks(ctx: &mut LiveContext<'_>, site: &Site<'_>) {
    ctx.rule("webhook");
    let Some(all) = ctx.items(site.name(), "webhooks") else { return };
    let has = |list: &Value, words: [&str; 2]| {
        list.as_array().is_some_and(|l| l.iter().any(|v| words.iter().any(|w| v == w)))
    };
    let pods = |rule: &Value| has(&rule["resources"], ["pods", "*"]) && has(&rule["operations"], ["CREATE", "*"]);
    let ours = of_kyverno(&all);
    let validating = ours.iter().filter(|c| c["kind"] == "ValidatingWebhookConfiguration");
    let hooks = validating.flat_map(|c| c["webhooks"].as_array().into_iter().flatten());
    let called: Vec<&Value> =
        hooks.filter(|h| h["rules"].as_array().is_some_and(|rules| rules.iter().any(pods))).collect();
    if called.is_empty() {
        let (want, hint) = ("a webhook of Kyverno for every new pod", site.kubectl("--namespace kyverno get pods"));
        ctx.breach(site.name(), "webhooks", "kyverno", want, "none", &hint);
    } else if !called.iter().any(|h| h["failurePolicy"] == "Fail") {
        let hint = "features.forceFailurePolicyIgnore.enabled: false, failurePolicy: Fail in every policy";
        ctx.breach(site.name(), "webhooks", "kyverno", "a webhook that fails closed", "failurePolicy: Ignore", hint);
    }
}

/// The policies that were rendered exist, each ready, and every live policy denies.
fn live_policies(ctx: &mut LiveContext<'_>, site: &Site<'_>) {
    ctx.rule("enforced");
    let Some(items) = ctx.items(site.name(), "policies") else { return };
    policies::judge(site.live, &Covered::of(site.rendered), ctx);
    ctx.rule("enforced");
    for wanted in site.rendered.objects("ValidatingPolicy") {
        let policy = items.iter().find(|p| p["metadata"]["name"] == wanted.word("metadata.name"));
        let Some(policy) = policy else {
            let hint = site.reapply();
            ctx.breach(site.name(), "policies", &wanted.subject(), "the policy exists", "nothing", &hint);
            continue;
        };
        let status = &policy["status"]["conditionStatus"];
        if status["ready"] == false {
            let got = status["message"].as_str().unwrap_or("not ready");
            let hint = "kubectl describe validatingpolicies.policies.kyverno.io";
            ctx.breach(site.name(), "policies", &wanted.subject(), "a policy that is ready", got, hint);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Admitted,
    ByKyverno,
    ByPodSecurity,
    Unknown(String),
}

const ADMITTED: &str = "it was admitted";

pub(super) fn admission(output: &Output) -> Admission {
    let text = &output.stderr;
    if output.ok() {
        Admission::Admitted
    } else if text.contains("violates PodSecurity") {
        Admission::ByPodSecurity
    } else if text.contains(HOOK) && text.contains("denied the request") {
        Admission::ByKyverno
    } else {
        Admission::Unknown(output.reason_or_end())
    }
}

/// Whether a dry-run pod was treated as wanted; `others` holds what else a known outcome is called.
fn expect(
    ctx: &mut LiveContext<'_>,
    site: &Site<'_>,
    what: &str,
    subject: &str,
    wanted: &Admission,
    others: &[(Admission, &str)],
    [want, hint]: [&str; 2],
) -> bool {
    let output = ctx.output(site.name(), what);
    let got = output.map_or_else(|| Admission::Unknown(UNASKED.to_owned()), admission);
    if let Admission::Unknown(why) = got {
        return ctx.no_answer::<()>(site.name(), what, why).is_some();
    }
    if got == *wanted {
        return true;
    }
    let named = others.iter().find(|(other, _)| *other == got).map(|(_, name)| (*name).to_owned());
    let got = named.or_else(|| output.map(Output::reason_or_end)).unwrap_or_default();
    ctx.breach(site.name(), what, subject, want, &got, hint);
    false
}

/// On the platform the bad pod is admitted: nothing there calls Kyverno.
fn try_on_platform(ctx: &mut LiveContext<'_>, site: &Site<'_>) {
    ctx.rule("tried");
    let want = "admitted by `create --dry-run=server`: operators are free on the platform";
    let subject = "a pod that no policy would pass";
    expect(ctx, site, "bad-pod", subject, &Admission::Admitted, &[], [want, "no policy there"]);
}

/// On an app cluster the bad pod is refused by Kyverno, and a compliant one is admitted.
fn try_on_apps(ctx: &mut LiveContext<'_>, site: &Site<'_>) -> bool {
    ctx.rule("tried");
    let hint = "kubectl get validatingpolicies.policies.kyverno.io";
    expect(ctx, site, "good-pod", "a compliant pod", &Admission::Admitted, &[], ["admitted", hint]);
    let hint = site.kubectl("get validatingwebhookconfigurations");
    let subject = "a pod that breaks every policy";
    let others = [(Admission::Admitted, ADMITTED), (Admission::ByPodSecurity, "refused by Pod Security alone")];
    expect(ctx, site, "bad-pod", subject, &Admission::ByKyverno, &others, [REFUSED, &hint])
}
