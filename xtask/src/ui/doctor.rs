//! Formats what `doctor` found, as text and as JSON lines.

use serde_json::{Value, json};

use super::shell::Style;
use super::{format, problem};
use plan::survey::findings::Finding;

/// All findings and a last line that sums them up, without colour.
pub fn text(findings: &[Finding], checks: usize) -> String {
    let mut out = String::new();
    for finding in findings {
        out.push_str(problem::one(&finding.problem, Style::default()).trim_end());
        out.push_str("\n\n");
    }
    out + &summary(findings, checks)
}

fn summary(findings: &[Finding], checks: usize) -> String {
    let checks = format::count(checks, "check");
    let problems = format::count(findings.len(), "problem");
    match (findings.len(), findings.iter().filter(|finding| finding.fix.is_some()).count()) {
        (0, _) => format!("no problems found ({checks})\n"),
        (_, 0) => format!("{problems} ({checks})\n"),
        (_, fixable) => format!("{problems} ({checks}); `--fix` can fix {fixable}\n"),
    }
}

pub fn json(findings: &[Finding], checks: usize) -> Vec<Value> {
    let event = |finding: &Finding| {
        let p = &finding.problem;
        json!({"event": "finding", "what": p.what, "why": p.why, "hint": p.hint, "fix": finding.fix})
    };
    let summary = json!({"event": "examined", "checks": checks, "findings": findings.len()});
    findings.iter().map(event).chain([summary]).collect()
}
