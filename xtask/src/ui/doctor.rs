//! Formats what `doctor` found, as text and as JSON lines.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::progress::board::{self, HOST};
use super::shell::Style;
use super::{format, problem};
use model::problem::Problem;
use plan::survey::findings::{Finding, NOTHING};
use plan::survey::{Answers, ProbeState};

/// All findings, what is fine in one line for each cluster, and a last line that sums them up; without colour. `verbose`
/// adds what probes expected.
pub fn text(findings: &[Finding], answers: &Answers, verbose: bool) -> String {
    let mut out = String::new();
    let nothing = |finding: &Finding| finding.problem.what == NOTHING;
    for Finding { problem, detail, .. } in findings.iter().filter(|finding| !nothing(finding)) {
        let why = problem.why.clone().or_else(|| detail.clone().filter(|_| verbose));
        out.push_str(problem::one(&Problem { why, ..problem.clone() }, Style::default()).trim_end());
        out.push_str("\n\n");
    }
    if let Some(Finding { problem, .. }) = findings.iter().find(|finding| nothing(finding)) {
        return format!("{out}{NOTHING}: {}\n", problem.hint.as_deref().unwrap_or_default());
    }
    out + &fine(answers) + &summary(findings, answers.len())
}

/// A line for each cluster without a problem, and for this machine.
fn fine(answers: &Answers) -> String {
    let mut groups: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (step, answer) in answers {
        let (fine, all) = groups.entry(board::group(step)).or_default();
        *fine += usize::from(answer.state == ProbeState::Matches);
        *all += 1;
    }
    let row = |(name, (fine, all)): (&str, (usize, usize))| {
        let name = if name == HOST { "this machine and downloads" } else { name };
        (fine == all).then(|| format!("✓ {name}: {}\n", format::count(all, "check")))
    };
    groups.into_iter().filter_map(row).collect()
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
        json!({"event": "finding", "what": p.what, "why": p.why, "hint": p.hint, "fix": finding.fix, "detail": finding.detail})
    };
    let summary = json!({"event": "examined", "checks": checks, "findings": findings.len()});
    findings.iter().map(event).chain([summary]).collect()
}
