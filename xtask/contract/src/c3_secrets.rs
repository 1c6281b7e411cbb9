//! C3: a secret from Vault is at most an hour behind while the platform is up, and stays as it is while it is down.
//! Knows nothing of Vault beyond the name of the store.

use std::time::Duration;

use super::case::{Case, shown};
use super::evidence::{Evidence, Ground, Sheet};
use model::units::{format_hours, parse_duration};

/// How far a secret may be behind.
const HOUR: Duration = Duration::from_secs(3600);
/// How often a store that does not answer is asked again: all secrets wait behind it, and all ask at once after it.
const REQUEUE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(900));

/// Judges every secret, every store and the controller.
pub(super) fn judge(evidence: &Evidence, case: &mut Case) {
    let mut secrets = 0;
    for ground in evidence.apps() {
        case.rule("controller");
        match ground.releases().find(|s| s.chart() == Some("external-secrets")) {
            Some(release) => controller(ground, release, case),
            None => {
                let hint = "list the chart external-secrets for `workload` in charts/releases.toml";
                case.missing(ground, "external-secrets", "External Secrets on every app cluster", "nothing", hint);
            }
        }
        let mut here = 0;
        for secret in ground.objects("ExternalSecret") {
            here += 1;
            pace(ground, secret, case);
            keeping(ground, secret, case);
            its_store(ground, secret, case);
        }
        for store in stores(ground) {
            calm(ground, store, case);
        }
        if here == 0 {
            let hint = "give app clusters the manifest `secret-stores`";
            case.missing(ground, "secret-stores", "at least one ExternalSecret", "none", hint);
        }
        secrets += here;
    }
    case.headline(format!(
        "{secrets} ExternalSecrets: asked every {}, kept without limit while nobody answers",
        format_hours(HOUR)
    ));
    case.because("refreshInterval is a pace of asking and no expiry: without an answer the Secret stays as it is");
    case.because(
        "deletionPolicy Retain keeps it when Vault says there is none, creationPolicy Orphan when its object goes",
    );
}

/// Asked once an hour: less often is too stale, more often is a load that the promise does not need.
pub(super) fn pace(ground: &Ground, secret: &Sheet, case: &mut Case) {
    case.rule("pace");
    let path = "spec.refreshInterval";
    let every = case.text(secret, path);
    match every.as_deref().and_then(parse_duration) {
        Some(every) if every == HOUR => case.figure("asked every", format_hours(every)),
        other => {
            let got = other.map_or_else(|| shown(every.as_deref()), format_hours);
            case.breach(ground, secret, path, "asked once an hour: 1 h", got, "refreshInterval: 1h0m0s");
        }
    }
    let path = "spec.refreshPolicy";
    let policy = case.text(secret, path);
    if policy.as_deref().is_some_and(|p| p != "Periodic") {
        let want = "refreshPolicy: Periodic";
        case.breach(ground, secret, path, want, shown(policy.as_deref()), want);
    }
}

/// The Secret stays, whatever Vault says and whoever deletes the object that asked for it.
pub(super) fn keeping(ground: &Ground, secret: &Sheet, case: &mut Case) {
    case.rule("keeping");
    case.expect(ground, secret, "spec.target.deletionPolicy", "Retain", "deletionPolicy: Retain");
    case.expect(ground, secret, "spec.target.creationPolicy", "Orphan", "creationPolicy: Orphan");
}

fn stores(ground: &Ground) -> impl Iterator<Item = &Sheet> {
    ground.objects("ClusterSecretStore").chain(ground.objects("SecretStore"))
}

fn its_store(ground: &Ground, secret: &Sheet, case: &mut Case) {
    case.rule("store");
    let (kind, path) = (case.text(secret, "spec.secretStoreRef.kind"), "spec.secretStoreRef.name");
    let name = case.text(secret, path).unwrap_or_default();
    let kind = kind.unwrap_or_else(|| "SecretStore".to_owned());
    let known = stores(ground).any(|s| s.word("kind") == kind && s.word("metadata.name") == name);
    if !known {
        let got = format!("{kind} {name}");
        case.breach(ground, secret, path, "a store that is there", got, "name: vault");
    }
}

/// A store that checks itself is a gate for all its secrets at once, and a flood when it opens again.
fn calm(ground: &Ground, store: &Sheet, case: &mut Case) {
    case.rule("store");
    let path = "spec.refreshInterval";
    let own = case.text(store, path).unwrap_or_else(|| "0".to_owned());
    if parse_duration(&own) != Some(Duration::ZERO) {
        let want = "no refreshInterval of the store itself";
        let hint = "remove it; external-secrets#4663";
        case.breach(ground, store, path, want, own, hint);
    }
    case.read(store, "spec.retrySettings.maxRetries");
}

/// How soon after an outage it asks again.
fn controller(ground: &Ground, release: &Sheet, case: &mut Case) {
    let path = "storeRequeueInterval";
    let every = case.text(release, path).and_then(|text| parse_duration(&text));
    let (least, most) = REQUEUE;
    match every {
        Some(every) if (least..=most).contains(&every) => {
            case.figure("a silent store asked again every", format_hours(every));
        }
        other => {
            let want = format!("a silent store asked again every {} to {}", format_hours(least), format_hours(most));
            case.breach(
                ground,
                release,
                path,
                want,
                other.map_or("nothing".to_owned(), format_hours),
                "storeRequeueInterval: 5m",
            );
        }
    }
    as_rendered(ground, release, case);
    case.rule("objects");
    for switch in ["crds.createClusterSecretStore", "installCRDs"] {
        if !case.on(release, switch, true) {
            case.breach(ground, release, switch, "resources for stores and secrets", "off", format!("{switch}: true"));
        }
    }
}

/// What the chart makes of it: the argument itself, and definitions of the resources that stand for stores and secrets.
fn as_rendered(ground: &Ground, release: &Sheet, case: &mut Case) {
    const FLAG: &str = "--store-requeue-interval=";
    let made: Vec<&Sheet> = ground.rendered().filter(|s| s.name == release.name).collect();
    if made.is_empty() {
        return;
    }
    let path = "spec.template.spec.containers.0.args";
    let controller = made.iter().find(|s| s.word("kind") == "Deployment" && s.word("metadata.name") == release.name);
    let args = controller.map_or(&[][..], |deployment| case.list(deployment, path));
    let every = args.iter().filter_map(|arg| arg.as_str()?.strip_prefix(FLAG)).next_back().and_then(parse_duration);
    let (least, most) = REQUEUE;
    if !every.is_some_and(|every| (least..=most).contains(&every)) {
        let want = format!("a silent store asked again every {} to {}", format_hours(least), format_hours(most));
        let got = every.map_or("nothing".to_owned(), format_hours);
        let hint = "storeRequeueInterval: 5m";
        match controller {
            Some(deployment) => case.breach(ground, deployment, path, want, got, hint),
            None => case.missing(ground, &release.name, &want, "no Deployment of that name", hint),
        }
    }
    for kind in ["ExternalSecret", "ClusterSecretStore"] {
        let known = |s: &&&Sheet| s.word("kind") == "CustomResourceDefinition" && s.word("spec.names.kind") == kind;
        if !made.iter().any(|s| known(&s)) {
            let want = format!("a definition of {kind}");
            case.missing(ground, &release.name, &want, "its chart renders none", "installCRDs: true");
        }
    }
}
