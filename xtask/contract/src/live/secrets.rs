//! C3, live: every secret is there, belongs to nobody whose end would be its own, and was read from Vault within the
//! hour; while the platform is away it may be as old as it is.
//! Knows nothing of what is in a secret: only its name, its age and its owners are asked for.

use std::time::Duration;

use serde_json::Value;

use super::super::c3_secrets::{keeping, pace};
use super::super::evidence::Sheet;
use super::bench::{Bench, Site, reason};
use model::units::{format_hours, parse_duration, parse_utc};
use plan::live::{Place, secret_of};
use tool::{Exit, Output};

/// What External Secrets may take on top of its pace: it waits up to 10 % more, and Vault may be asked twice.
const GRACE: Duration = Duration::from_secs(900);

pub(super) fn judge(bench: &mut Bench<'_>) {
    let (mut there, mut all, mut oldest) = (0, 0, None::<Duration>);
    let away = bench.platform_away();
    for site in bench.apps() {
        stores(bench, &site, away);
        let now = server_clock(bench, site.name());
        let answer = bench.items(site.name(), "external-secrets");
        let states = answer.as_deref().unwrap_or_default();
        for sheet in site.live.objects("ExternalSecret") {
            bench.case.rule("pace");
            pace(site.live, sheet, &mut bench.case);
            keeping(site.live, sheet, &mut bench.case);
            let state = states.iter().find(|s| s["metadata"] == sheet.value()["metadata"] || is(s, sheet));
            let age = state.and_then(|state| fresh(bench, &site, state, now, away));
            oldest = oldest.max(age);
        }
        for wanted in site.rendered.objects("ExternalSecret") {
            bench.case.rule("present");
            all += 1;
            there += usize::from(kept(bench, &site, wanted, answer.as_deref()));
        }
    }
    let age = oldest.map_or("of unknown age".to_owned(), |age| format!("the oldest read {} ago", format_hours(age)));
    bench.case.headline(format!("{there} of {all} Secrets are there, {age}"));
    if away {
        bench.case.because("the platform does not answer: a secret may be older than an hour, and must be there");
    }
    bench.case.because("ages are by the API server's own clock: the time that it gives a pod which is only tried");
}

fn is(object: &Value, sheet: &Sheet) -> bool {
    let metadata = &object["metadata"];
    metadata["name"] == sheet.word("metadata.name") && metadata["namespace"] == sheet.namespace()
}

/// Seconds since 1970 on the API server's clock.
fn server_clock(bench: &mut Bench<'_>, cluster: &str) -> Option<u64> {
    let pod = bench.output(cluster, "good-pod").filter(|o| o.ok())?;
    let pod: Value = serde_json::from_str(&pod.stdout).ok()?;
    parse_utc(pod.pointer("/metadata/creationTimestamp")?.as_str()?)
}

/// The condition `Ready` of an object: its status and what it says.
fn ready(object: &Value) -> (bool, String) {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let Some(condition) = conditions.iter().find(|c| c["type"] == "Ready") else {
        return (false, "it says nothing".to_owned());
    };
    let word = |key: &str| condition[key].as_str().unwrap_or_default();
    let said = [word("reason"), word("message")].into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(": ");
    (word("status") == "True", if said.is_empty() { word("status").to_owned() } else { said })
}

/// Every store reaches Vault. With the platform away it cannot, and that is no breach.
fn stores(bench: &mut Bench<'_>, site: &Site<'_>, away: bool) {
    bench.case.rule("store");
    let Some(stores) = bench.items(site.name(), "stores") else { return };
    if stores.is_empty() {
        let hint = format!("cargo xtask bootstrap --only '{}/*'", site.name());
        bench.breach(site.name(), "stores", "secret-stores", "a store of secrets", "none", &hint);
    }
    for store in stores {
        let (good, said) = ready(&store);
        if good || away {
            continue;
        }
        let name = store["metadata"]["name"].as_str().unwrap_or_default();
        let subject = format!("{}/{name}", store["kind"].as_str().unwrap_or_default());
        let hint = "cargo xtask mesh-connect   # Vault is asked over the mesh; --diagnose names the cause";
        bench.breach(site.name(), "stores", &subject, "a store that is Ready", &said, hint);
    }
}

/// How long ago a secret was read from Vault.
fn fresh(bench: &mut Bench<'_>, site: &Site<'_>, state: &Value, now: Option<u64>, away: bool) -> Option<Duration> {
    bench.case.rule("fresh");
    let name = format!("ExternalSecret/{}", state["metadata"]["name"].as_str().unwrap_or_default());
    let (good, said) = ready(state);
    let hint = format!(
        "kubectl --kubeconfig out/kube/{}.yaml --namespace {} describe externalsecret",
        site.name(),
        state["metadata"]["namespace"].as_str().unwrap_or_default()
    );
    if !good && !away {
        bench.breach(site.name(), "external-secrets", &name, "a secret that is Ready", &said, &hint);
    }
    let read = state["status"]["refreshTime"].as_str().and_then(parse_utc)?;
    let age = Duration::from_secs(now?.saturating_sub(read));
    let every = state["spec"]["refreshInterval"].as_str().and_then(parse_duration).unwrap_or_default();
    if age > every + GRACE && !away {
        let want = format!("read from Vault within {}", format_hours(every + GRACE));
        let got = format!("{} ago", format_hours(age));
        bench.breach(site.name(), "external-secrets", &name, &want, &got, &hint);
    }
    Some(age)
}

/// The Secret is there, and nobody owns it: with an owner it would go when that goes.
fn kept(bench: &mut Bench<'_>, site: &Site<'_>, wanted: &Sheet, states: Option<&[Value]>) -> bool {
    let name = match wanted.word("spec.target.name") {
        "" => wanted.word("metadata.name"),
        name => name,
    };
    let what = secret_of(&Place { namespace: wanted.namespace().to_owned(), name: name.to_owned() });
    let subject = format!("Secret/{name}");
    let mend = format!("cargo xtask bootstrap --only '{}/*'", site.name());
    if states.is_some_and(|states| !states.iter().any(|s| is(s, wanted))) {
        bench.breach(site.name(), "external-secrets", &wanted.subject(), "it is there", "nothing", &mend);
    }
    let Some(output) = bench.output(site.name(), &what) else {
        return bench.said(site.name(), &what).is_some();
    };
    if gone(output) {
        bench.breach(site.name(), &what, &subject, "the Secret is there", "nothing", &mend);
        return false;
    }
    let Some(text) = bench.said(site.name(), &what) else { return false };
    let owner = text.lines().nth(2).unwrap_or_default().trim();
    if !owner.is_empty() {
        let hint = "creationPolicy: Orphan";
        bench.breach(site.name(), &what, &subject, "a Secret that nobody owns", &format!("owned by {owner}"), hint);
    }
    true
}

/// The API server answered, and there is no such object.
fn gone(output: &Output) -> bool {
    output.exit == Exit::Code(1) && reason(output).contains("(NotFound)")
}
