//! C3 in an outage: the Secret does not change, pods that mount it start, and afterwards it is read from Vault again.

use crate::drill::{SPACE, external_secret, kubectl, observation};
use crate::outage::OutageContext;
use model::fleet::Cluster;
use plan::Step;

pub(super) fn observations(cluster: &Cluster) -> Vec<Step> {
    // The version of the object, not its content.
    let version =
        kubectl(cluster).read(SPACE, &["secret", "sample-credentials"], "{.metadata.uid} {.metadata.resourceVersion}");
    vec![
        observation(cluster, "secret", "read the version of the Secret on", version),
        observation(cluster, "store", "read the state of the ExternalSecret on", external_secret(cluster)),
    ]
}

fn breach(ctx: &mut OutageContext<'_>, rule: &str, key: &str, want: &str, got: &str) {
    let hint = ctx.kubectl("--namespace sample describe externalsecrets,secrets");
    ctx.breach(rule, key, "Secret/sample-credentials", want, got, &hint);
}

pub(super) fn ready(ctx: &mut OutageContext<'_>) {
    let before = &ctx.app.before;
    let synced = before.text("store").is_some_and(|text| text.ends_with(" True"));
    let got = match before.object("secret") {
        None => "it does not exist before the drill",
        Some(_) if !synced => "it is not synced before the drill",
        Some(_) => return,
    };
    breach(ctx, "fresh", "refreshInterval", "a Secret, copied from Vault", got);
}

pub(super) fn judge(ctx: &mut OutageContext<'_>) {
    let app = ctx.app;
    let got = match (app.before.object("secret"), app.during.object("secret")) {
        (Some(before), Some(during)) if before == during => None,
        (_, None) => Some("it is gone"),
        _ => Some("it was changed"),
    };
    if let Some(got) = got {
        breach(ctx, "kept", "deletionPolicy", "the same Secret while the platform is down", got);
    }
    if let Some(why) = ctx.failure("late-runs").or_else(|| ctx.failure("late")) {
        let want = "a pod that mounts it starts while the platform is down";
        breach(ctx, "mounted", "deletionPolicy", want, &format!("it does not: {why}"));
    }
    if let Some(why) = ctx.failure("refreshed") {
        let want = "read from Vault again after the return";
        breach(ctx, "fresh", "refreshInterval", want, &format!("it was not: {why}"));
    }
}
