//! C3: a secret from Vault is at most an hour behind while the platform is up, and stays as it is while it is down.

mod live;
mod outage;

use std::time::Duration;

use super::{Definition, c4_policy};
use crate::context::{ClauseContext, shown};
use crate::rendered_state::{ClusterManifests, Document, RenderedState};
use model::units::{format_hours, parse_duration};

const HOUR: Duration = Duration::from_secs(3600);
/// Bounds of the retry interval of a store that does not answer: all its secrets wait for it.
const REQUEUE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(900));

/// How soon after the platform's return secrets are fresh: the longest that a store may wait, and a bit.
const FRESH: Duration = Duration::from_secs(960);

pub(super) static CLAUSE: Definition = Definition {
    probes: live::probes,
    objects: &["stores", "external-secrets"],
    live: live::judge,
    observations: outage::observations,
    ready: outage::ready,
    outage: outage::judge,
    model: |need, _| {
        let after = format_hours(need.secret.1);
        (need.secret.1 > FRESH).then(|| format!("the secret was fresh only {after} after the return"))
    },
    mutants: include_str!("mutants.toml"),
    ..Definition::new(
        "secrets are at most 1 h behind and stay through an outage",
        "adr/0001-platform-in-mgmt.md",
        check,
    )
};

/// Judges every secret, every store and the controller.
fn check(state: &RenderedState, ctx: &mut ClauseContext) {
    let mut secrets = 0;
    for cluster in state.apps() {
        ctx.rule("controller");
        match cluster.releases().find(|s| s.chart() == Some("external-secrets")) {
            Some(release) => controller(cluster, release, ctx),
            None => {
                let hint = "list the chart external-secrets for `workload` in charts/releases.toml";
                ctx.missing(cluster, "external-secrets", "External Secrets on every app cluster", "nothing", hint);
            }
        }
        let mut here = 0;
        for secret in cluster.objects("ExternalSecret") {
            here += 1;
            pace(cluster, secret, ctx);
            keeping(cluster, secret, ctx);
            its_stores(cluster, secret, ctx);
            served(cluster, secret, ctx);
        }
        for store in stores(cluster) {
            no_own_refresh(cluster, store, ctx);
            served(cluster, store, ctx);
        }
        for all in cluster.objects("ClusterExternalSecret") {
            let want = "ExternalSecrets that are judged, one by one";
            ctx.breach(cluster, all, "kind", want, "a ClusterExternalSecret", "kind: ExternalSecret");
        }
        if here == 0 {
            let hint = "give app clusters the manifest `secret-stores`";
            ctx.missing(cluster, "secret-stores", "at least one ExternalSecret", "none", hint);
        }
        secrets += here;
    }
    ctx.summary(format!(
        "{secrets} ExternalSecrets: refreshed every {}, kept without limit in an outage",
        format_hours(HOUR)
    ));
    ctx.rationale("refreshInterval is a polling interval, not an expiry: without an answer the Secret does not change");
    ctx.rationale(
        "deletionPolicy Retain keeps it when Vault has none, creationPolicy Orphan when its ExternalSecret is deleted",
    );
}

/// Refreshed once an hour: less often is too stale, more often is a load that the promise does not need.
fn pace(cluster: &ClusterManifests, secret: &Document, ctx: &mut ClauseContext) {
    ctx.rule("pace");
    let path = "spec.refreshInterval";
    let every = ctx.text(secret, path);
    match every.as_deref().and_then(parse_duration) {
        Some(every) if every == HOUR => ctx.metric("refreshed every", format_hours(every)),
        other => {
            let got = other.map_or_else(|| shown(every.as_deref()), format_hours);
            ctx.breach(cluster, secret, path, "refreshed once an hour: 1 h", got, "refreshInterval: 1h0m0s");
        }
    }
    let path = "spec.refreshPolicy";
    let policy = ctx.text(secret, path);
    if policy.as_deref().is_some_and(|p| p != "Periodic") {
        let want = "refreshPolicy: Periodic";
        ctx.breach(cluster, secret, path, want, shown(policy.as_deref()), want);
    }
}

/// The Secret stays when Vault has none, and when its ExternalSecret is deleted.
fn keeping(cluster: &ClusterManifests, secret: &Document, ctx: &mut ClauseContext) {
    ctx.rule("keeping");
    ctx.expect(cluster, secret, "spec.target.deletionPolicy", "Retain", "deletionPolicy: Retain");
    ctx.expect(cluster, secret, "spec.target.creationPolicy", "Orphan", "creationPolicy: Orphan");
    if ctx.on(secret, "spec.target.immutable", false) {
        let want = "a Secret that can be refreshed";
        let hint = "remove immutable: the first content would stay for ever";
        ctx.breach(cluster, secret, "spec.target.immutable", want, "immutable: true", hint);
    }
}

fn stores(cluster: &ClusterManifests) -> impl Iterator<Item = &Document> {
    cluster.objects("ClusterSecretStore").chain(cluster.objects("SecretStore"))
}

/// The version that the CRDs of External Secrets serve: v1beta1 is gone since 0.17.
fn served(cluster: &ClusterManifests, object: &Document, ctx: &mut ClauseContext) {
    ctx.rule("served");
    let (want, hint) = ("external-secrets.io/v1", "apiVersion: external-secrets.io/v1");
    ctx.expect(cluster, object, "apiVersion", want, hint);
}

/// Every store that a secret is read from: its own, and those of single keys.
fn its_stores(cluster: &ClusterManifests, secret: &Document, ctx: &mut ClauseContext) {
    ctx.rule("store");
    let keys = ["data", "dataFrom"].into_iter().flat_map(|list| {
        let items = secret.get(&format!("spec.{list}")).and_then(serde_json::Value::as_array).map_or(0, Vec::len);
        (0..items).map(move |i| format!("spec.{list}.{i}.sourceRef.storeRef"))
    });
    let own = std::iter::once("spec.secretStoreRef".to_owned());
    for at in own.chain(keys.filter(|at| secret.get(at).is_some())) {
        let (kind, path) = (ctx.text(secret, &format!("{at}.kind")), format!("{at}.name"));
        let name = ctx.text(secret, &path).unwrap_or_default();
        let kind = kind.unwrap_or_else(|| "SecretStore".to_owned());
        let near = |s: &Document| kind == "ClusterSecretStore" || s.namespace() == secret.namespace();
        let known = stores(cluster).find(|s| s.word("kind") == kind && s.word("metadata.name") == name && near(s));
        let Some(store) = known else {
            let got = format!("{kind} {name}");
            ctx.breach(cluster, secret, &path, "a store that exists", got, "name: vault");
            continue;
        };
        offered(cluster, store, secret.namespace(), ctx);
    }
}

/// A store may be for some namespaces alone: any one of its conditions lets a namespace in.
fn offered(cluster: &ClusterManifests, store: &Document, space: &str, ctx: &mut ClauseContext) {
    let conditions = ctx.list(store, "spec.conditions");
    let labels = c4_policy::labels(cluster, space);
    let lets_in = |c: &serde_json::Value| {
        let named = c["namespaces"].as_array().is_some_and(|list| list.iter().any(|n| n == space));
        named || (c["namespaceSelector"].is_object() && c4_policy::selects(&c["namespaceSelector"], &labels))
    };
    if !conditions.is_empty() && !conditions.iter().any(lets_in) {
        let want = format!("a store that namespace {space} may use");
        ctx.breach(
            cluster,
            store,
            "spec.conditions",
            want,
            "its conditions leave it out",
            format!("namespaces: [{space}]"),
        );
    }
}

/// A store that checks itself blocks all its secrets at once, and they all retry at once after it.
fn no_own_refresh(cluster: &ClusterManifests, store: &Document, ctx: &mut ClauseContext) {
    ctx.rule("store");
    let path = "spec.refreshInterval";
    let own = ctx.text(store, path).unwrap_or_else(|| "0".to_owned());
    if parse_duration(&own) != Some(Duration::ZERO) {
        let want = "no refreshInterval of the store itself";
        let hint = "remove it; external-secrets#4663";
        ctx.breach(cluster, store, path, want, own, hint);
    }
    ctx.read(store, "spec.retrySettings.maxRetries");
    let class = ctx.text(store, "spec.controller").unwrap_or_default();
    let release = cluster.releases().find(|s| s.chart() == Some("external-secrets"));
    let ours = release.and_then(|r| ctx.text(r, "controllerClass")).filter(|class| !class.is_empty());
    let ours = ours.unwrap_or_else(|| "default".to_owned());
    if !class.is_empty() && class != ours {
        let want = format!("a store of the controller that runs here: {ours}");
        ctx.breach(cluster, store, "spec.controller", want, class, "remove controller");
    }
}

/// How soon after an outage it retries.
fn controller(cluster: &ClusterManifests, release: &Document, ctx: &mut ClauseContext) {
    let path = "storeRequeueInterval";
    let every = ctx.text(release, path).and_then(|text| parse_duration(&text));
    let (least, most) = REQUEUE;
    match every {
        Some(every) if (least..=most).contains(&every) => {
            ctx.metric("retry interval while the store is unreachable", format_hours(every));
        }
        other => {
            let want = format!(
                "a retry interval of {} to {} while the store is unreachable",
                format_hours(least),
                format_hours(most)
            );
            ctx.breach(
                cluster,
                release,
                path,
                want,
                other.map_or("nothing".to_owned(), format_hours),
                "storeRequeueInterval: 5m",
            );
        }
    }
    as_rendered(cluster, release, ctx);
    let scope = ctx.text(release, "scopedNamespace").filter(|space| !space.is_empty());
    let scoped = ctx.on(release, "scopedRBAC", false);
    if scope.is_some() || scoped {
        let got = scope.unwrap_or_else(|| format!("{} alone", release.namespace()));
        let path = if scoped { "scopedRBAC" } else { "scopedNamespace" };
        let want = "a controller for every namespace, and for stores of the cluster";
        ctx.breach(cluster, release, path, want, got, "remove scopedNamespace and scopedRBAC");
    }
    let path = "replicaCount";
    if ctx.text(release, path).is_some_and(|n| n == "0") {
        ctx.breach(cluster, release, path, "a controller that runs", "0", "replicaCount: 1");
    }
    let judged = ["namespace", "controller-class", "store-requeue-interval"];
    let off = ["enable-cluster-store-reconciler", "enable-secret-store-reconciler"];
    for name in judged.into_iter().chain(off) {
        let path = format!("extraArgs.{name}");
        if ctx.read(release, &path).is_some() {
            let want = "what the values say, not another argument";
            ctx.breach(cluster, release, &path, want, format!("--{name} again"), format!("remove {path}"));
        }
    }
    ctx.rule("objects");
    let switches = ["crds.createClusterSecretStore", "installCRDs", "createOperator", "processClusterStore"];
    for switch in switches.into_iter().chain(["processSecretStore"]) {
        if !ctx.on(release, switch, true) {
            let want = "resources for stores and secrets, and a controller for them";
            ctx.breach(cluster, release, switch, want, "off", format!("{switch}: true"));
        }
    }
}

/// What the chart makes of it: the argument itself, and definitions of the resources that stand for stores and secrets.
fn as_rendered(cluster: &ClusterManifests, release: &Document, ctx: &mut ClauseContext) {
    const FLAG: &str = "--store-requeue-interval=";
    let made: Vec<&Document> = cluster.rendered().filter(|s| s.name == release.name).collect();
    if made.is_empty() {
        return;
    }
    let path = "spec.template.spec.containers.0.args";
    let controller = made.iter().find(|s| s.word("kind") == "Deployment" && s.word("metadata.name") == release.name);
    let args = controller.map_or(&[][..], |deployment| ctx.list(deployment, path));
    let every = args.iter().filter_map(|arg| arg.as_str()?.strip_prefix(FLAG)).next_back().and_then(parse_duration);
    let (least, most) = REQUEUE;
    if !every.is_some_and(|every| (least..=most).contains(&every)) {
        let want = format!(
            "a retry interval of {} to {} while the store is unreachable",
            format_hours(least),
            format_hours(most)
        );
        let got = every.map_or("nothing".to_owned(), format_hours);
        let hint = "storeRequeueInterval: 5m";
        match controller {
            Some(deployment) => ctx.breach(cluster, deployment, path, want, got, hint),
            None => ctx.missing(cluster, &release.name, &want, "no Deployment of that name", hint),
        }
    }
    for kind in ["ExternalSecret", "ClusterSecretStore"] {
        let known = |s: &&&Document| s.word("kind") == "CustomResourceDefinition" && s.word("spec.names.kind") == kind;
        if !made.iter().any(|s| known(&s)) {
            let want = format!("a definition of {kind}");
            ctx.missing(cluster, &release.name, &want, "its chart renders none", "installCRDs: true");
        }
    }
}
