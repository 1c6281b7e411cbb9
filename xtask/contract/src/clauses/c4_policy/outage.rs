//! C4 in an outage: Kyverno itself denies a pod that breaks every policy. An error of another kind keeps the pod out too,
//! and proves nothing.

use super::live::{Admission, admission};
use crate::drill::{kubectl, observation};
use crate::outage::{ClusterSnapshot, OutageContext};
use model::fleet::Cluster;
use plan::Step;
use render::drill::REFUSED;
use tool::Output;

pub(super) fn observations(cluster: &Cluster) -> Vec<Step> {
    let ask = kubectl(cluster).offer("-").stdin_file(REFUSED);
    vec![observation(cluster, "refused", "dry-run a pod that policies deny on", ask)]
}

pub(super) fn ready(ctx: &mut OutageContext<'_>) {
    denied(ctx, &ctx.app.before, "before the drill");
}

pub(super) fn judge(ctx: &mut OutageContext<'_>) {
    for (snapshot, when) in ctx.moments() {
        denied(ctx, snapshot, when);
    }
}

fn denied(ctx: &mut OutageContext<'_>, snapshot: &ClusterSnapshot, when: &str) {
    let output = snapshot.0.get("refused");
    let got = match output.map(admission) {
        Some(Admission::ByKyverno) => return,
        Some(Admission::Admitted) => "it is admitted".to_owned(),
        Some(_) => format!("another answer: {}", output.map(Output::reason_or_end).unwrap_or_default()),
        None => "no answer".to_owned(),
    };
    let want = format!("a pod without version, registry and limits is denied {when}");
    let hint = ctx.kubectl("get validatingpolicies,validatingwebhookconfigurations");
    ctx.breach("enforced", "validationActions", "Kyverno", &want, &got, &hint);
}
