//! The contract's verdicts for scripts: one object on one line.
//! Knows nothing of how a clause is judged.

use serde_json::{Value, json};

use super::{Excused, basis, breached, word};
use contract::{Finding, Reference, Report, Verdict};

/// The report as one JSON object.
pub fn report(report: &Report, excused: &Excused) -> Value {
    let clauses: Vec<Value> = report.verdicts.iter().map(|v| clause(v, excused)).collect();
    json!({
        "event": "contract",
        "tier": "static",
        "looked_at": basis(report),
        "rendered": report.rendering.as_ref().map(|r| json!({
            "helm": r.helm, "releases": r.releases, "of": r.of, "objects": r.objects,
        })),
        "holds": breached(report, excused).next().is_none(),
        "clauses": clauses,
        "references": report.references.iter().map(reference).collect::<Vec<_>>(),
    })
}

pub(super) fn clause(verdict: &Verdict, excused: &Excused) -> Value {
    let Verdict { clause, headline, findings, figures, because, reads } = verdict;
    let figures: Vec<Value> = figures.iter().map(|f| json!({"name": f.name, "value": f.value})).collect();
    json!({
        "clause": clause.to_string(),
        "says": clause.says(),
        "adr": clause.adr(),
        "verdict": word(verdict, excused.contains_key(clause)).to_lowercase(),
        "excused_because": excused.get(clause),
        "headline": headline,
        "figures": figures,
        "because": because,
        "reads": reads,
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

/// A breach.
pub fn finding(finding: &Finding) -> Value {
    let Finding { clause, rule, clusters, subject, want, got, at, hint } = finding;
    json!({
        "check": clause.to_string(), "rule": rule, "adr": clause.adr(), "clusters": clusters, "subject": subject,
        "want": want, "got": got, "file": at.file, "line": at.line, "hint": hint,
    })
}

pub(super) fn reference(reference: &Reference) -> Value {
    let Reference { cluster, subject, path, to, class, why, at } = reference;
    json!({
        "cluster": cluster, "subject": subject, "path": path, "to": to, "class": class.word(), "why": why,
        "file": at.file, "line": at.line,
    })
}
