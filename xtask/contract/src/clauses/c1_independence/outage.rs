//! C1 in an outage: requests that the probe sent, how many failed, and how long none was answered; pods that died and
//! were replaced; and that nothing changed the sample.
//!
//! Lines of the probe (`infra/drill/probe`): time, way, requests sent, failed, longest gap.

use std::time::Duration;

use serde_json::json;

use crate::drill::{ASKER, SPACE, kubectl, observation};
use crate::outage::{ClusterSnapshot, Mark, OutageContext};
use model::fleet::Cluster;
use model::units::format_duration;
use plan::Step;

/// The longest that a way may be without a good answer. A pod that the drill deletes may still be asked for a second or
/// two; whatever takes longer has another cause.
pub const GAP: Duration = Duration::from_secs(10);
/// Requests that may fail for the same reason, however few were sent.
const FEW: u64 = 5;

pub(super) fn observations(cluster: &Cluster) -> Vec<Step> {
    // Changes of the spec count, pods that come and go do not (Kubernetes API conventions, `generation`).
    let generation = kubectl(cluster).read(SPACE, &["deployment", "sample"], "{.metadata.uid} {.metadata.generation}");
    let log = kubectl(cluster).logs(SPACE, ASKER, None);
    vec![
        observation(cluster, "workload", "read the generation of the sample on", generation),
        observation(cluster, "requests", "read the request log of", log),
    ]
}

pub(super) fn judge(ctx: &mut OutageContext<'_>) {
    if let Some(why) = ctx.failure("sample-pod-replaced").or_else(|| ctx.failure("cilium-agent-replaced")) {
        let want = "a pod that dies while the platform is down is replaced";
        let hint = ctx.kubectl("get events --all-namespaces");
        ctx.breach("replaced", "replicas", "pods", want, &format!("it was not: {why}"), &hint);
    }
    let mesh = ctx.app.linked.then_some("mesh");
    for way in ["local"].into_iter().chain(mesh) {
        match marks(ctx, way) {
            Ok(marks) => answered(ctx, way, marks),
            Err(why) => {
                let hint = ctx.kubectl("--namespace sample logs deployment/drill-probe");
                let subject = format!("way {way}");
                ctx.breach("canary", "replicas", &subject, "a count of every request of the outage", why, &hint);
            }
        }
    }
    // Reported once: what changed during the outage is still changed afterwards.
    for (snapshot, when) in ctx.moments() {
        if !untouched(ctx, snapshot, when) {
            break;
        }
    }
}

/// The marks of a way since the outage began.
fn marks(ctx: &OutageContext<'_>, way: &str) -> Result<Vec<Mark>, &'static str> {
    let app = ctx.app;
    let before = app.before.text("requests").and_then(|log| lines(log, way).last().copied());
    let began = before.ok_or("the probe logged nothing before the outage")?.at;
    let log = app.after.text("requests").or(app.during.text("requests")).ok_or("the probe's log cannot be read")?;
    let all = lines(log, way);
    if all.first().is_none_or(|first| first.at > began) {
        return Err("the probe restarted during the outage and lost its log");
    }
    let since = all.into_iter().filter(|m| m.at > began);
    let marks: Vec<Mark> = since.map(|m| Mark { at: m.at - began, ..m }).collect();
    if marks.is_empty() { Err("the probe logged nothing during the outage") } else { Ok(marks) }
}

/// The lines of one way; other lines are skipped.
fn lines(log: &str, way: &str) -> Vec<Mark> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [at, name, sent, failed, gap] = words[..] else { return None };
        let number = |word: &str| word.parse::<u64>().ok();
        let mark = Mark { at: number(at)?, sent: number(sent)?, failed: number(failed)?, gap: number(gap)? };
        (name == way).then_some(mark)
    };
    log.lines().filter_map(line).collect()
}

fn answered(ctx: &mut OutageContext<'_>, way: &str, marks: Vec<Mark>) {
    let (sent, failed) = marks.iter().fold((0, 0), |(sent, failed), m| (sent + m.sent, failed + m.failed));
    let longest = Duration::from_secs(marks.iter().map(|m| m.gap).max().unwrap_or(0));
    if longest > GAP || failed > FEW.max(sent / 100) {
        let whose = if way == "mesh" { "another app cluster" } else { "its own cluster" };
        let limit = GAP.as_secs();
        let want =
            format!("answers from the sample of {whose} while the platform is down, never {limit} s without one");
        let got = format!("{failed} of {sent} requests failed, {} s without an answer", longest.as_secs());
        let hint = ctx.kubectl("--namespace sample describe pods");
        ctx.breach("served", "replicas", &format!("way {way}"), &want, &got, &hint);
    }
    let text = format!("{sent} requests, {failed} failed, longest gap {}", format_duration(longest));
    let course: Vec<_> = marks.iter().map(|m| json!([m.at, m.sent, m.failed, m.gap])).collect();
    let fields = json!({
        "way": way, "sent": sent, "failed": failed, "longest_gap_s": longest.as_secs(), "marks": course,
    });
    ctx.measure(way, text, fields, marks, longest <= GAP);
}

/// The Deployment is the same object in the same generation.
fn untouched(ctx: &mut OutageContext<'_>, snapshot: &ClusterSnapshot, when: &str) -> bool {
    let generation = |text: &str| text.split_whitespace().nth(1).unwrap_or("none").to_owned();
    let got = match (ctx.app.before.object("workload"), snapshot.object("workload")) {
        (Some(before), Some(now)) if before == now => return true,
        (Some(_), None) => "it is gone".to_owned(),
        (None, _) => "its generation before the outage is unknown".to_owned(),
        (Some(before), Some(now)) => format!("from generation {} to {}", generation(before), generation(now)),
    };
    let hint = ctx.kubectl("--namespace sample get deployment sample --output yaml --show-managed-fields");
    ctx.breach("untouched", "replicas", "Deployment/sample", &format!("the same Deployment {when}"), &got, &hint);
    false
}

/// Nothing is lost for good: the mesh is healthy again once the platform is back.
pub(super) fn recovery(ctx: &mut OutageContext<'_>, mesh: &Result<Duration, String>) {
    if let Err(why) = mesh {
        let want = "a healthy mesh within a quarter of an hour";
        ctx.breach("recovered", "replicas", "mesh", want, why, "cargo xtask mesh-connect --diagnose");
    }
}
