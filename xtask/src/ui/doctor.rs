//! What `doctor` found, as text and as JSON: each finding in the anatomy of every message, and one line at the end.
//! Knows nothing of how it was found.

use serde_json::json;

use super::shell::Style;
use super::{format, problem};
use plan::survey::findings::Finding;

/// All findings, and the answer. It is data, so it has no colour.
pub fn text(findings: &[Finding], asked: usize) -> String {
    let mut out = String::new();
    for finding in findings {
        out.push_str(problem::one(&finding.problem, Style::default()).trim_end());
        out.push_str("\n\n");
    }
    out + &answer(findings, asked)
}

fn answer(findings: &[Finding], asked: usize) -> String {
    let asked = format::count(asked, "question");
    let mended = findings.iter().filter(|finding| finding.fix.is_some()).count();
    match (findings.len(), mended) {
        (0, _) => format!("nothing is amiss ({asked})\n"),
        (all, 0) => format!("{} ({asked})\n", format::count(all, "finding")),
        (all, some) => format!("{} ({asked}); --fix mends {some}\n", format::count(all, "finding")),
    }
}

/// A line for each finding, and one for the sum.
pub fn json(findings: &[Finding], asked: usize) -> String {
    let line = |finding: &Finding| {
        let p = &finding.problem;
        json!({"event": "finding", "what": p.what, "why": p.why, "hint": p.hint, "fix": finding.fix})
    };
    let mut lines: Vec<String> = findings.iter().map(|finding| format!("{}\n", line(finding))).collect();
    lines.push(format!("{}\n", json!({"event": "examined", "asked": asked, "findings": findings.len()})));
    lines.concat()
}
