//! C3, live: every Secret exists, has no owner whose deletion would remove it, and was read from Vault within the hour;
//! while the platform is down it may be older. Its content is never asked for: only name, age and owners.

use std::time::Duration;

use serde_json::Value;

use super::{keeping, pace};
use crate::live::{LiveContext, Site, probes};
use crate::rendered_state::{ClusterManifests, Document};
use model::fleet::{Cluster, Role};
use model::units::{format_hours, parse_duration, parse_utc};
use plan::{Expect, Step};
use tool::{Exit, Output};

/// What External Secrets may take on top of its pace: it waits up to 10 % more, and Vault may be asked twice.
const GRACE: Duration = Duration::from_secs(900);

pub(super) fn probes(cluster: &Cluster, manifests: &ClusterManifests) -> Vec<Step> {
    let mut steps = vec![probes::good_pod(cluster)];
    if cluster.role == Role::Workload {
        steps.extend(probes::secret_stores(cluster));
        steps.extend(manifests.objects("ExternalSecret").map(|wanted| secret(cluster, wanted)));
    }
    steps
}

/// A Secret without its content: when it was made, who owns it.
fn secret(cluster: &Cluster, wanted: &Document) -> Step {
    let (namespace, name) = target(wanted);
    let template = r#"{.metadata.name}{"\n"}{.metadata.creationTimestamp}{"\n"}{.metadata.ownerReferences}"#;
    let ask = probes::kubectl(cluster).read(namespace, &["secret", name], template);
    let title = format!("find the Secret {namespace}/{name} of");
    probes::question(cluster, &question(wanted), &title, ask, Expect::Match(format!("^{name}$")))
}

/// Namespace and name of the Secret that an ExternalSecret makes.
fn target(wanted: &Document) -> (&str, &str) {
    probes::named_by(wanted, "spec.target.name", wanted.word("metadata.name"))
}

fn question(wanted: &Document) -> String {
    let (namespace, name) = target(wanted);
    format!("secret/{namespace}/{name}")
}

pub(super) fn judge(ctx: &mut LiveContext<'_>) {
    let (mut there, mut all, mut oldest) = (0, 0, None::<Duration>);
    let down = ctx.platform_answers() == Some(false);
    for site in ctx.apps() {
        stores(ctx, &site, down);
        let now = server_clock(ctx, site.name());
        let answer = ctx.items(site.name(), "external-secrets");
        let states = answer.as_deref().unwrap_or_default();
        for document in site.live.objects("ExternalSecret") {
            pace(site.live, document, ctx);
            keeping(site.live, document, ctx);
            let state = states.iter().find(|s| is(s, document));
            oldest = oldest.max(state.and_then(|state| fresh(ctx, &site, state, now, down)));
        }
        for wanted in site.rendered.objects("ExternalSecret") {
            ctx.rule("present");
            all += 1;
            there += usize::from(exists(ctx, &site, wanted, answer.as_deref()));
        }
    }
    let age = oldest.map_or("of unknown age".to_owned(), |age| format!("the oldest read {} ago", format_hours(age)));
    ctx.summary(format!("{there} of {all} Secrets exist, {age}"));
    if down {
        ctx.rationale("the platform does not answer: a Secret may be older than an hour, and must exist");
    }
    ctx.rationale("ages are by the API server's own clock: the creation time of a pod that is only dry-run");
}

fn is(object: &Value, document: &Document) -> bool {
    let metadata = &object["metadata"];
    metadata["name"] == document.word("metadata.name") && metadata["namespace"] == document.namespace()
}

/// The API server's clock.
fn server_clock(ctx: &LiveContext<'_>, cluster: &str) -> Option<i64> {
    let pod = ctx.output(cluster, "good-pod").filter(|o| o.ok())?;
    let pod: Value = serde_json::from_str(&pod.stdout).ok()?;
    Some(ctx.clock_at_start(cluster, "good-pod", parse_utc(pod.pointer("/metadata/creationTimestamp")?.as_str()?)?))
}

/// The condition `Ready` of an object: whether it holds, and its reason and message.
fn ready(object: &Value) -> (bool, String) {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let Some(condition) = conditions.iter().find(|c| c["type"] == "Ready") else {
        return (false, "it has no condition Ready".to_owned());
    };
    let word = |key: &str| condition[key].as_str().unwrap_or_default();
    let why = [word("reason"), word("message")].into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(": ");
    (word("status") == "True", if why.is_empty() { word("status").to_owned() } else { why })
}

/// Every store reaches Vault. With the platform down it cannot, and that is no breach.
fn stores(ctx: &mut LiveContext<'_>, site: &Site<'_>, down: bool) {
    ctx.rule("store");
    let Some(stores) = ctx.items(site.name(), "stores") else { return };
    if stores.is_empty() {
        ctx.breach(site.name(), "stores", "secret-stores", "a store of secrets", "none", &site.reapply());
    }
    for (store, (_, why)) in stores.iter().map(|s| (s, ready(s))).filter(|(_, (good, _))| !good && !down) {
        let name = store["metadata"]["name"].as_str().unwrap_or_default();
        let subject = format!("{}/{name}", store["kind"].as_str().unwrap_or_default());
        let hint = "cargo xtask mesh-connect   # Vault is reached over the mesh; --diagnose names the cause";
        ctx.breach(site.name(), "stores", &subject, "a store that is Ready", &why, hint);
    }
}

fn fresh(ctx: &mut LiveContext<'_>, site: &Site<'_>, state: &Value, now: Option<i64>, down: bool) -> Option<Duration> {
    ctx.rule("fresh");
    let word = |key: &str| state["metadata"][key].as_str().unwrap_or_default();
    let name = format!("ExternalSecret/{}", word("name"));
    let hint = site.kubectl(&format!("--namespace {} describe externalsecret", word("namespace")));
    let (good, why) = ready(state);
    if !good && !down {
        ctx.breach(site.name(), "external-secrets", &name, "a secret that is Ready", &why, &hint);
    }
    let read = state["status"]["refreshTime"].as_str().and_then(parse_utc)?;
    // Its age when it was asked for, which may be long before or after the clock was.
    let age = now?.saturating_sub(ctx.clock_at_start(site.name(), "external-secrets", read));
    let age = Duration::from_secs(u64::try_from(age).unwrap_or_default());
    let every = state["spec"]["refreshInterval"].as_str().and_then(parse_duration).unwrap_or_default();
    if age > every + GRACE && !down {
        let want = format!("read from Vault within {}", format_hours(every + GRACE));
        let got = format!("{} ago", format_hours(age));
        ctx.breach(site.name(), "external-secrets", &name, &want, &got, &hint);
    }
    Some(age)
}

/// The Secret exists and has no owner: with one it would be deleted together with it.
fn exists(ctx: &mut LiveContext<'_>, site: &Site<'_>, wanted: &Document, states: Option<&[Value]>) -> bool {
    let what = question(wanted);
    let subject = format!("Secret/{}", target(wanted).1);
    if states.is_some_and(|states| !states.iter().any(|s| is(s, wanted))) {
        ctx.breach(site.name(), "external-secrets", &wanted.subject(), "it exists", "nothing", &site.reapply());
    }
    if ctx.output(site.name(), &what).is_some_and(not_found) {
        ctx.breach(site.name(), &what, &subject, "the Secret exists", "nothing", &site.reapply());
        return false;
    }
    let Some(text) = ctx.answer(site.name(), &what) else { return false };
    let owner = text.lines().nth(2).unwrap_or_default().trim();
    if !owner.is_empty() {
        let (want, got) = ("a Secret without an owner", format!("owned by {owner}"));
        ctx.breach(site.name(), &what, &subject, want, &got, "creationPolicy: Orphan");
    }
    true
}

/// The API server answered, and there is no such object.
fn not_found(output: &Output) -> bool {
    output.exit == Exit::Code(1) && output.stderr.contains("(NotFound)")
}
