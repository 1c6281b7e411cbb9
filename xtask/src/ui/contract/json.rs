//! The contract's verdicts for scripts: one object per tier, each on one line.

use serde_json::{Value, json};

use super::drill::Drill;
use super::{Results, Tier, basis};
use contract::live::Unanswered;
use contract::outage::{Measured, Measurement};
use contract::outage_model::{Moment, Row};
use contract::{Dependency, Finding, Verdict};

/// The static tier.
pub fn report(results: &Results<'_>) -> Value {
    let rendering = results.report.rendering.as_ref();
    let mut value = tier(results, "static", &results.report.dependencies);
    value["basis"] = basis(results.report).into();
    value["rendered"] =
        json!(rendering.map(|r| { json!({"helm": r.helm, "releases": r.releases, "of": r.of, "objects": r.objects}) }));
    value
}

/// The live tier, if there is one.
pub fn live(results: &Results<'_>) -> Option<Value> {
    let live = results.live?;
    let mut value = tier(results, "live", &live.dependencies);
    value["asked"] = json!(live.asked);
    value["answers"] = json!(live.answers);
    Some(value)
}

fn tier(results: &Results<'_>, name: &str, dependencies: &[Dependency]) -> Value {
    let tiers = results.clauses().flat_map(|clause| results.tiers(clause));
    let tiers: Vec<Tier<'_>> = tiers.filter(|tier| tier.name == name).collect();
    json!({
        "event": "contract",
        "tier": name,
        "holds": !tiers.iter().any(|tier| ["BROKEN", "UNKNOWN"].contains(&tier.word())),
        "clauses": tiers.iter().map(clause).collect::<Vec<_>>(),
        "dependencies": dependencies.iter().map(dependency).collect::<Vec<_>>(),
    })
}

fn clause(tier: &Tier<'_>) -> Value {
    let Verdict { clause, summary, findings, metrics, rationale, reads } = tier.verdict;
    let metrics: Vec<Value> = metrics.iter().map(|f| json!({"name": f.name, "value": f.value})).collect();
    json!({
        "clause": clause.to_string(),
        "title": clause.title(),
        "adr": clause.adr(),
        "verdict": tier.word().to_lowercase(),
        "excused_because": tier.excused,
        "summary": summary,
        "metrics": metrics,
        "rationale": rationale,
        "reads": reads,
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
        "unanswered": tier.unanswered.iter().map(|u| unanswered(u)).collect::<Vec<_>>(),
    })
}

fn finding(finding: &Finding) -> Value {
    let Finding { clause, rule, clusters, subject, want, got, at, hint } = finding;
    json!({
        "clause": clause.to_string(), "rule": rule, "adr": clause.adr(), "clusters": clusters, "subject": subject,
        "want": want, "got": got, "file": at.file, "line": at.line, "hint": hint,
    })
}

fn unanswered(unanswered: &Unanswered) -> Value {
    let Unanswered { clause, cluster, question, why } = unanswered;
    json!({ "clause": clause.to_string(), "cluster": cluster, "question": question, "why": why })
}

fn dependency(dependency: &Dependency) -> Value {
    let Dependency { cluster, subject, path, to, class, why, at } = dependency;
    json!({
        "cluster": cluster, "subject": subject, "path": path, "to": to, "class": class.word(), "why": why,
        "file": at.file, "line": at.line,
    })
}

/// The drill as a model.
pub fn drill(drill: &Drill) -> Value {
    let Drill { need, sweep, failures, .. } = drill;
    let row = |row: &Row| {
        let ((losing, moments), outage) = (row.losing, row.outage.as_secs());
        json!({"outage_s": outage, "losing": losing, "moments": moments, "worst_percent": row.worst})
    };
    let moment = |m: &Moment| json!([m.at, m.backlog, m.log, m.secret, m.requests.0, m.requests.1]);
    json!({
        "drill": "mgmt-outage",
        "model": true,
        "outage_s": need.outage.as_secs(),
        "requests": {"sent": need.requests.0, "failed": need.requests.1},
        "scrapes": {"during": need.scraped, "lost": need.lost, "most_waiting": need.backlog},
        "log_bytes": need.log,
        "caught_up_s": need.caught_up.as_secs(),
        "secret": {"oldest_s": need.secret.0.as_secs(), "fresh_after_s": need.secret.1.as_secs()},
        "frontier": {
            "safe_s": sweep.safe.as_secs(),
            "always_losing_s": sweep.always_losing.map(|d| d.as_secs()),
            "computed_s": sweep.computed.as_secs(),
            "simulated": sweep.simulated,
            "hours": sweep.hours,
            "rows": sweep.rows.iter().map(row).collect::<Vec<_>>(),
        },
        "moments": need.moments.iter().map(moment).collect::<Vec<_>>(),
        "failures": failures.iter().map(|(c, s)| json!({"clause": c.to_string(), "what": s})).collect::<Vec<_>>(),
    })
}

/// The drill on machines.
pub fn measured(measured: &Measured, simulated: bool) -> Value {
    let clock = measured.clock;
    let measurement = |m: &Measurement| {
        let mut value = m.fields.clone();
        value["clause"] = m.clause.to_string().into();
        value["name"] = m.name.clone().into();
        value
    };
    json!({
        "drill": "mgmt-outage",
        "simulated": simulated,
        "outage_s": clock.outage.as_secs(),
        "answered_after_s": clock.answered.as_secs(),
        "green_after_s": clock.green.map(|t| t.as_secs()),
        "window_s": clock.window.as_secs(),
        "measurements": measured.measurements.iter().map(measurement).collect::<Vec<_>>(),
        "findings": measured.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}
